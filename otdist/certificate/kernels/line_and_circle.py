"""Certificates of couplings on line and circle: many pairs, or a large one.

Weak duality, as in `certificate.certify`: the cost of a coupling is an upper bound, any
potential and its c-transform give a lower one. For p = inf the bounds are the longest arc and
Strassen's theorem.
"""

import math
from typing import NamedTuple

import numpy as np

from otdist.certificate.kernels.brackets import add_exactly
from otdist.runtime.kernel_cache import njit

_FLAGS = {"cache": True, "error_model": "numpy", "nogil": True, "_nrt": False}
_INNER = {**_FLAGS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
kernel = njit(**_FLAGS)
inner = njit(**_INNER)
reordering_inner = njit(**_INNER, fastmath={"contract", "nsz", "reassoc"})

_EPS = 2.0**-52
# Part of the mass that is rounding of the weights, for p = inf.
_SLACK = 1e-12
# Masses from which on a sum of them is in two parts.
_LONG_SUM = 1000
# Terms that are added up in any order; the sum of sums of such blocks is exact.
_BLOCK = 64
# Rounding error of the sum of a block, as a part of its absolute terms.
_BLOCK_ROUNDING = 8 * _EPS


@inner
def _to_power(distance: float, p: float) -> float:
    """Return ``distance ** p``."""
    if p == 1.0:
        return distance
    if p == 2.0:
        return distance * distance
    return distance * distance * distance if p == 3.0 else distance**p


@inner
def _nearest_sums(
    x: np.ndarray,
    f: np.ndarray,
    y: np.ndarray,
    left: np.ndarray,
    right: np.ndarray,
    where: np.ndarray,
    best: np.ndarray,
) -> None:
    """Write ``min_i |x[i] - y[j]| - f[i]``; `where` (m,) int64 is scratch.

    `left` and `right` (n,) take the minima at the points x over atoms to the left and to the
    right. From one point to the next a minimum changes by their distance, so that an offset
    common to all points costs no digits.
    """
    n, i = x.size, 0
    from_left, from_right = np.inf, np.inf
    last_left, last_right = x[0], x[n - 1]
    for k in range(n):
        i = n - 1 - k
        from_left += x[k] - last_left
        from_right += last_right - x[i]
        last_left, last_right = x[k], x[i]
        from_left = min(from_left, -f[k])
        from_right = min(from_right, -f[i])
        left[k], right[i] = from_left, from_right
    # How many x are to the left of each y, merged without branches.
    i, j = 0, 0
    while i < n and j < y.size:
        passed = x[i] <= y[j]
        where[j] = i
        i += passed
        j += not passed
    while j < y.size:
        where[j] = n
        j += 1
    for j in range(y.size):
        # Beyond either end the nearest x replaces the one that is missing: it adds a minimum
        # over fewer atoms, which is no smaller than the one of the other side.
        below, above = max(where[j] - 1, 0), min(where[j], n - 1)
        best[j] = min(left[below] + abs(y[j] - x[below]), right[above] + abs(x[above] - y[j]))


class Minima(NamedTuple):
    """Sorted positions x with potentials f, and arrays for the minima at sorted y."""

    x: np.ndarray  # (n,) float64
    f: np.ndarray  # (n,) float64
    y: np.ndarray  # (m,) float64
    period: float  # 0 for the line
    p: float  # >= 1
    where: np.ndarray  # (m,) int64, the minimising place of each y
    best: np.ndarray  # (m,) float64


@inner
def _write_minima(minima: Minima) -> None:
    """Write ``min_i d(x[i], y[j]) ** p - f[i]``.

    Three turns of x make the minimum on a circle one on a line. There the minimising place
    rises by n with every turn of y, so that the first column shows where to search for all
    others. A line has the middle turn only. The minimising place never falls as j grows:
    halving the step between the j that are done therefore scans O(n + m) pairs a level.
    """
    n, m = minima.x.size, minima.y.size
    first, last = n, 2 * n - 1
    if minima.period > 0.0:
        _scan(minima, 0, 0, 3 * n - 1)
        first = minima.where[0]
        last = min(first + n, 3 * n - 1)
    step = 1
    while step < m:
        step *= 2
    while step >= 1:
        for j in range(step - 1, m, 2 * step):
            low = minima.where[j - step] if j >= step else first
            high = minima.where[j + step] if j + step < m else last
            _scan(minima, j, low, high)
        step //= 2


@inner
def _scan(minima: Minima, j: int, low: int, high: int) -> None:
    """Find the least slack of column j among places of three turns of x.

    The places n to 2 n - 1 are x itself, the others x a turn before and behind.
    """
    x, f, y_j, p = minima.x, minima.f, minima.y[j], minima.p
    n, half = x.size, 0.5 * minima.period
    least, first = np.inf, low
    for k in range(low, high + 1):
        if k < n:
            i = k
            distance = (half - x[i]) + (y_j + half)
        elif k < 2 * n:
            i = k - n
            distance = abs(x[i] - y_j)
        else:
            i = k - 2 * n
            distance = (half - y_j) + (x[i] + half)
        slack = _to_power(distance, p) - f[i]
        if slack < least:
            least, first = slack, k
    minima.best[j], minima.where[j] = least, first


@kernel
def sorted_minimum(
    x: np.ndarray,
    f: np.ndarray,
    y: np.ndarray,
    period: float,
    p: float,
    where: np.ndarray,
    best: np.ndarray,
) -> None:
    """Write ``min_i d(x[i], y[j]) ** p - f[i]`` for sorted positions and p >= 1.

    The distance d is the shorter arc if there is a period, with positions within half of it
    of 0; a period of 0 stands for the line. `where` (m,) int64 is scratch.
    """
    _write_minima(Minima(x, f, y, period, p, where, best))


class Pair(NamedTuple):
    """One pair of distributions, its cost, and the coupling and potential claimed."""

    x: np.ndarray  # (n,) float64, sorted
    y: np.ndarray  # (m,) float64, sorted
    a: np.ndarray  # (n,) float64
    b: np.ndarray  # (m,) float64, to be multiplied by `factor`
    factor: float
    rows: np.ndarray  # (arcs,) int32
    columns: np.ndarray  # (arcs,) int32
    mass: np.ndarray  # (arcs,) float64
    f: np.ndarray  # (n,) float64, the potential of x
    p: float
    period: float  # 0 for the line


@kernel
def line_bounds(
    x: np.ndarray,
    y: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    which: np.ndarray,
    factor: np.ndarray,
    p: float,
    period: float,
    rows: np.ndarray,
    columns: np.ndarray,
    mass: np.ndarray,
    n_arcs: np.ndarray,
    f: np.ndarray,
    sums: np.ndarray,
    sides: np.ndarray,
    best: np.ndarray,
    spare: np.ndarray,
    out: np.ndarray,
) -> None:
    """Certify couplings of pairs, given by the indices `which` of their distributions.

    Pair k has points ``x[which[0, k]]`` and ``y[which[1, k]]``, both sorted, with weights
    ``a[which[2, k]]`` and ``factor[k] * b[which[3, k]]``. A positive period stands for a
    circle, with positions within half of it of 0. The claim is ``n_arcs[k]`` arcs and the
    potential ``f[k]``. ``out[k]`` receives lower bound, cost of the arcs, rounding error of
    both, marginal error, mass, and the largest cost of the points. Nothing is written where
    points are not sorted, or arcs, masses or potentials are invalid. `sums` (2, n + m),
    `sides` (3, n), `best` (m,) and `spare` (m,) int64 are scratch.
    """
    for k in range(n_arcs.size):
        if not 0 < n_arcs[k] <= rows.shape[1]:
            continue
        used = slice(0, n_arcs[k])
        pair = Pair(
            x[which[0, k]],
            y[which[1, k]],
            a[which[2, k]],
            b[which[3, k]],
            factor[k],
            rows[k, used],
            columns[k, used],
            mass[k, used],
            f[k],
            p,
            period,
        )
        _bound(pair, sums, sides, best, spare, out[k])


@inner
def _bound(
    pair: Pair,
    sums: np.ndarray,
    sides: np.ndarray,
    best: np.ndarray,
    spare: np.ndarray,
    out: np.ndarray,
) -> None:
    """Certify one pair."""
    x, y, n, p, period = pair.x, pair.y, pair.x.size, pair.p, pair.period
    if not (_is_sorted(x) and _is_sorted(y)):
        return
    start, stop = min(x[0], y[0]), max(x[n - 1], y[y.size - 1])
    if period > 0.0 and not -0.5 * period <= start <= stop <= 0.5 * period:
        return
    if not _add_up(pair, sums):
        return
    off = sums[0]
    error, total = _error(pair.a, 1.0, off[:n], sums[1, :n])
    error += _error(pair.b, pair.factor, off[n:], sums[1, n:])[0]
    longest = stop - start
    if period > 0.0:
        longest = _longest_arc(x, y, longest, period)
    if p == np.inf:
        out[3], out[4], out[5] = error, total, longest
        _bound_longest(pair, total, out)
        return
    out[3], out[4], out[5] = error, total, longest**p
    # Atoms without mass do not constrain the potential.
    known = sides[0]
    for i in range(n):
        known[i] = pair.f[i] if pair.a[i] > 0.0 else -np.inf
    if period == 0.0 and p == 1.0:
        _nearest_sums(x, known, y, sides[1], sides[2], spare, best)
    else:
        _write_minima(Minima(x, known, y, period, p, spare, best))
    _bound_sum(pair, off, best, total, out)


@inner
def _is_sorted(points: np.ndarray) -> bool:
    n_bad = 0
    for i in range(1, points.size):
        n_bad += not (points[i - 1] <= points[i])
    return n_bad == 0


@inner
def _add_up(pair: Pair, sums: np.ndarray) -> bool:
    """Write the marginals of the arcs; return False if an index or a mass is invalid.

    Many arcs are summed in two parts: multiples of 2**-52 of the total, which add up exactly,
    and the rest of each mass. Sums of many equal masses would all round the same way.
    """
    rows, columns, mass = pair.rows, pair.columns, pair.mass
    n, m = pair.x.size, pair.y.size
    for i in range(n + m):
        sums[0, i] = 0.0
        sums[1, i] = 0.0
    shift = 0.0
    if mass.size > _LONG_SUM:
        total = 0.0
        for k in range(mass.size):
            total += mass[k]
        shift = math.ldexp(1.5, math.frexp(total)[1]) if total < np.inf else 0.0
    for k in range(mass.size):
        i, j = rows[k], columns[k]
        if not (0 <= i < n and 0 <= j < m and 0.0 <= mass[k] < np.inf):
            return False
        high = (mass[k] + shift) - shift
        sums[0, i] += high
        sums[0, n + j] += high
        if shift > 0.0:
            sums[1, i] += mass[k] - high
            sums[1, n + j] += mass[k] - high
    return True


@reordering_inner
def _error(
    weights: np.ndarray, factor: float, sums: np.ndarray, low: np.ndarray
) -> tuple[float, float]:
    """Subtract the weights from the sums; return the absolute error, and the total weight."""
    error, total = 0.0, 0.0
    for i in range(weights.size):
        weight = factor * weights[i]
        sums[i] = (sums[i] - weight) + low[i]
        error += abs(sums[i])
        total += weight
    return error, total


@inner
def _longest_arc(x: np.ndarray, y: np.ndarray, whole: float, period: float) -> float:
    """Return a bound on all arcs: the period without the largest gap, or half the period."""
    i, j, half, gap = 0, 0, 0.5 * period, period - whole
    last = min(x[0], y[0])
    for _ in range(x.size + y.size):
        from_x = j == y.size or (i < x.size and x[i] <= y[j])
        position = x[i] if from_x else y[j]
        if position - last > gap:
            gap, whole = position - last, (half - position) + (last + half)
        last = position
        i += from_x
        j += not from_x
    return min(whole, half)


@inner
def _distance(x: float, y: float, period: float) -> float:
    """Return ``|x - y|``, or the shorter arc if there is a period."""
    distance = abs(x - y)
    if period == 0.0:
        return distance
    half = 0.5 * period
    return min(distance, (half - max(x, y)) + (min(x, y) + half))


@reordering_inner
def _paid(pair: Pair, start: int, stop: int) -> float:
    """Return the cost of a block of arcs."""
    total = 0.0
    for k in range(start, stop):
        x, y = pair.x[pair.rows[k]], pair.y[pair.columns[k]]
        total += pair.mass[k] * _to_power(_distance(x, y, pair.period), pair.p)
    return total


@reordering_inner
def _block(
    weights: np.ndarray, values: np.ndarray, shift: float, off: np.ndarray
) -> tuple[float, float, float]:
    """Return sums of ``weights * (values + shift)``, of absolute terms, and of errors.

    The last sum is of marginal errors `off` times potentials. Atoms without mass do not count.
    """
    total, size, weighted = 0.0, 0.0, 0.0
    for i in range(weights.size):
        value = values[i] + shift if weights[i] > 0.0 else 0.0
        term = weights[i] * value
        total += term
        size += abs(term)
        weighted += abs(off[i]) * abs(value)
    return total, size, weighted


@inner
def _balance(
    weights: np.ndarray, values: np.ndarray, shift: float, off: np.ndarray
) -> tuple[float, float, float]:
    """Return the sums of `_block` for any number of atoms; their rounding does not grow."""
    total, lost, size, weighted = 0.0, 0.0, 0.0, 0.0
    for start in range(0, weights.size, _BLOCK):
        stop = min(start + _BLOCK, weights.size)
        part = _block(weights[start:stop], values[start:stop], shift, off[start:stop])
        total, error = add_exactly(total, part[0])
        lost += error
        size += part[1]
        weighted += part[2]
    return total + lost, size, weighted


@inner
def _bound_sum(
    pair: Pair, off: np.ndarray, best: np.ndarray, total: float, out: np.ndarray
) -> None:
    """Write the dual value, the cost of the arcs and the rounding error of both."""
    a, b, f, factor, n = pair.a, pair.b, pair.f, pair.factor, pair.x.size
    upper, lost = 0.0, 0.0
    for start in range(0, pair.mass.size, _BLOCK):
        term = _paid(pair, start, min(start + _BLOCK, pair.mass.size))
        upper, error = add_exactly(upper, term)
        lost += error
    upper += lost
    # Potentials are defined up to a constant; the balanced choice rounds least.
    value_b, size_best, _ = _balance(b, best, 0.0, off[n:])
    shift = (_balance(a, f, 0.0, off[:n])[0] - factor * value_b) / (2 * total)
    lower_a, size_a, weighted_a = _balance(a, f, -shift, off[:n])
    lower_b, size_b, weighted_b = _balance(b, best, shift, off[n:])
    lower = lower_a + factor * lower_b
    # The c-transform was rounded before the shift, in units of its own size, and
    # compares sums of coordinates.
    rounding = 2 * _EPS * (factor * size_best + total * out[5])
    rounding += _BLOCK_ROUNDING * (size_a + factor * size_b + upper)
    rounding += weighted_a + weighted_b
    if not (abs(lower) < np.inf and rounding < np.inf):
        return
    out[0], out[1], out[2] = lower, upper, rounding


@inner
def _bound_longest(pair: Pair, total: float, out: np.ndarray) -> None:
    """Write bounds of the longest distance, as `certificate.bottleneck` finds them."""
    x, y, slack, upper = pair.x, pair.y, _SLACK * total, 0.0
    for k in range(pair.mass.size):
        if pair.mass[k] > slack / (x.size + y.size):
            upper = max(upper, abs(x[pair.rows[k]] - y[pair.columns[k]]))
    lower = max(
        _longest_crossing(x, pair.a, 1.0, y, pair.b, pair.factor, slack),
        _longest_crossing(y, pair.b, pair.factor, x, pair.a, 1.0, slack),
    )
    out[0], out[1], out[2] = min(lower, upper), upper, 0.0


@inner
def _longest_crossing(
    x: np.ndarray,
    a: np.ndarray,
    factor_a: float,
    y: np.ndarray,
    b: np.ndarray,
    factor_b: float,
    slack: float,
) -> float:
    """Return the largest t - s such that mass of a at or below s must reach t."""
    must_fit, longest, j = -slack, 0.0, 0
    room = b[0] * factor_b
    for i in range(x.size):
        must_fit += a[i] * factor_a
        while room < must_fit and j < y.size - 1:
            j += 1
            room += b[j] * factor_b
        if must_fit > 0.0:
            longest = max(longest, y[j] - x[i])
    return longest
