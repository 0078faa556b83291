"""Costs of point clouds, their c-transforms and the costs of plans, for certificates."""

import numpy as np

from otdist.runtime.kernel_cache import njit

_FLAGS = {"cache": True, "error_model": "numpy", "nogil": True, "_nrt": False}
_INNER = {**_FLAGS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
kernel = njit(**_FLAGS)
finite_kernel = njit(**_FLAGS, fastmath={"nnan", "nsz"})
reordering_kernel = njit(**_FLAGS, fastmath={"contract", "nsz", "reassoc"})
inner = njit(**_INNER)
finite_inner = njit(**_INNER, fastmath={"nnan", "nsz"})
# A product and a sum in one instruction round once, and not twice.
fusing_inner = njit(**_INNER, fastmath={"contract", "nnan", "nsz"})

#: Codes of the metrics whose costs are computed here.
METRIC_CODES = (0, 1, 2, 4)

_CLOSE = np.float32(0.1)  # part of its terms below which a square has lost digits
_TINY = np.float32(1e-15)  # sum of two squares whose powers might underflow
_SCREEN = 64  # pairs between two looks at a count


@finite_inner
def lower_all(row: np.ndarray, g: float, least: np.ndarray) -> None:
    """Replace each number by ``row[k] - g`` where that is less."""
    for k in range(least.size):
        slack = row[k] - g
        least[k] = slack if slack < least[k] else least[k]  # noqa: FURB136


@fusing_inner
def point_costs(
    x: np.ndarray, i: int, y: np.ndarray, start: int, norm: int, p: float, out: np.ndarray
) -> None:
    """Write the costs between point i of x and the points of y from `start` on.

    x (d, n) and y (d, m) hold one coordinate after the other; `out` has a place for each
    cost wanted. The norm is 1, 2, 0 for the largest coordinate, or 4 for the Euclidean norm
    squared; it is raised to p.
    """
    size, first = out.size, 0
    out[:] = 0.0
    if norm in (2, 4):
        # Four coordinates at a time, so that fewer sums pass through memory.
        first = x.shape[0] - x.shape[0] % 4
        for k in range(0, first, 4):
            x0, x1, x2, x3 = x[k, i], x[k + 1, i], x[k + 2, i], x[k + 3, i]
            y0, y1 = y[k, start : start + size], y[k + 1, start : start + size]
            y2, y3 = y[k + 2, start : start + size], y[k + 3, start : start + size]
            for j in range(size):
                d0, d1, d2, d3 = x0 - y0[j], x1 - y1[j], x2 - y2[j], x3 - y3[j]
                # One after the other: each product and sum is one instruction.
                out[j] = (((out[j] + d0 * d0) + d1 * d1) + d2 * d2) + d3 * d3
    for k in range(first, x.shape[0]):
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


@inner
def _may_improve(
    x: np.ndarray, i: int, y: np.ndarray, start: int, f: float, least: np.ndarray
) -> bool:
    """Whether a distance in the plane or in space may be below ``least[j] + f``.

    Squares are compared, with room for their rounding, since a root takes longer than all
    the rest. Most rows improve nothing, since minima are found early.
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

    Points, norm and p are those of `point_costs`. `best` has a place for each j wanted, and
    holds inf or an upper bound on entry: the lower the bounds, the fewer pairs are computed.
    As many columns as `distance` has places, which is scratch, stay in the first-level cache
    while all rows pass by.
    """
    d, n = x.shape
    is_screened = norm == 2 and p == 1.0 and d in (2, 3)
    tile = distance.size
    for left in range(0, best.size, tile):
        least = best[left : left + tile]
        for i in range(n):
            if is_screened and not _may_improve(x, i, y, start + left, f[i], least):
                continue
            cost = distance[: least.size]
            point_costs(x, i, y, start + left, norm, p, cost)
            lower_all(cost, f[i], least)


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
    """Add rows of a plan, from row `start` on, to `columns`; write their masses and costs.

    `sums` (3, k) receives masses, costs and absolute costs, which are the costs here. Points,
    norm and p are those of `point_costs`; `distance` is scratch that stays in the first-level
    cache. Returns the number of entries that are negative or NaN.
    """
    n_bad, tile = 0, distance.size
    sums[:] = 0.0
    for left in range(0, plan.shape[1], tile):
        column = columns[left : left + tile]
        for k in range(plan.shape[0]):
            row, cost = plan[k, left : left + tile], distance[: column.size]
            point_costs(x, start + k, y, left, norm, p, cost)
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


@fusing_inner
def _cost_of(x: np.ndarray, y: np.ndarray, norm: int, p: float) -> float:
    """Return the cost of two points (d,), rounded as in `points_minimum`."""
    total, first = 0.0, x.size - x.size % 4
    for k in range(0, first, 4):
        d0, d1, d2, d3 = x[k] - y[k], x[k + 1] - y[k + 1], x[k + 2] - y[k + 2], x[k + 3] - y[k + 3]
        total = (((total + d0 * d0) + d1 * d1) + d2 * d2) + d3 * d3
    for k in range(first, x.size):
        total += (x[k] - y[k]) * (x[k] - y[k])
    if norm == 2 and p != 2.0:
        total = np.sqrt(total)
    return total if p == 1.0 or (norm == 2 and p == 2.0) else total**p


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

    Single precision rules out most pairs. `products` (m, n) float32, which is overwritten, and
    the squared norms `size_x` and `size_y` belong to points that were moved and scaled: costs
    are `unit` times theirs, with a relative error of at most `relative`.
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
        # The upper bound is rounded too.
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
