"""A plan that loses mass must not be called optimal, however good its repair is."""

from __future__ import annotations

import knobs
import numpy as np
import pytest

from otdist import Problem, Status, solve
from otdist.solvers import registry


def test_a_solver_that_loses_mass_is_not_optimal(monkeypatch, as_claimed):
    problem = Problem(np.arange(5.0), np.arange(5.0) + 1)
    line = registry.named("line")
    honest = line.load()

    def loses_mass(problem, options):
        candidate = honest(problem, options)
        rows, columns, mass = candidate.plan
        plan = type(candidate.plan)(rows, columns, 0.99 * mass)
        return type(candidate)(plan=plan, f=candidate.f, g=candidate.g, n_iter=1)

    assert solve(problem).status is Status.OPTIMAL
    monkeypatch.setattr(registry.Solver, "load", lambda solver: loses_mass)
    assert solve(problem).status is Status.NOT_PROVED


def test_a_solve_that_stalls_does_not_blame_a_limit():
    """It said "stopped at time_limit … raise time_limit", although none was given."""
    rng = np.random.default_rng(1)
    problem = Problem(rng.random((12, 2)), rng.random((12, 2)))
    epsilon = 1e-3 * problem.geometry.largest
    result = solve(problem, method="sinkhorn", epsilon=epsilon, tol=1e-17, max_iter=3000)
    assert result.n_iter < 3000
    assert result.status is Status.NOT_PROVED
    assert result.message.startswith("stalled above a marginal error of 1e-17 of the mass")
    assert "time_limit" not in result.message
    assert "max_iter" not in result.message
    assert result.lower <= solve(problem).value <= result.upper


@pytest.mark.parametrize(
    "options, status",
    [
        ({"max_iter": 2}, Status.MAX_ITER),
        ({"time_limit": 0.0}, Status.TIME_LIMIT),
        ({"max_iter": 2, "time_limit": 1e6}, Status.MAX_ITER),
        ({"max_iter": 10**6, "time_limit": 0.0}, Status.TIME_LIMIT),
    ],
)
def test_limits_of_time_and_of_iterations_are_told_apart(options, status):
    """Both were `max_iter`, and a limit while epsilon is lowered was `not_proved`."""
    rng = np.random.default_rng(2)
    problem = Problem(rng.random((15, 2)), rng.random((15, 2)))
    for more in ({"epsilon": 1e-3, "tol": 1e-12}, {"tol": 1e-8}):
        result = solve(problem, method="sinkhorn", **more, **options)
        assert result.status is status
        assert f"raise {status}" in result.advice


def test_a_limit_that_all_weights_together_reach_is_one_of_iterations(monkeypatch):
    monkeypatch.setattr(knobs.SCALING_MOST_ENTRIES, 0)
    rng = np.random.default_rng(3)
    problem = Problem(rng.random((15, 2)), rng.random((15, 2)))
    first = solve(problem, method="sinkhorn", tol=0.5)
    result = solve(problem, method="sinkhorn", tol=1e-7, max_iter=first.n_iter)
    assert result.status is Status.MAX_ITER
