"""Problems on a grid, against the same problems on the points that its pixels are."""

from __future__ import annotations

import dataclasses
import math

import knobs
import numpy as np
import pytest
from checks import assert_brackets, assert_coupling, assert_proved
from conftest import JIT_OFF
from hypothesis import given
from hypothesis import strategies as st

from otdist import InputError, Problem, Status, certify, solve
from otdist.geometry.grid_separable import Grid
from otdist.geometry.line import Line
from otdist.geometry.points import Points

COSTS = [("cityblock", 1), ("euclidean", 2), ("sqeuclidean", 1)]
SPACING = (0.5, 2.0, 3.0)
SIDES = [(5, 4), (1, 6), (2, 3, 4), (3, 1, 1, 2)]
if not JIT_OFF:
    SIDES += [(12, 9), (4, 5, 6)]


def images(sides, *, zeros=False, seed=0):
    """Two images of one mass; with zeros, about half of their pixels are empty."""
    rng = np.random.default_rng([seed, *sides])
    A, B = rng.random((2, *sides)) + 0.1
    if zeros:
        A[rng.random(sides) < 0.5] = B[rng.random(sides) < 0.5] = 0.0
        A.flat[0] = B.flat[-1] = 1.0
    return A / math.fsum(A.ravel()), B / math.fsum(B.ravel())


def blobs(side):
    """Two smooth images, and one of them moved."""
    x, y = np.meshgrid(*[np.linspace(-1, 1, side)] * 2, indexing="ij")
    A = np.exp(-20 * ((x + 0.3) ** 2 + (y + 0.2) ** 2))
    B = np.exp(-15 * ((x - 0.3) ** 2 + y**2)) + 0.5 * np.exp(-40 * (x**2 + y**2))
    return A / A.sum(), B / B.sum()


def on_grid(sides, cost=("euclidean", 2), *, zeros=False, seed=0):
    A, B = images(sides, zeros=zeros, seed=seed)
    metric, p = cost
    spacing = [SPACING[k % 3] for k in range(len(sides))]
    return Problem.on_grid(A, B, spacing=spacing, metric=metric, p=p)


def as_points(problem):
    """Return the same problem on points, made here from scratch."""
    indices = np.indices(problem.geometry.sides).reshape(len(problem.geometry.axes), -1)
    steps = [SPACING[k % 3] for k in range(len(indices))]
    x = (indices * np.array(steps)[:, None]).T
    options = {"metric": problem.metric, "p": problem.p}
    return Problem(x, x, problem.a, problem.b, **options)


def mean_cost(problem):
    return float(problem.a @ problem.geometry.dense() @ problem.b)


# ------------------------------------------------------------------------ the geometry


@pytest.mark.parametrize("cost", COSTS, ids=str)
@pytest.mark.parametrize("sides", SIDES, ids=str)
def test_the_geometry_is_that_of_the_points(sides, cost):
    problem = on_grid(sides, cost)
    grid, points = problem.geometry, as_points(problem).geometry
    assert isinstance(grid, Grid)
    assert isinstance(points, Points)
    n = problem.a.size
    assert grid.shape == problem.shape == (n, n)
    assert grid.sides == sides
    assert (grid.dense() == points.dense()).all()
    assert (grid.rows(1, n - 1) == points.rows(1, n - 1)).all()
    assert grid.largest == points.largest == grid.dense().max()
    rng = np.random.default_rng(0)
    rows, columns = rng.integers(0, n, (2, 20))
    assert (grid.pairs(rows, columns) == points.pairs(rows, columns)).all()
    slope = points.derivative(rows, columns)
    assert (grid.derivative(rows, columns) == slope).all()
    part = grid.restrict(rows, columns)
    assert (part.dense() == points.restrict(rows, columns).dense()).all()
    for f in (rng.normal(size=n), np.where(rng.random(n) < 0.4, -np.inf, 1.0)):
        expected = points.column_minimum(f)
        finite = np.isfinite(expected)
        assert (np.isfinite(grid.column_minimum(f)) == finite).all()
        for found in (grid.column_minimum(f), grid.row_minimum(f)):
            assert found[finite] == pytest.approx(expected[finite], rel=1e-14)


