"""Compiled passes of the certificate, where NumPy would cost more than the solve.

Used by nothing else, and by no solver: the checker shares no code with what it
checks. Each has a NumPy twin that tests compare it with.
"""

import numpy as np

from otdist.runtime.kernel_cache import njit

_FLAGS = {"cache": True, "error_model": "numpy", "nogil": True, "_nrt": False}
# Without wrappers a kernel can be called by kernels only, and compiles in half the time.
_INNER = {**_FLAGS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
kernel = njit(**_FLAGS)
finite_kernel = njit(**_FLAGS, fastmath={"nnan", "nsz"})
reordering_kernel = njit(**_FLAGS, fastmath={"contract", "nsz", "reassoc"})
inner = njit(**_INNER)
finite_inner = njit(**_INNER, fastmath={"nnan", "nsz"})


@inner
def _compensated_sum(u: np.ndarray, v: np.ndarray, shift: float) -> tuple[float, float]:
    """Return ``sum u * (v + shift)`` without accumulated rounding, and its size."""
    total = 0.0
    lost = 0.0
    size = 0.0
    for k in range(u.size):
        term = u[k] * (v[k] + shift)
        new = total + term
        if abs(total) >= abs(term):
            lost += (total - new) + term
        else:
            lost += (term - new) + total
        total = new
        size += abs(term)
    return total + lost, size


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

    `best` (m,) receives the c-transform of f, and may be given as g; `work`, of n + m
    places and one for each arc, is scratch. Returns the lower bound, the cost of the
    arcs, the size of all terms summed, the marginal error, that error weighted by the
    potentials, and the violation of f and g. All are infinite where arcs, masses or
    potentials are not as they must be, where some column has no allowed arc, and where
    a forbidden arc is used or an atom has no mass: NumPy knows what that means.
    """
    n, m = cost.shape
    refused = np.inf, np.inf, np.inf, np.inf, np.inf, np.inf
    if rows.size != mass.size or columns.size != mass.size:
        return refused
    # Expressions on whole arrays take longer to compile than all of these loops.
    total = 0.0
    for i in range(n):
        if not (a[i] > 0.0 and abs(f[i]) < np.inf):
            return refused
        total += a[i]
        work[i] = 0.0
    for j in range(m):
        work[n + j] = 0.0
        best[j] = np.inf
    for i in range(n):
        for j in range(m):
            slack = cost[i, j] - f[i]
            if slack < best[j]:  # noqa: PLR1730 (min() would stay scalar)
                best[j] = slack
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
    # Potentials are defined up to a constant; the balanced choice rounds least.
    value_b, size_best = _compensated_sum(b, best, 0.0)
    shift = (_compensated_sum(a, f, 0.0)[0] - value_b) / (2 * total)
    lower_a, size_a = _compensated_sum(a, f, -shift)
    lower_b, size_b = _compensated_sum(b, best, shift)
    upper, size = _compensated_sum(mass, arc_cost, 0.0)
    lower = lower_a + lower_b
    if not abs(lower) < np.inf:
        return refused
    error = 0.0
    weighted = 0.0
    for i in range(n):
        off = abs(work[i] - a[i])
        error += off
        weighted += off * abs(f[i] - shift)
    for j in range(m):
        off = abs(work[n + j] - b[j])
        error += off
        weighted += off * abs(best[j] + shift)
    # The c-transform was rounded before the shift, in units of its own size.
    size += size_a + size_b + size_best
    return lower, upper, size, error, weighted, violation


@kernel
def line_minimum(
    x: np.ndarray,
    f: np.ndarray,
    y: np.ndarray,
    p: float,
    best: np.ndarray,
    g: np.ndarray,
) -> None:
    """Write ``min_i |x[i] - y[j]| ** p - f[i]`` to g, for sorted x and y, p >= 1.

    The minimising i never falls as j grows. Halving the step between the j that
    are done scans O(n + m) pairs a level. `best` (m,) int64 is scratch.
    """
    n, m = x.size, y.size
    step = 1
    while step < m:
        step *= 2
    while step >= 1:
        for j in range(step - 1, m, 2 * step):
            low = best[j - step] if j >= step else 0
            high = best[j + step] if j + step < m else n - 1
            least = np.inf
            where = low
            for i in range(low, high + 1):
                distance = abs(x[i] - y[j])
                if p == 1.0:
                    slack = distance - f[i]
                elif p == 2.0:
                    slack = distance * distance - f[i]
                else:
                    slack = distance**p - f[i]
                if slack < least:
                    least = slack
                    where = i
            g[j] = least
            best[j] = where
        step //= 2


@kernel
def _may_improve(
    x: np.ndarray, i: int, y: np.ndarray, start: int, f: float, least: np.ndarray
) -> bool:
    """Whether a distance in the plane or in space may be below ``least[j] + f``.

    Squares are compared, with room for their rounding, since a root takes longer
    than all the rest. Of most rows no distance is: their minima are found early.
    """
    stop = start + least.size
    d = x.shape[0]
    x0, x1, x2 = x[0, i], x[1, i], x[d - 1, i]
    y0, y1, y2 = y[0][start:stop], y[1][start:stop], y[d - 1][start:stop]
    weight = 1.0 if d == 3 else 0.0
    hits = 0
    for j in range(least.size):
        d0, d1, d2 = x0 - y0[j], x1 - y1[j], x2 - y2[j]
        most = least[j] + f
        square = d0 * d0 + d1 * d1 + weight * (d2 * d2)
        hits += (square < (1.0 + 2.0**-48) * (most * most)) & (most > 0.0)
    return hits > 0


@finite_inner
def _costs_of(
    x: np.ndarray,
    i: int,
    y: np.ndarray,
    start: int,
    norm: int,
    p: float,
    out: np.ndarray,
) -> None:
    """Write the costs of point i and as many others as `out` has places.

    x (d, n) and y (d, m) hold one coordinate after the other. The norm is 1, 2, 0 for
    the largest coordinate, or 4 for the Euclidean norm squared; it is raised to p.
    """
    size = out.size
    out[:] = 0.0
    for k in range(x.shape[0]):
        x_k = x[k, i]
        y_k = y[k, start : start + size]
        if norm == 1:
            for j in range(size):
                out[j] += abs(x_k - y_k[j])
        elif norm == 0:
            for j in range(size):
                apart = abs(x_k - y_k[j])
                out[j] = apart if apart > out[j] else out[j]  # noqa: FURB136
        else:
            for j in range(size):
                out[j] += (x_k - y_k[j]) * (x_k - y_k[j])
    # The square is exact where its root would round.
    if norm == 2 and p != 2.0:
        for j in range(size):
            out[j] = np.sqrt(out[j])
    if not (p == 1.0 or (norm == 2 and p == 2.0)):
        for j in range(size):
            out[j] = out[j] ** p


@finite_kernel
def points_minimum(
    x: np.ndarray,
    f: np.ndarray,
    y: np.ndarray,
    norm: int,
    p: float,
    start: int,
    distance: np.ndarray,
    best: np.ndarray,
) -> None:
    """Lower `best` to ``min_i |x[:, i] - y[:, j]| ** p - f[i]`` for j from `start` on.

    Points, norm and p are those of `_costs_of`; `best` takes as many j as it has
    places, and begins at inf or at a bound: the lower, the less is computed. As many
    columns as `distance` has places, which is scratch, stay in the first-level cache
    while all rows pass by.
    """
    d, n = x.shape
    is_screened = norm == 2 and p == 1.0 and d in (2, 3)
    tile = distance.size
    for left in range(0, best.size, tile):
        least = best[left : left + tile]
        size = least.size
        for i in range(n):
            if is_screened and not _may_improve(x, i, y, start + left, f[i], least):
                continue
            out = distance[:size]
            _costs_of(x, i, y, start + left, norm, p, out)
            f_i = f[i]
            for j in range(size):
                slack = out[j] - f_i
                least[j] = slack if slack < least[j] else least[j]  # noqa: FURB136


@reordering_kernel
def point_sums(
    plan: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    norm: int,
    p: float,
    start: int,
    distance: np.ndarray,
    columns: np.ndarray,
    sums: np.ndarray,
) -> int:
    """Add the rows of a plan from `start` on to `columns`; write their sums and costs.

    To `sums` (3, k): masses, costs, and costs once more, which are not negative.
    Points, norm and p are those of `_costs_of`; `distance` is scratch that stays in the
    first-level cache. Returns how many entries are no masses.
    """
    n_bad, tile = 0, distance.size
    sums[:] = 0.0
    for left in range(0, plan.shape[1], tile):
        column = columns[left : left + tile]
        for k in range(plan.shape[0]):
            row, cost = plan[k, left : left + tile], distance[: column.size]
            _costs_of(x, start + k, y, left, norm, p, cost)
            total, paid = 0.0, 0.0
            for j in range(row.size):
                total += row[j]
                paid += row[j] * cost[j]
                n_bad += not (row[j] >= 0.0)
            for j in range(row.size):
                column[j] += row[j]
            sums[0, k] += total
            sums[1, k] += paid
    for k in range(plan.shape[0]):
        sums[2, k] = sums[1, k]
    return n_bad


@reordering_kernel
def matrix_sums(plan: np.ndarray, costs: np.ndarray, columns: np.ndarray, sums: np.ndarray) -> int:
    """Do the same for rows of a plan and their costs, any but NaN.

    The third sums are of absolute terms.
    """
    n_bad = 0
    for k in range(plan.shape[0]):
        row, cost = plan[k], costs[k]
        total, paid, size = 0.0, 0.0, 0.0
        for j in range(row.size):
            # 0 * inf: a forbidden arc that carries nothing costs nothing.
            term = row[j] * cost[j] if row[j] != 0.0 else 0.0
            total += row[j]
            paid += term
            size += abs(term)
            n_bad += not (row[j] >= 0.0)
        for j in range(row.size):
            columns[j] += row[j]
        sums[0, k], sums[1, k], sums[2, k] = total, paid, size
    return n_bad


@kernel
def _cost_of(x: np.ndarray, y: np.ndarray, norm: int, p: float) -> float:
    """Return the cost of two points (d,), as `points_minimum` computes it."""
    total = 0.0
    for k in range(x.size):
        total += (x[k] - y[k]) * (x[k] - y[k])
    if norm == 2 and p != 2.0:
        total = np.sqrt(total)
    return total if p == 1.0 or (norm == 2 and p == 2.0) else total**p


_CLOSE = np.float32(0.1)  # part of its terms below which a square has lost digits
_TINY = np.float32(1e-15)  # sum of two squares whose powers might underflow
_SCREEN = 64  # pairs between two looks at a count


@kernel
def screened_minimum(
    x: np.ndarray,
    f: np.ndarray,
    y: np.ndarray,
    products: np.ndarray,
    size_x: np.ndarray,
    size_y: np.ndarray,
    norm: int,
    p: float,
    unit: float,
    relative: float,
    best: np.ndarray,
) -> None:
    """Write ``min_i |x[i] - y[j]| ** p - f[i]`` for Euclidean points (n, d) and (m, d).

    `products` (m, n) float32 and the sizes, squares of norms, are of points moved and
    scaled; costs are `unit` times those, and off by no more than the part `relative`.
    `products` is overwritten.
    """
    n = f.size
    for j in range(best.size):
        row, own = products[j], size_y[j]
        for i in range(n):
            whole = size_x[i] + own
            square = whole - np.float32(2.0) * row[i]
            is_far = square >= _CLOSE * whole and whole > _TINY
            row[i] = square if is_far else np.float32(0.0)
        if norm == 2 and p == 1.0:
            for i in range(n):
                row[i] = np.sqrt(row[i])
        elif not (norm == 2 and p == 2.0) and p != 1.0:
            power = p if norm == 4 else 0.5 * p
            for i in range(n):
                row[i] = row[i] ** power
        above, below = unit * (1.0 + relative), unit * (1.0 - relative)
        upper = np.inf
        for i in range(n):
            # Close pairs are 0 here: they rule out nothing, and are not ruled out.
            slack = above * row[i] - f[i] if row[i] > 0.0 else np.inf
            upper = slack if slack < upper else upper  # noqa: FURB136
        # What is summed here is rounded too.
        upper += 2.0**-50 * (abs(upper) if upper < np.inf else 0.0)
        least = np.inf
        for start in range(0, n, _SCREEN):
            costs, potentials = row[start : start + _SCREEN], f[start : start + _SCREEN]
            n_left = 0
            for i in range(costs.size):
                n_left += below * costs[i] - potentials[i] <= upper
            if n_left == 0:
                continue
            for i in range(costs.size):
                if below * costs[i] - potentials[i] <= upper:
                    cost = _cost_of(x[start + i], y[j], norm, p)
                    slack = cost - potentials[i]
                    least = slack if slack < least else least  # noqa: FURB136
        best[j] = least
