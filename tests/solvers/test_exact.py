"""The engine for large problems, made to run on small ones: start, lists, columns."""

from __future__ import annotations

import knobs
import numpy as np
import pytest
from conftest import JIT_OFF

from otdist import Problem, solve
from otdist.certificate import checkers
from otdist.certificate.checkers import checker_of
from otdist.certificate.kernels import points as certificate
from otdist.solvers import coarsen as start
from otdist.solvers.network_simplex import solver

METRICS = [
    ("euclidean", 1),
    ("euclidean", 2),
    ("euclidean", 1.5),
    ("sqeuclidean", 1),
    ("cityblock", 1),
    ("chebyshev", 3),
]


@pytest.fixture(autouse=True)
def small_sizes(monkeypatch):
    monkeypatch.setattr(knobs.SIMPLEX_SMALL, 0)
    monkeypatch.setattr(knobs.SIMPLEX_NARROW, 0)
    monkeypatch.setattr(knobs.COARSEST, 8)
    monkeypatch.setattr(knobs.COLUMNS_ROW_WIDTH, 4)
    monkeypatch.setattr(knobs.COLUMNS_COLUMN_WIDTH, 2)
    monkeypatch.setattr(knobs.CHECKERS_COMPILED_PAIRS, 0)


def clouds(seed, n=44, m=37, d=2):
    rng = np.random.default_rng(seed)
    x, y = rng.random((n, d)), rng.random((m, d)) + 0.2
    return x, y, rng.integers(1, 9, n), rng.integers(1, 9, m)


def assert_agrees(problem, **options):
    result = solve(problem, method="network_simplex", **options)
    cost = problem.geometry.dense()
    other = solve(Problem.from_cost(cost, problem.a, problem.b), method="highs")
    assert result.success
    assert result.value == pytest.approx(other.value, rel=1e-9)
    f, g = result.potentials
    plan = result.plan.toarray()
    scale = cost.max()
    assert (cost - f[:, None] - g).min() >= -1e-12 * scale
    assert np.abs(plan.sum(1) - problem.a).max() <= 1e-13 * problem.mass
    assert np.abs(plan.sum(0) - problem.b).max() <= 1e-13 * problem.mass
    assert (plan * cost).sum() == pytest.approx(result.lower, rel=1e-12)
    return result


@pytest.mark.parametrize("d", [1, 2, 3, 5])
@pytest.mark.parametrize("metric, p", METRICS)
def test_points_agree_with_highs(d, metric, p):
    x, y, a, b = clouds(d, d=d)
    assert_agrees(Problem(x, y, a, b, metric=metric, p=p, normalize=True))


def test_matrices_and_lines_agree_with_highs():
    x, y, a, b = clouds(7)
    points = Problem(x, y, a, b, normalize=True)
    assert_agrees(Problem.from_cost(points.geometry.dense(), points.a, points.b))
    rng = np.random.default_rng(8)
    assert_agrees(Problem.from_cost(rng.random((40, 50))))
    assert_agrees(Problem.from_cost(rng.integers(0, 3, (40, 40)).astype(float)))
    assert_agrees(Problem(x[:, 0], y[:, 0], a, b, p=2, normalize=True))


def test_many_coordinates_agree_with_highs():
    x, y, a, b = clouds(18, d=25)
    assert_agrees(Problem(x, y, a, b, normalize=True))


def test_all_processors_can_be_asked_for():
    x, y, a, b = clouds(19)
    problem = Problem(x, y, a, b, normalize=True)
    one = assert_agrees(problem)
    for n_jobs in (-1, 2.0, np.int64(2)):
        assert assert_agrees(problem, n_jobs=n_jobs).value == one.value


@pytest.mark.parametrize("p", [1, 1.5, 2])
def test_the_compiled_check_of_a_line_agrees_with_numpy(p, monkeypatch):
    monkeypatch.setattr(knobs.CHECKERS_COMPILED_LINE, 0)
    x, y, _, _ = clouds(20, d=1)
    geometry = Problem(x[:, 0], y[:, 0], p=p).geometry
    f = np.random.default_rng(21).random(len(x))
    compiled = checker_of(geometry).column_minimum(f, 1)
    assert np.abs(compiled - geometry.column_minimum(f)).max() <= 1e-14


