"""Exact W1 and W2 of images and volumes, beside POT with the matrix of all pixels.

Wanted: W1 of 32 by 32 and of 64 by 64 pixels 30 times as fast as POT's `emd2`, which
gets full histograms and its matrix for nothing; 128 by 128 within 10 s and 256 by 256
within 120 s, on two threads; all proved.
"""

from __future__ import annotations

from benchmarks import peers
from benchmarks.instances import (
    PICTURES,
    SQUARED_PICTURES,
    VOLUMES,
    make_images,
    sizes,
)
from benchmarks.ratios import TIMEOUT, _OverFamilies, _PerFamily, measure
from otdist import Result, solve

PIXELS = sizes(16**2, 32**2, 64**2, 128**2, 256**2)
VOXELS = sizes(8**3, 16**3, 32**3)
# POT takes a minute and 1 GB for 64 by 64 pixels already.
SHARED = sizes(16**2, 32**2, 64**2)
_JOBS = 2
_ON_TWO_THREADS = 128**2


class Exact:
    """Problem, solve and certificate; two threads from 128 by 128 pixels on."""

    params = (PIXELS, PICTURES + SQUARED_PICTURES)
    param_names = ("n", "family")
    timeout = 3600

    def setup(self, n, family):
        peers.exact(make_images("white_noise_" + family[-2:], 50**2))  # compiles
        self.images = make_images(family, n)
        self.n_jobs = _JOBS if n >= _ON_TWO_THREADS else 1

    def solve(self) -> Result:
        return solve(self.images.problem(), n_jobs=self.n_jobs)

    def time_solve(self, n, family):
        self.solve()

    def peakmem_solve(self, n, family):
        self.solve()

    def track_gap(self, n, family):
        return self.solve().relative_gap


class ExactVolumes(Exact):
    params = (VOXELS, VOLUMES)


class Pot:
    params = (SHARED, PICTURES + SQUARED_PICTURES)
    param_names = ("n", "family")
    timeout = 3600

    def setup(self, n, family):
        peers.load_pot()
        self.images = make_images(family, n)
        assert self.images.cost is not None  # made here

    def time_emd2(self, n, family):
        peers.pot_emd2(self.images)

    def track_gap(self, n, family):
        return peers.pot_certificate(self.images).relative_gap


class _SideBySide:
    repeats = None

    def setup_cache(self):
        return measure(self.params[0], PICTURES, make_images, peers.pot_emd2, self.repeats)

    setup_cache.timeout = TIMEOUT


class RatioToPot(_SideBySide, _PerFamily):
    params = (SHARED, PICTURES)


class RatioToPotOverFamilies(_SideBySide, _OverFamilies):
    params = (SHARED,)


class SquaredRatioToPot(_PerFamily):
    params = (SHARED, SQUARED_PICTURES)
    repeats = None

    def setup_cache(self):
        return measure(self.params[0], SQUARED_PICTURES, make_images, peers.pot_emd2, self.repeats)

    setup_cache.timeout = TIMEOUT