def test_the_problem_knows_its_atoms():
    A, B = images((3, 4), zeros=True)
    problem = Problem.on_grid(A, B, p=2)
    assert (problem.a == A.ravel()).all()
    assert (problem.b == B.ravel()).all()
    assert problem.mass == pytest.approx(1)
    assert not problem.is_metric
    assert not problem.is_symmetric
    assert not problem.is_line
    assert Problem.on_grid(A, A, metric="cityblock").is_symmetric
    assert Problem.on_grid(A, A, metric="cityblock").is_metric
    assert repr(problem) == "Problem(12 by 12, euclidean, p=2, mass 1)"
    part, rows, columns = problem.support()
    assert isinstance(part.geometry, Points)
    assert (rows == np.flatnonzero(A)).all()
    assert (columns == np.flatnonzero(B)).all()
    # Inputs are copied, in C order.
    turned = Problem.on_grid(A.T, B.T, p=2)
    assert (turned.a == A.T.ravel()).all()
    A[0, 0] = 7.0
    assert problem.a[0] != 7.0
    assert not problem.a.flags.writeable


@pytest.mark.parametrize("metric, p", [("euclidean", 1), ("chebyshev", 1), ("cityblock", 2)])
def test_other_costs_are_those_of_points(metric, p):
    A, B = images((3, 4), zeros=True)
    problem = Problem.on_grid(A, B, spacing=2, metric=metric, p=p)
    assert isinstance(problem.geometry, Points)
    x = 2.0 * np.argwhere(np.ones((3, 4)))
    expected = solve(Problem(x, x, A.ravel(), B.ravel(), metric=metric, p=p)).value
    assert solve(problem).value == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("p", [1, 2, 3, math.inf])
def test_one_axis_is_the_line(p):
    A, B = images((9,))
    problem = Problem.on_grid(A, B, spacing=0.5, p=p)
    assert isinstance(problem.geometry, Line)
    result = solve(problem)
    assert result.method == "line"
    x = 0.5 * np.arange(9)
    assert result.value == solve(Problem(x, x, A, B, p=p)).value


# --------------------------------------------------------------------------- validation


@pytest.mark.parametrize(
    "A, B, options, message",
    [
        (3.0, 3.0, {}, r"A must be an array of pixels with at least one axis"),
        (np.ones((0, 2)), np.ones((0, 2)), {}, r"at least one axis and one pixel"),
        (
            np.ones((2, 3)),
            np.ones((3, 2)),
            {},
            r"B must have shape \(2, 3\), one weight",
        ),
        ([[1, -1]], [[1, 1]], {}, r"A\[0, 1\] is -1.0; weights must be >= 0"),
        ([[1, 1]], [[1, math.nan]], {}, r"B\[0, 1\] is nan"),
        ([[0, 0]], [[1, 1]], {}, r"A is zero everywhere"),
        ([[1, 1]], [[1, 2]], {}, r"A sums to 2 and B to 3; pass normalize=True"),
        (
            [[1, 1]],
            [[1, 1]],
            {"spacing": 0},
            r"spacing along axis 0 is 0.0; it must be",
        ),
        ([[1, 1]], [[1, 1]], {"spacing": [1, -2]}, r"spacing along axis 1 is -2.0"),
        (
            [[1, 1]],
            [[1, 1]],
            {"spacing": [1, math.nan]},
            r"spacing along axis 1 is nan",
        ),
        ([[1, 1]], [[1, 1]], {"spacing": [1, 2, 3]}, r"each of the 2 axes of A"),
        ([[1, 1]], [[1, 1]], {"spacing": 1e200, "p": 2}, r"outside what float64"),
        ([[1, 1]], [[1, 1]], {"spacing": 1e308, "p": 2}, r"outside what float64"),
        ([[1, 1]], [[1, 1]], {"spacing": 1e-200, "p": 2}, r"outside what float64"),
        ([[1, 1]], [[1, 1]], {"metric": "l2"}, r"metric 'l2' is unknown"),
        ([[1, 1]], [[1, 1]], {"p": 0.5}, r"p must be >= 1"),
        ([["a"]], [["b"]], {}, r"A must hold real numbers"),
    ],
)
def test_bad_input_is_refused(A, B, options, message):
    with pytest.raises(InputError, match=message):
        Problem.on_grid(A, B, **options)


