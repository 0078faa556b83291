"""Certificates that claimed more than they proved, and plans they fell over."""

from __future__ import annotations

import math
import warnings

import numpy as np
import oracles
import pytest
from checks import EPS, assert_brackets

from otdist import (
    Certificate,
    InputError,
    Problem,
    Status,
    certify,
    pairwise,
    solve,
    wasserstein_distance,
)

INF = math.inf


def test_an_infinite_upper_bound_proves_nothing():
    """gap = inf <= tol * |upper| = inf was taken for a proof."""
    certificate = Certificate(
        lower=1.0, upper=INF, value=INF, is_coupling=True, marginal_error=0.0, dual_violation=0.0
    )
    assert not certificate.proves(1e-9)
    problem = Problem.from_cost([[0.0, INF], [1.0, 2.0]])
    on_forbidden = certify(problem, np.full((2, 2), 0.25), [0.0, 0.0])
    assert not on_forbidden.proves(1e-9)


def test_bounds_that_cross_prove_nothing():
    """A gap below zero is below any tolerance."""
    certificate = Certificate(
        lower=2.0, upper=1.0, value=1.0, is_coupling=True, marginal_error=0.0, dual_violation=0.0
    )
    assert not certificate.proves(1e-9)


def test_an_infinite_lower_bound_proves_nothing():
    """lower = inf came with an infinite allowance, and every gap is below that."""
    problem = Problem.from_cost([[0.0, INF], [1.0, INF]], [0.5, 0.5], [1.0, 1e-14])
    certificate = certify(problem, [[0.5, 0.0], [0.5, 0.0]], [0.0, 0.0])
    assert not certificate.proves(1e-9)


@pytest.mark.parametrize("form", ["dense", "rows"])
def test_mass_on_a_forbidden_arc_costs_infinity_and_not_nan(form):
    """The compensated sum of the compiled pass made inf - inf of it."""
    problem = Problem.from_cost([[0.0, INF], [1.0, 2.0]])
    plan = np.full((2, 2), 0.25)
    if form == "rows":

        class Lazy:
            shape = (2, 2)

            def rows(self, start, stop):
                return plan[start:stop]

        certificate = certify(problem, Lazy(), [0.0, 0.0])
    else:
        certificate = certify(problem, plan, [0.0, 0.0])
    assert certificate.upper == INF
    assert certificate.gap == INF


def test_mass_on_a_forbidden_arc_to_an_atom_without_mass():
    """The repair scales that mass to 0, and 0 * inf is NaN."""
    problem = Problem.from_cost([[0.0, INF], [1.0, 1.0]], [0.5, 0.5], [1.0, 0.0])
    certificate = certify(problem, [[0.25, 0.25], [0.5, 0.0]], [0.0, 0.0])
    # Column 0 keeps 0.75, column 1 nothing; the rest goes from row 0 to column 0.
    assert certificate.value == 0.5
    assert 0.5 <= certificate.upper <= 0.5 + 1e-14
    assert certificate.marginal_error == pytest.approx(0.5, rel=1e-14)


