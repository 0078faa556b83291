"""Lower and upper bounds from claimed arcs and potentials: one small problem, or many.

NumPy would take longer for them than the solver for the problem. Each has a NumPy twin that
tests compare it with.
"""

import numpy as np

from otdist.certificate.kernels.points import lower_all, point_costs
from otdist.runtime.kernel_cache import njit

_FLAGS = {"cache": True, "error_model": "numpy", "nogil": True, "_nrt": False}
_INNER = {**_FLAGS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
kernel = njit(**_FLAGS)
reordering_kernel = njit(**_FLAGS, fastmath={"contract", "nsz", "reassoc"})
inner = njit(**_INNER)


@inner
def add_exactly(total: float, term: float) -> tuple[float, float]:
    """Return the rounded sum of two numbers and its rounding error (Knuth)."""
    new = total + term
    part = new - total
    return new, (total - (new - part)) + (term - part)


@inner
def _sum_of_products(u: np.ndarray, v: np.ndarray, shift: float) -> tuple[float, float]:
    """Return ``sum u * (v + shift)`` without accumulated rounding, and its absolute terms."""
    total = lost = size = 0.0
    for k in range(u.size):
        term = u[k] * (v[k] + shift)
        total, error = add_exactly(total, term)
        lost += error
        size += abs(term)
    return total + lost, size


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
) -> tuple[float, float, float, float, float]:
    """Return lower and upper bound, absolute terms, marginal error, and that error weighted.

    f is the c-transform of g. The arcs with the masses and costs given have the marginals
    ``a + off_a`` and ``b + off_b``. The weights of the last number are the potentials.
    """
    error = 0.0
    for i in range(a.size):
        error += abs(off_a[i])
    for j in range(b.size):
        error += abs(off_b[j])
    upper, size = _sum_of_products(mass, cost, 0.0)
    value_a, size_f = _sum_of_products(a, f, 0.0)
    value_b = _sum_of_products(b, g, 0.0)[0]
    total = 0.0
    for i in range(a.size):
        total += a[i]
    # Potentials are defined up to a constant; the balanced choice rounds least.
    shift = (value_b - value_a) / (2.0 * total)
    lower_a, size_a = _sum_of_products(a, f, shift)
    lower_b, size_b = _sum_of_products(b, g, -shift)
    weighted = 0.0
    for i in range(a.size):
        weighted += abs(off_a[i]) * abs(f[i] + shift)
    for j in range(b.size):
        weighted += abs(off_b[j]) * abs(g[j] - shift)
    # The c-transform was rounded before the shift, in units of its own size.
    return lower_a + lower_b, upper, size + size_a + size_b + size_f, error, weighted


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
    best: np.ndarray,
    work: np.ndarray,
) -> tuple[float, float, float, float, float, float]:
    """Certify arcs and potentials on a small matrix.

    `best` (m,) receives the c-transform of f, and may be given as g; `work`, of n + m places
    and one for each arc, is scratch. Returns the five numbers of `_bracket` and the violation
    of f and g. All are infinite where arcs, masses or potentials are invalid, a column has no
    allowed arc, an arc used is forbidden, or an atom has no mass: NumPy decides those cases.
    """
    n, m = cost.shape
    refused = np.inf, np.inf, np.inf, np.inf, np.inf, np.inf
    if rows.size != mass.size or columns.size != mass.size:
        return refused
    # Expressions on whole arrays take longer to compile than all of these loops.
    for i in range(n):
        if not (a[i] > 0.0 and abs(f[i]) < np.inf):
            return refused
        work[i] = -a[i]
    for j in range(m):
        work[n + j] = -b[j]
        best[j] = np.inf
    for i in range(n):
        lower_all(cost[i], f[i], best)
    violation = 0.0
    for j in range(m):
        if not (b[j] > 0.0 and best[j] < np.inf and abs(g[j]) < np.inf):
            return refused
        violation = max(violation, g[j] - best[j])
    arc_cost = work[n + m :]
    for k in range(mass.size):
        i, j = rows[k], columns[k]
        if not (0 <= i < n and 0 <= j < m and 0.0 <= mass[k] < np.inf):
            return refused
        arc_cost[k] = cost[i, j]
        if not arc_cost[k] < np.inf:
            return refused
        work[i] += mass[k]
        work[n + j] += mass[k]
    off_a, off_b = work[:n], work[n : n + m]
    lower, upper, size, error, weighted = _bracket(b, a, best, f, off_b, off_a, mass, arc_cost)
    if not abs(lower) < np.inf:
        return refused
    return lower, upper, size, error, weighted, violation


