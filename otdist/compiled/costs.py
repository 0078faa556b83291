"""The ground cost as kernels read it, and groups of points that lie together.

Costs come from a matrix, or are computed from coordinates. A line is the row of one source or
the column of one sink. Its slacks, which are its costs minus the potentials of the other side,
are written to a buffer that stays in the processor's cache; coordinates are never made into a
matrix. Points that lie together have similar costs: solvers group points by halving them
repeatedly across their widest coordinate (a kd-tree).
"""

from typing import NamedTuple

import numpy as np

from otdist.compiled.simd import smaller
from otdist.runtime.kernel_cache import njit

_FLAGS = {"cache": True, "error_model": "numpy", "nogil": True, "_nrt": False}
_INNER = {**_FLAGS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
kernel = njit(**_FLAGS)
inner = njit(**_INNER)
# With one call in a kernel: compiled within it, instead of by itself and then again.
inlined = njit(**_FLAGS, inline="always")
finite_inner = njit(**_INNER, fastmath={"nnan", "nsz"})
fusing_inner = njit(**_INNER, fastmath={"contract", "nsz"})

# Where costs come from: a matrix, or a metric of points, whose codes are those of
# `geometry.metrics`. A code that is not listed must not reach a kernel.
MATRIX = -1
EUCLIDEAN = 2
SQUARED = 4
CITYBLOCK = 1
CHEBYSHEV = 0
METRIC_CODES = (EUCLIDEAN, SQUARED, CITYBLOCK, CHEBYSHEV)

TILE = 64  # points that solvers treat together, where they are in the order of a kd-tree


class Costs(NamedTuple):
    """A ground cost as the kernels read it."""

    matrix: np.ndarray  # (n, m) float64, or (0, 0)
    x: np.ndarray  # (d, n) float64, one coordinate after the other
    y: np.ndarray  # (d, m) float64
    kind: int
    p: float


def from_points(x: np.ndarray, y: np.ndarray, kind: int, p: float) -> Costs:
    """Return the cost ``metric(x, y) ** p`` of points x (d, n) and y (d, m)."""
    return Costs(_NO_MATRIX, read_only(x), read_only(y), kind, p)


def from_matrix(matrix: np.ndarray) -> Costs:
    """Return the costs of a read-only matrix (n, m)."""
    n, m = matrix.shape
    return Costs(matrix, read_only(np.empty((0, n))), read_only(np.empty((0, m))), MATRIX, 1.0)


def rows_of(costs: Costs, start: int, stop: int) -> np.ndarray:
    """Return the costs of a block of rows."""
    if costs.kind == MATRIX:
        return costs.matrix[start:stop]
    m = costs.y.shape[1]
    block = np.empty((stop - start, m))
    fill_rows(costs, start, np.zeros(m), block)
    return block


def restricted(costs: Costs, rows: np.ndarray, columns: np.ndarray) -> Costs:
    """Return the coordinates of the listed points only."""
    x, y = read_only(costs.x[:, rows]), read_only(costs.y[:, columns])
    return costs._replace(x=x, y=y)


def read_only(values: np.ndarray) -> np.ndarray:
    """Return a contiguous read-only array: kernels are compiled for this one type."""
    values = np.ascontiguousarray(values).view()
    values.flags.writeable = False
    return values


_NO_MATRIX = read_only(np.empty((0, 0)))


class Found(NamedTuple):
    """Arcs found on each line of one direction: `number` of `width` places used."""

    end: np.ndarray  # (lines, width) uint32, the atom on the other side
    number: np.ndarray  # (lines,) uint32


@finite_inner
def minimum(values: np.ndarray) -> float:
    """Return the smallest value, inf for an empty array."""
    least = np.inf
    for k in range(values.size):
        least = smaller(values[k], least)
    return least


@inner
def n_below(values: np.ndarray, level: float) -> int:
    """Return how many values are below the level."""
    n = 0
    for k in range(values.size):
        n += values[k] < level
    return n


@fusing_inner
def _squares(point: np.ndarray, others: np.ndarray, start: int, out: np.ndarray) -> None:
    """Write squared Euclidean distances, from differences of coordinates."""
    d, stop = point.size, start + out.size
    if d == 1:
        x0, y0 = point[0], others[0][start:stop]
        for j in range(out.size):
            out[j] = (x0 - y0[j]) * (x0 - y0[j])
        return
    x0, x1 = point[0], point[1]
    y0, y1 = others[0][start:stop], others[1][start:stop]
    if d == 2:
        for j in range(out.size):
            d0, d1 = x0 - y0[j], x1 - y1[j]
            out[j] = d0 * d0 + d1 * d1
        return
    x2, y2 = point[2], others[2][start:stop]
    for j in range(out.size):
        d0, d1, d2 = x0 - y0[j], x1 - y1[j], x2 - y2[j]
        out[j] = d0 * d0 + d1 * d1 + d2 * d2
    # Four coordinates at a time, so that fewer sums pass through memory.
    k = 3
    while k + 4 <= d:
        x0, x1, x2, x3 = point[k], point[k + 1], point[k + 2], point[k + 3]
        y0, y1 = others[k][start:stop], others[k + 1][start:stop]
        y2, y3 = others[k + 2][start:stop], others[k + 3][start:stop]
        for j in range(out.size):
            d0, d1, d2, d3 = x0 - y0[j], x1 - y1[j], x2 - y2[j], x3 - y3[j]
            # One after the other: each product and sum is one instruction.
            out[j] = (((out[j] + d0 * d0) + d1 * d1) + d2 * d2) + d3 * d3
        k += 4
    while k < d:
        x0, y0 = point[k], others[k][start:stop]
        for j in range(out.size):
            out[j] += (x0 - y0[j]) * (x0 - y0[j])
        k += 1


@inlined
def _distances(
    point: np.ndarray, others: np.ndarray, start: int, kind: int, out: np.ndarray
) -> None:
    """Write distances, squared for the Euclidean ones."""
    if kind in (EUCLIDEAN, SQUARED):
        _squares(point, others, start, out)
        return
    stop = start + out.size
    out[:] = 0.0
    for k in range(point.size):
        x_k, y_k = point[k], others[k][start:stop]
        if kind == CITYBLOCK:
            for j in range(out.size):
                out[j] += abs(x_k - y_k[j])
        else:
            for j in range(out.size):
                distance = abs(x_k - y_k[j])
                out[j] = distance if distance > out[j] else out[j]  # noqa: FURB136


@inner
def point_slacks(
    point: np.ndarray,
    others: np.ndarray,
    start: int,
    kind: int,
    p: float,
    potential: np.ndarray,
    out: np.ndarray,
) -> None:
    """Write the costs from a point to others, minus the potentials of those.

    `others` are read from `start` on; `potential` and `out` begin there.
    """
    _distances(point, others, start, kind, out)
    if kind == EUCLIDEAN and p == 1.0:
        for j in range(out.size):
            out[j] = np.sqrt(out[j]) - potential[j]
        return
    if kind == EUCLIDEAN and p != 2.0:
        for j in range(out.size):
            out[j] = np.sqrt(out[j])
    if p == 1.0 or (kind == EUCLIDEAN and p == 2.0):
        for j in range(out.size):
            out[j] -= potential[j]
        return
    for j in range(out.size):
        out[j] = out[j] ** p - potential[j]


@inner
def slacks_of(costs: Costs, line: int, potential: np.ndarray, out: np.ndarray) -> None:
    """Write the slacks of a row."""
    if costs.kind == MATRIX:
        row = costs.matrix[line]
        for j in range(out.size):
            out[j] = row[j] - potential[j]
        return
    point = costs.x[:, line]
    point_slacks(point, costs.y, 0, costs.kind, costs.p, potential, out)


@inner
def power_of_distance(costs: Costs) -> int:
    """Return 1 for Euclidean distances, 2 for their squares, 0 for other costs."""
    if costs.kind == EUCLIDEAN and costs.p == 1.0:
        return 1
    is_square = costs.kind == EUCLIDEAN and costs.p == 2.0
    return 2 if is_square or (costs.kind == SQUARED and costs.p == 1.0) else 0


@kernel
def fill_rows(costs: Costs, start: int, nothing: np.ndarray, out: np.ndarray) -> None:
    """Write the costs of the rows from `start` on; `nothing` (m,) is zero."""
    for k in range(out.shape[0]):
        slacks_of(costs, start + k, nothing, out[k])


@inner
def cost_of(costs: Costs, i: int, j: int) -> float:
    """Return the cost of one pair."""
    if costs.kind == MATRIX:
        return costs.matrix[i, j]
    total = 0.0
    for k in range(costs.x.shape[0]):
        difference = costs.x[k, i] - costs.y[k, j]
        if costs.kind == CITYBLOCK:
            total += abs(difference)
        elif costs.kind == CHEBYSHEV:
            total = max(total, abs(difference))
        else:
            total += difference * difference
    if costs.kind == EUCLIDEAN and costs.p != 2.0:
        total = np.sqrt(total)
    if costs.p == 1.0 or (costs.kind == EUCLIDEAN and costs.p == 2.0):
        return total
    return total**costs.p


@kernel
def least_slacks(costs: Costs, f: np.ndarray, slacks: np.ndarray, least: np.ndarray) -> None:
    """Write ``min_i c[i, j] - f[i]`` for every column of points; `slacks` (n,) is scratch."""
    for j in range(least.size):
        point = costs.y[:, j]
        point_slacks(point, costs.x, 0, costs.kind, costs.p, f, slacks)
        least[j] = minimum(slacks)


@kernel
def carry_over(
    matrix: np.ndarray, rows: np.ndarray, f: np.ndarray, columns: np.ndarray, g: np.ndarray
) -> None:
    """Write ``min_i c[i, j] - f[i]`` over the rows given, for the columns given."""
    g[:] = np.inf
    for k in range(rows.size):
        row = matrix[rows[k]]
        for q in range(g.size):
            g[q] = smaller(row[columns[q]] - f[k], g[q])


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
