"""Square problems of equal weights: shortest augmenting paths, and where they give up."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from conftest import JIT_OFF
from scipy.optimize import linear_sum_assignment

from otdist import InfeasibleError, Problem, emd, solve
from otdist.batch import single
from otdist.solvers.network_simplex.assignment import room_for, solve_square
from otdist.solvers.network_simplex.kernels.assignment import assign

N = 12 if JIT_OFF else 60


def families(n, seed):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(n, 2)), rng.normal(size=(n, 2)) + 1
    yield np.linalg.norm(x[:, None] - y, axis=2)
    yield rng.random((n, n)) - 0.5
    yield rng.integers(0, 4, (n, n)).astype(float)
    yield np.zeros((n, n))
    yield np.add.outer(rng.random(n), rng.random(n))  # every assignment is optimal
    yield rng.random((n, n)) ** 30 * 1e6
    yield np.minimum.outer(np.arange(n), np.arange(n)[::-1]).astype(float)


def assert_optimal(cost, room, wanted):
    """Check the assignment, and its proof: prices leave no row a better column."""
    n = len(cost)
    assert sorted(room.column) == list(range(n))
    np.testing.assert_array_equal(room.row[room.column], np.arange(n))
    value = cost[np.arange(n), room.column].sum()
    size = max(1.0, np.abs(cost).max())
    assert value == pytest.approx(wanted, rel=1e-12, abs=1e-12 * size)
    slack = cost - room.price
    assert (slack[np.arange(n), room.column] <= slack.min(axis=1) + 1e-13 * size).all()


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
def test_all_permutations(n):
    for seed in range(20):
        for cost in families(n, seed):
            room = room_for(n)
            assert assign(cost, room) >= 0
            ways = itertools.permutations(range(n))
            assert_optimal(cost, room, min(cost[np.arange(n), list(way)].sum() for way in ways))


@pytest.mark.parametrize("n", [7, 17, N])
def test_against_scipy(n):
    for seed in range(10):
        for cost in families(n, seed):
            room = room_for(n)
            if assign(cost, room) >= 0:
                assert_optimal(cost, room, cost[linear_sum_assignment(cost)].sum())


def test_a_room_is_used_again():
    room = room_for(N)
    for cost in families(N, 3):
        if assign(cost, room) >= 0:
            assert_optimal(cost, room, cost[linear_sum_assignment(cost)].sum())


@pytest.mark.skipif(JIT_OFF, reason="too slow without compilation")
def test_many_long_paths_are_given_up():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(400, 2)), rng.normal(size=(400, 2)) + 3
    cost = np.linalg.norm(x[:, None] - y, axis=2)
    assert assign(cost, room_for(400)) == -1
    uniform = np.full(400, 1 / 400)
    assert solve_square(cost, uniform, uniform) is None
    assert solve(Problem.from_cost(cost)).certificate.proves(1e-9)


@pytest.mark.skipif(JIT_OFF, reason="too slow without compilation")
@pytest.mark.parametrize("largest", [2, 10, 100, 4000])
def test_short_paths_of_many_rows_are_not_given_up(largest):
    cost = np.random.default_rng(largest).integers(0, largest, (400, 400)).astype(float)
    room = room_for(400)
    assert assign(cost, room) >= 0
    assert_optimal(cost, room, cost[linear_sum_assignment(cost)].sum())


def test_other_problems_are_left_alone():
    cost = np.arange(9.0).reshape(3, 3)
    ones = np.ones(3)
    assert solve_square(cost, ones, ones) is not None
    assert solve_square(cost[:2], ones[:2], ones) is None
    assert solve_square(cost, np.array([1.0, 1, 2]), np.array([1.0, 2, 1])) is None
    # Where an arc is forbidden, rows of one column leave the others without a plan.
    cost[:2, 1:] = np.inf
    with pytest.raises(InfeasibleError):
        solve(Problem.from_cost(cost))


@pytest.mark.parametrize("n", [1, 5, N])
def test_both_ways_agree_with_the_linear_program(n):
    uniform = np.full(n, 1 / n)
    for cost in families(n, 1):
        found = [emd(uniform, uniform, cost), solve(Problem.from_cost(cost)).value]
        wanted = solve(Problem.from_cost(cost), method="highs").value
        size = np.abs(cost).max()
        np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-9 * size)


def test_equal_weights_need_not_be_one():
    rng = np.random.default_rng(5)
    cost = rng.random((6, 6))
    a = np.full(6, 0.3)
    wanted = 0.3 * cost[linear_sum_assignment(cost)].sum()
    assert emd(a, a, cost) == pytest.approx(wanted, rel=1e-14)
    result = solve(Problem.from_cost(cost, a, a))
    assert result.value == pytest.approx(wanted, rel=1e-14)
    assert result.certificate.proves(1e-9)
    assert single.least_cost(a, a, cost) == pytest.approx(wanted, rel=1e-14)


def test_other_weights_of_squares_are_no_assignments():
    rng = np.random.default_rng(6)
    cost, a, b = rng.random((6, 6)), rng.dirichlet(np.ones(6)), np.full(6, 1 / 6)
    wanted = solve(Problem.from_cost(cost, a, b), method="highs").value
    assert emd(a, b, cost) == pytest.approx(wanted, rel=1e-9)
    assert emd(b, a, cost.T) == pytest.approx(wanted, rel=1e-9)
