"""Divergences of histograms on one support: otdist beside SciPy.

otdist sums without cancellation; the error tracked is that of nearly equal
histograms, where the plain formula loses its digits.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial.distance import jensenshannon
from scipy.special import rel_entr

from otdist import js_divergence, kl_divergence


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
