"""Exact transport between dense histograms: otdist, POT and HiGHS.

Times are of the whole job: validation, solve, certificate.
"""

from __future__ import annotations

import statistics

from benchmarks import peers
from benchmarks.instances import FAMILIES, make, sizes

SIZES = sizes(250, 1000, 2000, 4000)


class _OnFamilies:
    params = (SIZES, FAMILIES)
    param_names = ("n", "family")
    timeout = 600

    def setup(self, n, family):
        self.instance = make(family, n)
        peers.warm_up()


class NetworkSimplex(_OnFamilies):
    def time_solve(self, n, family):
        peers.exact(self.instance)

    def peakmem_solve(self, n, family):
        peers.exact(self.instance)

    def track_gap(self, n, family):
        return peers.exact(self.instance).relative_gap


class Pot(_OnFamilies):
    def setup(self, n, family):
        peers.load_pot()
        super().setup(n, family)

    def time_emd2(self, n, family):
        peers.pot_emd2(self.instance)

    def peakmem_emd2(self, n, family):
        peers.pot_emd2(self.instance)

    def track_gap(self, n, family):
        return peers.pot_certificate(self.instance).relative_gap


class Highs(_OnFamilies):
    params = ((50,), FAMILIES)

    def time_solve(self, n, family):
        peers.exact(self.instance, "highs")

    def peakmem_solve(self, n, family):
        peers.exact(self.instance, "highs")

    def track_gap(self, n, family):
        return peers.exact(self.instance, "highs").relative_gap


class _SideBySide:
    """All families, measured once for the benchmarks below: POT beside otdist."""

    timeout = 3600
    repeats = None

    def setup_cache(self):
        peers.warm_up()
        ratios = {}
        for n in self.params[0]:
            for family in FAMILIES:
                try:
                    instance = make(family, n)
                    compared = peers.compare(instance, self.repeats or peers.rounds(n))
                except NotImplementedError:
                    continue
                ratios[n, family] = compared.ratio
        return ratios

    setup_cache.timeout = 3600


class RatioToPot(_SideBySide):
    """How many times longer POT takes, in the same process, one thread each."""

    params = (SIZES, FAMILIES)
    param_names = ("n", "family")

    def setup(self, ratios, n, family):
        if (n, family) not in ratios:
            raise NotImplementedError

    def track_ratio_to_pot(self, ratios, n, family):
        return ratios[n, family]

    track_ratio_to_pot.unit = "POT / otdist"


class RatioToPotOverFamilies(_SideBySide):
    params = (SIZES,)
    param_names = ("n",)

    def setup(self, ratios, n):
        self.ratios = [ratio for (size, _), ratio in ratios.items() if size == n]
        if not self.ratios:
            raise NotImplementedError

    def track_worst(self, ratios, n):
        return min(self.ratios)

    def track_geometric_mean(self, ratios, n):
        return statistics.geometric_mean(self.ratios)

    track_worst.unit = track_geometric_mean.unit = "POT / otdist"
