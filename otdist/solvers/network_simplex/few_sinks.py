"""Problems with few atoms on one side, solved by shortest paths between these.

In the tree of the network simplex nearly all atoms of the other side would be leaves of few
hubs, and each change of a hub's potential moves all its leaves. `kernels.few_sinks` keeps
potentials of the hubs only.
"""

from __future__ import annotations

from typing import cast

import numpy as np

from otdist.compiled.costs import read_only
from otdist.plans.integer_masses import completed, exact_sums, fitted, quantise
from otdist.plans.plans import Arcs
from otdist.problem.result import Candidate, Ended
from otdist.solvers.network_simplex.kernels import few_sinks as kernel
from otdist.solvers.network_simplex.search import solve_from
from otdist.solvers.registry import NO_LIMIT, Options
from otdist.typing import FloatArray, IntArray

# Moves of one call, some milliseconds.
_MOVES = 1000
# Sources that a list of steps holds; more take longer to insert, fewer run out.
_LENGTH = 128
# Prices begin at those of a part of the sources, while that has so many for each sink.
_PART, _SAMPLED = 16, 64


def solve_few(cost: FloatArray, a: FloatArray, b: FloatArray, options: Options) -> Candidate | None:
    """Solve a problem whose columns are few and whose costs are finite.

    None where very many sources are divided, which the general search has to solve.
    """
    masses = quantise(a, b)
    start = options.warm_start
    price = _sampled(cost, masses.a, masses.b) if start is None else start[1].copy()
    code, mass, n_moves = _moved(cost, masses.a, masses.b, price, options)
    if code == kernel.FULL:
        return None
    plan, ended = _plan_of(mass, masses.unit), Ended.FINISHED
    if code == kernel.MORE:
        ended = options.limit_met(n_moves) or ended
        plan = completed(plan, a, b)
    else:
        plan = _without_cycles(plan, cost)
        if not masses.is_exact:
            plan = fitted(plan, a, b)
    return Candidate(plan, (cost - price).min(axis=1), price, n_moves, ended)


def _plan_of(mass: kernel.Mass, unit: float) -> Arcs:
    """Return the plan: what is at home, and the parts that are elsewhere."""
    rows, parts = [], []
    for i in np.flatnonzero(mass.parts >= 0):
        part = mass.parts[i]
        while part >= 0:
            rows.append(i)
            parts.append(part)
            part = mass.following[part]
    elsewhere = np.array(parts, np.int64)
    return Arcs(
        np.concatenate([np.arange(len(mass.home)), np.array(rows, np.int64)]),
        np.concatenate([mass.home, mass.sink[elsewhere]]),
        np.concatenate([mass.rest, mass.amount[elsewhere]]) * unit,
    )


def _without_cycles(plan: Arcs, cost: FloatArray) -> Arcs:
    """Return a plan of the same cost whose arcs form no cycle.

    Only ties make cycles. The sources of several arcs are solved by themselves.
    """
    n, k = cost.shape
    if len(plan.rows) < n + k:
        return plan
    rows, columns, mass = plan
    is_divided = (np.bincount(rows, minlength=n) > 1)[rows]
    a = exact_sums(rows[is_divided], mass[is_divided], n)
    b = exact_sums(columns[is_divided], mass[is_divided], k)
    some, used = np.flatnonzero(a), np.flatnonzero(b)
    part, start = cost[np.ix_(some, used)], np.zeros(len(some) + len(used))
    scale = float(np.abs(part).max()) or 1.0
    total = float(a.sum())
    found = solve_from(part, a[some], b[used], total, scale, start, 2 * scale, 8.0, NO_LIMIT)
    if found is None:
        return plan
    again = cast("Arcs", found.plan)
    whole = ~is_divided
    return Arcs(
        np.concatenate([rows[whole], some[again.rows]]),
        np.concatenate([columns[whole], used[again.columns]]),
        np.concatenate([mass[whole], again.mass]),
    )


def _sampled(cost: FloatArray, a: IntArray, b: IntArray) -> FloatArray:
    """Return the prices of a sample of the sources; 0 where that would be too small."""
    n, k = cost.shape
    price = np.zeros(k)
    if n < _PART * _SAMPLED * k:
        return price
    chosen = np.random.default_rng(0).choice(n, n // _PART, replace=False)
    part, of_sample = read_only(cost[chosen]), a[chosen]
    total = int(of_sample.sum())
    needed = (b * (total / int(b.sum()))).astype(np.int64)
    needed[needed.argmax()] += total - int(needed.sum())
    price = _sampled(part, of_sample, needed)
    _moved(part, of_sample, needed, price, Options())
    return price


def _moved(
    cost: FloatArray, a: IntArray, b: IntArray, price: FloatArray, options: Options
) -> tuple[int, kernel.Mass, int]:
    """Move mass until all sinks have theirs, and change the prices."""
    n, k = cost.shape
    room, length = 4 * k * k + 64, min(n, _LENGTH)
    mass = kernel.Mass(
        home=np.empty(n, np.int64),
        rest=np.empty(n, np.int64),
        parts=np.empty(n, np.int64),
        sink=np.empty(room, np.int64),
        amount=np.zeros(room, np.int64),
        following=np.empty(room, np.int64),
        excess=-b,
    )
    steps = kernel.Steps(
        source=np.empty((k, k, length), np.int64),
        cost=np.empty((k, k, length)),
        number=np.empty((k, k), np.int64),
        bound=np.empty((k, k)),
        least=np.empty((k, k)),
    )
    paths = kernel.Paths(
        price=price,
        distance=np.empty(k),
        before=np.empty(k, np.int64),
        is_known=np.empty(k, np.bool_),
    )
    kernel.place_sources(cost, a, mass, steps, paths)
    n_moves = 0
    while True:
        code, moved = kernel.move_excess(
            cost, mass, steps, paths, min(_MOVES, options.max_iter - n_moves)
        )
        n_moves += moved
        if options.report is not None:
            options.report(n_moves, np.inf)
        if code != kernel.MORE or options.limit_met(n_moves) is not None:
            return code, mass, n_moves