def test_axes_too_long_for_a_matrix_are_refused(monkeypatch):
    from otdist.runtime import blocks

    monkeypatch.setattr(blocks, "available_memory", lambda: 100.0)
    with pytest.raises(InputError, match=r"a matrix of 4 by 4 atoms"):
        solve(on_grid((3, 4)), method="sinkhorn")


def test_masses_may_be_normalised():
    A, B = images((3, 3))
    problem = Problem.on_grid(A, 5 * B, p=2, normalize=True)
    assert (problem.b == 5 * B.ravel() / math.fsum((5 * B).ravel())).all()
    assert problem.mass == pytest.approx(1)


# ------------------------------------------------------------------------ exact methods


@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize("cost", COSTS, ids=str)
@pytest.mark.parametrize("sides", SIDES, ids=str)
def test_exact_methods_agree_with_points(sides, cost, zeros):
    problem = on_grid(sides, cost, zeros=zeros)
    truth = solve(as_points(problem)).value
    result = solve(problem)
    assert_proved(result)
    assert result.method == ("flow" if cost == ("cityblock", 1) else "network_simplex")
    assert result.value == pytest.approx(truth, rel=1e-13)
    again = solve(problem, method="network_simplex", warm_start=result)
    assert again.value == pytest.approx(truth, rel=1e-13)
    if problem.a.size < 30:
        assert solve(problem, method="highs").value == pytest.approx(truth, rel=1e-9)


@pytest.mark.parametrize("method", ["auto", "sinkhorn"])
@pytest.mark.parametrize("cost", COSTS, ids=str)
def test_single_pixels(cost, method):
    """All mass moves by one vector, whatever epsilon is."""
    A, B = np.zeros((2, 6, 5, 4))
    A[1, 2, 0], B[4, 0, 3] = 3.0, 3.0
    metric, p = cost
    problem = Problem.on_grid(A, B, spacing=SPACING, metric=metric, p=p)
    vector = np.array([3, -2, 3]) * SPACING
    value = 3.0 * (np.abs(vector).sum() if metric == "cityblock" else vector @ vector)
    for epsilon in (None,) if method == "auto" else (None, 1e-6 * value, value):
        result = solve(problem, method=method, epsilon=epsilon)
        # Entries are as exact as their exponents, costs / epsilon.
        assert result.value == pytest.approx(value, rel=1e-9 if epsilon == 1e-6 * value else 1e-13)
        assert result.success
        if epsilon is None or epsilon == value:
            assert result.status is Status.OPTIMAL
        assert np.isfinite(np.concatenate(result.potentials)).all()
        assert_brackets(result, value)


# -------------------------------------------------------------------- entropic transport


@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize("cost", COSTS, ids=str)
@pytest.mark.parametrize("sides", SIDES, ids=str)
def test_sinkhorn_agrees_with_points(sides, cost, zeros):
    problem = on_grid(sides, cost, zeros=zeros)
    points = as_points(problem)
    epsilon = 0.1 * mean_cost(problem)
    result = solve(problem, method="sinkhorn", epsilon=epsilon, tol=1e-11)
    expected = solve(points, method="sinkhorn", epsilon=epsilon, tol=1e-11)
    assert result.success
    assert expected.success
    assert result.value == pytest.approx(expected.value, rel=1e-9)
    assert result.lower == pytest.approx(expected.lower, rel=1e-7)
    value = expected.regularized_value
    assert result.regularized_value == pytest.approx(value, rel=1e-12)
    # Potentials are unique up to a constant, where there is mass.
    for got, wanted, mass in zip(
        result.potentials, expected.potentials, (problem.a, problem.b), strict=True
    ):
        difference = (got - wanted)[mass > 0]
        assert np.ptp(difference) <= 1e-7 * problem.geometry.largest
    plan = result.plan
    whole = plan.toarray()
    assert np.abs(whole - expected.plan.toarray()).max() <= 1e-9
    assert_coupling(whole, problem)
    assert (whole[problem.a == 0] == 0).all()
    assert (whole[:, problem.b == 0] == 0).all()
    assert (plan.rows(1, 4) == whole[1:4]).all()
    rows, columns = plan.marginals()
    assert rows == pytest.approx(whole.sum(axis=1), rel=1e-12, abs=1e-300)
    assert columns == pytest.approx(whole.sum(axis=0), rel=1e-12, abs=1e-300)
    # The certificate of the plan by its entries, which takes another way.
    by_rows = certify(problem, whole, result.potentials[0])
    assert result.value == pytest.approx(by_rows.value, rel=1e-12)
    # Exponentials are known to a part that depends on the exponents.
    for certificate in (result, by_rows):
        assert certificate.value <= certificate.upper <= certificate.value * (1 + 1e-10)
    assert result.lower == pytest.approx(by_rows.lower, rel=1e-14)


