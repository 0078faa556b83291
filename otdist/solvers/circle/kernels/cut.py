"""Coupling of sorted distributions on a circle, many pairs in one call.

A circle becomes a line once the best cut is known; `solvers.circle.solver` has the theory.
"""

from typing import NamedTuple

import numpy as np

from otdist.runtime.kernel_cache import njit
from otdist.solvers.circle.kernels.levels import add_exactly, integer_levels, power

_FLAGS = {"cache": True, "error_model": "numpy", "nogil": True, "_nrt": False}
_INNER = {**_FLAGS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
kernel = njit(**_FLAGS)
inner = njit(**_INNER)

# Parts that a range is divided into at each step towards a median: 2**10.
_PART_BITS = 10
PARTS = 1 << _PART_BITS
# From so many x the best shift is found to 2**-10 of the mass.
_FEW = 2048
_NEAR_BITS = 10
# One in so many passes halves the range, independently of the slopes.
_HALVE_EVERY = 8


class Pair(NamedTuple):
    """Two sorted distributions on a circle, with integer masses of one sum."""

    x: np.ndarray  # (n,) float64, within half a period of 0
    y: np.ndarray  # (m,) float64
    level_a: np.ndarray  # (n,) int64, running sums of the masses
    level_b: np.ndarray  # (m,) int64
    p: float
    period: float


@kernel
def couple_around(
    x: np.ndarray,
    y: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    which: np.ndarray,
    factor: np.ndarray,
    p: float,
    period: float,
    level_a: np.ndarray,
    level_b: np.ndarray,
    ahead: np.ndarray,
    spare: np.ndarray,
    rows: np.ndarray,
    columns: np.ndarray,
    mass: np.ndarray,
    n_arcs: np.ndarray,
    f: np.ndarray,
) -> None:
    """Couple pairs of distributions on a circle, and write potentials of x.

    Arguments are those of `line.couple`; positions are sorted, within half a period of
    0. `ahead` (n + m,) int64 and `spare` (n + m + PARTS,) are scratch.
    """
    for k in range(n_arcs.size):
        unit = integer_levels(a[which[2, k]], b[which[3, k]], factor[k], level_a, level_b)
        n_arcs[k] = 0
        if unit == 0.0:
            continue
        pair = Pair(x[which[0, k]], y[which[1, k]], level_a, level_b, p, period)
        n_arcs[k] = couple_levels(pair, unit, ahead, spare, rows[k], columns[k], mass[k], f[k])


@kernel
def couple_levels(
    pair: Pair,
    unit: float,
    ahead: np.ndarray,
    spare: np.ndarray,
    rows: np.ndarray,
    columns: np.ndarray,
    mass: np.ndarray,
    f: np.ndarray,
) -> int:
    """Write f and the arcs of one pair, whose masses are multiples of a unit.

    Returns the number of arcs.
    """
    shift = _median_shift(pair, ahead, spare) if pair.p == 1.0 else _convex_shift(pair)
    _close(pair, shift, spare, f)
    return _shifted(pair.level_a, pair.level_b, shift, unit, rows, columns, mass)


@inner
def _median_shift(pair: Pair, ahead: np.ndarray, spare: np.ndarray) -> int:
    """Return minus a median of the levels' difference, weighted by length of arc."""
    x, y, level_a, level_b, _, period = pair
    n, m = x.size, y.size
    length, bins = spare[: n + m], spare[n + m :]
    i, j, difference = 0, 0, 0
    first = last = min(x[0], y[0])
    for k in range(n + m):
        # The difference so far holds up to this position.
        from_x = j == m or (i < n and x[i] <= y[j])
        position = x[i] if from_x else y[j]
        ahead[k], length[k] = difference, position - last
        last = position
        i += from_x
        j += not from_x
        difference = (level_a[i - 1] if i > 0 else 0) - (level_b[j - 1] if j > 0 else 0)
    # Between the last position and the first the difference is 0, as it began.
    length[0] = (0.5 * period - last) + (first + 0.5 * period)
    half = 0.0
    for k in range(n + m):
        half += 0.5 * length[k]
    return -_weighted_median(ahead, length, half, bins)


@inner
def _weighted_median(values: np.ndarray, weights: np.ndarray, half: float, bins: np.ndarray) -> int:
    """Return the least value with `half` of the weight at or below it.

    The range of values is divided into parts, then the part that holds the median, and so on.
    """
    low, high, passed = values[0], values[0], 0.0
    for k in range(values.size):
        low, high = min(low, values[k]), max(high, values[k])
    while low < high:
        bits = 0
        while (high - low) >> bits >= bins.size:
            bits += 1
        bins[:] = 0.0
        for k in range(values.size):
            if low <= values[k] <= high:
                bins[(values[k] - low) >> bits] += weights[k]
        part, last = 0, (high - low) >> bits
        while part < last and passed + bins[part] < half:
            passed += bins[part]
            part += 1
        least = low + (part << bits)
        most = min(high, least + (1 << bits) - 1)
        # Shrink the part to its values. If it has none, all weight lies below it: the median
        # is then the largest value below.
        low, high, before = high, low, low
        for k in range(values.size):
            if least <= values[k] <= most:
                low, high = min(low, values[k]), max(high, values[k])
            elif values[k] < least:
                before = max(before, values[k])
        if low > high:
            return before
    return low


@inner
def _convex_shift(pair: Pair) -> int:
    """Return the shift of the levels of x at which coupling level to level costs least.

    The cost is convex in the shift, and linear between shifts at which two levels meet. Its
    slope is computed in O(n + m). The slope for few x is about the same, and its root shows
    where to look for the root for all.
    """
    total = pair.level_b[-1]
    low, high, stride = -total, total, pair.x.size // _FEW
    if stride > 1:
        width = total >> _NEAR_BITS
        near = _root(pair, low, high, stride, width)
        low, high = max(near - width, -total), min(near + width, total)
    return _root(pair, low, high, 1, 0)


@inner
def _root(pair: Pair, low: int, high: int, stride: int, width: int) -> int:
    """Return the least shift from which on the cost rises, up to a width.

    By false position, and now and then by halving. The ends of the range move to shifts at
    which levels meet, so that a width of 0 ends at the optimum and not merely near it. A range
    without the root is extended towards it.
    """
    total = pair.level_b[-1]
    slope_low = _slope_at(pair, low, stride)[0]
    while slope_low >= 0.0 and low > -total:
        high, low = low, max(low - 8 * (high - low + 1), -total)
        slope_low = _slope_at(pair, low, stride)[0]
    slope_high = _slope_at(pair, high, stride)[0]
    while slope_high < 0.0 and high < total:
        low, high = high, min(high + 8 * (high - low + 1), total)
        slope_low = slope_high
        slope_high = _slope_at(pair, high, stride)[0]
    side, moved, n_passes = 0, 0, 0
    while high - low > width:
        n_passes += 1
        part = 0.5
        if n_passes % _HALVE_EVERY and slope_low < 0.0 < slope_high:
            part = slope_low / (slope_low - slope_high)
        shift = min(low + int(part * (high - low)), high - 1)
        # False position may move the same end again and again. Then look beyond the root,
        # twice as far as that end moved last: steps of equal length would creep.
        beyond = 2 * min(moved, (high - low) // 2 + 1)  # of at most 2**62
        if side >= 2:
            shift = max(high - beyond, low)
        elif side <= -2:
            shift = min(low + beyond, high - 1)
        slope, down, up = _slope_at(pair, shift, stride)
        if slope >= 0.0:
            moved, side = high - shift + down, max(side, 0) + 1
            high, slope_high = shift - down, slope
        else:
            moved, side = shift + up - low, min(side, 0) - 1
            low, slope_low = shift + up, slope
    return high


@inner
def _slope_at(pair: Pair, shift: int, stride: int) -> tuple[float, int, int]:
    """Return the slope of the cost above a shift, and how far down and up it is constant.

    All of `stride` neighbours among x are treated as if at the place of the last.
    """
    x, y, level_a, level_b, p, period = pair
    n, m, total = x.size, y.size, level_b[-1]
    turn, j = (level_a[0] + shift) // total, 0
    slope, lost = 0.0, 0.0
    down = up = total
    i = min(stride, n) - 1
    while i < n:
        level = level_a[i] + shift
        # The y that has mass just above this level.
        while level_b[j] + turn * total <= level:
            j += 1
            if j == m:
                j, turn = 0, turn + 1
        up = min(up, level_b[j] + turn * total - level)
        began = level_b[j - 1] if j > 0 else 0
        down = min(down, level - began - turn * total)
        if i == n - 1:
            after = _cost(x[min(stride, n) - 1], 1 - turn, y[j], p, period)
        else:
            after = _cost(x[min(i + stride, n - 1)], -turn, y[j], p, period)
        step = _cost(x[i], -turn, y[j], p, period) - after
        slope, error = add_exactly(slope, step)
        lost += error
        i = i + stride if i + stride < n or i == n - 1 else n - 1
    return slope + lost, down, up


@inner
def _rise(x: np.ndarray, i: int, turn: int, y: float, p: float, period: float) -> float:
    """Return the cost difference of y, moved by turns, between x[i] and the next x."""
    if i + 1 < x.size:
        after = _cost(x[i + 1], -turn, y, p, period)
    else:
        after = _cost(x[0], 1 - turn, y, p, period)
    return after - _cost(x[i], -turn, y, p, period)


@inner
def _cost(x: float, turn: int, y: float, p: float, period: float) -> float:
    """Return ``|x + turn * period - y| ** p``, positions within half a period of 0."""
    half = 0.5 * period
    if turn == 0:
        distance = abs(x - y)
    elif turn == 1:
        distance = (half - y) + (x + half)
    elif turn == -1:
        distance = (half - x) + (y + half)
    else:
        distance = abs(x - y + turn * period)
    return power(distance, p)


@inner
def _close(pair: Pair, shift: int, above: np.ndarray, f: np.ndarray) -> None:
    """Sum the cost differences at the levels of x to f, so that f returns to 0.

    Where a level of y ends too, the difference may be that of the y that ends, of the y that
    begins, or any mixture of both; one mixture for all closes the circle.
    """
    x, y, level_a, level_b, p, period = pair
    n, m, total = x.size, y.size, level_b[-1]
    turn, j = (level_a[0] + shift - 1) // total, 0
    ahead, k = turn, 0
    sum_below, sum_above, largest, longest = 0.0, 0.0, -1.0, 0
    for i in range(n):
        level = level_a[i] + shift
        while level_b[j] + turn * total < level:
            j += 1
            if j == m:
                j, turn = 0, turn + 1
        while level_b[k] + ahead * total <= level:
            k += 1
            if k == m:
                k, ahead = 0, ahead + 1
        f[i] = above[i] = _rise(x, i, turn, y[j], p, period)
        if k != j or turn != ahead:
            above[i] = _rise(x, i, ahead, y[k], p, period)
        sum_below += f[i]
        sum_above += above[i]
        size = max(abs(f[i]), abs(above[i]))
        if size > largest:
            largest, longest = size, i
    part = 0.0
    if sum_below != sum_above:
        part = min(max(sum_below / (sum_below - sum_above), 0.0), 1.0)
    # Begin behind the largest step, which would cost the others digits.
    value, lost = 0.0, 0.0
    for k in range(n):
        i = longest + 1 + k
        i = i - n if i >= n else i
        step = (1.0 - part) * f[i] + part * above[i]
        f[i] = value + lost
        value, error = add_exactly(value, step)
        lost += error


@inner
def _shifted(
    level_a: np.ndarray,
    level_b: np.ndarray,
    shift: int,
    unit: float,
    rows: np.ndarray,
    columns: np.ndarray,
    mass: np.ndarray,
) -> int:
    """Write the arcs with mass, in the order of y; return their number.

    The x that is cut where y begins comes first and last.
    """
    n, total = level_a.size, level_b[-1]
    shift = (shift - 1) % total + 1
    first = 0
    while level_a[first] <= total - shift:
        first += 1
    i, j, k, below = 0, 0, 0, 0
    while i <= n and j < level_b.size:
        row = first + i if first + i < n else first + i - n
        ends_a = level_a[row] + shift - (total if first + i < n else 0)
        if i == n:
            ends_a = total
        ends_b = level_b[j]
        level = min(ends_a, ends_b)
        rows[k], columns[k], mass[k] = row, j, (level - below) * unit
        k += level > below
        i += ends_a <= ends_b
        j += ends_b <= ends_a
        below = level
    return k
