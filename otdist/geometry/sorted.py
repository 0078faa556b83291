"""Atoms that can be sorted, and minima over all pairs by looking at few of them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from otdist.geometry.protocol import Geometry
from otdist.runtime.interrupts import interruptible
from otdist.typing import FloatArray, IntArray


def ascending(points: FloatArray) -> IntArray:
    """Return the order that sorts points (n,), equal ones as they are."""
    order: IntArray = interruptible(len(points), np.argsort, points, kind="stable")
    return order


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Sorted(Geometry):
    """Numbers x (n,) and y (m,) that `by_x` and `by_y` sort, with c-transforms by sweeps."""

    x: FloatArray
    y: FloatArray
    by_x: IntArray
    by_y: IntArray
    p: float
    largest: float

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of atoms (n, m)."""
        return len(self.x), len(self.y)

    def has_equal_sides(self) -> bool:
        """Whether x and y are the same numbers in the same order."""
        return np.array_equal(self.x, self.y)

    def coincide(self, rows: IntArray, columns: IntArray) -> Any:
        """Return which of the listed pairs are at one place."""
        return self.x[rows] == self.y[columns]

    def transposed(self) -> Self:
        """Return the geometry with x and y exchanged."""
        return replace(self, x=self.y, y=self.x, by_x=self.by_y, by_y=self.by_x)

    def column_minimum(self, f: FloatArray) -> FloatArray:
        """Return ``min_i c[i, j] - f[i]`` in O((n + m) log n)."""
        g = np.empty(len(self.y))
        x, y = self.x[self.by_x], self.y[self.by_y]
        g[self.by_y] = self._minimum(x, f[self.by_x], y)
        return g

    def row_minimum(self, g: FloatArray) -> FloatArray:
        """Return ``min_j c[i, j] - g[j]`` in O((n + m) log m)."""
        return self.transposed().column_minimum(g)

    @abstractmethod
    def _minimum(self, x: FloatArray, f: FloatArray, y: FloatArray) -> FloatArray:
        """Return ``min_i c(x[i], y[j]) - f[i]`` for every j, x and y sorted."""


def monotone_minimum(
    cost: Callable[[IntArray, IntArray], FloatArray], f: FloatArray, m: int
) -> FloatArray:
    """Return ``min_i cost(i, j) - f[i]`` for all j < m, of costs with a Monge matrix.

    Divide and conquer over j: the minimising i never falls as j grows. The cost of
    sorted points is a Monge matrix when p >= 1, and subtracting f from its rows leaves
    it one (Aggarwal et al., 1987). One level halves the step between the j that are
    done, and scans O(n + m) pairs.
    """
    n = len(f)
    g = np.empty(m)
    best = np.empty(m, dtype=np.int64)
    step = 1 << max(m - 1, 0).bit_length()
    while step >= 1:
        j = np.arange(step - 1, m, 2 * step)
        if len(j):
            low = np.where(j - step >= 0, best[np.maximum(j - step, 0)], 0)
            high = np.where(j + step < m, best[np.minimum(j + step, m - 1)], n - 1)
            g[j], best[j] = _scan(cost, f, j, low, high)
        step //= 2
    return g


def _scan(
    cost: Callable[[IntArray, IntArray], FloatArray],
    f: FloatArray,
    columns: IntArray,
    low: IntArray,
    high: IntArray,
) -> tuple[FloatArray, IntArray]:
    """Return minimum and first minimiser over ``low <= i <= high`` of each column."""
    length = high - low + 1
    begin = np.cumsum(length) - length
    owner = np.repeat(np.arange(len(columns)), length)
    i = np.arange(int(length.sum())) + (low - begin)[owner]
    slack = cost(i, columns[owner]) - f[i]
    minimum = np.minimum.reduceat(slack, begin)
    hits = np.flatnonzero(slack == minimum[owner])
    first = hits[np.searchsorted(owner[hits], np.arange(len(columns)))]
    return minimum, i[first]
