"""Exact transport between points, of which otdist makes no matrix, beside POT.

Wanted: 15 times as fast as `emd2_lazy`; 10^5 points proved within a minute, or three
where the clouds are Gaussian, and within 400 MB; time that grows no faster than
n^1.6. Points in many coordinates go through their matrix: 8 times as fast as `dist`
and `emd2`.
"""

from __future__ import annotations

import numpy as np

from benchmarks import fresh, peers
from benchmarks.instances import IMAGES, LARGE, POINTS, make_points, sizes
from benchmarks.ratios import TIMEOUT, _OverFamilies, _PerFamily, measure

SIZES = sizes(250, 1000, 4000, 10000)
IMAGE_SIZES = sizes(250, 1000, 10000)
LARGE_SIZES = sizes(250, 10**4, 10**5)
LARGE_JOBS = 2


class _OnPoints:
    params = (SIZES, POINTS)
    param_names = ("n", "family")
    timeout = 3600

    def setup(self, n, family):
        self.clouds = make_points(family, n)
        peers.warm_up()


class NetworkSimplex(_OnPoints):
    def time_solve(self, n, family):
        peers.exact(self.clouds)

    def peakmem_solve(self, n, family):
        peers.exact(self.clouds)

    def track_gap(self, n, family):
        return peers.exact(self.clouds).relative_gap


class PotLazy(_OnPoints):
    def setup(self, n, family):
        peers.load_pot()
        super().setup(n, family)

    def time_emd2_lazy(self, n, family):
        peers.pot_emd2_lazy(self.clouds)

    def peakmem_emd2_lazy(self, n, family):
        peers.pot_emd2_lazy(self.clouds)

    def track_gap(self, n, family):
        return peers.pot_certificate(self.clouds, peers.pot_emd2_lazy).relative_gap


class _SideBySide:
    repeats = None

    def setup_cache(self):
        return measure(self.params[0], POINTS, make_points, peers.pot_emd2_lazy, self.repeats)

    setup_cache.timeout = TIMEOUT


class RatioToPotLazy(_SideBySide, _PerFamily):
    params = (SIZES, POINTS)


class RatioToPotLazyOverFamilies(_SideBySide, _OverFamilies):
    params = (SIZES,)


class Images(NetworkSimplex):
    params = (IMAGE_SIZES, IMAGES)


class ImagesPot(_OnPoints):
    """POT, with the distance matrix that it makes itself."""

    params = (IMAGE_SIZES, IMAGES)

    def setup(self, n, family):
        peers.load_pot()
        super().setup(n, family)

    def time_dist_emd2(self, n, family):
        peers.pot_dist_emd2(self.clouds)

    def peakmem_dist_emd2(self, n, family):
        peers.pot_dist_emd2(self.clouds)

    def track_gap(self, n, family):
        return peers.pot_certificate(self.clouds, peers.pot_dist_emd2).relative_gap


class ImagesRatioToPot(_PerFamily):
    params = (IMAGE_SIZES, IMAGES)
    repeats = None

    def setup_cache(self):
        return measure(self.params[0], IMAGES, make_points, peers.pot_dist_emd2, self.repeats)

    setup_cache.timeout = TIMEOUT


class Large:
    """Without a peer: none solves 10^5 points. On two threads, one solve each."""

    params = (LARGE_SIZES, LARGE)
    param_names = ("n", "family")

    def setup_cache(self):
        return {
            (n, family): fresh.measure("points", family, n, n_jobs=LARGE_JOBS)
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


class Growth:
    """The exponent of n that time grows with, fitted over the two decades up to n."""

    params = (sizes(1000, 10**4, 10**5), ("uniform_2", "gaussian_2"))
    param_names = ("n", "family")
    timeout = TIMEOUT
    repeats = None

    def track_exponent(self, n, family):
        peers.warm_up()
        ladder = [round(size) for size in np.geomspace(n / 100, n, 5)]
        seconds = []
        for size in ladder:
            clouds = make_points(family, size)
            repeats = self.repeats or peers.rounds(size)
            seconds += peers.medians([lambda c=clouds: peers.exact(c)], repeats)
        return np.polyfit(np.log(ladder), np.log(seconds), 1)[0]

    track_exponent.unit = "log time / log n"
