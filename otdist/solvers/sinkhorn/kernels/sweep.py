"""One pass over all pairs does a whole Sinkhorn iteration, with one exp per entry.

A row of the plan is computed in a buffer that stays in the processor's cache. Its sum gives
the change of the row's potential; the same entries, times the factor of that change, are added
to the column sums. Potentials f and g include ε log of the masses, so that the plan is
``exp((f + g - c) / ε)``. Passes are in double precision, or in single precision, where only the
exponents of a matrix are computed in double.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import config

from otdist.compiled.costs import MATRIX, Costs, power_of_distance, slacks_of
from otdist.compiled.exp2 import WIDTH, keep_blocks, soft_points, soft_row
from otdist.compiled.simd import least_difference, smaller
from otdist.runtime.kernel_cache import njit

_FLAGS = {"cache": True, "error_model": "numpy", "nogil": True, "_nrt": False}
_INNER = {**_FLAGS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
kernel = njit(**_FLAGS)
inner = njit(**_INNER)
fusing_inner = njit(**_INNER, fastmath={"contract"})

#: Columns of a box.
BOX = 64
# Rows whose columns are summed in single precision before they go to doubles.
_FLUSH = 64
# Row sums outside of these were lost, to underflow or overflow.
_SMALLEST, _LARGEST = 2.0**-40, 2.0**100
# log2 of the part of a mass below which an entry is less than the rounding of sums.
_NOTHING_SINGLE, _NOTHING_DOUBLE = -30.0, -57.0
# Skipped entries are trusted where the row sum is off by no more than this factor.
_TRUSTED = 16.0
# Potentials to try for a row: the old one, a guess, one without overflow, and corrections.
_TRIES = 5
# A distance above all others whose square does not overflow.
_FARTHEST = 1e150


class Rows(NamedTuple):
    """Input and output of a pass for each row; all (n,) float64."""

    mass: np.ndarray
    f: np.ndarray  # moved by the pass
    rest: np.ndarray  # the part of the row's mass that is in no block


class Boxes(NamedTuple):
    """The boxes that columns lie in, `BOX` after `BOX`; none for other costs."""

    low: np.ndarray  # (d, boxes) float64, corners
    high: np.ndarray  # (d, boxes) float64
    top: np.ndarray  # (boxes,) float64, largest potential of a column, without its mass


class Pool(NamedTuple):
    """Blocks of the plan divided by the row's mass; a pool without places keeps none."""

    start: np.ndarray  # (n + 1,) int64, first block of a row
    place: np.ndarray  # (k,) int32, number of a block in its row
    values: np.ndarray  # (k, WIDTH) float32


class Buffers(NamedTuple):
    """Scratch of one thread, in the precision of the pass unless said otherwise."""

    row: np.ndarray  # (m,), padded with zeros to whole blocks
    single: np.ndarray  # the same in float32
    total: np.ndarray  # (m,) column sums of the last rows
    nothing: np.ndarray  # (m,) zeros
    g: np.ndarray  # (m,) potentials of the columns
    numbers: np.ndarray  # (2,)
    runs: np.ndarray  # (boxes + 1, 2) int64, ranges of columns that count
    squares: np.ndarray  # (boxes,) float64


def _plain_add(weight: float, row: np.ndarray, total: np.ndarray) -> None:
    """Add a row, times `weight`, to the totals."""
    total += weight * row


def _plain_flush(total: np.ndarray, columns: np.ndarray) -> None:
    """Add the totals to the columns, and begin anew."""
    columns += total
    total[:] = 0.0


@fusing_inner
def _loop_add(weight: float, row: np.ndarray, total: np.ndarray) -> None:
    for j in range(total.size):
        total[j] += weight * row[j]


@inner
def _loop_flush(total: np.ndarray, columns: np.ndarray) -> None:
    for j in range(columns.size):
        columns[j] += total[j]
        total[j] = 0.0


_jit_is_off = getattr(config, "DISABLE_JIT", False)
_add: Any = _plain_add if _jit_is_off else _loop_add
_flush: Any = _plain_flush if _jit_is_off else _loop_flush


@inner
def _find_runs(
    costs: Costs,
    i: int,
    m: int,
    f: float,
    scale: float,
    mass: float,
    boxes: Boxes,
    buffers: Buffers,
) -> int:
    """Write the ranges of columns that a row may reach; return their number.

    An entry left out is less than the rounding of its column's sum and of its row's sum.
    """
    runs, squares = buffers.runs, buffers.squares
    if boxes.top.size == 0:
        runs[0, 0], runs[0, 1] = 0, m
        return 1
    for t in range(squares.size):
        squares[t] = 0.0
    for k in range(boxes.low.shape[0]):
        x, low, high = np.float64(costs.x[k, i]), boxes.low[k], boxes.high[k]
        for t in range(squares.size):
            below, above = low[t] - x, x - high[t]
            gap = below if below > above else above  # noqa: FURB136
            gap = gap if gap > 0.0 else 0.0  # noqa: FURB136
            squares[t] += gap * gap
    is_double = buffers.row.itemsize == 8
    nothing = _NOTHING_DOUBLE if is_double else _NOTHING_SINGLE
    farthest = f - (np.log2(mass) + nothing) / scale
    is_root = power_of_distance(costs) == 1
    n_runs, last = 0, -1
    for t in range(squares.size):
        most = min(farthest + boxes.top[t], _FARTHEST)
        if most < 0.0 or squares[t] > (most * most if is_root else most):
            continue
        if last != t - 1 or n_runs == 0:
            runs[n_runs, 0] = t * BOX
            n_runs += 1
        runs[n_runs - 1, 1] = min((t + 1) * BOX, m)
        last = t
    return n_runs


