"""The proof fails on every error planted in a result, and on wrong values."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from proof import assert_agrees_with_highs, assert_exact, proved, random_weights
from scipy.sparse import coo_array

from otdist import Problem, Status, certify, solve


@pytest.fixture
def result():
    rng = np.random.default_rng(1)
    problem = Problem.from_cost(
        rng.random((6, 7)) + 0.1, random_weights(rng, 6), random_weights(rng, 7)
    )
    return solve(problem, method="network_simplex")


def with_plan(result, plan):
    """Return the result with another plan, and the record that would go with it."""
    problem = result.problem
    certificate = certify(problem, plan, *result.potentials)
    plan = coo_array(plan)
    arcs = type(result.coupling)(plan.row, plan.col, plan.data)
    return replace(result, coupling=arcs, certificate=certificate)


def _cycle(plan, amount):
    """Return the plan with mass moved round four arcs: the marginals stay right."""
    (i, j), (k, m) = np.argwhere(plan > 0)[[0, -1]]
    assert i != k
    assert j != m
    amount = min(amount, plan[i, j] / 2, plan[k, m] / 2)
    moved = plan.copy()
    moved[[i, k], [j, m]] -= amount
    moved[[i, k], [m, j]] += amount
    return moved


def test_the_proof_fails_on_mass_moved_wrongly(result):
    proved(result)
    plan = result.plan.toarray()
    for wrong, message in (
        (_cycle(plan, 1e-3), "gap"),
        (np.outer(result.problem.a, result.problem.b), "gap"),
        (np.roll(plan, 1, axis=0), "wrong row sums"),
        (plan * (1 - 1e-9), "wrong row sums"),
        (np.where(plan == plan[plan > 0].min(), 0.0, plan), "wrong row sums"),
    ):
        with pytest.raises(AssertionError, match=message):
            proved(with_plan(result, wrong))
        certificate = certify(result.problem, wrong, *result.potentials)
        assert not certificate.proves(1e-9) or certificate.marginal_error > 1e-10
    arcs = result.coupling
    for i in range(len(arcs.mass)):
        mass = arcs.mass.copy()
        mass[i] *= -1
        with pytest.raises(AssertionError, match="negative mass"):
            proved(replace(result, coupling=arcs._replace(mass=mass)))


def test_the_proof_fails_on_wrong_potentials(result):
    f, g = result.potentials
    for i in range(len(f)):
        wrong = f.copy()
        wrong[i] += 1e-6
        with pytest.raises(AssertionError, match="infeasible"):
            proved(replace(result, potentials=(wrong, g)))
        wrong[i] -= 2e-2
        # Feasible, but worth less; unless the atom's potential is not unique.
        with pytest.raises(AssertionError, match="gap"):
            proved(replace(result, potentials=(wrong, g - 1.0)))
    proved(replace(result, potentials=(f + 0.5, g - 0.5)))
    with pytest.raises(AssertionError, match="not finite"):
        proved(replace(result, potentials=(f, np.full_like(g, -math.inf))))


def test_the_proof_fails_on_a_wrong_record_or_a_forbidden_arc(result):
    for name, change in (("upper", 1e-9), ("upper", -1e-9)):
        certificate = replace(result.certificate, **{name: result.value + change})
        with pytest.raises(AssertionError, match="another value"):
            proved(replace(result, certificate=certificate))
    with pytest.raises(AssertionError, match="stopped"):
        proved(replace(result, status=Status.MAX_ITER, outcome="stopped"))
    arc = result.plan.row[0], result.plan.col[0]
    cost = np.array(result.problem.geometry.cost)
    cost[arc] = math.inf
    forbidden = Problem.from_cost(cost, result.problem.a, result.problem.b)
    with pytest.raises(AssertionError, match="forbidden"):
        proved(replace(result, problem=forbidden))


@pytest.mark.parametrize("factor", [1 - 1e-11, 1 + 1e-11])
def test_comparisons_fail_on_a_value_that_is_slightly_off(result, factor):
    for compare in (assert_exact, assert_agrees_with_highs):
        compare(result.value, result.problem)
        with pytest.raises(AssertionError, match="is not"):
            compare(factor * result.value, result.problem)
