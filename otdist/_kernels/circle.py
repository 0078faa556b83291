"""The best cut of a circle: how far one measure's levels are ahead of the other's."""

import numpy as np
from numba import njit


@njit(
    cache=True,
    error_model="numpy",
    nogil=True,
    _nrt=False,
    no_cpython_wrapper=True,
    no_cfunc_wrapper=True,
)
def _cost(x: float, turn: int, y: float, period: float, p: float) -> float:
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
    if p == 1.0:
        return distance
    return distance * distance if p == 2.0 else distance**p


@njit(cache=True, error_model="numpy", nogil=True, _nrt=False)
def steps_at(
    x: np.ndarray,
    y: np.ndarray,
    level_a: np.ndarray,
    level_b: np.ndarray,
    shift: int,
    period: float,
    p: float,
    below: np.ndarray,
    above: np.ndarray,
) -> None:
    """Write what costs rise by, from each x to the next, at the y its level meets.

    Sorted positions x (n,) and y (m,) end at the levels `level_a` and `level_b` of one
    total; those of x are moved up by `shift`, no more than the total either way, and
    both go on around the circle. Where a level of y ends as well, `below` has the rise
    for the y that ends, `above` for the one that begins; elsewhere they are the same.
    """
    n, m, total = x.size, y.size, level_b[-1]
    turn, j = (level_a[0] + shift - 1) // total, 0
    for i in range(n):
        level = level_a[i] + shift
        # The first y that ends at this level or above.
        while level_b[j] + turn * total < level:
            j += 1
            if j == m:
                j, turn = 0, turn + 1
        after, ahead = (i + 1, 0) if i + 1 < n else (0, 1)
        below[i] = _cost(x[after], ahead - turn, y[j], period, p)
        below[i] -= _cost(x[i], -turn, y[j], period, p)
        above[i] = below[i]
        if level_b[j] + turn * total == level:
            behind, k = (turn, j + 1) if j + 1 < m else (turn + 1, 0)
            above[i] = _cost(x[after], ahead - behind, y[k], period, p)
            above[i] -= _cost(x[i], -behind, y[k], period, p)


@njit(
    cache=True,
    error_model="numpy",
    nogil=True,
    _nrt=False,
    no_cpython_wrapper=True,
    no_cfunc_wrapper=True,
)
def _slope_at(
    x: np.ndarray,
    y: np.ndarray,
    level_a: np.ndarray,
    level_b: np.ndarray,
    shift: int,
    period: float,
    p: float,
) -> tuple[float, int, int]:
    """Return what the cost rises by above a shift, and how far down and up it does so."""
    n, m, total = x.size, y.size, level_b[-1]
    turn, j = (level_a[0] + shift) // total, 0
    slope, lost = 0.0, 0.0
    down = up = total
    for i in range(n):
        level = level_a[i] + shift
        # The y that has mass just above this level.
        while level_b[j] + turn * total <= level:
            j += 1
            if j == m:
                j, turn = 0, turn + 1
        up = min(up, level_b[j] + turn * total - level)
        began = level_b[j - 1] if j > 0 else 0
        down = min(down, level - began - turn * total)
        after, ahead = (i + 1, 0) if i + 1 < n else (0, 1)
        step = _cost(x[i], -turn, y[j], period, p)
        step -= _cost(x[after], ahead - turn, y[j], period, p)
        new = slope + step
        part = new - slope
        lost += (slope - (new - part)) + (step - part)
        slope = new
    return slope + lost, down, up


@njit(cache=True, error_model="numpy", nogil=True, _nrt=False)
def best_shift(
    x: np.ndarray,
    y: np.ndarray,
    level_a: np.ndarray,
    level_b: np.ndarray,
    period: float,
    p: float,
) -> int:
    """Return the shift of the levels of x at which coupling level to level costs least.

    The cost is convex in the shift, and linear between those at which two levels meet.
    Its slope is found in O(n + m); halving the range, whose ends move on to where
    levels meet, ends at the optimum and not merely near it.
    """
    low, high = -level_b[-1], level_b[-1]
    while low < high:
        shift = low + (high - low) // 2
        slope, down, up = _slope_at(x, y, level_a, level_b, shift, period, p)
        if slope >= 0.0:
            high = shift - down
        else:
            low = shift + up
    return high
