"""Coupling of sorted measures on the line, many pairs in one call.

Masses are integers, so that ties are exact, and levels are merged without branches.
"""

import math

import numpy as np
from numba import njit

# The total mass in integer units stays below 2**61, so that no sum overflows.
_TOTAL_BITS = 61
# Bits of a key that place a point in the range of all, and digits they are sorted by.
_KEY_BITS = 33
_DIGIT_BITS = 11
# Steps per point that putting right what keys leave undone may take.
_MOST_STEPS = 8


@njit(cache=True, error_model="numpy", nogil=True, _nrt=False)
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


@njit(cache=True, error_model="numpy", nogil=True, _nrt=False)
def _put_right(order: np.ndarray, ordered: np.ndarray) -> bool:
    """Sort by insertion what is nearly sorted; False if that takes too many steps."""
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


@njit(cache=True, error_model="numpy", nogil=True, _nrt=False)
def take_rows(values: np.ndarray, order: np.ndarray, out: np.ndarray) -> None:
    """Write the entries of each row in the order given for it."""
    for k in range(order.shape[0]):
        for i in range(order.shape[1]):
            out[k, i] = values[k, order[k, i]]


@njit(cache=True, error_model="numpy", nogil=True, _nrt=False)
def couple(
    x: np.ndarray,
    y: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    which: np.ndarray,
    factor: np.ndarray,
    p: float,
    level_a: np.ndarray,
    level_b: np.ndarray,
    rows: np.ndarray,
    columns: np.ndarray,
    mass: np.ndarray,
    n_arcs: np.ndarray,
    f: np.ndarray,
    g: np.ndarray,
) -> None:
    """Couple pairs of sorted measures, and write potentials along each coupling.

    Pair k has the points ``x[which[0, k]]`` and ``y[which[1, k]]`` with the masses
    ``a[which[2, k]]`` and ``factor[k] * b[which[3, k]]``. Its arcs are the first
    ``n_arcs[k]`` of rows, columns and mass (pairs, n + m), its potentials f (pairs, n)
    and g (pairs, m). Levels (n,) and (m,) int64 are scratch. ``n_arcs`` is 0 where the
    masses are out of range.
    """
    for k in range(n_arcs.size):
        unit = _integer_levels(
            a[which[2, k]], b[which[3, k]], factor[k], level_a, level_b
        )
        n_arcs[k] = 0
        if unit == 0.0:
            continue
        n_arcs[k] = _northwest(level_a, level_b, unit, rows[k], columns[k], mass[k])
        if p < np.inf:
            _potentials(x[which[0, k]], y[which[1, k]], level_a, level_b, p, f[k], g[k])


@njit(
    cache=True,
    error_model="numpy",
    nogil=True,
    _nrt=False,
    no_cpython_wrapper=True,
    no_cfunc_wrapper=True,
)
def _integer_levels(
    a: np.ndarray,
    b: np.ndarray,
    factor: float,
    level_a: np.ndarray,
    level_b: np.ndarray,
) -> float:
    """Write running sums of masses as integers, and return their unit.

    As `_masses.quantise` does: exact for uniform measures and for masses with a common
    binary unit; else rounded, and the largest mass takes what is then missing.
    """
    n, m = a.size, b.size
    total, spread = 0.0, 0
    for i in range(n):
        total += a[i]
        spread += a[i] != a[0]
    for j in range(m):
        spread += b[j] != b[0]
    if not (1e-250 < total < 1e250 and 0.0 < factor < np.inf):
        return 0.0
    if spread == 0:
        common = math.gcd(n, m)
        for i in range(n):
            level_a[i] = (i + 1) * (m // common)
        for j in range(m):
            level_b[j] = (j + 1) * (n // common)
        return a[0] / (m // common)
    shift = _TOTAL_BITS - math.frexp(total)[1]
    scale = math.ldexp(1.0, shift)
    whole_a, largest_a = _round_up(a, scale, level_a)
    whole_b, largest_b = _round_up(b, factor * scale, level_b)
    # What is missing is far less than the largest mass.
    if whole_a < whole_b:
        level_a[largest_a] += whole_b - whole_a
    else:
        level_b[largest_b] += whole_a - whole_b
    for i in range(1, n):
        level_a[i] += level_a[i - 1]
    for j in range(1, m):
        level_b[j] += level_b[j - 1]
    return math.ldexp(1.0, -shift)


@njit(
    cache=True,
    error_model="numpy",
    nogil=True,
    _nrt=False,
    no_cpython_wrapper=True,
    no_cfunc_wrapper=True,
)
def _round_up(mass: np.ndarray, scale: float, whole: np.ndarray) -> tuple[int, int]:
    """Write masses times `scale` as integers, no positive one as 0.

    Returns their sum and the index of the largest.
    """
    total, largest, where = 0, 0, 0
    for i in range(mass.size):
        part = int(np.rint(mass[i] * scale))
        part = max(part, 1) if mass[i] > 0.0 else 0
        whole[i] = part
        total += part
        if part > largest:
            largest, where = part, i
    return total, where


@njit(
    cache=True,
    error_model="numpy",
    nogil=True,
    _nrt=False,
    no_cpython_wrapper=True,
    no_cfunc_wrapper=True,
)
def _northwest(
    level_a: np.ndarray,
    level_b: np.ndarray,
    unit: float,
    rows: np.ndarray,
    columns: np.ndarray,
    mass: np.ndarray,
) -> int:
    """Write the arcs with mass of the staircase; return how many there are."""
    i, j, k, below = 0, 0, 0, 0
    while i < level_a.size and j < level_b.size:
        ends_a, ends_b = level_a[i], level_b[j]
        level = min(ends_a, ends_b)
        rows[k], columns[k], mass[k] = i, j, (level - below) * unit
        k += level > below
        i += ends_a <= ends_b
        j += ends_b <= ends_a
        below = level
    return k


@njit(
    cache=True,
    error_model="numpy",
    nogil=True,
    _nrt=False,
    no_cpython_wrapper=True,
    no_cfunc_wrapper=True,
)
def _cost(x: float, y: float, p: float) -> float:
    distance = abs(x - y)
    if p == 1.0:
        return distance
    return distance * distance if p == 2.0 else distance**p


@njit(
    cache=True,
    error_model="numpy",
    nogil=True,
    _nrt=False,
    no_cpython_wrapper=True,
    no_cfunc_wrapper=True,
)
def _potentials(
    x: np.ndarray,
    y: np.ndarray,
    level_a: np.ndarray,
    level_b: np.ndarray,
    p: float,
    f: np.ndarray,
    g: np.ndarray,
) -> None:
    """Sum cost differences down and along the staircase, with what rounding loses.

    Where a row and a column end at once the staircase goes down first.
    """
    n, m = x.size, y.size
    i, j = 0, 0
    cost = _cost(x[0], y[0], p)
    down, lost_down, along, lost_along = 0.0, 0.0, cost, 0.0
    f[0], g[0] = down, along
    while i < n - 1 or j < m - 1:
        if j == m - 1 or (i < n - 1 and level_a[i] <= level_b[j]):
            i += 1
            new = _cost(x[i], y[j], p)
            step = new - cost
            total = down + step
            part = total - down
            lost_down += (down - (total - part)) + (step - part)
            down = total
            f[i] = down + lost_down
        else:
            j += 1
            new = _cost(x[i], y[j], p)
            step = new - cost
            total = along + step
            part = total - along
            lost_along += (along - (total - part)) + (step - part)
            along = total
            g[j] = along + lost_along
        cost = new
