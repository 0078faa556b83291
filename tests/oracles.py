"""Slow and obvious truth, none of it from otdist: the second opinion of every test.

Exact answers are `fractions.Fraction`: a float is a fraction, so the optimum of a
problem given in floats is a fraction too, and no tolerance is needed to state it.
"""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import permutations

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import csr_array


def scale_of(cost):
    """Return the largest finite cost in absolute value."""
    finite = cost[np.isfinite(cost)]
    return float(np.abs(finite).max()) if finite.size else 0.0


def exact(cost, a, b):
    """Return the optimum as a Fraction, or None if no coupling exists.

    Successive shortest paths (Bellman-Ford) on integers of any size: masses and
    costs are floats, hence integers over a power of two. If the two sums differ
    by rounding, b is rescaled exactly. For n, m up to about 6.
    """
    n, m = len(a), len(b)
    supply = [Fraction(float(v)) for v in a]
    demand = [Fraction(float(v)) for v in b]
    ratio = sum(supply) / sum(demand)
    demand = [v * ratio for v in demand]
    unit = _common_denominator([*supply, *demand])
    supply = [int(v * unit) for v in supply]
    demand = [int(v * unit) for v in demand]
    arcs = [
        (i, j, Fraction(float(cost[i][j])))
        for i in range(n)
        for j in range(m)
        if math.isfinite(cost[i][j])
    ]
    cost_unit = _common_denominator([c for _, _, c in arcs])
    arcs = [(i, j, int(c * cost_unit)) for i, j, c in arcs]
    flow = {(i, j): 0 for i, j, _ in arcs}
    while any(supply):
        path = _shortest_path(arcs, flow, supply, demand, n, m)
        if path is None:
            return None
        source, sink, forward, backward = path
        amount = min([supply[source], demand[sink]] + [flow[arc] for arc in backward])
        for arc in forward:
            flow[arc] += amount
        for arc in backward:
            flow[arc] -= amount
        supply[source] -= amount
        demand[sink] -= amount
    total = sum(flow[i, j] * c for i, j, c in arcs)
    return Fraction(total, unit * cost_unit)


def _common_denominator(values):
    return math.lcm(*[v.denominator for v in values], 1)


def _shortest_path(arcs, flow, supply, demand, n, m):
    """Return ends and arcs of a cheapest path from free supply to free demand."""
    length = [0 if supply[i] else None for i in range(n)] + [None] * m
    before = [None] * (n + m)
    for _ in range(n + m):
        changed = False
        for i, j, c in arcs:
            for tail, head, step in ((i, n + j, c), (n + j, i, -c)):
                if tail >= n and not flow[i, j]:
                    continue
                if length[tail] is None:
                    continue
                new = length[tail] + step
                if length[head] is None or new < length[head]:
                    length[head], before[head], changed = new, tail, True
        if not changed:
            break
    open_sinks = [j for j in range(m) if demand[j] and length[n + j] is not None]
    if not open_sinks:
        return None
    sink = min(open_sinks, key=lambda j: length[n + j])
    node, forward, backward = n + sink, [], []
    while before[node] is not None:
        tail = before[node]
        if tail < n:
            forward.append((tail, node - n))
        else:
            backward.append((node, tail - n))
        node = tail
    return node, sink, forward, backward


def by_permutations(cost):
    """Return the least mean cost over all n! matchings, for uniform masses 1/n."""
    n = len(cost)
    return min(
        math.fsum(cost[i][j] for i, j in enumerate(order)) / n for order in permutations(range(n))
    )


def by_linprog(cost, a, b):
    """Return the optimum from SciPy's LP solver, equality constraints written out."""
    from scipy.optimize import linprog

    cost = np.asarray(cost, float)
    n, m = cost.shape
    rows = np.kron(np.eye(n), np.ones(m))
    columns = np.kron(np.ones(n), np.eye(m))
    bounds = [(0, 0) if math.isinf(c) else (0, None) for c in cost.ravel()]
    solution = linprog(
        np.where(np.isfinite(cost), cost, 0.0).ravel(),
        A_eq=np.vstack([rows, columns]),
        b_eq=np.concatenate([a, b]),
        bounds=bounds,
    )
    assert solution.status == 0, solution.message
    return float(solution.fun)


