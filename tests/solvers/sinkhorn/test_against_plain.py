"""Entropic solves against a plain iteration in NumPy: they end where it ends, and agree."""

import numpy as np
import pytest
from conftest import JIT_OFF

from otdist import Problem, Status, solve

N_PROBLEMS = 10 if JIT_OFF else 100


def log_sums(logs, axis):
    top = logs.max(axis=axis, keepdims=True)
    return (top + np.log(np.exp(logs - top).sum(axis=axis, keepdims=True))).squeeze(axis)


def plain(cost, a, b, epsilon, tol, max_iter):
    """Sinkhorn's iteration in the log domain: (potentials, whether it converged)."""
    log_a, log_b, g = np.log(a), np.log(b), np.zeros(len(b))
    for _ in range(max_iter):
        f = -log_sums(log_b + g - cost / epsilon, axis=1)
        next_g = -log_sums((log_a + f)[:, None] - cost / epsilon, axis=0)
        if b @ np.abs(np.expm1(np.minimum(g - next_g, 700))) <= tol * a.sum():
            return (epsilon * f, epsilon * g), True
        g = next_g
    return (epsilon * f, epsilon * next_g), False


def plan_of(cost, a, b, potentials, epsilon):
    f, g = potentials
    return a[:, None] * b * np.exp((f[:, None] + g - cost) / epsilon)


def worst_of(plan, a, b):
    """The largest error of a row or column, as a part of its own weight."""
    return max(np.abs(plan.sum(axis=1) / a - 1).max(), np.abs(plan.sum(axis=0) / b - 1).max())


def rounding(cost, epsilon):
    """Relative error of entries that the rounding of exponents may leave."""
    return 1e-14 * (1 + np.abs(cost).max() / epsilon)


def dominant(rng, n):
    """One atom with nearly all the mass; the others are equal, or random."""
    weights = np.ones(n) if rng.random() < 0.5 else rng.random(n) + 0.01
    weights[rng.integers(n)] = 0.0
    weights *= (1 - rng.uniform(0.9, 0.999)) / max(weights.sum(), 1e-9)
    return np.where(weights == 0, 1 - weights.sum(), weights)


def spread(rng, n):
    """Weights that are uniform, or over some orders of magnitude."""
    weights = 10.0 ** rng.uniform(-rng.choice([0, 1, 8]), 0, n)
    return weights / weights.sum()


def costs(rng, n, m):
    kinds = (
        lambda: rng.random((n, m)),
        lambda: np.ones((n, m)),
        lambda: rng.integers(0, 4, (n, m)).astype(float),
        lambda: np.abs(rng.normal(size=(n, 1)) - rng.normal(size=m)),
        lambda: rng.exponential(size=(n, m)) ** 3,
        lambda: ((rng.normal(size=(n, 1, 32)) - rng.normal(size=(m, 32))) ** 2).sum(axis=2),
    )
    return kinds[rng.integers(len(kinds))]()


@pytest.mark.parametrize("weights", [dominant, spread])
def test_solves_end_where_a_plain_iteration_ends_and_agree(weights):
    early, apart = [], []
    for k in range(N_PROBLEMS):
        rng = np.random.default_rng([k, 7])
        n, m = rng.integers(1, 41, 2) if k % 2 else rng.permutation([k % 3 + 1, k % 40 + 1])
        cost, a, b = costs(rng, n, m), weights(rng, n), weights(rng, m)
        epsilon = (a @ cost @ b or 1.0) * 10 ** rng.uniform(-3, 1)
        tol = 10 ** rng.uniform(-12, -4)
        problem = Problem.from_cost(cost, a, b)
        a, b = problem.a, problem.b
        result = solve(problem, method="sinkhorn", epsilon=epsilon, tol=tol)
        wanted, converges = plain(cost, a, b, epsilon, tol, max_iter=300)
        if not result.success:
            early.append(k)
            continue
        plan = plan_of(cost, a, b, result.potentials, epsilon)
        assert worst_of(plan, a, b) <= 11 * tol + 10 * rounding(cost, epsilon), k
        if converges:
            value, other = result.regularized_value, a @ wanted[0] + b @ wanted[1]
            allowed = 2 * tol * cost.max() + 1e-12 * (cost.max() + epsilon)
            if abs(value - other) > allowed:
                apart.append(k)
    assert early == apart == []


def test_a_dominant_column_ends_in_a_few_passes():
    """Newton's method ended at the rounding of single precision, above the tolerance."""
    cost = np.random.default_rng(19).random((2, 12))
    b = np.array([0.9] + [0.1 / 11] * 11)
    for problem in (
        Problem.from_cost(cost, [0.9, 0.1], b),
        Problem.from_cost(np.ones((1, 12)), [1.0], b),
    ):
        result = solve(problem, method="sinkhorn", epsilon=0.3, tol=1e-7)
        assert result.success, result.message
        assert result.n_iter <= 6


