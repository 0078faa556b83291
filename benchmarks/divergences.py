"""Divergences of histograms on one support: otdist beside SciPy.

otdist sums without cancellation; the error tracked is that of nearly equal
histograms, where the plain formula loses its digits.
"""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
from scipy.spatial.distance import jensenshannon, pdist
from scipy.special import rel_entr
from scipy.stats import entropy

from benchmarks.line import ratio
from otdist import (
    chi2_divergence,
    hellinger_distance,
    js_distance,
    js_divergence,
    kl_divergence,
    pairwise,
    renyi_divergence,
    total_variation,
)


class _OnHistograms:
    params = ((10**2, 10**4, 10**6), ("unrelated", "nearly_equal"))
    param_names = ("n", "histograms")

    def setup(self, n, histograms):
        rng = np.random.default_rng(n)
        p = rng.random(n) + 0.1
        q = rng.random(n) + 0.1
        if histograms == "nearly_equal":
            q = p * (1 + 1e-6 * rng.standard_normal(n))
        self.p, self.q = p / p.sum(), q / q.sum()

    def kl(self):
        return kl_divergence(self.p, self.q)

    def js(self):
        return js_divergence(self.p, self.q)

    def time_kl(self, n, histograms):
        self.kl()

    def time_js(self, n, histograms):
        self.js()

    def peakmem_kl(self, n, histograms):
        self.kl()

    def peakmem_js(self, n, histograms):
        self.js()

    def track_kl_error(self, n, histograms):
        p, q = self._exact()
        return abs(self.kl() / self._kl(p, q) - 1)

    def track_js_error(self, n, histograms):
        p, q = self._exact()
        middle = (p + q) / 2
        wanted = (self._kl(p, middle) + self._kl(q, middle)) / 2
        return abs(self.js() / wanted - 1)

    track_kl_error.unit = track_js_error.unit = "relative"

    def _exact(self):
        p, q = self.p.astype(np.longdouble), self.q.astype(np.longdouble)
        return p / p.sum(), q / q.sum()

    @staticmethod
    def _kl(p, q):
        """Sum terms that are all >= 0, in extended precision where there is one."""
        ratio = (q - p) / p
        return float((p * (ratio - np.log1p(ratio))).sum())


class Divergences(_OnHistograms):
    pass


class Scipy(_OnHistograms):
    def kl(self):
        return float(rel_entr(self.p, self.q).sum())

    def js(self):
        return float(jensenshannon(self.p, self.q) ** 2)


class _OnManyHistograms:
    """10**6 histograms of 10 bins, or 10 of 10**6: SciPy takes sums of `rel_entr`.

    The first, smaller shape is what a test runs.
    """

    params = (((3 * 10**4, 10), (10**6, 10), (10, 10**6)),)
    param_names = ("shape",)
    timeout = 300

    def setup(self, shape):
        rng = np.random.default_rng(0)
        p, q = rng.random((2, *shape)) + 0.1
        self.p = p / p.sum(axis=-1, keepdims=True)
        self.q = q / q.sum(axis=-1, keepdims=True)
        self.kl()  # compiles

    def time_kl(self, shape):
        self.kl()

    def time_js(self, shape):
        self.js()


class ManyHistograms(_OnManyHistograms):
    def kl(self):
        return kl_divergence(self.p, self.q)

    def js(self):
        return js_divergence(self.p, self.q)

    def time_total_variation(self, shape):
        total_variation(self.p, self.q)

    def time_hellinger(self, shape):
        hellinger_distance(self.p, self.q)

    def time_chi2(self, shape):
        chi2_divergence(self.p, self.q)

    def time_renyi(self, shape):
        renyi_divergence(self.p, self.q, 0.5)


class ManyHistogramsScipy(_OnManyHistograms):
    def kl(self):
        return rel_entr(self.p, self.q).sum(axis=-1)

    def js(self):
        middle = (self.p + self.q) / 2
        total = rel_entr(self.p, middle) + rel_entr(self.q, middle)
        return total.sum(axis=-1) / 2


class Ratio:
    """SciPy / otdist, in one process: the calls that users make, from ten bins on."""

    params = (((10,), (100,), (1000,), (10**5,), (1000, 50)),)
    param_names = ("shape",)

    def setup(self, shape):
        p, q = np.random.default_rng(0).random((2, *shape)) + 0.1
        self.p = p / p.sum(axis=-1, keepdims=True)
        self.q = q / q.sum(axis=-1, keepdims=True)

    def track_kl(self, shape):
        return ratio(
            lambda: kl_divergence(self.p, self.q), lambda: entropy(self.p, self.q, axis=-1)
        )

    def track_js_distance(self, shape):
        return ratio(
            lambda: js_distance(self.p, self.q), lambda: jensenshannon(self.p, self.q, axis=-1)
        )

    track_kl.unit = track_js_distance.unit = "SciPy / otdist"


class AllPairs:
    """JS distances of all pairs of rows, beside SciPy."""

    params = (((60, 32), (300, 256)),)
    param_names = ("shape",)

    def setup(self, shape):
        self.rows = np.random.default_rng(0).dirichlet(np.ones(shape[1]), shape[0])

    def ours(self):
        return pairwise(self.rows, distance="js_distance")

    def time_pairwise(self, shape):
        self.ours()

    def track_scipy(self, shape):
        return ratio(self.ours, lambda: pdist(self.rows, "jensenshannon"))

    track_scipy.unit = "SciPy / otdist"


if find_spec("fastjsd"):

    class AllPairsFastjsd(AllPairs):
        """The same beside fastjsd, which is faster with numba."""

        def track_fastjsd(self, shape):
            from fastjsd import jsd_matrix

            return ratio(self.ours, lambda: jsd_matrix(self.rows))

        track_fastjsd.unit = "fastjsd / otdist"
