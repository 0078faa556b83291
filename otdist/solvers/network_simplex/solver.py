"""Exact transport by the network simplex method, on few arcs at a time.

In small problems all arcs are priced. Larger ones go through column generation, from potentials
of a coarser problem; see `solvers.network_simplex`.

Where the cost is a metric, mass that both distributions have at one point stays there: a plan
that replaces it by other mass is no better, by the triangle inequality (Villani, *Topics in
Optimal Transportation*, 2003, 1.2). The rest has fewer atoms, about half of them for two images.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np

from otdist.compiled.costs import read_only
from otdist.geometry.grid_metric import Pixels
from otdist.geometry.points import Points
from otdist.plans.integer_masses import IntegerMasses, quantise
from otdist.plans.plans import Arcs
from otdist.problem.problem import Problem
from otdist.problem.result import Candidate, Ended
from otdist.solvers.network_simplex import search as simplex
from otdist.solvers.network_simplex.assignment import solve_square
from otdist.solvers.network_simplex.kernels import simplex as kernel
from otdist.solvers.registry import NO_LIMIT, Options, start_from
from otdist.typing import FloatArray, IntArray

if TYPE_CHECKING:
    from otdist.solvers.network_simplex.pooled_images import Start

# Entries of a matrix up to which all arcs are priced.
_SMALL = 1 << 18
# Entries up to which all arcs are priced if rows and columns form groups.
_MEDIUM = 1 << 20
# The smaller side is narrow below `_NARROW` atoms, the larger one long from `_LONG` on. Of a narrow
# matrix with forbidden arcs, or that is not long, all arcs are priced.
_NARROW, _LONG = 64, 2048
# A rest below this part of the mass is not solved by itself, since it has few digits.
_LEAST = 1e-9
# Margin of artificial arcs above a warm start, as a part of the largest cost.
_WARM_MARGIN = 1e-3
_EPS = float(np.finfo(float).eps)


class Rest(NamedTuple):
    """The rest of a problem, and the mass that stays in place."""

    problem: Problem | None  # None if nothing is left
    rows: IntArray
    columns: IntArray
    kept: Arcs


def run(problem: Problem, options: Options) -> Candidate:
    """Solve the linear program exactly; O(n + m) memory beyond the input."""
    geometry = problem.geometry.tabulated()
    geometry = geometry.as_points() or geometry
    if geometry is not problem.geometry:
        problem = problem.on(geometry)
    n, m = geometry.shape
    if geometry.facts.same_atoms:
        return _without_common(problem, options)
    is_long = max(n, m) >= max(_LONG, _NARROW * min(n, m))
    if min(n, m) < _NARROW and is_long and not geometry.facts.has_forbidden:
        found = _solved_narrow(problem, options)
        if found is not None:
            return found
    needs_groups, is_points = n * m > _SMALL, geometry.as_points() is not None
    is_medium = not is_points and n * m <= _MEDIUM
    at_once = not needs_groups or (is_medium and options.deadline == np.inf)
    is_plain = options.warm_start is None and options.report is None
    has_forbidden = geometry.facts.has_forbidden
    if is_plain and not (is_points or has_forbidden) and options.max_iter == NO_LIMIT:
        found = solve_square(geometry.dense(), problem.a, problem.b)
        if found is not None:
            return found
    if at_once and is_plain:
        found = simplex.solve_at_once(
            geometry.dense(),
            problem.a,
            problem.b,
            problem.mass,
            geometry.largest,
            options.max_iter,
            has_forbidden=has_forbidden,
            needs_groups=needs_groups,
        )
        if found is not None:
            return found
        if needs_groups and not has_forbidden:
            # Without groups there are no coarser problems to begin with.
            return _in_parts(problem, options, (np.zeros(m), 2.0 * (geometry.largest or 1.0)))
    if is_points and n * m > _SMALL:
        return _without_common(problem, options)
    return _in_parts(problem, options)


def _solved_narrow(problem: Problem, options: Options) -> Candidate | None:
    """Solve a problem of few rows or few columns."""
    from otdist.compiled.costs import read_only
    from otdist.solvers.network_simplex.few_sinks import solve_few

    cost, start = problem.geometry.dense(), options.warm_start
    if problem.shape[0] >= problem.shape[1]:
        return solve_few(cost, problem.a, problem.b, options)
    if start is not None:
        options = options._replace(warm_start=start[::-1])
    found = solve_few(read_only(cost.T), problem.b, problem.a, options)
    if found is None:
        return None
    columns, rows, mass = cast("Arcs", found.plan)
    return found._replace(plan=Arcs(rows, columns, mass), f=found.g, g=found.f)


def _without_common(problem: Problem, options: Options) -> Candidate:
    """Solve for the mass that the two distributions do not share, if p = 1."""
    rest = cancel(problem) if problem.is_metric else None
    if rest is None:
        return _in_order(problem, options)
    n, m = problem.shape
    if rest.problem is None:
        return Candidate(rest.kept, np.zeros(n), np.zeros(m), 0)
    found = _rest_solved(problem, rest, options.restricted(rest.rows, rest.columns))
    assert isinstance(found.plan, Arcs)
    moved = Arcs(rest.rows[found.plan.rows], rest.columns[found.plan.columns], found.plan.mass)
    plan = Arcs(*(np.concatenate(pair) for pair in zip(rest.kept, moved, strict=True)))
    f, g = _potentials_of_all(problem, rest, found.f, found.g, options.n_jobs)
    return found._replace(plan=plan, f=f, g=g)


def _rest_solved(whole: Problem, rest: Rest, options: Options) -> Candidate:
    """Solve the rest; on pixels from the potentials of pooled images."""
    problem = rest.problem
    assert problem is not None
    if not whole.geometry.facts.same_atoms or options.warm_start is not None:
        return _in_order(problem, options)
    from otdist.solvers.network_simplex import pooled_images as pooling

    part, grid = cast("Points", problem.geometry), cast("Pixels", whole.geometry)
    begun = pooling.start(grid, whole.a - whole.b, part, options)
    if options.report is None:
        found = pooling.solve_small(part, problem.a, problem.b, begun, options.max_iter)
        if found is not None:
            return found
    return _in_order(problem, options, begun)


def cancel(problem: Problem) -> Rest | None:
    """Cancel common mass; return None without common mass, or with almost no other mass.

    Points that occur more than once on a side are not cancelled.
    """
    geometry = cast("Points", problem.geometry)
    if geometry.facts.same_atoms:
        both = np.flatnonzero(np.minimum(problem.a, problem.b))
        # If nothing is cancelled, pixels without mass are still left out.
        return _without(problem, both, both) or _without(problem, both[:0], both[:0])
    x, y = geometry.x, geometry.y
    if len(np.intersect1d(x[:, 0], y[:, 0])) == 0:
        return None
    _, place = np.unique(np.concatenate([x, y]), axis=0, return_inverse=True)
    at_x, at_y = place[: len(x)], place[len(x) :]
    once = (np.bincount(at_x, minlength=len(place)) == 1) & (
        np.bincount(at_y, minlength=len(place)) == 1
    )
    rows, columns = np.flatnonzero(once[at_x]), np.flatnonzero(once[at_y])
    if len(rows) == 0:
        return None
    rows, columns = rows[np.argsort(at_x[rows])], columns[np.argsort(at_y[columns])]
    return _without(problem, rows, columns)


def _without(problem: Problem, rows: IntArray, columns: IntArray) -> Rest | None:
    """Cancel the common mass of the listed pairs of equal points."""
    mass = np.minimum(problem.a[rows], problem.b[columns])
    kept = Arcs(rows, columns, mass)
    a, b = problem.a.copy(), problem.b.copy()
    a[rows] -= mass
    b[columns] -= mass
    left_x, left_y = np.flatnonzero(a), np.flatnonzero(b)
    if len(left_x) == len(left_y) == 0:
        return Rest(None, left_x, left_y, kept)
    if min(a.sum(), b.sum()) < _LEAST * problem.mass:
        return None
    part = problem.restrict(left_x, left_y, a[left_x], b[left_y])
    return Rest(part, left_x, left_y, kept)


def _potentials_of_all(
    problem: Problem, rest: Rest, f: FloatArray, g: FloatArray, n_jobs: int
) -> tuple[FloatArray, FloatArray]:
    """Return potentials of all atoms, from optimal potentials of the rest.

    They are a function of slope at most 1 and its negative: the least ``cost - f`` over the
    rows of the rest. Mass that stays in place costs 0 and gains 0.
    """
    from otdist.solvers.network_simplex.pooled_images import Sources, least_from

    points = cast("Points", problem.geometry)
    sources = Sources(points.x[rest.rows], f)
    if not points.facts.same_atoms:
        of_x = least_from(sources, points.x, points, n_jobs)
        return -of_x, least_from(sources, points.y, points, n_jobs)
    # On pixels -f and g form one function of slope at most 1, since every atom i has a tight
    # arc i -> j: if ``f[i'] > f[i] + c(i', i)`` for some i', the arc i' -> j would violate its
    # cost. No pixel is in both lists, and only the pixels in neither need new potentials.
    value = np.full(len(points.x), np.nan)
    value[rest.rows], value[rest.columns] = -f, g
    others = np.flatnonzero(np.isnan(value))
    if len(rest.rows) <= len(rest.columns):
        value[others] = least_from(sources, points.x[others], points, n_jobs)
    else:
        sources = Sources(points.x[rest.columns], g)
        value[others] = -least_from(sources, points.x[others], points, n_jobs)
    return -value, value


def _in_order(problem: Problem, options: Options, begun: Start | None = None) -> Candidate:
    """Solve on points reordered, so that those of a tile lie together."""
    from otdist.solvers.coarsen import order_of

    geometry = cast("Points", problem.geometry)
    rows, columns = order_of(geometry.x), order_of(geometry.y)
    if begun is not None:
        begun = begun._replace(g=begun.g[columns])
    part, options = problem.restrict(rows, columns), options.restricted(rows, columns)
    found = _in_parts(part, options, begun)
    f, g = np.empty(len(rows)), np.empty(len(columns))
    f[rows], g[columns] = found.f, found.g
    assert isinstance(found.plan, Arcs)
    i, j, mass = found.plan
    plan = Arcs(rows[i], columns[j], mass)
    return found._replace(plan=plan, f=f, g=g)


def _in_parts(
    problem: Problem, options: Options, begun: tuple[FloatArray, float] | None = None
) -> Candidate:
    """Solve by column generation, or on all arcs if there are few.

    `begun` has potentials g to begin with, and the margin of artificial arcs above them.
    """
    geometry = problem.geometry
    masses = quantise(problem.a, problem.b)
    g, margin = begun or (None, 2.0 * (geometry.largest or 1.0))
    if options.warm_start is not None:
        g = start_from(geometry, options.warm_start)
        margin *= _WARM_MARGIN / 2
    search = _begun(problem, masses, g, options)
    candidate = _searched(problem, search, margin, options)
    if candidate.ended is Ended.FINISHED and simplex.hides_digits(search):
        return _searched_near(problem, search, options) or candidate
    return candidate


def _begun(
    problem: Problem, masses: IntegerMasses, g: FloatArray | None, options: Options
) -> simplex.Search:
    """Return a search from potentials g, or from those of coarser problems."""
    geometry = problem.geometry
    n, m = geometry.shape
    is_narrow = min(n, m) < _NARROW and geometry.as_points() is None
    if is_narrow or n * m <= _SMALL:
        return simplex.search_all(geometry, masses, np.zeros(m) if g is None else g)
    # Imported here, since a small problem would take longer to import than solve.
    from otdist.solvers.network_simplex import column_generation as columns

    if g is None:
        g = columns.potentials(geometry, problem.a, problem.b, options)
    return columns.search_candidates(geometry, masses, g, options.n_jobs)


def _searched_near(problem: Problem, search: simplex.Search, options: Options) -> Candidate | None:
    """Search again with margins of the size of the costs that the plan pays.

    Where a few costs are far larger, potentials of their size have no digits left for the
    others. If the plan does not need these costs, small margins avoid such potentials.
    """
    geometry, masses = problem.geometry, search.masses
    mass = float(masses.a.sum()) * masses.unit
    paid = abs(simplex.value_of(search.basis, masses)) / mass
    nothing = np.zeros(geometry.shape[1])
    g = geometry.column_minimum(geometry.row_minimum(nothing))
    # Rounding may make the search cycle; stop then, since there is an answer already.
    n_pivots = int(search.pivots.n_pivots[0]) + 20 * sum(geometry.shape)
    options = options._replace(max_iter=min(options.max_iter, n_pivots))
    again = _begun(problem, masses, g, options)._replace(scale=paid)
    candidate = _searched(problem, again, 2 * paid, options)
    has_answer = candidate.ended is Ended.FINISHED and candidate.stranded is None
    return candidate if has_answer else None


def _searched(
    problem: Problem, search: simplex.Search, margin: float, options: Options
) -> Candidate:
    """Search until an optimum is found, a limit is met, or mass has no path."""
    basis, n = search.basis, problem.shape[0]
    # Masses of components that no arc connects may differ by the rounding of their sums.
    rounding = int(16 * _EPS * float(search.masses.a.sum()))
    negligible = 0
    while True:
        ended = simplex.optimise(search, margin, options, negligible=negligible)
        finished = ended is Ended.FINISHED
        left = kernel.artificial_flow(basis, n)
        if not finished or left in (0, negligible) or left > rounding:
            break
        # A margin above the cost of all paths has shown that no path is left for this flow. Its
        # potentials are as large as the margin, so begin again and ignore the flow.
        negligible = left
    is_stranded = finished and left > negligible
    rows = simplex.stranded_rows(basis, n) if is_stranded else None
    return _claim(problem, search, ended, rows)


def _claim(
    problem: Problem, search: simplex.Search, ended: Ended, stranded: IntArray | None
) -> Candidate:
    """Return the plan and the potentials of the simplex."""
    basis, masses = search.basis, search.masses
    n, m = problem.shape
    finished = ended is Ended.FINISHED
    plan = simplex.plan_of(basis, masses, (n, m), keep_artificial=not finished)
    if not masses.is_exact and finished and stranded is None:
        weights = read_only(problem.a), read_only(problem.b)
        kernel.write_exact_masses(basis, *weights, np.empty((2, n + m + 1)), plan.mass)
    return Candidate(
        plan=plan,
        f=basis.potential[:n].copy(),
        g=basis.potential[n : n + m].copy(),
        n_iter=int(search.pivots.n_pivots[0]),
        ended=ended,
        stranded=stranded,
    )
