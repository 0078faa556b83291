"""Lower and upper bounds from claimed arcs and potentials: one small problem, or many.

NumPy would take longer for them than the solver for the problem. Each has a NumPy twin that
tests compare it with.
"""

from typing import NamedTuple

import numpy as np

from otdist.certificate.kernels.points import lower_all, point_costs, points_minimum
from otdist.runtime.kernel_cache import njit

# Unit roundoff of float64.
_U = 2.0**-53
# A compensated sum of products with a c-transform is rounded some six times, a term's size each.
_ROUNDING = 8 * _U
# Twice the errors of marginals are charged, and a little more for the rounding of their sums.
_SPARE = 2.0 + 2.0**-30
# Points whose coordinates stay in the first-level cache while all others pass by.
_TILE = 64
#: Below this products and powers may have lost digits, or be 0 where they should not.
TINY = 2.0**-960
#: A billion of them lose no more than this.
UNDERFLOW = 2.0**-1040
#: A plan is a coupling if no marginal is off by more than this part of its weight.
COUPLING = 1e-9
#: Or by no more than this part of all mass, far below what float64 can tell.
SPECK = 2.0**-100

_FLAGS = {"cache": True, "error_model": "numpy", "nogil": True, "_nrt": False}
_INNER = {**_FLAGS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
kernel = njit(**_FLAGS)
reordering_kernel = njit(**_FLAGS, fastmath={"contract", "nsz", "reassoc"})
inner = njit(**_INNER)


class Rounding(NamedTuple):
    """How far costs and marginals may be off, other than by the roundings of a few sums."""

    relative: float  # of computed costs, as a part of them
    least: float  # of computed costs, an amount: numbers near 0 underflow
    near: float  # the same for the costs of the arcs
    sums: float  # of the marginals' sums, in mass
    largest: float  # a bound on the costs


@inner
def add_exactly(total: float, term: float) -> tuple[float, float]:
    """Return the rounded sum of two numbers and its rounding error (Knuth)."""
    new = total + term
    part = new - total
    return new, (total - (new - part)) + (term - part)


@inner
def _sum_of_products(u: np.ndarray, v: np.ndarray) -> tuple[float, float, float]:
    """Return ``sum u * v`` without accumulated rounding, absolute terms, and what underflows."""
    total = lost = size = 0.0
    n_tiny = 0
    for k in range(u.size):
        term = u[k] * v[k]
        total, error = add_exactly(total, term)
        lost += error
        size += abs(term)
        n_tiny += (abs(term) < TINY) & (u[k] != 0.0) & (v[k] != 0.0)
    return total + lost, size, UNDERFLOW if n_tiny > 0 else 0.0


@inner
def _total(weights: np.ndarray) -> tuple[float, float, float]:
    """Return the sum as two numbers, the second for the digits that the first has lost.

    The third bounds the error of the two, which is 0 unless weights are of very unlike sizes.
    """
    total = lost = noise = 0.0
    for k in range(weights.size):
        total, error = add_exactly(total, weights[k])
        lost, error = add_exactly(lost, error)
        noise += abs(error)
    return total, lost, 2 * noise


@inner
def _bracket(
    a: np.ndarray,
    b: np.ndarray,
    f: np.ndarray,
    g: np.ndarray,
    off_a: np.ndarray,
    off_b: np.ndarray,
    mass: np.ndarray,
    cost: np.ndarray,
    rounding: Rounding,
) -> tuple[float, float, float, float, bool]:
    """Return lower and upper bound, cost of the arcs, marginal error, and if it is a coupling.

    The arcs with the masses and costs given have the marginals ``a + off``, where the rows of
    `off_a` (2, n) and `off_b` (2, m) add up to off. f and g are feasible for the computed costs,
    up to the rounding of one subtraction. b stands for weights of the same sum as a. The
    formulas are those of `certificate.certify`.
    """
    sum_a, lost_a, noise_a = _total(a)
    sum_b, lost_b, noise_b = _total(b)
    apart = ((sum_a - sum_b) + (lost_a - lost_b)) / sum_b
    noise = (noise_a + noise_b) / sum_b + 4 * _U * abs(apart)
    value, paid, lost = _sum_of_products(mass, cost)
    of_a, size_a, gone_a = _sum_of_products(a, f)
    of_b, size_b, gone_b = _sum_of_products(b, g)
    n_bad = 0
    error, speck = rounding.sums + noise * sum_b, SPECK * sum_a
    for i in range(a.size):
        off = abs(off_a[0, i] + off_a[1, i])
        n_bad += off > COUPLING * a[i] + speck
        error += off
    for j in range(b.size):
        off = abs((off_b[0, j] + off_b[1, j]) - apart * b[j])
        n_bad += off > COUPLING * b[j] + speck
        error += off
    gone = gone_a + gone_b + rounding.least * sum_a
    # The product with a small mass may underflow itself.
    near = rounding.near * sum_a + (UNDERFLOW if rounding.near > 0.0 else 0.0)
    lower = of_a + of_b + apart * of_b
    lower -= _ROUNDING * (size_a + size_b) + noise * size_b + rounding.relative * abs(lower) + gone
    upper = value + (_ROUNDING + rounding.relative) * paid + (lost + near)
    if error > 0.0:
        upper += _SPARE * error * rounding.largest
    return lower, upper, value, error, n_bad == 0


@kernel
def dense_bounds(
    cost: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    f: np.ndarray,
    g: np.ndarray,
    rows: np.ndarray,
    columns: np.ndarray,
    mass: np.ndarray,
    largest: float,
    best: np.ndarray,
    work: np.ndarray,
) -> tuple[float, float, float, float, bool, float]:
    """Certify arcs and potentials on a small matrix.

    `largest` bounds the costs, and is inf where some are forbidden. `best` (m,) receives the
    c-transform of f, and may be given as g; `work`, of 2 (n + m) places and one for each arc, is
    scratch. Returns the five numbers of `_bracket` and the violation of f and g. The upper bound
    is infinite where arcs, masses or potentials are invalid, a column has no allowed arc, an arc
    used is forbidden, or an atom has no mass: NumPy decides those cases.
    """
    n, m = cost.shape
    refused = -np.inf, np.inf, np.inf, np.inf, False, np.inf
    if rows.size != mass.size or columns.size != mass.size:
        return refused
    # Expressions on whole arrays take longer to compile than all of these loops.
    off_a, off_b = work[: 2 * n].reshape(2, n), work[2 * n : 2 * (n + m)].reshape(2, m)
    paid = work[2 * (n + m) :]
    for i in range(n):
        if not (a[i] > 0.0 and abs(f[i]) < np.inf):
            return refused
        off_a[0, i], off_a[1, i] = -a[i], 0.0
    for j in range(m):
        off_b[0, j], off_b[1, j] = -b[j], 0.0
        best[j] = np.inf
    for i in range(n):
        lower_all(cost[i], f[i], best)
    violation = noise = 0.0
    for j in range(m):
        if not (b[j] > 0.0 and best[j] < np.inf and abs(g[j]) < np.inf):
            return refused
        violation = max(violation, g[j] - best[j])
    for k in range(mass.size):
        i, j = rows[k], columns[k]
        if not (0 <= i < n and 0 <= j < m and 0.0 <= mass[k] < np.inf):
            return refused
        paid[k] = cost[i, j]
        if not paid[k] < np.inf:
            return refused
        noise += _add(off_a, i, mass[k]) + _add(off_b, j, mass[k])
    exact = Rounding(0.0, 0.0, 0.0, noise, largest)
    found = _bracket(a, b, f, best, off_a, off_b, mass, paid, exact)
    if not (abs(found[0]) < np.inf and found[1] < np.inf):
        return refused
    return found[0], found[1], found[2], found[3], found[4], violation


@inner
def _add(sums: np.ndarray, place: int, term: float) -> float:
    """Add a term to a sum of two numbers; return twice the size of the digits that they lost."""
    sums[0, place], error = add_exactly(sums[0, place], term)
    sums[1, place], error = add_exactly(sums[1, place], error)
    return 2 * abs(error)


@kernel
def bracket_histograms(
    costs_to: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    is_metric: bool,
    largest: float,
    excess: float,
    n_arcs: np.ndarray,
    row: np.ndarray,
    column: np.ndarray,
    moved: np.ndarray,
    potential: np.ndarray,
    work: np.ndarray,
    out: np.ndarray,
) -> None:
    """Bracket pairs of histograms, rows `first` of a (K, n) and `second` of b (L, m).

    Row j of `costs_to` (m, n) has the costs to bin j of b from all bins of a.

    Pair q has `n_arcs[q]` arcs, from bin to bin with the mass moved, and potentials of the
    bins of the second histogram. If the cost is a metric, mass that stays in its bin is no arc:
    the c-transform f of the potentials of the bins that gain is 1-Lipschitz, so that
    ``sum f * (a - b)`` is a lower bound whatever stays (Kantorovich and Rubinstein). On bins
    that gain -f is at least g, and g is used there. Where costs break the triangle inequality by
    `excess`, so does f, for every unit of mass that may move.

    `out` (Q, 4) receives the bounds, the cost of the arcs, and 1 for a coupling; they are infinite
    where a claim is invalid. `work` (11, n + m + arcs) is scratch.
    """
    m, n = costs_to.shape
    f, paid = work[0, :n], work[1]
    for q in range(first.size):
        of_a, of_b, g = a[first[q]], b[second[q]], potential[q]
        out[q, 0], out[q, 1], out[q, 2], out[q, 3] = -np.inf, np.inf, np.inf, 0.0
        is_sound = True
        off_a, off_b = work[2:4, :n], work[4:6, :m]
        for i in range(n):
            f[i] = np.inf
            supply = of_a[i] - of_b[i] if is_metric else of_a[i]
            off_a[0, i], off_a[1, i] = min(-supply, 0.0), 0.0
        for j in range(m):
            demand = of_b[j] - of_a[j] if is_metric else of_b[j]
            off_b[0, j], off_b[1, j] = min(-demand, 0.0), 0.0
            if demand > 0.0:
                is_sound &= abs(g[j]) < np.inf
                lower_all(costs_to[j], g[j], f)
        noise = 0.0
        arcs = n_arcs[q]
        for k in range(arcs):
            i, j, mass = row[q, k], column[q, k], moved[q, k]
            if not (0 <= i < n and 0 <= j < m and 0.0 <= mass < np.inf):
                is_sound = False
                break
            paid[k] = costs_to[j, i]
            noise += _add(off_a, i, mass) + _add(off_b, j, mass)
        if not is_sound:
            continue
        rounding = Rounding(0.0, 0.0, 0.0, noise, largest)
        masses, costs = moved[q, :arcs], paid[:arcs]
        if is_metric:
            out[q, 0], out[q, 1], out[q, 2], out[q, 3] = _metric_bracket(
                of_a, of_b, f, g, off_a, off_b, masses, costs, excess, rounding
            )
            continue
        # Bins without mass have no say.
        n_a = n_b = 0
        for i in range(n):
            if of_a[i] > 0.0 or off_a[0, i] != 0.0:
                work[6, n_a], work[7, n_a] = of_a[i], f[i]
                off_a[0, n_a], off_a[1, n_a] = off_a[0, i], off_a[1, i]
                n_a += 1
        for j in range(m):
            if of_b[j] > 0.0 or off_b[0, j] != 0.0:
                work[8, n_b], work[9, n_b] = of_b[j], g[j] if of_b[j] > 0.0 else 0.0
                off_b[0, n_b], off_b[1, n_b] = off_b[0, j], off_b[1, j]
                n_b += 1
        lower, upper, value, _, is_coupling = _bracket(
            work[6, :n_a],
            work[8, :n_b],
            work[7, :n_a],
            work[9, :n_b],
            off_a[:, :n_a],
            off_b[:, :n_b],
            masses,
            costs,
            rounding,
        )
        out[q, 0], out[q, 1], out[q, 2], out[q, 3] = lower, upper, value, is_coupling


@inner
def _metric_bracket(
    a: np.ndarray,
    b: np.ndarray,
    f: np.ndarray,
    g: np.ndarray,
    off_a: np.ndarray,
    off_b: np.ndarray,
    mass: np.ndarray,
    cost: np.ndarray,
    excess: float,
    rounding: Rounding,
) -> tuple[float, float, float, float]:
    """Return bounds, cost of the arcs, and 1 for a coupling, where common mass stays.

    f is a function of slope 1; the arcs leave `off` of what each bin has to give or to take.
    """
    sum_a, sum_b = _total(a)[0], _total(b)[0]
    # The sum of the differences, which are 0 where weights are equal.
    total = lost = noise = 0.0
    for i in range(a.size):
        for weight in (a[i], -b[i]):
            total, error = add_exactly(total, weight)
            lost, error = add_exactly(lost, error)
            noise += abs(error)
    apart = (total + lost) / sum_b
    noise = 2 * noise / sum_b + 4 * _U * abs(apart)
    value, paid, gone = _sum_of_products(mass, cost)
    dual = lost = size = staying = 0.0
    n_bad = 0
    # Differences of weights are rounded, and b is scaled to the sum of a.
    left = rounding.sums + (noise + abs(apart)) * sum_b
    for i in range(a.size):
        change = a[i] - b[i]
        height = f[i] if change >= 0.0 else -g[i]
        if change != 0.0:
            dual, error = add_exactly(dual, change * height)
            lost += error
            size += abs(change * height)
        if apart != 0.0 or noise > 0.0:
            # f is known everywhere, unless nothing gains mass.
            staying += b[i] * abs(height) if abs(height) < np.inf else 0.0
        off = abs(off_a[0, i] + off_a[1, i]) + abs(off_b[0, i] + off_b[1, i])
        n_bad += off > COUPLING * max(a[i], b[i]) + SPECK * sum_a
        left += off + _U * abs(change)
    lower = (dual + lost) - _ROUNDING * size - (noise + abs(apart)) * staying - UNDERFLOW
    lower -= excess * sum_a
    if not lower > 0.0:
        lower = 0.0  # the bound of zero potentials
    upper = value + _ROUNDING * paid + gone
    if left > 0.0:
        upper += _SPARE * left * rounding.largest
    return lower, upper, value, 1.0 if n_bad == 0 else 0.0


@inner
def _differ(x: np.ndarray, y: np.ndarray) -> bool:
    n_other = 0
    for k in range(x.size):
        n_other += x[k] != y[k]
    return n_other > 0


@inner
def bracket_points(
    x: np.ndarray,
    y: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    norm: int,
    p: float,
    relative: float,
    least: float,
    largest: float,
    row: np.ndarray,
    column: np.ndarray,
    moved: np.ndarray,
    g: np.ndarray,
    work: np.ndarray,
    out: np.ndarray,
) -> None:
    """Bracket two clouds of points x (d, n) and y (d, m) with weights; see `bracket_clouds`."""
    n, m = a.size, b.size
    out[0], out[1], out[2], out[3] = -np.inf, np.inf, np.inf, 0.0
    f, paid, distance = work[0, :n], work[1, : moved.size], work[2, : min(n, _TILE)]
    off_a, off_b = work[3:5, :n], work[5:7, :m]
    n_bad = 0
    for i in range(n):
        off_a[0, i], off_a[1, i], f[i] = -a[i], 0.0, np.inf
    for j in range(m):
        off_b[0, j], off_b[1, j] = -b[j], 0.0
        n_bad += not (abs(g[j]) < np.inf)
    noise, near = 0.0, 0.0
    for k in range(moved.size):
        i, j, mass = row[k], column[k], moved[k]
        if not (0 <= i < n and 0 <= j < m and 0.0 <= mass < np.inf):
            return
        noise += _add(off_a, i, mass) + _add(off_b, j, mass)
        point_costs(y, j, x, i, norm, p, paid[k : k + 1])
        if paid[k] < TINY and _differ(x[:, i], y[:, j]):
            near = least
    if n_bad > 0:
        return
    points_minimum(y, g, x, norm, p, np.int64(0), distance, f)
    rounding = Rounding(relative, least, near, noise, largest)
    lower, upper, value, _, is_coupling = _bracket(a, b, f, g, off_a, off_b, moved, paid, rounding)
    out[0], out[1], out[2], out[3] = max(lower, 0.0), upper, value, is_coupling


@kernel
def bracket_clouds(
    points: np.ndarray,
    weights: np.ndarray,
    starts: np.ndarray,
    d: int,
    first: np.ndarray,
    second: np.ndarray,
    norm: int,
    p: float,
    relative: float,
    least: float,
    largest: np.ndarray,
    n_arcs: np.ndarray,
    row: np.ndarray,
    column: np.ndarray,
    moved: np.ndarray,
    potential: np.ndarray,
    work: np.ndarray,
    out: np.ndarray,
) -> None:
    """Bracket pairs of weighted clouds of points; `out` is as for histograms.

    Cloud k has the atoms from ``starts[k]`` to ``starts[k + 1]``; its points are d times as
    many numbers, one coordinate after the other. Norm and p are those of `point_costs`, whose
    costs are off by no more than the part `relative` and the amount `least`; those of pair q
    are at most ``largest[q]``. `work` (7, N) is scratch for N atoms of either side, or arcs.
    """
    for q in range(first.size):
        begin, end = starts[first[q]], starts[first[q] + 1]
        other_begin, other_end = starts[second[q]], starts[second[q] + 1]
        n, m, arcs = end - begin, other_end - other_begin, n_arcs[q]
        x, y = points[d * begin : d * end], points[d * other_begin : d * other_end]
        bracket_points(
            x.reshape(d, n),
            y.reshape(d, m),
            weights[begin:end],
            weights[other_begin:other_end],
            norm,
            p,
            relative,
            least,
            largest[q],
            row[q, :arcs],
            column[q, :arcs],
            moved[q, :arcs],
            potential[q, :m],
            work,
            out[q],
        )


@kernel
def triangle_excess(cost: np.ndarray, start: int, stop: int, best: np.ndarray) -> float:
    """Return the most by which an arc is longer than a path of two arcs.

    Checks the arcs from bins `start` to `stop` of a symmetric matrix; `best` (n,) is scratch.
    NaN and negative entries count as infinite excess.
    """
    excess = 0.0
    for i in range(start, stop):
        best[:] = np.inf
        for k in range(best.size):
            # c[i, k] + c[k, j], for all j
            lower_all(cost[k], -cost[i, k], best)
        for j in range(best.size):
            if not cost[i, j] >= 0.0:
                return np.inf
            excess = max(excess, cost[i, j] - best[j])
    return excess


@kernel
def matrix_minimum(cost: np.ndarray, f: np.ndarray, best: np.ndarray) -> None:
    """Write the c-transform of f, ``min_i cost[i, j] - f[i]``, of a matrix."""
    for j in range(best.size):
        best[j] = np.inf
    for i in range(f.size):
        lower_all(cost[i], f[i], best)


@reordering_kernel
def matrix_sums(plan: np.ndarray, costs: np.ndarray, columns: np.ndarray, sums: np.ndarray) -> int:
    """Add rows of a plan to `columns`; write their masses, costs and absolute costs to `sums`.

    `costs` holds the costs of the same rows, any but NaN. Returns the number of entries of the
    plan that are negative or NaN.
    """
    n_bad = 0
    for k in range(plan.shape[0]):
        row, cost = plan[k], costs[k]
        total, paid, size = 0.0, 0.0, 0.0
        for j in range(row.size):
            # Not 0 * inf: a forbidden arc without mass costs nothing.
            term = row[j] * cost[j] if row[j] != 0.0 else 0.0
            total += row[j]
            paid += term
            size += abs(term)
            n_bad += not (row[j] >= 0.0)
        for j in range(row.size):
            columns[j] += row[j]
        sums[0, k], sums[1, k], sums[2, k] = total, paid, size
    return n_bad
