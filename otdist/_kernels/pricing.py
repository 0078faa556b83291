"""Prices arcs of a transport problem: which arcs to look at, and which are violated.

A line is the row of one source or the column of one sink. Its slacks, costs minus
the potentials of the other side, are written to a buffer that stays in the
processor's cache; costs come from a matrix or from coordinates, and no matrix is
made of the latter.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import config, njit
from numba.extending import intrinsic

# Where costs come from; all but the first compute ``metric ** p`` from points.
MATRIX = 0
EUCLIDEAN = 1
SQUARED = 2
CITYBLOCK = 3
CHEBYSHEV = 4

_NOISE = 2.0**-49  # rounding of a reduced cost, as a part of the two potentials
_SCREEN = 4096  # pairs between two looks at whether one may violate
_CHUNK = 32  # slacks between two looks at a count
_TRIES = 6  # halvings of a threshold's range before it is taken as it is


class Costs(NamedTuple):
    """A ground cost as the kernels read it."""

    matrix: np.ndarray  # (n, m) float64, or (0, 0)
    x: np.ndarray  # (d, n) float64, one coordinate after the other
    y: np.ndarray  # (d, m) float64
    kind: int
    p: float


class Found(NamedTuple):
    """Arcs found on each line of one direction: `number` of `width` places used."""

    end: np.ndarray  # (lines, width) uint32, the atom on the other side
    cost: np.ndarray  # (lines, width) float64
    number: np.ndarray  # (lines,) uint32


def _plain_smaller(x: float, y: float) -> float:
    """Return the smaller of two numbers, for runs without compilation."""
    return min(y, x)


@intrinsic
def _simd_smaller(typing_context: Any, x: Any, y: Any) -> Any:
    """Return the smaller of two numbers, as an instruction LLVM vectorises."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        flags = ("nnan", "nsz")
        is_less = builder.fcmp_ordered("<", args[0], args[1], flags=flags)
        return builder.select(is_less, args[0], args[1], flags=flags)

    return x(x, x), generate


_jit_is_off = getattr(config, "DISABLE_JIT", False)
_smaller: Any = _plain_smaller if _jit_is_off else _simd_smaller


@njit(cache=True, error_model="numpy", nogil=True, fastmath={"nnan", "nsz"})
def minimum(values: np.ndarray) -> float:
    """Return the smallest value, inf if there is none."""
    least = np.inf
    for k in range(values.size):
        least = _smaller(values[k], least)
    return least


@njit(cache=True, error_model="numpy", nogil=True)
def _n_below(values: np.ndarray, level: float) -> int:
    """Return how many values are below the level."""
    n = 0
    for k in range(values.size):
        n += values[k] < level
    return n


@njit(cache=True, error_model="numpy", nogil=True, fastmath={"contract", "nsz"})
def _squares(point: np.ndarray, others: np.ndarray, out: np.ndarray) -> None:
    """Write squared Euclidean distances, from differences of coordinates."""
    d = point.size
    if d == 1:
        x0, y0 = point[0], others[0]
        for j in range(out.size):
            out[j] = (x0 - y0[j]) * (x0 - y0[j])
        return
    x0, x1 = point[0], point[1]
    y0, y1 = others[0], others[1]
    if d == 2:
        for j in range(out.size):
            d0, d1 = x0 - y0[j], x1 - y1[j]
            out[j] = d0 * d0 + d1 * d1
        return
    x2, y2 = point[2], others[2]
    for j in range(out.size):
        d0, d1, d2 = x0 - y0[j], x1 - y1[j], x2 - y2[j]
        out[j] = d0 * d0 + d1 * d1 + d2 * d2
    for k in range(3, d):
        x_k, y_k = point[k], others[k]
        for j in range(out.size):
            out[j] += (x_k - y_k[j]) * (x_k - y_k[j])


@njit(cache=True, error_model="numpy", nogil=True)
def _distances(
    point: np.ndarray, others: np.ndarray, kind: int, out: np.ndarray
) -> None:
    """Write distances, squared for the Euclidean ones."""
    if kind in (EUCLIDEAN, SQUARED):
        _squares(point, others, out)
        return
    out[:] = 0.0
    for k in range(point.size):
        x_k, y_k = point[k], others[k]
        if kind == CITYBLOCK:
            for j in range(out.size):
                out[j] += abs(x_k - y_k[j])
        else:
            for j in range(out.size):
                distance = abs(x_k - y_k[j])
                out[j] = distance if distance > out[j] else out[j]  # noqa: FURB136


