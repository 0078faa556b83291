"""W_inf: closed forms, brute force, rational flows, and proofs that cannot be fooled."""

from __future__ import annotations

import math

import knobs
import numpy as np
import oracles
import pytest
import strategies
from checks import assert_coupling, assert_narrow, assert_proved, cost_of, plan_of
from conftest import JIT_OFF
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from otdist import (
    InfeasibleError,
    InputError,
    Problem,
    certify,
    compare,
    pairwise,
    solve,
    wasserstein_distance,
)
from otdist.solvers.bottleneck import solver as bottleneck

INF = math.inf


def proved(problem, method="auto"):
    """Solve, prove the answer here from the problem alone, and return the value."""
    result = solve(problem, method=method)
    assert_proved(result)
    if problem.is_line and method != "bottleneck":
        return result.value
    # Strassen: the mass of the set has no room in all that is nearer than the value.
    f, g = result.potentials
    assert set(f) <= {0.0, 1.0}
    cost, crowded = cost_of(problem), f > 0
    # A distance is rounded one way or another.
    below = result.value - 4e-16 * abs(result.value)
    near = (cost[crowded] < below).any(axis=0)
    assert (g[near & (problem.b > 0)] == -1).all()
    room = math.fsum(problem.b[near])
    assert math.fsum(problem.a[crowded]) > room
    return result.value


def close(value):
    return pytest.approx(value, rel=1e-15, abs=0)


# -------------------------------------------------------------------- closed forms


@pytest.mark.parametrize(
    "metric, length", [("euclidean", 5.0), ("cityblock", 7.0), ("chebyshev", 4.0)]
)
def test_diracs(metric, length):
    assert proved(Problem([[0, 0]], [[3, 4]], metric=metric, p=INF)) == length


def test_a_metric_of_ones_own():
    x, y = [[0.0, 1.0], [1.0, 5.0]], [[3.0, 1.0], [8.0, 5.0]]
    problem = Problem(x, y, metric=lambda u, v: abs(u[0] - v[0]), p=INF)
    assert proved(problem) == 7.0
    assert solve(problem).method == "bottleneck"


@pytest.mark.parametrize("d", [1, 2])
def test_three_to_two(d):
    x, y = np.zeros((3, d)), np.zeros((2, d))
    x[:, -1], y[:, -1] = [0, 1, 2], [0, 2]
    assert proved(Problem(x, y, p=INF), method="bottleneck") == 1.0


def test_a_grid_stretched_to_twice_its_size():
    """U[0, 1] to U[0, 2]: the quantile at u moves by u."""
    u = (np.arange(20) + 0.5) / 20
    x, y = np.column_stack([u, 0 * u]), np.column_stack([2 * u, 0 * u])
    assert proved(Problem(x, y, p=INF)) == close(u[-1])


@pytest.mark.parametrize("d", [2, 3, 30])
def test_a_translation_moves_by_its_length(d):
    rng = np.random.default_rng(d)
    x, shift = rng.standard_normal((20, d)), rng.standard_normal(d)
    a = rng.random(20)
    length = float(np.linalg.norm(shift))
    for weights in (None, a / a.sum()):
        value = proved(Problem(x, x + shift, weights, weights, p=INF))
        assert value == pytest.approx(length, rel=1e-14)


def test_images_on_a_grid():
    A, B = np.zeros((2, 6, 6))
    A[1, 1] = A[4, 4] = B[1, 3] = B[5, 4] = 1
    assert proved(Problem.on_grid(A, B, p=INF)) == 2.0
    assert proved(Problem.on_grid(A, A, p=INF)) == 0.0


def test_orders_grow_to_infinity():
    rng = np.random.default_rng(5)
    x, y = rng.random((2, 12, 2))
    values = [wasserstein_distance(x, y, p=p) for p in (1, 2, 8, 64, INF)]
    assert values == sorted(values)
    # Some atom moves by W_inf: mass 1/n, so W_p >= W_inf n**(-1/p).
    assert values[-2] >= values[-1] * 12 ** (-1 / 64)


