"""The time of one call on small histograms, where overhead counts."""

from __future__ import annotations

from benchmarks import peers
from benchmarks.instances import SMALL, make

SIZES = (10, 50, 100, 300, 500)


def timings(n: int) -> int:
    """Return how many timings a median of such short calls takes."""
    return max(5, 1000 // n)


class _OnSmall:
    params = (SIZES, SMALL)
    param_names = ("n", "family")
    repeats = None

    def setup(self, n, family):
        self.instance = make(family, n)
        peers.warm_up()

    def ratio_to(self, peer, n):
        repeats = self.repeats or timings(n)
        return peers.compare(self.instance, repeats, peer, peers.otdist_emd).ratio


class Small(_OnSmall):
    def time_emd(self, n, family):
        peers.otdist_emd(self.instance)

    def peakmem_emd(self, n, family):
        peers.otdist_emd(self.instance)

    def track_gap(self, n, family):
        return peers.exact(self.instance).relative_gap


class Pot(_OnSmall):
    """POT, and how many times longer it takes in the same process."""

    def setup(self, n, family):
        peers.load_pot()
        super().setup(n, family)

    def time_emd(self, n, family):
        peers.pot_emd2(self.instance)

    def peakmem_emd(self, n, family):
        peers.pot_emd2(self.instance)

    def track_gap(self, n, family):
        return peers.pot_certificate(self.instance).relative_gap

    def track_ratio_to_pot(self, n, family):
        return self.ratio_to(peers.pot_emd2, n)

    track_ratio_to_pot.unit = "POT / otdist"


class Assignment(_OnSmall):
    """SciPy's assignment solver, for uniform weights only."""

    params = (SIZES, SMALL[:1])

    def time_linear_sum_assignment(self, n, family):
        peers.assignment(self.instance)

    def peakmem_linear_sum_assignment(self, n, family):
        peers.assignment(self.instance)

    def track_ratio_to_assignment(self, n, family):
        return self.ratio_to(peers.assignment, n)

    track_ratio_to_assignment.unit = "linear_sum_assignment / otdist"
