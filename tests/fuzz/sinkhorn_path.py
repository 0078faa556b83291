"""Entropic transport: its end, its plan and its value, beside a plain iteration in NumPy."""

from __future__ import annotations

import math

import numpy as np

from . import families, truth
from .families import Array, Random, chance, pick, size
from .judge import Case, Units, Violation, ask, check_result, stated

# Passes of the plain iteration. The library may take more of them.
_PLAIN = 1000
_COSTS = ("ties", "uniform", "zeros", "1 + k ulp")
_WEIGHTS = ("uniform", "counts", "normalised", "over 12 orders", "permuted over 20 orders")


def draw(rng: Random) -> Case:
    """Draw a matrix of costs, weights, epsilon and a tolerance."""
    n, m = size(rng, 12), size(rng, 12)
    kind, costs = pick(rng, _WEIGHTS), pick(rng, _COSTS)
    a, b = families.WEIGHTS[kind](rng, n, m)
    cost = families.COSTS[costs](rng, n, m)
    if chance(rng, 0.2) and min(n, m) > 1:  # one heavy atom on each side
        kind = "a dominant atom"
        a, b = (np.append(0.9, np.full(k - 1, 0.1 / (k - 1))) for k in (n, m))
    largest = float(abs(cost).max()) or 1.0
    data = {"cost": cost, "a": a, "b": b}
    data |= {"epsilon": largest * float(10.0 ** rng.uniform(-3, 1))}
    data |= {"tol": pick(rng, (1e-3, 1e-6, 1e-7, 1e-9))}
    axes = {"cost": "nm", "a": "n", "b": "m"}
    return Case("sinkhorn", f"costs {costs}, weights {kind}", data, axes)


def check(case: Case) -> list[str]:
    """Check the bracket, and compare with the plain iteration."""
    problem = "Problem.from_cost(cost, a, b)"
    weights = truth.both_weights(*stated(case, problem))
    right = truth.optimum(weights, *truth.matrix_costs(case.cost.tolist()))
    answer = ask(case, f"solve({problem}, method='sinkhorn', epsilon=epsilon, tol=tol)")
    outcome = check_result(answer, right, Units.of_matrix(right))
    if answer.value is None:
        return [outcome]
    result = answer.value
    plain = _iterate(case)
    if plain is None:
        return [outcome]
    if not result.success:
        text = f"{result.message!r} after {result.n_iter} passes; a plain iteration converges"
        raise Violation("early end", answer.call, text)
    g, value = plain
    mass = math.fsum(case.a)
    apart = result.potentials[1][case.b > 0] - g[case.b > 0]
    # Mass that is off pays about as much as other mass. The dual is concave, and its slope in g
    # the error of the columns.
    largest = max(float(abs(case.cost).max()), case.epsilon)
    slack = (case.tol * (float(np.ptp(apart)) + largest) + 1e-12 * largest) * mass
    if not abs(result.regularized_value - value) <= slack:
        text = f"regularized value {result.regularized_value!r}, by a plain iteration {value!r}"
        raise Violation("disagreement", answer.call, text)
    _check_plan(case, answer.call, result)
    return [outcome]


def _iterate(case: Case) -> tuple[Array, float] | None:
    """Return g and the value of a plain iteration, None if it is not done in time.

    It goes on to a part of the tolerance, so that it is the more exact of the two.
    """
    rows, columns = case.a > 0, case.b > 0
    a, b = case.a[rows], case.b[columns]
    mass = math.fsum(a)
    b = b * (mass / math.fsum(b))
    epsilon, cost = case.epsilon, case.cost[np.ix_(rows, columns)] / case.epsilon
    log_a, log_b = np.log(a / mass)[:, None], np.log(b / mass)
    g = np.zeros(len(b))
    for _ in range(_PLAIN):
        f = -_log_sum_exp(g - cost + log_b, 1)
        better = -_log_sum_exp(f[:, None] - cost + log_a, 0)
        if abs(b * np.expm1(g - better)).sum() <= 0.1 * case.tol * mass:
            of_all = np.zeros(len(case.b))
            of_all[columns] = epsilon * g
            return of_all, epsilon * float(a @ f + b @ g)
        g = better
    return None


def _log_sum_exp(values: Array, axis: int) -> Array:
    most = values.max(axis=axis, keepdims=True)
    total = np.exp(values - most).sum(axis=axis)
    return np.asarray(np.log(total) + most.squeeze(axis))


def _check_plan(case: Case, call: str, result: object) -> None:
    """Raise unless the plan has the Gibbs form of its potentials, up to the tolerance."""
    f, g = result.potentials  # type: ignore[attr-defined]
    mass = math.fsum(case.a)
    with np.errstate(all="ignore"):
        gibbs = np.outer(case.a, case.b / mass)
        gibbs *= np.exp((f[:, None] + g - case.cost) / case.epsilon)
    gibbs[np.outer(case.a, case.b) == 0] = 0
    off = abs(gibbs.sum(axis=1) - case.a).sum() + abs(gibbs.sum(axis=0) - case.b).sum()
    rounding = 1e-13 * float(abs(case.cost).max()) / case.epsilon + 1e-12
    # "About" the tolerance is what is promised of entries.
    most = (10 * case.tol + rounding) * mass
    if not off <= most:
        raise Violation("marginals", call, f"those of the potentials are {off / mass:.3g} off")
    apart = abs(result.plan.toarray() - gibbs).sum()  # type: ignore[attr-defined]
    if not apart <= 2 * most:
        raise Violation("plan", call, f"{apart / mass:.3g} away from that of its potentials")
