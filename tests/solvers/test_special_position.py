"""Few atoms on a side, copies, points on lines: counts of pivots that show they are easy."""

from __future__ import annotations

import numpy as np
import pytest
from checks import assert_proved, prove, same
from conftest import JIT_OFF

from otdist import Problem, Status, solve
from otdist.problem.copies import merged
from otdist.solvers.coarsen import hierarchy

pytestmark = pytest.mark.skipif(JIT_OFF, reason="sizes for compiled code")


def clouds(n, m, seed=0):
    rng = np.random.default_rng(seed)
    return rng.random((n, 2)), rng.random((m, 2)), rng.dirichlet(np.ones(n)), rng.random(m)


def assert_sums(result):
    """Check that every atom has its mass, up to rounding."""
    problem, plan = result.problem, result.plan.tocsr()
    np.testing.assert_allclose(plan.sum(axis=1), problem.a, rtol=1e-13)
    np.testing.assert_allclose(plan.sum(axis=0), problem.b, rtol=1e-12)


# ----------------------------------------------------------------- few atoms on a side


@pytest.mark.parametrize("m", [1, 2, 3, 10])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("p", [1, 2])
def test_few_points_take_fewer_moves_than_there_are_others(m, weighted, p):
    n = 20_000
    x, y, a, b = clouds(n, m)
    weights = (a, b / b.sum()) if weighted else (None, None)
    one = solve(Problem(x, y, *weights, p=p, normalize=weighted))
    other = solve(Problem(y, x, *weights[::-1], p=p, normalize=weighted))
    cost = one.problem.geometry.dense()
    matrix = solve(Problem.from_cost(cost, one.problem.a, one.problem.b))
    for result in (one, other, matrix):
        assert_proved(result)
        assert_sums(result)
        assert result.n_iter < n / 5
        assert result.plan.nnz <= n + m - 1
        assert result.value == same(one.value)


def test_few_points_and_the_general_search_agree():
    x, y, a, b = clouds(3000, 5, seed=1)
    few = solve(Problem(x, y, a, b, normalize=True))
    # A matrix with a forbidden arc that nobody wants goes the other way.
    cost = np.c_[few.problem.geometry.dense(), np.full(3000, 9.0)]
    cost[0, 5] = np.inf
    general = solve(Problem.from_cost(cost, few.problem.a, [*few.problem.b, 0.0]))
    assert prove(few.problem) == same(assert_proved(general))


def test_ties_between_few_points_leave_no_cycles():
    x = np.zeros((3000, 2))
    x[:, 0] = np.random.default_rng(2).permutation(3000)
    y = np.array([[5.0, s * k] for k in (1, 2, 3, 4) for s in (1, -1)])
    result = solve(Problem(x, y, np.full(3000, 8.0), np.full(8, 3000.0)))
    assert_proved(result)
    assert_sums(result)
    assert result.plan.nnz <= 3000 + 8 - 1


def test_few_points_stop_at_a_limit_with_a_coupling():
    x, y, a, b = clouds(3000, 5, seed=3)
    problem = Problem(x, y, a, b, normalize=True)
    stopped, whole = solve(problem, max_iter=10), solve(problem)
    assert stopped.status is Status.MAX_ITER
    assert stopped.n_iter == 10
    assert stopped.lower <= whole.value <= stopped.upper
    assert stopped.certificate.marginal_error < 1e-13


def test_few_points_begin_from_potentials():
    x, y, a, b = clouds(3000, 5, seed=4)
    for problem in (
        Problem(x, y, a, b, normalize=True),
        Problem(y, x, b, a, normalize=True),
    ):
        whole = solve(problem)
        again = solve(problem, warm_start=whole)
        assert again.n_iter < whole.n_iter / 10
        assert assert_proved(again) == same(whole.value)


