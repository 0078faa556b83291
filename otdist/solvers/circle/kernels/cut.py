"""Coupling of sorted measures on a circle, many pairs in one call.

The line once it is known where to cut: `solvers.circle.solver` says how.
"""

import numpy as np

from otdist.runtime.kernel_cache import njit
from otdist.solvers.circle.kernels.levels import integer_levels, power

_FLAGS = {"cache": True, "error_model": "numpy", "nogil": True, "_nrt": False}
# Without wrappers a kernel can be called by kernels only, and compiles in half the time.
_INNER = {**_FLAGS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
kernel = njit(**_FLAGS)
inner = njit(**_INNER)

# Parts of a range that are weighed at a time, on the way to a median: 2**10.
_PART_BITS = 10
PARTS = 1 << _PART_BITS
# So many x are enough to find the best shift to 2**-10 of the mass.
_FEW = 2048
_NEAR_BITS = 10
# Passes of which one halves the range, whatever the slopes.
_HALVE_EVERY = 8


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
    """Couple pairs of measures on a circle, and write potentials of x.

    Arguments are those of `line.couple`; positions are sorted, within half a period of
    0. `ahead` (n + m,) int64 and `spare` (n + m + PARTS,) are scratch.
    """
    for k in range(n_arcs.size):
        points_x, points_y = x[which[0, k]], y[which[1, k]]
        unit = integer_levels(a[which[2, k]], b[which[3, k]], factor[k], level_a, level_b)
        n_arcs[k] = 0
        if unit == 0.0:
            continue
        n_arcs[k] = couple_levels(
            points_x,
            points_y,
            level_a,
            level_b,
            unit,
            p,
            period,
            ahead,
            spare,
            rows[k],
            columns[k],
            mass[k],
            f[k],
        )


@kernel
def couple_levels(
    x: np.ndarray,
    y: np.ndarray,
    level_a: np.ndarray,
    level_b: np.ndarray,
    unit: float,
    p: float,
    period: float,
    ahead: np.ndarray,
    spare: np.ndarray,
    rows: np.ndarray,
    columns: np.ndarray,
    mass: np.ndarray,
    f: np.ndarray,
) -> int:
    """Write the arcs of one pair, given by running sums of its masses, and f.

    Returns the number of arcs.
    """
    if p == 1.0:
        shift = _median_shift(x, y, level_a, level_b, period, ahead, spare)
    else:
        shift = _convex_shift(x, y, level_a, level_b, p, period)
    _close(x, y, level_a, level_b, shift, p, period, spare, f)
    return _shifted(level_a, level_b, shift, unit, rows, columns, mass)


@inner
def _median_shift(
    x: np.ndarray,
    y: np.ndarray,
    level_a: np.ndarray,
    level_b: np.ndarray,
    period: float,
    ahead: np.ndarray,
    spare: np.ndarray,
) -> int:
    """Return minus a median of the levels' difference, weighted by length of arc."""
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

    The range of values is parted, and that part again which holds the median.
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
        # On to the values that are there; at the end of all weight, to the last of them.
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
def _convex_shift(
    x: np.ndarray,
    y: np.ndarray,
    level_a: np.ndarray,
    level_b: np.ndarray,
    p: float,
    period: float,
) -> int:
    """Return the shift of the levels of x at which coupling level to level costs least.

    The cost is convex in the shift, and linear between those at which two levels meet.
    Its slope is found in O(n + m). That of few x is about the same, and tells where to
    look for the root of the whole.
    """
    total = level_b[-1]
    low, high, stride = -total, total, x.size // _FEW
    if stride > 1:
        width = total >> _NEAR_BITS
        near = _root(x, y, level_a, level_b, p, period, low, high, stride, width)
        low, high = max(near - width, -total), min(near + width, total)
    return _root(x, y, level_a, level_b, p, period, low, high, 1, 0)


@inner
def _root(
    x: np.ndarray,
    y: np.ndarray,
    level_a: np.ndarray,
    level_b: np.ndarray,
    p: float,
    period: float,
    low: int,
    high: int,
    stride: int,
    width: int,
) -> int:
    """Return the least shift from which on the cost rises, to a width.

    By false position, and now and then by halving. The ends of the range move on to
    where levels meet, so that a width of 0 ends at the optimum and not merely near it.
    A range without the root is left towards it.
    """
    total = level_b[-1]
    slope_low = _slope_at(x, y, level_a, level_b, low, p, period, stride)[0]
    while slope_low >= 0.0 and low > -total:
        high, low = low, max(low - 8 * (high - low + 1), -total)
        slope_low = _slope_at(x, y, level_a, level_b, low, p, period, stride)[0]
    slope_high = _slope_at(x, y, level_a, level_b, high, p, period, stride)[0]
    while slope_high < 0.0 and high < total:
        low, high = high, min(high + 8 * (high - low + 1), total)
        slope_low = slope_high
        slope_high = _slope_at(x, y, level_a, level_b, high, p, period, stride)[0]
    side, moved, n_passes = 0, 0, 0
    while high - low > width:
        n_passes += 1
        part = 0.5
        if n_passes % _HALVE_EVERY and slope_low < 0.0 < slope_high:
            part = slope_low / (slope_low - slope_high)
        shift = min(low + int(part * (high - low)), high - 1)
        # What moves the same end again and again leaves the other where it was: look
        # beyond the root, twice as far as that end came last. As far would creep.
        beyond = 2 * min(moved, (high - low) // 2 + 1)  # of at most 2**62
        if side >= 2:
            shift = max(high - beyond, low)
        elif side <= -2:
            shift = min(low + beyond, high - 1)
        slope, down, up = _slope_at(x, y, level_a, level_b, shift, p, period, stride)
        if slope >= 0.0:
            moved, side = high - shift + down, max(side, 0) + 1
            high, slope_high = shift - down, slope
        else:
            moved, side = shift + up - low, min(side, 0) - 1
            low, slope_low = shift + up, slope
    return high


@inner
def _slope_at(
    x: np.ndarray,
    y: np.ndarray,
    level_a: np.ndarray,
    level_b: np.ndarray,
    shift: int,
    p: float,
    period: float,
    stride: int,
) -> tuple[float, int, int]:
    """Return what the cost rises by above a shift, and how far down and up it does so.

    As if all of `stride` neighbours among x were where the last of them is.
    """
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
        new = slope + step
        part = new - slope
        lost += (slope - (new - part)) + (step - part)
        slope = new
        i = i + stride if i + stride < n or i == n - 1 else n - 1
    return slope + lost, down, up


@inner
def _rise(x: np.ndarray, i: int, turn: int, y: float, p: float, period: float) -> float:
    """Return what the cost of y, moved on by turns, rises by from x[i] to the next x."""
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
def _close(
    x: np.ndarray,
    y: np.ndarray,
    level_a: np.ndarray,
    level_b: np.ndarray,
    shift: int,
    p: float,
    period: float,
    above: np.ndarray,
    f: np.ndarray,
) -> None:
    """Sum up what costs rise by at each level of x, so that f comes back to 0.

    Where a level of y ends as well, it may be the rise for the y that ends or for the
    one that begins, or any mixture; one mixture for all closes the circle.
    """
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
    # From behind the largest step, which would take the others' digits.
    value, lost = 0.0, 0.0
    for k in range(n):
        i = longest + 1 + k
        i = i - n if i >= n else i
        step = (1.0 - part) * f[i] + part * above[i]
        f[i] = value + lost
        new = value + step
        kept = new - value
        lost += (value - (new - kept)) + (step - kept)
        value = new


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
    """Write the arcs with mass, level to level, from where y begins; return their number.

    The x that is cut there comes first and last.
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
