"""Costs ``|x - y| ** p`` on the real line, where c-transforms take no matrix."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from otdist.geometry.points import power
from otdist.runtime import blocks
from otdist.typing import FloatArray, IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """Numbers x (n,) and y (m,) with cost ``|x - y| ** p``, p >= 1 and finite.

    `by_x` and `by_y` sort them; everything on the line starts from there.
    """

    x: FloatArray
    y: FloatArray
    by_x: IntArray
    by_y: IntArray
    p: float
    largest: float

    @classmethod
    def of(cls, x: FloatArray, y: FloatArray, p: float, largest: float) -> Line:
        """Sort the points once, for whoever asks later."""
        by_x, by_y = np.argsort(x, kind="stable"), np.argsort(y, kind="stable")
        return cls(x, y, by_x, by_y, p, largest)

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of atoms (n, m)."""
        return len(self.x), len(self.y)

    def rows(self, start: int, stop: int) -> FloatArray:
        """Compute the costs of a block of rows."""
        return power(np.abs(self.x[start:stop, None] - self.y), self.p)

    def pairs(self, rows: IntArray, columns: IntArray) -> FloatArray:
        """Compute the costs of the listed pairs."""
        return power(np.abs(self.x[rows] - self.y[columns]), self.p)

    def dense(self) -> FloatArray:
        """Compute the whole matrix; `InputError` if it cannot fit in memory."""
        return blocks.dense(self)

    def restrict(self, rows: IntArray, columns: IntArray) -> Line:
        """Return the geometry of the listed points."""
        return Line.of(self.x[rows], self.y[columns], self.p, self.largest)

    def column_minimum(self, f: FloatArray) -> FloatArray:
        """Return ``min_i |x[i] - y[j]| ** p - f[i]`` in O((n + m) log n)."""
        g = np.empty(len(self.y))
        x, y = self.x[self.by_x], self.y[self.by_y]
        g[self.by_y] = _minimum(x, f[self.by_x], y, self.p)
        return g

    def row_minimum(self, g: FloatArray) -> FloatArray:
        """Return ``min_j |x[i] - y[j]| ** p - g[j]`` in O((n + m) log m)."""
        f = np.empty(len(self.x))
        x, y = self.x[self.by_x], self.y[self.by_y]
        f[self.by_x] = _minimum(y, g[self.by_y], x, self.p)
        return f

    def derivative(self, rows: IntArray, columns: IntArray) -> FloatArray:
        """Return the gradient (k, 1) of the costs in the first point."""
        difference = self.x[rows] - self.y[columns]
        slope = self.p * np.abs(difference) ** (self.p - 1) * np.sign(difference)
        return slope[:, None]


def _minimum(x: FloatArray, f: FloatArray, y: FloatArray, p: float) -> FloatArray:
    """Return ``min_i |x[i] - y[j]| ** p - f[i]`` for every j, x and y sorted."""
    if p == 1:
        return _lipschitz_minimum(x, f, y)
    return monotone_minimum(lambda i, j: np.abs(x[i] - y[j]) ** p, f, len(y))


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
