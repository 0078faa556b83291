"""Claims that exact arithmetic finishes: optimal to the last digit, with small potentials."""

from __future__ import annotations

import math
import time
from fractions import Fraction

import knobs
import numpy as np
import oracles
import pytest

from otdist import Problem, solve
from otdist.plans.plans import Arcs, LazyPlan
from otdist.problem.result import Candidate
from otdist.solvers.exact_arithmetic import potentials, simplex
from otdist.solvers.exact_arithmetic.potentials import small_potentials
from otdist.solvers.exact_arithmetic.solver import refined
from otdist.solvers.exact_arithmetic.tree import Tree
from otdist.solvers.exact_arithmetic.whole import as_whole, rounded, unit_of
from otdist.solvers.registry import Options, named

NONE = np.empty(0, np.int64)


def weights(rng, n):
    """Return weights that are counts, equal or spread over many orders of magnitude."""
    kind = rng.integers(4)
    if kind == 0:
        return rng.integers(1, 9, n).astype(float)
    if kind == 1:
        return np.full(n, 1 / n)
    return rng.random(n) * 10.0 ** rng.integers(-16 if kind == 2 else -60, 5, n)


def costs(rng, n, m):
    """Return costs with ties, over 600 orders, of two sizes, forbidden, or on an offset."""
    kind = rng.integers(7)
    if kind == 0:
        return rng.integers(-2, 3, (n, m)).astype(float)
    if kind == 1:
        return 10.0 ** rng.uniform(-300, 300, (n, m))
    if kind == 2:
        return 1 + rng.integers(0, 3, (n, m)) * 2.0**-52
    if kind == 3:
        return rng.normal(size=(n, 1)) * 1e15 + rng.normal(size=m) * 1e15 + rng.random((n, m))
    cost = rng.random((n, m))
    if kind == 4:
        cost[rng.random((n, m)) < 0.3] = 10.0 ** rng.integers(10, 299)
    if kind == 5:
        cost[rng.random((n, m)) < 0.3] = np.inf
    return cost


def beginning(rng, kind, n, m):
    """Return pairs and potentials to start from: nothing, nonsense, or all pairs."""
    if kind == "empty":
        return NONE, NONE, np.zeros(n), np.zeros(m)
    f, g = rng.normal(size=n) * 10.0 ** rng.integers(-300, 300), rng.normal(size=m)
    if kind == "nonsense":
        return rng.integers(n, size=n + m), rng.integers(m, size=n + m), f, g
    return *np.divmod(rng.permutation(n * m), m), f, g


def optimum(cost, a, b, rows, columns, f, g):
    """Return the exact optimum that the whole flows have, None if no coupling exists."""
    unit = unit_of(np.concatenate([a, b]))
    whole_a, whole_b = as_whole(a, unit), as_whole(b, unit)
    total_a, total_b = sum(whole_a), sum(whole_b)
    supply, demand = [x * total_b for x in whole_a], [x * total_a for x in whole_b]
    prices = simplex.Prices(cost)
    start = simplex.start_from(prices, rows, columns, f, g)
    found = simplex.optimal_flows(prices, supply, demand, start, math.inf)
    if found is None:
        return None
    sums_a, sums_b = [0] * len(a), [0] * len(b)
    for i, j, flow in zip(found.rows, found.columns, found.flows, strict=True):
        assert flow > 0
        sums_a[i] += flow
        sums_b[j] += flow
    assert (sums_a, sums_b) == (supply, demand)
    paid = zip(cost[found.rows, found.columns].tolist(), found.flows, strict=True)
    return sum(Fraction(c) * flow for c, flow in paid) * Fraction(2) ** unit / total_b


@pytest.mark.parametrize("patience", [0, 2])
@pytest.mark.parametrize("kind", ["empty", "nonsense", "all"])
def test_flows_are_optimal_exactly(monkeypatch, kind, patience):
    monkeypatch.setattr(knobs.EXACT_PATIENCE, patience)  # with 0 always by Bland's rule
    rng = np.random.default_rng([patience, len(kind)])
    n_feasible = 0
    for _ in range(120):
        n, m = rng.integers(1, 6, 2)
        cost, a, b = costs(rng, n, m), weights(rng, n), weights(rng, m)
        found = optimum(cost, a, b, *beginning(rng, kind, n, m))
        assert found == oracles.exact(cost, a, b), (cost, a, b)
        n_feasible += found is not None
    assert 60 < n_feasible < 120


