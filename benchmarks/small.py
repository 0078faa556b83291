"""The time of one call on small histograms, where overhead counts."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment

from benchmarks import peers
from benchmarks.instances import gaussian_clouds
from otdist import emd

SIZES = (10, 50, 100, 300, 500)


class Small:
    params = (SIZES, ("uniform", "random"))
    param_names = ("n", "weights")
    repeats = None

    def setup(self, n, weights):
        rng = np.random.default_rng(n)
        self.instance = gaussian_clouds(rng, n, n, 2, weights)
        peers.warm_up()

    def emd(self):
        return emd(self.instance.a, self.instance.b, self.instance.cost)

    def time_emd(self, n, weights):
        self.emd()

    def peakmem_emd(self, n, weights):
        self.emd()

    def track_gap(self, n, weights):
        return peers.exact(self.instance).relative_gap


class Pot(Small):
    """POT, and how many times longer it takes in the same process."""

    def setup(self, n, weights):
        peers.load_pot()
        super().setup(n, weights)

    def time_emd(self, n, weights):
        peers.pot_emd2(self.instance)

    def peakmem_emd(self, n, weights):
        peers.pot_emd2(self.instance)

    def track_gap(self, n, weights):
        return peers.pot_certificate(self.instance).relative_gap

    def track_ratio_to_pot(self, n, weights):
        calls = [self.emd, lambda: peers.pot_emd2(self.instance)]
        ours, theirs = peers.medians(calls, self.repeats or max(5, 1000 // n))
        return theirs / ours

    track_ratio_to_pot.unit = "POT / otdist"


class Assignment:
    """SciPy's assignment solver, for uniform weights only."""

    params = (SIZES,)
    param_names = ("n",)

    def setup(self, n):
        self.cost = gaussian_clouds(np.random.default_rng(n), n, n, 2).cost

    def time_linear_sum_assignment(self, n):
        linear_sum_assignment(self.cost)

    def peakmem_linear_sum_assignment(self, n):
        linear_sum_assignment(self.cost)