def test_potentials_of_empty_pixels_are_c_transforms():
    problem = on_grid((5, 4), zeros=True)
    f, g = solve(problem, method="sinkhorn").potentials
    cost = problem.geometry.dense()
    empty_rows, empty_columns = problem.a == 0, problem.b == 0
    assert empty_rows.any()
    assert empty_columns.any()
    from_rows = (cost - f[:, None])[~empty_rows].min(axis=0)
    assert g[empty_columns] == pytest.approx(from_rows[empty_columns], rel=1e-13)
    from_columns = (cost - g).min(axis=1)
    assert f[empty_rows] == pytest.approx(from_columns[empty_rows], rel=1e-13)


PARTS = [1e-6, 1e-4, 1e-2, 1.0, 1e3]


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("cost", COSTS[:2], ids=str)
@pytest.mark.parametrize("zeros", [False, True])
def test_any_epsilon(cost, part, zeros):
    sides = (5, 4) if JIT_OFF else (24, 17)
    problem = on_grid(sides, cost, zeros=zeros)
    truth = solve(problem).value
    epsilon = part * mean_cost(problem)
    options = {"max_iter": 60 if JIT_OFF else 300, "epsilon": epsilon}
    result = solve(problem, method="sinkhorn", **options)
    assert_brackets(result, truth)
    assert result.value > 0
    f, g = result.potentials
    assert np.isfinite(np.concatenate([f, g])).all()
    whole = result.plan.toarray()
    # Entries are exponentials, right to the rounding of their exponents.
    rounding = max(1e-12, 1e-14 / part)
    assert_coupling(whole, problem, tol=rounding)
    # The bound pays the rounding of entries at the largest cost.
    assert 0 <= result.upper - result.value <= max(1e-8, 1000 * rounding) * result.value
    assert result.value == pytest.approx(
        float((whole * problem.geometry.dense()).sum()), rel=100 * rounding
    )
    if result.success:
        assert truth <= result.regularized_value * (1 + 1e-9)
    if part == 1e3:
        assert result.value == pytest.approx(mean_cost(problem), rel=1e-2)
        assert result.success


def test_default_epsilon_is_one_percent_of_the_mean_cost():
    problem = on_grid((5, 4), zeros=True)
    default = solve(problem, method="sinkhorn")
    epsilon = 0.01 * mean_cost(problem)
    stated = solve(problem, method="sinkhorn", epsilon=epsilon)
    assert default.regularized_value == pytest.approx(stated.regularized_value)
    assert default.value == pytest.approx(solve(problem).value, rel=0.05)


