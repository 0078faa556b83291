"""Costs ``|x - y| ** p`` on the real line, where c-transforms take no matrix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from otdist.geometry.metrics import power
from otdist.geometry.points import Points
from otdist.geometry.protocol import Facts
from otdist.geometry.sorted import Sorted, ascending, monotone_minimum
from otdist.typing import FloatArray, IntArray

if TYPE_CHECKING:
    from otdist.compiled.costs import Costs


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Line(Sorted):
    """Numbers x (n,) and y (m,) with cost ``|x - y| ** p``, p >= 1 and finite."""

    @classmethod
    def of(cls, x: FloatArray, y: FloatArray, p: float, largest: float) -> Line:
        """Return the geometry, with the orders that sort its points."""
        return cls(x, y, ascending(x), ascending(y), p, largest)

    @property
    def facts(self) -> Facts:
        """Facts: the sorted coupling is optimal."""
        return Facts(
            is_metric=self.p == 1,
            order=(self.by_x, self.by_y),
            is_line=True,
            is_compiled=True,
            has_positions=True,
            is_positive=True,
            roundings=0.5 if self.p == 1 else 0.5 * self.p + 1,
            least=0.0 if self.p == 1 else 2.0**-1050,
        )

    def resolution(self) -> tuple[float, float]:
        """Return two units in the last place, and p."""
        largest = max(float(np.abs(self.x).max()), float(np.abs(self.y).max()))
        return 2 * float(np.finfo(float).eps) * largest, self.p

    def rows(self, start: int, stop: int) -> FloatArray:
        """Compute the costs of a block of rows."""
        return power(np.abs(self.x[start:stop, None] - self.y), self.p)

    def pairs(self, rows: IntArray, columns: IntArray) -> FloatArray:
        """Compute the costs of the listed pairs."""
        return power(np.abs(self.x[rows] - self.y[columns]), self.p)

    def tabulated(self) -> Line:
        """Return the geometry itself: its costs are fast to compute."""
        return self

    def costs(self) -> Costs:
        """Return the points as kernels of solvers read them."""
        from otdist.compiled.costs import EUCLIDEAN, from_points

        return from_points(self.x[None], self.y[None], EUCLIDEAN, self.p)

    def as_points(self) -> Points:
        """Return points with one coordinate; this metric takes no squares."""
        return Points(self.x[:, None], self.y[:, None], "cityblock", self.p, self.largest)

    def restrict(self, rows: IntArray, columns: IntArray) -> Line:
        """Return the geometry of the listed points."""
        return Line.of(self.x[rows], self.y[columns], self.p, self.largest)

    def derivative(self, rows: IntArray, columns: IntArray) -> FloatArray:
        """Return the gradient (k, 1) of the costs in the first point."""
        return self.as_points().derivative(rows, columns)

    def slopes(self, start: int, stop: int, mass: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return `Geometry.slopes`, as for points with one coordinate."""
        return self.as_points().slopes(start, stop, mass)

    def _minimum(self, x: FloatArray, f: FloatArray, y: FloatArray) -> FloatArray:
        if self.p == 1:
            return _lipschitz_minimum(x, f, y)
        return monotone_minimum(lambda i, j: np.abs(x[i] - y[j]) ** self.p, f, len(y))


def _lipschitz_minimum(x: FloatArray, f: FloatArray, y: FloatArray) -> FloatArray:
    """Sweep once from each side: on either, ``|x - y|`` splits into a sum.

    Coordinates are taken from the middle of the data, so that an offset common
    to all points costs no digits.
    """
    middle = 0.5 * x[0] + 0.5 * x[-1]
    x, y = x - middle, y - middle
    n_left = np.searchsorted(x, y, side="right")
    from_left = np.concatenate([[np.inf], np.minimum.accumulate(-x - f)])
    from_right = np.minimum.accumulate((x - f)[::-1])[::-1]
    from_right = np.concatenate([from_right, [np.inf]])
    return np.minimum(from_left[n_left] + y, from_right[n_left] - y)
