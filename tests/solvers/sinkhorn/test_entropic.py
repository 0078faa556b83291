"""The entropic engine from inside: powers, passes, Newton's steps, annealing."""

import math

import knobs
import numpy as np
import pytest
from checks import assert_brackets
from conftest import JIT_OFF
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.instances import make, make_points
from otdist import InputError, Problem, Result, Status, certify, solve
from otdist.compiled import exp2 as exponential
from otdist.solvers.registry import Options
from otdist.solvers.sinkhorn import annealing
from otdist.solvers.sinkhorn import coarsen as coarse
from otdist.solvers.sinkhorn.acceleration import Anderson
from otdist.solvers.sinkhorn.annealing import Anneal
from otdist.solvers.sinkhorn.newton import Balance
from otdist.solvers.sinkhorn.sweeps import Pairs

EPS = float(np.finfo(float).eps)
METRICS = ("euclidean", "cityblock", "chebyshev", "sqeuclidean")


@pytest.fixture(autouse=True, scope="module")
def no_scaling():
    """Problems are solved in the log domain, also where they need no logarithms."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(knobs.SCALING_MOST_ENTRIES, 0)
        yield


def clouds(n=30, m=41, d=2, seed=0):
    rng = np.random.default_rng(seed)
    a, b = rng.random(n) + 0.1, rng.random(m) + 0.1
    x, y = rng.random((n, d)), rng.random((m, d)) + 0.2
    return x, y, a / a.sum(), b / b.sum()


def plan_of(problem, f, g, epsilon):
    """The plan of potentials without masses, in NumPy."""
    exponent = (f[:, None] + g - problem.geometry.dense()) / epsilon
    return problem.a[:, None] * problem.b * np.exp(exponent)


def marginal_error(problem, plan):
    off = np.abs(plan.sum(axis=1) - problem.a).sum()
    return off + np.abs(plan.sum(axis=0) - problem.b).sum()


# ---------------------------------------------------------------------------- powers


def powers(t):
    """Two to the t by the kernel, in the precision of t."""
    from numba import njit

    soft_row = exponential.soft_row
    if JIT_OFF:
        out = np.empty_like(t)
        soft_row(-t, np.zeros_like(t), t.dtype.type(0), t.dtype.type(1), out)
        return out

    @njit
    def compute(costs, g, f, scale, out):
        return soft_row(costs, g, f, scale, out)

    out = np.empty_like(t)
    zero, one = t.dtype.type(0), t.dtype.type(1)
    compute(-t, np.zeros_like(t), zero, one, out)
    return out


@pytest.mark.parametrize(
    "kind, low, high, bound",
    [(np.float64, -1021.9, 1022.9, 1e-13), (np.float32, -125.9, 126.9, 4e-7)],
)
def test_powers_of_two_over_the_whole_range(kind, low, high, bound):
    rng = np.random.default_rng(0)
    grid = np.concatenate(
        [
            np.linspace(low, high, 20_001),
            rng.uniform(low, high, 20_000),
            np.arange(math.ceil(low), math.floor(high) + 1),
            np.arange(math.ceil(low), math.floor(high)) + 0.5,
            rng.uniform(-2, 2, 20_000),
        ]
    ).astype(kind)
    found = powers(grid).astype(float)
    error = np.abs(found / np.exp2(grid.astype(float)) - 1)
    assert error.max() <= bound
    assert found[grid == 0] == pytest.approx(1.0, abs=bound)


@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_powers_that_underflow_are_zero_and_none_overflows(kind):
    far = np.array([-math.inf, -1e30, -1e4, 1e4, 1e30] * 10, dtype=kind)
    found = powers(far)
    assert (found[far < 0] == 0).all()
    assert np.isfinite(found).all()
    assert (found[far > 0] > 1e30).all()


@pytest.mark.parametrize("kind", [np.float64, np.float32])
@pytest.mark.parametrize("n", [1, 15, 16, 31, 32, 33, 100])
def test_a_row_is_added_up(kind, n):
    from numba import njit

    soft_row = exponential.soft_row

    @njit
    def compute(costs, g, f, scale, out):
        return soft_row(costs, g, f, scale, out)

    rng = np.random.default_rng(n)
    costs, g = (rng.random(n).astype(kind) for _ in range(2))
    out = np.empty(n, kind)
    run = soft_row if JIT_OFF else compute
    total = run(costs, g, kind(0.25), kind(3.0), out)
    exact = np.exp2(3.0 * (0.25 + g.astype(float) - costs))
    rel = 2e-6 if kind is np.float32 else 1e-14
    assert out == pytest.approx(exact, rel=rel)
    assert total == pytest.approx(exact.sum(), rel=rel)


# ---------------------------------------------------------------------------- passes


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("d", [1, 2, 3, 5])
def test_a_pass_is_an_iteration(metric, single, d):
    x, y, a, b = clouds(d=d)
    p = 1 if metric == "sqeuclidean" else 1.5
    problem = Problem(x, y, a, b, metric=metric, p=p)
    rng = np.random.default_rng(1)
    epsilon = 0.1 * problem.geometry.largest
    f, g = (0.1 * epsilon * rng.normal(size=n) for n in problem.shape)
    for geometry in (
        problem.geometry,
        Problem.from_cost(problem.geometry.dense()).geometry,
    ):
        found = Pairs(geometry, a).sweep(
            f + epsilon * np.log(a), g + epsilon * np.log(b), epsilon, single=single
        )
        kernel = b * np.exp((g - problem.geometry.dense()) / epsilon)
        exact = -epsilon * np.log(kernel.sum(axis=1))
        rel = 1e-5 if single else 1e-13
        scale = problem.geometry.largest
        assert found.f - epsilon * np.log(a) == pytest.approx(exact, abs=rel * scale)
        columns = plan_of(problem, exact, g, epsilon).sum(axis=0)
        assert found.columns == pytest.approx(columns, rel=10 * rel)


@pytest.mark.parametrize("single", [False, True])
def test_rows_that_are_lost_are_found_again(single):
    """Potentials so far off that all exponentials over- or underflow."""
    x, y, a, b = clouds()
    problem = Problem(x, y, a, b)
    pairs = Pairs(problem.geometry, a)
    good = pairs.sweep(np.zeros(30), np.zeros(41), 0.01)
    for off in (-1e5, 1e5, np.linspace(-1e4, 1e4, 30)):
        found = pairs.sweep(np.zeros(30) + off, np.zeros(41), 0.01, single=single)
        assert found.f == pytest.approx(good.f, abs=1e-6)
        assert found.columns == pytest.approx(good.columns, rel=1e-3)


def test_sums_do_not_depend_on_threads():
    x, y, a, b = clouds(100, 90)
    problem = Problem(x, y, a, b)
    results = [solve(problem, method="sinkhorn", epsilon=0.05, n_jobs=n_jobs) for n_jobs in (1, 2)]
    assert results[0].value == results[1].value
    assert (results[0].potentials[1] == results[1].potentials[1]).all()


# ---------------------------------------------------------------------------- blocks


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("level", [1e-10, 1e-3, 0.05])
def test_blocks_hold_the_larger_entries(single, level):
    x, y, a, b = clouds(30, 75)
    problem = Problem(x, y, a, b)
    epsilon = 0.02
    pairs = Pairs(problem.geometry, a)
    found = pairs.sweep(np.zeros(30), epsilon * np.log(b), epsilon, single=single, level=level)
    blocks = found.blocks
    part = np.exp((found.f[:, None] + epsilon * np.log(b) - problem.geometry.dense()) / epsilon)
    part /= a[:, None]
    dense = np.zeros((30, 80))
    for rows, pool in blocks.parts:
        for i in range(rows.start, rows.stop):
            for k in range(pool.start[i], pool.start[i + 1]):
                place = exponential.WIDTH * int(pool.place[k])
                dense[i, place : place + exponential.WIDTH] = pool.values[k]
    assert (dense[:, 75:] == 0).all()
    dense = dense[:, :75]
    rel = 1e-5 if single else 1e-6
    kept = dense > 0
    assert dense[kept] == pytest.approx(part[kept], rel=rel)
    assert (part[~kept] < level * (1 + rel)).all()
    left = np.where(kept, 0.0, part)
    assert blocks.rest_rows == pytest.approx(left.sum(axis=1), rel=1e-4, abs=1e-12)
    wanted = (a[:, None] * left).sum(axis=0)
    assert blocks.rest_columns == pytest.approx(wanted, rel=1e-3, abs=1e-7)
    assert blocks.reach() == pytest.approx((1 / (dense**2).sum(axis=1)).mean(), rel=1e-4)


def test_newton_balances_the_columns():
    x, y, a, b = clouds(60, 50)
    problem = Problem(x, y, a, b)
    for epsilon in (0.5, 0.05):
        pairs = Pairs(problem.geometry, a)
        f, g = np.zeros(60), epsilon * np.log(b)
        found = pairs.sweep(f, g, epsilon, level=1e-10)
        log_u, log_v, error = Balance(found.blocks, a, b).solve(1e-9, 60)
        f, g = found.f + epsilon * log_u, g + epsilon * log_v
        plan = np.exp((f[:, None] + g - problem.geometry.dense()) / epsilon)
        before = np.abs(found.columns - b).sum()
        assert error < 1e-3 * before
        assert marginal_error(problem, plan) <= error + 1e-5


def test_newton_steps_do_not_lower_the_dual_objective():
    x, y, a, b = clouds(60, 50)
    problem = Problem(x, y, a, b)
    pairs = Pairs(problem.geometry, a)
    found = pairs.sweep(np.zeros(60), 0.003 * np.log(b), 0.003, level=1e-10)
    balance = Balance(found.blocks, a, b)
    state = balance._scaled(np.zeros(50))
    for _ in range(15):
        new = balance._step(state)
        assert new.objective >= state.objective - 1e-12 or new.error < state.error
        state = new


def test_too_many_blocks_are_not_kept(monkeypatch):
    """Then the iteration goes on alone, with the same result."""
    x, y, a, b = clouds(60, 50)
    problem = Problem(x, y, a, b)
    newton = solve(problem, method="sinkhorn", epsilon=0.05, tol=1e-9)
    monkeypatch.setattr(knobs.SWEEPS_KEPT_FROM, 0)
    alone = solve(problem, method="sinkhorn", epsilon=0.05, tol=1e-9)
    assert alone.success
    assert alone.value == pytest.approx(newton.value, rel=1e-7)
    assert alone.n_iter > newton.n_iter
    monkeypatch.undo()
    monkeypatch.setattr(knobs.SWEEPS_KEPT_ENTRIES, 0)
    monkeypatch.setattr("otdist.solvers.sinkhorn.sweeps.Pairs._room", small_room)
    full = solve(problem, method="sinkhorn", epsilon=0.05, tol=1e-9)
    assert full.value == pytest.approx(newton.value, rel=1e-7)


def small_room(self):
    """Pools with places for a single row."""
    from otdist.solvers.sinkhorn.kernels.sweep import Pool

    size = self.n_places // exponential.WIDTH
    return [
        Pool(
            np.zeros(self.n + 1, np.int64),
            np.empty(size, np.int32),
            np.empty((size, exponential.WIDTH), np.float32),
        )
        for _ in self._parts
    ]


# ------------------------------------------------------------------------- annealing


def test_any_epsilon_converges_or_says_why_not():
    n = 15 if JIT_OFF else 60
    x, y, a, b = clouds(n, n + 7)
    for problem in (
        Problem(x, y, a, b, p=2),
        Problem(x, y, a, b),
        Problem.from_cost(np.random.default_rng(3).random((n, n))),
    ):
        mean = float(problem.a @ problem.geometry.dense() @ problem.b)
        truth = solve(problem).value
        for part in (1e3, 1.0, 1e-2, 1e-4, 1e-6):
            result = solve(problem, method="sinkhorn", epsilon=part * mean)
            assert math.isfinite(result.regularized_value) or not result.success
            assert all(np.isfinite(u).all() for u in result.potentials)
            assert_brackets(result, truth)
            assert result.success or result.status in (Status.MAX_ITER, Status.NOT_PROVED)
            assert result.value > 0


@pytest.mark.parametrize("family", ["clustered_2", "gaussian_16", "uniform_2"])
def test_nearly_disconnected_plans(family):
    """Weak links between parts of a plan: 1e-10 of a row decides where they stand."""
    n = 40 if JIT_OFF else 300
    problem = make_points(family, n).problem()
    mean = float(problem.geometry.dense().mean())
    result = solve(problem, method="sinkhorn", epsilon=1e-4 * mean, tol=1e-6)
    assert result.success, result.message
    assert result.n_iter < 100
    epsilon = 1e-4 * mean
    f, g = result.potentials
    plan = plan_of(problem, f, g, epsilon)
    assert marginal_error(problem, plan) <= 1.1e-6
    assert_brackets(result, solve(problem).value)


def test_a_weight_that_is_too_far_is_taken_nearer(monkeypatch):
    monkeypatch.setattr(knobs.ANNEALING_RATIO, 1e3)
    n = 40 if JIT_OFF else 200
    problem = make("random_costs", n).problem()
    result = solve(problem, method="sinkhorn", epsilon=1e-5, tol=1e-6)
    assert result.success, result.message


def test_masses_over_many_orders():
    """Single precision would lose masses of 1e-30: it is not used then."""
    n = 20
    rng = np.random.default_rng(4)
    a = 10.0 ** -np.linspace(0, 60, n)
    a /= a.sum()
    problem = Problem(rng.random((n, 2)), rng.random((n, 2)), a, a[::-1].copy())
    result = solve(problem, method="sinkhorn", epsilon=0.05, tol=1e-9)
    assert result.success
    plan = plan_of(problem, *result.potentials, 0.05)
    assert np.abs(plan.sum(axis=1) / problem.a - 1).max() < 1e-9
    assert_brackets(result, solve(problem).value)


@given(st.integers(-60, 60))
def test_powers_of_two_change_only_the_exponent(k):
    x, y, a, b = clouds(12, 15)
    once = solve(Problem(x, y, a, b), method="sinkhorn", epsilon=0.05)
    scale = 2.0**k
    problem = Problem(scale * x, scale * y, a, b)
    scaled = solve(problem, method="sinkhorn", epsilon=0.05 * scale)
    assert scaled.value == pytest.approx(scale * once.value, rel=1e-9)
    assert scaled.n_iter == once.n_iter


def test_coarse_starts_change_no_result(monkeypatch):
    n = 60 if JIT_OFF else 700
    problem = make_points("gaussian_3", n).problem()
    plain = solve(problem, method="sinkhorn", epsilon=0.05, tol=1e-8)
    monkeypatch.setattr(knobs.SINKHORN_COARSE_FROM, 0)
    monkeypatch.setattr(knobs.SINKHORN_FEWEST, 8)
    started = solve(problem, method="sinkhorn", epsilon=0.05, tol=1e-8)
    assert started.success
    assert started.value == pytest.approx(plain.value, rel=1e-6)
    for one, other in zip(plain.potentials, started.potentials, strict=True):
        assert one - one.mean() == pytest.approx(other - other.mean(), abs=1e-5)
    # The plan is that of the points as given, not of those in order.
    cost = problem.geometry.dense()
    assert started.value == pytest.approx(float((started.plan.toarray() * cost).sum()), rel=1e-12)


def test_a_coarse_start_is_near(monkeypatch):
    """One pass from it leaves a small part of the error that zeros leave."""
    monkeypatch.setattr(knobs.SINKHORN_COARSE_FROM, 0)
    monkeypatch.setattr(knobs.SINKHORN_FEWEST, 8)
    problem = make_points("gaussian_2_p2", 300).problem()
    target = 0.02 * problem.geometry.largest
    options = Options(tol=1e-6, max_iter=1000)
    start = coarse.begin(problem, target, options)
    anneal, nothing = Anneal(problem, options), np.zeros(300)
    near, far = (
        anneal._pass(nothing, g, start.epsilon, rough=False)[0].error for g in (start.g, nothing)
    )
    assert near < 0.3 * far


def test_a_coarse_start_of_points_on_the_line(monkeypatch):
    monkeypatch.setattr(knobs.SINKHORN_COARSE_FROM, 0)
    monkeypatch.setattr(knobs.SINKHORN_FEWEST, 8)
    rng = np.random.default_rng(5)
    problem = Problem(rng.normal(size=80), rng.normal(size=90) + 1, p=2)
    result = solve(problem, method="sinkhorn", epsilon=0.01)
    assert result.success
    assert_brackets(result, solve(problem).value)


def test_anderson_finds_a_fixed_point_and_returns_from_bad_steps():
    rng = np.random.default_rng(6)
    rotation, _ = np.linalg.qr(rng.normal(size=(20, 20)))
    matrix = rotation @ np.diag(np.linspace(0, 0.95, 20)) @ rotation.T
    wanted = rng.normal(size=20)
    g, anderson = np.zeros(20), Anderson(np.ones(20))
    plain = np.zeros(20)
    for _ in range(30):
        mapped = wanted + matrix @ (g - wanted)
        g = anderson.next(g, mapped, float(np.abs(mapped - g).sum()))
        plain = wanted + matrix @ (plain - wanted)
    assert np.abs(g - wanted).max() < 1e-4
    assert np.abs(plain - wanted).max() > 1e-2
    best = wanted + matrix @ (g - wanted)
    anderson.next(g, best, 1e-9)
    assert (anderson.next(g + 100, g + 100, 1.0) == best).all()


# --------------------------------------------------- brackets as narrow as asked for


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("tol", [1e-1, 1e-2, 1e-3])
def test_epsilon_is_lowered_until_the_bracket_is_narrow(p, tol):
    n = 15 if JIT_OFF else 100
    x, y, a, b = clouds(n, n + 11)
    problem = Problem(x, y, a, b, p=p)
    result = solve(problem, method="sinkhorn", tol=tol)
    assert result.success, result.message
    assert result.relative_gap <= tol
    assert f"within tol={tol:g}" in result.message or result.status is Status.OPTIMAL
    assert_brackets(result, solve(problem).value)
    again = certify(problem, result.plan, result.potentials[0])
    assert (again.lower, again.upper) == (result.lower, result.upper)


def test_a_bracket_that_cannot_be_had_says_so():
    x, y, a, b = clouds(20, 20)
    result = solve(Problem(x, y, a, b), method="sinkhorn", tol=0.0, max_iter=300)
    assert not result.success or result.relative_gap == 0
    assert "use method='network_simplex'" in result.message or result.status is Status.OPTIMAL
    assert result.lower <= result.value


def test_equal_measures_need_no_gap():
    x, _, a, _ = clouds(20)
    result = solve(Problem(x, x, a, a), method="sinkhorn", tol=1e-3)
    assert isinstance(result, Result)
    assert result.lower <= 0.0 + 1e-15
    assert result.value >= 0


def test_potentials_are_handed_to_the_exact_engine():
    n = 20 if JIT_OFF else 400
    problem = make_points("gaussian_2", n).problem()
    rough = solve(problem, method="sinkhorn", tol=1e-2)
    cold = solve(problem, method="network_simplex")
    warm = solve(problem, method="network_simplex", warm_start=rough)
    assert warm.status is Status.OPTIMAL
    assert warm.value == pytest.approx(cold.value, rel=1e-12)


def test_limits_on_time_and_iterations_are_kept():
    x, y, a, b = clouds(60, 60)
    problem = Problem(x, y, a, b)
    result = solve(problem, method="sinkhorn", epsilon=0.001, time_limit=0.0)
    assert result.status is Status.TIME_LIMIT
    assert result.n_iter == 0
    assert_brackets(result, solve(problem).value)
    counts = []

    def report(n_iter, gap):
        counts.append(n_iter)

    options = Options(tol=1e-6, max_iter=3, report=report)
    anneal = Anneal(problem, options)
    state = anneal.run(np.zeros(60), np.zeros(60), 1.0, 1e-4)
    assert not state.finished
    assert anneal.n_iter <= 4
    assert counts == sorted(counts)


def test_single_precision_is_left_out_where_it_would_not_do():
    """A cost matrix of 1e39 has no room in single precision, and tiny ones neither."""
    rng = np.random.default_rng(7)
    cost = rng.random((8, 9))
    once = solve(Problem.from_cost(cost), method="sinkhorn", epsilon=0.02)
    for scale in (2.0**150, 2.0**-150):
        result = solve(Problem.from_cost(scale * cost), method="sinkhorn", epsilon=0.02 * scale)
        assert result.value == pytest.approx(scale * once.value, rel=1e-12)


def test_a_weight_too_small_to_begin_with_is_begun_higher():
    """Potentials that pass the first look may still be too far from the optimum."""
    n = 40 if JIT_OFF else 300
    problem = make_points("gaussian_2", n).problem()
    mean = float(problem.geometry.dense().mean())
    anneal = Anneal(problem, Options(tol=1e-6, max_iter=1000))
    state = anneal.run(np.zeros(n), np.zeros(n), 1e-4 * mean, 1e-4 * mean)
    assert state.finished
    assert state.epsilon == 1e-4 * mean


def test_a_bracket_reached_at_a_limit_is_a_success():
    problem = make_points("gaussian_2_p2", 40).problem()
    for max_iter in range(1, 12):
        result = solve(problem, method="sinkhorn", tol=0.5, max_iter=max_iter)
        assert result.success == (result.relative_gap <= 0.5)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("p", [1, 2, 1.5])
def test_compiled_certificates_agree_with_numpy(metric, p, monkeypatch):
    if metric == "sqeuclidean" and p != 1:
        return
    x, y, a, b = clouds(n=12, m=9)
    problem = Problem(x, y, a, b, metric=metric, p=p)
    result = solve(problem, method="sinkhorn", epsilon=0.1)
    monkeypatch.setattr(knobs.CHECKERS_COMPILED_PAIRS, 0)
    again = certify(problem, result.plan, result.potentials[0])
    assert again.upper == pytest.approx(result.upper, rel=1e-14)
    assert again.marginal_error == pytest.approx(0.0, abs=1e-14)

    class Wrong:
        shape = problem.shape

        def rows(self, start, stop):
            return result.plan.rows(start, stop) - 1.0

    with pytest.raises(ValueError, match="a plan holds masses"):
        certify(problem, Wrong(), result.potentials[0])


def test_points_far_from_the_origin_lose_nothing_in_single_precision():
    x, y, a, b = clouds(60, 50)
    here = solve(Problem(x, y, a, b), method="sinkhorn", epsilon=0.01)
    far = solve(Problem(x + 2.0**24, y + 2.0**24, a, b), method="sinkhorn", epsilon=0.01)
    assert far.n_iter <= here.n_iter + 1
    assert far.value == pytest.approx(here.value, rel=1e-6)


@pytest.mark.parametrize("tol", [1e-9, 1e-5])
def test_easy_problems_need_the_iteration_alone(tol, monkeypatch):
    """Rows much alike: no plan is kept, and no Newton step is made."""
    problem = make("random_costs", 60).problem()
    mean = float(problem.geometry.cost.mean())
    monkeypatch.setattr("otdist.solvers.sinkhorn.annealing.Balance", None)
    result = solve(problem, method="sinkhorn", epsilon=0.3 * mean, tol=tol)
    assert result.success
    assert marginal_error(problem, result.plan.toarray()) < 1e-12
    assert result.n_iter < 15


def test_problems_that_seem_easy_go_on_by_newton_steps(monkeypatch):
    problem = make_points("uniform_2", 60).problem()
    epsilon = 0.02 * problem.geometry.largest
    wanted = solve(problem, method="sinkhorn", epsilon=epsilon, tol=1e-9)
    # Everything seems easy, and takes few passes all the same.
    monkeypatch.setattr(knobs.ANNEALING_TOO_FAR, np.inf)
    first = Anneal.first

    def easy(self, target):
        found = first(self, target)
        self.is_fast = True
        return found

    monkeypatch.setattr(Anneal, "first", easy)
    result = solve(problem, method="sinkhorn", epsilon=epsilon, tol=1e-9)
    assert result.success
    assert result.value == pytest.approx(wanted.value, rel=1e-8)
    assert result.n_iter < 2 * wanted.n_iter + 20


def test_weights_far_above_the_costs():
    x, y, a, b = clouds()
    for scale in (1e-30, 1.0, 1e30):
        problem = Problem(scale * x, scale * y, a, b)
        product = a @ problem.geometry.dense() @ b
        result = solve(problem, method="sinkhorn", epsilon=0.9e9 * problem.geometry.largest)
        assert result.value == pytest.approx(product, rel=1e-8)
        assert result.regularized_value == pytest.approx(product, rel=1e-6)
        assert result.lower < result.upper
        with pytest.raises(InputError, match="so far above the costs"):
            solve(problem, method="sinkhorn", epsilon=1e10 * problem.geometry.largest)
    # Where all costs are 0 there is nothing to be far above.
    nothing = Problem(0 * x, 0 * y, a, b)
    assert solve(nothing, method="sinkhorn", epsilon=1e299).value == 0
    with pytest.raises(InputError, match="at most 1e\\+300"):
        solve(nothing, method="sinkhorn", epsilon=1e301)


def test_potentials_are_followed_along_their_line():
    def at(epsilon):
        f, g = np.array([1.0, 2.0]) + 3 * epsilon, np.array([4.0]) - epsilon
        return annealing.State(f, g, epsilon, g, 0.0, 0.0, True)

    f, g = annealing._extrapolated(at(0.5), at(0.2), 0.08)
    assert f == pytest.approx(at(0.08).f)
    assert g == pytest.approx(at(0.08).g)
    f, g = annealing._extrapolated(None, at(0.2), 0.08)
    assert f == pytest.approx(at(0.2).f)


@pytest.mark.parametrize("mass", [1e-200, 1e-40, 3.402823669209385e38, 1e100])
def test_masses_that_single_precision_does_not_hold(mass):
    """Potentials were NaN where the sum of the weights overflows in float32."""
    x, y = np.array([[0.0], [0.3], [1.0]]), np.array([[0.1], [0.9]])
    a, b = np.array([0.25, 0.25, 0.5]), np.array([0.5, 0.5])
    for points, p in (((x, y), 2), ((x @ [[1, 1]], y @ [[1, 1]]), 1)):
        near = solve(Problem(*points, a, b, p=p), method="sinkhorn", epsilon=0.05)
        far = solve(Problem(*points, mass * a, mass * b, p=p), method="sinkhorn", epsilon=0.05)
        assert far.status is Status.CONVERGED
        assert far.lower <= far.value <= far.upper
        # Marginal errors of 1e-6 of the mass pay up to the largest cost, 60 times the mean.
        assert far.value == pytest.approx(mass * near.value, rel=1e-4, abs=0)


@pytest.mark.parametrize("part", [0.0, 2.0**-30])
def test_epsilon_far_from_the_costs_of_the_atoms_with_mass(part):
    """Of all pixels one had mass: epsilon, a part of the largest cost, underflowed in float32."""
    x = 2.0**-26 * np.array([[0.0], [1.0], [1.0 + part]])
    problem = Problem(x, x, [0.0, 0.5, 0.5], [0, 0.75, 0.25], p=5)
    result = solve(problem, method="sinkhorn", max_iter=50)
    assert result.status in (Status.OPTIMAL, Status.CONVERGED, Status.AS_EXACT_AS_INPUT)
    assert result.lower <= result.value <= result.upper < math.inf