# -------------------------------------------------------------------------- oracles


def test_all_matchings_of_five_points():
    rng = np.random.default_rng(0)
    for _ in range(10):
        x, y = rng.integers(0, 5, (2, 5, 2))
        cost = cdist(x, y)
        best = min(
            max(cost[i, j] for i, j in enumerate(order)) for order in oracles.permutations(range(5))
        )
        assert proved(Problem(x, y, p=INF)) == close(best)


@pytest.mark.parametrize("d", [1, 2, 8, 40])
def test_assignments_below_a_threshold(d):
    """At the value a perfect matching exists; below it, none."""
    n = 25 if JIT_OFF else 150
    rng = np.random.default_rng(d)
    x, y = rng.random((n, d)), rng.random((n, d))
    value = proved(Problem(x, y, p=INF), method="bottleneck")
    cost = cdist(x, y)
    for radius, n_missing in ((value * (1 + 1e-12), 0), (value * (1 - 1e-12), 1)):
        beyond = (cost > radius).astype(float)
        rows, columns = linear_sum_assignment(beyond)
        assert (beyond[rows, columns].sum() >= 1) == n_missing


@given(strategies.dense_problems())
def test_matrices_beside_rational_flows(problem):
    problem = Problem.from_cost(problem.geometry.cost, problem.a, problem.b, p=INF)
    assert proved(problem) == oracles.bottleneck(cost_of(problem), problem.a, problem.b)


@given(strategies.forbidding_problems())
def test_forbidden_arcs_beside_rational_flows(problem):
    problem = Problem.from_cost(problem.geometry.cost, problem.a, problem.b, p=INF)
    assert proved(problem) == oracles.bottleneck(cost_of(problem), problem.a, problem.b)


@given(strategies.line_problems(orders=st.just(INF)))
def test_the_line_by_both_methods(problem):
    value = solve(problem, method="bottleneck").value
    assert value == solve(problem, method="line").value
    assert value == oracles.on_line(
        problem.geometry.x, problem.geometry.y, problem.a, problem.b, INF
    )


# -------------------------------------------------------------------- metamorphic


@st.composite
def plane_problems(draw):
    (x, a), (y, b) = draw(strategies.measures()), draw(strategies.measures())
    return x, y, a, b


@given(plane_problems(), st.integers(-60, 60), st.randoms(use_true_random=False))
def test_scales_order_and_splitting(clouds, k, random):
    x, y, a, b = clouds
    value = proved(Problem(x, y, a, b, p=INF))
    assert proved(Problem(np.ldexp(x, k), np.ldexp(y, k), a, b, p=INF)) == math.ldexp(value, k)
    assert proved(Problem(y, x, b, a, p=INF)) == close(value)
    order = random.sample(range(len(x)), len(x))
    assert proved(Problem(x[order], y, a[order], b, p=INF)) == close(value)
    # An atom split in halves, and an atom without mass anywhere.
    split, halves = np.vstack([x, x[:1], [[99.0, 99.0]]]), np.append(a, [0.0, 0.0])
    halves[0] = halves[-2] = a[0] / 2
    assert proved(Problem(split, y, halves, b, p=INF)) == close(value)


@given(strategies.measures(), strategies.measures(), strategies.measures())
def test_the_triangle_inequality(first, second, third):
    def distance(one, other):
        (x, a), (y, b) = one, other
        return wasserstein_distance(x, y, a, b, p=INF)

    assert distance(first, first) == 0
    through = distance(first, second) + distance(second, third)
    assert distance(first, third) <= through * (1 + 1e-15)


def test_an_offset_of_all_points():
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 9, (2, 10, 2)).astype(float)
    value = proved(Problem(x, y, p=INF))
    assert proved(Problem(x + 2.0**30, y + 2.0**30, p=INF)) == value


