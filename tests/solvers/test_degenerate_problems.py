"""Zeros, ties, duplicates, single atoms, odd arrays: nothing generic, all proved.

Every test runs on both engines of the network simplex method, the one that prices
all arcs and the one for large problems, made to run on small ones.
"""

from __future__ import annotations

import math

import numpy as np
import oracles
import pytest
from checks import (
    EPS,
    assert_agrees_with_highs,
    assert_exact,
    assert_proved,
    assert_same_plan,
    cost_of,
    prove,
    same,
)
from conftest import JIT_OFF
from strategies import random_weights

from otdist import Problem, solve

pytestmark = pytest.mark.usefixtures("engine")

SIZES = [(5, 7), (8, 8)] if JIT_OFF else [(5, 7), (40, 33), (60, 60)]
all_sizes = pytest.mark.parametrize("n, m", SIZES)
METRICS = [
    ("euclidean", 1),
    ("euclidean", 2),
    ("cityblock", 1),
    ("chebyshev", 1),
    ("sqeuclidean", 1),
]
all_metrics = pytest.mark.parametrize("metric, p", METRICS)


def run(problem):
    return solve(problem, method="network_simplex")


# ------------------------------------------------------------------------- weights


def assert_every_atom(result):
    """Check each mass by itself, since 1e-12 of the total would hide one of 1e-14.

    Masses are rounded to 2**-61 of the total, then columns are fitted to theirs.
    """
    problem, plan = result.problem, result.plan.toarray()
    off_a = np.abs(plan.sum(axis=1, dtype=np.longdouble) - problem.a)
    off_b = np.abs(plan.sum(axis=0, dtype=np.longdouble) - problem.b)
    rounded = 2.0**-60 * problem.mass
    assert (off_a <= rounded + 8 * EPS * problem.a).all(), "a row"
    assert (off_b <= 8 * EPS * problem.b).all(), "a column"


def wide_weights(rng, n):
    """Return weights from 1e-14 to 1, both of them included."""
    weights = 10 ** rng.uniform(-14, 0, n)
    weights[rng.permutation(n)[:2]] = 1e-14, 1.0
    return weights


@all_sizes
def test_weights_over_fourteen_decades(n, m):
    rng = np.random.default_rng([1, n])
    x, y, cost = rng.random((n, 2)), rng.random((m, 2)), rng.random((n, m))
    a, b = wide_weights(rng, n), wide_weights(rng, m)
    for problem in (
        Problem.from_cost(cost, a, b, normalize=True),
        Problem(x, y, a, b, normalize=True),
        Problem(x, y, a, b, p=2, normalize=True),
    ):
        result = run(problem)
        assert_proved(result)
        assert_every_atom(result)
        if n * m < 50:
            assert_exact(result.value, problem)


def test_an_atom_check_sees_the_smallest_mass_lost():
    weights = np.array([1e-14, 0.25, 0.75])
    result = run(Problem.from_cost(1 - np.eye(3), weights, weights))
    assert_every_atom(result)
    result.coupling.mass[result.coupling.mass < 1e-13] = 0
    with pytest.raises(AssertionError, match="a row"):
        assert_every_atom(result)


def test_a_mass_of_1e_14_is_moved_exactly():
    """The clouds differ in one weight by 2**-46; all else must stay where it is."""
    rng = np.random.default_rng(2)
    points = rng.integers(-9, 9, (7, 2)) * 1.0
    points[:2] = [0, 30], [5, 42]
    tiny = 2.0**-46
    a, b = np.full(7, 0.125), np.full(7, 0.125)
    a[0] += tiny
    b[1] += tiny
    assert prove(Problem(points, points[::-1], a, b[::-1])) == 13 * tiny
    cost = np.linalg.norm(points[:, None] - points, axis=2)
    assert prove(Problem.from_cost(cost, a, b)) == 13 * tiny


