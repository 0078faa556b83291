"""Compiled certificates of couplings on the line: many pairs, or one large one.

Used by nothing else, and by no solver. Weak duality, as in `_certify`: the cost of a
coupling from above, any potential and its c-transform from below; for p = inf the
longest arc and Strassen's theorem.
"""

import numpy as np
from numba import njit

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

    Pair k has points ``x[which[0, k]]``, ``y[which[1, k]]``, both sorted, with masses
    ``a[which[2, k]]`` and ``factor[k] * b[which[3, k]]``; its claim is ``n_arcs[k]`` arcs
    and the potential ``f[k]``. To ``out[k]`` go lower bound, cost of the arcs, rounding
    that may be between them, marginal error, mass, and the largest cost of the points.
    All are NaN where points are not sorted, or arcs, masses or potentials not as they
    must be. `sums` (n + m,), `sides` (2, n), `best` (m,) and
    `spare` (m,) int64 are scratch.
    """
    n, m = x.shape[1], y.shape[1]
    for k in range(n_arcs.size):
        out[k] = np.nan
        points_x, points_y = x[which[0, k]], y[which[1, k]]
        weights_a, weights_b = a[which[2, k]], b[which[3, k]]
        if not (_is_sorted(points_x) and _is_sorted(points_y)):
            continue
        if not 0 < n_arcs[k] <= rows.shape[1]:
            continue
        arcs = n_arcs[k]
        if not _add_up(rows[k, :arcs], columns[k, :arcs], mass[k, :arcs], sums, n):
            continue
        error, total = _error(weights_a, 1.0, sums[:n])
        error += _error(weights_b, factor[k], sums[n:])[0]
        out[k, 3], out[k, 4] = error, total
        ends = max(points_x[n - 1], points_y[m - 1]) - min(points_x[0], points_y[0])
        out[k, 5] = ends if p == np.inf else ends**p
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
        if p == 1.0:
            _nearest_sums(points_x, weights_a, f[k], points_y, sides, best)
        else:
            _monotone_minima(points_x, weights_a, f[k], points_y, p, spare, best)
        _bound_sum(
            points_x,
            points_y,
            weights_a,
            weights_b,
            factor[k],
            p,
            rows[k, :arcs],
            columns[k, :arcs],
            mass[k, :arcs],
            f[k],
            sums,
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
    """Write the marginals of arcs; False if some are no arcs, or carry no mass."""
    m = sums.size - n
    sums[:] = 0.0
    for k in range(mass.size):
        i, j = rows[k], columns[k]
        if not (0 <= i < n and 0 <= j < m and 0.0 <= mass[k] < np.inf):
            return False
        sums[i] += mass[k]
        sums[n + j] += mass[k]
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
def _error(weights: np.ndarray, factor: float, sums: np.ndarray) -> tuple[float, float]:
    """Take the weights off the sums; return the size of what is left, and their sum."""
    error, total = 0.0, 0.0
    for i in range(weights.size):
        weight = factor * weights[i]
        sums[i] -= weight
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
def _nearest_sums(
    x: np.ndarray,
    a: np.ndarray,
    f: np.ndarray,
    y: np.ndarray,
    spare: np.ndarray,
    best: np.ndarray,
) -> None:
    """Write ``min_i |x[i] - y[j]| - f[i]``, over atoms with mass.

    `spare` (2, n) takes the same minimum at the points x, over atoms to the left and to
    the right. It moves from point to point by what is between them: an offset common
    to all points costs no digits.
    """
    n, i = x.size, 0
    left, right = spare[0], spare[1]
    from_left, from_right = np.inf, np.inf
    last_left, last_right = x[0], x[n - 1]
    for k in range(n):
        i = n - 1 - k
        from_left += x[k] - last_left
        from_right += last_right - x[i]
        last_left, last_right = x[k], x[i]
        from_left = min(from_left, -f[k] if a[k] > 0.0 else np.inf)
        from_right = min(from_right, -f[i] if a[i] > 0.0 else np.inf)
        left[k], right[i] = from_left, from_right
    i = 0
    for j in range(y.size):
        while i < n and x[i] <= y[j]:
            i += 1
        below, above = max(i - 1, 0), min(i, n - 1)
        best[j] = min(
            left[below] + (y[j] - x[below]) if i > 0 else np.inf,
            right[above] + (x[above] - y[j]) if i < n else np.inf,
        )


@njit(
    cache=True,
    error_model="numpy",
    nogil=True,
    _nrt=False,
    no_cpython_wrapper=True,
    no_cfunc_wrapper=True,
)
def _cost_of(x: float, y: float, p: float) -> float:
    distance = abs(x - y)
    if p == 1.0:
        return distance
    return distance * distance if p == 2.0 else distance**p


@njit(
    cache=True,
    error_model="numpy",
    nogil=True,
    _nrt=False,
    no_cpython_wrapper=True,
    no_cfunc_wrapper=True,
)
def _monotone_minima(
    x: np.ndarray,
    a: np.ndarray,
    f: np.ndarray,
    y: np.ndarray,
    p: float,
    where: np.ndarray,
    best: np.ndarray,
) -> None:
    """Write ``min_i |x[i] - y[j]| ** p - f[i]``, over atoms with mass, for p >= 1.

    The minimising i never falls as j grows. Halving the step between the j that
    are done scans O(n + m) pairs a level.
    """
    n, m = x.size, y.size
    step = 1
    while step < m:
        step *= 2
    while step >= 1:
        for j in range(step - 1, m, 2 * step):
            low = where[j - step] if j >= step else 0
            high = where[j + step] if j + step < m else n - 1
            least, first = np.inf, low
            for i in range(low, high + 1):
                slack = _cost_of(x[i], y[j], p) - f[i]
                if a[i] > 0.0 and slack < least:
                    least, first = slack, i
            best[j], where[j] = least, first
        step //= 2


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
    for k in range(mass.size):
        term = mass[k] * _cost_of(x[rows[k]], y[columns[k]], p)
        new = upper + term
        part = new - upper
        lost += (upper - (new - part)) + (term - part)
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
    hidden = 2 * _EPS * (factor * size_best + total * out[5] + upper)
    hidden += _BLOCK_ROUNDING * (size_a + factor * size_b) + weighted_a + weighted_b
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


@njit(cache=True, error_model="numpy", nogil=True, _nrt=False)
def circle_minimum(
    x: np.ndarray,
    f: np.ndarray,
    y: np.ndarray,
    period: float,
    p: float,
    where: np.ndarray,
    best: np.ndarray,
) -> None:
    """Write ``min_i arc(x[i], y[j]) ** p - f[i]`` to best, for sorted positions, p >= 1.

    Three turns of x make it a minimum over a line, on which the minimising i never
    falls as j grows. `where` (m,) int64 is scratch.
    """
    n, m, half = x.size, y.size, 0.5 * period
    step = 1
    while step < m:
        step *= 2
    while step >= 1:
        for j in range(step - 1, m, 2 * step):
            low = where[j - step] if j >= step else 0
            high = where[j + step] if j + step < m else 3 * n - 1
            least, first = np.inf, low
            for k in range(low, high + 1):
                i = k % n
                if k < n:
                    distance = (half - x[i]) + (y[j] + half)
                elif k < 2 * n:
                    distance = abs(x[i] - y[j])
                else:
                    distance = (half - y[j]) + (x[i] + half)
                if p == 2.0:
                    distance *= distance
                elif p != 1.0:
                    distance = distance**p
                if distance - f[i] < least:
                    least, first = distance - f[i], k
            best[j], where[j] = least, first
        step //= 2