@njit(cache=True, error_model="numpy", nogil=True)
def _point_slacks(
    point: np.ndarray,
    others: np.ndarray,
    kind: int,
    p: float,
    potential: np.ndarray,
    out: np.ndarray,
) -> None:
    """Write the costs from a point to others, minus the potentials of those."""
    _distances(point, others, kind, out)
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


@njit(cache=True, error_model="numpy", nogil=True)
def _slacks(
    costs: Costs,
    by_column: bool,
    line: int,
    n_lines: int,
    potential: np.ndarray,
    buffer: np.ndarray,
) -> None:
    """Write the slacks of lines line, line + 1, … to the rows of the buffer."""
    if costs.kind == MATRIX:
        if by_column:
            for i in range(potential.size):
                part = costs.matrix[i, line : line + n_lines]
                for k in range(part.size):
                    buffer[k, i] = part[k] - potential[i]
            return
        for k in range(n_lines):
            row, out = costs.matrix[line + k], buffer[k]
            for j in range(out.size):
                out[j] = row[j] - potential[j]
        return
    for k in range(n_lines):
        if by_column:
            point, others = costs.y[:, line + k].copy(), costs.x
        else:
            point, others = costs.x[:, line + k].copy(), costs.y
        _point_slacks(point, others, costs.kind, costs.p, potential, buffer[k])


@njit(cache=True, error_model="numpy", nogil=True)
def fill_rows(costs: Costs, start: int, nothing: np.ndarray, out: np.ndarray) -> None:
    """Write the costs of the rows from `start` on; `nothing` (m,) is zero."""
    _slacks(costs, False, start, out.shape[0], nothing, out)


@njit(cache=True, error_model="numpy", nogil=True)
def _cost(costs: Costs, i: int, j: int) -> float:
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


@njit(cache=True, error_model="numpy", nogil=True)
def _threshold(
    slacks: np.ndarray, least: float, step: float, most: float, width: int
) -> float:
    """Return a step above the minimum that about `width` slacks stay below.

    It is at most twice `most`: a line may have fewer arcs that are not forbidden.
    """
    low, high = 0.0, np.inf
    n_tries = 0
    while n_tries < _TRIES:
        n = _n_below(slacks, least + step)
        if n < width // 2 and n < slacks.size and step < most:
            low = step
        elif n > width:
            high = step
        else:
            break
        n_tries += high < np.inf
        step = 0.5 * (low + high) if high < np.inf else 2 * step
    return step


@njit(cache=True, error_model="numpy", nogil=True)
def _keep_below(slacks: np.ndarray, level: float, begin: int, found: np.ndarray) -> int:
    """Write where slacks are below the level, from `begin` on and around."""
    n_found = 0
    n_chunks = (slacks.size + _CHUNK - 1) // _CHUNK
    chunk = begin // _CHUNK
    for _ in range(n_chunks):
        start = chunk * _CHUNK
        part = slacks[start : start + _CHUNK]
        if _n_below(part, level) > 0:
            for k in range(part.size):
                if part[k] < level:
                    if n_found == found.size:
                        return n_found
                    found[n_found] = start + k
                    n_found += 1
        chunk += 1
        if chunk == n_chunks:
            chunk = 0
    return n_found


@njit(cache=True, error_model="numpy", nogil=True)
def _costs_of_line(
    costs: Costs, by_column: bool, line: int, found: np.ndarray, out: np.ndarray
) -> None:
    """Write the costs of the arcs found on a line."""
    for k in range(found.size):
        if by_column:
            out[k] = _cost(costs, found[k], line)
        else:
            out[k] = _cost(costs, line, found[k])


@njit(cache=True, error_model="numpy", nogil=True)
def nearest(
    costs: Costs,
    by_column: bool,
    start: int,
    stop: int,
    potential: np.ndarray,
    scale: float,
    buffer: np.ndarray,
    least: np.ndarray,
    arcs: Found,
) -> None:
    """Find the arcs of smallest slack of every line in ``start … stop - 1``.

    `least` (lines,) receives the smallest slack, which is the c-transform of
    `potential`. Of equal slacks any may be taken: the search begins at another place
    in every line, so that ties are spread.
    """
    end, count = arcs.end, arcs.number
    width = end.shape[1]
    step = 1e-3 * scale
    for first in range(start, stop, buffer.shape[0]):
        n_lines = min(buffer.shape[0], stop - first)
        _slacks(costs, by_column, first, n_lines, potential, buffer)
        for k in range(n_lines):
            line = first + k
            slacks = buffer[k]
            smallest = minimum(slacks)
            least[line] = smallest
            if width == 0 or smallest == np.inf:
                count[line] = 0
                continue
            # Neighbouring lines need about the same step; it never shrinks to 0.
            step = max(step, 1e-13 * scale)
            step = _threshold(slacks, smallest, step, 8.0 * scale, width)
            begin = (line * 7919) % slacks.size
            n_found = _keep_below(slacks, smallest + step, begin, end[line])
            count[line] = n_found
            found, cost = end[line, :n_found], arcs.cost[line, :n_found]
            _costs_of_line(costs, by_column, line, found, cost)