def test_the_number_of_threads_changes_nothing(monkeypatch):
    monkeypatch.setattr(knobs.COLUMNS_RANGE, 100)
    x, y, a, b = clouds(9)
    problem = Problem(x, y, a, b, normalize=True)
    one, two = assert_agrees(problem), assert_agrees(problem, n_jobs=2)
    assert one.value == two.value
    assert one.n_iter == two.n_iter
    assert (one.plan.toarray() == two.plan.toarray()).all()


def test_coarse_levels_keep_all_mass_and_shrink_by_four():
    x, y, a, b = clouds(10, n=100, m=90)
    problem = Problem(x, y, a, b, normalize=True)
    levels = start.hierarchy(problem.geometry, problem.a, problem.b)
    assert [len(level.rows) for level in levels] == [8, 32]
    for level in levels:
        assert len(set(level.rows)) == len(level.rows)
        assert level.a.sum() == pytest.approx(1.0, rel=1e-14)
        assert level.b.sum() == pytest.approx(1.0, rel=1e-14)


def test_rows_without_likeness_get_no_coarse_levels():
    rng = np.random.default_rng(11)
    geometry = Problem.from_cost(rng.random((90, 90))).geometry
    assert start.hierarchy(geometry, np.ones(90), np.ones(90)) == []


def test_a_large_tolerance_stops_early_with_a_bracket_that_holds():
    x, y, a, b = clouds(12)
    problem = Problem(x, y, a, b, normalize=True)
    exact = assert_agrees(problem)
    early = solve(problem, tol=0.5)
    assert early.success
    # The coarse levels stopped early too, so the path is another one.
    assert 0 < early.certificate.relative_gap <= 0.5
    assert early.lower <= exact.value * (1 + 1e-12)
    assert early.upper >= exact.value * (1 - 1e-12)


def test_costs_that_pricing_proves_are_searched_once(monkeypatch):
    """Potentials are far larger than the value, but whole costs are added with little rounding."""
    for size in (knobs.SIMPLEX_SMALL, knobs.SIMPLEX_MEDIUM, knobs.SIMPLEX_NARROW):
        monkeypatch.setattr(size, 0)
    searched = []
    monkeypatch.setattr(solver, "_searched_near", lambda *arguments: searched.append(arguments))
    rng, n = np.random.default_rng(11), 20
    # A small part of the mass must go from one block to the other.
    cost = rng.integers(1, 9, (n, n)).astype(float)
    cost[:10, 10:] = cost[10:, :10] = 10.0**6
    a = np.full(n, 1000.0)
    b = a + rng.integers(-9, 9, n)
    b[0] += a[:10].sum() + 1 - b[:10].sum()
    b[-1] += a.sum() - b.sum()
    assert solve(Problem.from_cost(cost, a, b)).certificate.proves(1e-9)
    assert not searched


@pytest.mark.parametrize("least", [0.0, -2.0])
def test_a_plan_of_the_cheapest_arcs_is_proved_by_potentials_of_zero(least):
    rng, n = np.random.default_rng(12), 30
    cost = rng.integers(0, 3, (n, n)) * 1.7 + least
    a, b = rng.dirichlet(np.ones(n), 2)
    result = solve(Problem.from_cost(cost, a, b))
    assert result.value == pytest.approx(least, rel=1e-15)
    assert result.upper - result.lower <= 1e-13 * abs(least)


def test_limits_return_a_bracket_without_success(monkeypatch):

    monkeypatch.setattr(knobs.SEARCH_BUDGET, 1)
    monkeypatch.setattr(knobs.COLUMNS_BUDGET, 1)
    x, y, a, b = clouds(13)
    problem = Problem(x, y, a, b, normalize=True)
    exact = solve(problem, method="highs").value
    for option in ({"time_limit": 0}, {"max_iter": 10}):
        result = solve(problem, **option)
        assert not result.success
        assert next(iter(option)) in result.message
        assert result.lower <= exact * (1 + 1e-9)
        assert result.upper >= exact * (1 - 1e-9)


@pytest.mark.parametrize("option", [{"n_jobs": 0}, {"n_jobs": 1.5}, {"time_limit": -1}])
def test_limits_that_make_no_sense_are_refused(option):
    with pytest.raises(ValueError, match=next(iter(option))):
        solve(Problem([[0.0, 1]], [[1.0, 1]]), **option)


