"""Entropic transport of two images: Sinkhorn's iteration, one axis after the other.

Minimises ``<P, c> + epsilon KL(P | a bᵀ / mass)`` for a cost that is a sum over the axes.
The Gibbs kernel exp(-c / epsilon) is then a product over them, and so is its action on
exponentials of potentials (Solomon et al., 2015), which is done in the logarithmic
domain here. epsilon falls from the largest cost to its target, level by level.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from otdist._entropic.relaxation import Relaxation
from otdist._geometry.grid import Grid
from otdist._kernels.grids import log_sums
from otdist._plan import GridPlan
from otdist._problem import Problem
from otdist._result import Candidate
from otdist._typing import FloatArray

if TYPE_CHECKING:
    from otdist._solvers import Options

_ANNEALING = 0.5
_ITERATIONS_PER_LEVEL = 5
# Pixels of a tile, between which the kernel has one common factor.
_TILE = 32
# Costs along an axis, over epsilon, up to which the kernel fits float64 without tiles.
_NARROW = 600.0
# As in the compiled kernels: what is less than exp(-_DEEP) is taken for 0, and a sum below
# _SAFE may have lost terms.
_DEEP, _SAFE = 690.0, 1e-200


class State(NamedTuple):
    """Where the iteration stands after a level; the rows are exact.

    The plan is ``a[i] exp((f[i] + g[j] - c[i, j]) / epsilon) b[j]``.
    """

    f: FloatArray
    g: FloatArray
    epsilon: float
    n_iter: int
    converged: bool


def run_on_grid(problem: Problem, options: Options) -> Candidate:
    """Iterate until the marginal error is at most ``tol * mass``; O(N) memory."""
    target = default_epsilon(problem) if options.epsilon is None else options.epsilon
    for state in levels(problem, target, options):
        last = state
    has_ended = last.epsilon == target
    f, g = last.f + last.epsilon * np.log(problem.mass), last.g
    # Row sums are exact, so the dual objective has no further term.
    value = float(problem.a @ f + problem.b @ g) if has_ended else float("nan")
    return Candidate(
        plan=rounded(problem, last),
        f=f,
        g=g,
        n_iter=last.n_iter,
        finished=last.converged,
        regularized_value=value,
    )


def levels(problem: Problem, target: float, options: Options) -> Iterator[State]:
    """Yield the state at each epsilon, down to the target; the last may not converge."""
    grid = _grid_of(problem)
    epsilon, g, n_iter = max(target, grid.largest), np.zeros(len(problem.b)), 0
    if options.warm_start is not None:
        epsilon, g = target, options.warm_start[1]
        if np.ptp(g) > 2 * grid.largest:
            g = grid.column_minimum(grid.row_minimum(g))
    while True:
        is_last = epsilon <= target
        limit = options.max_iter
        if not is_last:
            limit = min(limit, n_iter + _ITERATIONS_PER_LEVEL)
        tol = options.tol if is_last else 0.0
        state = _level(problem, g, epsilon, n_iter, limit, tol, options)
        yield state
        if is_last or state.n_iter == options.max_iter:
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
) -> State:
    """Iterate at one epsilon until the marginal error is at most ``tol * mass``."""
    a, b = problem.a, problem.b
    gibbs = Gibbs(_grid_of(problem), epsilon)
    f: FloatArray | None = None
    relaxation, is_symmetric = Relaxation(), problem.is_symmetric
    while n_iter < limit:
        n_iter += 1
        exact_f = gibbs.transform(g, b)
        # From here on f and g stand for one plan, whose two errors are known.
        f = exact_f if f is None else f + relaxation.omega * (exact_f - f)
        exact_g = gibbs.transform(f, a)
        if options.report is not None:
            options.report(n_iter, np.inf)
        error = _error(a, f - exact_f, epsilon) + _error(b, g - exact_g, epsilon)
        if error <= tol * problem.mass:
            if relaxation.omega == 1.0:
                return State(f, g, epsilon, n_iter, True)
            # Once more with exact rows, as rounding assumes.
            relaxation, f = Relaxation(), None
            continue
        if is_symmetric:
            # Both potentials are equal at the optimum: meeting halfway converges
            # much faster than taking turns (Feydy et al., 2019).
            g = 0.5 * (g + f)
            f = None
            continue
        if tol > 0 and relaxation.observe(error):
            f = None
        g = g + relaxation.omega * (exact_g - g)
    return State(gibbs.transform(g, b), g, epsilon, n_iter, False)


def _error(mass: FloatArray, step: FloatArray, epsilon: float) -> float:
    """Return how far sums are from the masses, if potentials are `step` from exact."""
    return float(mass @ np.abs(np.expm1(np.clip(step / epsilon, -700, 700))))


class Gibbs:
    """The Gibbs kernel of a grid at one epsilon, acting in the logarithmic domain."""

    def __init__(self, grid: Grid, epsilon: float) -> None:
        self._grid, self._epsilon = grid, epsilon
        costs = (grid.axis_cost(k) / epsilon for k in range(len(grid.axes)))
        self._axes = [_Axis.of(cost) for cost in costs]

    def transform(self, potential: FloatArray, mass: FloatArray) -> FloatArray:
        """Return the soft c-transform: minus epsilon log sum of mass exp(potential - c)."""
        with np.errstate(divide="ignore"):
            values = potential / self._epsilon + np.log(mass)
        log_sums = self._grid.along_axes(values, self._log_sums)
        return np.asarray(log_sums * -self._epsilon)

    def _log_sums(self, lines: FloatArray, k: int) -> FloatArray:
        """Return ``log sum_i exp(lines[:, i] - cost[i, j])`` along one axis."""
        axis = self._axes[k]
        if axis.tile < lines.shape[1]:
            return axis.by_tiles(lines)
        top = np.maximum(lines.max(axis=1, keepdims=True), np.finfo(float).min)
        values = lines - top
        is_deep = values < -_DEEP
        np.exp(values, out=values)
        values[is_deep] = 0.0
        sums = values @ axis.kernel
        is_lost = sums < _SAFE
        sums[is_lost] = 1.0
        out: FloatArray = np.log(sums, out=sums)
        out += top
        again = np.flatnonzero(is_lost.any(axis=1))
        if len(again):
            out[again] = axis.by_tiles(lines[again])
        return out


class _Axis(NamedTuple):
    """The kernel along one axis, divided by its maximum between each two tiles."""

    cost: FloatArray  # in units of epsilon
    kernel: FloatArray
    peak: FloatArray  # logarithms of those maxima
    tile: int  # pixels of a tile

    @classmethod
    def of(cls, cost: FloatArray) -> _Axis:
        side = len(cost)
        tile = side if cost.max() <= _NARROW else min(_TILE, side)
        starts = np.arange(0, side, tile)
        nearest = np.minimum.reduceat(np.minimum.reduceat(cost, starts, 0), starts, 1)
        each = np.arange(side) // tile
        exponent = nearest[each[:, None], each] - cost
        kernel = np.where(exponent > -_DEEP, np.exp(exponent), 0.0)
        return cls(cost, kernel, -nearest, tile)

    def by_tiles(self, lines: FloatArray) -> FloatArray:
        """Return the sums of all lines, whatever their range."""
        lines, out = np.ascontiguousarray(lines), np.empty(lines.shape)
        scratch = (np.empty(n) for n in (len(self.peak), lines.shape[1], self.tile))
        log_sums(lines, self.cost, self.kernel, self.peak, self.tile, *scratch, out)
        return out


def rounded(problem: Problem, state: State) -> GridPlan:
    """Scale columns, then rows, down to their masses and spread what is missing.

    After Altschuler, Weed and Rigollet (2017); scaling down is lowering a potential.
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


def default_epsilon(problem: Problem) -> float:
    """Return 1 % of the mean cost under the product measure, axis by axis."""
    grid = _grid_of(problem)
    mean = 0.0
    for k in range(len(grid.axes)):
        others = tuple(i for i in range(len(grid.axes)) if i != k)
        along_a = problem.a.reshape(grid.sides).sum(axis=others)
        along_b = problem.b.reshape(grid.sides).sum(axis=others)
        mean += float(along_a @ grid.axis_cost(k) @ along_b) / problem.mass**2
    return 0.01 * mean if mean > 0 else 0.01 * (grid.largest or 1.0)


def _grid_of(problem: Problem) -> Grid:
    assert isinstance(problem.geometry, Grid)
    return problem.geometry