def test_the_claim_of_the_network_simplex_is_finished():
    rng = np.random.default_rng(1)
    for _ in range(60):
        n, m = rng.integers(2, 6, 2)
        cost, a, b = costs(rng, n, m), weights(rng, n), weights(rng, m)
        b *= a.sum() / b.sum()
        problem = Problem.from_cost(cost, a, b)
        if oracles.exact(cost, a, b) is None:
            continue
        claim = named("network_simplex").load()(problem, Options())
        start = claim.plan.rows, claim.plan.columns, claim.f, claim.g
        assert optimum(cost, a, b, *start) == oracles.exact(cost, a, b)


def claim_from(rng, n, m):
    rows, columns, f, g = beginning(rng, "nonsense", n, m)
    return Candidate(Arcs(rows, columns, np.ones(n + m)), f, g, 7)


def exact_potentials(monkeypatch):
    """Return a list that takes the whole potentials before they are rounded."""
    exact = []

    def kept(self, values):
        exact[:] = values
        return rounded(values, self.unit)

    monkeypatch.setattr(potentials._Whole, "rounded", kept)
    return exact


def test_potentials_are_feasible_and_tight_before_they_are_rounded(monkeypatch):
    exact = exact_potentials(monkeypatch)
    rng = np.random.default_rng(2)
    n_parts = []
    for _ in range(200):
        n, m = rng.integers(1, 7, 2)
        cost, a, b = costs(rng, n, m), weights(rng, n), weights(rng, m)
        if rng.random() < 0.5:  # a plan of many parts
            m, b = n, rng.permutation(a)
            cost = costs(rng, n, n)
        if oracles.exact(cost, a, b) is None:
            continue
        b *= a.sum() / b.sum()
        found = refined(Problem.from_cost(cost, a, b), claim_from(rng, n, m))
        unit = Fraction(2) ** unit_of(cost)
        f, g = [-x * unit for x in exact[:n]], [x * unit for x in exact[n:]]
        assert found.f.tolist() == [float(x) for x in f]
        for i in range(n):
            for j in range(m):
                assert math.isinf(cost[i, j]) or f[i] + g[j] <= Fraction(cost[i, j])
        for i, j in zip(*found.plan[:2], strict=True):
            assert f[i] + g[j] == Fraction(cost[i, j])
        n_parts.append(n + m - len(found.plan.rows))
    assert sum(number > 1 for number in n_parts) > 40


def two_clusters(p, seed=0):
    """Return |x - y| ** p of two clusters of 50 numbers, 3 apart."""
    x, y = np.random.default_rng(seed).random((2, 100))
    x[50:] += 3
    y[50:] += 3
    return Problem.from_cost(np.abs(x[:, None] - y) ** p)


def dual_gap(problem, plan, f):
    """Return the relative gap of the bound that f proves, in float64 alone."""
    g = problem.geometry.column_minimum(f)
    paid = plan.mass @ problem.geometry.pairs(plan.rows, plan.columns)
    return float(paid - problem.a @ f - problem.b @ g) / float(paid)


@pytest.mark.parametrize("p", [15, 50])
def test_potentials_are_as_small_as_the_costs_that_are_paid(p):
    problem = two_clusters(p)
    start = Candidate(Arcs(NONE, NONE, np.zeros(0)), np.zeros(100), np.zeros(100), 0)
    found = refined(problem, start)
    assert abs(dual_gap(problem, found.plan, found.f)) < 1e-9
    paid = problem.geometry.pairs(found.plan.rows, found.plan.columns)
    assert np.abs(np.concatenate([found.f, found.g])).max() < 50 * paid.max()
    # Potentials of one tree, with an arc that joins the clusters, prove nothing.
    far = found.f + np.where(np.arange(100) < 50, 0.0, 3.0**p)
    assert abs(dual_gap(problem, found.plan, far)) > 1


