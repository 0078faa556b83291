"""Compiled certificates of couplings on line and circle: many pairs, or a large one.

Used by nothing else, and by no solver. Weak duality, as in `_certify`: the cost of a
coupling from above, any potential and its c-transform from below; for p = inf the
longest arc and Strassen's theorem.
"""

import math

import numpy as np
from numba import njit

from otdist._kernels.certificate_minima import (
    minima_around,
    monotone_minima,
    nearest_sums,
    to_power,
)

_EPS = 2.0**-52
# Part of the mass that is rounding of the weights, for p = inf.
_SLACK = 1e-12


@njit(cache=True, error_model="numpy", nogil=True, _nrt=False)
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
    All are NaN where points are not sorted, or arcs, masses or potentials not as they
    must be. `sums` (2, n + m), `sides` (3, n), `best` (m,) and
    `spare` (m,) int64 are scratch.
    """
    n = x.shape[1]
    for k in range(n_arcs.size):
        out[k] = np.nan
        points_x, points_y = x[which[0, k]], y[which[1, k]]
        weights_a, weights_b = a[which[2, k]], b[which[3, k]]
        if not (_is_sorted(points_x) and _is_sorted(points_y)):
            continue
        start, stop = min(points_x[0], points_y[0]), max(points_x[-1], points_y[-1])
        if period > 0.0 and not -0.5 * period <= start <= stop <= 0.5 * period:
            continue
        if not 0 < n_arcs[k] <= rows.shape[1]:
            continue
        arcs = n_arcs[k]
        if not _add_up(rows[k, :arcs], columns[k, :arcs], mass[k, :arcs], sums, n):
            continue
        off = sums[0]
        error, total = _error(weights_a, 1.0, off[:n], sums[1, :n])
        error += _error(weights_b, factor[k], off[n:], sums[1, n:])[0]
        out[k, 3], out[k, 4] = error, total
        longest = stop - start
        if period > 0.0:
            longest = _longest_arc(points_x, points_y, longest, period)
        out[k, 5] = longest if p == np.inf else longest**p
        if p == np.inf:
            _bound_longest(
                points_x,
                points_y,
                weights_a,
                weights_b,
                factor[k],
                rows[k, :arcs],
                columns[k, :arcs],
                mass[k, :arcs],
                total,
                out[k],
            )
            continue
        # Atoms without mass constrain nothing.
        known = sides[0]
        for i in range(n):
            known[i] = f[k, i] if weights_a[i] > 0.0 else -np.inf
        if period > 0.0:
            minima_around(points_x, known, points_y, period, p, spare, best)
        elif p == 1.0:
            nearest_sums(points_x, known, points_y, sides[1:], spare, best)
        else:
            monotone_minima(points_x, known, points_y, p, spare, best)
        _bound_sum(
            points_x,
            points_y,
            weights_a,
            weights_b,
            factor[k],
            p,
            period,
            rows[k, :arcs],
            columns[k, :arcs],
            mass[k, :arcs],
            f[k],
            off,
            best,
            total,
            out[k],
        )


@njit(
    cache=True,
    error_model="numpy",
    nogil=True,
    _nrt=False,
    no_cpython_wrapper=True,
    no_cfunc_wrapper=True,
)
def _is_sorted(points: np.ndarray) -> bool:
    n_bad = 0
    for i in range(1, points.size):
        n_bad += not (points[i - 1] <= points[i])
    return n_bad == 0


@njit(
    cache=True,
    error_model="numpy",
    nogil=True,
    _nrt=False,
    no_cpython_wrapper=True,
    no_cfunc_wrapper=True,
)
def _add_up(
    rows: np.ndarray, columns: np.ndarray, mass: np.ndarray, sums: np.ndarray, n: int
) -> bool:
    """Write the marginals of arcs; False if some are no arcs, or carry no mass.

    Of many arcs, in two parts: multiples of 2**-52 of the total, which add up exactly,
    and what is left of each mass. Equal masses would all round the same way.
    """
    m = sums.shape[1] - n
    sums[:] = 0.0
    total = 0.0
    for k in range(mass.size):
        i, j = rows[k], columns[k]
        if not (0 <= i < n and 0 <= j < m and 0.0 <= mass[k] < np.inf):
            return False
        total += mass[k]
    shift = 0.0
    if mass.size > _LONG_SUM:
        shift = math.ldexp(1.5, math.frexp(total)[1])
    for k in range(mass.size):
        i, j = rows[k], n + columns[k]
        high = (mass[k] + shift) - shift
        sums[0, i] += high
        sums[0, j] += high
        if shift > 0.0:
            sums[1, i] += mass[k] - high
            sums[1, j] += mass[k] - high
    return True


@njit(
    cache=True,
    error_model="numpy",
    nogil=True,
    _nrt=False,
    fastmath={"reassoc", "nsz", "contract"},
    no_cpython_wrapper=True,
    no_cfunc_wrapper=True,
)
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


@njit(
    cache=True,
    error_model="numpy",
    nogil=True,
    _nrt=False,
    no_cpython_wrapper=True,
    no_cfunc_wrapper=True,
)
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


@njit(
    cache=True,
    error_model="numpy",
    nogil=True,
    _nrt=False,
    no_cpython_wrapper=True,
    no_cfunc_wrapper=True,
)
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


@njit(
    cache=True,
    error_model="numpy",
    nogil=True,
    _nrt=False,
    fastmath={"reassoc", "nsz", "contract"},
    no_cpython_wrapper=True,
    no_cfunc_wrapper=True,
)
def _paid(
    x: np.ndarray,
    y: np.ndarray,
    rows: np.ndarray,
    columns: np.ndarray,
    mass: np.ndarray,
    p: float,
    period: float,
) -> float:
    """Return the cost of a block of arcs."""
    total = 0.0
    for k in range(mass.size):
        distance = _distance(x[rows[k]], y[columns[k]], period)
        total += mass[k] * to_power(distance, p)
    return total


@njit(
    cache=True,
    error_model="numpy",
    nogil=True,
    _nrt=False,
    fastmath={"reassoc", "nsz", "contract"},
    no_cpython_wrapper=True,
    no_cfunc_wrapper=True,
)
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


@njit(
    cache=True,
    error_model="numpy",
    nogil=True,
    _nrt=False,
    no_cpython_wrapper=True,
    no_cfunc_wrapper=True,
)
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


@njit(
    cache=True,
    error_model="numpy",
    nogil=True,
    _nrt=False,
    no_cpython_wrapper=True,
    no_cfunc_wrapper=True,
)
def _bound_sum(
    x: np.ndarray,
    y: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    factor: float,
    p: float,
    period: float,
    rows: np.ndarray,
    columns: np.ndarray,
    mass: np.ndarray,
    f: np.ndarray,
    off: np.ndarray,
    best: np.ndarray,
    total: float,
    out: np.ndarray,
) -> None:
    """Write the dual value, the cost of the arcs and the rounding between them."""
    n = x.size
    upper, lost = 0.0, 0.0
    for start in range(0, mass.size, _BLOCK):
        part = slice(start, min(start + _BLOCK, mass.size))
        term = _paid(x, y, rows[part], columns[part], mass[part], p, period)
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
        out[:] = np.nan
        return
    out[0], out[1], out[2] = lower, upper, hidden


@njit(
    cache=True,
    error_model="numpy",
    nogil=True,
    _nrt=False,
    no_cpython_wrapper=True,
    no_cfunc_wrapper=True,
)
def _bound_longest(
    x: np.ndarray,
    y: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    factor: float,
    rows: np.ndarray,
    columns: np.ndarray,
    mass: np.ndarray,
    total: float,
    out: np.ndarray,
) -> None:
    """Write bounds of the longest distance, as `_bottleneck` finds them."""
    slack, upper = _SLACK * total, 0.0
    for k in range(mass.size):
        if mass[k] > slack / (x.size + y.size):
            upper = max(upper, abs(x[rows[k]] - y[columns[k]]))
    lower = max(
        _longest_crossing(x, a, 1.0, y, b, factor, slack),
        _longest_crossing(y, b, factor, x, a, 1.0, slack),
    )
    out[0], out[1], out[2] = min(lower, upper), upper, 0.0


@njit(
    cache=True,
    error_model="numpy",
    nogil=True,
    _nrt=False,
    no_cpython_wrapper=True,
    no_cfunc_wrapper=True,
)
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
