"""Two weighted samples, and the difference of a function's means on them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from otdist.typing import FloatArray, IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Points x (n, d), y (m, d) with probabilities a (n,), b (m,)."""

    x: FloatArray
    y: FloatArray
    a: FloatArray
    b: FloatArray

    @classmethod
    def of(cls, x: FloatArray, y: FloatArray, a: FloatArray, b: FloatArray) -> Sample:
        """Divide the weights of each sample by their sum."""
        return cls(x, y, a / a.sum(), b / b.sum())

    @property
    def size(self) -> int:
        """Number of points in the smaller of the two samples."""
        return min(len(self.x), len(self.y))

    def difference(self, on_x: FloatArray, on_y: FloatArray) -> float:
        """Return the mean of the values on x minus the mean of the values on y."""
        return math.fsum(np.concatenate([self.a * on_x, -self.b * on_y]))

    def standard_error(self, on_x: FloatArray, on_y: FloatArray) -> float:
        """Return the standard error of `difference`."""
        return math.hypot(_error(self.a, on_x), _error(self.b, on_y))

    def part(self, rows: IntArray, columns: IntArray) -> Sample:
        """Return the sample of the listed points."""
        return Sample.of(self.x[rows], self.y[columns], self.a[rows], self.b[columns])

    def first(self, n: int) -> Sample:
        """Return the first n points of each: a random part, as samples have a random order."""
        return self.part(np.arange(min(n, len(self.x))), np.arange(min(n, len(self.y))))


def _error(weights: FloatArray, values: FloatArray) -> float:
    """Return the standard error of a weighted mean; NaN for a single value."""
    n = len(values)
    if n < 2:
        return math.nan
    off = weights * (values - weights @ values)
    return math.sqrt(n / (n - 1) * math.fsum(off * off))