def by_assignment(cost):
    """Return the least mean cost from SciPy's assignment solver, masses 1/n."""
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(cost)
    return math.fsum(np.asarray(cost)[rows, columns]) / len(rows)


def by_pot(cost, a, b):
    """Return POT's optimum, run to the end."""
    import ot

    value, log = ot.emd2(a, b, cost, numItermax=10**9, log=True)
    assert log["result_code"] == 1, log["warning"]
    return float(value)


def on_line(x, y, a, b, p):
    """Return sum of |x - y| ** p of the sorted coupling, rounded."""
    return float(exact_on_line(x, y, a, b, p))


def exact_on_line(x, y, a, b, p):
    """Return sum of |x - y| ** p of the sorted coupling, a Fraction: exact for integer p.

    The quantile functions of both measures are stepped through in Fractions.
    """
    total = sum(map(Fraction, map(float, a)))
    ratio = total / sum(map(Fraction, map(float, b)))
    left = [[Fraction(float(w)), s] for s, w in sorted(zip(x, a, strict=True))]
    right = [[Fraction(float(w)) * ratio, s] for s, w in sorted(zip(y, b, strict=True))]
    value, i, j, longest = Fraction(0), 0, 0, 0.0
    while i < len(left) and j < len(right):
        mass = min(left[i][0], right[j][0])
        distance = abs(Fraction(float(left[i][1])) - Fraction(float(right[j][1])))
        if mass > 0 and math.isinf(p):
            longest = max(longest, float(distance))
        elif mass > 0 and p == int(p):
            value += mass * distance ** int(p)
        elif mass > 0:
            value += mass * Fraction(float(distance) ** p)
        left[i][0] -= mass
        right[j][0] -= mass
        i += left[i][0] == 0
        j += right[j][0] == 0
    return Fraction(longest) if math.isinf(p) else value


def bottleneck(cost, a, b):
    """Return the least t such that a coupling moves nothing further than t."""
    cost = np.asarray(cost, float)
    for t in np.unique(cost):
        allowed = np.where(cost <= t, 0.0, np.inf)
        if exact(allowed, a, b) is not None:
            return float(t)
    raise AssertionError("the largest cost allows every coupling")


def by_scipy_line(x, y, a=None, b=None):
    """Return W1 on the line from SciPy."""
    from scipy.stats import wasserstein_distance

    return float(wasserstein_distance(x, y, a, b))


def highs_bound(cost, a, b):
    """Return a lower bound of the optimum, from the multipliers HiGHS ends with.

    Their best partners are taken anew, so that the bound holds whatever HiGHS
    tolerates, and is the optimum itself if its last basis is optimal.
    """
    n = len(cost)
    rows, columns = np.nonzero(np.isfinite(cost))
    arcs = np.arange(len(rows))
    ends = np.concatenate([rows, n + columns])
    incidence = csr_array((np.ones(len(ends)), (ends, np.tile(arcs, 2))))
    unit, mass = scale_of(cost) or 1.0, math.fsum(a)
    tolerances = ("primal_feasibility_tolerance", "dual_feasibility_tolerance")
    solution = linprog(
        cost[rows, columns] / unit,
        A_eq=incidence,
        b_eq=np.concatenate([a, b]) / mass,
        method="highs-ds",
        options=dict.fromkeys(tolerances, 1e-10),
    )
    assert solution.status == 0, solution.message
    f = solution.eqlin.marginals[:n] * unit
    f -= np.median(f)
    g = (cost - f[:, None]).min(axis=0)
    return math.fsum(np.concatenate([a * f, b * g]))
