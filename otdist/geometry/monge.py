"""Minima over the rows of a Monge matrix, found without looking at all entries."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from otdist.typing import FloatArray, IntArray


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
