"""Every solver on every case it accepts, against proofs, oracles and each other."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import oracles
import pytest
import strategies
from cases import CASES
from checks import assert_brackets, assert_coupling, assert_proved, cost_of, plan_of
from conftest import JIT_OFF
from hypothesis import given

from otdist import (
    InfeasibleError,
    InputError,
    NotCertifiedError,
    Problem,
    Status,
    emd,
    sinkhorn_divergence,
    solve,
    wasserstein_distance,
)
from otdist.solvers import registry

INF = math.inf
EXACT = ("network_simplex", "highs", "line")


def accepts(method, problem):
    if method == "line":
        return problem.is_line
    return not problem.is_bottleneck


def truth_of(problem):
    return oracles.exact(cost_of(problem), problem.a, problem.b)


def assert_value(result, truth, rel=1e-12):
    """Compare with an exact value; 4 eps of mass * cost is the input's own rounding."""
    scale = np.abs(cost_of(result.problem))
    scale = scale[np.isfinite(scale)].max(initial=0.0) * result.problem.mass
    assert abs(result.value - float(truth)) <= rel * abs(float(truth)) + 1e-15 * scale


# ------------------------------------------------------------------- known answers


@pytest.mark.parametrize("method", ["auto", *EXACT])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_cases(case, method):
    problem = case.make()
    if method != "auto" and not accepts(method, problem):
        with pytest.raises(InputError, match="method"):
            solve(problem, method=method)
        return
    result = solve(problem, method=method)
    assert_proved(result)
    far = "far" in case.name
    # Coordinates of 1e7 hold the differences to 1e-9 only.
    assert result.value == pytest.approx(case.value, rel=1e-9 if far else 1e-14, abs=0)


@given(strategies.known_problems())
def test_known_problems(problem_and_value):
    problem, value = problem_and_value
    for method in EXACT:
        if accepts(method, problem):
            result = solve(problem, method=method)
            if method == "highs":
                # Its own tolerances are absolute: arcs that cost 4e-11 more are the
                # same to it, so its potentials may be infeasible by as much.
                scale = problem.geometry.largest
                assert result.certificate.dual_violation <= 1e-9 * scale
                assert result.gap <= 1e-9 * scale * problem.mass
                assert result.lower <= value + 1e-9 * scale * problem.mass
                continue
            assert_proved(result)
            # The expected value sums n rounded terms, and x + shift is rounded.
            assert result.value == pytest.approx(value, rel=1e-10, abs=1e-14)


def test_gaussians_by_their_quantiles():
    """W1 = |s - s'| sqrt(2 / pi) and W2^2 = (m - m')^2 + (s - s')^2, in the limit."""
    from scipy.stats import norm

    z = norm.ppf((np.arange(4000) + 0.5) / 4000)
    first = solve(Problem(z, 3 * z)).value
    second = solve(Problem(z + 1, 3 * z + 4, p=2)).value
    # The tails beyond 1 / 8000 are missing: O(1e-3).
    assert first == pytest.approx(1.5957691216057308, rel=2e-3)
    assert second == pytest.approx(9.0 + 4.0, rel=2e-3)


# -------------------------------------------------------------- ties, shapes, zeros


def shapes():
    small = [(1, 1), (1, 4), (4, 1), (2, 2), (3, 5), (7, 7)]
    return small if JIT_OFF else [*small, (5, 300), (300, 5), (40, 40), (31, 62)]


