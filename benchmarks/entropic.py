"""Entropic transport beside its peers, all brought to the same measured accuracy.

Wanted are an iteration, a time to a marginal error of 1e-6 at two epsilons, a time to
a proved relative gap of 1e-3, and 10^5 points without a matrix. Epsilon is a part of
the mean cost. A peer is timed in the cheapest setting that is good enough (see
`entropic_peers`): nan seconds say that none was within `CAP` seconds a call, and
`track_accuracy` then tells the best that was measured.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.spatial.distance import cdist

from benchmarks import fresh, peers
from benchmarks.entropic_peers import PEERS, Peer, Task, certified_gap, make_task, reach
from benchmarks.instances import IMAGES, FloatArray, make_points, sizes
from benchmarks.points import LARGE_JOBS
from benchmarks.ratios import TIMEOUT
from otdist import Problem, Result, solve

TOL = 1e-6
GAP = 1e-3
CAP = 120.0
SIZES = sizes(250, 1000, 4000)
ITERATION_SIZES = sizes(250, 4000, 10000)
GAP_SIZES = sizes(250, 4000, 10000)
LARGE_SIZES = sizes(250, 10**5)
PARTS = (0.01, 0.001)
#: What a peer may choose from on its way to a gap.
GAP_PARTS = (0.01, 0.003, 0.001, 0.0003, 0.0001)
GAP_SETTINGS = (1e-4, 1e-6)
FAMILIES = (
    "gaussian_2",
    "gaussian_2_p2",
    "uniform_2",
    "clustered_2",
    "blobs_p2",
    "gaussian_16",
    "integer_costs",
    "random_costs",
    "rectangular",
)
GAP_FAMILIES = (
    "gaussian_2",
    "gaussian_2_p2",
    "gaussian_16",
    "gaussian_16_p2",
    *IMAGES,
)
LARGE = ("uniform_3", "gaussian_3", "uniform_3_p2", "gaussian_3_p2")
_ITERATIONS = 10


def at_epsilon(problem: Problem, epsilon: float, **options: Any) -> Result:
    """Solve to the marginal error that every peer is brought to."""
    options = {"tol": TOL} | options
    return solve(problem, method="sinkhorn", epsilon=epsilon, **options)


def to_gap(problem: Problem, method: str = "sinkhorn") -> Result:
    """Solve to a proved gap, by whatever epsilon that takes, or as is fastest."""
    return solve(problem, method=method, tol=GAP)


def seconds_per_iteration(
    call: Callable[[int], int], k: int = _ITERATIONS, repeats: int = 3
) -> float:
    """Return what an iteration adds: k are taken from 2 k, and set-up drops out.

    `call` makes up to so many iterations, and returns how many it made.
    """
    made = call(2 * k) - call(k)
    if made <= 0:
        return math.nan
    once, twice = peers.medians([lambda: call(k), lambda: call(2 * k)], repeats)
    return (twice - once) / made


def _pot_iterations(name: str, task: Task, epsilon: float) -> Callable[[int], int]:
    """Let POT make just so many iterations, its checks of the error included."""
    function = getattr(peers.load_pot().bregman, name)
    instance = task.instance

    def call(k: int) -> int:
        function(
            instance.a,
            instance.b,
            instance.cost,
            epsilon,
            numItermax=k,
            stopThr=0,
            warn=False,
        )
        return k

    return call


def compare_at_epsilon(
    task: Task,
    repeats: int,
    peer: Peer,
    ours: Callable[[Problem, float], Result] = at_epsilon,
    *,
    part: float,
    cap: float = CAP,
) -> peers.Comparison:
    """Time otdist and a peer, in its cheapest setting, both from the same matrix."""
    problem, epsilon = task.instance.problem(), part * task.mean_cost
    found = reach(peer, task, [epsilon], TOL, cap=cap)
    if math.isnan(found.seconds):
        raise NotImplementedError(
            f"{TOL:g} not reached in {cap:g} s a call, best {found.measured:.1e}"
        )
    gap = ours(problem, epsilon).relative_gap
    call = peer.prepare(task)
    calls = [
        lambda: ours(problem, epsilon),
        lambda: call(epsilon, found.setting),
    ]
    return peers.Comparison(*peers.medians(calls, repeats), gap)


class _Iteration:
    """At 1 % of the mean cost, from a matrix."""

    params = (ITERATION_SIZES, ("gaussian_2", "random_costs"))
    param_names = ("n", "family")
    timeout = 3600
    repeats = None

    def setup(self, n, family):
        self.task = make_task(family, n)
        self.epsilon = 0.01 * self.task.mean_cost

    def per_iteration(self, call):
        return seconds_per_iteration(call, repeats=self.repeats or 3)


class Iteration(_Iteration):
    def track_seconds(self, n, family):
        problem = self.task.instance.problem()
        return self.per_iteration(
            lambda k: at_epsilon(problem, self.epsilon, tol=1e-15, max_iter=k).n_iter
        )

    track_seconds.unit = "seconds"


class IterationPot(_Iteration):
    def track_sinkhorn_log(self, n, family):
        return self.per_iteration(_pot_iterations("sinkhorn_log", self.task, self.epsilon))

    def track_sinkhorn(self, n, family):
        return self.per_iteration(_pot_iterations("sinkhorn_knopp", self.task, self.epsilon))

    track_sinkhorn_log.unit = track_sinkhorn.unit = "seconds"


class AtEpsilon:
    params = (SIZES, FAMILIES, PARTS)
    param_names = ("n", "family", "epsilon")
    timeout = 3600

    def setup(self, n, family, epsilon):
        task = make_task(family, n)
        self.problem = task.instance.problem()
        self.epsilon = epsilon * task.mean_cost

    def solve(self):
        return at_epsilon(self.problem, self.epsilon)

    def time_solve(self, n, family, epsilon):
        self.solve()

    def peakmem_solve(self, n, family, epsilon):
        self.solve()

    def track_gap(self, n, family, epsilon):
        return self.solve().relative_gap

    def track_iterations(self, n, family, epsilon):
        return self.solve().n_iter

    def track_accuracy(self, n, family, epsilon):
        return self.solve().certificate.marginal_error


class _Reached:
    """What `reach` found, for every peer that is installed."""

    def setup(self, found, *case):
        if case not in found:
            raise NotImplementedError

    def track_seconds(self, found, *case):
        return found[case].seconds

    def track_accuracy(self, found, *case):
        return found[case].measured

    def track_iterations(self, found, *case):
        return found[case].n_iter

    track_seconds.unit = "seconds"


class AtEpsilonPeers(_Reached):
    params = (SIZES, FAMILIES, PARTS, tuple(PEERS))
    param_names = ("n", "family", "epsilon", "peer")

    def setup_cache(self):
        return _reached(
            self.params,
            lambda task, part, name: reach(
                PEERS[name], task, [part * task.mean_cost], TOL, cap=CAP
            ),
        )

    setup_cache.timeout = TIMEOUT


class ToGap:
    """From points, to a gap that is proved."""

    params = (GAP_SIZES, GAP_FAMILIES, ("auto", "sinkhorn"))
    param_names = ("n", "family", "method")
    timeout = 3600

    def setup(self, n, family, method):
        self.clouds = make_points(family, n)

    def time_solve(self, n, family, method):
        to_gap(self.clouds.problem(), method)

    def peakmem_solve(self, n, family, method):
        to_gap(self.clouds.problem(), method)

    def track_gap(self, n, family, method):
        return to_gap(self.clouds.problem(), method).relative_gap


class ToGapPot:
    """POT has it exactly, with the distance matrix that it makes itself."""

    params = (GAP_SIZES, GAP_FAMILIES)
    param_names = ("n", "family")
    timeout = 3600

    def setup(self, n, family):
        peers.load_pot()
        self.clouds = make_points(family, n)

    def time_solve(self, n, family):
        peers.pot_dist_emd2(self.clouds)

    def peakmem_solve(self, n, family):
        peers.pot_dist_emd2(self.clouds)

    def track_gap(self, n, family):
        return peers.pot_certificate(self.clouds, peers.pot_dist_emd2).relative_gap


class ToGapPeers(_Reached):
    """By the largest epsilon that proves it; the matrix is a gift."""

    params = (GAP_SIZES, GAP_FAMILIES, tuple(PEERS))
    param_names = ("n", "family", "peer")

    def setup_cache(self):
        return _reached(self.params, lambda task, name: reach_gap(PEERS[name], task, CAP))

    setup_cache.timeout = TIMEOUT


def reach_gap(peer: Peer, task: Task, cap: float) -> Any:
    """Find the largest epsilon, and the loosest setting there, that proves the gap."""
    epsilons = [part * task.mean_cost for part in GAP_PARTS]
    # GeomLoss's settings are no tolerances.
    settings = GAP_SETTINGS if max(GAP_SETTINGS) in peer.settings else None
    return reach(peer, task, epsilons, GAP, certified_gap, cap, settings)


def _reached(params: Any, find: Callable[..., Any]) -> dict[tuple[Any, ...], Any]:
    """Return what is found in each case whose peer is installed."""
    found = {}
    for n in params[0]:
        for family in params[1]:
            task = make_task(family, n)
            for rest in itertools.product(*params[2:]):
                try:
                    found[n, family, *rest] = find(task, *rest)
                except NotImplementedError:
                    continue
    return found


class Large:
    """otdist alone, in a process of its own: no peer does without the matrix."""

    params = (LARGE_SIZES, LARGE)
    param_names = ("n", "family")

    def setup_cache(self):
        return {
            (n, family): measure_large(family, n)
            for n in self.params[0]
            for family in self.params[1]
        }

    setup_cache.timeout = TIMEOUT

    def track_seconds(self, measured, n, family):
        return measured[n, family].seconds

    def track_gap(self, measured, n, family):
        return measured[n, family].gap

    def track_peak_memory(self, measured, n, family):
        return measured[n, family].peak / 1e6

    track_seconds.unit = "seconds"
    track_peak_memory.unit = "MB"


def measure_large(family: str, n: int) -> fresh.Measured:
    """Solve at 1 % of the mean cost to a marginal error of 1e-4, in a fresh process."""
    clouds = make_points(family, n)
    epsilon = 0.01 * _sampled_mean(clouds.x, clouds.y, clouds.cost_name)
    return fresh.measure(
        "points",
        family,
        n,
        method="sinkhorn",
        epsilon=epsilon,
        tol=1e-4,
        n_jobs=LARGE_JOBS,
    )


def _sampled_mean(x: FloatArray, y: FloatArray, cost_name: str) -> float:
    """Return the mean cost of the first points, which are as random as any."""
    return float(np.mean(cdist(x[:2000], y[:2000], cost_name)))
