"""Annealing: lower epsilon to its target, and solve there.

Each epsilon (weight) starts from potentials extrapolated from the two before. A pass over all
pairs is a Sinkhorn iteration; it also keeps the larger entries of the plan, on which Newton's
method reduces the error (`newton`). Where the plan is too large to be kept, and where both
sides are the same distribution, passes are iterated without Newton's method: with Anderson's
acceleration, or averaged.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from otdist.compiled.costs import MATRIX
from otdist.problem.problem import Problem
from otdist.solvers.registry import Options
from otdist.solvers.sinkhorn.acceleration import Anderson
from otdist.solvers.sinkhorn.newton import Balance, largest_ratio
from otdist.solvers.sinkhorn.sweeps import Blocks, Pairs
from otdist.typing import FloatArray

# Ratio of a weight to the next; it is lowered where the next weight turns out to be too small,
# but not below the least ratio.
_RATIO = 2.5
_LEAST_RATIO = 1.1
# A weight above the target by less than this factor is the target.
_NEAR = 1.01
# A row or column may be off by this many times the tolerance, as a part of its own weight.
EVEN = 10.0
# The first weight is this part of the largest cost: the plan is almost a product there.
_FIRST = 0.25
# Error of the columns, relative, that suffices at weights above the target; and the marginal
# error, as a part of the mass, above which a weight is too small to start with.
_LOOSE = 0.03
_TOO_FAR = 0.5
# Part of the error wanted at the target that Newton's method may leave.
_SHARE = 0.1
# If rows of a coarse plan reach fewer columns than this, its grouping determines it.
_SHARP = 8.0
# Entries of the plan are kept from this part of their row's mass on: small, since Newton's method
# is needed for the weak links between parts of a nearly disconnected plan.
_LEVEL = 1e-10
# Level for a coarse plan, which need not be exact: a larger one saves memory.
_COARSE_LEVEL = 1e-5
_NEWTON_STEPS = 40
# A weight is too small if the error is not halved in so many passes; the second number holds
# once the ratio of weights cannot be lowered further.
_PATIENCE, _LAST_PATIENCE = 4, 100
# An iteration that reduces the error to this part, or less, needs no other method.
_FAST = 0.25
# One in so many iterations may be added at the end for columns of little mass.
_MORE = 4
# Iterations without Newton's method at each weight above the target.
_ITERATIONS_PER_WEIGHT = 5
# Relative error of an entry in single precision for a matrix. For points, whose exponents are in
# single precision too, it is multiplied by the largest exponent.
_SINGLE = 1e-7
# Errors above this many times that of single precision are clear of it.
_CLEAR = 10.0
# Masses below this, or this part of the total, would underflow, and above its inverse overflow.
_LEAST_SINGLE = 1e-24
# Weights above this many times the largest cost would overflow.
_LARGEST_SINGLE = 1e20
# Largest relative error of entries with which single precision is used.
_ROUGH = 1e-2
# Relative rounding of the sums of a plan, as a multiple of the largest exponent.
ROUNDING = 2e-15
# Columns with less than this part of their mass are lost to underflow.
_LOST = 1e-30


class State(NamedTuple):
    """State of the annealing; rows of the plan are exact.

    Potentials do not include masses: the plan is ``a bᵀ exp((f + g - c) / epsilon)``.
    """

    f: FloatArray
    g: FloatArray
    epsilon: float
    columns: FloatArray  # column sums of the plan
    error: float  # |columns - b|_1, as a part of the mass
    worst: float  # largest |log(columns / b)|: every column by its own measure
    finished: bool


class _Progress:
    """The best state so far, and whether errors of columns still fall."""

    def __init__(self, patience: int) -> None:
        self.patience, self.errors = patience, list[float]()
        self._best: State | None = None

    def stalled(self, state: State) -> State | None:
        """Record a state; return the best one if the last passes did not halve the error."""
        if self._best is None or state.worst < self._best.worst:
            self._best = state
        self.errors.append(state.worst)
        k = self.patience
        falls = len(self.errors) <= k or self.errors[-1] <= 0.5 * self.errors[-1 - k]
        return None if falls else self._best

    @property
    def is_fast(self) -> bool:
        """Whether the last pass halved the error."""
        return len(self.errors) < 2 or self.errors[-1] <= 0.5 * self.errors[-2]


class Anneal:
    """Annealing of an entropic problem."""

    def __init__(self, problem: Problem, options: Options) -> None:
        self.geometry, self.a, self.b = problem.geometry, problem.a, problem.b
        self.mass = problem.mass
        self.log_a, self.log_b = np.log(self.a), np.log(self.b)
        self.largest = problem.geometry.largest
        self.is_symmetric = problem.is_symmetric
        self.options, self.n_jobs, self.n_iter = options, options.n_jobs, 0
        self.patience, self.is_coarse = _PATIENCE, False
        self.is_fast = False  # the iteration alone
        self.reach = np.inf  # columns that a row of the plan reaches, in the mean
        self.pairs = Pairs(problem.geometry, self.a, self.b, options.n_jobs)
        self.uses_newton = self.pairs.keeps_blocks and not self.is_symmetric
        least = min(self.a.min(), self.b.min()) / max(self.mass, 1.0)
        self.fits_single = least >= _LEAST_SINGLE and self.mass <= 1 / _LEAST_SINGLE

    def first(self, target: float) -> tuple[FloatArray, FloatArray, float]:
        """Return potentials and a weight to start with, for a problem without potentials.

        Where rows of the cost are similar, the target itself may be a good start, and
        Sinkhorn's iteration may converge fast.
        """
        first, f, g = self._highest(target), np.zeros(len(self.a)), 0 * self.b
        if first > target and not self.is_out:
            state, _ = self._pass(f, g, target, rough=True)
            if state.error <= _TOO_FAR:
                second, _ = self._pass(f, self._sinkhorn(state), target, rough=True)
                self.is_fast = second.error <= _FAST * state.error
                return second.f, self._sinkhorn(second), target
        return f, g, first

    def least(self, g: FloatArray, target: float) -> tuple[FloatArray, float]:
        """Return f and the least weight, from the target on, that can start from g."""
        epsilon, f = target, np.zeros(len(self.a))
        first = self._highest(target)
        while epsilon < first and not self.is_out:
            state, _ = self._pass(f, g, epsilon, rough=True)
            f = state.f
            if state.error <= _TOO_FAR:
                break
            epsilon *= _RATIO
        return f, min(epsilon, first)

    def _highest(self, target: float) -> float:
        """Return the highest weight that is ever useful."""
        return max(target, _FIRST * self.largest)

    def run(
        self,
        f: FloatArray,
        g: FloatArray,
        epsilon: float,
        target: float,
        *,
        until_sharp: bool = False,
    ) -> State:
        """Lower epsilon to the target and solve there to the tolerance.

        With `until_sharp` solve loosely, and only until rows of the plan reach few columns.
        Where the next weight turns out to be too small, a larger one is tried. Where the
        iteration stalls at the target, every weight is solved to the tolerance: a link of the
        plan that carries little mass may have been lost above, and is hard to find below.
        """
        before, state, ratio, climb = None, None, _RATIO, _RATIO
        highest, is_tight = self._highest(target), False
        self.is_coarse = until_sharp
        while not self.is_out:
            is_last = epsilon == target and not until_sharp
            # Once the ratio cannot be lowered further, more passes are the only way.
            self.patience = _PATIENCE if ratio >= _LEAST_RATIO else _LAST_PATIENCE
            found = self.at(f, g, epsilon, is_tight=is_last or is_tight)
            is_usable = state is not None and not is_last and found.worst <= _LOOSE
            is_found = found.finished or is_usable
            if is_last and state is not None and not is_found:
                if is_tight:
                    return self._by_iteration(found.f, found.g, epsilon, is_tight=True)
                before, state, is_tight, f, g = None, None, True, found.f, found.g
            if not is_found and state is None and epsilon < highest:
                # The weight is too small to start with.
                epsilon, climb = min(highest, climb * epsilon), climb**2
                continue
            if is_found or state is None or ratio < _LEAST_RATIO:
                before, state = state, found
                is_sharp = until_sharp and self.reach < _SHARP
                if epsilon == target or is_sharp:
                    return state
                ratio = min(_RATIO, ratio**2)
            else:
                ratio = ratio**0.5
            epsilon = state.epsilon / ratio
            epsilon = target if epsilon < _NEAR * target else epsilon
            f, g = _extrapolated(before, state, epsilon)
        state = State(f, g, epsilon, self.b, np.inf, np.inf, False)
        return self._stop(state, -np.inf, is_tight=True, is_rough=True)

    @property
    def is_out(self) -> bool:
        """Whether a limit on iterations or time is met."""
        return self.options.limit_met(self.n_iter) is not None

    def at(self, f: FloatArray, g: FloatArray, epsilon: float, *, is_tight: bool = False) -> State:
        """Solve at one weight: loosely, or to the tolerance."""
        if self.uses_newton and not self.is_fast:
            return self._by_newton(f, g, epsilon, is_tight)
        return self._by_iteration(f, g, epsilon, is_tight)

    def _by_newton(self, f: FloatArray, g: FloatArray, epsilon: float, is_tight: bool) -> State:
        """Alternate passes over all pairs and Newton's method on the entries kept."""
        wanted = self.options.tol if is_tight else _LOOSE
        rough = keep = True
        progress = _Progress(self.patience)
        while True:
            state, blocks = self._pass(f, g, epsilon, rough=rough, keep=keep)
            is_good = _is_good(state, wanted, is_tight)
            if self.is_out or (is_good and not (is_tight and rough)):
                return self._stop(state, wanted, is_tight, rough)
            f, g = state.f, state.g
            if blocks is not None and self.is_coarse:
                self.reach = blocks.reach()
            if is_good:
                rough = keep = False
            elif blocks is not None and not self._is_lost(state).any():
                best = progress.stalled(state)
                if best is not None:
                    return self._stop(best, wanted, is_tight, rough)
                inner = Balance(blocks, self.a, self.b, self.n_jobs)
                least = self._noise(epsilon) if rough else 0.0
                part = max(_SHARE * wanted, least) if is_tight else wanted
                log_u, log_v, error = inner.solve(part, _NEWTON_STEPS)
                f, g = f + epsilon * log_u, g + epsilon * log_v
                if not is_tight and error <= wanted:
                    return state._replace(f=f, g=g, finished=True)
                keep = error > wanted
                # Newton's method ends at the rounding of entries, or does not get far.
                rough = rough and error > part and progress.is_fast
            elif keep and blocks is None:
                return self._by_iteration(f, g, epsilon, is_tight)
            else:
                g, keep = self._sinkhorn(state), True

    def _by_iteration(self, f: FloatArray, g: FloatArray, epsilon: float, is_tight: bool) -> State:
        """Repeat Sinkhorn's iteration, accelerated, or averaged if symmetric."""
        wanted = self.options.tol if is_tight else _LOOSE
        rough = self._noise(epsilon) <= self.options.tol
        anderson = Anderson(np.sqrt(self.b)) if is_tight else None
        n_left, before = np.inf if is_tight else _ITERATIONS_PER_WEIGHT, np.inf
        progress, late = _Progress(_LAST_PATIENCE), np.inf
        while True:
            state, _ = self._pass(f, g, epsilon, rough=rough)
            f, n_left = state.f, n_left - 1
            is_late = self.n_iter >= late and state.error <= wanted
            is_good = _is_good(state, wanted, is_tight) or is_late
            if self.is_fast and not is_good and state.worst > _FAST * before:
                self.is_fast = False
                return self.at(f, self._sinkhorn(state), epsilon, is_tight=is_tight)
            before = state.worst
            if self.is_out or n_left <= 0 or (is_good and not rough):
                return self._stop(state, wanted, is_tight, rough)
            best = progress.stalled(state)
            if best is not None and best.error <= self._floor(epsilon):
                return self._stop(best, wanted, is_tight, rough)
            if state.error <= wanted:
                late = min(late, self.n_iter + self.n_iter // _MORE)
            # Rounding in single precision may be all that is left: repeat in full precision.
            rough = rough and not is_good and state.worst > _CLEAR * self._noise(epsilon)
            if is_good:
                continue
            if self.is_symmetric:
                # Both potentials are equal at the optimum: meeting halfway converges
                # much faster than taking turns (Feydy et al., 2019).
                g = 0.5 * (g + f)
            else:
                g = self._sinkhorn(state)
                if anderson is not None:
                    g = anderson.next(state.g, g, state.error)

    def _pass(
        self, f: FloatArray, g: FloatArray, epsilon: float, *, rough: bool, keep: bool = False
    ) -> tuple[State, Blocks | None]:
        """Move f to the soft c-transform of g, and sum the columns of the plan."""
        with_a, with_b = epsilon * self.log_a, epsilon * self.log_b
        level = _COARSE_LEVEL if self.is_coarse else _LEVEL
        found = self.pairs.sweep(
            f + with_a,
            g + with_b,
            epsilon,
            single=rough and self._noise(epsilon) <= _ROUGH,
            level=level if keep else None,
        )
        self.n_iter += 1
        if self.options.report is not None:
            self.options.report(self.n_iter, np.inf)
        error = float(np.abs(found.columns - self.b).sum()) / self.mass
        worst = largest_ratio(found.columns, self.b)
        state = State(found.f - with_a, g, epsilon, found.columns, error, worst, False)
        return state, found.blocks

    def _stop(self, state: State, wanted: float, is_tight: bool, is_rough: bool) -> State:
        """Return the final state, with rows exact in full precision."""
        if is_tight and is_rough:
            state, _ = self._pass(state.f, state.g, state.epsilon, rough=False)
            self.n_iter -= 1
        is_good = (state.error if is_tight else state.worst) <= wanted
        return state._replace(finished=is_good)

    def _floor(self, epsilon: float) -> float:
        """Return the marginal error that rounding alone may leave, as a part of the mass."""
        return ROUNDING * (1 + self.largest / epsilon)

    def _noise(self, epsilon: float) -> float:
        """Return the relative error of entries in single precision."""
        fits = self.fits_single and self.pairs.fits_single(epsilon)
        if not fits or epsilon > _LARGEST_SINGLE * self.largest:
            return np.inf
        if self.pairs.costs.kind == MATRIX:
            return _SINGLE
        return _SINGLE * (1 + self.largest / epsilon)

    def _is_lost(self, state: State) -> NDArray[np.bool_]:
        """Return the columns that no row reaches at this epsilon: their sums underflow."""
        lost: NDArray[np.bool_] = state.columns < _LOST * self.b
        return lost

    def _sinkhorn(self, state: State) -> FloatArray:
        """Scale the columns to their masses.

        The potential of a lost column is taken from the hard c-transform, which the
        next pass refines.
        """
        with np.errstate(divide="ignore"):
            change = self.log_b - np.log(state.columns)
        g = state.g + state.epsilon * change
        lost = self._is_lost(state)
        if lost.any():
            g[lost] = self.geometry.column_minimum(state.f)[lost]
        return g


def _is_good(state: State, wanted: float, is_tight: bool) -> bool:
    """Whether marginals are right to `wanted` of the mass, and of each weight by itself.

    With `is_tight` the second may be `EVEN` times as large.
    """
    return state.error <= wanted and state.worst <= (EVEN if is_tight else 1.0) * wanted


def _extrapolated(
    before: State | None, state: State, epsilon: float
) -> tuple[FloatArray, FloatArray]:
    """Extrapolate potentials at two weights linearly to the next weight."""
    if before is None:
        return state.f, state.g
    part = (epsilon - state.epsilon) / (state.epsilon - before.epsilon)
    f = state.f + part * (state.f - before.f)
    g = state.g + part * (state.g - before.g)
    return f, g