@pytest.mark.parametrize("n, m", shapes())
@pytest.mark.parametrize("family", ["equal", "integer", "binary", "grid", "float"])
@pytest.mark.parametrize("masses", ["uniform", "integer", "float", "zeros"])
def test_network_simplex_agrees_with_highs(n, m, family, masses):
    rng = np.random.default_rng([n, m])
    cost = {
        "equal": lambda: np.full((n, m), 1.25),
        "integer": lambda: rng.integers(0, 4, (n, m)),
        "binary": lambda: rng.integers(0, 2, (n, m)),
        "grid": lambda: np.abs(np.subtract.outer(np.arange(n) % 5, np.arange(m) % 7)),
        "float": lambda: rng.random((n, m)),
    }[family]()
    if masses == "uniform":
        a = b = None
    elif masses == "integer":
        a, b = rng.multinomial(1000, [1 / n] * n), rng.multinomial(1000, [1 / m] * m)
    else:
        a, b = rng.random(n), rng.random(m)
        if masses == "zeros":
            a[rng.random(n) < 0.4] = b[rng.random(m) < 0.4] = 0
            a[rng.integers(n)] = b[rng.integers(m)] = 1.0
        a, b = a / math.fsum(a), b / math.fsum(b)
    problem = Problem.from_cost(cost, a, b)
    simplex = solve(problem, method="network_simplex")
    highs = solve(problem, method="highs")
    assert_proved(simplex)
    # HiGHS ends at a point that is feasible and optimal to 1e-10, hence no proof
    # where the optimum is 0 and its value 1e-17.
    assert highs.lower <= simplex.value * (1 + 1e-12)
    assert simplex.value == pytest.approx(highs.value, rel=1e-9, abs=1e-12)
    assert simplex.plan.nnz <= n + m - 1
    if masses == "integer":
        plan = plan_of(simplex)
        assert (plan == np.rint(plan)).all()
        assert (plan.sum(axis=1) == a).all()
        assert (plan.sum(axis=0) == b).all()


def test_duplicate_points_on_a_grid():
    size = 4 if JIT_OFF else 9
    grid = np.stack(np.meshgrid(*[np.arange(size)] * 2), -1).reshape(-1, 2) // 2
    for metric in ("euclidean", "cityblock", "chebyshev", "sqeuclidean"):
        problem = Problem(grid, grid[::-1] + np.array([1, 0]), metric=metric)
        result = solve(problem)
        assert_proved(result)
        assert result.value == 1.0  # a translation by a unit vector


def test_assignment():
    rng = np.random.default_rng(1)
    for n in (2, 5, 8 if JIT_OFF else 120):
        for cost in (rng.random((n, n)), rng.integers(0, 4, (n, n)).astype(float)):
            result = solve(Problem.from_cost(cost))
            assert_proved(result)
            truth = oracles.by_assignment(cost)
            assert result.value == pytest.approx(truth, rel=1e-14, abs=0)


@given(strategies.dense_problems())
def test_exact_rational_oracle(problem):
    truth = truth_of(problem)
    for method in ("network_simplex", "highs"):
        result = solve(problem, method=method)
        if method == "network_simplex":
            assert_proved(result)
        assert_value(result, truth)
        assert_brackets(result, truth)


@given(strategies.forbidding_problems())
def test_forbidden_arcs(problem):
    truth = truth_of(problem)
    for method in ("network_simplex", "highs"):
        result = solve(problem, method=method)
        assert_proved(result)
        assert_value(result, truth)


def test_permutations():
    rng = np.random.default_rng(2)
    for n in range(1, 8):
        for cost in (rng.integers(0, 4, (n, n)), rng.normal(size=(n, n))):
            value = solve(Problem.from_cost(cost)).value
            truth = oracles.by_permutations(cost)
            assert value == pytest.approx(truth, rel=1e-13, abs=1e-15)


def test_many_small_random_problems_to_twelve_digits():
    rng = np.random.default_rng(3)
    for _ in range(20 if JIT_OFF else 150):
        n, m = rng.integers(1, 7, 2)
        a, b = rng.random(n) + 0.01, rng.random(m) + 0.01
        cost = rng.random((n, m)) + 0.01
        problem = Problem.from_cost(cost, a, b, normalize=True)
        truth = truth_of(problem)
        for method in ("network_simplex", "highs"):
            result = solve(problem, method=method)
            assert result.value == pytest.approx(float(truth), rel=1e-12, abs=0)
            assert_brackets(result, truth)


def test_pot_agrees():
    rng = np.random.default_rng(4)
    for n, m in ((6, 9),) if JIT_OFF else ((6, 9), (50, 70)):
        a, b, cost = rng.random(n), rng.random(m), rng.random((n, m))
        a, b = a / a.sum(), b / b.sum()
        problem = Problem.from_cost(cost, a, b)
        truth = oracles.by_pot(cost, problem.a, problem.b)
        assert solve(problem).value == pytest.approx(truth, rel=1e-12, abs=0)


