"""Derivatives of values against differences of values; products with lazy plans."""

from __future__ import annotations

import tracemalloc

import knobs
import numpy as np
import pytest
import strategies
from cases import differences, measures
from conftest import JIT_OFF
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import logsumexp

from otdist import InputError, Problem, solve
from otdist.problem.gradients import soft_column_minimum, soft_row_minimum

METRICS = ["euclidean", "cityblock", "chebyshev", "sqeuclidean"]
#: method, metric, p, d
CASES = [
    (method, metric, p, d)
    for method in ("network_simplex", "line", "highs", "sinkhorn")
    for metric in METRICS
    for p in ((1,) if metric == "sqeuclidean" else (1, 1.5, 2, 3))
    for d in (1, 2, 3)
    if (method != "line" or d == 1) and (method not in ("highs", "line") or p != 3)
]
if JIT_OFF:
    CASES = CASES[::5]


def value_of(method, x, y, a, b, **options):
    """Return the result, and the value that it has the derivatives of."""
    problem = Problem(x, y, a, b, **options)
    if method != "sinkhorn":
        result = solve(problem, method=method)
        return result, result.value
    result = solve(problem, method="sinkhorn", epsilon=0.5, tol=1e-12, max_iter=1000)
    assert result.success
    return result, result.regularized_value


@pytest.mark.parametrize("method, metric, p, d", CASES)
def test_derivatives_are_those_of_differences(method, metric, p, d):
    rng = np.random.default_rng([60, d])
    arguments = measures(61 + d, 5, 4, d)
    options = {"metric": metric, "p": p}

    def value(*arguments):
        return value_of(method, *arguments, **options)[1]

    result, _ = value_of(method, *arguments, **options)
    gradients = result.gradients()
    found = gradients.x, gradients.y, gradients.a, gradients.b
    # Differences are right to h**2 and to rounding over h; exact values have kinks,
    # and are linear in the masses up to there.
    h = 1e-4 if method == "sinkhorn" else 1e-6
    for which, each in enumerate(found):
        assert each.shape == arguments[which].shape
        steps = rng.normal(size=(3, *each.shape))
        if which >= 2:
            assert each.mean() == pytest.approx(0, abs=1e-13)
            steps *= arguments[which] > 0
            steps -= steps.sum(axis=1, keepdims=True) * arguments[which]
        expected = differences(value, arguments, which, steps, h)
        dots = [(each * step).sum() for step in steps]
        np.testing.assert_allclose(dots, expected, rtol=3e-5, atol=3e-7)


