"""Mass that two measures have in common stays where it is, for W1 only."""

from __future__ import annotations

import knobs
import numpy as np
import pytest
from checks import assert_proved
from hypothesis import given
from hypothesis import strategies as st

from otdist import Problem, solve
from otdist.solvers.network_simplex import solver


@pytest.fixture(autouse=True)
def large_engine():
    """Small problems are solved as large ones are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(knobs.SIMPLEX_SMALL, 0)
        yield


def overlapping(seed, metric="euclidean", p=1.0):
    """Points of a grid, many of them on both sides, some twice on one."""
    rng = np.random.default_rng(seed)
    n, m = rng.integers(5, 30, 2)
    x, y = rng.integers(0, 5, (n, 2)).astype(float), rng.integers(0, 5, (m, 2))
    y = y + rng.choice([0.0, 0.5], (m, 1), p=[0.8, 0.2])
    a, b = rng.integers(1, 9, n), rng.integers(1, 9, m)
    return Problem(x, y, a * b.sum(), b * a.sum(), metric=metric, p=p)


def value_without(problem):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(solver, "cancel", lambda _: None)
        return assert_proved(solve(problem, method="network_simplex"))


@given(st.integers(0, 2**32 - 1), st.sampled_from(["euclidean", "cityblock", "chebyshev"]))
def test_the_value_is_the_same(seed, metric):
    problem = overlapping(seed, metric)
    value = assert_proved(solve(problem, method="network_simplex"))
    assert value == pytest.approx(value_without(problem), rel=1e-12)


def test_common_mass_is_found_and_stays():
    n_cancelled = 0
    for seed in range(20):
        problem = overlapping(seed)
        rest = solver.cancel(problem)
        if rest is None:
            continue
        n_cancelled += 1
        i, j, mass = rest.kept
        assert (problem.geometry.x[i] == problem.geometry.y[j]).all()
        assert (mass == np.minimum(problem.a[i], problem.b[j])).all()
        assert len(set(i.tolist())) == len(i)
        left = problem.a.copy()
        left[i] -= mass
        assert (np.flatnonzero(left) == rest.rows).all()
        assert (rest.problem.a == left[rest.rows]).all()
        assert rest.problem.a.sum() == rest.problem.b.sum() < problem.mass
        assert rest.problem.mass == rest.problem.a.sum()
    assert n_cancelled >= 10


def test_nothing_is_cancelled_where_the_cost_is_no_metric(monkeypatch):
    def refuse(problem):
        raise AssertionError("p = 2 is no metric")

    monkeypatch.setattr(solver, "cancel", refuse)
    problem = overlapping(1, p=2.0)
    assert_proved(solve(problem, method="network_simplex"))
    with pytest.raises(AssertionError, match="no metric"):
        solve(overlapping(1), method="network_simplex")


def test_a_wrong_cancellation_is_seen(monkeypatch, as_claimed):
    """With p = 2 mass that stays is not optimal: the certificate does not believe it."""
    x = np.array([[0.0, 0], [1, 0]])
    monkeypatch.setattr(Problem, "is_metric", property(lambda _: True))
    result = solve(Problem(x, x + np.array([1.0, 0.0]), p=2), method="network_simplex")
    assert not result.success
    assert result.value == 2.0
    assert result.lower == pytest.approx(1.0)


def test_identical_clouds_are_at_distance_zero():
    rng = np.random.default_rng(5)
    x, a = rng.random((30, 3)), rng.random(30)
    order = rng.permutation(30)
    result = solve(Problem(x, x[order], a, a[order]), method="network_simplex")
    assert assert_proved(result) == 0.0
    assert result.n_iter == 0


def test_next_to_nothing_besides_is_not_worth_another_problem():
    x = np.array([[0.0, 0], [1, 0], [2, 0]])
    problem = Problem(x, x, [1, 1, 1e-12], [1, 1 + 1e-12, 0])
    part, _, _ = problem.support()
    assert solver.cancel(part) is None
    assert assert_proved(solve(problem, method="network_simplex")) == pytest.approx(1e-12)


def test_early_stops_and_warm_starts():
    problem = overlapping(7)
    whole = solve(problem, method="network_simplex")
    assert assert_proved(solve(problem, warm_start=whole, method="network_simplex")) == (
        pytest.approx(whole.value)
    )
    stopped = solve(problem, max_iter=3, method="network_simplex")
    assert not stopped.success
    assert stopped.lower <= whole.value <= stopped.upper
