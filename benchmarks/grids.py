"""Transport of images and volumes: entropic by axes, and exact by flows.

Wanted: 512 by 512 pixels, and 64 by 64 by 64, with a certificate within a minute at an
epsilon of 1 % of the mean cost, in memory proportional to the pixels. POT's sinkhorn_log,
which takes the cost matrix, is beside it where that is small.

Of flows with the L1 metric 128 by 128 pixels are wanted within 1 s, 512 by 512 within
60 s; with coprime steps Euclidean W1 is known within 1.3 %.
"""

from __future__ import annotations

import math
import os

import numpy as np

from benchmarks import peers
from benchmarks.instances import dotmark_images, sizes, smooth_images
from otdist import Problem, certify, solve

TOL = 1e-4
EPSILON = 0.01  # of the mean cost: the default
COSTS = {"L1": ("cityblock", 1), "squared": ("euclidean", 2)}
ALL = ((16, 16), (8, 8, 8), (64, 64), (256, 256), (512, 512), (64, 64, 64))
SIDES = tuple("x".join(map(str, sides)) for sides in ALL if sizes(math.prod(sides)) != ())


DOTMARK = "OTDIST_DOTMARK" in os.environ
METRICS = {"L1": "cityblock", "L∞": "chebyshev", "coprime": "euclidean"}


def flow_problem(side: int, cost: str, images: str) -> Problem:
    """Return the problem that flows solve, p = 1."""
    if images == "noise":
        A, B = np.random.default_rng(side).random((2, side, side))
    else:
        clouds = dotmark_images(images, side)
        A, B = clouds.a.reshape(side, side), clouds.b.reshape(side, side)
    return Problem.on_grid(A, B, metric=METRICS[cost], normalize=True)


class _OnGrid:
    params = (SIDES, tuple(COSTS))
    param_names = ("sides", "cost")
    timeout = 600

    def setup(self, sides, cost):
        metric, p = COSTS[cost]
        images = smooth_images(tuple(map(int, sides.split("x"))))
        self.problem = Problem.on_grid(*images, metric=metric, p=p)


class Grid(_OnGrid):
    def setup(self, sides, cost):
        super().setup("8x8", cost)
        self.solve()  # compiles
        super().setup(sides, cost)

    def solve(self):
        return solve(self.problem, method="sinkhorn", tol=TOL)

    def time_solve(self, sides, cost):
        self.solve()

    def peakmem_solve(self, sides, cost):
        self.solve()

    def track_gap(self, sides, cost):
        return self.solve().relative_gap

    def track_iterations(self, sides, cost):
        return self.solve().n_iter


class Pot(_OnGrid):
    params = (SIDES[:2], tuple(COSTS))

    def setup(self, sides, cost):
        self.pot = peers.load_pot()
        super().setup(sides, cost)
        self.cost = self.problem.geometry.dense()
        mean = float(self.problem.a @ self.cost @ self.problem.b)
        self.epsilon = EPSILON * mean / self.problem.mass**2

    def solve(self):
        return self.pot.bregman.sinkhorn_log(
            self.problem.a,
            self.problem.b,
            self.cost,
            self.epsilon,
            numItermax=100_000,
            stopThr=TOL,
            log=True,
        )

    def time_sinkhorn_log(self, sides, cost):
        self.solve()

    def peakmem_sinkhorn_log(self, sides, cost):
        self.solve()

    def track_gap(self, sides, cost):
        plan, log = self.solve()
        return certify(self.problem, plan, self.epsilon * log["log_u"]).relative_gap


class Flow:
    """Noise on all pixels, and an image pair of DOTmark where its images are."""

    params = (
        tuple(side for side in (16, 64, 128, 256, 512) if sizes(side**2) != ()),
        ("L1", "L∞", "coprime"),
        ("noise", *(("ClassicImages", "Shapes") if DOTMARK else ())),
    )
    param_names = ("side", "cost", "images")
    timeout = 600

    def setup(self, side, cost, images):
        self.method = "coprime" if cost == "coprime" else "auto"
        self.problem = flow_problem(8, cost, "noise")
        self.solve()  # compiles
        self.problem = flow_problem(side, cost, images)

    def solve(self):
        return solve(self.problem, method=self.method)

    def time_solve(self, side, cost, images):
        self.solve()

    def peakmem_solve(self, side, cost, images):
        self.solve()

    def track_gap(self, side, cost, images):
        return self.solve().relative_gap