def test_big_m_and_unlike_scales():
    """Costs of 1e16 instead of inf must not cost the small ones their digits."""
    rng = np.random.default_rng(6)
    n = 8 if JIT_OFF else 40
    small = rng.random((n, n))
    open_arcs = rng.random((n, n)) < 0.3
    np.fill_diagonal(open_arcs, True)
    for big in (1e6, 1e16, 1e100):
        with_big = solve(Problem.from_cost(np.where(open_arcs, small, big)))
        with_inf = solve(Problem.from_cost(np.where(open_arcs, small, INF)))
        assert with_inf.success
        assert with_big.value == pytest.approx(with_inf.value, rel=1e-13, abs=0)


# -------------------------------------------------------------------- infeasibility


@pytest.mark.parametrize("method", ["network_simplex", "highs"])
@pytest.mark.parametrize(
    "cost, a, b",
    [
        ([[0, INF], [1, INF]], [1, 1], [1, 1]),
        ([[INF, INF], [1, 2]], [1, 1], [1, 1]),
        ([[0, INF], [1, 3]], [3, 1], [2, 2]),
        ([[INF, 0, 1], [INF, 2, 3], [0, 1, 2]], [3, 3, 1], [2, 3, 2]),
    ],
    ids=["column", "row", "partly", "block"],
)
def test_infeasible_problems_raise(cost, a, b, method):
    assert oracles.exact(cost, a, b) is None
    with pytest.raises(InfeasibleError, match="no coupling exists"):
        solve(Problem.from_cost(cost, a, b), method=method)


def test_infeasible_problems_name_the_row():
    cost = [[0, INF], [1, 3], [0, INF]]
    problem = Problem.from_cost(cost, [0, 1, 3], [2, 2])
    with pytest.raises(InfeasibleError, match=r"a\[2\] = 3 can be moved"):
        solve(problem)
    cost = [[1, 1], [INF, INF], [INF, INF], [0, 0]]
    with pytest.raises(InfeasibleError, match=r"a\[1\] has mass and every arc of it"):
        solve(Problem.from_cost(cost))
    with pytest.raises(InfeasibleError, match="no coupling exists"):
        emd([1, 1], [1, 1], [[0, INF], [1, INF]])


def test_forbidden_arcs_of_atoms_without_mass_do_not_matter():
    cost = [[INF, INF, INF], [0, 2, INF], [3, 1, INF]]
    result = solve(Problem.from_cost(cost, [0, 1, 1], [1, 1, 0]))
    assert result.value == 1.0
    assert result.success
    assert np.isfinite(np.concatenate(result.potentials)).all()


# ----------------------------------------------------------- limits and warm starts


@pytest.mark.parametrize("max_iter", [0, 1, 3, 10])
def test_network_simplex_stopped_early_still_brackets(max_iter):
    rng = np.random.default_rng(7)
    a, b = rng.integers(1, 9, 6), rng.integers(1, 9, 6)
    a, b = a / a.sum(), b / b.sum()
    problem = Problem.from_cost(rng.random((6, 6)), a, b)
    truth = truth_of(problem)
    assert solve(problem).n_iter > 10
    result = solve(problem, max_iter=max_iter)
    assert result.n_iter == max_iter
    assert result.status is Status.MAX_ITER
    assert not result.success
    assert "raise max_iter" in result.message
    assert result.upper > float(truth) * (1 + 1e-9)
    assert_brackets(result, truth)
    assert_coupling(plan_of(result), problem)
    f, g = result.potentials
    assert np.isfinite(f).all()
    assert np.isfinite(g).all()


def test_highs_stopped_early_still_brackets():
    rng = np.random.default_rng(8)
    problem = Problem.from_cost(rng.random((6, 6)))
    result = solve(problem, method="highs", max_iter=2)
    assert not result.success
    assert_brackets(result, truth_of(problem))


def test_a_bare_number_that_is_not_proved_is_refused():
    x = np.random.default_rng(0).random((2, 9, 2))
    with pytest.raises(NotCertifiedError, match="did not prove") as caught:
        wasserstein_distance(*x, method="sinkhorn")
    result = caught.value.result
    assert result.method == "sinkhorn"
    assert_brackets(result, solve(result.problem).value)