def test_an_atom_without_mass_and_without_arcs():
    """0 * inf in the dual terms warned, on a problem that is in order."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        problem = Problem.from_cost([[1.0, INF], [2.0, INF]], [0.5, 0.5], [1.0, 0.0])
        for method in ("network_simplex", "highs", "sinkhorn"):
            result = solve(problem, method=method)
            assert result.value == pytest.approx(1.5, rel=1e-14)
            assert result.success


def test_lower_is_not_above_the_truth_for_unlike_masses():
    """The shift that balances potentials rounded c - f, and nothing accounted for it."""
    problem = Problem.from_cost(
        [[1.734342536183759e-03, 5.341724721772008e02]],
        [1.0],
        [0.9999999911772836, 8.822716411283815e-09],
    )
    result = solve(problem)
    truth = oracles.exact(problem.geometry.cost, problem.a, problem.b)
    assert_brackets(result, truth)
    assert result.lower <= result.upper
    assert result.gap <= 1e-9 * result.upper


def test_brackets_for_potentials_much_larger_than_costs():
    """c - f loses eps * |f|, whatever masses f is weighted with."""
    rng = np.random.default_rng(60)
    for _ in range(200):
        n, m = rng.integers(1, 5, 2)
        a = 10.0 ** rng.uniform(-12, 0, n)
        b = 10.0 ** rng.uniform(-12, 0, m)
        problem = Problem.from_cost(rng.random((n, m)), a, b, normalize=True)
        truth = oracles.exact(problem.geometry.cost, problem.a, problem.b)
        f = 10.0 ** rng.uniform(0, 8, n)
        certificate = certify(problem, np.outer(problem.a, problem.b), f)
        assert_brackets(certificate, truth)


def test_short_distances_on_a_long_line():
    """Coordinates counted from the middle lost what is below eps of the length."""
    problem = Problem([0.0, 0.3, 1.0], [1e-17, 0.3, 1.0], [1, 1, 1], [1, 1, 1])
    for method in ("line", "network_simplex"):
        result = solve(problem, method=method)
        assert result.value == pytest.approx(1e-17, rel=1e-14)
        truth = oracles.exact_on_line([0.0, 0.3, 1.0], [1e-17, 0.3, 1.0], [1] * 3, [1] * 3, 1)
        assert_brackets(result, truth)
        assert result.gap <= 64 * EPS


def test_tiny_masses_are_not_called_proved_when_they_are_not():
    """Masses below 2**-61 of the total were rounded up: the value was 4e6 times too large, and
    yet less than what rounding may move. The number that comes back must not be `proved`.
    """
    cost, a, b = [[0.0, 1.0], [1.0, 5.0]], [1.0, 1e-25], [1.0, 1e-25]
    result = solve(Problem.from_cost(cost, a, b))
    truth = float(oracles.exact(cost, a, b))
    assert truth == pytest.approx(2e-25)
    is_right = result.value == pytest.approx(truth, rel=1e-9, abs=0)
    assert is_right or not result.success


def test_costs_times_masses_that_overflow_or_underflow():
    """1e200 * 1e200 warned and gave inf; 1e-200 * 1e-200 was a proved 0."""
    for size in (1e200, 1e-200):
        try:
            result = solve(Problem.from_cost([[size]], [size], [size]))
        except InputError:
            continue
        assert not result.success


def test_distances_whose_power_underflows():
    """The limit 1e-140 ** p underflowed itself, so p >= 3 was not protected."""
    for size in (1e-110, 1e-105):
        try:
            problem = Problem([[0.0, 0.0]], [[size, 0.0]], p=3)
        except InputError:
            continue
        assert solve(problem).distance == pytest.approx(size, rel=1e-12, abs=0)


def test_results_of_solvers_are_checked_like_any_other():
    """Arcs, which solvers make, must not pass unchecked."""
    from otdist.plans.plans import Arcs

    problem = Problem.from_cost([[1.0, 2.0], [2.0, 5.0]])
    arcs = Arcs(np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]), np.array([1, -0.5, -0.5, 1]))
    with pytest.raises(InputError, match="a plan holds masses"):
        certify(problem, arcs, np.zeros(2))


@pytest.mark.parametrize("kept", [0.0, 0.25, 1 - 2.0**-20])
def test_a_repaired_plan_pays_the_rounding_of_the_masses_it_adds(kept):
    """A small mass was the difference of two large ones, and lost digits that nothing stated."""
    cost = np.array([[0.0], [0.0], [0.0], [1.0]])
    for parts in ([32, 0, 32, 1], [29, 17, 18, 1], [1 << 20, 3, 5, 7]):
        a = np.array(parts) / sum(parts)
        problem = Problem.from_cost(cost, a, [1.0])
        certificate = certify(problem, kept * problem.a[:, None], np.zeros(4))
        assert_brackets(certificate, oracles.exact(cost, problem.a, problem.b))
        # One part in 10¹⁴ of the largest cost of all mass, and no more.
        assert certificate.upper - certificate.value < 1e-14


@pytest.mark.parametrize("place", [0.0, 1.0])
def test_equal_points_are_proved_to_cost_nothing_wherever_they_are(place):
    """What squares may lose to underflow was charged to all points, and 0 is below any charge."""
    x, image = np.full((2, 2), place), np.full((2, 2), place + 0.25)
    for problem in (
        Problem(x, x),
        Problem(x, x, p=2),
        Problem(x[:, 0], x[:, 0], p=2),
        Problem(x[:, 0], x[:, 0], p=0.5, concave=True),
        Problem.on_circle(x[:, 0], x[:, 0], p=2),
        Problem.on_grid(image, image, p=2),
        Problem.partial(x, x, price=1.0),
    ):
        result = solve(problem)
        assert (result.status, result.lower, result.upper) == (Status.OPTIMAL, 0.0, 0.0)
    for p in (1, 2):
        assert wasserstein_distance(x, x, p=p) == 0.0
        assert (wasserstein_distance(x, x, p=p, axis=-1) == 0.0).all()
        assert (pairwise([x, x], p=p) == 0.0).all()


def test_a_longest_arc_bounds_nothing_unless_the_plan_is_a_coupling():
    """A marginal that is off by 1e-10 of its weight was let pass, and may go anywhere."""
    from otdist.certificate.many import Claims, LineBounds, Measures

    x, half = np.array([[0.0, 1.0]]), np.array([[0.5, 0.5]])
    measures = Measures(x, x + 0.25, half, half, np.zeros((4, 1), np.int64), np.ones(1))
    ends = np.array([[0, 1, 0, 0]], np.int32)
    for part, upper in ((1.0, 0.25), (1 - 1e-10, 1.25)):
        mass = np.array([[0.5, 0.5 * part, 0.0, 0.0]])
        claims = Claims(ends, ends, mass, np.array([2]), np.zeros((1, 2)))
        proof = LineBounds(2, 2, INF, 1)
        proof.add(0, measures, claims, proof.scratch())
        assert upper <= proof.bounds().upper[0] <= upper * (1 + 4 * EPS)
        assert proof.bounds().is_coupling[0] == (part == 1)