def test_mass_below_rounding_does_not_count():
    x, y = [[0.0, 0], [1, 0], [100, 0]], [[0.0, 0], [2, 0]]
    a, b = [0.5, 0.5 - 1e-14, 1e-14], [0.5, 0.5]
    result = solve(Problem(x, y, a, b, p=INF))
    assert result.success
    assert result.value == 1.0
    a = [0.5, 0.5 - 1e-11, 1e-11]
    assert proved(Problem(x, y, a, b, p=INF)) == 98.0


# ------------------------------------------------------------- limits and errors


@pytest.mark.parametrize("limits", [{"max_iter": 0}, {"max_iter": 3}, {"time_limit": 0}])
def test_early_stops_leave_a_bracket(limits):
    rng = np.random.default_rng(1)
    x, y = rng.random((2, 30, 2))
    problem = Problem(x, y, p=INF)
    truth = proved(problem)
    stopped = solve(problem, **limits)
    assert stopped.status == next(iter(limits))
    assert_coupling(plan_of(stopped), problem)
    assert stopped.lower <= truth <= stopped.upper


def test_a_loose_tolerance_stops_early():
    rng = np.random.default_rng(2)
    x, y = rng.random((2, 60, 2))
    exact, loose = (solve(Problem(x, y, p=INF), tol=tol) for tol in (None, 0.2))
    assert loose.success
    assert loose.n_iter < exact.n_iter
    assert loose.lower <= exact.value <= loose.upper <= loose.lower / 0.8


def test_places_for_arcs_are_made_when_they_are_wanted(monkeypatch):
    monkeypatch.setattr(knobs.BOTTLENECK_PLACES, 0)
    rng = np.random.default_rng(3)
    x, y = rng.random((20, 2)), rng.random((15, 2))
    a, b = rng.random(20), rng.random(15)
    problem = Problem(x, y, a, b, p=INF, normalize=True)
    assert proved(problem) == oracles.bottleneck(cost_of(problem), problem.a, problem.b)


def test_lists_that_do_not_fit_are_refused(monkeypatch):
    monkeypatch.setattr(bottleneck, "available_memory", lambda: 100)
    with pytest.raises(InputError, match=r"25 pairs are nearer .* use fewer atoms"):
        wasserstein_distance(np.eye(5), np.zeros((5, 5)), p=INF)


def test_progress_is_told(capsys):
    pytest.importorskip("tqdm")
    rng = np.random.default_rng(1)
    assert solve(Problem(*rng.random((2, 20, 2)), p=INF), progress=True).success
    assert "bottleneck" in capsys.readouterr().err


def test_infeasible_problems_name_the_row():
    cost = [[0, 1, 2], [INF, INF, 1], [INF, INF, 3]]
    with pytest.raises(InfeasibleError, match=r"a\[1\] = 0.333333 and 1 more rows"):
        solve(Problem.from_cost(cost, p=INF))


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: Problem.from_cost([[1.0]], p=2), r"p must be 1 or inf for a cost"),
        (lambda: Problem.from_cost([[1.0]], p=math.nan), r"p must be 1 or inf"),
        (
            lambda: solve(Problem([[0, 0]], [[1, 1]]), method="bottleneck"),
            r"method='bottleneck' needs p=inf; for Problem.*p=1.* use",
        ),
        (
            lambda: solve(Problem([[0, 0]], [[1, 1]], p=INF), method="sinkhorn"),
            r"method='sinkhorn' needs a finite p .*; for .* use method='bottleneck'",
        ),
        (
            lambda: Problem([[0, 0]], [[1, 1]], metric="sqeuclidean", p=INF),
            r"metric='sqeuclidean' with p=inf",
        ),
        (
            lambda: certify(Problem([[0, 0]], [[1, 1]], p=INF), [[1.0]], [1.0, 2.0]),
            r"f must have shape \(1,\)",
        ),
    ],
)
def test_bad_input(make, message):
    with pytest.raises(InputError, match=message):
        make()