@inner
def _entries(
    costs: Costs, i: int, g: np.ndarray, f: float, scale: float, n_runs: int, buffers: Buffers
) -> float:
    """Write the row of the plan for a row potential, and return its sum."""
    row = buffers.row[: g.size]
    if costs.kind == MATRIX:
        return soft_row(costs.matrix[i], g, f, scale, row)
    numbers = buffers.numbers
    numbers[0], numbers[1] = f, scale
    power = power_of_distance(costs)
    if power > 0:
        x, y, is_root, total, done = costs.x, costs.y, power == 1, 0.0, 0
        for k in range(n_runs):
            start, stop = buffers.runs[k, 0], buffers.runs[k, 1]
            row[done:start] = 0.0
            part, potentials = row[start:stop], buffers.g[start:stop]
            total += soft_points(x, i, y, start, is_root, potentials, numbers[0], numbers[1], part)
            done = stop
        row[done:] = 0.0
        return total
    slacks_of(costs, i, buffers.nothing, row)
    return soft_row(row, buffers.g, numbers[0], numbers[1], row)


@inner
def _least_slack(costs: Costs, i: int, g: np.ndarray, buffers: Buffers) -> float:
    """Return ``min_j c[i, j] - g[j]``: from there on no entry overflows."""
    if costs.kind == MATRIX:
        return least_difference(costs.matrix[i], g)[0]
    row = buffers.row[: g.size]
    slacks_of(costs, i, buffers.g, row)
    least = row[0]
    for j in range(row.size):
        least = smaller(row[j], least)
    return least


@inner
def _row(
    costs: Costs,
    i: int,
    g: np.ndarray,
    guess: float,
    f: float,
    scale: float,
    mass: float,
    boxes: Boxes,
    buffers: Buffers,
) -> tuple[float, float, int]:
    """Write a row of the plan; return its potential, its sum and its runs.

    If the sum overflows or underflows, the potential moves to a guess, then to where no entry
    overflows; if skipped entries may count, it is corrected by the sum found.
    """
    found, n_runs, expected = 0.0, 0, mass
    for attempt in range(_TRIES):
        n_runs = _find_runs(costs, i, g.size, f, scale, expected, boxes, buffers)
        found = np.float64(_entries(costs, i, g, f, scale, n_runs, buffers))
        is_whole = n_runs == 1 and buffers.runs[0, 1] - buffers.runs[0, 0] == g.size
        is_found = _SMALLEST < found < _LARGEST
        if is_found and (is_whole or mass < _TRUSTED * found):
            break
        if is_found:
            f, expected = f + np.log2(mass / found) / scale, mass
        elif attempt == 0:
            f = guess
        else:  # one entry is 1, the others are at most that
            f, expected = _least_slack(costs, i, g, buffers), 1.0
    return f, found, n_runs


@kernel
def sweep(
    costs: Costs,
    start: int,
    stop: int,
    g: np.ndarray,
    scale: float,
    level: float,
    rows: Rows,
    boxes: Boxes,
    columns: np.ndarray,
    pool: Pool,
    top: int,
    buffers: Buffers,
) -> int:
    """Move the potentials of some rows, add up the columns and put blocks in the pool.

    `scale` is log2(e) / ε. Potentials move to the soft c-transform of g. Blocks are kept
    that have an entry of at least `level` of their row's mass. Returns where the next
    block would go, or -1 for a pool that is full.
    """
    single, total = buffers.single, buffers.total
    n_blocks = single.size // WIDTH
    is_double = buffers.row.itemsize == 8
    for i in range(start, stop):
        mass, before = rows.mass[i], max(i - 1, start)
        # Rows that follow each other are neighbours, if points are in order.
        guess = rows.f[before] + np.log2(mass / rows.mass[before]) / scale
        f, found, n_runs = _row(costs, i, g, guess, rows.f[i], scale, mass, boxes, buffers)
        factor = mass / found
        rows.f[i] = f + np.log2(factor) / scale
        row = buffers.row[: g.size]
        buffers.numbers[0] = factor
        for k in range(n_runs):
            first, last = buffers.runs[k, 0], buffers.runs[k, 1]
            _add(buffers.numbers[0], row[first:last], total[first:last])
        if (i - start) % _FLUSH == _FLUSH - 1 or i == stop - 1:
            _flush(total, columns)
        if top < 0 or pool.place.size == 0:
            continue
        if top + n_blocks > pool.place.size:
            top = -1
            continue
        if is_double:
            for j in range(row.size):
                single[j] = row[j]
        least, part = np.float32(level * found), np.float32(1.0 / found)
        pool.start[i] = top
        top, rest = keep_blocks(single, least, part, pool.place, pool.values, top)
        pool.start[i + 1] = top
        rows.rest[i] = rest
    return top
