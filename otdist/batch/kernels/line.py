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
    northwest,
    write_levels,
)

_FLAGS = {"cache": True, "error_model": "numpy", "nogil": True, "_nrt": False}
# Without wrappers a kernel can be called by kernels only, and compiles in half the time.
_INNER = {**_FLAGS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
kernel = njit(**_FLAGS)
inner = njit(**_INNER)

# Bits of a key that place a point in the range of all, and those of its index.
_KEY_BITS = 33
_INDEX_BITS = 30
# Sums of weights of measures that are packed together agree but for rounding.
_SAME = 2.0**-40
# Steps per point that the insertion sort after the keys may take.
_MOST_STEPS = 8


@kernel
def write_keys(values: np.ndarray, low: float, high: float, keys: np.ndarray) -> None:
    """Write integers (n,) in the order of values from low to high: places, then indices."""
    scale = 2.0**_KEY_BITS / (high - low)
    top = (1 << _KEY_BITS) - 1
    for i in range(values.size):
        keys[i] = (min(int((values[i] - low) * scale), top) << _INDEX_BITS) | i


@kernel
def read_keys(keys: np.ndarray, values: np.ndarray, order: np.ndarray, ordered: np.ndarray) -> bool:
    """Write the stable order of values from their sorted keys, and the values in it.

    Those that share a place are sorted by insertion; False if that takes too many steps.
    """
    for i in range(keys.size):
        order[i] = keys[i] & ((1 << _INDEX_BITS) - 1)
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
    a: np.ndarray,
    b: np.ndarray,
    which: np.ndarray,
    factor: np.ndarray,
    levels: Levels,
    rows: np.ndarray,
    columns: np.ndarray,
    mass: np.ndarray,
    n_arcs: np.ndarray,
) -> None:
    """Couple pairs of sorted measures.

    Pair k has the masses ``a[which[2, k]]`` and ``b[which[3, k]]``, in the order of its points,
    whose sums have the ratio ``factor[k]``. Its
    arcs are the first ``n_arcs[k]`` of rows, columns and mass (pairs, n + m). `levels` is
    scratch. ``n_arcs`` is 0 where the masses are out of range.
    """
    for k in range(n_arcs.size):
        n_arcs[k] = 0
        unit, is_short = write_levels(a[which[2, k]], b[which[3, k]], factor[k], levels)
        if unit == 0.0:
            continue
        n_arcs[k] = northwest(levels, is_short, unit, rows[k], columns[k], mass[k])


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
    n = x.size - 1
    spread = max(x[n], y[n]) - min(x[0], y[0])
    is_one = n > 1 and abs(sum_x - sum_y) <= 2e-6 * min(spread, sum_x)
    return sum_x > 0.0 and (is_one or are_percents or abs(sum_x - 1.0) + abs(sum_y - 1.0) <= 4e-6)


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
) -> tuple[float, float, bool]:
    """Return the sum of a, its ratio to that of b, and whether all weights are positive.

    The ratio is 1 where the sums agree but for rounding, and 0 where the weights are not valid,
    or not ordinary.
    """
    sum_a, n, is_valid = weigh(a)
    sum_b, m, is_valid_b = weigh(b)
    is_full = n == a.size and m == b.size
    apart = abs(sum_a - sum_b)
    if not (is_valid and is_valid_b and apart <= tolerance * max(sum_a, sum_b)):
        return sum_a, 0.0, is_full
    if room >= 0 and abs(math.frexp(sum_a)[1]) > far:
        return sum_a, 0.0, is_full
    return sum_a, sum_a / sum_b if apart > ROUNDING * sum_a else 1.0, is_full


class Scratch(NamedTuple):
    """Arrays for one pair of n and m points."""

    masses: tuple[np.ndarray, np.ndarray]  # (n,), (m,)
    rows: np.ndarray  # (1, n + m), as the next two
    columns: np.ndarray
    mass: np.ndarray
    n_arcs: np.ndarray  # (1,)
    which: np.ndarray  # (4, 1)
    factor: np.ndarray  # (1,)
    levels: Levels
    sums: np.ndarray  # (2, n + m)
    out: np.ndarray  # (1, 6)
    integers: np.ndarray  # what is left of the long ones
    floats: np.ndarray


@inner
def scratch_of(
    n: int, m: int, ends: np.ndarray, integers: np.ndarray, floats: np.ndarray
) -> Scratch:
    """Cut arrays for one pair out of three long ones."""
    k = n + m
    counts, rest = integers[2 * k :], floats[4 * k :]
    return Scratch(
        (floats[:n], floats[n:k]),
        ends[:k].reshape(1, k),
        ends[k : 2 * k].reshape(1, k),
        floats[k : 2 * k].reshape(1, k),
        counts[:1],
        counts[1:5].reshape(4, 1),
        rest[:1],
        Levels(integers[:n], integers[n:k], integers[k : k + n], integers[k + n : 2 * k]),
        floats[2 * k : 4 * k].reshape(2, k),
        rest[1:7].reshape(1, 6),
        counts[5:],
        rest[7:],
    )


