"""Coupling of sorted measures on the line, many pairs in one call.

Levels are integers, so that ties are exact, and are merged without branches.
"""

import math
from typing import NamedTuple

import numpy as np

from otdist.certificate.kernels.line_and_circle import line_bounds
from otdist.certificate.kernels.packing import ROUNDING, keeps_in_unit, unit_of_length, weigh
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
def _look_like_histograms(x: np.ndarray, y: np.ndarray) -> bool:
    """Whether two vectors of as many numbers >= 0, sorted, have one sum, or are percents."""
    if x.size != y.size or x.size < 2 or x[0] < 0.0 or y[0] < 0.0:
        return False
    sum_x = sum_y = 0.0
    for i in range(x.size):
        sum_x += x[i]
        sum_y += y[i]
    are_percents = abs(sum_x - 100.0) <= 1.0 and abs(sum_y - 100.0) <= 1.0
    return sum_x > 0.0 and (abs(sum_x - sum_y) <= 2e-6 * sum_x or are_percents)


@inner
def _units(size: float, mass: float, room: int, far: int) -> tuple[int, int]:
    """Return the exponents of the units of length and of mass, both with exact powers and roots.

    With a negative `room` both are 0, unless the numbers are far from 1. Otherwise the largest
    lengths are ``2 ** room`` in their unit; no unit of mass has an exact root then.
    """
    heavy = math.frexp(mass)[1]
    has_unit = room < 0 and abs(heavy) > far
    return unit_of_length(size, room, far), heavy - heavy % 2 if has_unit else 0


@inner
def _sums(
    a: np.ndarray, b: np.ndarray, tolerance: float, room: int, far: int
) -> tuple[float, float]:
    """Return the sum of a, and its ratio to that of b, 1 where they agree but for rounding.

    The ratio is 0 where the weights are not valid, or not ordinary.
    """
    sum_a, n, is_valid = weigh(a)
    sum_b, m, is_valid_b = weigh(b)
    is_full = n == a.size and m == b.size
    apart = abs(sum_a - sum_b)
    if not (is_valid and is_valid_b and apart <= tolerance * max(sum_a, sum_b)):
        return sum_a, 0.0
    if room >= 0 and not (is_full and abs(math.frexp(sum_a)[1]) <= far):
        return sum_a, 0.0
    return sum_a, sum_a / sum_b if apart > ROUNDING * sum_a else 1.0


class Scratch(NamedTuple):
    """Arrays for one pair of n and m points."""

    masses: tuple[np.ndarray, np.ndarray]  # (1, n), (1, m)
    rows: np.ndarray  # (1, n + m), as the next two
    columns: np.ndarray
    mass: np.ndarray
    n_arcs: np.ndarray  # (1,)
    which: np.ndarray  # (4, 1)
    factor: np.ndarray  # (1,)
    levels: Levels
    potentials: np.ndarray  # (1, n)
    sums: np.ndarray  # (2, n + m)
    side: np.ndarray  # (n,)
    best: np.ndarray  # (2, m)
    spare: np.ndarray  # (m,)
    out: np.ndarray  # (1, 6)


@inner
def _scratch(n: int, m: int, ends: np.ndarray, integers: np.ndarray, floats: np.ndarray) -> Scratch:
    """Cut arrays for one pair out of three long ones."""
    k = n + m
    counts, f = integers[2 * n + 3 * m :], floats[2 * k :]
    return Scratch(
        (floats[:n].reshape(1, n), floats[n:k].reshape(1, m)),
        ends[:k].reshape(1, k),
        ends[k : 2 * k].reshape(1, k),
        floats[k : 2 * k].reshape(1, k),
        counts[:1],
        counts[1:5].reshape(4, 1),
        f[:1],
        Levels(integers[:n], integers[n:k], integers[k : k + n], integers[k + n : 2 * k]),
        f[7 : 7 + n].reshape(1, n),
        f[7 + n : 7 + n + 2 * k].reshape(2, k),
        f[7 + n + 2 * k : 7 + 2 * n + 2 * k],
        f[7 + 2 * n + 2 * k : 7 + 4 * k].reshape(2, m),
        integers[2 * k : 2 * k + m],
        f[1:7].reshape(1, 6),
    )


@kernel
def line_at_once(
    x: np.ndarray,
    y: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    p: float,
    room: int,
    far: int,
    tolerance: float,
    ends: np.ndarray,
    integers: np.ndarray,
    floats: np.ndarray,
) -> tuple[bool, int, int, float, float, float, float, float, float]:
    """Check, couple and certify two measures: sorted points with their weights, or none.

    Returns whether the input is valid and ordinary, the exponents of the units of length and of
    mass (see `_units`), to which all is brought, and what `line_bounds` writes. Sums of weights
    may differ by the part `tolerance`. Other arrays are scratch, of at least 2 (n + m) int32,
    2 n + 3 m + 5 int64, and 6 n + 6 m + 7 float64.
    """
    refused = False, 0, 0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    n, m = x.size, y.size
    size = max(x[n - 1], y[m - 1]) - min(x[0], y[0])
    is_uniform = a.size == 0 and b.size == 0
    # NaN sorts behind all numbers.
    if not size < np.inf or (is_uniform and _look_like_histograms(x, y)):
        return refused
    one = _scratch(n, m, ends, integers, floats)
    masses = one.masses[0][0], one.masses[1][0]
    for i in range(n):
        masses[0][i] = a[i] if a.size > 0 else 1.0 / n
    for j in range(m):
        masses[1][j] = b[j] if b.size > 0 else 1.0 / m
    total, factor = 1.0, 1.0
    if not is_uniform:
        total, factor = _sums(masses[0], masses[1], tolerance, room, far)
        if factor == 0.0:
            return refused
    unit, heavy = _units(size, total, room, far)
    if unit != 0 and not (keeps_in_unit(x, unit) and keeps_in_unit(y, unit)):
        return refused
    if heavy != 0 and not (keeps_in_unit(masses[0], heavy) and keeps_in_unit(masses[1], heavy)):
        return refused
    one.which[:] = 0
    one.factor[0] = factor
    one.out[:] = np.nan
    pair = x.reshape(1, n), y.reshape(1, m), *one.masses, one.which, one.factor, p
    plan, f = (one.rows, one.columns, one.mass, one.n_arcs), one.potentials
    couple(*pair, one.levels, *plan, f)
    line_bounds(*pair, 0.0, *plan, f, one.sums, one.side, one.best, one.spare, one.out)
    out = one.out[0]
    return True, unit, heavy, out[0], out[1], out[2], out[3], out[4], out[5]


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
