"""Coupling of sorted distributions on a circle, many pairs in one call.

A circle becomes a line once the best cut is known; `solvers.circle.solver` has the theory.
"""

from typing import NamedTuple

import numpy as np

from otdist.runtime.kernel_cache import njit
from otdist.solvers.circle.kernels.levels import (
    LOW_BITS,
    LOW_MASK,
    Levels,
    add_exactly,
    northwest,
    power,
    write_levels,
)

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
# Units by which levels may meet elsewhere when their low limbs are taken into account, bounds on
# differences beside them, and on the search.
_NEAR = 4
_FAR = 16
_LOW = 1 << LOW_BITS
_WIDE = _NEAR * _LOW
# Potentials larger than the costs that are paid by this factor hide digits of the value.
_LARGE = 1e4


class Pair(NamedTuple):
    """Two sorted distributions on a circle, with levels of one sum."""

    x: np.ndarray  # (n,) float64, within half a period of 0
    y: np.ndarray  # (m,) float64
    levels: Levels
    total: int  # the last level, and its low limb
    low_total: int
    p: float
    period: float


class Shift(NamedTuple):
    """Where to look for the shift of the levels of x: at offsets from a base.

    Offsets are in units of the high limbs, and low limbs are left out; or, `is_fine`, in units
    of the low limbs, and differences of levels are exact near 0.
    """

    base: int
    is_fine: bool


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
    levels: Levels,
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
    0. `ahead` (2, n + m) int64 and `spare` (5 * n + m + PARTS,) are scratch.
    """
    for k in range(n_arcs.size):
        n_arcs[k] = 0
        unit, is_short = write_levels(a[which[2, k]], b[which[3, k]], factor[k], levels)
        if unit == 0.0:
            continue
        total, low_total = levels.b[levels.b.size - 1], levels.low_b[levels.b.size - 1]
        pair = Pair(x[which[0, k]], y[which[1, k]], levels, total, low_total, p, period)
        shift, offset = _best_shift(pair, is_short, ahead[0], spare)
        _close(pair, shift, offset, spare, f[k])
        turned, first = _turned(pair, shift, offset, ahead)
        n_arcs[k] = northwest(turned, is_short, unit, rows[k], columns[k], mass[k])
        for arc in range(n_arcs[k]):
            row = rows[k, arc] + first
            rows[k, arc] = row if row < x.shape[1] else row - x.shape[1]


@inner
def _best_shift(
    pair: Pair, is_short: bool, ahead: np.ndarray, spare: np.ndarray
) -> tuple[Shift, int]:
    """Return the shift of the levels of x at which coupling level to level costs least."""
    rough = Shift(0, False)
    base = _median_shift(pair, rough, ahead, spare) if pair.p == 1.0 else _convex_shift(pair)
    if is_short:
        return Shift(0, False), base
    # Two levels meet at the best shift. With low limbs they meet near the shift without.
    shift = Shift(base, True)
    n_near, offset = _meeting(pair, shift)
    if n_near != 1:
        if pair.p == 1.0:
            offset = _median_shift(pair, shift, ahead, spare)
        else:
            offset = _root(pair, shift, -_WIDE, _WIDE, _WIDE, 1, 0)
        offset = min(max(offset, -_WIDE), _WIDE)
    return shift, offset


@inner
def _shifted(pair: Pair, i: int, shift: Shift, offset: int) -> tuple[int, int]:
    """Return the level of x[i] and its low limb, shifted; the low limb may exceed its range."""
    if shift.is_fine:
        return pair.levels.a[i] + shift.base, pair.levels.low_a[i] + offset
    return pair.levels.a[i] + shift.base + offset, 0


@inner
def _gap(pair: Pair, level: int, low: int, j: int, turn: int, is_fine: bool) -> int:
    """Return how far the level of y[j], moved by turns, is above a shifted one of x."""
    gap = pair.levels.b[j] + turn * pair.total - level
    if not is_fine:
        return gap
    rest = pair.levels.low_b[j] + turn * pair.low_total - low
    return min(max(gap, -_FAR), _FAR) * _LOW + rest


@inner
def _first_turn(pair: Pair, shift: Shift, offset: int) -> int:
    """Return a turn that begins at or below the first level of x."""
    return (_shifted(pair, 0, shift, offset)[0] - 2 * _NEAR) // pair.total


@inner
def _meeting(pair: Pair, shift: Shift) -> tuple[int, int]:
    """Return how many levels meet near a shift, if not more than one, and the offset there."""
    m, near, offset = pair.y.size, 0, 0
    turn, j = _first_turn(pair, shift, 0), 0
    for i in range(pair.x.size):
        level, low = _shifted(pair, i, shift, 0)
        while _gap(pair, level, low, j, turn, False) < -_NEAR:
            j += 1
            if j == m:
                j, turn = 0, turn + 1
        k, ahead = j, turn
        while _gap(pair, level, low, k, ahead, False) <= _NEAR:
            near += 1
            if near > 1:
                return near, 0
            offset = _gap(pair, level, low, k, ahead, True)
            k += 1
            if k == m:
                k, ahead = 0, ahead + 1
    return near, offset


@inner
def _median_shift(pair: Pair, shift: Shift, ahead: np.ndarray, spare: np.ndarray) -> int:
    """Return minus a median of the levels' difference, weighted by length of arc."""
    x, y, levels, period = pair.x, pair.y, pair.levels, pair.period
    n, m = x.size, y.size
    length, bins = spare[: n + m], spare[n + m : n + m + PARTS]
    i, j, difference = 0, 0, shift.base
    if shift.is_fine:
        difference = min(max(shift.base, -_NEAR), _NEAR) * _LOW
    first = last = min(x[0], y[0])
    for k in range(n + m):
        # The difference so far holds up to this position.
        from_x = j == m or (i < n and x[i] <= y[j])
        position = x[i] if from_x else y[j]
        ahead[k], length[k] = difference, position - last
        last = position
        i += from_x
        j += not from_x
        difference = (levels.a[i - 1] if i > 0 else 0) - (levels.b[j - 1] if j > 0 else 0)
        difference += shift.base
        if shift.is_fine:
            rest = (levels.low_a[i - 1] if i > 0 else 0) - (levels.low_b[j - 1] if j > 0 else 0)
            difference = min(max(difference, -_NEAR), _NEAR) * _LOW + rest
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
    """Return the best shift if low limbs are left out.

    The cost is convex in the shift, and linear between shifts at which two levels meet. Its
    slope is computed in O(n + m). The slope for few x is about the same, and its root shows
    where to look for the root for all.
    """
    total, shift = pair.total, Shift(0, False)
    low, high, stride = -total, total, pair.x.size // _FEW
    if stride > 1:
        width = total >> _NEAR_BITS
        near = _root(pair, shift, low, high, total, stride, width)
        low, high = max(near - width, -total), min(near + width, total)
    return _root(pair, shift, low, high, total, 1, 0)