class Ready(NamedTuple):
    """Weights of two measures, in their unit, and the units of length and of mass."""

    is_ordinary: bool
    is_full: bool  # whether all weights are positive
    a: np.ndarray  # (n,)
    b: np.ndarray  # (m,)
    unit: int
    heavy: int


@inner
def made_ready(
    x: np.ndarray,
    y: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    size: float,
    room: int,
    far: int,
    tolerance: float,
    one: Scratch,
) -> Ready:
    """Check weights, and bring points and weights to their units in place.

    `size` is that of the largest lengths. The ratio of the sums is written to ``one.factor``.
    """
    first, second = one.masses
    if a.size > 0:
        first = a
    else:
        first[:] = 1.0 / x.size
    if b.size > 0:
        second = b
    else:
        second[:] = 1.0 / y.size
    total, factor, is_full = 1.0, 1.0, True
    if a.size > 0 or b.size > 0:
        total, factor, is_full = _sums(first, second, tolerance, room, far)
    unit, heavy = _units(size, total, room, far)
    is_kept = factor > 0.0
    if unit != 0:
        is_kept = is_kept and keeps_in_unit(x, unit) and keeps_in_unit(y, unit)
    if heavy != 0:
        is_kept = is_kept and keeps_in_unit(first, heavy) and keeps_in_unit(second, heavy)
    one.which[:] = 0
    one.factor[0] = factor
    one.out[:] = np.nan
    return Ready(is_kept, is_full, first, second, unit, heavy)


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

    Both are brought to their units in place. Returns whether the input is valid and ordinary, the
    exponents of the units of length and of mass (see `_units`), and what `line_bounds` writes.
    Sums of weights may differ by the part `tolerance`. Other arrays are scratch, of at least
    2 (n + m) int32, 2 (n + m) + 5 int64, and 4 (n + m) + 7 float64.
    """
    refused = False, 0, 0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    n, m = x.size, y.size
    size = max(x[n - 1], y[m - 1]) - min(x[0], y[0])
    is_uniform = a.size == 0 and b.size == 0
    # NaN sorts behind all numbers.
    if not size < np.inf or (is_uniform and _look_like_histograms(x, y)):
        return refused
    one = scratch_of(n, m, ends, integers, floats)
    ready = made_ready(x, y, a, b, size, room, far, tolerance, one)
    # Points without mass, wherever they are, do not decide the unit.
    if not (ready.is_ordinary and (ready.is_full or room < 0)):
        return refused
    pair = ready.a.reshape(1, n), ready.b.reshape(1, m), one.which, one.factor
    plan = one.rows, one.columns, one.mass, one.n_arcs
    couple(*pair, one.levels, *plan)
    # On the line no potential is read.
    nothing, no_place = one.out[:, :0], one.n_arcs[:0]
    points = x.reshape(1, n), y.reshape(1, m)
    unread = nothing, one.sums, one.out[0, :0], nothing, no_place
    line_bounds(*points, *pair, p, 0.0, *plan, *unread, one.out)
    out = one.out[0]
    return True, ready.unit, ready.heavy, out[0], out[1], out[2], out[3], out[4], out[5]


@kernel
def lines_at_once(
    points: np.ndarray,
    weights: np.ndarray,
    starts: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    p: float,
    room: int,
    far: int,
    ends: np.ndarray,
    integers: np.ndarray,
    floats: np.ndarray,
    out: np.ndarray,
) -> None:
    """Couple and certify pairs of measures; measure k is sorted, and begins at ``starts[k]``.

    Writes what `line_at_once` returns to `out` (pairs, 9). Scratch is as there, but for
    6 (n + m) + 7 float64.
    """
    for q in range(first.size):
        start, stop = starts[first[q]], starts[first[q] + 1]
        begin, end = starts[second[q]], starts[second[q] + 1]
        n, m = stop - start, end - begin
        # Copies, which units of length and mass may change.
        x, a = floats[:n], floats[n : 2 * n]
        y, b = floats[2 * n : 2 * n + m], floats[2 * n + m : 2 * (n + m)]
        for k in range(n):
            x[k], a[k] = points[start + k], weights[start + k]
        for k in range(m):
            y[k], b[k] = points[begin + k], weights[begin + k]
        rest = ends, integers, floats[2 * (n + m) :]
        found = line_at_once(x, y, a, b, p, room, far, _SAME, *rest)
        out[q, 0], out[q, 1], out[q, 2], out[q, 3], out[q, 4] = found[:5]
        out[q, 5], out[q, 6], out[q, 7], out[q, 8] = found[5:]
