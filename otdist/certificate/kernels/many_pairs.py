"""Compiled passes of the certificate over many small problems.

Used by nothing else, and by no solver: the checker shares no code with what it
checks. Each has a NumPy twin that tests compare it with.
"""

import numpy as np

from otdist.runtime.kernel_cache import njit

_FLAGS = {"cache": True, "error_model": "numpy", "nogil": True, "_nrt": False}
# Without wrappers a kernel can be called by kernels only, and compiles in half the time.
_INNER = {**_FLAGS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
kernel = njit(**_FLAGS)
inner = njit(**_INNER)
finite_inner = njit(**_INNER, fastmath={"nnan", "nsz"})


@inner
def _sum_of_products(u: np.ndarray, v: np.ndarray, shift: float) -> tuple[float, float]:
    """Return ``sum u * (v + shift)`` without accumulated rounding, and its size."""
    total = lost = size = 0.0
    for k in range(u.size):
        term = u[k] * (v[k] + shift)
        new = total + term
        # Knuth's sum: what was lost, whichever of both is larger.
        part = new - total
        lost += (total - (new - part)) + (term - part)
        total = new
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
    out: np.ndarray,
) -> None:
    """Write lower and upper bound, size of all terms, marginal error, that weighted.

    f is the c-transform of g; arcs of the masses and costs given move a and b up to
    what they are off by. Without mass on a side nothing moves.
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
    out[0], out[1] = lower_a + lower_b, upper
    # The c-transform was rounded before the shift, in units of its own size.
    out[2], out[3], out[4] = size + size_a + size_b + size_f, error, weighted


@finite_inner
def _lower_all(row: np.ndarray, g: float, least: np.ndarray) -> None:
    """Replace each number by ``row[k] - g`` where that is less."""
    for k in range(least.size):
        slack = row[k] - g
        least[k] = slack if slack < least[k] else least[k]  # noqa: FURB136


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

    Of pair q there are `n_arcs[q]` arcs, from bin to bin with the mass moved, and
    potentials of the bins of the second. If the cost is a metric, mass that stays in its
    bin is no arc: f, the c-transform of the potentials of the bins that gain, is
    1-Lipschitz, and ``sum f * (a - b)`` a lower bound whatever stays (Kantorovich and
    Rubinstein); on bins that gain, -f is at least g, which is taken here.

    `out` (Q, 6) receives bounds, size of terms, marginal error, that weighted, and the
    mass moved; all are infinite where claims are not as they must be. `work`
    (9, n + m) is scratch.
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
                _lower_all(transposed[j], g[j], f)
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
            # Nothing moves: what the two have more or less is rounding of their sums.
            error = 0.0
            for k in range(n + m):
                error += abs(off[k])
            out[q, :3], out[q, 3:5], out[q, 5] = 0.0, error, total
            out[q, 4] *= largest
            continue
        _bracket(
            work[3, :n_a],
            work[6, :n_b],
            work[4, :n_a],
            work[7, :n_b],
            work[5, :n_a],
            work[8, :n_b],
            moved[q, :arcs],
            paid[:arcs],
            out[q],
        )
        out[q, 5] = total


@finite_inner
def _costs_to(x: np.ndarray, y: np.ndarray, j: int, norm: int, p: float, out: np.ndarray) -> None:
    """Write the costs of points x (d, n) and one of y (d, m).

    The norm is 1, 2, 0 for the largest coordinate, or 4 for the Euclidean norm squared;
    it is raised to p.
    """
    out[:] = 0.0
    for k in range(x.shape[0]):
        x_k, y_k = x[k], y[k, j]
        if norm == 1:
            for i in range(out.size):
                out[i] += abs(x_k[i] - y_k)
        elif norm == 0:
            for i in range(out.size):
                apart = abs(x_k[i] - y_k)
                out[i] = apart if apart > out[i] else out[i]  # noqa: FURB136
        else:
            for i in range(out.size):
                out[i] += (x_k[i] - y_k) * (x_k[i] - y_k)
    # The square is exact where its root would round.
    if norm == 2 and p != 2.0:
        for i in range(out.size):
            out[i] = np.sqrt(out[i])
    if not (p == 1.0 or (norm == 2 and p == 2.0)):
        for i in range(out.size):
            out[i] = out[i] ** p


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

    Cloud k has the atoms from ``starts[k]`` to ``starts[k + 1]``; its points are d
    times as many numbers, one coordinate after the other. Norm and p are those of
    `_costs_to`.
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
        # The arcs of a column are found by a list: the first, and for each the next.
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
            _costs_to(x, y, j, norm, p, cost)
            _lower_all(cost, g[j], f)
            k = int(work[4, j])
            while k >= 0:
                paid[k] = cost[row[q, k]]
                k = int(work[5, k])
        arcs = n_arcs[q]
        _bracket(a, b, f, g, off[:n], off[n : n + m], moved[q, :arcs], paid[:arcs], out[q])
        out[q, 5] = total


@kernel
def triangle_excess(cost: np.ndarray, start: int, stop: int, best: np.ndarray) -> float:
    """Return by how much a way with one stop may be shorter than the arc itself.

    Of the arcs from bins `start` to `stop` of a symmetric matrix; `best` (n,) is
    scratch. NaN and negative entries count as infinite excess.
    """
    excess = 0.0
    for i in range(start, stop):
        best[:] = np.inf
        for k in range(best.size):
            # c[i, k] + c[k, j], for all j
            _lower_all(cost[k], -cost[i, k], best)
        for j in range(best.size):
            if not cost[i, j] >= 0.0:
                return np.inf
            excess = max(excess, cost[i, j] - best[j])
    return excess