@pytest.mark.parametrize("cost", COSTS[:2], ids=str)
def test_an_image_moved_by_a_vector(cost):
    """W_2² = |v|² and, along the axes, W_1 = |v|_1: by Jensen nothing is cheaper."""
    side = 12 if JIT_OFF else 60
    A = np.zeros((side, side))
    A[1:5, 2:6] = np.random.default_rng(0).random((4, 4))
    A /= A.sum()
    B = np.roll(A, (4, 3), axis=(0, 1))
    metric, p = cost
    problem = Problem.on_grid(A, B, spacing=0.5, metric=metric, p=p)
    value = 3.5 if metric == "cityblock" else 0.25 * 25
    gaps = []
    for epsilon in (0.1 * value, 0.01 * value):
        result = solve(problem, method="sinkhorn", epsilon=epsilon)
        assert_brackets(result, value)
        gaps.append(result.value - result.lower)
        # The bound pays the rounding of entries at the largest cost.
        assert 0 <= result.upper - result.value <= 1e-9 * problem.geometry.largest
    # Both may be no more than the rounding of exponentials.
    assert gaps[1] <= max(gaps[0], 1e-10 * value)
    assert gaps[1] < 0.05 * value


def test_equal_images_cost_little():
    A, _ = images((6, 5))
    problem = Problem.on_grid(A, A, p=2)
    mean = mean_cost(problem)
    result = solve(problem, method="sinkhorn", epsilon=1e-3 * mean)
    assert result.success
    assert_brackets(result, 0.0)
    assert result.value < 1e-3 * mean
    f, g = result.potentials
    assert f == pytest.approx(g, abs=1e-6 * mean)


def test_mass_and_scale():
    """Twice the mass, twice the value; scaled by a power of two, to the last bit."""
    A, B = images((5, 6))
    options = {"method": "sinkhorn", "epsilon": 0.05, "tol": 1e-9}
    once = solve(Problem.on_grid(A, B, p=2), **options)
    twice = solve(Problem.on_grid(2 * A, 2 * B, p=2), **options)
    assert twice.value == pytest.approx(2 * once.value, rel=1e-8)
    assert twice.regularized_value == pytest.approx(2 * once.regularized_value, rel=1e-12)
    for power in (-40, 40):
        problem = Problem.on_grid(A, B, spacing=2.0**power, p=2)
        options["epsilon"] = 0.05 * 4.0**power
        scaled = solve(problem, **options)
        assert scaled.value == pytest.approx(4.0**power * once.value, rel=1e-13)
        assert scaled.lower == pytest.approx(4.0**power * once.lower, rel=1e-13)


def test_stopped_early_still_brackets():
    problem = on_grid((5, 4))
    truth = solve(problem).value
    for max_iter in (0, 1, 7, 30):
        result = solve(problem, method="sinkhorn", epsilon=1e-5, tol=1e-12, max_iter=max_iter)
        assert result.status is Status.MAX_ITER
        assert result.n_iter == max_iter
        assert_brackets(result, truth)
        assert_coupling(result.plan.toarray(), problem, tol=1e-9)


def test_warm_starts_save_work():
    problem = on_grid((5, 4), zeros=True)
    options = {"method": "sinkhorn", "tol": 1e-9, "epsilon": 0.05 * mean_cost(problem)}
    cold = solve(problem, **options)
    warm = solve(problem, warm_start=cold, **options)
    assert warm.n_iter < cold.n_iter
    assert warm.value == pytest.approx(cold.value, rel=1e-7)
    rng = np.random.default_rng(1)
    noise = tuple(1e6 * rng.normal(size=20) for _ in range(2))
    far = solve(problem, warm_start=noise, **options)
    assert far.success
    assert far.value == pytest.approx(cold.value, rel=1e-7)


def test_gradients_are_those_of_points():
    problem = on_grid((3, 4))
    options = {"method": "sinkhorn", "tol": 1e-10, "epsilon": 0.1 * mean_cost(problem)}
    found = solve(problem, **options).gradients()
    expected = solve(as_points(problem), **options).gradients()
    for name in ("a", "b", "x", "y"):
        got, wanted = getattr(found, name), getattr(expected, name)
        assert got == pytest.approx(wanted, rel=1e-6, abs=1e-6)


def test_progress_is_reported():
    problem = on_grid((3, 4))
    result = solve(problem, method="sinkhorn", progress=True)
    assert result.value == solve(problem, method="sinkhorn").value