@pytest.mark.parametrize("p", [1, 2, 10, 50])
@pytest.mark.parametrize("has_guess", [False, True])
def test_shifts_in_floats_are_those_in_whole_numbers(monkeypatch, p, has_guess):
    rng = np.random.default_rng(p)
    x, y = rng.random((2, 60, 2))
    x[30:] += 1000
    y[30:] += 1000
    problem = Problem(x, y, p=p)
    start = Candidate(Arcs(NONE, NONE, np.zeros(0)), np.zeros(60), np.zeros(60), 0)
    found = refined(problem, start)
    monkeypatch.setattr(knobs.EXACT_MOST_WHOLE, 0)
    for each in (problem, Problem.from_cost(problem.geometry.dense())):
        f, g = small_potentials(each, found.plan, found.g if has_guess else None)
        size = np.abs(found.f).max()
        np.testing.assert_allclose(f, found.f, rtol=1e-9, atol=1e-11 * size)
        assert abs(dual_gap(each, found.plan, f)) < 1e-11
        assert np.abs(g).max() <= 2 * size
    again = refined(problem, start)
    assert again.plan.mass.tolist() == found.plan.mass.tolist()
    np.testing.assert_allclose(again.f, found.f, rtol=1e-9, atol=1e-11 * size)


def test_heavy_atoms_have_the_smallest_potentials():
    """Half of the cost of each side, though a light atom pays far more in the same part."""
    cost = np.array([[1e-10, 1e10], [1e20, 1e10]])
    problem = Problem.from_cost(cost, [1, 1e-30], [1 - 2.0**-53, 2.0**-53])
    start = Candidate(Arcs(NONE, NONE, np.zeros(0)), np.zeros(2), np.zeros(2), 0)
    found = refined(problem, start)
    assert len(found.plan.rows) == 3
    paid = found.plan.mass @ cost[found.plan.rows, found.plan.columns]
    assert problem.a @ found.f == pytest.approx(paid / 2, rel=1e-9)


def cloud_and_plan():
    """Return an assignment in the plane, its optimal plan and potentials."""
    problem = Problem(*np.random.default_rng(9).random((2, 80, 2)), p=3)
    start = Candidate(Arcs(NONE, NONE, np.zeros(0)), np.zeros(80), np.zeros(80), 0)
    return problem, refined(problem, start)


def parts_seen(monkeypatch):
    """Return a list of how many columns are looked at in each step."""
    seen, lower_by = [], potentials._Parts.lower_by

    def counted(self, columns):
        seen.append(len(columns))
        return lower_by(self, columns)

    monkeypatch.setattr(potentials._Parts, "lower_by", counted)
    return seen


def test_in_the_order_of_a_good_guess_each_part_is_next_once(monkeypatch):
    problem, found = cloud_and_plan()
    seen = parts_seen(monkeypatch)
    small_potentials(problem, found.plan, found.g)
    assert len(seen) <= 82  # but for ties that rounding makes
    seen.clear()
    small_potentials(problem, found.plan)
    assert len(seen) < sum(seen) / 10


def test_a_bad_guess_takes_time_only(monkeypatch):
    problem, found = cloud_and_plan()
    seen = parts_seen(monkeypatch)
    nonsense = np.random.default_rng(0).normal(size=80)
    f, _ = small_potentials(problem, found.plan, nonsense)
    np.testing.assert_allclose(f, found.f, rtol=0, atol=1e-13)
    assert len(seen) > 160  # in order until that is given up, then in rounds


def test_masses_are_rounded_once():
    a = [0.9901, 0.0163, 0.0091]  # times the exact ratio of the sums they round to others
    problem = Problem.from_cost(np.ones((3, 1)), a, [1.0155])
    start = Candidate(Arcs(NONE, NONE, np.zeros(0)), np.zeros(3), np.zeros(1), 0)
    plan = refined(problem, start).plan
    assert plan.mass[np.argsort(plan.rows)].tolist() == a


@pytest.mark.parametrize("scale", [2.0**-900, 2.0**900])
def test_powers_of_two_change_nothing(scale):
    rng = np.random.default_rng(4)
    cost, a = rng.random((8, 8)), weights(rng, 8)
    claim = claim_from(rng, 8, 8)
    found = refined(Problem.from_cost(cost, a, a[::-1]), claim)
    scaled = refined(Problem.from_cost(cost * scale, a, a[::-1]), claim)
    assert scaled.f.tolist() == (found.f * scale).tolist()
    assert scaled.plan.mass.tolist() == found.plan.mass.tolist()