@njit(cache=True, error_model="numpy", nogil=True, fastmath={"contract", "nsz"})
def _may_violate(
    point: np.ndarray, others: np.ndarray, f: float, g: np.ndarray
) -> bool:
    """Whether a distance in the plane or in space may be below ``f + g[j]`` for some j.

    Squares are compared, since a root takes longer than all the rest.
    """
    x0, x1, x2 = point[0], point[1], point[point.size - 1]
    for start in range(0, g.size, _SCREEN):
        stop = start + _SCREEN
        y0, y1 = others[0][start:stop], others[1][start:stop]
        y2 = others[point.size - 1][start:stop]
        part = g[start:stop]
        hits = 0
        if point.size == 2:
            for j in range(part.size):
                d0, d1, most = x0 - y0[j], x1 - y1[j], f + part[j]
                hits += (d0 * d0 + d1 * d1 < most * most) & (most > 0.0)
        else:
            for j in range(part.size):
                d0, d1, d2 = x0 - y0[j], x1 - y1[j], x2 - y2[j]
                most = f + part[j]
                hits += (d0 * d0 + d1 * d1 + d2 * d2 < most * most) & (most > 0.0)
        if hits > 0:
            return True
    return False


@njit(cache=True, error_model="numpy", nogil=True)
def violations(
    costs: Costs,
    rows: np.ndarray,
    f: np.ndarray,
    g: np.ndarray,
    tolerance: float,
    buffer: np.ndarray,
    least: np.ndarray,
    arcs: Found,
) -> None:
    """Find arcs with ``cost - f - g < -tolerance`` in the rows given.

    Every pair of them is priced. Of each chunk of columns the most violated arc counts,
    and of those the first `width` of a row are kept. `least` (n,) receives the
    smallest slack of each of the rows, or no more than that.
    """
    found, count = arcs.end, arcs.number
    width = found.shape[1]
    chunk = max(8, min(128, g.size // (2 * width)))
    slacks = buffer[0]
    is_distance = costs.kind == EUCLIDEAN and costs.p == 1.0
    is_screened = is_distance and costs.x.shape[0] in (2, 3)
    for i in rows:
        count[i] = 0
        if is_screened:
            # Half the tolerance is for the rounding of the squares.
            point, level = costs.x[:, i].copy(), f[i] - 0.5 * tolerance
            if not _may_violate(point, costs.y, level, g):
                least[i] = f[i] - tolerance
                continue
        _slacks(costs, False, i, 1, g, buffer)
        least[i] = minimum(slacks)
        if not least[i] - f[i] < -tolerance:
            continue
        n_chunks = (slacks.size + chunk - 1) // chunk
        begin = (i * 7919) % n_chunks
        for turn in range(n_chunks):
            left = (begin + turn) % n_chunks * chunk
            part = slacks[left : left + chunk]
            smallest = minimum(part)
            if smallest - f[i] < -tolerance:
                j = 0
                while part[j] > smallest:
                    j += 1
                j += left
                cost = _cost(costs, i, j)
                # As the network simplex computes it, or that would not take the arc.
                noise = max(tolerance, _NOISE * (abs(f[i]) + abs(g[j])))
                if (cost - g[j]) - f[i] < -noise:
                    found[i, count[i]] = j
                    arcs.cost[i, count[i]] = cost
                    count[i] += 1
                if count[i] == width:
                    break


@njit(cache=True, error_model="numpy", nogil=True)
def carry_over(
    costs: Costs,
    rows: np.ndarray,
    f: np.ndarray,
    columns: np.ndarray,
    nothing: np.ndarray,
    buffer: np.ndarray,
    g: np.ndarray,
) -> None:
    """Lower g to ``min c[i, j] - f[i]`` over the rows given, for the columns given.

    `nothing` (m,) is zero.
    """
    for k in range(rows.size):
        _slacks(costs, False, rows[k], 1, nothing, buffer)
        slacks, f_k = buffer[0], f[k]
        for j in range(g.size):
            slack = slacks[columns[j]] - f_k
            g[j] = slack if slack < g[j] else g[j]  # noqa: FURB136
