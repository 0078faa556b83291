"""Certificates of couplings on line and circle: many pairs, or a large one.

On the line the coupling in order is optimal, and arcs are compared with it. On a circle it is
weak duality, as in `certificate.certify`: the cost of a coupling is an upper bound, any potential
and its c-transform give a lower one. For p = inf the bounds are the longest arc and Strassen's
theorem.
"""

import math
from typing import NamedTuple

import numpy as np

from otdist.certificate.kernels.brackets import COUPLING, SPECK, TINY, UNDERFLOW, add_exactly
from otdist.runtime.kernel_cache import njit

_FLAGS = {"cache": True, "error_model": "numpy", "nogil": True, "_nrt": False}
_INNER = {**_FLAGS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
kernel = njit(**_FLAGS)
inner = njit(**_INNER)
reordering_inner = njit(**_INNER, fastmath={"contract", "nsz", "reassoc"})

# Unit roundoff of float64.
_U = 2.0**-53
# Part of the mass that is rounding of the weights, for p = inf.
_SLACK = 1e-12
# Terms that are added up in any order; sums of such blocks are compensated.
_BLOCK = 64
# Rounding error of these sums, as a part of their absolute terms.
_BLOCK_ROUNDING = 80 * _U
# Twice the errors of marginals are charged, and a little more for the rounding of their sums.
_SPARE = 2.0 + 2.0**-30
# Sums of weights this close have the ratio 1 and a small number; ratios this close are one.
_NEAR = 2.0**-40
_HALF_BITS = 2.0**27 + 1.0
# Errors of products of smaller numbers may underflow.
_LEAST_SPLIT = 2.0**-900
# Powers that are too small for float64 are off by less than this.
_LEAST = 2.0**-1050


@inner
def _to_power(distance: float, p: float) -> float:
    """Return ``distance ** p``."""
    if p == 1.0:
        return distance
    if p == 2.0:
        return distance * distance
    return distance * distance * distance if p == 3.0 else distance**p


@inner
def relative_error(p: float) -> float:
    """Return the error of a computed cost ``d ** p``, as a part of it; with a rounding to spare."""
    return (3.0 * p + 6.0) * _U


@inner
def _total(weights: np.ndarray) -> tuple[float, float, float]:
    """Return the sum as two numbers, and a bound on the error of the two."""
    total = lost = noise = 0.0
    for k in range(weights.size):
        total, error = add_exactly(total, weights[k])
        lost += error
        noise += abs(error)
    return total, lost, weights.size * _U * noise


class Minima(NamedTuple):
    """Sorted positions x with potentials f, and arrays for the minima at sorted y."""

    x: np.ndarray  # (n,) float64
    f: np.ndarray  # (n,) float64
    y: np.ndarray  # (m,) float64
    period: float  # 0 for the line
    p: float  # >= 1
    where: np.ndarray  # (m,) int64, a place of each y whose slack is nearly the least
    slip: np.ndarray  # (m,) float64, by how much that slack may exceed the least
    best: np.ndarray  # (m,) float64


@inner
def _write_minima(minima: Minima) -> None:
    """Write numbers that are at most, and nearly, ``min_i d(x[i], y[j]) ** p - f[i]``.

    Three turns of x make the minimum on a circle one on a line. There the minimising place
    rises by n with every turn of y, so that the first column shows where to search for all
    others. A line has the middle turn only. The minimising place never falls as j grows:
    halving the step between the j that are done therefore scans O(n + m) pairs a level.

    Costs are rounded, and so the place found for a column may not be the minimising one. No
    place outside the window of another column has a slack below that at the window's end by more
    than the end may miss the least slack of its own column, since the exact costs form a Monge
    matrix. Each minimum is lowered by that, and by its own rounding.
    """
    n, m = minima.x.size, minima.y.size
    first, last, slip = n, 2 * n - 1, 0.0
    if minima.period > 0.0:
        _scan(minima, 0, 0, 3 * n - 1, 0.0)
        first, slip = minima.where[0], minima.slip[0]
        last = min(first + n, 3 * n - 1)
    step = 1
    while step < m:
        step *= 2
    while step >= 1:
        for j in range(step - 1, m, 2 * step):
            low, high, before, after = first, last, slip, slip
            if j >= step:
                low, before = minima.where[j - step], minima.slip[j - step]
            if j + step < m:
                high, after = minima.where[j + step], minima.slip[j + step]
            _scan(minima, j, low, high, max(before, after))
        step //= 2


@inner
def _scan(minima: Minima, j: int, low: int, high: int, slip: float) -> None:
    """Find the least slack of column j among places of three turns of x.

    The places n to 2 n - 1 are x itself, the others x a turn before and behind. Costs are
    lowered by their error; a slack elsewhere is lower by no more than `slip`.
    """
    x, f, y_j, p = minima.x, minima.f, minima.y[j], minima.p
    n, half, relative = x.size, 0.5 * minima.period, relative_error(minima.p)
    least, first, paid = np.inf, low, 0.0
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
        cost = _to_power(distance, p) * (1.0 - relative)
        slack = cost - f[i]
        if slack < least:
            least, first, paid = slack, k, cost
    own = _U * abs(least)
    minima.best[j], minima.where[j] = least - own - slip, first
    minima.slip[j] = slip + 2.0 * (relative * paid + own)


@kernel
def sorted_minimum(
    x: np.ndarray,
    f: np.ndarray,
    y: np.ndarray,
    period: float,
    p: float,
    where: np.ndarray,
    slip: np.ndarray,
    best: np.ndarray,
) -> None:
    """Write numbers at most ``min_i d(x[i], y[j]) ** p - f[i]``, rounded down, p >= 1.

    Positions are sorted. The distance d is the shorter arc if there is a period, with positions
    within half of it of 0; a period of 0 stands for the line. `where` (m,) int64 and `slip` (m,)
    are scratch.
    """
    _write_minima(Minima(x, f, y, period, p, where, slip, best))


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


class Balance(NamedTuple):
    """By what part ``factor * b`` has to grow for the sum of a, and how well that is known."""

    apart: float
    noise: float


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
    side: np.ndarray,
    best: np.ndarray,
    spare: np.ndarray,
    out: np.ndarray,
) -> None:
    """Certify couplings of pairs, given by the indices `which` of their distributions.

    Pair k has points ``x[which[0, k]]`` and ``y[which[1, k]]``, both sorted, with weights
    ``a[which[2, k]]`` and ``factor[k] * b[which[3, k]]``, scaled to the same sum. A positive
    period stands for a circle, with positions within half of it of 0. The claim is ``n_arcs[k]``
    arcs and, on a circle, the potential ``f[k]``; on the line neither it nor `side`, `best` and
    `spare` are read. ``out[k]`` receives lower and upper bound, the cost, 1 for a coupling, mass,
    and the largest coordinate of an atom with mass. Nothing is written where points are not
    sorted, or arcs, masses or potentials are invalid. `sums` (2, n + m), `side` (n,), `best`
    (2, m) and `spare` (m,) int64 are scratch.
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
        _bound(pair, sums, side, best, spare, out[k])


@inner
def _bound(
    pair: Pair,
    sums: np.ndarray,
    side: np.ndarray,
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
    if _n_invalid(pair) > 0:
        return
    longest, out[5] = stop - start, max(_largest(x, pair.a), _largest(y, pair.b))
    if period == 0.0 and p < np.inf:
        order = _in_order(pair, sums[0], sums[1])
        charge = order.astray * longest**p
        spread = 1.0 + _BLOCK_ROUNDING + relative_error(p)
        lower, upper = order.cost * (2.0 - spread) - charge, order.cost * spread + charge
        out[3], out[4], total = order.n_bad == 0, order.total, order.total
        value, n_tiny = order.cost, order.n_tiny
    else:
        value, n_tiny = _add_up(pair, sums)
        left_a, total, bad_a = _error(pair.a, 1.0, sums[0, :n], sums[1, :n])
        left_b, _, bad_b = _error(pair.b, pair.factor, sums[0, n:], sums[1, n:])
        out[3], out[4] = bad_a + bad_b == 0, total
        if p == np.inf:
            _bound_longest(pair, total, out)
            if left_a + left_b > _SLACK * total:
                # Mass may go anywhere.
                out[1], out[2], out[3] = longest, longest, 0.0
            return
        balance = _balance_of(pair)
        left = left_a + left_b + (x.size + y.size) * 2.0**-100 * total
        left += (abs(balance.apart) + balance.noise) * total
        longest = _longest_arc(x, y, longest, period)
        lower = _dual_value(pair, balance, side, best[0], best[1], spare)
        upper = value * (1.0 + _BLOCK_ROUNDING + relative_error(p))
        upper += _SPARE * left * longest**p
    if n_tiny > 0:
        upper += _LEAST * total + UNDERFLOW
    # A distribution without mass, or numbers beyond float64, are for other code to refuse.
    if lower < np.inf and upper < np.inf:
        lower -= _LEAST * total + UNDERFLOW
        out[0], out[1], out[2] = max(lower, 0.0), upper, value


@inner
def _largest(points: np.ndarray, weights: np.ndarray) -> float:
    """Return the largest absolute value of sorted points that have mass."""
    first, last = 0, points.size - 1
    while first < last and weights[first] == 0.0:
        first += 1
    while first < last and weights[last] == 0.0:
        last -= 1
    return max(abs(points[first]), abs(points[last]))


class Order(NamedTuple):
    """What arcs say of the coupling in order, which is optimal on the line."""

    cost: float
    astray: float  # mass that may go elsewhere
    total: float
    n_bad: int  # arcs that are not those of this coupling
    n_tiny: int  # terms that may have underflowed


@inner
def _in_order(pair: Pair, high: np.ndarray, low: np.ndarray) -> Order:
    """Compare arcs with the coupling in order, and return its cost.

    That coupling is optimal, since costs ``|x - y| ** p`` of sorted points are a Monge matrix for
    p >= 1. At a level t it couples the first x and the first y whose levels reach t. An arc
    stands for the levels from where the last one ended up to the first at which its x or its y
    ends. Levels below which an earlier x or y would be right, levels passed twice, and those
    that no arc reaches, are mass that goes astray. `high` and `low` (n + m,) are scratch.
    """
    n = pair.x.size
    unit, ratio, noise = _write_levels(pair, high, low)
    last, last_low = high[n - 1], low[n - 1]
    speck = SPECK * last + noise
    done, rest, total, lost, astray = 0.0, 0.0, 0.0, 0.0, 0.0
    n_bad, n_tiny = int(not abs(pair.factor - ratio) <= _NEAR * ratio), 0
    for k in range(pair.mass.size):
        i, j = pair.rows[k], n + pair.columns[k]
        before = 0.0
        if i > 0:
            before = max(before, (high[i - 1] - done) + (low[i - 1] - rest))
        if j > n:
            before = max(before, (high[j - 1] - done) + (low[j - 1] - rest))
        is_first = (high[i] - high[j]) + (low[i] - low[j]) <= 0.0
        level = high[i] if is_first else high[j]
        level_low = low[i] if is_first else low[j]
        mass, distance = (level - done) + (level_low - rest), abs(pair.x[i] - pair.y[j - n])
        back = max(-mass, 0.0)
        off = abs(pair.mass[k] - mass * unit)
        n_bad += (off > COUPLING * pair.mass[k] + speck * unit) | (max(before, back) > speck)
        term = mass * _to_power(distance, pair.p) if mass > 0.0 else 0.0
        n_tiny += (term < TINY) & (distance > 0.0) & (mass > 0.0)
        total, error = add_exactly(total, term)
        lost += error
        astray += before + back
        done, rest = level, level_low
    left = abs((last - done) + (last_low - rest))
    n_bad += left > speck
    astray = (astray + left) * (1.0 + 2.0**-20) + (pair.p + 1.0) * noise
    return Order((total + lost) * unit, astray * unit, last * unit, n_bad, n_tiny)


@inner
def _write_levels(pair: Pair, high: np.ndarray, low: np.ndarray) -> tuple[float, float, float]:
    """Write levels of x, then of y with the sum of x, as sums of two numbers of some unit.

    Returns the unit, the ratio of the sums, and mass: p + 1 times that, rounding leads astray.
    Levels that are off by at most e move the distributions by e times the length of the line, and
    the optimum by 2 p times that, since costs have slopes up to p. The differences of two levels
    are rounded too, for each arc.
    """
    a, b, n, m = pair.a, pair.b, pair.a.size, pair.b.size
    common = math.gcd(n, m)
    part_a, part_b = m // common, n // common
    if n * part_a < 1 << 53 and _are_equal(a) and _are_equal(b):
        for i in range(n):
            high[i], low[i] = float((i + 1) * part_a), 0.0
        for j in range(m):
            high[n + j], low[n + j] = float((j + 1) * part_b), 0.0
        return a[0] / part_a, a[0] * part_b / (b[0] * part_a), 0.0
    size_a = _add_levels(a, high[:n], low[:n])
    size_b = _add_levels(b, high[n:], low[n:])
    ratio, more = _ratio(high[n - 1], low[n - 1], high[n + m - 1], low[n + m - 1])
    size = size_a + ratio * size_b + abs(more) * high[n + m - 1]
    if ratio == 1.0:
        for j in range(n, n + m):
            low[j] += high[j] * more
    else:
        if not high[n - 1] > _LEAST_SPLIT:
            return 1.0, ratio, np.inf
        size += 2.0 * _U * high[n - 1]
        for j in range(n, n + m):
            level, error = _multiply_exactly(high[j], ratio)
            low[j] = error + (low[j] * ratio + high[j] * more)
            high[j] = level
    # Both parts: a long sum leaves much of itself in `low`.
    return 1.0, ratio + more, 12.0 * (n + m) * _U * size


@inner
def _are_equal(weights: np.ndarray) -> bool:
    k = 1
    while k < weights.size and weights[k] == weights[0]:
        k += 1
    return k >= weights.size


@inner
def _add_levels(weights: np.ndarray, high: np.ndarray, low: np.ndarray) -> float:
    """Write running sums as sums of two numbers; return the absolute sum of what is in `low`."""
    total = lost = size = 0.0
    for k in range(weights.size):
        total, error = add_exactly(total, weights[k])
        lost += error
        size += abs(error)
        high[k], low[k] = total, lost
    return size


@inner
def _ratio(high_a: float, low_a: float, high_b: float, low_b: float) -> tuple[float, float]:
    """Return the ratio of two sums as a sum of two numbers, 1 and a small one where it can be."""
    ratio = high_a / high_b
    if abs(ratio - 1.0) < _NEAR:
        ratio = 1.0
    product, error = _multiply_exactly(high_b, ratio)
    return ratio, (((high_a - product) - error) + (low_a - ratio * low_b)) / high_b


@inner
def _multiply_exactly(left: float, right: float) -> tuple[float, float]:
    """Return the rounded product of two numbers and its rounding error (Dekker)."""
    product = left * right
    part = _HALF_BITS * left
    high_left = part - (part - left)
    part = _HALF_BITS * right
    high_right = part - (part - right)
    low_left, low_right = left - high_left, right - high_right
    error = ((high_left * high_right - product) + high_left * low_right) + low_left * high_right
    return product, error + low_left * low_right


@inner
def _balance_of(pair: Pair) -> Balance:
    sum_a, lost_a, noise_a = _total(pair.a)
    sum_b, lost_b, noise_b = _total(pair.b)
    if pair.factor != 1.0:
        # Products are rounded, and so is the ratio of the sums.
        scaled = pair.factor * sum_b
        return Balance(0.0, abs(sum_a - scaled) / scaled + 4.0 * _U)
    apart = ((sum_a - sum_b) + (lost_a - lost_b)) / sum_b
    return Balance(apart, (noise_a + noise_b) / sum_b)


@inner
def _dual_value(
    pair: Pair,
    balance: Balance,
    known: np.ndarray,
    best: np.ndarray,
    slip: np.ndarray,
    spare: np.ndarray,
) -> float:
    """Return the value of f and its c-transform, rounded down."""
    a, b = pair.a, pair.b
    for i in range(a.size):
        # Atoms without mass do not constrain the potential.
        known[i] = pair.f[i] if a[i] > 0.0 else -np.inf
    _write_minima(Minima(pair.x, known, pair.y, pair.period, pair.p, spare, slip, best))
    of_a, size_a = _sum_of_products(a, known)
    of_b, size_b = _sum_of_products(b, best)
    size = size_a + pair.factor * size_b
    lower = of_a + pair.factor * of_b * (1.0 + balance.apart)
    return lower - _BLOCK_ROUNDING * size - balance.noise * pair.factor * size_b


@inner
def _is_sorted(points: np.ndarray) -> bool:
    n_bad = 0
    for i in range(1, points.size):
        n_bad += not (points[i - 1] <= points[i])
    return n_bad == 0


@inner
def _add_up(pair: Pair, sums: np.ndarray) -> tuple[float, int]:
    """Write the marginals of the arcs; return their cost, and terms that may have underflowed.

    Marginals are sums of two parts: of multiples of 2**-52 of the total, which add up exactly, and
    of the rest of each mass. Plain sums of many equal masses would all round the same way.
    """
    rows, columns, mass, p, n = pair.rows, pair.columns, pair.mass, pair.p, pair.x.size
    for i in range(sums.shape[1]):
        sums[0, i] = 0.0
        sums[1, i] = 0.0
    size = _size(mass)
    shift = math.ldexp(1.5, math.frexp(size)[1]) if size < np.inf else 0.0
    total, lost, n_tiny = 0.0, 0.0, 0
    for k in range(mass.size):
        i, j = rows[k], columns[k]
        high = (mass[k] + shift) - shift
        sums[0, i] += high
        sums[0, n + j] += high
        sums[1, i] += mass[k] - high
        sums[1, n + j] += mass[k] - high
        if p < np.inf:
            distance = _distance(pair.x[i], pair.y[j], pair.period)
            term = mass[k] * _to_power(distance, p)
            total, error = add_exactly(total, term)
            lost += error
            n_tiny += (term < TINY) & (distance > 0.0) & (mass[k] > 0.0)
    return total + lost, n_tiny


@inner
def _n_invalid(pair: Pair) -> int:
    """Return how many arcs have an end that does not exist, or an invalid mass."""
    n_bad = 0
    for k in range(pair.mass.size):
        i, j, mass = pair.rows[k], pair.columns[k], pair.mass[k]
        # Without branches, for vectors.
        is_arc = (i >= 0) & (i < pair.x.size) & (j >= 0) & (j < pair.y.size)
        n_bad += not (is_arc & (mass >= 0.0) & (mass < np.inf))
    return n_bad


@reordering_inner
def _size(weights: np.ndarray) -> float:
    """Return the sum of weights, added in any order."""
    total = 0.0
    for k in range(weights.size):
        total += weights[k]
    return total


@inner
def _error(
    weights: np.ndarray, factor: float, sums: np.ndarray, low: np.ndarray
) -> tuple[float, float, int]:
    """Return the absolute error of the sums, the total weight, and how many are not fitting."""
    error, n_bad, total = 0.0, 0, factor * _size(weights)
    for i in range(weights.size):
        weight = factor * weights[i]
        off = abs((sums[i] - weight) + low[i])
        n_bad += off > COUPLING * weight + SPECK * total
        error += off
    return error, total, n_bad


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
def _block(weights: np.ndarray, values: np.ndarray) -> tuple[float, float]:
    """Return sums of ``weights * values`` and of absolute terms; weights of 0 do not count."""
    total, size = 0.0, 0.0
    for i in range(weights.size):
        term = weights[i] * (values[i] if weights[i] > 0.0 else 0.0)
        total += term
        size += abs(term)
    return total, size


@inner
def _sum_of_products(weights: np.ndarray, values: np.ndarray) -> tuple[float, float]:
    """Return the sums of `_block` for any number of atoms; their rounding does not grow."""
    total, lost, size = 0.0, 0.0, 0.0
    for start in range(0, weights.size, _BLOCK):
        stop = min(start + _BLOCK, weights.size)
        part = _block(weights[start:stop], values[start:stop])
        total, error = add_exactly(total, part[0])
        lost += error
        size += part[1]
    return total + lost, size


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
    # A difference of two numbers is rounded once.
    out[0], out[1], out[2] = min(lower, upper) * (1.0 - 2 * _U), upper * (1.0 + 2 * _U), upper


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
