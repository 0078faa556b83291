"""Exact transport by the network simplex method, on few arcs at a time.

In small problems all arcs are priced. Larger ones go through column generation, from potentials
of a coarser problem; see `solvers.network_simplex`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np

from otdist.geometry.grid_metric import Pixels
from otdist.geometry.points import Points
from otdist.plans.integer_masses import IntegerMasses, fitted, quantise
from otdist.plans.plans import Arcs
from otdist.problem.problem import Problem
from otdist.problem.result import Candidate, Ended
from otdist.solvers.network_simplex import basis as tree
from otdist.solvers.network_simplex import search as simplex
from otdist.solvers.network_simplex.kernels import spanning_tree as kernel
from otdist.solvers.registry import Options, start_from
from otdist.typing import FloatArray, IntArray

if TYPE_CHECKING:
    from otdist.solvers.network_simplex import cancel_common_mass as cancellation
    from otdist.solvers.network_simplex.pooled_images import Start

# Entries of a matrix up to which all arcs are priced.
_SMALL = 1 << 18
# Entries up to which all arcs are priced if rows and columns form groups.
_MEDIUM = 3 << 18
# All arcs are priced if there are fewer rows or columns than this.
_NARROW = 64
# Margin of artificial arcs above a warm start, as a part of the largest cost.
_WARM_MARGIN = 1e-3
_EPS = float(np.finfo(float).eps)


def run(problem: Problem, options: Options) -> Candidate:
    """Solve the linear program exactly; O(n + m) memory beyond the input."""
    geometry = problem.geometry.tabulated()
    geometry = geometry.as_points() or geometry
    if geometry is not problem.geometry:
        problem = problem.on(geometry)
    n, m = geometry.shape
    if geometry.facts.same_atoms:
        return _without_common(problem, options)
    needs_groups, is_points = n * m > _SMALL, geometry.as_points() is not None
    is_medium = not is_points and n * m <= _MEDIUM
    at_once = not needs_groups or (is_medium and options.deadline == np.inf)
    if at_once and options.warm_start is None and options.report is None:
        found = simplex.solve_at_once(
            geometry,
            problem.a,
            problem.b,
            problem.mass,
            options.max_iter,
            needs_groups=needs_groups,
        )
        if found is not None:
            return Candidate(*found)
    if is_points and n * m > _SMALL:
        return _without_common(problem, options)
    return _in_parts(problem, options)


def _without_common(problem: Problem, options: Options) -> Candidate:
    """Solve for the mass that the two distributions do not share, if p = 1."""
    from otdist.solvers.network_simplex import cancel_common_mass as cancellation

    rest = cancellation.cancel(problem) if problem.is_metric else None
    if rest is None:
        return _in_order(problem, options)
    n, m = problem.shape
    if rest.problem is None:
        return Candidate(rest.kept, np.zeros(n), np.zeros(m), 0)
    if options.warm_start is not None:
        f, g = options.warm_start
        options = options._replace(warm_start=(f[rest.rows], g[rest.columns]))
    found = _rest_solved(problem, rest, options)
    assert isinstance(found.plan, Arcs)
    moved = Arcs(rest.rows[found.plan.rows], rest.columns[found.plan.columns], found.plan.mass)
    plan = Arcs(*(np.concatenate(pair) for pair in zip(rest.kept, moved, strict=True)))
    f, g = cancellation.potentials(problem, rest, found.f, found.g, options.n_jobs)
    return found._replace(plan=plan, f=f, g=g)


def _rest_solved(whole: Problem, rest: cancellation.Rest, options: Options) -> Candidate:
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
            return Candidate(*found)
    return _in_order(problem, options, begun)


def _in_order(problem: Problem, options: Options, begun: Start | None = None) -> Candidate:
    """Solve on points reordered, so that those of a tile lie together."""
    from otdist.solvers.coarsen import order_of

    geometry = cast("Points", problem.geometry)
    rows, columns = order_of(geometry.x), order_of(geometry.y)
    if options.warm_start is not None:
        f, g = options.warm_start
        options = options._replace(warm_start=(f[rows], g[columns]))
    if begun is not None:
        begun = begun._replace(g=begun.g[columns])
    found = _in_parts(problem.restrict(rows, columns), options, begun)
    f, g = np.empty(len(rows)), np.empty(len(columns))
    f[rows], g[columns] = found.f, found.g
    assert isinstance(found.plan, Arcs)
    i, j, mass = found.plan
    plan = Arcs(rows[i], columns[j], mass)
    return found._replace(plan=plan, f=f, g=g)


def _in_parts(problem: Problem, options: Options, begun: Start | None = None) -> Candidate:
    """Solve by column generation, or on all arcs if there are few."""
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
    paid = abs(tree.value_of(search.basis, masses)) / mass
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
    rows = tree.stranded_rows(basis, n) if is_stranded else None
    return _claim(problem, search, ended, rows)


def _claim(
    problem: Problem, search: simplex.Search, ended: Ended, stranded: IntArray | None
) -> Candidate:
    """Return the plan and the potentials of the tree."""
    basis, masses = search.basis, search.masses
    n, m = problem.shape
    finished = ended is Ended.FINISHED
    plan = tree.plan_of(basis, masses, (n, m), keep_artificial=not finished)
    if not masses.is_exact and finished and stranded is None:
        plan = fitted(plan, problem.a, problem.b)
    return Candidate(
        plan=plan,
        f=basis.potential[:n].copy(),
        g=basis.potential[n : n + m].copy(),
        n_iter=int(search.pivots.n_pivots[0]),
        ended=ended,
        stranded=stranded,
    )