@pytest.mark.parametrize("method", ["network_simplex", "sinkhorn"])
def test_warm_starts_change_the_work_and_not_the_value(method):
    rng = np.random.default_rng(9)
    n = 8 if JIT_OFF else 60
    problem = Problem(rng.random((n, 2)), rng.random((n + 5, 2)), p=2)
    # Sinkhorn stops on its marginal error: its value is right to about 10 times that.
    rel = 1e-12 if method == "network_simplex" else 1e-8
    options = {"method": method, "tol": 1e-9}
    if method == "sinkhorn":
        options["epsilon"] = 0.003
    cold = solve(problem, **options)
    warm = solve(problem, **options, warm_start=cold)
    assert warm.n_iter < cold.n_iter
    assert warm.value == pytest.approx(cold.value, rel=rel, abs=0)
    noise = tuple(u + rng.normal(size=len(u)) * 0.01 for u in cold.potentials)
    for start in (noise, (np.zeros(n), np.zeros(n + 5)), list(cold.potentials)):
        warm = solve(problem, **options, warm_start=start)
        assert warm.success
        assert warm.value == pytest.approx(cold.value, rel=rel, abs=0)


def test_warm_starts_with_zero_weights():
    rng = np.random.default_rng(10)
    a = np.array([0, 1, 2, 0, 3.0])
    problem = Problem.from_cost(rng.random((5, 4)), a, [1.5, 0, 1.5, 3])
    cold = solve(problem)
    assert solve(problem, warm_start=cold).value == cold.value


def test_options_that_do_not_fit_are_refused():
    problem = Problem.from_cost([[0.0, 1], [1, 0]])
    for options, message in [
        (
            {"method": "simplex"},
            "method 'simplex' is unknown; known methods are 'auto'",
        ),
        ({"method": "line"}, "method='line' needs points on the line"),
        (
            {"epsilon": 0.1},
            r"epsilon is not an option of method='network_simplex', .* use method='sinkhorn'",
        ),
        ({"method": "sinkhorn", "epsilon": 0.0}, "epsilon must be a positive number"),
        ({"method": "sinkhorn", "epsilon": INF}, "epsilon must be a positive number"),
        ({"method": "sinkhorn", "epsilon": math.nan}, "epsilon must be a positive"),
        ({"method": "sinkhorn", "epsilon": 1e-15}, "below the rounding of the costs"),
        ({"tol": -1.0}, "tol must be a number >= 0"),
        ({"tol": math.nan}, "tol must be a number >= 0"),
        ({"max_iter": -1}, "max_iter must be an integer of at least 0"),
        ({"max_iter": 1.5}, "max_iter must be an integer of at least 0"),
        ({"max_iter": True}, "max_iter must be"),
        ({"warm_start": 3}, "warm_start must be a Result or a pair"),
        ({"warm_start": ([0, 0, 0], [0, 0])}, r"warm_start\[0\] must have shape"),
        ({"warm_start": ([0, 0], [0, math.nan])}, r"warm_start\[1\]\[1\] is nan"),
    ]:
        with pytest.raises(InputError, match=message):
            solve(problem, **options)
    with pytest.raises(InputError, match="problem must be a Problem, got list"):
        solve([[0.0, 1], [1, 0]])
    bottleneck = Problem([0.0, 1], [1.0, 5], p=INF)
    with pytest.raises(
        InputError, match=r"needs a finite p.*; for .* use method='line' or method='bottleneck'"
    ):
        solve(bottleneck, method="sinkhorn")


# -------------------------------------------------------------------- the real line


@given(strategies.line_problems())
def test_line_agrees_with_fractions_and_network_simplex(problem):
    line, simplex = solve(problem), solve(problem, method="network_simplex")
    assert line.method == "line"
    assert_proved(line)
    assert_proved(simplex)
    geometry = problem.geometry
    truth = oracles.on_line(geometry.x, geometry.y, problem.a, problem.b, geometry.p)
    assert_value(line, truth)
    assert_value(simplex, truth)


