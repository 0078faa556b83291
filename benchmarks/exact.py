"""Exact transport between dense histograms: otdist, POT and HiGHS.

Times are of the whole job: validation, solve, certificate.
"""

from __future__ import annotations

from benchmarks import peers
from benchmarks.instances import FAMILIES, make, sizes
from benchmarks.ratios import TIMEOUT, _OverFamilies, _PerFamily, measure

SIZES = sizes(250, 1000, 2000, 4000, 8000, 10000)


class _OnFamilies:
    params = (SIZES, FAMILIES)
    param_names = ("n", "family")
    timeout = 3600

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

    repeats = None

    def setup_cache(self):
        return measure(self.params[0], FAMILIES, make, peers.pot_emd2, self.repeats)

    setup_cache.timeout = TIMEOUT


class RatioToPot(_SideBySide, _PerFamily):
    params = (SIZES, FAMILIES)


class RatioToPotOverFamilies(_SideBySide, _OverFamilies):
    params = (SIZES,)
