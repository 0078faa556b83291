"""Warm starts are hints: any finite potentials change the time, never the answer."""

from __future__ import annotations

import math

import numpy as np
import pytest

from otdist import Problem, solve

SIZES = [1.0, 1e15, 1e100, 1e200, 1.7e308, 5e-324]


def hostile(n, m, size):
    """Yield potentials that no costs of a usual size have."""
    rng = np.random.default_rng(1)
    yield np.full(n, size), np.full(m, -size)
    yield np.full(n, size), np.full(m, size)
    yield size * rng.choice([-1.0, 1.0], n), size * rng.choice([-1.0, 1.0], m)
    yield size * rng.uniform(-1, 1, n), size * rng.uniform(-1, 1, m)
    yield np.zeros(n), size * (np.arange(m) == 0)


def problem_of(kind):
    rng = np.random.default_rng(0)
    x, y = rng.random((2, 25, 2))
    a, b, cost = rng.random(25), rng.random(25), rng.random((25, 25))
    if kind == "points":
        return Problem(x, y, a, b, p=2, normalize=True)
    if kind == "matrix":
        return Problem.from_cost(cost, a, b, normalize=True)
    if kind == "forbidden":
        cost[rng.random((25, 25)) < 0.7] = math.inf
        cost[0], cost[:, 0] = 2.0, 2.0
        return Problem.from_cost(cost, a, a)
    if kind == "grid":
        return Problem.on_grid(a.reshape(5, 5), b.reshape(5, 5), normalize=True)
    if kind == "price":
        return Problem.partial(x, y, a, b, price=0.3)
    return Problem.partial(x, y, a, b, mass=3.0)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", ["points", "matrix", "forbidden", "grid", "price", "mass"])
def test_the_simplex_finds_the_same_optimum(kind, size):
    problem = problem_of(kind)
    cold = solve(problem, method="network_simplex")
    for start in hostile(*problem.shape, size):
        warm = solve(problem, method="network_simplex", warm_start=start)
        assert warm.status == cold.status
        assert warm.value == pytest.approx(cold.value, rel=1e-12)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", ["points", "matrix", "forbidden", "grid"])
def test_sinkhorn_converges_to_the_same_plan(kind, size):
    """It stopped with "f[0] is nan" where potentials overflowed."""
    problem = problem_of(kind)
    options = {"method": "sinkhorn", "epsilon": 0.02, "tol": 1e-9}
    cold = solve(problem, **options)
    for start in hostile(*problem.shape, size):
        warm = solve(problem, **options, warm_start=start)
        assert warm.status == cold.status
        assert warm.regularized_value == pytest.approx(cold.regularized_value, rel=1e-7)
        assert warm.n_iter <= 20 * cold.n_iter


def test_good_potentials_are_kept():
    problem = problem_of("matrix")
    cold = solve(problem, method="network_simplex")
    f, g = cold.potentials
    for offset in (0.0, 8.0, -1024.0):
        warm = solve(problem, method="network_simplex", warm_start=(f + offset, g - offset))
        assert warm.n_iter < cold.n_iter