@pytest.mark.parametrize("p", [1, 1.5, 2, 3, 7])
@pytest.mark.parametrize("seed", range(4))
def test_line_on_larger_samples(p, seed):
    rng = np.random.default_rng(seed)
    n, m = (12, 9) if JIT_OFF else (150, 90)
    x, y = rng.normal(size=n), rng.normal(size=m)
    if seed % 2:
        x, y = np.round(x, 1), np.round(y, 1)
    a, b = rng.random(n) * (rng.random(n) < 0.8), rng.random(m) * (rng.random(m) < 0.8)
    a, b = a / math.fsum(a), b / math.fsum(b)
    line = solve(Problem(x, y, a, b, p=p))
    simplex = solve(Problem(x, y, a, b, p=p), method="network_simplex")
    truth = oracles.on_line(x, y, a, b, p)
    assert_proved(line)
    assert_proved(simplex)
    assert line.value == pytest.approx(truth, rel=1e-13, abs=0)
    assert simplex.value == pytest.approx(truth, rel=1e-13, abs=0)
    if p == 1:
        assert line.value == pytest.approx(oracles.by_scipy_line(x, y, a, b), rel=1e-12)


@given(strategies.line_problems(orders=strategies.st.just(INF)))
def test_bottleneck_on_the_line(problem):
    x, y = problem.geometry.x, problem.geometry.y
    result = solve(problem)
    assert_proved(result)
    assert_coupling(plan_of(result), problem)
    assert result.value == oracles.bottleneck(cost_of(problem), problem.a, problem.b)
    assert result.value == oracles.on_line(x, y, problem.a, problem.b, INF)
    assert result.distance == result.value


def test_squared_euclidean_on_the_line_is_the_line():
    rng = np.random.default_rng(11)
    x, y = rng.random(7), rng.random(9)
    squared = Problem(x, y, metric="sqeuclidean")
    assert squared.is_line
    value = solve(Problem(x, y, p=2)).value
    assert solve(squared).value == value
    assert solve(squared).distance == value


# ------------------------------------------------------------------------- Sinkhorn

#: 2-point problem with cost 0/1: OT_eps = -eps ln((1 + exp(-1 / eps)) / 2) with the
#: reference a b^T; with the entropy instead it is that minus eps ln 4.
TWO_POINTS = {1.0: 0.3798854930417225, 0.1: 0.06931017816607285}


@pytest.mark.parametrize("epsilon, value", TWO_POINTS.items())
def test_two_points(epsilon, value):
    problem = Problem.from_cost([[0.0, 1.0], [1.0, 0.0]])
    result = solve(problem, method="sinkhorn", epsilon=epsilon)
    assert result.regularized_value == pytest.approx(value, rel=1e-14, abs=0)
    linear = 1 / (1 + math.exp(1 / epsilon))
    assert result.value == pytest.approx(linear, rel=1e-14, abs=0)
    plan = plan_of(result)
    entropy = float((plan * np.log(plan)).sum())
    assert linear + epsilon * entropy == pytest.approx(value - epsilon * math.log(4))
    assert_brackets(result, Fraction(0))


def test_two_points_with_any_mass():
    """The reference is a b^T / mass, so that the value is homogeneous in the mass."""
    for mass in (1e-3, 1.0, 40.0):
        half = [mass / 2] * 2
        problem = Problem.from_cost([[0.0, 1.0], [1.0, 0.0]], half, half)
        result = solve(problem, method="sinkhorn", epsilon=1.0)
        value = mass * TWO_POINTS[1.0]
        assert result.regularized_value == pytest.approx(value, rel=1e-13, abs=0)
        plan = plan_of(result)
        divergence = float((plan * np.log(plan / (mass / 4))).sum())
        assert result.value + divergence == pytest.approx(value, rel=1e-13, abs=0)


@pytest.mark.parametrize("epsilon", [1e-3, 0.1, 10.0, None])
def test_sinkhorn_between_diracs(epsilon):
    result = solve(Problem([[1.0, 2]], [[4.0, 6]]), method="sinkhorn", epsilon=epsilon)
    assert result.value == 5.0
    assert result.regularized_value == pytest.approx(5.0, rel=1e-14, abs=0)
    assert result.success


