"""Unbalanced entropic transport: marginals may be missed at a price.

Minimises ``<P, c> + ε KL(P | a⊗b) + ρ KL(P 1 | a) + ρ KL(Pᵀ 1 | b)`` over P >= 0, with
``KL(P | Q) = sum P log(P / Q) - P + Q``. The dual is to maximise

    ρ <a, 1 - exp(-f / ρ)> + ρ <b, 1 - exp(-g / ρ)> + ε <a⊗b, 1 - exp((f + g - c) / ε)>

by Sinkhorn's iteration with damped soft c-transforms (Chizat et al., 2018). Each is combined
with the best shift of a constant between f and g, without which a large ρ takes ρ / ε
iterations (Séjourné, Vialard, Peyré, 2022), and accelerated (`acceleration`).

The plan ``a bᵀ exp((f + g - c) / ε)`` of any potentials is feasible. Its primal value
exceeds the dual value by ``ρ KL(P 1 | a exp(-f / ρ)) + ρ KL(Pᵀ 1 | b exp(-g / ρ))``. This gap
depends on P by its row and column sums only.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from otdist.geometry.protocol import Geometry
from otdist.solvers.sinkhorn.acceleration import Anderson
from otdist.solvers.sinkhorn.sweeps import Pairs
from otdist.typing import FloatArray

# The first weight as a part of the largest cost, and the ratio of weights, which get one
# iteration each.
_FIRST = 0.25
_RATIO = 4.0
_MAX_ITER = 10_000
# Logarithms of entries over their targets are cut off here, far from convergence.
_OVERFLOW = 300.0
# Rounding error of the value, as a part of its absolute terms.
_ROUNDING = 1e-15


class State(NamedTuple):
    """Potentials, and values and errors of their plan."""

    f: FloatArray
    g: FloatArray
    next_g: FloatArray  # where the iteration puts g
    #: Dual value without ``ε <a⊗b, 1>``: divergences do not need it.
    value: float
    gap: float  # primal minus dual value, rounding included
    error: float  # |sums of the plan - sums at the dual optimum|_1


class Relaxed:
    """An entropic problem with relaxed marginals and positive weights.

    `back` is the geometry with its sides exchanged, or None where both sides are the same
    distribution: then f = g, and the iteration is averaged (Feydy et al., 2019).
    """

    def __init__(
        self,
        there: Geometry,
        back: Geometry | None,
        a: FloatArray,
        b: FloatArray,
        rho: float,
        n_jobs: int = 1,
    ) -> None:
        self.a, self.b, self.rho = a, b, rho
        self.log_a, self.log_b = np.log(a), np.log(b)
        self.mass = 0.5 * float(a.sum()) + 0.5 * float(b.sum())
        self.largest = there.largest
        self.there = Pairs(there, a, n_jobs=n_jobs)
        self.back = None if back is None else Pairs(back, b, n_jobs=n_jobs)

    def solve(self, epsilon: float, tol: float) -> tuple[State, bool]:
        """Return the state at the weight, and whether it meets the tolerance.

        The marginal error must be at most ``tol * mass``, and the gap ``tol * value``.
        """
        f, g = np.zeros(len(self.a)), np.zeros(len(self.b))
        weight = max(epsilon, _FIRST * self.largest)
        while weight > epsilon:
            state = self._iterate(f, g, weight)
            f, g = state.f, state.next_g
            weight = max(epsilon, weight / _RATIO)
        anderson = Anderson(np.sqrt(self.b))
        for _ in range(_MAX_ITER):
            state = self._iterate(f, g, epsilon)
            if self._is_good(state, epsilon, tol):
                return state, True
            f, g = state.f, anderson.next(state.g, state.next_g, state.error)
        return state, False

    def _is_good(self, state: State, epsilon: float, tol: float) -> bool:
        value = state.value + epsilon * float(self.a.sum()) * float(self.b.sum())
        allowed = tol * value + self._rounding(state, epsilon)
        return state.error <= tol * self.mass and state.gap <= allowed

    def _iterate(self, f: FloatArray, g: FloatArray, epsilon: float) -> State:
        """Move f to the optimum for g, measure gap and error, and find the next g."""
        rho, damping = self.rho, self.rho / (self.rho + epsilon)
        if self.back is None:
            free = _transform(self.there, g / damping, self.log_a, g, self.log_a, epsilon)
            moved = 0.5 * (g + damping * free)
            return self._state(g, g, moved, (g - free) / epsilon + g / rho, epsilon)
        free = _transform(self.there, f / damping, self.log_a, g, self.log_b, epsilon)
        # Joint optimum of f and of a shift of g: both sums of the plan are then equal.
        excess = _log_sum(self.log_a - damping * free / rho)
        excess -= _log_sum(self.log_b - g / rho)
        shift = rho / (1 + damping) * excess
        f, g = damping * (free + shift), g - shift
        free = _transform(self.back, g / damping, self.log_b, f, self.log_a, epsilon)
        slack = (g - free) / epsilon + g / rho
        return self._state(f, g, damping * free, slack, epsilon)

    def _state(
        self, f: FloatArray, g: FloatArray, next_g: FloatArray, slack: FloatArray, epsilon: float
    ) -> State:
        """Return value, gap and error, given ``log(column sum / target)``.

        Row sums equal their targets, or have the errors of columns if both sides are the same.
        """
        slack = np.minimum(slack, _OVERFLOW)
        wanted = np.exp(self.log_b - g / self.rho)
        change = np.expm1(slack)
        error = float(wanted @ np.abs(change))
        gap = self.rho * float(wanted @ (slack * (change + 1) - change))
        if self.back is None:
            error, gap, plan = 2 * error, 2 * gap, float(wanted @ (change + 1))
        else:
            plan = float(np.exp(self.log_a - f / self.rho).sum())
        value = -self.rho * float(self.a @ np.expm1(-f / self.rho))
        value -= self.rho * float(self.b @ np.expm1(-g / self.rho))
        return State(f, g, next_g, value - epsilon * plan, gap, error)

    def _rounding(self, state: State, epsilon: float) -> float:
        """Return a bound on the rounding error of the value."""
        of_a = self.a @ np.abs(np.expm1(-state.f / self.rho))
        of_b = self.b @ np.abs(np.expm1(-state.g / self.rho))
        return _ROUNDING * (self.rho * float(of_a + of_b) + epsilon * self.mass)


def _transform(
    pairs: Pairs,
    start: FloatArray,
    log_a: FloatArray,
    g: FloatArray,
    log_b: FloatArray,
    epsilon: float,
) -> FloatArray:
    """Return ``-ε log sum_j b[j] exp((g[j] - c[i, j]) / ε)``, sooner from a close start."""
    with_a = epsilon * log_a
    return pairs.sweep(start + with_a, g + epsilon * log_b, epsilon).f - with_a


def _log_sum(logs: FloatArray) -> float:
    """Return the logarithm of a sum of exponentials."""
    top = float(logs.max())
    return top + float(np.log(np.exp(logs - top).sum()))
