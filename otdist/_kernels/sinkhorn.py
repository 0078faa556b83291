"""One pass over all pairs does a whole Sinkhorn iteration, with one exp per entry.

A row of the plan is computed in a buffer that stays in the processor's cache. Its sum
moves the row's potential; the same entries, times the factor that this means, are
added to the column sums. Potentials f and g hold ε log of the masses too, so that the
plan is ``exp((f + g - c) / ε)``. In double precision, or in single where only the
exponents of a matrix are computed in double.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import config, njit

from otdist._kernels.costs import MATRIX, Costs, power_of_distance, slacks_of
from otdist._kernels.exponential import WIDTH, keep_blocks, soft_points, soft_row
from otdist._kernels.simd import least_difference, smaller

# Rows whose columns are summed in single precision before they go to doubles.
_FLUSH = 64
# Row sums outside of these were lost, to underflow or overflow.
_SMALLEST, _LARGEST = 2.0**-40, 2.0**100


class Rows(NamedTuple):
    """What a pass reads and writes for each row; all (n,) float64."""

    mass: np.ndarray
    f: np.ndarray  # moved by the pass
    rest: np.ndarray  # the part of the row's mass that is in no block


class Pool(NamedTuple):
    """Where blocks are put, of the plan over the row's mass; nowhere if it is empty."""

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


def _plain_add(weight: float, row: np.ndarray, total: np.ndarray) -> None:
    """Add a row, times `weight`, to the totals."""
    total += weight * row


def _plain_flush(total: np.ndarray, columns: np.ndarray) -> None:
    """Add the totals to the columns, and begin anew."""
    columns += total
    total[:] = 0.0


@njit(
    cache=True,
    error_model="numpy",
    nogil=True,
    _nrt=False,
    fastmath={"contract"},
    no_cpython_wrapper=True,
    no_cfunc_wrapper=True,
)
def _loop_add(weight: float, row: np.ndarray, total: np.ndarray) -> None:
    for j in range(total.size):
        total[j] += weight * row[j]


@njit(
    cache=True,
    error_model="numpy",
    nogil=True,
    _nrt=False,
    no_cpython_wrapper=True,
    no_cfunc_wrapper=True,
)
def _loop_flush(total: np.ndarray, columns: np.ndarray) -> None:
    for j in range(columns.size):
        columns[j] += total[j]
        total[j] = 0.0


_jit_is_off = getattr(config, "DISABLE_JIT", False)
_add: Any = _plain_add if _jit_is_off else _loop_add
_flush: Any = _plain_flush if _jit_is_off else _loop_flush


@njit(
    cache=True,
    error_model="numpy",
    nogil=True,
    _nrt=False,
    no_cpython_wrapper=True,
    no_cfunc_wrapper=True,
)
def _entries(
    costs: Costs, i: int, g: np.ndarray, f: float, scale: float, buffers: Buffers
) -> float:
    """Write the row of the plan for a row potential, and return its sum."""
    row = buffers.row[: g.size]
    if costs.kind == MATRIX:
        return soft_row(costs.matrix[i], g, f, scale, row)
    numbers = buffers.numbers
    numbers[0], numbers[1] = f, scale
    power = power_of_distance(costs)
    if power > 0:
        x, y, is_root = costs.x, costs.y, power == 1
        return soft_points(x, i, y, is_root, buffers.g, numbers[0], numbers[1], row)
    slacks_of(costs, i, buffers.nothing, row)
    return soft_row(row, buffers.g, numbers[0], numbers[1], row)


@njit(
    cache=True,
    error_model="numpy",
    nogil=True,
    _nrt=False,
    no_cpython_wrapper=True,
    no_cfunc_wrapper=True,
)
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


@njit(cache=True, error_model="numpy", nogil=True, _nrt=False)
def sweep(
    costs: Costs,
    start: int,
    stop: int,
    g: np.ndarray,
    scale: float,
    level: float,
    rows: Rows,
    columns: np.ndarray,
    pool: Pool,
    top: int,
    buffers: Buffers,
) -> int:
    """Move the potentials of some rows, add up the columns and put blocks in the pool.

    `scale` is log2(e) / ε. Potentials move to the soft c-transform of g. Blocks are kept that have an entry of at least `level` of their
    row's mass. Returns where the next block would go, or -1 for a pool that is full.
    """
    single, total = buffers.single, buffers.total
    n_blocks = single.size // WIDTH
    is_double = buffers.row.itemsize == 8
    for i in range(start, stop):
        f, mass = rows.f[i], rows.mass[i]
        found = np.float64(_entries(costs, i, g, f, scale, buffers))
        if not _SMALLEST < found < _LARGEST:
            f = _least_slack(costs, i, g, buffers)
            found = np.float64(_entries(costs, i, g, f, scale, buffers))
        factor = mass / found
        rows.f[i] = f + np.log2(factor) / scale
        row = buffers.row[: g.size]
        buffers.numbers[0] = factor
        _add(buffers.numbers[0], row, total)
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