# ------------------------------------------------------------------------------ copies


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("p", [1, 2])
def test_copies_of_one_point_are_one_point(weighted, p):
    n = 2500
    x, y, a, b = clouds(n, n)
    x[:] = x[0]
    weights = (a, b / b.sum()) if weighted else (None, None)
    problem = Problem(x, y, *weights, p=p, normalize=weighted)
    result = solve(problem)
    assert result.n_iter == 0
    assert_sums(result)
    f, g = result.potentials
    assert np.ptp(f) == 0.0
    alone = Problem(x[:1], y, [1.0], problem.b / problem.b.sum(), p=p, normalize=True)
    assert assert_proved(result) == same(prove(alone))
    cost = problem.geometry.pairs(np.zeros(n, int), np.arange(n))
    np.testing.assert_allclose(f[0] + g, cost, atol=1e-15)


@pytest.mark.parametrize("p", [1, 2])
def test_copies_on_both_sides_and_the_same_points(p):
    n = 2000
    x, y, a, b = clouds(50, 60, seed=5)
    rng = np.random.default_rng(6)
    i, j = rng.integers(0, 50, n), rng.integers(0, 60, n)
    y[:20] = x[:20]
    a, b = rng.dirichlet(np.ones(n)), rng.dirichlet(np.ones(n))
    result = solve(Problem(x[i], y[j], a, b, p=p, normalize=True))
    assert_sums(result)
    assert result.plan.nnz <= 2 * n - 1
    sums = np.bincount(i, a, 50), np.bincount(j, b, 60)
    assert assert_proved(result) == same(prove(Problem(x, y, *sums, p=p, normalize=True)))


def test_a_warm_start_and_a_limit_go_through_copies():
    x, y, a, b = clouds(2000, 2000, seed=7)
    x[1000:] = x[:1000]
    problem = Problem(x, y, a, b, normalize=True)
    whole = solve(problem)
    again = solve(problem, warm_start=whole)
    assert again.n_iter < whole.n_iter
    assert assert_proved(again) == same(whole.value)
    stopped = solve(problem, max_iter=100)
    assert stopped.status is Status.MAX_ITER
    assert stopped.lower <= whole.value <= stopped.upper
    assert_sums(stopped)


def test_zeros_of_either_sign_are_equal_and_other_points_are_not_merged():
    x, y, _, _ = clouds(2000, 2000)
    assert merged(Problem(x, y)) is None
    x[:, 0] = 0.5
    assert merged(Problem(x, y)) is None
    x[0], x[1] = [0.0, 1.0], [-0.0, 1.0]
    found = merged(Problem(x, y))
    assert found is not None
    assert found.problem.shape == (1999, 2000)
    assert found.of_row[0] == found.of_row[1] == 0


# --------------------------------------------------------------- ties and wide scales


FAMILIES = {
    "line": lambda rng, n: np.outer(rng.random(n), [0.6, 0.8]),
    "two lines": lambda rng, n: rng.random((n, 1)) * np.eye(2)[rng.integers(0, 2, n)],
    "clusters": lambda rng, n: np.outer(rng.integers(0, 20, n) + 1e-3 * rng.random(n), [0.6, 0.8]),
    "powers of 2": lambda rng, n: 2.0 ** rng.uniform(-50, 50, (n, 2)),
    "lattice": lambda rng, n: rng.permutation(np.indices((30, 30)).reshape(2, -1).T)[:n] * 1.0,
}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("p", [1, 2])
def test_ties_take_few_pivots(family, p):
    rng = np.random.default_rng(8)
    n = 900
    x, y = FAMILIES[family](rng, n), FAMILIES[family](rng, n)
    result = solve(Problem(x, y, p=p))
    assert_proved(result)
    assert result.n_iter < 15 * n


def test_one_far_point_leaves_groups_to_the_others():
    x, y, _, _ = clouds(1000, 1000)
    x[0] = 1e9
    problem = Problem(x, y)
    assert len(hierarchy(problem.geometry, problem.a, problem.b)) > 1
