"""Problems with few atoms on one side: shortest paths between these atoms."""

from __future__ import annotations

import knobs
import numpy as np
import pytest
from checks import assert_agrees_with_highs, assert_proved
from conftest import JIT_OFF
from hypothesis import given
from hypothesis import strategies as st

from otdist import Problem, Status, solve
from otdist.solvers.network_simplex import few_sinks

SIZE = 64 if JIT_OFF else 400


@pytest.fixture
def seen(monkeypatch):
    """Send these small problems that way; return what it found for each."""
    monkeypatch.setattr(knobs.SIMPLEX_NARROW, 8)
    monkeypatch.setattr(knobs.SIMPLEX_LONG, SIZE)
    found, solve_few = [], few_sinks.solve_few

    def recorded(*args):
        found.append(solve_few(*args))
        return found[-1]

    monkeypatch.setattr(few_sinks, "solve_few", recorded)
    return found


def problem_of(seed, k=5, kind="points", n=SIZE):
    """Return a problem of many rows and few columns whose weights differ."""
    rng = np.random.default_rng(seed)
    a, b = rng.dirichlet(np.ones(n)), rng.dirichlet(np.ones(k))
    if kind == "points":
        x, y = rng.normal(size=(n, 2)), rng.normal(size=(k, 2))
        cost = ((x[:, None] - y) ** 2).sum(axis=-1)
    elif kind == "ties":
        # Few costs and few weights: sources are divided and paths are equally long.
        cost = rng.integers(0, 3, (n, k)).astype(float)
        a, b = np.full(n, 1.0 / n), np.full(k, 1.0 / k)
    else:
        cost = rng.normal(size=(n, k))
    return Problem.from_cost(cost, a, b, normalize=True)


KINDS = ["points", "ties", "random"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("k", [1, 2, 5, 7])
def test_both_ways_round_against_highs(kind, k, seen, as_claimed):
    for seed in range(3):
        problem = problem_of(seed, k, kind)
        result = solve(problem, method="network_simplex")
        assert_agrees_with_highs(assert_proved(result), problem)
        turned = Problem.from_cost(problem.geometry.dense().T, problem.b, problem.a)
        other = solve(turned, method="network_simplex")
        assert assert_proved(other) == pytest.approx(result.value, rel=1e-13, abs=1e-15)
    assert len(seen) == 6
    assert all(found is not None for found in seen)


@given(st.integers(0, 2**32 - 1), st.sampled_from(KINDS), st.integers(1, 7))
def test_plans_have_no_cycles(seed, kind, k):
    problem = problem_of(seed, k, kind, 64)
    found = few_sinks.solve_few(problem.geometry.dense(), problem.a, problem.b, few_sinks.Options())
    assert np.count_nonzero(found.plan.mass) < 64 + k
    assert (np.bincount(found.plan.rows, found.plan.mass, 64) > 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_short_lists_run_out_and_are_made_anew(kind, seen, as_claimed, monkeypatch):
    for length in (1, 2, 3):
        monkeypatch.setattr(knobs.FEW_SINKS_LENGTH, length)
        for seed in range(3):
            problem = problem_of(seed, 5, kind)
            result = solve(problem, method="network_simplex")
            assert_agrees_with_highs(assert_proved(result), problem)


@pytest.mark.parametrize("kind", KINDS)
def test_prices_of_samples_change_no_value(kind, seen, as_claimed, monkeypatch):
    problem = problem_of(7, 4, kind)
    plain = assert_proved(solve(problem, method="network_simplex"))
    monkeypatch.setattr(knobs.FEW_SINKS_PART, 2)
    monkeypatch.setattr(knobs.FEW_SINKS_SAMPLED, 4)
    sizes, moved = [], few_sinks._moved
    monkeypatch.setattr(
        few_sinks, "_moved", lambda *args: sizes.append(len(args[1])) or moved(*args)
    )
    sampled = assert_proved(solve(problem, method="network_simplex"))
    assert sampled == pytest.approx(plain, rel=1e-13, abs=1e-15)
    assert sizes[-2:] == [SIZE // 2, SIZE]


def test_warm_starts_need_no_moves(seen):
    problem = problem_of(8)
    first = solve(problem, method="network_simplex")
    again = solve(problem, method="network_simplex", warm_start=first)
    assert assert_proved(again) == pytest.approx(first.value, rel=1e-14)
    assert seen[-1].n_iter < seen[0].n_iter / 2
    turned = Problem.from_cost(problem.geometry.dense().T, problem.b, problem.a)
    f, g = first.potentials
    other = solve(turned, method="network_simplex", warm_start=(g, f))
    assert assert_proved(other) == pytest.approx(first.value, rel=1e-14)
    assert seen[-1].n_iter < seen[0].n_iter / 2


def test_limits_end_in_a_bracket(seen, monkeypatch):
    monkeypatch.setattr(knobs.FEW_SINKS_MOVES, 3)
    problem = problem_of(9)
    truth = solve(problem, method="network_simplex")
    n_moves = seen[0].n_iter
    assert n_moves > 7
    for max_iter in (1, 3, 7):
        result = solve(problem, method="network_simplex", max_iter=max_iter)
        assert seen[-1].n_iter == max_iter
        assert result.lower <= truth.value <= result.upper
    assert solve(problem, method="network_simplex", max_iter=n_moves).status is Status.OPTIMAL


def test_more_divided_sources_than_there_is_room_for(seen, as_claimed, monkeypatch):
    monkeypatch.setattr(few_sinks.kernel, "move_excess", lambda *_: (few_sinks.kernel.FULL, 0))
    problem = problem_of(10)
    result = solve(problem, method="network_simplex")
    assert seen == [None]
    assert_agrees_with_highs(assert_proved(result), problem)
