"""Coupling of sorted measures on the line, many pairs in one call.

Levels are integers, so that ties are exact, and are merged without branches.
"""

import numpy as np

from otdist.runtime.kernel_cache import njit
from otdist.solvers.circle.kernels.levels import (
    Levels,
    add_exactly,
    northwest,
    power,
    write_levels,
)

_FLAGS = {"cache": True, "error_model": "numpy", "nogil": True, "_nrt": False}
# Without wrappers a kernel can be called by kernels only, and compiles in half the time.
_INNER = {**_FLAGS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
kernel = njit(**_FLAGS)
inner = njit(**_INNER)

# Bits of a key that place a point in the range of all, and digits they are sorted by.
_KEY_BITS = 33
_DIGIT_BITS = 11
# Steps per point that the insertion sort after the keys may take.
_MOST_STEPS = 8


@kernel
def radix_sort(
    values: np.ndarray,
    keys: np.ndarray,
    spare: np.ndarray,
    counts: np.ndarray,
    order: np.ndarray,
    ordered: np.ndarray,
) -> bool:
    """Write the stable order of finite values, and the values in it.

    `keys` and `spare` (n,) int64 and `counts` (3, 2048) int64 are scratch. A key is
    the place in the range of all values, and the index below it; three passes sort
    keys, and one over neighbours puts right the values that share a place. False if
    too many do, or if the range overflows: then nothing of use was written.
    """
    n = values.size
    low, high = values[0], values[0]
    for i in range(n):
        low, high = min(low, values[i]), max(high, values[i])
    scale = 2.0**_KEY_BITS / (high - low) if high > low else 1.0
    if not 0.0 < scale < np.inf or n >= 1 << 30:
        return False
    counts[:] = 0
    top, mask = (1 << _KEY_BITS) - 1, (1 << _DIGIT_BITS) - 1
    for i in range(n):
        place = min(int((values[i] - low) * scale), top)
        keys[i] = (place << 30) | i
        for digit in range(3):
            counts[digit, (place >> (_DIGIT_BITS * digit)) & mask] += 1
    for digit in range(3):
        start = 0
        for value in range(mask + 1):
            counts[digit, value], start = start, start + counts[digit, value]
        shift = 30 + _DIGIT_BITS * digit
        for i in range(n):
            key = keys[i] if digit != 1 else spare[i]
            value = (key >> shift) & mask
            where = counts[digit, value]
            counts[digit, value] = where + 1
            if digit != 1:
                spare[where] = key
            else:
                keys[where] = key
    for i in range(n):
        order[i] = spare[i] & ((1 << 30) - 1)
        ordered[i] = values[order[i]]
    return _put_right(order, ordered)


@kernel
def _put_right(order: np.ndarray, ordered: np.ndarray) -> bool:
    """Sort nearly sorted values by insertion; False if that takes too many steps."""
    steps = 0
    for i in range(1, ordered.size):
        if ordered[i] >= ordered[i - 1]:
            continue
        value, index, j = ordered[i], order[i], i
        while j > 0 and ordered[j - 1] > value:
            ordered[j], order[j] = ordered[j - 1], order[j - 1]
            j -= 1
        ordered[j], order[j] = value, index
        steps += i - j
        if steps > _MOST_STEPS * ordered.size:
            return False
    return True


@kernel
def take_rows(values: np.ndarray, order: np.ndarray, out: np.ndarray) -> None:
    """Write the entries of each row in the order given for it."""
    for k in range(order.shape[0]):
        for i in range(order.shape[1]):
            out[k, i] = values[k, order[k, i]]


@kernel
def couple(
    x: np.ndarray,
    y: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    which: np.ndarray,
    factor: np.ndarray,
    p: float,
    levels: Levels,
    rows: np.ndarray,
    columns: np.ndarray,
    mass: np.ndarray,
    n_arcs: np.ndarray,
    f: np.ndarray,
) -> None:
    """Couple pairs of sorted measures, and write potentials of x along each coupling.

    Pair k has the points ``x[which[0, k]]`` and ``y[which[1, k]]`` with the masses
    ``a[which[2, k]]`` and ``b[which[3, k]]``, whose sums have the ratio ``factor[k]``. Its
    arcs are the first ``n_arcs[k]`` of rows, columns and mass (pairs, n + m), its potentials
    f (pairs, n), 0 for x without mass. `levels` is scratch. ``n_arcs`` is 0 where the masses
    are out of range.
    """
    for k in range(n_arcs.size):
        n_arcs[k] = 0
        unit, is_short = write_levels(a[which[2, k]], b[which[3, k]], factor[k], levels)
        if unit == 0.0:
            continue
        n_arcs[k] = northwest(levels, is_short, unit, rows[k], columns[k], mass[k])
        if p < np.inf:
            arcs = rows[k, : n_arcs[k]], columns[k, : n_arcs[k]]
            _potentials(x[which[0, k]], y[which[1, k]], p, *arcs, f[k])


@inner
def _potentials(
    x: np.ndarray,
    y: np.ndarray,
    p: float,
    rows: np.ndarray,
    columns: np.ndarray,
    f: np.ndarray,
) -> None:
    """Sum cost differences down the staircase, with compensated rounding.

    Where a row and a column end at once, any step between two corners of the staircase is
    feasible, since costs of sorted points are a Monge matrix. Half the cost of the next arc is
    chosen, or what is nearest: potentials are then of the size of the costs that are paid.
    """
    i, j = rows[0], columns[0]
    cost = power(abs(x[i] - y[j]), p)
    value, lost = 0.5 * cost, 0.0
    f[:] = 0.0  # of x without mass, which constrain nothing
    f[i] = value
    for k in range(1, rows.size):
        new = power(abs(x[rows[k]] - y[columns[k]]), p)
        if rows[k] != i:
            step, is_free = new - cost, False
            if columns[k] != j:
                least = new - power(abs(x[i] - y[columns[k]]), p)
                most = power(abs(x[rows[k]] - y[j]), p) - cost
                wanted = 0.5 * new - (value + lost)
                is_free = least < wanted < most
                step = least if wanted <= least else most
            if is_free:
                value, lost = 0.5 * new, 0.0
            else:
                value, error = add_exactly(value, step)
                lost += error
            f[rows[k]] = value + lost
        i, j, cost = rows[k], columns[k], new