@inner
def _root(pair: Pair, shift: Shift, low: int, high: int, most: int, stride: int, width: int) -> int:
    """Return the least offset from which on the cost rises, up to a width.

    By false position, and now and then by halving. The ends of the range move to shifts at
    which levels meet, so that a width of 0 ends at the optimum and not merely near it. A range
    without the root is extended towards it, up to the most on either side.
    """
    slope_low = _slope_at(pair, shift, low, stride)[0]
    while slope_low >= 0.0 and low > -most:
        high, low = low, max(low - 8 * (high - low + 1), -most)
        slope_low = _slope_at(pair, shift, low, stride)[0]
    slope_high = _slope_at(pair, shift, high, stride)[0]
    while slope_high < 0.0 and high < most:
        low, high = high, min(high + 8 * (high - low + 1), most)
        slope_low = slope_high
        slope_high = _slope_at(pair, shift, high, stride)[0]
    side, moved, n_passes = 0, 0, 0
    while high - low > width:
        n_passes += 1
        part = 0.5
        if n_passes % _HALVE_EVERY and slope_low < 0.0 < slope_high:
            part = slope_low / (slope_low - slope_high)
        offset = min(low + int(part * (high - low)), high - 1)
        # False position may move the same end again and again. Then look beyond the root,
        # twice as far as that end moved last: steps of equal length would creep.
        beyond = 2 * min(moved, (high - low) // 2 + 1)  # of at most 2**62
        if side >= 2:
            offset = max(high - beyond, low)
        elif side <= -2:
            offset = min(low + beyond, high - 1)
        slope, down, up = _slope_at(pair, shift, offset, stride)
        if slope >= 0.0:
            moved, side = high - offset + down, max(side, 0) + 1
            high, slope_high = offset - down, slope
        else:
            moved, side = offset + up - low, min(side, 0) - 1
            low, slope_low = offset + up, slope
    return high


@inner
def _slope_at(pair: Pair, shift: Shift, offset: int, stride: int) -> tuple[float, int, int]:
    """Return the slope of the cost above an offset, and how far down and up it is constant.

    All of `stride` neighbours among x are treated as if at the place of the last.
    """
    x, y, p, period = pair.x, pair.y, pair.p, pair.period
    n, m = x.size, y.size
    # Begin with a level of y at or below the first one of x.
    turn, j = _first_turn(pair, shift, offset) - 1, m - 1
    slope, lost = 0.0, 0.0
    down = up = 1 << 62
    i = min(stride, n) - 1
    while i < n:
        level, low = _shifted(pair, i, shift, offset)
        # The y that has mass just above this level.
        gap, last = _gap(pair, level, low, j, turn, shift.is_fine), 1
        while gap <= 0:
            last = gap
            j += 1
            if j == m:
                j, turn = 0, turn + 1
            gap = _gap(pair, level, low, j, turn, shift.is_fine)
        up = min(up, gap)
        # Where no level of y was passed, the one below is nearer to the x before.
        if last <= 0:
            down = min(down, -last)
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
def _after(pair: Pair, i: int, turn: int, j: int) -> float:
    """Return the cost of y[j], moved by turns, and the x behind x[i]."""
    x, y, p, period = pair.x, pair.y[j], pair.p, pair.period
    if i + 1 < x.size:
        return _cost(x[i + 1], -turn, y, p, period)
    return _cost(x[0], 1 - turn, y, p, period)


@inner
def _close(pair: Pair, shift: Shift, offset: int, spare: np.ndarray, f: np.ndarray) -> None:
    """Sum the cost differences at the levels of x to f, so that f returns to 0.

    Where a level of y ends too, the difference may be any between that of the y that begins
    and that of the y that ends; one mixture for all closes the circle.
    """
    x, y, p, period = pair.x, pair.y, pair.p, pair.period
    n, m = x.size, y.size
    least, most, paid = spare[:n], spare[n : 2 * n], spare[2 * n : 3 * n]
    turn, j = _first_turn(pair, shift, offset), 0
    ahead, k, largest, longest = turn, 0, -1.0, 0
    sum_least, sum_most, sum_paid, size = 0.0, 0.0, 0.0, 0.0
    for i in range(n):
        level, low = _shifted(pair, i, shift, offset)
        while _gap(pair, level, low, j, turn, shift.is_fine) < 0:
            j += 1
            if j == m:
                j, turn = 0, turn + 1
        while _gap(pair, level, low, k, ahead, shift.is_fine) <= 0:
            k += 1
            if k == m:
                k, ahead = 0, ahead + 1
        paid[i] = _cost(x[i], -turn, y[j], p, period)
        least[i] = most[i] = _after(pair, i, turn, j) - paid[i]
        if k != j or turn != ahead:
            least[i] = _after(pair, i, ahead, k) - _cost(x[i], -ahead, y[k], p, period)
        sum_least += least[i]
        sum_most += most[i]
        sum_paid += paid[i]
        step = max(abs(least[i]), abs(most[i]))
        if step > largest:
            largest, longest = step, i
    part = 0.0
    if sum_least != sum_most:
        part = min(max(sum_most / (sum_most - sum_least), 0.0), 1.0)
    # Begin behind the largest step, which would cost the others digits.
    first = longest + 1 if longest + 1 < n else 0
    value, lost = 0.0, 0.0
    for k in range(n):
        i = first + k if first + k < n else first + k - n
        step = (1.0 - part) * most[i] + part * least[i]
        f[i] = value + lost
        size += abs(f[i])
        value, error = add_exactly(value, step)
        lost += error
    if size > _LARGE * sum_paid:
        _close_small(least, most, paid, first, spare[3 * n : 4 * n], spare[4 * n : 5 * n], f)


@inner
def _close_small(
    least: np.ndarray,
    most: np.ndarray,
    paid: np.ndarray,
    first: int,
    low: np.ndarray,
    high: np.ndarray,
    f: np.ndarray,
) -> None:
    """Sum differences to potentials of the size of the costs paid, where that is possible.

    Each difference is chosen to bring f nearest to half the cost paid, among those from which
    f can return to where it began.
    """
    n = f.size
    value, lost = 0.5 * paid[first], 0.0
    _write_returns(least, most, first, value, low, high)
    f[first] = value
    for k in range(1, n):
        i = first + k if first + k < n else first + k - n
        before = i - 1 if i > 0 else n - 1
        wanted = min(max(0.5 * paid[i], low[i]), high[i])
        step = wanted - (value + lost)
        if least[before] < step < most[before]:
            value, lost = wanted, 0.0
        else:
            value, error = add_exactly(value, min(max(step, least[before]), most[before]))
            lost += error
        f[i] = value + lost


@inner
def _write_returns(
    least: np.ndarray,
    most: np.ndarray,
    first: int,
    value: float,
    low: np.ndarray,
    high: np.ndarray,
) -> None:
    """Write between which bounds f returns to its first value by the steps that are left."""
    n = least.size
    below, above, lost_below, lost_above = value, value, 0.0, 0.0
    for k in range(n):
        i = first - 1 - k if first - 1 - k >= 0 else first - 1 - k + n
        below, error = add_exactly(below, -most[i])
        lost_below += error
        above, error = add_exactly(above, -least[i])
        lost_above += error
        low[i], high[i] = below + lost_below, above + lost_above


@inner
def _turned(pair: Pair, shift: Shift, offset: int, room: np.ndarray) -> tuple[Levels, int]:
    """Write levels of x from where y begins, and return them and the first x.

    The x that is cut there comes first and last.
    """
    levels, total, low_total, n = pair.levels, pair.total, pair.low_total, pair.x.size
    high, low = shift.base + offset, 0
    if shift.is_fine:
        high, low = shift.base + (offset >> LOW_BITS), offset & LOW_MASK
    # Lower the shift to 0 at most, then raise it while it is a turn or more below.
    while high > 0 or (high == 0 and low > 0):
        low -= low_total
        high -= total - (low >> LOW_BITS)
        low &= LOW_MASK
    while True:
        rest = low + low_total
        level = high + total + (rest >> LOW_BITS)
        if level > 0 or (level == 0 and rest & LOW_MASK > 0):
            break
        high, low = level, rest & LOW_MASK
    turned, low_turned = room[0][: n + 1], room[1][: n + 1]
    first = 0
    while True:
        rest = levels.low_a[first] + low
        level = levels.a[first] + high + (rest >> LOW_BITS)
        if level > 0 or (level == 0 and rest & LOW_MASK > 0):
            break
        first += 1
    for i in range(first, n):
        rest = levels.low_a[i] + low
        turned[i - first] = levels.a[i] + high + (rest >> LOW_BITS)
        low_turned[i - first] = rest & LOW_MASK
    low += low_total
    high += total
    for i in range(first):
        rest = levels.low_a[i] + low
        turned[n - first + i] = levels.a[i] + high + (rest >> LOW_BITS)
        low_turned[n - first + i] = rest & LOW_MASK
    turned[n], low_turned[n] = total, low_total
    return Levels(turned, levels.b, low_turned, levels.low_b), first