def entropic_gaussian(epsilon, var_a, var_b, n=401, width=15.0):
    z = np.linspace(-width, width, n)
    a, b = np.exp(-(z**2) / (2 * var_a)), np.exp(-(z**2) / (2 * var_b))
    a, b = a / math.fsum(a), b / math.fsum(b)
    problem = Problem(z, z, a, b, p=2)
    return solve(problem, method="sinkhorn", epsilon=epsilon, tol=1e-9)


@pytest.mark.parametrize(
    "epsilon, var_a, var_b, value",
    [(1.0, 1.0, 4.0, 2.2243566798713923), (2.0, 1.0, 1.0, 1.2451438475598136)],
)
def test_entropic_gaussians(epsilon, var_a, var_b, value):
    result = entropic_gaussian(epsilon, var_a, var_b)
    # A grid of 401 points on +-15 agrees with the continuous formula to 3e-7.
    assert result.regularized_value == pytest.approx(value, rel=1e-6, abs=0)


def test_entropic_gaussian_divergence():
    z = np.linspace(-15, 15, 401)
    a, b = np.exp(-(z**2) / 2), np.exp(-(z**2) / 8)
    a, b = a / math.fsum(a), b / math.fsum(b)
    value = sinkhorn_divergence(z, z, a, b, epsilon=1.0, p=2, tol=1e-8)
    assert value == pytest.approx(0.9923093304855108, rel=1e-6, abs=0)


def test_sinkhorn_from_large_to_small_epsilon():
    """Monotone in epsilon, between the product measure's cost and the optimum."""
    rng = np.random.default_rng(12)
    n = 10 if JIT_OFF else 30
    a, b = rng.random(n) + 0.1, rng.random(n + 3) + 0.1
    x, y = rng.random((n, 2)), rng.random((n + 3, 2))
    problem = Problem(x, y, a, b, p=2, normalize=True)
    cost = cost_of(problem)
    mean = float(problem.a @ cost @ problem.b)
    truth = solve(problem).value
    before = INF
    for part in (1e6, 10, 1, 0.1, 0.01, 1e-3):
        epsilon = part * mean
        result = solve(problem, method="sinkhorn", epsilon=epsilon, max_iter=50_000)
        assert result.success, result.message
        assert_coupling(plan_of(result), problem)
        assert_brackets(result, truth)
        assert result.value == pytest.approx(float((plan_of(result) * cost).sum()))
        # Entries are exp of (f + g - c) / epsilon, right to EPS * |f| / epsilon.
        assert result.certificate.marginal_error <= 1e-12
        # The dual value is a lower bound of the entropic optimum: P itself costs more.
        assert truth <= result.regularized_value * (1 + 1e-9)
        assert result.regularized_value <= before
        before = result.regularized_value
        if part == 1e6:
            assert result.regularized_value == pytest.approx(mean, rel=1e-5)
    assert result.value == pytest.approx(truth, rel=2e-3)
    assert result.lower == pytest.approx(truth, rel=2e-2)


@given(strategies.dense_problems())
def test_sinkhorn_brackets_the_truth(problem):
    # Signed costs may have a mean near 0, which is no scale for the default.
    scale = float(np.abs(cost_of(problem)).max())
    epsilon = 0.02 * scale if scale > 0 else None
    result = solve(problem, method="sinkhorn", epsilon=epsilon, max_iter=300)
    assert_brackets(result, truth_of(problem))
    plan = plan_of(result)
    assert_coupling(plan, problem)
    assert plan.shape == problem.shape
    assert (plan[problem.a == 0] == 0).all()
    assert (plan[:, problem.b == 0] == 0).all()
    cost = cost_of(problem)
    scale *= problem.mass
    # The value is that of a coupling: the plan with its marginal error spread.
    slack = 1e-13 + 2 * result.certificate.marginal_error / problem.mass
    assert abs(result.value - math.fsum((plan * cost).ravel())) <= slack * scale


def test_sinkhorn_plans_are_computed_by_rows():
    rng = np.random.default_rng(13)
    a = np.array([0.0, 1, 2, 0, 3, 0])
    problem = Problem(rng.random((6, 2)), rng.random((4, 2)), a, [1, 0, 2, 3])
    plan = solve(problem, method="sinkhorn", epsilon=0.1).plan
    whole = plan.toarray()
    assert plan.shape == whole.shape == (6, 4)
    for start in range(7):
        for stop in range(start, 7):
            assert (plan.rows(start, stop) == whole[start:stop]).all()


