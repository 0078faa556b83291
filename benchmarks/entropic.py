"""Sinkhorn at one epsilon: otdist beside POT's sinkhorn_log.

Both stop at 1e-6: otdist by the 1-norm of the marginal error, POT by the 2-norm,
which is smaller. `track_marginal_error` is the 1-norm of the plan returned; otdist's
is rounded to the marginals.
"""

from __future__ import annotations

from benchmarks import peers
from benchmarks.instances import make, sizes
from otdist import certify, solve

TOL = 1e-6


class _AtEpsilon:
    params = (
        sizes(250, 2000),
        ("gaussian_2", "blobs_p2"),
        (0.1, 0.05),
    )
    # epsilon is a part of the mean cost.
    param_names = ("n", "family", "epsilon")
    timeout = 600

    def setup(self, n, family, epsilon):
        self.instance = make(family, n)
        a, b, cost = self.instance.a, self.instance.b, self.instance.cost
        self.problem = self.instance.problem()
        self.epsilon = epsilon * float(a @ cost @ b)


class Sinkhorn(_AtEpsilon):
    def solve(self):
        return solve(self.problem, method="sinkhorn", epsilon=self.epsilon, tol=TOL)

    def time_solve(self, n, family, epsilon):
        self.solve()

    def peakmem_solve(self, n, family, epsilon):
        self.solve()

    def track_gap(self, n, family, epsilon):
        return self.solve().relative_gap

    def track_iterations(self, n, family, epsilon):
        return self.solve().n_iter

    def track_marginal_error(self, n, family, epsilon):
        return self.solve().certificate.marginal_error


class Pot(_AtEpsilon):
    def setup(self, n, family, epsilon):
        self.pot = peers.load_pot()
        super().setup(n, family, epsilon)

    def solve(self):
        return self.pot.bregman.sinkhorn_log(
            self.instance.a,
            self.instance.b,
            self.instance.cost,
            self.epsilon,
            numItermax=100_000,
            stopThr=TOL,
            log=True,
        )

    def certificate(self):
        plan, log = self.solve()
        return certify(self.problem, plan, self.epsilon * log["log_u"])

    def time_sinkhorn_log(self, n, family, epsilon):
        self.solve()

    def peakmem_sinkhorn_log(self, n, family, epsilon):
        self.solve()

    def track_gap(self, n, family, epsilon):
        return self.certificate().relative_gap

    def track_iterations(self, n, family, epsilon):
        return self.solve()[1]["niter"]

    def track_marginal_error(self, n, family, epsilon):
        return self.certificate().marginal_error
