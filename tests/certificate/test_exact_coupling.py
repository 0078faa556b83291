"""Couplings with exact marginals near a plan, against rational arithmetic."""

from __future__ import annotations

from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest

from otdist import Problem, solve
from otdist.certificate.certify import exact_upper
from otdist.certificate.exact_coupling import exact_coupling
from otdist.certificate.exact_dual import along
from otdist.certificate.rounding import paid
from otdist.geometry.outside import Extended
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


# --------------------------------------------------------------- mass that may be left


@pytest.mark.parametrize("options", [{"price": 0.4}, {"mass": 0.7}])
def test_atoms_outside_take_what_is_left(options):
    """With their arcs a partial plan is a coupling of weights that are exact."""
    rng = np.random.default_rng(6)
    for _ in range(20):
        n, m = rng.integers(1, 6, 2)
        a, b = rng.random(n) + 0.7, rng.random(m) + 0.7
        problem = Problem.from_cost(rng.random((n, m)), a, b, **options)
        plan = solve(problem).coupling
        found = exact_coupling(problem, plan)
        assert found is not None
        assert found.stranded == 0
        inside = (found.arcs.rows < n) & (found.arcs.columns < m)
        np.testing.assert_allclose(found.arcs.mass[inside].sum(), plan.mass.sum(), rtol=1e-15)
        of_a, of_b = (sum(map(Fraction, side.tolist())) for side in (a, b))
        moved = Fraction(options.get("mass", 0.0))
        outside = np.array([float(of_b - moved), float(of_a - moved)])
        whole = SimpleNamespace(a=np.append(a, outside[0]), b=np.append(b, outside[1]))
        assert_exact(whole, found.arcs)
        upper = exact_upper(problem, found).upper
        assert upper == pytest.approx(solve(problem).value, rel=1e-14)


def test_what_is_too_much_for_a_weight_is_moved_elsewhere():
    """The plan overfills column 1 by 2**-40, and column 0 has room for it."""
    problem = Problem.from_cost([[1.0, 2.0]], [1.0], [1.0, 0.5], mass=1.0)
    plan = Arcs(np.zeros(2, int), np.arange(2), np.array([0.5 - 2.0**-40, 0.5 + 2.0**-40]))
    found = exact_coupling(problem, plan)
    assert exact_upper(problem, found).value == 1.5


@pytest.mark.parametrize("tiny, is_tiny", [(0.0, False), (2.0**-600, True)])
def test_products_that_underflow_are_noticed_among_those_outside(tiny, is_tiny):
    geometry = Problem.partial([[0.0]], [[tiny], [1.0]], [1], [1, 1], p=2, price=1).geometry
    arcs = Arcs(np.array([0, 1]), np.array([0, 2]), np.ones(2))
    assert paid(Extended(geometry, 1.0, 0.0), arcs)[2] is is_tiny


def test_potentials_along_the_arcs_have_more_digits_than_floats():
    """All arcs of the plan are tight, though the costs span more digits than a float has."""
    cost = np.array([[1.0, 3.0], [2.0**-70, 1e3]])
    problem = Problem.from_cost(cost, [1.0, 1.0], [1.5, 1.0], mass=2.0)
    result = solve(problem)
    found = exact_coupling(problem, result.coupling)
    high, rest = along(found, result.potentials[0])
    assert (np.abs(rest) <= np.spacing(np.abs(high))).all()
    used = {(i, j): Fraction(cost[i, j]) for i, j, _ in zip(*result.coupling, strict=True)}
    f = [Fraction(x) + Fraction(y) for x, y in zip(high.tolist(), rest.tolist(), strict=True)]
    (first, of_first), (second, of_second) = ((i, c) for (i, j), c in used.items() if j == 0)
    assert of_first - f[first] == of_second - f[second]
    assert float(f[first]) + float(f[second]) != f[first] + f[second]