@pytest.mark.parametrize("method", ["network_simplex", "highs", "sinkhorn"])
def test_derivatives_in_the_costs_are_the_plan(method):
    x, y, a, b = measures(70)
    cost = np.linalg.norm(x[:, None] - y, axis=2)

    def value(cost):
        problem = Problem.from_cost(cost, a, b)
        options = {"epsilon": 0.5, "tol": 1e-12} if method == "sinkhorn" else {}
        result = solve(problem, method=method, **options)
        return result, (result.regularized_value if options else result.value)

    gradients = value(cost)[0].gradients()
    assert gradients.x is gradients.y is None
    plan = gradients.cost.toarray()
    assert plan.shape == cost.shape
    steps = np.random.default_rng(71).normal(size=(4, *cost.shape))
    expected = differences(lambda cost: value(cost)[1], [cost], 0, steps, 1e-5)
    dots = [(plan * step).sum() for step in steps]
    np.testing.assert_allclose(dots, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("method", ["network_simplex", "line", "sinkhorn"])
@pytest.mark.parametrize("empty", ["a", "b", "both"])
def test_derivatives_where_there_is_no_mass_are_those_of_adding_some(method, empty):
    """Also where the potentials of two atoms without mass would limit each other."""
    x, y, a, b = measures(72, 5, 6, 1 if method == "line" else 2)
    a[1] = 0.0 if empty != "b" else 0.2
    b[3] = 0.0 if empty != "a" else b[3]
    y[3] = x[1]
    a, b = 3 * a / a.sum(), 3 * b / b.sum()
    result, value = value_of(method, x, y, a, b)
    gradients = result.gradients()
    h = 3e-7
    for which, masses, found in ((0, a, gradients.a), (1, b, gradients.b)):
        for i in np.flatnonzero(masses == 0):
            moved = [a, b]
            step = np.eye(len(masses))[i] - masses / 3
            moved[which] = masses + h * step
            expected = (value_of(method, x, y, *moved)[1] - value) / h
            assert found @ step == pytest.approx(expected, rel=1e-4, abs=1e-5)
    assert not gradients.x[a == 0].any()
    assert not gradients.y[b == 0].any()


def test_atoms_that_no_arc_reaches_keep_a_finite_derivative():
    cost = np.array([[0.0, 1, np.inf], [1, 0, np.inf], [np.inf, np.inf, 5]])
    problem = Problem.from_cost(cost, [0.5, 0.5, 0], [0.5, 0.5, 0])
    for method in ("network_simplex", "sinkhorn"):
        gradients = solve(problem, method=method).gradients()
        assert np.isfinite(gradients.a).all()
        assert np.isfinite(gradients.b).all()


@pytest.mark.parametrize("metric, p", [("cityblock", 1), ("euclidean", 2)])
def test_derivatives_on_grids_are_those_of_their_points(metric, p, monkeypatch):
    monkeypatch.setattr(knobs.BLOCK_ENTRIES, 60)
    rng = np.random.default_rng(75)
    first, second = rng.random((3, 4)), rng.random((3, 4))
    first[1, 2] = second[0, 1] = 0.0
    first, second = first / first.sum(), second / second.sum()
    options = {"metric": metric, "p": p}
    z = np.indices((3, 4)).reshape(2, -1).T.astype(float)
    points = Problem(z, z, first.ravel(), second.ravel(), **options)
    found, expected = (
        solve(problem, method="sinkhorn", epsilon=0.5, tol=1e-12).gradients()
        for problem in (Problem.on_grid(first, second, **options), points)
    )
    for name in ("a", "b", "x", "y"):
        one, other = getattr(found, name), getattr(expected, name)
        np.testing.assert_allclose(one, other, atol=1e-9)


# ------------------------------------------------------------------- at kinks


def slopes_on_both_sides(value, arguments, which, step, h=1e-6):
    """Return the slopes of a piecewise smooth function to the right and to the left."""
    ends = []
    for size in (h, 0.0, -h):
        moved = list(arguments)
        moved[which] = arguments[which] + size * step
        ends.append(value(*moved))
    return sorted([(ends[0] - ends[1]) / h, (ends[1] - ends[2]) / h])


KINKS = {
    # The plan 0 to 1, 10 to 11 falls into two parts.
    "weights": ([[0.0], [10.0]], [[1.0], [11.0]], 2, [1.0, -1.0]),
    # Both couplings of the corners of a square are optimal.
    "plans": ([[0.0, 0.0], [1.0, 1.0]], [[1.0, 0.0], [0.0, 1.0]], 0, [[1.0, 0.0], [0.0, 0.0]]),
    "points that coincide": ([[1.0, 2.0]], [[1.0, 2.0]], 0, [[1.0, 0.0]]),
}


@pytest.mark.parametrize("method", ["network_simplex", "highs"])
@pytest.mark.parametrize("case", KINKS)
def test_at_a_kink_the_derivative_is_between_both_slopes(case, method):
    x, y, which, step = (np.array(part) for part in KINKS[case])
    weights = np.full(len(x), 1 / len(x))
    arguments = [x, y, weights, weights]

    def value(*arguments):
        return solve(Problem(*arguments), method=method).value

    below, above = slopes_on_both_sides(value, arguments, int(which), step)
    assert above - below > 0.4
    gradients = solve(Problem(*arguments), method=method).gradients()
    slope = ((gradients.x, gradients.y, gradients.a, gradients.b)[int(which)] * step).sum()
    assert below - 1e-4 <= slope <= above + 1e-4
    if case == "points that coincide":
        assert not gradients.x.any()


# -------------------------------------------------------------------- sums over blocks


@given(st.data())
def test_sums_of_slopes_are_those_of_all_arcs(data):
    n, m, d = data.draw(strategies.SIZES), data.draw(strategies.SIZES), 3
    d = data.draw(st.integers(1, d))
    x, y = data.draw(strategies.points(n, d)), data.draw(strategies.points(m, d))
    # Some points all but coincide, and all may be far from the origin.
    y[0] = x[0] + data.draw(st.sampled_from([0.0, 1e-9, 1e-3]))
    shift = data.draw(st.sampled_from([0.0, 2.0**30]))
    metric = data.draw(st.sampled_from(METRICS))
    p = 1 if metric == "sqeuclidean" else data.draw(strategies.ORDERS)
    masses = np.full(n, 1 / n), np.full(m, 1 / m)
    problem = Problem(x + shift, y + shift, *masses, metric=metric, p=p)
    geometry = problem.geometry
    mass = np.array(data.draw(strategies.weights(n * m))).reshape(n, m)
    start, stop = sorted(data.draw(st.tuples(st.integers(0, n), st.integers(0, n))))
    if start == stop:
        start, stop = 0, n
    part = mass[start:stop]
    rows, columns = np.nonzero(part)
    found = geometry.slopes(start, stop, part)
    twin = geometry.arc_slopes(start, stop, rows, columns, part[rows, columns])
    size = p * geometry.largest
    size /= max(np.ptp(np.concatenate([x, y]), axis=0).max(), 1e-300)
    for one, other in zip(found, twin, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-9 * size)


def test_of_two_largest_coordinates_the_first_counts():
    geometry = Problem([[1.0, 2, 3]], [[0.0, 3, 4]], metric="chebyshev").geometry
    by_x, by_y = geometry.slopes(0, 1, np.ones((1, 1)))
    assert by_x.tolist() == [[1.0, 0, 0]]
    assert by_y.tolist() == [[-1.0, 0, 0]]


@pytest.mark.parametrize("p", [1, 1.5, 2])
def test_near_pairs_keep_their_digits(p):
    """Products of matrices alone would leave 1e-16 / 1e-9 of the slope at p = 1."""
    x = np.array([[1.0, 2], [-3, 5]])
    y = x + np.array([[3e-9, -4e-9], [4e-9, 3e-9]])
    geometry = Problem(x, y, p=p).geometry
    by_x, by_y = geometry.slopes(0, 2, np.eye(2))
    difference = x - y
    length = np.linalg.norm(difference, axis=1)[:, None]
    expected = p * length ** (p - 2) * difference
    tolerance = 1e-15 if p == 2 else 1e-30
    np.testing.assert_allclose(by_x, expected, rtol=1e-14, atol=tolerance)
    np.testing.assert_allclose(by_y, -expected, rtol=1e-14, atol=tolerance)


@given(st.data())
def test_soft_minima_are_logarithms_of_sums(data):
    n, m, d = data.draw(strategies.SIZES), data.draw(strategies.SIZES), 2
    x, y = data.draw(strategies.points(n, d)), data.draw(strategies.points(m, d))
    geometry = Problem(x, y).geometry
    cost = geometry.dense()
    rng = np.random.default_rng(73)
    f, g = rng.normal(size=n), rng.normal(size=m)
    for epsilon in (1e-3, 0.1, 10.0):
        rows = -epsilon * logsumexp((g - cost) / epsilon, axis=1)
        columns = -epsilon * logsumexp((f[:, None] - cost) / epsilon, axis=0)
        found = soft_row_minimum(geometry, g, epsilon)
        np.testing.assert_allclose(found, rows, rtol=1e-13, atol=1e-13)
        found = soft_column_minimum(geometry, f, epsilon)
        np.testing.assert_allclose(found, columns, rtol=1e-13, atol=1e-13)


def test_derivatives_take_blocks_and_not_the_matrix(monkeypatch):
    n = 120 if JIT_OFF else 2000
    monkeypatch.setattr(knobs.BLOCK_ENTRIES, n * n // 32)
    rng = np.random.default_rng(74)
    x, y = rng.random((n, 2)), rng.random((n, 2))
    for metric in METRICS:
        problem = Problem(x, y, metric=metric)
        result = solve(problem, method="sinkhorn", epsilon=0.3, tol=1e-3)
        tracemalloc.start()
        gradients = result.gradients()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 8 * n * n / 2
        # Moving everything changes nothing.
        total = gradients.x.sum(axis=0) + gradients.y.sum(axis=0)
        np.testing.assert_allclose(total, 0, atol=1e-12)


# --------------------------------------------------------------------- plans and arrays


def plans():
    """Plans of all kinds, and the entries of each."""
    x, y, a, b = measures(80)
    b[2] = 0.0
    b /= b.sum()
    grid = np.array([[1.0, 0, 2], [3, 1, 0]]), np.array([[0.0, 2, 1], [2, 1, 1]])
    for problem in (
        Problem(x, y, a, b),
        Problem(x, y),
        Problem.on_grid(*grid, metric="cityblock"),
    ):
        for method in ("network_simplex", "sinkhorn"):
            plan = solve(problem, method=method).plan
            yield method, plan, np.asarray(plan.toarray())


@pytest.mark.parametrize("entries", [1, 5, 1 << 17])
def test_products_with_plans_are_products_with_their_entries(entries, monkeypatch):
    monkeypatch.setattr(knobs.BLOCK_ENTRIES, entries)
    rng = np.random.default_rng(81)
    for method, plan, matrix in plans():
        n, m = plan.shape
        assert matrix.shape == (n, m)
        for values in (rng.normal(size=m), rng.normal(size=(m, 3))):
            np.testing.assert_allclose(plan @ values, matrix @ values, atol=1e-14)
            np.testing.assert_allclose(values.T @ plan.T, values.T @ matrix.T, atol=1e-14)
        for values in (rng.normal(size=n), rng.normal(size=(n, 2))):
            np.testing.assert_allclose(plan.T @ values, matrix.T @ values, atol=1e-14)
            np.testing.assert_allclose(values.T @ plan, values.T @ matrix, atol=1e-14)
        assert plan.T.shape == (m, n)
        if method == "sinkhorn":
            assert plan.T.T is plan
            assert (plan.T.toarray() == matrix.T).all()
            rows, columns = plan.marginals()
            np.testing.assert_allclose(rows, matrix.sum(1), rtol=1e-14)
            np.testing.assert_allclose(columns, matrix.sum(0), rtol=1e-14)


def test_barycentric_projections_stay_among_the_targets():
    x, y, _, b = measures(82)
    problem = Problem(x, y, np.full(5, 0.2), b, p=2)
    plan = solve(problem, method="sinkhorn", epsilon=0.1).plan
    image = (plan @ y) / problem.a[:, None]
    assert (image >= y.min(axis=0) - 1e-12).all()
    assert (image <= y.max(axis=0) + 1e-12).all()
    np.testing.assert_allclose(problem.a @ image, b @ y, atol=1e-14)


def test_products_of_the_wrong_length_are_refused():
    for method, plan, _ in plans():
        if method != "sinkhorn":
            continue
        n, m = plan.shape
        for product in (
            lambda plan=plan, m=m: plan @ np.ones(m + 1),
            lambda plan=plan, n=n: plan.T @ np.ones(n + 1),
            lambda plan=plan, n=n: np.ones(n + 1) @ plan,
            lambda plan=plan, m=m: plan @ np.ones((m, 1, 1)),
            lambda plan=plan: plan @ 1.0,
        ):
            with pytest.raises(InputError, match="is multiplied by an array"):
                product()
