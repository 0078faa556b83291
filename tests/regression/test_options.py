"""Options of the wrong kind raised whatever came up instead of InputError."""

from __future__ import annotations

import math

import numpy as np
import pytest

from otdist import (
    FailedPairsWarning,
    InputError,
    InputWarning,
    Problem,
    kr_dual,
    pairwise,
    sinkhorn_divergence,
    solve,
    wasserstein_distance,
)


@pytest.mark.parametrize(
    "options",
    [
        {"max_iter": math.inf},
        {"max_iter": math.nan},
        {"max_iter": "many"},
        {"tol": "small"},
        {"method": "sinkhorn", "epsilon": "small"},
    ],
    ids=str,
)
def test_solve(options):
    with pytest.raises(InputError, match=next(reversed(options))):
        solve(Problem.from_cost([[0.0, 1], [1, 0]]), **options)


def test_kr_dual_with_an_unhashable_metric():
    with pytest.raises(InputError, match="metric"):
        kr_dual([0.0, 1.0], [1.0, 2.0], metric=["euclidean"])


def test_masked_arrays_are_not_unmasked_silently():
    points = np.ma.masked_array([0.0, 1.0, 1e9], mask=[False, False, True])
    with pytest.raises(InputError, match="mask"):
        Problem(points, [0.0, 1.0])


def test_the_histogram_warning_points_at_the_caller_of_problem_too():
    with pytest.warns(InputWarning) as caught:
        Problem([0.1, 0.9], [0.5, 0.5])
    assert caught[0].filename == __file__


def test_the_sinkhorn_divergence_of_a_measure_and_itself_is_zero():
    """The symmetric terms did not converge in 10 000 iterations: no number at all."""
    rng = np.random.default_rng(16)
    x, a = rng.random((9, 3)), rng.random(9)
    assert sinkhorn_divergence(x, x, a, a, epsilon=1e-2, p=2) == 0.0


def test_sinkhorn_plans_have_exact_marginals_at_small_epsilon():
    """exp of (f + g - c) / epsilon is right to eps * |f| / epsilon only."""
    rng = np.random.default_rng(63)
    problem = Problem.from_cost(rng.random((6, 6)))
    for epsilon in (1e-4, 1e-6, 1e-8):
        result = solve(problem, method="sinkhorn", epsilon=epsilon, max_iter=500)
        assert result.certificate.marginal_error <= 1e-13
        plan = result.plan.toarray()
        cost = problem.geometry.cost
        assert result.value == pytest.approx(float((plan * cost).sum()), rel=1e-12)


def test_highs_hands_over_the_plan_whose_cost_it_states():
    """Marginals off by 1e-10 were repaired for the value and not for the plan."""
    cost = np.full((5, 5), -2.0)
    a = np.array([1.7e-10, 2.6e-2, 7.9e-4, 3.5e-11, 0.97])
    b = np.array([7.3e-8, 4.6e-8, 1.8e-12, 0.9999, 6.4e-7])
    problem = Problem.from_cost(cost, a, b, normalize=True)
    result = solve(problem, method="highs")
    assert result.plan.sum() == pytest.approx(1.0, rel=1e-12)
    value = float((result.plan.toarray() * cost).sum())
    assert result.value == pytest.approx(value, rel=1e-12)


def test_sinkhorn_needs_no_matrix_where_memory_is_short(monkeypatch):
    """It held small matrices in memory, and then told its caller to use Sinkhorn."""
    from otdist.runtime import blocks

    monkeypatch.setattr(blocks, "available_memory", lambda: 1e3)
    rng = np.random.default_rng(64)
    problem = Problem(rng.random((30, 2)), rng.random((20, 2)))
    assert solve(problem, method="sinkhorn").success


def test_the_default_epsilon_of_signed_costs_whose_mean_is_nearly_zero():
    """1 % of the mean's rounding, 1e-19, was taken for epsilon."""
    cost = np.array([[0.0, 0.0, 0.90625], [0.03125, -0.5625, -0.375]])
    problem = Problem.from_cost(cost)
    result = solve(problem, method="sinkhorn")
    assert result.success
    assert np.isfinite(result.regularized_value)
    plan = result.plan.toarray()
    assert np.abs(plan.sum(axis=1) - 1 / 2).max() <= 1e-12
    assert np.abs(plan.sum(axis=0) - 1 / 3).max() <= 1e-12


def test_extra_options_do_not_hide_the_costs_between_bins():
    """With method="auto" the rows were read as points: 0.3 in place of 0.9."""
    rows = [[0.8, 0.1, 0.1], [0.2, 0.4, 0.4]]
    cost = [[0.0, 1.0, 2.0], [1.0, 0.0, 1.0], [2.0, 1.0, 0.0]]
    assert pairwise(rows, cost=cost, method="auto")[0, 1] == pytest.approx(0.9, rel=1e-12)
    with pytest.raises(InputError, match="leave method out"):
        pairwise(rows, cost=cost, method="highs")


@pytest.mark.parametrize("axis", [None, 0])
@pytest.mark.parametrize("options", [{"method": "nope"}, {"method": "line"}, {"n_jobs": 0}])
def test_the_uniform_distribution_takes_no_other_method(axis, options):
    with pytest.raises(InputError, match=next(iter(options))):
        wasserstein_distance([0.0, 1.0], "uniform", period=3, axis=axis, **options)
    found = wasserstein_distance([0.0, 1.0], "uniform", period=3, axis=axis, method="circle")
    assert found == wasserstein_distance([0.0, 1.0], "uniform", period=3, axis=axis)


def test_reasons_of_failed_pairs_speak_of_no_exception():
    clouds = [[0.0, 1.0, 3.0], [0.5, 2.0, 7.0]]
    with pytest.warns(FailedPairsWarning) as caught:
        pairwise(clouds, method="sinkhorn")
    assert "did not prove its value" in str(caught[0].message)
    assert "exception" not in str(caught[0].message)
