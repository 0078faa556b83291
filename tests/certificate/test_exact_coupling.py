"""Couplings with exact marginals near a plan, against rational arithmetic."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from otdist import Problem
from otdist.certificate.certify import exact_upper
from otdist.certificate.exact_coupling import exact_coupling
from otdist.plans.plans import Arcs


def balanced(problem):
    """Return the weights as fractions, b scaled to the sum of a."""
    a, b = ([Fraction(float(w)) for w in side] for side in (problem.a, problem.b))
    ratio = sum(a) / sum(b)
    return a, [w * ratio for w in b]


def assert_exact(problem, arcs):
    """Check that masses are those of a coupling, each rounded once."""
    a, b = balanced(problem)
    sums = [[Fraction(0)] * len(a), [Fraction(0)] * len(b)]
    terms = [[0] * len(a), [0] * len(b)]
    for i, j, mass in zip(*(each.tolist() for each in arcs), strict=True):
        assert mass >= 0
        for side, k in ((0, i), (1, j)):
            sums[side][k] += Fraction(mass)
            terms[side][k] += 1
    for side, weights in enumerate((a, b)):
        for k, weight in enumerate(weights):
            off = abs(sums[side][k] - weight)
            assert off <= Fraction(terms[side][k], 2**52) * max(weight, sums[side][k])


def tree_plan(rng, n, m, orders):
    """Return a plan on the arcs of a staircase, and weights that are its sums."""
    i, j, arcs = 0, 0, []
    while True:
        arcs.append((i, j))
        if i == n - 1 and j == m - 1:
            break
        if j == m - 1 or (i < n - 1 and rng.random() < 0.5):
            i += 1
        else:
            j += 1
    rows, columns = np.array(arcs).T
    mass = rng.random(len(arcs)) * 10.0 ** rng.integers(-orders, 1, len(arcs))
    return Arcs(rows, columns, mass)


@pytest.mark.parametrize("orders", [0, 12, 40])
def test_masses_are_right_to_their_own_last_digit(orders):
    rng = np.random.default_rng(orders)
    for _ in range(30):
        n, m = rng.integers(1, 8, 2)
        arcs = tree_plan(rng, n, m, orders)
        a = np.bincount(arcs.rows, arcs.mass, n)
        b = np.bincount(arcs.columns, arcs.mass, m)
        problem = Problem.from_cost(rng.random((n, m)), a, b)
        found = exact_coupling(problem, arcs)
        assert found is not None
        assert found.stranded == 0
        assert_exact(problem, found.arcs)


def test_what_parts_exchange_goes_along_the_cheapest_arcs():
    """Two pairs of atoms: the weights of each differ by 2**-40, which has to cross."""
    a, b = [1.0, 1.0], [1.0 + 2.0**-40, 1.0 - 2.0**-40]
    problem = Problem.from_cost([[0.0, 7.0], [5.0, 0.0]], a, b)
    found = exact_coupling(problem, Arcs(np.arange(2), np.arange(2), np.ones(2)))
    assert_exact(problem, found.arcs)
    upper = exact_upper(problem, found)
    assert upper.value == 5 * 2.0**-40
    assert upper.value <= upper.upper <= upper.value * (1 + 1e-14)


def test_arcs_that_would_carry_less_than_nothing_are_left_out():
    """The plan has 2**-30 more in row 0 than there is, on arcs that it should not use."""
    a, b = [0.5, 0.5], [0.5, 0.5]
    arcs = Arcs(np.array([0, 0, 1]), np.array([0, 1, 1]), np.array([0.5, 2.0**-30, 0.5]))
    found = exact_coupling(Problem.from_cost(np.ones((2, 2)), a, b), arcs)
    assert_exact(Problem.from_cost(np.ones((2, 2)), a, b), found.arcs)


def test_mass_without_an_arc_is_rounding_or_none_is_found():
    cost = np.array([[0.0, np.inf], [np.inf, 0.0]])
    arcs = Arcs(np.arange(2), np.arange(2), np.full(2, 0.5))
    rounded = Problem.from_cost(cost, [0.5, 0.5], [0.5, 0.5])
    object.__setattr__(rounded, "b", np.array([0.5 + 2.0**-53, 0.5 - 2.0**-54]))
    assert 0 < exact_coupling(rounded, arcs).stranded < 1e-15
    object.__setattr__(rounded, "b", np.array([0.5 + 2.0**-40, 0.5 - 2.0**-40]))
    assert exact_coupling(rounded, arcs) is None


def test_dense_plans_keep_what_is_off_the_forest():
    rng = np.random.default_rng(5)
    a, b = rng.random(6), rng.random(5)
    problem = Problem.from_cost(rng.random((6, 5)), a, b, normalize=True)
    plan = np.outer(problem.a, problem.b)
    rows, columns = np.nonzero(plan)
    found = exact_coupling(problem, Arcs(rows, columns, plan[rows, columns]))
    assert_exact(problem, found.arcs)
    assert len(found.arcs.mass) >= 30
    whole = np.zeros((6, 5))
    np.add.at(whole, (found.arcs.rows, found.arcs.columns), found.arcs.mass)
    np.testing.assert_allclose(whole, plan, atol=1e-15)