def test_large_images_are_summed_in_many_tiles_and_blocks(monkeypatch):
    """Whatever the tiles and blocks, sums are the same; so are sums done again."""
    from otdist.solvers.sinkhorn import grid as module

    side = 7 if JIT_OFF else 40
    A, B = blobs(side)
    B[: side // 2] = 0.0
    problem = Problem.on_grid(A, B, p=2, normalize=True)
    epsilon = 1e-3 * mean_cost(problem)
    f = np.random.default_rng(0).normal(size=side**2) * 30 * epsilon
    with np.errstate(divide="ignore"):
        log_b = np.log(problem.b)
    exponent = (f - problem.geometry.dense()) / epsilon + log_b
    top = exponent.max(axis=1)
    exact = -epsilon * (top + np.log(np.exp(exponent - top[:, None]).sum(axis=1)))

    def assert_exact():
        found = module.Gibbs(problem.geometry, epsilon).transform(f, problem.b)
        assert found == pytest.approx(exact, rel=1e-12, abs=1e-12 * problem.geometry.largest)

    done_again = []

    def counting(lines, cost, where, columns, out):
        done_again.extend(where)
        return log_sums_at(lines, cost, where, columns, out)

    log_sums_at = module.log_sums_at
    monkeypatch.setattr(module, "log_sums_at", counting)
    assert_exact()
    monkeypatch.setattr(knobs.SINKHORN_GRID_BLOCK, 3 * side)
    assert_exact()
    monkeypatch.setattr(knobs.SINKHORN_GRID_NARROWEST, 5)
    assert_exact()
    monkeypatch.setattr(knobs.SINKHORN_GRID_RANGE, 1.0)
    assert_exact()
    monkeypatch.setattr(knobs.SINKHORN_GRID_RANGE, 1e9)
    assert_exact()
    monkeypatch.setattr(knobs.SINKHORN_GRID_FLAT, 1e9)
    assert_exact()
    assert done_again


# ------------------------------------------------------------------------ the certificate


def small_grid():
    problem = on_grid((5, 4), zeros=True)
    epsilon = 0.01 * mean_cost(problem)
    result = solve(problem, method="sinkhorn", epsilon=epsilon, tol=1e-12)
    return problem, result, solve(problem).value


@given(st.integers(0, 2**32 - 1), st.sampled_from([1e-3, 0.1, 10.0, 1e3]))
def test_any_factors_and_potentials_give_a_bracket(seed, size):
    problem, result, truth = small_grid()
    rng = np.random.default_rng(seed)
    plan = dataclasses.replace(
        result.plan,
        log_r=result.plan.log_r + size * rng.normal(size=20),
        log_s=result.plan.log_s + size * rng.normal(size=20),
        u=rng.random(20) * size,
        v=rng.random(20),
    )
    f = result.potentials[0] + rng.normal(size=20) * size
    certificate = certify(problem, plan, f, result.potentials[1])
    assert_brackets(certificate, truth)


def test_wrong_marginals_are_seen_and_repaired():
    problem, result, truth = small_grid()
    plan, (f, _) = result.plan, result.potentials
    good = certify(problem, plan, f)
    assert good.marginal_error <= 1e-12
    for field, change in [("log_r", 0.1), ("log_s", -0.1), ("u", 1e-3), ("v", 1e6)]:
        wrong = dataclasses.replace(plan, **{field: getattr(plan, field) + change})
        whole = wrong.toarray()
        error = np.abs(whole.sum(axis=1) - problem.a).sum()
        error += np.abs(whole.sum(axis=0) - problem.b).sum()
        certificate = certify(problem, wrong, f)
        assert certificate.marginal_error == pytest.approx(error, rel=1e-9)
        assert certificate.marginal_error > 1e-6
        assert certificate.lower == good.lower
        assert_brackets(certificate, truth)
        # Less mass costs less, so the cost as given would be no bound.
        by_rows = certify(problem, whole, f)
        assert certificate.upper == pytest.approx(by_rows.upper, rel=1e-9)


def test_wrong_potentials_open_the_gap():
    problem, result, truth = small_grid()
    f, g = result.potentials
    good = certify(problem, result.plan, f, g)
    wrong = f.copy()
    wrong[np.argmax(problem.a)] += problem.geometry.largest
    worse = certify(problem, result.plan, wrong)
    assert worse.lower < good.lower - 0.1 * truth
    assert worse.upper == good.upper
    assert_brackets(worse, truth)
    violated = certify(problem, result.plan, f, g + 1.0)
    assert violated.dual_violation >= 1.0 - 1e-9
    assert_brackets(violated, truth)


@pytest.mark.parametrize(
    "field, value, message",
    [
        ("log_r", math.nan, r"plan.log_r\[2\] is nan"),
        ("log_s", math.inf, r"plan.log_s\[2\] is inf"),
        ("u", -1e-9, r"plan.u\[2\] is -1e-09"),
        ("v", math.inf, r"plan.v\[2\] is inf"),
    ],
)
def test_bad_factors_are_refused(field, value, message):
    problem, result, _ = small_grid()
    factor = getattr(result.plan, field).copy()
    factor[2] = value
    with pytest.raises(InputError, match=message):
        certify(problem, dataclasses.replace(result.plan, **{field: factor}), np.zeros(20))


def test_bad_plans_are_refused():
    problem, result, _ = small_grid()
    with pytest.raises(InputError, match=r"plan.epsilon must be positive"):
        certify(problem, dataclasses.replace(result.plan, epsilon=-1.0), np.zeros(20))
    with pytest.raises(InputError, match=r"plan.u must have shape \(20,\)"):
        certify(problem, dataclasses.replace(result.plan, u=np.ones(3)), np.zeros(20))
    large = {"u": np.full(20, 1e200), "v": np.full(20, 1e200)}
    with pytest.raises(InputError, match=r"plan.u times plan.v sums to inf"):
        certify(problem, dataclasses.replace(result.plan, **large), np.zeros(20))
    other = on_grid((2, 3))
    with pytest.raises(InputError, match=r"plan must have shape \(6, 6\)"):
        certify(other, result.plan, np.zeros(6))


def test_a_plan_of_another_grid_is_read_by_rows():
    problem, result, truth = small_grid()
    same = on_grid((5, 4), zeros=True)
    f = result.potentials[0]
    assert same.geometry.equals(problem.geometry)
    again = certify(same, result.plan, f)
    assert (again.lower, again.upper) == (result.lower, result.upper)
    points = as_points(problem)
    certificate = certify(points, result.plan, f)
    assert certificate.value == pytest.approx(result.value, rel=1e-12)
    for found in (certificate, result):
        assert found.value <= found.upper <= found.value * (1 + 1e-10)
    assert_brackets(certificate, truth)
    turned = on_grid((4, 5), zeros=True)
    assert not turned.geometry.equals(problem.geometry)
    assert_brackets(certify(turned, result.plan, f), solve(turned).value)


@pytest.mark.parametrize("sides", SIDES, ids=str)
def test_the_compiled_passes_agree_with_numpy(sides, monkeypatch):
    from otdist.certificate.checkers import checker_of
    from otdist.certificate.kernels import grid as certificate_grid

    grid = on_grid(sides).geometry
    rng = np.random.default_rng(3)
    n = grid.shape[0]
    monkeypatch.setattr(knobs.CHECKERS_COMPILED_PAIRS, 0)
    for f in (rng.normal(size=n), np.where(rng.random(n) < 0.6, -np.inf, 1.0)):
        assert (checker_of(grid).column_minimum(f, 1) == grid.column_minimum(f)).all()
        assert (checker_of(grid).row_minimum(f, 1) == grid.column_minimum(f)).all()
    lines = rng.normal(size=(6, 9)) * 20
    lines[1, 3], lines[2] = np.inf, np.inf
    cost = 30 * rng.random((9, 9))
    cost[np.diag_indices(9)] = np.inf
    lines[3], lines[3, 4] = np.inf, 0.0
    with np.errstate(divide="ignore"):
        terms = np.exp(-lines[:, :, None] - cost)
        expected = -np.log(terms.sum(axis=1))
    certificate_grid.log_sums(lines, cost, *np.empty((2, 9)))
    finite = np.isfinite(expected)
    assert (np.isfinite(lines) == finite).all()
    assert lines[finite] == pytest.approx(expected[finite], rel=1e-13, abs=1e-12)
    assert (lines[~finite] == np.inf).all()