def far_and_near(seed, d=30):
    """Points of many coordinates, some of which are near or equal to one another."""
    rng = np.random.default_rng(seed)
    scale, n, m = 10.0 ** rng.uniform(-9, 9), *rng.integers(2, 40, 2)
    x, y = scale * rng.standard_normal((n, d)), scale * rng.standard_normal((m, d))
    k = min(n, m) // 2
    y[:k] = x[:k] + rng.choice([0, 1e-9, 1e-3]) * scale * rng.standard_normal((k, d))
    x[0] *= rng.choice([1, 1e4])
    offset = rng.choice([0, 1e3, 1e6]) * scale
    return x + offset, y + offset, rng


@pytest.mark.parametrize("metric, p", [*METRICS, ("euclidean", 3.5), ("euclidean", 9)])
def test_many_coordinates_are_screened_without_a_loss(metric, p):
    for seed in range(4 if JIT_OFF else 30):
        x, y, rng = far_and_near(seed)
        geometry = Problem(x, y, metric=metric, p=p).geometry
        matrix, expected = geometry.tabulated().dense(), geometry.dense()
        assert np.abs(matrix - expected).max() <= 1e-13 * expected.max()
        assert (matrix[expected == 0] == 0).all()
        apart = expected > 0
        assert np.abs(matrix[apart] / expected[apart] - 1).max() <= 1e-12 * p
        f = rng.standard_normal(len(x)) * geometry.largest * 10.0 ** rng.uniform(-6, 1)
        f[rng.random(len(x)) < 0.2] = -np.inf
        f[0] = 0.0
        got = checker_of(geometry).column_minimum(f, 1)
        size = np.abs(f[np.isfinite(f)]).max() + geometry.largest
        # Sums in another order round otherwise, and powers multiply that.
        assert np.abs(got - geometry.column_minimum(f)).max() <= 8e-16 * max(1, p / 2) * size


def test_the_screen_looks_at_all_pairs_it_cannot_rule_out(monkeypatch):
    """A bound on the error that is too small is seen."""
    x, y, _ = far_and_near(3)
    geometry = Problem(x, y).geometry
    wrong = 0
    for seed in range(40):
        f = geometry.row_minimum(np.random.default_rng(seed).random(len(y)))
        with monkeypatch.context() as patch:
            real = certificate.screened_minimum
            patch.setattr(
                certificate,
                "screened_minimum",
                lambda *a, real=real: real(*a[:9], -1e-3, a[10]),
            )
            got = checkers._screened_minimum(geometry, 2, f)
        wrong += not np.allclose(got, geometry.column_minimum(f), rtol=1e-9, atol=0)
    assert wrong > 0


@pytest.mark.parametrize("metric, p", METRICS)
def test_the_compiled_check_of_points_agrees_with_numpy(metric, p):
    x, y, _, _ = clouds(14, d=3)
    problem = Problem(x, y, metric=metric, p=p)
    f = np.random.default_rng(15).random(len(x))
    compiled = checker_of(problem.geometry).column_minimum(f, 2)
    expected = problem.geometry.column_minimum(f)
    assert np.abs(compiled - expected).max() <= 1e-14


def test_the_compiled_check_of_a_matrix_agrees_with_numpy(monkeypatch):
    rng = np.random.default_rng(13)
    cost, f = rng.random((70, 60)), rng.normal(size=70)
    cost[rng.random(cost.shape) < 0.2] = np.inf
    cost[:, 7] = np.inf
    f[5] = -np.inf
    checker = checker_of(Problem.from_cost(cost).geometry)
    compiled = checker.column_minimum(f[::-1][::-1], 1)
    monkeypatch.setattr(knobs.CHECKERS_COMPILED_PAIRS, 1 << 62)
    np.testing.assert_array_equal(compiled, checker.column_minimum(f, 1))
    np.testing.assert_array_equal(compiled, (cost - f[:, None]).min(axis=0))


def test_shifted_points_cost_the_same():
    x, y, a, b = clouds(16)
    near = solve(Problem(x, y, a, b, normalize=True)).value
    far = solve(Problem(x + 1e7, y + 1e7, a, b, normalize=True)).value
    assert far == pytest.approx(near, abs=4 * np.spacing(1e7))


@pytest.mark.parametrize("k", [-900, -1, 1, 900])
def test_costs_times_powers_of_two_change_only_the_exponent(k):
    cost = np.random.default_rng(17).random((30, 40))
    plain = solve(Problem.from_cost(cost))
    scaled = solve(Problem.from_cost(np.ldexp(cost, k)))
    assert scaled.value == np.ldexp(plain.value, k)
    assert (scaled.plan.toarray() == plain.plan.toarray()).all()
