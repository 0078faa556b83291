"""Sinkhorn's iteration without logarithms agrees with the log domain, and gives way to it."""

import math

import knobs
import numpy as np
import pytest

from otdist import Problem, Status, solve
from otdist.solvers.registry import Options
from otdist.solvers.sinkhorn.scaling import scale

TOL = 1e-9


def sinkhorn(problem, epsilon, **options):
    return solve(problem, method="sinkhorn", epsilon=epsilon, tol=TOL, **options)


def is_easy(problem, epsilon, tol=TOL):
    return scale(problem, epsilon, Options(tol=tol))[0] is not None


def logarithmic(monkeypatch, problem, epsilon):
    with monkeypatch.context() as patch:
        patch.setattr(knobs.SCALING_MOST_ENTRIES, 0)
        assert not is_easy(problem, epsilon)
        return sinkhorn(problem, epsilon)


def clouds(n, m, d, seed=0):
    rng = np.random.default_rng([n, m, d, seed])
    a, b = rng.random(n) + 0.1, rng.random(m) + 0.1
    return rng.random((n, d)), rng.random((m, d)) + 0.2, a / a.sum(), b / b.sum()


def assert_same(result, other, epsilon, spread=1e-12):
    """Assert equal answers; `spread` is the missing mass that an entry may have been given."""
    assert result.success
    assert other.success
    assert result.certificate.marginal_error <= 1e-12
    assert result.certificate.is_coupling
    assert result.lower <= other.upper
    assert other.lower <= result.upper
    assert result.value == pytest.approx(other.value, rel=1e-7)
    assert result.regularized_value == pytest.approx(other.regularized_value, rel=1e-8)
    assert result.plan.toarray() == pytest.approx(other.plan.toarray(), rel=1e-6, abs=spread)
    shift = result.potentials[0] - other.potentials[0]
    assert np.ptp(shift) <= 1e-6 * epsilon


@pytest.mark.parametrize("d", [1, 2, 3, 8, 40])
@pytest.mark.parametrize("shape", [(30, 30), (1, 20), (20, 1), (70, 200)])
def test_points_agree_with_the_log_domain(monkeypatch, d, shape):
    x, y, a, b = clouds(*shape, d)
    problem = Problem(x, y, a, b, p=2)
    epsilon = 0.3 * d
    assert is_easy(problem, epsilon)
    assert_same(sinkhorn(problem, epsilon), logarithmic(monkeypatch, problem, epsilon), epsilon)


@pytest.mark.parametrize("offset", [-3.0, 0.0, 50.0])
def test_matrices_agree_with_the_log_domain(monkeypatch, offset):
    cost = np.random.default_rng(0).random((25, 40)) + offset
    problem = Problem.from_cost(cost)
    assert is_easy(problem, 0.2)
    assert_same(sinkhorn(problem, 0.2), logarithmic(monkeypatch, problem, 0.2), 0.2)


def test_mass_that_is_not_one(monkeypatch):
    x, y, a, b = clouds(30, 20, 2)
    for mass in (1e-6, 1e6):
        problem = Problem(x, y, mass * a, mass * b, p=2)
        assert is_easy(problem, 0.5)
        result, other = sinkhorn(problem, 0.5), logarithmic(monkeypatch, problem, 0.5)
        assert result.value == pytest.approx(other.value, rel=1e-7)
        assert result.plan.toarray() == pytest.approx(other.plan.toarray(), rel=1e-6)


def test_atoms_without_weight_stay_empty(monkeypatch):
    x, y, a, b = clouds(30, 20, 8)
    a[::3], b[1::4] = 0.0, 0.0
    problem = Problem(x, y, a / a.sum(), b / b.sum(), p=2)
    result = sinkhorn(problem, 3.0)
    assert_same(result, logarithmic(monkeypatch, problem, 3.0), 3.0)
    plan = result.plan.toarray()
    assert not plan[::3].any()
    assert not plan[:, 1::4].any()


def test_weights_over_many_orders_of_magnitude(monkeypatch):
    x, y, _, b = clouds(12, 20, 2)
    a = 10.0 ** -np.linspace(0, 150, 12)
    problem = Problem(x, y, a / a.sum(), b, p=2)
    assert is_easy(problem, 0.5)
    result, other = sinkhorn(problem, 0.5), logarithmic(monkeypatch, problem, 0.5)
    assert result.success
    assert result.value == pytest.approx(other.value, rel=1e-7)


def test_costs_that_would_leave_float64_are_solved_in_the_log_domain():
    """The iteration converges at once, so that only the exponents decide."""
    for ratio, easy in ((399.0, True), (401.0, False), (1e4, False)):
        problem = Problem.from_cost(np.full((3, 4), ratio))
        assert is_easy(problem, 1.0) is easy
        result = solve(problem, method="sinkhorn", epsilon=1.0, tol=1e-5)
        assert result.value == pytest.approx(ratio)