def test_sinkhorn_stopped_early_still_brackets():
    rng = np.random.default_rng(14)
    problem = Problem.from_cost(rng.random((6, 6)))
    truth = truth_of(problem)
    for max_iter in (0, 1, 3):
        result = solve(problem, method="sinkhorn", epsilon=1e-5, max_iter=max_iter)
        assert result.status is Status.MAX_ITER
        assert result.n_iter == max_iter
        assert_brackets(result, truth)
        assert_coupling(plan_of(result), problem)


def test_default_epsilon_is_one_percent_of_the_mean_cost():
    rng = np.random.default_rng(15)
    problem = Problem(rng.random((8, 2)), rng.random((8, 2)))
    mean = float(cost_of(problem).mean())
    default = solve(problem, method="sinkhorn")
    stated = solve(problem, method="sinkhorn", epsilon=0.01 * mean)
    assert default.regularized_value == pytest.approx(stated.regularized_value)
    assert default.value == pytest.approx(solve(problem).value, rel=0.05)


def test_sinkhorn_divergence_of_equal_measures_is_exactly_zero():
    rng = np.random.default_rng(16)
    x, a = rng.random((9, 3)), rng.random(9)
    for epsilon in (0.1, 1.0):
        assert sinkhorn_divergence(x, x, a, a, epsilon=epsilon, p=2) == 0.0
        assert sinkhorn_divergence(x, x.copy(), epsilon=epsilon) == 0.0


def test_sinkhorn_divergence_of_diracs_is_the_cost():
    for epsilon in (1e-3, 1.0, 50.0):
        for p, value in ((1, 5.0), (2, 25.0)):
            divergence = sinkhorn_divergence([[0, 0]], [[3, 4]], epsilon=epsilon, p=p)
            assert divergence == pytest.approx(value, rel=1e-14, abs=0)


def test_sinkhorn_divergence_is_symmetric_and_not_negative():
    rng = np.random.default_rng(17)
    x, y = rng.random((7, 2)), rng.random((5, 2))
    there = sinkhorn_divergence(x, y, epsilon=0.1, p=2, tol=1e-10)
    back = sinkhorn_divergence(y, x, epsilon=0.1, p=2, tol=1e-10)
    # Sinkhorn makes the rows exact and stops on the columns: equal to its tolerance.
    assert there == pytest.approx(back, rel=1e-8)
    assert there > 0


def test_sinkhorn_divergence_that_does_not_converge_is_refused(monkeypatch):
    impatient = replace(registry.named("sinkhorn"), max_iter=1)
    monkeypatch.setattr(registry, "SOLVERS", (impatient,))
    rng = np.random.default_rng(18)
    x, y = rng.random((7, 2)), rng.random((5, 2))
    with pytest.raises(NotCertifiedError, match="did not converge") as caught:
        sinkhorn_divergence(x, y, epsilon=1e-9)
    assert caught.value.result.status is Status.MAX_ITER


# -------------------------------------------------------------------- all the rest


def test_results_are_reproducible():
    rng = np.random.default_rng(19)
    problem = Problem.from_cost(rng.integers(0, 4, (7, 8)))
    first, second = solve(problem), solve(problem)
    assert (plan_of(first) == plan_of(second)).all()
    assert (first.potentials[0] == second.potentials[0]).all()
    assert first.n_iter == second.n_iter


def test_progress_needs_no_change_of_the_call():
    problem = Problem.from_cost(np.random.default_rng(20).random((5, 5)))
    assert solve(problem, progress=True).value == solve(problem).value
    entropic = solve(problem, method="sinkhorn", progress=True)
    assert entropic.value == solve(problem, method="sinkhorn").value


def test_results_read_well():
    result = solve(Problem([0.0, 1.0], [0.0, 3.0], p=2))
    assert repr(result).startswith("Result(optimal, value=2 in [2, 2], distance=1.41")
    assert repr(result.certificate).startswith("Certificate(lower=2, upper=2, gap=")
    assert repr(result.certificate).endswith(", is_coupling=True, is_optimal=True)")
    assert result.relative_gap <= 1e-13
    assert result.method == "line"
