"""Pixels of an image or a volume, with a cost that is a sum over the axes.

Passes over all pairs of N pixels then go through one axis after the other: sums and
minima over N * (sum of the sides) terms instead of N * N.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from otdist.geometry.lattice import lattice, unit_offsets
from otdist.geometry.metrics import known, rounding_of
from otdist.geometry.points import Points, cost_matrix
from otdist.geometry.protocol import Edges, Facts, Geometry
from otdist.runtime import blocks
from otdist.typing import FloatArray, IntArray


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Grid(Geometry):
    """All pixels on both sides, in C order, with cost ``metric(x, y) ** p``.

    Attributes
    ----------
    axes : tuple of ndarray
        Coordinates along each axis, read-only.
    metric, p
        A metric and an order at which it is separable (`NamedMetric`).
    largest : float
        The cost from corner to corner.
    """

    axes: tuple[FloatArray, ...]
    metric: str
    p: float
    largest: float

    @property
    def sides(self) -> tuple[int, ...]:
        """Numbers of pixels along the axes."""
        return tuple(len(axis) for axis in self.axes)

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of atoms (N, N)."""
        n = math.prod(self.sides)
        return n, n

    @property
    def facts(self) -> Facts:
        """Facts: sums and minima over all pairs go along the axes."""
        roundings, least = rounding_of(known(self.metric), len(self.axes), self.p)
        return Facts(
            is_metric=known(self.metric).is_metric and self.p == 1,
            same_atoms=True,
            is_separable=True,
            has_positions=True,
            is_positive=True,
            roundings=roundings,
            least=least,
        )

    def resolution(self) -> tuple[float, float] | None:
        """Return the distance by which two units in the last place move two pixels, and p."""
        corners = np.array([[axis[0] for axis in self.axes], [axis[-1] for axis in self.axes]])
        return Points(corners, corners, self.metric, self.p, self.largest).resolution()

    def coincide(self, rows: IntArray, columns: IntArray) -> Any:
        """Return which of the listed pairs are one pixel."""
        return rows == columns

    def edges(self, reach: int = 1) -> Edges | None:
        """Return the steps along the axes, for a sum of distances."""
        del reach
        if (self.metric, self.p) != ("cityblock", 1):
            return None
        tails, heads = lattice(self.axes, unit_offsets(len(self.axes)))
        return Edges(tails, heads, self.pairs(tails, heads))

    def equals(self, other: object) -> bool:
        """Whether the other is a grid of the same pixels with the same cost."""
        return (
            isinstance(other, Grid)
            and (self.metric, self.p, self.sides) == (other.metric, other.p, other.sides)
            and all(map(np.array_equal, self.axes, other.axes))
        )

    def axis_cost(self, k: int) -> FloatArray:
        """Return the symmetric matrix of costs along one axis."""
        axis = self.axes[k][:, None]
        blocks.require_memory(len(axis), len(axis))
        return cost_matrix(axis, axis, self.metric, self.p)

    def along_axes(
        self, values: FloatArray, step: Callable[[FloatArray, int], FloatArray]
    ) -> FloatArray:
        """Apply ``step(lines, k)`` to the lines (count, side) of one axis k after another.

        Each turn of the lines brings the axis before to the end; after all of them the
        order is as it was.
        """
        for k in reversed(range(len(self.axes))):
            lines = step(values.reshape(-1, len(self.axes[k])), k)
            values = np.ascontiguousarray(lines.T)
        return values.reshape(-1)

    def rows(self, start: int, stop: int) -> FloatArray:
        """Compute the costs of a block of rows."""
        places = np.unravel_index(np.arange(start, stop), self.sides)
        total = np.zeros((stop - start, *(1 for _ in self.axes)))
        for k, place in enumerate(places):
            sides = [1] * len(self.axes)
            sides[k] = -1
            total = total + self.axis_cost(k)[place].reshape(stop - start, *sides)
        return total.reshape(stop - start, -1)

    def pairs(self, rows: IntArray, columns: IntArray) -> FloatArray:
        """Compute the costs of the listed pairs."""
        each = np.arange(len(rows))
        return self.restrict(rows, columns).pairs(each, each)

    def restrict(self, rows: IntArray, columns: IntArray) -> Points:
        """Return the listed pixels as points."""
        x, y = self.points(rows), self.points(columns)
        return Points(x, y, self.metric, self.p, self.largest)

    def points(self, pixels: IntArray) -> FloatArray:
        """Return the coordinates (k, d) of pixels."""
        places = np.unravel_index(pixels, self.sides)
        pairs = zip(self.axes, places, strict=True)
        return np.stack([axis[place] for axis, place in pairs], axis=1)

    def column_minimum(self, f: FloatArray) -> FloatArray:
        """Return ``min_i c[i, j] - f[i]``, one axis after the other."""
        return self.along_axes(-f, self._smallest_sums)

    def row_minimum(self, g: FloatArray) -> FloatArray:
        """Return ``min_j c[i, j] - g[j]``: the cost is symmetric."""
        return self.column_minimum(g)

    def transposed(self) -> Grid:
        """Return the grid itself: the cost is symmetric."""
        return self

    def _smallest_sums(self, lines: FloatArray, k: int) -> FloatArray:
        """Return ``min_i lines[:, i] + c[i, j]``."""
        least = np.full(lines.shape, np.inf)
        height = max(1, blocks.BLOCK_ENTRIES // lines.shape[1])
        cost = self.axis_cost(k)
        for start in range(0, len(lines), height):
            part, low = lines[start : start + height], least[start : start + height]
            sums = np.empty_like(part)
            for i, row in enumerate(cost):
                np.minimum(low, np.add(part[:, i, None], row, out=sums), out=low)
        return least

    def derivative(self, rows: IntArray, columns: IntArray) -> FloatArray:
        """Return the gradient of the costs in the first pixel's position."""
        each = np.arange(len(rows))
        return self.restrict(rows, columns).derivative(each, each)

    def slopes(self, start: int, stop: int, mass: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return `Geometry.slopes`, as for points."""
        pixels = np.arange(self.shape[0])
        return self.restrict(pixels[start:stop], pixels).slopes(0, stop - start, mass)