@pytest.mark.parametrize("ratio, easy", [(399.0, True), (401.0, False), (-401.0, False)])
def test_a_single_cost_may_be_too_large(ratio, easy):
    cost = np.ones((7, 9))
    cost[2, 3] = ratio
    assert is_easy(Problem.from_cost(cost), 1.0) is easy


def test_masses_whose_sums_would_leave_float64_are_solved_in_the_log_domain():
    """Sums of a row are 1e-200 times exp(-390)."""
    a, b = np.full(3, 1e-200 / 3), np.full(4, 1e-200 / 4)
    problem = Problem.from_cost(np.full((3, 4), 390.0), a, b)
    for max_iter in (1, 100):
        assert scale(problem, 1.0, Options(tol=TOL, max_iter=max_iter)) == (None, 1)
    result = sinkhorn(problem, 1.0)
    assert result.success
    assert result.value == pytest.approx(390e-200)


def slow():
    x, y, a, b = clouds(100, 100, 2)
    problem, epsilon = Problem(x, y, a, b, p=2), 0.01
    assert problem.geometry.largest / epsilon < 400
    return problem, epsilon


def test_slow_iterations_are_left_to_the_log_domain(monkeypatch):
    problem, epsilon = slow()
    monkeypatch.setattr(knobs.SCALING_MOST_IN_CACHE, 30)
    scaled, n_iter = scale(problem, epsilon, Options(tol=TOL))
    assert scaled is None
    assert 10 <= n_iter <= 30
    assert sinkhorn(problem, epsilon).success


def test_many_iterations_agree_with_the_log_domain(monkeypatch):
    """More than Anderson's method keeps, and than are made between two looks at the rate."""
    problem, epsilon = slow()
    monkeypatch.setattr(knobs.SCALING_MOST_IN_CACHE, 1000)
    assert is_easy(problem, epsilon)
    result = sinkhorn(problem, epsilon)
    assert 30 < result.n_iter < 60
    assert_same(result, logarithmic(monkeypatch, problem, epsilon), epsilon, spread=1e-11)


@pytest.mark.parametrize("epsilon", [1e-3, 1e-6])
def test_tiny_epsilon(epsilon):
    x, y, a, b = clouds(30, 20, 2)
    problem = Problem(x, y, a, b, p=2)
    assert not is_easy(problem, epsilon)
    assert solve(problem, method="sinkhorn", epsilon=epsilon, tol=1e-6).success


def test_tolerances_below_the_rounding_of_sums_are_left_to_the_log_domain():
    x, y, a, b = clouds(30, 20, 2)
    problem = Problem(x, y, a, b, p=2)
    assert not is_easy(problem, 0.5, tol=1e-15)


def test_a_warm_start_is_left_to_the_log_domain():
    x, y, a, b = clouds(30, 20, 2)
    problem = Problem(x, y, a, b, p=2)
    result = sinkhorn(problem, 0.5)
    options = Options(tol=TOL, warm_start=result.potentials)
    assert scale(problem, 0.5, options) == (None, 0)
    assert sinkhorn(problem, 0.5, warm_start=result).n_iter < result.n_iter


def test_forbidden_arcs_and_equal_sides_are_left_to_the_log_domain():
    cost = np.ones((3, 3))
    cost[0, 2] = math.inf
    assert not is_easy(Problem.from_cost(cost), 1.0)
    x, _, a, _ = clouds(20, 20, 2)
    assert not is_easy(Problem(x, x, a, a, p=2), 1.0)


def test_limits_are_met():
    x, y, a, b = clouds(60, 50, 2)
    problem = Problem(x, y, a, b, p=2)
    result = sinkhorn(problem, 0.2, max_iter=3)
    assert result.status is Status.MAX_ITER
    assert result.n_iter == 3
    assert result.lower <= result.upper


def test_iterations_of_both_kinds_count_together(monkeypatch):
    problem, epsilon = slow()
    monkeypatch.setattr(knobs.SCALING_MOST_IN_CACHE, 1)
    assert sinkhorn(problem, epsilon, max_iter=11).n_iter == 11
    result = sinkhorn(problem, epsilon)
    assert result.success
    assert result.n_iter == 10 + logarithmic(monkeypatch, problem, epsilon).n_iter


def test_threads_change_nothing():
    x, y, a, b = clouds(200, 150, 8)
    problem = Problem(x, y, a, b, p=2)
    one, two = (sinkhorn(problem, 2.0, n_jobs=n_jobs) for n_jobs in (1, 2))
    assert one.n_iter == two.n_iter
    assert np.array_equal(one.potentials[0], two.potentials[0])
