"""The checks themselves must fail on wrong results, or they prove nothing."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import oracles
import pytest
from checks import (
    assert_agrees_with_highs,
    assert_brackets,
    assert_coupling,
    assert_exact,
    assert_proved,
    plan_of,
)
from scipy.sparse import coo_array
from strategies import random_weights

from otdist import Certificate, Problem, Status, certify, solve
from otdist.plans.plans import Arcs


@pytest.fixture
def result():
    rng = np.random.default_rng(5)
    a, b = rng.integers(1, 5, 4), rng.integers(1, 5, 4)
    cost = rng.integers(1, 9, (4, 4))
    return solve(Problem.from_cost(cost, a, b, normalize=True))


def with_plan(result, plan):
    rows, columns = np.nonzero(plan)
    return replace(result, coupling=Arcs(rows, columns, plan[rows, columns]))


def test_a_right_result_passes(result):
    assert_proved(result)
    problem = result.problem
    assert_brackets(result, oracles.exact(problem.geometry.cost, problem.a, problem.b))


@pytest.mark.parametrize(
    "corrupt, message",
    [
        (lambda plan: 0.99 * plan, "row sums"),
        (lambda plan: plan + np.eye(4) * 1e-3, "row sums"),
        (lambda plan: np.roll(plan, 1, axis=1), "column sums"),
        (lambda plan: np.where(plan == plan.max(), 0.0, plan), "row sums"),
        (lambda plan: plan + 0.1 * _cycle(), "negative mass|gap|value"),
    ],
)
def test_a_corrupted_plan_is_caught(result, corrupt, message):
    with pytest.raises(AssertionError, match=message):
        assert_proved(with_plan(result, corrupt(plan_of(result))))


def _cycle():
    cycle = np.zeros((4, 4))
    cycle[:2, :2] = [[1, -1], [-1, 1]]
    return cycle


def test_negative_mass_is_caught(result):
    plan = plan_of(result)
    problem = result.problem
    i, j = np.argwhere(plan > 0)[0]
    k, m = (i + 1) % 4, (j + 1) % 4
    size = 2 * plan.max()
    plan[i, j] -= size
    plan[k, m] -= size
    plan[i, m] += size
    plan[k, j] += size
    with pytest.raises(AssertionError, match="negative mass"):
        assert_coupling(plan, problem)


def test_a_worse_coupling_is_caught(result):
    problem = result.problem
    worse = with_plan(result, np.outer(problem.a, problem.b))
    with pytest.raises(AssertionError, match="gap"):
        assert_proved(worse)


def test_a_shifted_potential_is_caught(result):
    f, g = result.potentials
    with pytest.raises(AssertionError, match="dual infeasible"):
        assert_proved(replace(result, potentials=(f + 0.01 * np.abs(f).max(), g)))
    with pytest.raises(AssertionError, match="gap"):
        assert_proved(replace(result, potentials=(f - 0.01 * np.abs(f).max(), g)))
    with pytest.raises(AssertionError, match="potential g"):
        assert_proved(replace(result, potentials=(f, np.full_like(g, -np.inf))))


def test_a_status_or_record_that_does_not_fit_is_caught(result):
    with pytest.raises(AssertionError):
        assert_proved(replace(result, status=Status.MAX_ITER))
    for change, message in [
        ({"value": result.value + 0.5}, "value is not"),
        ({"lower": result.value + 1e-6}, "value is not in the bracket"),
        ({"upper": result.value - 1e-6}, "value is not in the bracket"),
        ({"is_coupling": False}, None),
        ({"upper": result.value * (1 + 1e-8)}, None),
        ({"marginal_error": 0.1}, "marginal error"),
        ({"dual_violation": 0.1}, "violation"),
    ]:
        certificate = replace(result.certificate, **change)
        with pytest.raises(AssertionError, match=message):
            assert_proved(replace(result, certificate=certificate))


def test_mass_on_a_forbidden_arc_is_caught():
    allowed = Problem.from_cost([[1.0, 2.0], [2.0, 1.0]])
    forbidden = Problem.from_cost([[np.inf, 2.0], [2.0, 1.0]])
    with pytest.raises(AssertionError, match="forbidden"):
        assert_proved(replace(solve(allowed), problem=forbidden))


def test_brackets_that_miss_the_truth_are_caught():
    certificate = Certificate(
        lower=1.0, upper=2.0, value=2.0, is_coupling=True, marginal_error=0.0, dual_violation=0.0
    )
    assert_brackets(certificate, 1.0)
    assert_brackets(certificate, 2.0)
    with pytest.raises(AssertionError, match="above the truth"):
        assert_brackets(certificate, 1.0 - 1e-14)
    for truth, message in ((1 - Fraction(1, 10**30), "above"), (2 + Fraction(1, 10**30), "below")):
        with pytest.raises(AssertionError, match=f"{message} the truth"):
            assert_brackets(certificate, truth)
    with pytest.raises(AssertionError, match="below the truth"):
        assert_brackets(certificate, 2.0 + 1e-14)
    with pytest.raises(AssertionError):
        assert_brackets(replace(certificate, upper=np.nan), 1.5)
    with pytest.raises(AssertionError, match="lower is inf"):
        assert_brackets(replace(certificate, lower=np.inf, upper=np.inf), 1.5)


def test_the_exact_oracle_agrees_with_the_others():
    rng = np.random.default_rng(0)
    for n in range(1, 6):
        cost = rng.integers(0, 9, (n, n)).astype(float)
        uniform = np.full(n, 1.0 / n)
        exact = float(oracles.exact(cost, uniform, uniform))
        assert exact == pytest.approx(oracles.by_permutations(cost), rel=1e-14)
        assert exact == pytest.approx(oracles.by_assignment(cost), rel=1e-14)
        a, b = rng.random(n) + 0.1, rng.random(n) + 0.1
        a, b = a / a.sum(), b / b.sum()
        exact = float(oracles.exact(cost, a, b))
        # HiGHS stops at an absolute tolerance of 1e-7.
        assert exact == pytest.approx(oracles.by_linprog(cost, a, b), abs=1e-7)
        x, y = rng.random(n), rng.random(n)
        on_line = oracles.on_line(x, y, a, b, 1)
        assert on_line == pytest.approx(oracles.by_scipy_line(x, y, a, b), rel=1e-13)
        line_cost = np.abs(np.subtract.outer(x, y))
        assert on_line == pytest.approx(float(oracles.exact(line_cost, a, b)))
        longest = oracles.on_line(x, y, a, b, np.inf)
        assert longest == oracles.bottleneck(line_cost, a, b)


def test_the_exact_oracle_knows_infeasible_problems():
    assert oracles.exact([[0, np.inf], [1, np.inf]], [1, 1], [1, 1]) is None
    assert oracles.exact([[0, np.inf], [1, 2]], [1, 1], [1, 1]) == 2


@pytest.fixture
def weighted_result():
    rng = np.random.default_rng(1)
    problem = Problem.from_cost(
        rng.random((6, 7)) + 0.1, random_weights(rng, 6), random_weights(rng, 7)
    )
    return solve(problem, method="network_simplex")


def with_record(result, plan):
    """Return the result with another plan, and the record that would go with it."""
    problem = result.problem
    certificate = certify(problem, plan, *result.potentials)
    plan = coo_array(plan)
    arcs = type(result.coupling)(plan.row, plan.col, plan.data)
    return replace(result, coupling=arcs, certificate=certificate)


def _moved_round(plan, amount):
    """Return the plan with mass moved round four arcs: the marginals stay right."""
    (i, j), (k, m) = np.argwhere(plan > 0)[[0, -1]]
    assert i != k
    assert j != m
    amount = min(amount, plan[i, j] / 2, plan[k, m] / 2)
    moved = plan.copy()
    moved[[i, k], [j, m]] -= amount
    moved[[i, k], [m, j]] += amount
    return moved


def test_the_proof_fails_on_mass_moved_wrongly(weighted_result):
    assert_proved(weighted_result)
    plan = weighted_result.plan.toarray()
    for wrong, message in (
        (_moved_round(plan, 1e-3), "gap"),
        (np.outer(weighted_result.problem.a, weighted_result.problem.b), "gap"),
        (np.roll(plan, 1, axis=0), "row sums"),
        (plan * (1 - 1e-9), "row sums"),
        (np.where(plan == plan[plan > 0].min(), 0.0, plan), "row sums"),
    ):
        with pytest.raises(AssertionError, match=message):
            assert_proved(with_record(weighted_result, wrong))
        certificate = certify(weighted_result.problem, wrong, *weighted_result.potentials)
        assert not certificate.proves(1e-9)
    arcs = weighted_result.coupling
    for i in range(len(arcs.mass)):
        mass = arcs.mass.copy()
        mass[i] *= -1
        with pytest.raises(AssertionError, match="negative mass"):
            assert_proved(replace(weighted_result, coupling=arcs._replace(mass=mass)))


def test_the_proof_fails_on_wrong_potentials(weighted_result):
    f, g = weighted_result.potentials
    for i in range(len(f)):
        wrong = f.copy()
        wrong[i] += 1e-6
        with pytest.raises(AssertionError, match="infeasible"):
            assert_proved(replace(weighted_result, potentials=(wrong, g)))
        wrong[i] -= 2e-2
        # Feasible, but worth less; unless the atom's potential is not unique.
        with pytest.raises(AssertionError, match="gap"):
            assert_proved(replace(weighted_result, potentials=(wrong, g - 1.0)))
    assert_proved(replace(weighted_result, potentials=(f + 0.5, g - 0.5)))
    with pytest.raises(AssertionError, match="potential g"):
        assert_proved(replace(weighted_result, potentials=(f, np.full_like(g, -math.inf))))


def test_the_proof_fails_on_a_wrong_record_or_a_forbidden_arc(weighted_result):
    for change in (1e-9, -1e-9):
        value = weighted_result.value + change
        certificate = replace(weighted_result.certificate, value=value)
        with pytest.raises(AssertionError, match="not the plan's cost"):
            assert_proved(replace(weighted_result, certificate=certificate))
    with pytest.raises(AssertionError, match="stopped"):
        assert_proved(replace(weighted_result, status=Status.MAX_ITER, outcome="stopped"))
    arc = weighted_result.plan.row[0], weighted_result.plan.col[0]
    cost = np.array(weighted_result.problem.geometry.cost)
    cost[arc] = math.inf
    forbidden = Problem.from_cost(cost, weighted_result.problem.a, weighted_result.problem.b)
    with pytest.raises(AssertionError, match="forbidden"):
        assert_proved(replace(weighted_result, problem=forbidden))


@pytest.mark.parametrize("factor", [1 - 1e-11, 1 + 1e-11])
def test_comparisons_fail_on_a_value_that_is_slightly_off(weighted_result, factor):
    for compare in (assert_exact, assert_agrees_with_highs):
        compare(weighted_result.value, weighted_result.problem)
        with pytest.raises(AssertionError, match="is not"):
            compare(factor * weighted_result.value, weighted_result.problem)