@kernel
def bracket_histograms(
    cost: np.ndarray,
    transposed: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    is_metric: bool,
    largest: float,
    n_arcs: np.ndarray,
    row: np.ndarray,
    column: np.ndarray,
    moved: np.ndarray,
    potential: np.ndarray,
    work: np.ndarray,
    out: np.ndarray,
) -> None:
    """Bracket pairs of histograms, rows `first` of a (K, n) and `second` of b (L, m).

    Pair q has `n_arcs[q]` arcs, from bin to bin with the mass moved, and potentials of the
    bins of the second histogram. If the cost is a metric, mass that stays in its bin is no arc:
    the c-transform f of the potentials of the bins that gain is 1-Lipschitz, so that
    ``sum f * (a - b)`` is a lower bound whatever stays (Kantorovich and Rubinstein). On bins
    that gain -f is at least g, and g is used there.

    `out` (Q, 6) receives the five numbers of `_bracket` and the mass moved; all are infinite
    where a claim is invalid. `work` (9, n + m) is scratch.
    """
    n, m = cost.shape
    off, f, paid = work[0], work[1, :n], work[2]
    for q in range(first.size):
        of_a, of_b, g = a[first[q]], b[second[q]], potential[q]
        is_sound = True
        f[:] = np.inf
        for j in range(m):
            demand = of_b[j] - of_a[j] if is_metric else of_b[j]
            off[n + j] = min(-demand, 0.0)
            if demand > 0.0:
                is_sound &= abs(g[j]) < np.inf
                lower_all(transposed[j], g[j], f)
        total = 0.0
        for i in range(n):
            supply = of_a[i] - of_b[i] if is_metric else of_a[i]
            off[i] = min(-supply, 0.0)
            total -= off[i]
        for k in range(n_arcs[q]):
            i, j, mass = row[q, k], column[q, k], moved[q, k]
            if not (0 <= i < n and 0 <= j < m and 0.0 <= mass < np.inf):
                is_sound = False
                break
            paid[k] = cost[i, j]
            off[i] += mass
            off[n + j] += mass
        out[q] = np.inf
        if not is_sound:
            continue
        n_a = n_b = 0
        for i in range(n):
            supply = of_a[i] - of_b[i] if is_metric else of_a[i]
            if supply > 0.0 or off[i] != 0.0:
                work[3, n_a], work[4, n_a] = max(supply, 0.0), f[i]
                work[5, n_a] = off[i]
                n_a += 1
        for j in range(m):
            demand = of_b[j] - of_a[j] if is_metric else of_b[j]
            if demand > 0.0 or off[n + j] != 0.0:
                work[6, n_b] = max(demand, 0.0)
                work[7, n_b] = g[j] if demand > 0.0 else np.inf
                work[8, n_b] = off[n + j]
                n_b += 1
        arcs = n_arcs[q]
        if is_metric and arcs == 0 and (total == 0.0 or np.isinf(f[0])):
            # Nothing moves: the two differ by the rounding of their sums.
            error = 0.0
            for k in range(n + m):
                error += abs(off[k])
            out[q, :3], out[q, 3:5], out[q, 5] = 0.0, error, total
            out[q, 4] *= largest
            continue
        out[q, 0], out[q, 1], out[q, 2], out[q, 3], out[q, 4] = _bracket(
            work[3, :n_a],
            work[6, :n_b],
            work[4, :n_a],
            work[7, :n_b],
            work[5, :n_a],
            work[8, :n_b],
            moved[q, :arcs],
            paid[:arcs],
        )
        out[q, 5] = total


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
    many numbers, one coordinate after the other. Norm and p are those of `point_costs`.
    """
    for q in range(first.size):
        out[q] = np.inf
        begin, end = starts[first[q]], starts[first[q] + 1]
        other_begin, other_end = starts[second[q]], starts[second[q] + 1]
        n, m = end - begin, other_end - other_begin
        a, b = weights[begin:end], weights[other_begin:other_end]
        x, y = points[d * begin : d * end], points[d * other_begin : d * other_end]
        x, y, g = x.reshape(d, n), y.reshape(d, m), potential[q, :m]
        off, f, paid, cost = work[0], work[1, :n], work[2], work[3, :n]
        f[:] = np.inf
        is_sound = True
        total = 0.0
        for i in range(n):
            off[i] = -a[i]
            total += a[i]
        for j in range(m):
            off[n + j] = -b[j]
            is_sound &= abs(g[j]) < np.inf
        if not is_sound:
            continue
        # The arcs of each column form a linked list: its first arc, and for each arc the next.
        for j in range(m):
            work[4, j] = -1.0
        for k in range(n_arcs[q]):
            i, j, mass = row[q, k], column[q, k], moved[q, k]
            if not (0 <= i < n and 0 <= j < m and 0.0 <= mass < np.inf):
                is_sound = False
                break
            off[i] += mass
            off[n + j] += mass
            work[5, k] = work[4, j]
            work[4, j] = k
        if not is_sound:
            continue
        for j in range(m):
            point_costs(y, j, x, 0, norm, p, cost)
            lower_all(cost, g[j], f)
            k = int(work[4, j])
            while k >= 0:
                paid[k] = cost[row[q, k]]
                k = int(work[5, k])
        arcs = n_arcs[q]
        masses, arc_costs = moved[q, :arcs], paid[:arcs]
        out[q, 0], out[q, 1], out[q, 2], out[q, 3], out[q, 4] = _bracket(
            a, b, f, g, off[:n], off[n : n + m], masses, arc_costs
        )
        out[q, 5] = total


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