# ------------------------------------------------------------------- certificates


@given(plane_problems(), st.data())
def test_whatever_is_claimed_the_bracket_holds(clouds, data):
    x, y, a, b = clouds
    problem = Problem(x, y, a, b, p=INF)
    truth = oracles.bottleneck(cost_of(problem), problem.a, problem.b)
    f = data.draw(strategies.potentials(len(x)))
    product = np.outer(problem.a, problem.b) / problem.mass
    lost = product * (np.arange(len(x)) % 2)[:, None]
    for plan in (product, lost):
        certificate = certify(problem, plan, f)
        rounding = 1e-15 * truth
        assert certificate.lower <= truth + rounding
        assert certificate.upper >= truth - rounding


def test_atoms_without_mass_do_not_spoil_a_set():
    x, y, a = [[0.0, 0], [5, 0]], [[3.0, 0], [5, 0]], [1, 0]
    problem = Problem(x, y, a, [0.5, 0.5], p=INF)
    plan = [[0.5, 0.5], [0, 0]]
    for f in ([1.0, 0.0], [1.0, 1.0]):
        assert_narrow(certify(problem, plan, f), 5.0)
    # A set without any mass proves nothing: all rows are taken.
    near = Problem([[0.0, 0], [5, 0]], [[0.0, 0]], [1, 0], [1], p=INF)
    assert certify(near, [[0], [0]], [0.0, 1.0]).lower == 0.0
    assert proved(problem) == 5.0


def test_masses_of_very_unlike_sizes_keep_their_digits():
    rng = np.random.default_rng(6)
    x = rng.standard_normal((8, 2))
    a = 10.0 ** -np.arange(8.0)
    a[-1] = 1e-14
    problem = Problem(x, x + np.array([1.0, 0.0]), a, a, p=INF, normalize=True)
    result = solve(problem)
    assert result.success
    sums = plan_of(result).sum(axis=1)
    np.testing.assert_allclose(sums, problem.a, rtol=1e-12)


def test_a_plan_that_moves_too_far_is_seen():
    problem = Problem([[0.0, 0], [1, 0]], [[0.0, 1], [1, 1]], p=INF)
    right, wrong = np.eye(2) / 2, np.eye(2)[::-1] / 2
    assert_narrow(certify(problem, right, [1.0, 0.0]), 1.0)
    assert certify(problem, wrong, [1.0, 0.0]).upper == close(math.sqrt(2))
    # Half of the mass is nowhere: it may have to go anywhere.
    lost = certify(problem, [[0.5, 0], [0, 0]], [1.0, 0.0])
    largest = math.sqrt(2)
    assert largest <= lost.upper <= largest * (1 + 1e-14)
    assert lost.marginal_error == 1.0
    forbidden = Problem.from_cost([[0, INF], [1, 2]], p=INF)
    assert certify(forbidden, np.zeros((2, 2)), [0.0, 0.0]).upper == INF


def test_arcs_of_next_to_nothing_count_together():
    """A thousand arcs of rounding each are together more than rounding."""
    n = 1000
    cost = np.append(0.0, np.full(n, 7.0))
    for each, longest in ((1e-16, 0.0), (1e-14, 7.0)):
        mass = np.append(1.0, np.full(n, each))
        problem = Problem.from_cost(cost[None], [mass.sum()], mass, p=INF)
        assert solve(problem).value == longest


def test_the_friendly_layer_takes_it():
    x, y = [[0.0, 0], [1, 1]], [[3.0, 4], [4, 5]]
    assert wasserstein_distance(x, y, p=INF) == 5.0
    assert compare(x, y, p=INF)["W_inf"].value == 5.0
    assert pairwise([x, y], p=INF)[0, 1] == 5.0
