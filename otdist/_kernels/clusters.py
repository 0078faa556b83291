"""Orders points so that neighbours in the order are neighbours in space."""

import numpy as np
from numba import njit


@njit(cache=True, error_model="numpy", nogil=True)
def _select(values: np.ndarray, order: np.ndarray, k: int) -> None:
    """Reorder so that no value before place k is larger, and none behind smaller.

    Quickselect (Hoare, 1961) on ``values[order]``, around the median of three.
    """
    low, high = 0, order.size - 1
    while low < high:
        first, middle = values[order[low]], values[order[(low + high) // 2]]
        last = values[order[high]]
        pivot = max(min(first, middle), min(max(first, middle), last))
        i, j = low, high
        while i <= j:
            while values[order[i]] < pivot:
                i += 1
            while values[order[j]] > pivot:
                j -= 1
            if i <= j:
                order[i], order[j] = order[j], order[i]
                i += 1
                j -= 1
        if k <= j:
            high = j
        elif k >= i:
            low = i
        else:
            return


@njit(cache=True, error_model="numpy", nogil=True)
def kd_order(points: np.ndarray, depth: int, order: np.ndarray) -> None:
    """Order points (d, n) by `depth` halvings across their widest coordinate.

    `order` is ``0, 1, …`` on entry. Its range ``start … stop`` is split at
    ``(start + stop) // 2``.
    """
    d, n = points.shape
    for level in range(depth):
        for part in range(1 << level):
            # The same halves again and again, without a list of them.
            start, stop = 0, n
            for bit in range(level - 1, -1, -1):
                middle = (start + stop) // 2
                if (part >> bit) & 1:
                    start = middle
                else:
                    stop = middle
            inside = order[start:stop]
            if inside.size < 2:
                continue
            widest, width = 0, -1.0
            for k in range(d):
                low = high = points[k, inside[0]]
                for index in inside:
                    low = min(low, points[k, index])
                    high = max(high, points[k, index])
                if high - low > width:
                    widest, width = k, high - low
            _select(points[widest], inside, inside.size // 2)