def test_atoms_without_mass_get_potentials():
    rng = np.random.default_rng(5)
    cost = rng.random((4, 5))
    cost[3, 1:] = np.inf
    a, b = np.array([0, 1.0, 2, 0]), np.array([1.0, 0, 2, 0, 0])
    found = refined(Problem.from_cost(cost, a, b), claim_from(rng, 4, 5))
    assert found.f.shape == (4,)
    assert found.g.shape == (5,)
    assert (found.f[:, None] + found.g <= cost + 1e-15).all()
    assert set(found.plan.rows) <= {1, 2}
    assert found.n_iter >= 7


def test_partial_problems_are_refined_with_the_atom_outside():
    rng = np.random.default_rng(6)
    problem = Problem.partial(rng.random((6, 2)), rng.random((5, 2)), price=0.2)
    whole = problem.with_outside()
    found = refined(whole, claim_from(rng, 7, 6))
    paid = found.plan.mass @ whole.geometry.pairs(found.plan.rows, found.plan.columns)
    assert paid == pytest.approx(solve(problem).value, rel=1e-14)


def test_flows_on_graphs_are_refined():
    from scipy.sparse import csr_array

    ring = csr_array([[0, 1, 0, 1.5], [1, 0, 1, 0], [0, 1, 0, 1], [1.5, 0, 1, 0]])
    problem = Problem.on_graph(ring, [1, 0, 0, 1e-30], [0, 0.5, 0.5, 1e-30])
    result = solve(problem)
    found = refined(problem, Candidate(result.coupling, *result.potentials, 0))
    paid = found.plan.mass @ problem.geometry.pairs(found.plan.rows, found.plan.columns)
    assert paid == 1.5


class Lazy(LazyPlan):
    """A plan computed by rows, as entropic ones are."""

    shape = (30, 30)

    def rows(self, start, stop):
        return np.full((stop - start, 30), 1 / 900)


def test_it_gives_up():
    rng = np.random.default_rng(7)
    problem = Problem.from_cost(rng.random((30, 30)))
    claim = claim_from(rng, 30, 30)
    assert refined(problem, claim, deadline=time.monotonic() - 1) is None
    assert refined(problem, claim) is not None
    assert refined(problem, claim._replace(plan=Lazy())) is None
    assert refined(Problem.from_cost(problem.geometry.dense(), p=math.inf), claim) is None
    closed = np.full((30, 30), np.inf)
    np.fill_diagonal(closed, 1.0)
    uneven = np.linspace(1, 2, 30)
    assert refined(Problem.from_cost(closed, uneven, uneven[::-1]), claim) is None


@pytest.mark.parametrize("knob", [knobs.EXACT_BUDGET, knobs.EXACT_MOST_PAIRS])
def test_work_is_bounded(monkeypatch, knob):
    rng = np.random.default_rng(8)
    problem = Problem.from_cost(rng.random((20, 20)), weights(rng, 20), None, normalize=True)
    monkeypatch.setattr(knob, 100)
    assert refined(problem, claim_from(rng, 20, 20)) is None


def test_whole_numbers_are_the_floats():
    values = np.array([5e-324, 1.5, -(2.0**1000), 0.0, 3e-310])
    unit = unit_of(values)
    assert [Fraction(x) * Fraction(2) ** unit for x in as_whole(values, unit)] == [
        Fraction(x) for x in values
    ]
    assert rounded(as_whole(values, unit), unit).tolist() == values.tolist()
    assert unit_of(np.array([12.0, np.inf, 0.0, 40.0])) == 2
    assert unit_of(np.zeros(3)) == 0
    assert rounded([1, 2**60 + 1], -3, 3).tolist() == [1 / 24, (2**60 + 1) / 24]


def test_a_negative_flow_becomes_an_artificial_arc():
    tree = Tree(4, [0, 1, 0], [2, 2, 3], [5, 6, 7])
    tree.span()
    tree.fill([1, 3, -2, -2])  # arc (0, 2) would carry -1
    assert tree.flows == [1, 3, 2]
    assert tree.is_artificial == [1, 0, 0]
    assert (tree.tails[0], tree.heads[0]) == (2, 0)
    assert tree.pivot(1, 3, 1)
    assert tree.is_artificial == [0, 0, 0]
    assert sorted(tree.flows) == [1, 1, 2]
