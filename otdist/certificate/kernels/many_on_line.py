"""Compiled certificates of couplings on line and circle: many pairs, or a large one.

Used by nothing else, and by no solver. Weak duality, as in `certificate.certify`: the cost of a
coupling from above, any potential and its c-transform from below; for p = inf the
longest arc and Strassen's theorem.
"""

import math
from typing import NamedTuple

import numpy as np

from otdist.certificate.kernels.line_and_circle import (
    minima_around,
    monotone_minima,
    nearest_sums,
    to_power,
)
from otdist.runtime.kernel_cache import njit

_FLAGS = {"cache": True, "error_model": "numpy", "nogil": True, "_nrt": False}
# Without wrappers a kernel can be called by kernels only, and compiles in half the time.
_INNER = {**_FLAGS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
kernel = njit(**_FLAGS)
inner = njit(**_INNER)
reordering_inner = njit(**_INNER, fastmath={"contract", "nsz", "reassoc"})

_EPS = 2.0**-52
# Part of the mass that is rounding of the weights, for p = inf.
_SLACK = 1e-12


class Pair(NamedTuple):
    """One pair, and the coupling that is claimed for it."""

    x: np.ndarray  # (n,) float64, sorted
    y: np.ndarray  # (m,) float64, sorted
    a: np.ndarray  # (n,) float64
    b: np.ndarray  # (m,) float64, to be multiplied by `factor`
    factor: float
    rows: np.ndarray  # (arcs,) int32
    columns: np.ndarray  # (arcs,) int32
    mass: np.ndarray  # (arcs,) float64


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
    """Certify couplings of pairs, given by the indices `which` of their measures.

    On a circle, if there is a period, with positions within half of it of 0.

    Pair k has points ``x[which[0, k]]``, ``y[which[1, k]]``, both sorted, with masses
    ``a[which[2, k]]`` and ``factor[k] * b[which[3, k]]``; its claim is ``n_arcs[k]`` arcs
    and the potential ``f[k]``. To ``out[k]`` go lower bound, cost of the arcs, rounding
    that may be between them, marginal error, mass, and the largest cost of the points.
    Nothing is written where points are not sorted, or arcs, masses or potentials not as
    they must be. `sums` (2, n + m), `sides` (3, n), `best` (m,) and `spare` (m,) int64
    are scratch.
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
        )
        _bound(pair, f[k], p, period, sums, sides, best, spare, out[k])


@inner
def _bound(
    pair: Pair,
    f: np.ndarray,
    p: float,
    period: float,
    sums: np.ndarray,
    sides: np.ndarray,
    best: np.ndarray,
    spare: np.ndarray,
    out: np.ndarray,
) -> None:
    """Certify one pair."""
    x, y, n = pair.x, pair.y, pair.x.size
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
    # Atoms without mass constrain nothing.
    known = sides[0]
    for i in range(n):
        known[i] = f[i] if pair.a[i] > 0.0 else -np.inf
    if period > 0.0:
        minima_around(x, known, y, period, p, spare, best)
    elif p == 1.0:
        nearest_sums(x, known, y, sides[1], sides[2], spare, best)
    else:
        monotone_minima(x, known, y, p, spare, best)
    _bound_sum(pair, f, p, period, off, best, total, out)


@inner
def _is_sorted(points: np.ndarray) -> bool:
    n_bad = 0
    for i in range(1, points.size):
        n_bad += not (points[i - 1] <= points[i])
    return n_bad == 0


@inner
def _add_up(pair: Pair, sums: np.ndarray) -> bool:
    """Write the marginals of arcs; False if some are no arcs, or carry no mass.

    Of many arcs, in two parts: multiples of 2**-52 of the total, which add up exactly,
    and what is left of each mass. Equal masses would all round the same way.
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
    """Take the weights off the sums; return the size of what is left, and their sum."""
    error, total = 0.0, 0.0
    for i in range(weights.size):
        weight = factor * weights[i]
        sums[i] = (sums[i] - weight) + low[i]
        error += abs(sums[i])
        total += weight
    return error, total


@inner
def _longest_arc(x: np.ndarray, y: np.ndarray, whole: float, period: float) -> float:
    """Return a bound on all arcs: all but the largest gap of positions, or half."""
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


# Masses from which on a sum of them is in two parts.
_LONG_SUM = 1000
# Terms that are added up in any order; sums of such blocks are exact as far as matters.
_BLOCK = 64
# What a sum of a block may be off by, as a part of its terms.
_BLOCK_ROUNDING = 8 * _EPS


@reordering_inner
def _paid(pair: Pair, start: int, stop: int, p: float, period: float) -> float:
    """Return the cost of a block of arcs."""
    total = 0.0
    for k in range(start, stop):
        x, y = pair.x[pair.rows[k]], pair.y[pair.columns[k]]
        total += pair.mass[k] * to_power(_distance(x, y, period), p)
    return total


@reordering_inner
def _block(
    weights: np.ndarray, values: np.ndarray, shift: float, off: np.ndarray
) -> tuple[float, float, float]:
    """Return the sums of ``weights * (values + shift)``, of their sizes, and of `off`.

    The last are marginal errors times potentials. Atoms without mass have no part.
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
    """Return the same of any number, without rounding that grows with it."""
    total, lost, size, weighted = 0.0, 0.0, 0.0, 0.0
    for start in range(0, weights.size, _BLOCK):
        stop = min(start + _BLOCK, weights.size)
        part = _block(weights[start:stop], values[start:stop], shift, off[start:stop])
        new = total + part[0]
        kept = new - total
        lost += (total - (new - kept)) + (part[0] - kept)
        total = new
        size += part[1]
        weighted += part[2]
    return total + lost, size, weighted


@inner
def _bound_sum(
    pair: Pair,
    f: np.ndarray,
    p: float,
    period: float,
    off: np.ndarray,
    best: np.ndarray,
    total: float,
    out: np.ndarray,
) -> None:
    """Write the dual value, the cost of the arcs and the rounding between them."""
    a, b, factor, n = pair.a, pair.b, pair.factor, pair.x.size
    upper, lost = 0.0, 0.0
    for start in range(0, pair.mass.size, _BLOCK):
        term = _paid(pair, start, min(start + _BLOCK, pair.mass.size), p, period)
        new = upper + term
        kept = new - upper
        lost += (upper - (new - kept)) + (term - kept)
        upper = new
    upper += lost
    # Potentials are defined up to a constant; the balanced choice rounds least.
    value_b, size_best, _ = _balance(b, best, 0.0, off[n:])
    shift = (_balance(a, f, 0.0, off[:n])[0] - factor * value_b) / (2 * total)
    lower_a, size_a, weighted_a = _balance(a, f, -shift, off[:n])
    lower_b, size_b, weighted_b = _balance(b, best, shift, off[n:])
    lower = lower_a + factor * lower_b
    # The c-transform was rounded before the shift, in units of its own size, and
    # compares sums of coordinates.
    hidden = 2 * _EPS * (factor * size_best + total * out[5])
    hidden += _BLOCK_ROUNDING * (size_a + factor * size_b + upper)
    hidden += weighted_a + weighted_b
    if not (abs(lower) < np.inf and hidden < np.inf):
        return
    out[0], out[1], out[2] = lower, upper, hidden


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
