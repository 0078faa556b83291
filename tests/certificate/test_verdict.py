"""What a certificate says of a plan: a coupling or not, optimal or by how much not."""

from __future__ import annotations

import numpy as np
import pytest

from otdist import InputError, Problem, certify, solve


@pytest.fixture
def problem():
    return Problem.from_cost([[0.0, 2.0], [1.0, 1.0]])


def test_an_optimal_plan(problem):
    proof = certify(problem, np.eye(2) / 2, [0.0, 0.0])
    assert proof.is_coupling
    assert proof.is_optimal
    assert proof.verdict.startswith("a coupling, and optimal: its cost is proved by a gap of")


def test_a_coupling_that_costs_more(problem):
    proof = certify(problem, [[0, 0.5], [0.5, 0]])
    assert proof.is_coupling
    assert not proof.is_optimal
    assert proof.verdict == (
        "a coupling; its cost is at most 1 above the optimum, which is in [0.5, 1.5]"
    )


@pytest.mark.parametrize("orders", [0, 14, 30])
def test_a_plan_that_loses_an_atom(orders):
    """A small atom is lost as a large one is: the weights of each atom count by themselves."""
    small = 10.0**-orders
    problem = Problem.from_cost([[0.0, 0.0], [1e20, 1e20]], [1, small], [1, small])
    proof = certify(problem, [[1, 0], [0, 0]], [0.0, 0.0])
    assert not proof.is_coupling
    assert not proof.proves(1.0)
    assert proof.lower <= 1e20 * small <= proof.upper
    assert proof.verdict.startswith("no coupling: its marginals are off by a mass of")


def test_weights_that_are_not_those_of_the_problem():
    """Row sums .9 and .1 where .5 and .5 are asked for."""
    problem = Problem.from_cost([[0.0, 0.0], [0.0, 0.0]])
    proof = certify(problem, [[0.9, 0.0], [0.0, 0.1]], [0.0, 0.0])
    assert not proof.is_coupling
    assert not proof.is_optimal
    assert proof.marginal_error == pytest.approx(1.6)


def test_a_plan_alone_is_enough():
    rng = np.random.default_rng(0)
    problem = Problem(rng.normal(size=(9, 2)), rng.normal(size=(7, 2)), p=2)
    result = solve(problem)
    alone = certify(problem, result.plan)
    assert alone.is_coupling
    assert alone.lower <= result.lower
    assert alone.upper <= result.upper * (1 + 1e-9)
    solved = certify(problem, result.plan, "solve")
    assert solved.is_optimal
    with pytest.raises(InputError, match="f must be potentials, a function, or 'solve'"):
        certify(problem, result.plan, "solved")


@pytest.mark.parametrize("size", [1e-320, 1.0, 1e150, 1e308])
def test_any_finite_potentials_will_do(size):
    rng = np.random.default_rng(1)
    for problem in (
        Problem(rng.normal(size=(5, 2)), rng.normal(size=(6, 2))),
        Problem(rng.normal(size=5), rng.normal(size=6), p=2),
        Problem.from_cost(rng.normal(size=(5, 6))),
        Problem.on_circle(rng.random(5), rng.random(6), period=1.0),
        Problem.on_grid(rng.random((2, 3)), rng.random((2, 3)), p=2, normalize=True),
        Problem.from_cost(rng.random((5, 6)), price=0.3),
        Problem.from_cost(rng.random((5, 6)), mass=0.3),
    ):
        result = solve(problem)
        n = problem.shape[0]
        for f in (np.full(n, size), size * rng.choice([-1.0, 1.0], n), size * rng.random(n)):
            proof = certify(problem, result.plan, f)
            assert proof.lower <= result.upper
            assert proof.upper >= result.lower
            assert not np.isnan([proof.lower, proof.upper, proof.value]).any()