def bump(t, centre, width):
    weights = np.exp(-0.5 * ((t - centre) / width) ** 2)
    return weights / weights.sum()


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("other", [(0.6, 0.08), (0.6, 0.15), (0.7, 0.1)])
def test_histograms_at_a_small_epsilon(p, other):
    """Links of the plan that carry almost no mass decide where its parts stand."""
    t = np.linspace(0, 1, 50)
    cost, epsilon = np.abs(t[:, None] - t) ** p, 1e-6
    a, b = bump(t, 0.2, 0.05), bump(t, *other)
    result = solve(Problem.from_cost(cost, a, b), method="sinkhorn", epsilon=epsilon)
    assert result.status is Status.CONVERGED, result.message
    assert result.n_iter < 60
    plan = plan_of(cost, a, b, result.potentials, epsilon)
    assert worst_of(plan, a, b) <= 1.1e-5


def test_links_that_were_lost_are_found():
    """Little mass crosses between two clusters, at a cost of some 1e4 epsilon."""
    for k in range(2 if JIT_OFF else 20):
        rng = np.random.default_rng([k, 5])
        n, m = rng.integers(2, 6, 2)
        x = np.concatenate([rng.normal(size=(n, 2)), rng.normal(size=(m, 2)) + 6])
        y = np.concatenate([rng.normal(size=(n, 2)), rng.normal(size=(m, 2)) + 6])
        a, crossing = rng.dirichlet(np.ones(n + m)), 10 ** rng.uniform(-5, -3)
        b = np.concatenate(
            [
                rng.dirichlet(np.ones(n)) * (a[:n].sum() - crossing),
                rng.dirichlet(np.ones(m)) * (a[n:].sum() + crossing),
            ]
        )
        epsilon = 10 ** rng.uniform(-5, -3)
        result = solve(Problem(x, y, a, b), method="sinkhorn", epsilon=epsilon, tol=1e-8)
        assert result.success, (k, result.message)
        assert result.n_iter < 400


def test_columns_of_little_mass_are_as_right_as_others():
    """Entries in columns with less than `tol` of the mass were off by a third."""
    for k in range(20):
        rng = np.random.default_rng([k, 3])
        cost, a, b = rng.random((9, 15)), np.full(9, 1 / 9), 10.0 ** -np.linspace(0, 12, 15)
        b, epsilon, tol = b / b.sum(), 10 ** rng.uniform(-2, 0), 1e-5
        result = solve(Problem.from_cost(cost, a, b), method="sinkhorn", epsilon=epsilon, tol=tol)
        potentials, _ = plain(cost, a, b, epsilon, 1e-14, max_iter=3000)
        exact = plan_of(cost, a, b, potentials, epsilon)
        off = np.abs(result.plan.toarray() - exact).sum(axis=0) / b
        assert off.max() <= 10 * tol


def test_pixels_of_little_mass_are_as_right_as_others():
    t = np.linspace(0, 1, 24)
    A = np.multiply.outer(bump(t, 0.3, 0.08), bump(t, 0.3, 0.08))
    B = np.multiply.outer(bump(t, 0.6, 0.06), bump(t, 0.7, 0.06))
    problem = Problem.on_grid(A / A.sum(), B / B.sum(), p=2)
    for epsilon in (10.0, 1.0):
        result = solve(problem, method="sinkhorn", epsilon=epsilon, tol=1e-7)
        cost = problem.geometry.rows(0, 576)
        plan = plan_of(cost, problem.a, problem.b, result.potentials, epsilon)
        assert worst_of(plan, problem.a, problem.b) <= 1.1e-6


@pytest.mark.parametrize("tol", [1.2e-7, 3e-8])
def test_symmetric_problems_leave_single_precision(tol):
    rng = np.random.default_rng(11)
    x, a = rng.normal(size=(40, 32)), dominant(rng, 40)
    problem = Problem(x, x, a, a)
    assert problem.is_symmetric
    result = solve(problem, method="sinkhorn", epsilon=2.0, tol=tol)
    assert result.success, result.message
    assert result.n_iter < 60


def test_an_iteration_stalls_only_at_the_rounding_of_doubles():
    rng = np.random.default_rng(12)
    cost = rng.random((30, 20))
    problem = Problem.from_cost(cost)
    result = solve(problem, method="sinkhorn", epsilon=0.01, tol=0.0, max_iter=2000)
    assert result.status in (Status.NOT_PROVED, Status.CONVERGED)
    assert result.n_iter < 400
    plan = plan_of(cost, problem.a, problem.b, result.potentials, 0.01)
    assert worst_of(plan, problem.a, problem.b) <= 10 * rounding(cost, 0.01)
