"""Two thousand random problems against rational arithmetic, sixty against HiGHS.

All five families of costs with all five of masses, on both engines of the network
simplex method. Every answer carries Status.OPTIMAL and is proved again.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import cache

import numpy as np
import oracles
import pytest
from checks import assert_exact, assert_proved, paid, same
from conftest import JIT_OFF
from oracles import highs_bound
from strategies import random_weights

from otdist import InfeasibleError, Problem, solve
from otdist.solvers.network_simplex import column_generation as columns
from otdist.solvers.network_simplex import search as simplex

#: Problems of a family, 25 families: 2000 in all.
N_SMALL = 40 if JIT_OFF else 80
#: The same for 12 families: 60 in all.
N_MEDIUM = 2 if JIT_OFF else 5
MEDIUM = (10, 30) if JIT_OFF else (20, 150)

COSTS = {
    "uniform": lambda rng, shape: rng.random(shape),
    "ties": lambda rng, shape: rng.integers(1, 5, shape) * 1.0,
    "wide": lambda rng, shape: 10.0 ** rng.uniform(-6, 6, shape),
    "forbidden": lambda rng, shape: np.where(rng.random(shape) < 0.4, math.inf, rng.random(shape)),
    "points": lambda rng, shape: np.linalg.norm(
        rng.random((shape[0], 1, 2)) - rng.random((shape[1], 2)), axis=2
    ),
}
#: Masses whose two sums are equal to the last bit, or proportional.
EXACT_MASSES = ("uniform", "counts", "dyadic")
MASSES = {
    "uniform": lambda rng, n: np.full(n, 1.0 / n),
    "counts": lambda rng, n: parts(rng, n, 12),
    "dyadic": lambda rng, n: parts(rng, n, 2**40) / 2.0**40,
    "float": random_weights,
    "wide": lambda rng, n: normalised(10.0 ** rng.uniform(-12, 0, n)),
}


def parts(rng, n, total):
    """Cut a total into n integers >= 0."""
    cuts = np.sort(rng.integers(0, total, n - 1, endpoint=True))
    return np.diff(np.r_[0, cuts, total]) * 1.0


def normalised(weights):
    return weights / math.fsum(weights)


@cache
def small(costs, masses, k):
    """Return problem number k of a family and its exact value, None if infeasible."""
    seed = list(COSTS).index(costs), list(MASSES).index(masses), k
    rng = np.random.default_rng(seed)
    n, m = rng.integers(1, 7, 2)
    cost, a, b = (
        COSTS[costs](rng, (n, m)),
        MASSES[masses](rng, n),
        MASSES[masses](rng, m),
    )
    problem = Problem.from_cost(cost, a, b)
    truth = oracles.exact(cost, problem.a, problem.b)
    if truth is None and masses not in EXACT_MASSES:
        # Rounding of the masses decides: not a question to ask of float64.
        problem = Problem.from_cost(np.where(np.isfinite(cost), cost, 9.0), a, b)
        truth = oracles.exact(problem.geometry.cost, problem.a, problem.b)
    return problem, truth


@pytest.mark.parametrize("masses", MASSES)
@pytest.mark.parametrize("costs", COSTS)
def test_small_problems_against_rational_arithmetic(costs, masses, engine):
    """Agree to 1e-12, and say infeasible where and only where no coupling exists."""
    for k in range(N_SMALL):
        problem, truth = small(costs, masses, k)
        try:
            if truth is None:
                with pytest.raises(InfeasibleError):
                    solve(problem, method="network_simplex")
                continue
            result = solve(problem, method="network_simplex")
            exact_sums = sum(map(Fraction, problem.a)) == sum(map(Fraction, problem.b))
            assert_exact(assert_proved(result), problem, truth, exact_masses=exact_sums)
            assert_exact(paid(result), problem, truth, exact_masses=masses in EXACT_MASSES)
        except AssertionError as error:
            error.add_note(f"small({costs!r}, {masses!r}, {k}) on engine {engine!r}")
            raise


def test_the_small_problems_are_as_unlike_as_they_claim():
    shapes, n_infeasible, n_zeros = set(), 0, 0
    for masses in EXACT_MASSES:
        for k in range(N_SMALL):
            problem, truth = small("forbidden", masses, k)
            shapes.add(problem.shape)
            n_infeasible += truth is None
            n_zeros += not (problem.a.all() and problem.b.all())
    assert len(shapes) >= min(30, N_SMALL)
    assert N_SMALL / 4 <= n_infeasible <= 2 * N_SMALL
    assert n_zeros >= N_SMALL / 4


@cache
def medium(costs, masses, k):
    """Return problem number k of a family, and the bound that HiGHS proves."""
    seed = list(COSTS).index(costs), list(MASSES).index(masses), k, 1
    rng = np.random.default_rng(seed)
    n, m = rng.integers(*MEDIUM, 2)
    cost = COSTS[costs](rng, (n, m))
    problem = Problem.from_cost(cost, MASSES[masses](rng, n), MASSES[masses](rng, m))
    return problem, highs_bound(cost, problem.a, problem.b)


@pytest.mark.parametrize("masses", ["uniform", "dyadic", "float"])
@pytest.mark.parametrize("costs", ["uniform", "ties", "forbidden", "points"])
def test_medium_problems_against_highs(costs, masses, engine):
    """Agree to 1e-12 with the bound of HiGHS's multipliers; its values have 1e-10.

    Masses and costs are of one scale, since what HiGHS tolerates is absolute.
    """
    for k in range(N_MEDIUM):
        problem, bound = medium(costs, masses, k)
        try:
            value = assert_proved(solve(problem, method="network_simplex"))
            assert value == same(bound)
        except AssertionError as error:
            error.add_note(f"medium({costs!r}, {masses!r}, {k}) on engine {engine!r}")
            raise


def test_each_engine_is_the_one_that_runs(engine, monkeypatch):
    calls = []
    for module, name in ((simplex, "solve_at_once"), (columns, "search_candidates")):
        real = getattr(module, name)

        def spy(*arguments, name=name, real=real, **options):
            calls.append(name)
            return real(*arguments, **options)

        monkeypatch.setattr(module, name, spy)
    solve(Problem.from_cost([[1.0, 2.0], [3.0, 5.0]]), method="network_simplex")
    at_once = engine in ("all arcs", "coarse")
    assert calls == ["solve_at_once" if at_once else "search_candidates"]
