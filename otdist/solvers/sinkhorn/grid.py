"""Entropic transport of two images: Sinkhorn's iteration, one axis after the other.

Minimises ``<P, c> + epsilon KL(P | a bᵀ / mass)`` for a cost that is a sum over the axes. The
Gibbs kernel exp(-c / epsilon) is then a product over the axes, and acts on them one by one
(Solomon et al., 2015), here in the logarithmic domain. epsilon falls from the largest cost to
its target, level by level.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np

from otdist.geometry.grid_separable import Grid
from otdist.plans.plans import GridPlan
from otdist.problem.problem import Problem
from otdist.problem.result import Candidate
from otdist.solvers.sinkhorn import part_of_mean, start_of_size
from otdist.solvers.sinkhorn.acceleration import Relaxation
from otdist.solvers.sinkhorn.annealing import EVEN
from otdist.solvers.sinkhorn.kernels.grid import log_sums_at
from otdist.typing import FloatArray

if TYPE_CHECKING:
    from otdist.solvers.registry import Options

_ANNEALING = 0.5
# Above its target epsilon is lowered at this marginal error, as a part of the mass, or after so
# many iterations. With nearly right potentials over-relaxation works at the target from the
# beginning; five iterations a level needed two to five times as many in all.
_LEVEL_TOL = 0.01
_ITERATIONS_PER_LEVEL = 100
# One in so many iterations may be added at the end for pixels of little mass.
_MORE = 4
# Both factors of a product are at most exp(_LIFT), to use the whole range of float64. Factors
# below exp(-_DEEP) are set to 0, so that no term is subnormal, which would take a hundred times
# as long. Sums above exp(lift - _LIFT) lose no digit by this.
_LIFT, _DEEP = 300.0, 350.0
# Costs over epsilon up to which factors need no lift, which costs two digits.
_FLAT = 150.0
# Range of costs over epsilon within a tile of columns for which sums are safe; and the least
# width of a tile, since each tile needs an exponential for every pixel.
_RANGE, _NARROWEST = 600.0, 16
# Pixels of the lines of one product, which stay in the processor's cache.
_BLOCK = 1 << 16


class State(NamedTuple):
    """State of the iteration after a level; the rows are exact.

    The plan is ``a[i] exp((f[i] + g[j] - c[i, j]) / epsilon) b[j]``.
    """

    f: FloatArray
    g: FloatArray
    epsilon: float
    n_iter: int
    converged: bool


def run_on_grid(problem: Problem, options: Options) -> Candidate:
    """Iterate until the marginal error is at most ``tol * mass``; O(N) memory."""
    target = options.epsilon or default_epsilon(problem, options)
    for state in levels(problem, target, options):
        last = state
    has_ended = last.epsilon == target
    ended = options.ended(last.n_iter, finished=last.converged and has_ended)
    f, g = last.f + last.epsilon * np.log(problem.mass), last.g
    # Row sums are exact, so the dual objective has no further term.
    value = float(problem.a @ f + problem.b @ g) if has_ended else float("nan")
    return Candidate(
        plan=rounded(problem, last),
        f=f,
        g=g,
        n_iter=last.n_iter,
        ended=ended,
        regularized_value=value,
    )


def levels(problem: Problem, target: float, options: Options) -> Iterator[State]:
    """Yield the state at each epsilon, down to the target; the last may not converge."""
    grid = _grid_of(problem)
    epsilon, g, n_iter = max(target, grid.largest), np.zeros(len(problem.b)), 0
    if options.warm_start is not None:
        epsilon, g = target, start_of_size(grid, options.warm_start)
    while True:
        is_last = epsilon <= target
        limit = options.max_iter
        if not is_last:
            limit = min(limit, n_iter + _ITERATIONS_PER_LEVEL)
        tol = options.tol if is_last else max(options.tol, _LEVEL_TOL)
        state = _level(problem, g, epsilon, n_iter, limit, tol, options, is_last)
        yield state
        if is_last or options.limit_met(state.n_iter) is not None:
            return
        g, n_iter = state.g, state.n_iter
        epsilon = max(target, _ANNEALING * epsilon)


def _level(
    problem: Problem,
    g: FloatArray,
    epsilon: float,
    n_iter: int,
    limit: int,
    tol: float,
    options: Options,
    is_last: bool,
) -> State:
    """Iterate at one epsilon until the marginal error is at most ``tol * mass``.

    At the last one go on, for a while, until each pixel is right to ``10 * tol`` of its own mass.
    """
    a, b = problem.a, problem.b
    gibbs = Gibbs(_grid_of(problem), epsilon)
    f: FloatArray | None = None
    relaxation, is_symmetric, late = Relaxation(), problem.is_symmetric, limit
    if is_symmetric:
        # Both potentials are equal at the optimum: meeting halfway, here and below,
        # converges much faster than taking turns (Feydy et al., 2019).
        g = 0.5 * (g + gibbs.transform(g, b))
    while n_iter < limit and options.limit_met(n_iter) is None:
        n_iter += 1
        exact_f = gibbs.transform(g, b)
        # From here on f and g define one plan, whose row and column errors are known.
        f = exact_f if f is None else f + relaxation.omega * (exact_f - f)
        exact_g = gibbs.transform(f, a)
        if options.report is not None:
            options.report(n_iter, np.inf)
        error = _error(a, f - exact_f, epsilon) + _error(b, g - exact_g, epsilon)
        is_good = error <= tol * problem.mass
        if is_good and is_last:
            late = min(late, n_iter + n_iter // _MORE)
            steps = ((a, f - exact_f), (b, g - exact_g))
            worst = max(float(_off(step[mass > 0], epsilon).max()) for mass, step in steps)
            is_good = worst <= EVEN * tol or n_iter >= late
        if is_good:
            if relaxation.omega == 1.0:
                return State(f, g, epsilon, n_iter, True)
            # Repeat without relaxation: the rounding to a coupling assumes exact rows.
            relaxation, f = Relaxation(), None
            continue
        if is_symmetric:
            g, f = 0.5 * (g + f), None
            continue
        if relaxation.observe(error):
            f = None
        g = g + relaxation.omega * (exact_g - g)
    return State(gibbs.transform(g, b), g, epsilon, n_iter, False)


def _error(mass: FloatArray, step: FloatArray, epsilon: float) -> float:
    """Return the marginal error of potentials that differ by `step` from exact ones."""
    return float(mass @ _off(step, epsilon))


def _off(step: FloatArray, epsilon: float) -> FloatArray:
    """Return the errors of pixels, as parts of their masses."""
    return np.abs(np.expm1(np.clip(step / epsilon, -700, 700)))


class Gibbs:
    """The Gibbs kernel of a grid at one epsilon, acting in the logarithmic domain."""

    def __init__(self, grid: Grid, epsilon: float) -> None:
        self._grid, self._epsilon = grid, epsilon
        self._costs = [grid.axis_cost(k) / epsilon for k in range(len(grid.axes))]
        lift = _LIFT if grid.largest > _FLAT * epsilon else 0.0
        self._tiles = [list(_tiles(cost, lift)) for cost in self._costs]

    def transform(self, potential: FloatArray, mass: FloatArray) -> FloatArray:
        """Return the soft c-transform: minus epsilon log sum of mass exp(potential - c)."""
        with np.errstate(divide="ignore"):
            values = potential / self._epsilon + np.log(mass)
        log_sums = self._grid.along_axes(values, self._log_sums)
        return np.asarray(log_sums * -self._epsilon)

    def _log_sums(self, lines: FloatArray, k: int) -> FloatArray:
        """Return ``log sum_i exp(lines[:, i] - cost[i, j])`` along one axis."""
        out = np.empty(lines.shape)
        height = max(1, _BLOCK // lines.shape[1])
        for start in range(0, len(lines), height):
            block, sums = lines[start : start + height], out[start : start + height]
            lost = [tile.write_log_sums(block, sums) for tile in self._tiles[k]]
            if any(lost):
                lost_ones = np.nonzero(np.isnan(sums))
                where, columns = (np.ascontiguousarray(each) for each in lost_ones)
                log_sums_at(block, self._costs[k], where, columns, sums)
        return out


class _Tile(NamedTuple):
    """Columns of the kernel along one axis, each row divided by its maximum there."""

    columns: slice
    nearest: FloatArray  # least cost of each row, in units of epsilon
    kernel: FloatArray
    lift: float

    def write_log_sums(self, lines: FloatArray, out: FloatArray) -> bool:
        """Write logarithms of lines times kernel; return whether some are NaN, since unsafe.

        The largest term of each line becomes exp(2 lift): sums are then safe unless they are
        less than exp(-600) of it.
        """
        values = lines - self.nearest
        top = values.max(axis=1, keepdims=True)
        is_empty = top[:, 0] == -np.inf
        top[is_empty] = 0.0
        values -= top - self.lift
        np.copyto(values, -np.inf, where=values < -_DEEP)
        sums = np.exp(values, out=values) @ self.kernel
        is_lost = sums < math.exp(self.lift - _LIFT)
        is_lost[is_empty] = False
        any_lost = bool(is_lost.any())
        if any_lost:
            sums[is_lost] = np.nan
        sums[is_empty] = 1.0
        np.log(sums, out=sums)
        sums += top - 2 * self.lift
        sums[is_empty] = -np.inf
        out[:, self.columns] = sums
        return any_lost


def _tiles(cost: FloatArray, lift: float) -> Iterator[_Tile]:
    """Cut the columns so that costs fall by about `_RANGE` within a tile."""
    side = len(cost)
    farthest = max(float(cost[0, -1]), 1.0)
    width = min(max(int(_RANGE / farthest * side), _NARROWEST), side)
    for start in range(0, side, width):
        columns = slice(start, start + width)
        nearest = cost[:, columns].min(axis=1)
        exponent = nearest[:, None] - cost[:, columns] + lift
        np.copyto(exponent, -np.inf, where=exponent < -_DEEP)
        yield _Tile(columns, nearest, np.exp(exponent), lift)


def rounded(problem: Problem, state: State) -> GridPlan:
    """Scale columns, then rows, down to their masses and spread the missing mass.

    After Altschuler, Weed and Rigollet (2017). Lowering a potential scales its row down.
    """
    grid, epsilon = _grid_of(problem), state.epsilon
    gibbs = Gibbs(grid, epsilon)
    a, b = problem.a, problem.b
    exact_g = gibbs.transform(state.f, a)
    g = np.minimum(state.g, exact_g)
    exact_f = gibbs.transform(g, b)
    f = np.minimum(state.f, exact_f)
    rest_a = -a * np.expm1((f - exact_f) / epsilon)
    rest_b = -b * np.expm1((g - exact_g) / epsilon)
    if not rest_a.any() or not rest_b.any():
        rest_a, rest_b = np.zeros(len(a)), np.ones(len(b))
    with np.errstate(divide="ignore"):
        log_r, log_s = f / epsilon + np.log(a), g / epsilon + np.log(b)
    return GridPlan(grid, epsilon, log_r, log_s, rest_a, rest_b / rest_b.sum())


def default_epsilon(problem: Problem, options: Options) -> float:
    """Return a part of the mean cost under the product measure, axis by axis."""
    grid = _grid_of(problem)
    mean = 0.0
    for k in range(len(grid.axes)):
        others = tuple(i for i in range(len(grid.axes)) if i != k)
        along_a = problem.a.reshape(grid.sides).sum(axis=others)
        along_b = problem.b.reshape(grid.sides).sum(axis=others)
        mean += float(along_a @ grid.axis_cost(k) @ along_b) / problem.mass**2
    return part_of_mean(options.gap) * (mean if mean > 0 else grid.largest or 1.0)


def _grid_of(problem: Problem) -> Grid:
    return cast("Grid", problem.geometry)
