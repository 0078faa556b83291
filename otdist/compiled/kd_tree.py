"""Orders points so that neighbours in the order are neighbours in space."""

import numpy as np

from otdist.runtime.kernel_cache import njit

_FLAGS = {"cache": True, "error_model": "numpy", "nogil": True, "_nrt": False}
_INNER = {**_FLAGS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
kernel = njit(**_FLAGS)
inner = njit(**_INNER)

TILE = 64  # points that lie together in the order


@kernel
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


@inner
def group_of(n: int, depth: int, part: int) -> tuple[int, int]:
    """Return where a group begins and ends: one of ``2 ** depth``, by halving 0 … n."""
    start, stop = 0, n
    for bit in range(depth - 1, -1, -1):
        middle = (start + stop) // 2
        if (part >> bit) & 1:
            start = middle
        else:
            stop = middle
    return start, stop


@kernel
def kd_order(points: np.ndarray, depth: int, order: np.ndarray) -> None:
    """Order points (d, n) by `depth` halvings across their widest coordinate.

    `order` is ``0, 1, …`` on entry. Its range ``start … stop`` is split at
    ``(start + stop) // 2``.
    """
    d, n = points.shape
    for level in range(depth):
        for part in range(1 << level):
            start, stop = group_of(n, level, part)
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


@kernel
def spread(points: np.ndarray, order: np.ndarray, depth: int) -> float:
    """Return the variance within the groups as a part of the whole variance."""
    d, n = points.shape
    within = whole = 0.0
    for k in range(d):
        total = 0.0
        for i in range(n):
            total += points[k, i]
        for i in range(n):
            whole += (points[k, i] - total / n) ** 2
        for part in range(1 << depth):
            start, stop = group_of(n, depth, part)
            total = 0.0
            for place in range(start, stop):
                total += points[k, order[place]]
            for place in range(start, stop):
                within += (points[k, order[place]] - total / (stop - start)) ** 2
    return within / whole if whole > 0.0 else 0.0


@kernel
def central(
    points: np.ndarray,
    mass: np.ndarray,
    order: np.ndarray,
    depth: int,
    centre: np.ndarray,
    chosen: np.ndarray,
    total: np.ndarray,
) -> None:
    """Choose of each group the point nearest to its centre, and sum the masses.

    `centre`, of d places or more, is scratch; a group has at least one point.
    """
    d, n = points.shape
    for part in range(1 << depth):
        start, stop = group_of(n, depth, part)
        weight = mass[order[start]]
        for place in range(start + 1, stop):
            weight += mass[order[place]]
        total[part] = weight
        for k in range(d):
            centre[k] = 0.0
            for place in range(start, stop):
                index = order[place]
                centre[k] += points[k, index] * (mass[index] / weight)
        best = np.inf
        for place in range(start, stop):
            off = 0.0
            for k in range(d):
                off += (points[k, order[place]] - centre[k]) ** 2
            if off < best:
                best = off
                chosen[part] = order[place]