@all_sizes
def test_atoms_without_mass_are_as_if_they_were_not_there(n, m):
    rng = np.random.default_rng([3, n])
    x, y, cost = rng.random((n, 2)), rng.random((m, 2)), rng.random((n, m))
    a, b = rng.integers(1, 9, n), rng.integers(1, 9, m)
    a[rng.permutation(n)[: n // 2]] = b[rng.permutation(m)[: m // 2]] = 0
    a, b = a * b.sum(), b * a.sum()
    i, j = np.flatnonzero(a), np.flatnonzero(b)
    for whole, part in (
        (Problem(x, y, a, b), Problem(x[i], y[j], a[i], b[j])),
        (
            Problem.from_cost(cost, a, b),
            Problem.from_cost(cost[np.ix_(i, j)], a[i], b[j]),
        ),
    ):
        result, other = run(whole), run(part)
        assert assert_proved(result) == assert_proved(other)
        assert (result.plan.toarray()[np.ix_(i, j)] == other.plan.toarray()).all()
        assert_agrees_with_highs(other.value, part)


# ----------------------------------------------------------------------- few atoms


@pytest.mark.parametrize("k", [1, 2, 9 if JIT_OFF else 700])
@pytest.mark.parametrize("masses", ["uniform", "wide", "zeros"])
def test_one_atom_on_a_side_leaves_no_choice(k, masses):
    rng = np.random.default_rng([4, k])
    b = {
        "uniform": np.full(k, 1 / k),
        "wide": wide_weights(rng, k) if k > 1 else np.ones(1),
        "zeros": np.r_[np.zeros(k // 2), np.ones(k - k // 2)],
    }[masses]
    cost, y = rng.normal(size=(1, k)), rng.random((k, 3))
    a, length = [math.fsum(b)], np.linalg.norm(y - 0.5, axis=1)
    for problem, lengths in (
        (Problem.from_cost(cost, a, b), cost[0]),
        (Problem.from_cost(cost.T, b, a), cost[0]),
        (Problem(np.full((1, 3), 0.5), y, a, b), length),
        (Problem(y, np.full((1, 3), 0.5), b, a), length),
    ):
        result = run(problem)
        assert_proved(result)
        assert_every_atom(result)
        size = math.fsum(np.abs(b * lengths))
        assert abs(result.value - math.fsum(b * lengths)) <= 1e-14 * size


@pytest.mark.parametrize("masses", ["uniform", "float"])
def test_five_by_five_thousand(masses):
    n, m = (3, 40) if JIT_OFF else (5, 5000)
    rng = np.random.default_rng(5)
    x, y, cost = rng.random((n, 2)), rng.random((m, 2)), rng.random((n, m))
    a = b = None
    if masses == "float":
        a, b = random_weights(rng, n), random_weights(rng, m)
    for problem in (Problem.from_cost(cost, a, b), Problem(x, y, a, b)):
        value = prove(problem)
        assert_agrees_with_highs(value, problem)
        turned = Problem.from_cost(cost.T, b, a) if problem.metric is None else Problem(y, x, b, a)
        assert prove(turned) == same(value)


# ---------------------------------------------------------------------------- ties


@all_sizes
@pytest.mark.parametrize("cost", [0.0, 1.5, -2.0, 1e-250, 1e250])
def test_all_costs_equal(n, m, cost):
    """Every coupling is optimal; without cost its value is 0 to the last bit."""
    rng = np.random.default_rng([6, n])
    counts = rng.multinomial(99, [1 / n] * n), rng.multinomial(99, [1 / m] * m)
    for a, b in (
        (None, None),
        counts,
        (random_weights(rng, n), random_weights(rng, m)),
    ):
        problem = Problem.from_cost(np.full((n, m), cost), a, b)
        value = prove(problem)
        assert value == (same(cost * problem.mass) if cost else 0.0)


@pytest.mark.parametrize("n", [9] if JIT_OFF else [9, 50, 120])
def test_costs_of_ten_distinct_values(n):
    rng = np.random.default_rng([7, n])
    for values in (np.arange(10.0), rng.normal(size=10), 10.0 ** np.arange(10)):
        cost = rng.choice(values, (n, n))
        assert prove(Problem.from_cost(cost)) == same(oracles.by_assignment(cost))
        counts = rng.integers(1, 9, (2, n))
        for a, b in (
            (random_weights(rng, n), random_weights(rng, n)),
            (counts[0] * counts[1].sum(), counts[1] * counts[0].sum()),
        ):
            problem = Problem.from_cost(cost, a, b)
            value = prove(problem)
            if n < 10:
                assert_exact(value, problem)
            if values[-1] < 1e6:
                assert_agrees_with_highs(value, problem)


@all_metrics
@all_sizes
def test_duplicate_points_are_one_point_with_their_mass(n, m, metric, p):
    rng = np.random.default_rng([8, n])
    x, y = rng.random((n, 2)), rng.random((m, 2))
    y[: n // 2] = x[: n // 2]
    i, j = rng.integers(0, n, 2 * n), rng.integers(0, m, 3 * m)
    a, b = rng.integers(0, 9, 2 * n), rng.integers(1, 9, 3 * m)
    a, b = a * b.sum(), b * a.sum()
    value = prove(Problem(x[i], y[j], a, b, metric=metric, p=p))
    merged = np.bincount(i, a, n), np.bincount(j, b, m)
    assert value == same(prove(Problem(x, y, *merged, metric=metric, p=p)))


@all_metrics
def test_points_all_in_one_place(metric, p):
    x, y = np.full((9, 3), 0.1), np.full((12, 3), 0.1)
    rng = np.random.default_rng(9)
    a, b = random_weights(rng, 9), random_weights(rng, 12)
    assert prove(Problem(x, y, a, b, metric=metric, p=p)) == 0.0
    # Two places of 3 and 4 points, at (0, 0, 0) and (2, 3, 6).
    x, y = np.zeros((7, 3)), np.zeros((7, 3))
    x[:3] = y[:4] = 2, 3, 6
    length = np.linalg.norm([2, 3, 6], {"cityblock": 1, "chebyshev": np.inf}.get(metric))
    power = 2 if metric == "sqeuclidean" else p
    assert prove(Problem(x, y, metric=metric, p=p)) == same(length**power / 7)


LINES = [
    ((3, 4), "euclidean", 5),
    ((2, 3, 6), "euclidean", 7),
    ((3, -4), "cityblock", 7),
    ((2, -3, 6), "chebyshev", 6),
    ((0, 0, 1), "euclidean", 1),
]


@all_sizes
@pytest.mark.parametrize("direction, metric, unit", LINES)
@pytest.mark.parametrize("p", [1, 2, 3])
def test_points_on_one_line(n, m, direction, metric, unit, p):
    """Integer distances, and a sorted coupling in rational arithmetic to agree with."""
    rng = np.random.default_rng([10, n])
    s, t = rng.integers(-50, 50, n), rng.integers(-50, 50, m)
    a, b = random_weights(rng, n), random_weights(rng, m)
    value = prove(Problem(np.outer(s, direction), np.outer(t, direction), a, b, metric=metric, p=p))
    # The numbers themselves, which another solver would take, and their matrix.
    line = Problem(unit * s, unit * t, a, b, p=p)
    truth = oracles.on_line(unit * s, unit * t, a, b, p)
    for other in (value, prove(line), prove(Problem.from_cost(cost_of(line), a, b))):
        assert other == same(truth)


# --------------------------------------------------------------- nothing to be moved


@all_metrics
@all_sizes
def test_identical_clouds_are_at_distance_zero_exactly(n, m, metric, p):
    rng = np.random.default_rng([11, n])
    duplicates = rng.random((n, 2))[rng.integers(0, n, n + m)]
    for x in (
        rng.random((n + m, 2)),
        rng.random((n + m, 2)) + 1e7,
        duplicates,
        rng.integers(0, 3, (n + m, 3)),
        10 ** rng.uniform(-4, 4, (n + m, 2)),
    ):
        order = rng.permutation(n + m)
        zeros = random_weights(rng, n + m) * (rng.random(n + m) < 0.6)
        for a in (None, random_weights(rng, n + m), wide_weights(rng, n + m), zeros):
            b = None if a is None else a[order]
            result = run(Problem(x, x[order], a, b, metric=metric, p=p))
            assert_proved(result)
            assert result.value == result.distance == 0.0


@pytest.mark.parametrize("decades", [3, 9])
def test_a_matrix_with_a_zero_of_each_row_costs_nothing(decades):
    n = 8 if JIT_OFF else 40
    rng = np.random.default_rng(12)
    cost, order = 10 ** rng.uniform(-decades, 0, (n, n)), rng.permutation(n)
    cost[np.arange(n), order] = 0.0
    a = random_weights(rng, n)
    b = np.empty(n)
    b[order] = a
    for problem in (Problem.from_cost(cost), Problem.from_cost(cost, a, b)):
        assert prove(problem) == 0.0


# --------------------------------------------------------------------- unlike scales


@pytest.mark.parametrize("far", [1e3, 1e6, 1e9, 1e12, 1e15])
def test_one_far_atom_that_stays_leaves_the_others_their_digits(far):
    n = 30
    for seed in range(8):
        rng = np.random.default_rng([13, seed])
        x, y = rng.random((n, 2)), rng.random((n, 2))
        near = prove(Problem(x, y)) * n
        outlier = np.full((1, 2), far)
        both = Problem(np.r_[x, outlier], np.r_[y, outlier])
        assert prove(both, as_exact_as_input=True) * (n + 1) == same(near)


@pytest.mark.parametrize("far, p", [(1e6, 1), (1e3, 2), (1e4, 2), (1e5, 2), (1e6, 2)])
def test_one_far_atom_of_little_mass_is_proved_too(far, p):
    """Its potential is rounded more than the costs of the others allow."""
    a, b = [2.0**-46, 1 - 2.0**-46], [0.625, 0.375]
    x, y = [[far, far], [0.2, 0.7]], [[0.4, 0.8], [0.4, 0.7]]
    problem = Problem(x, y, a, b, p=p)
    result = run(problem)
    assert_exact(result.value, problem, exact_masses=True)
    assert_proved(result)


@pytest.mark.parametrize("far", [1e3, 1e6, 1e12])
def test_one_far_atom_that_has_to_move(far):
    rng = np.random.default_rng(14)
    x, y = rng.random((5, 2)), rng.random((6, 2))
    x[2] = far
    a, b = [1, 2, 3, 4, 2], [2, 1, 3, 1, 1, 4]
    for p in (1, 2):
        problem = Problem(x, y, a, b, p=p)
        assert_exact(prove(problem), problem, exact_masses=True)


@pytest.mark.parametrize("high", [1e6, 1e9, 1e12])
def test_costs_of_1e_6_and_much_larger_ones(high):
    rng = np.random.default_rng(15)
    for n in [5, 9] * 100:
        cost = np.where(rng.random((n, n)) < 0.5, 1e-6, high)
        cost *= rng.uniform(1, 9, (n, n))
        problem = Problem.from_cost(cost)
        assert_exact(prove(problem), problem, exact_masses=True)
        counts = rng.multinomial(60, [1 / n] * n, size=2)
        problem = Problem.from_cost(cost, *counts)
        assert_exact(prove(problem), problem, exact_masses=True)


# -------------------------------------------------------------------- odd arrays


def layouts(array):
    """Return the same numbers in other types and places of memory."""
    spread = np.full([2 * k for k in array.shape], 99.0)
    spread[tuple([slice(None, None, 2)] * array.ndim)] = array
    frozen = array.copy()
    frozen.flags.writeable = False
    return {
        "fortran": np.asfortranarray(array),
        "strided": spread[tuple([slice(None, None, 2)] * array.ndim)],
        "backwards": array[::-1].copy()[::-1],
        "read-only": frozen,
        "float32": array.astype(np.float32),
        "float16": array.astype(np.float16),
        "int64": array.astype(np.int64),
        "uint8": array.astype(np.uint8),
        "big-endian": array.astype(">f8"),
        "list": array.tolist(),
    }


LAYOUTS = list(layouts(np.zeros(1)))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_types_and_memory_layouts_change_nothing(layout):
    """Small integers are exact in every type, so that all answers are the same."""
    n, m = (6, 8) if JIT_OFF else (30, 40)
    rng = np.random.default_rng(16)
    cost, x, y = (rng.integers(0, 99, k) * 1.0 for k in ((n, m), (n, 3), (m, 3)))
    a = np.full(n, float(m))
    b = np.full(m, float(n))
    a[0], a[1] = 1, 2 * m - 1
    plain = [cost, x, y, a, b]
    odd = [layouts(array)[layout] for array in plain]
    before = [np.array(array) for array in odd]
    for make in (
        lambda cost, x, y, a, b: Problem.from_cost(cost, a, b),
        lambda cost, x, y, a, b: Problem(x, y, a, b),
        lambda cost, x, y, a, b: Problem(x, y, a, b, metric="cityblock", p=2),
    ):
        expected, result = run(make(*plain)), run(make(*odd))
        assert assert_proved(expected) == assert_proved(result)
        assert_same_plan(expected, result)
    for array, copy in zip(odd, before, strict=True):
        assert np.array_equal(array, copy), "an input was changed"
