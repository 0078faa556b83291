"""Passes skip boxes of columns that a row cannot reach, and nobody can tell."""

import functools

import numpy as np
import pytest
from conftest import JIT_OFF

from otdist import Problem, certify, solve
from otdist.solvers.coarsen import kd_ordered
from otdist.solvers.sinkhorn.kernels import sweep as sinkhorn
from otdist.solvers.sinkhorn.sweeps import LOG2E, Pairs

N = 200 if JIT_OFF else 400


def ordered_clouds(d, seed=0, n=N, m=N + 37):
    """Clusters far apart for the weight, and masses over many decades."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d)) + 20 * rng.integers(0, 3, size=(n, 1))
    y = rng.normal(size=(m, d)) + 20 * rng.integers(0, 3, size=(m, 1))
    a, b = (10.0 ** rng.uniform(-9, 0, size=size) for size in (n, m))
    return x[kd_ordered(x)], y[kd_ordered(y)], a / a.sum(), b / b.sum()


def passes(x, y, a, b, p, epsilon, f, g, single):
    """The same pass over points and over their matrix, where nothing is skipped."""
    problem = Problem(x, y, a, b, p=p)
    matrix = Problem.from_cost(problem.geometry.dense(), a, b)
    return [
        Pairs(each.geometry, a, b).sweep(
            f + epsilon * np.log(a), g + epsilon * np.log(b), epsilon, single=single
        )
        for each in (problem, matrix)
    ]


@pytest.mark.parametrize("d", [1, 2, 3])
@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("mass", [1.0, 2.0**-60, 2.0**60])
def test_what_is_skipped_is_less_than_rounding(d, p, single, mass):
    x, y, a, b = ordered_clouds(d)
    a, b = mass * a, mass * b
    rng = np.random.default_rng(1)
    epsilon = 0.5 if p == 1 else 4.0
    f, g = np.zeros(len(a)), epsilon * rng.normal(size=len(b))
    known = None
    for guess in ("none", "good", "far too low", "far too high"):
        start = {
            "none": f,
            "good": known,
            "far too low": None if known is None else known - 12 * epsilon,
            "far too high": None if known is None else known + 12 * epsilon,
        }[guess]
        fast, whole = passes(x, y, a, b, p, epsilon, start, g, single)
        rel = 3e-4 if single else 1e-11  # of exponents up to some thousands
        assert fast.f == pytest.approx(whole.f, abs=rel * epsilon), guess
        assert fast.columns == pytest.approx(whole.columns, rel=2 * rel), guess
        known = whole.f - epsilon * np.log(a)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_far_boxes_are_skipped_and_near_ones_are_not(kind):
    x, y, a, b = ordered_clouds(2)
    problem = Problem(x, y, a, b)
    pairs, epsilon = Pairs(problem.geometry, a, b), 0.1
    single = kind == np.float32
    found = pairs.sweep(epsilon * np.log(a), epsilon * np.log(b), epsilon, single=single)
    g = epsilon * np.log(b)
    costs, unit = (pairs._single, pairs._unit) if single else (pairs.costs, 1.0)
    low, high = pairs._single_boxes if single else pairs._boxes
    boxes = sinkhorn.Boxes(low, high, np.zeros(low.shape[1]))
    buffers = pairs._scratch(single, g / unit)[0]
    plan = np.exp((found.f[:, None] + g - problem.geometry.dense()) / epsilon)
    nothing = 2.0 ** (-30 if single else -57)
    n_read = 0
    for i in range(0, len(a), 7):
        n_runs = compiled_runs()(
            costs, i, len(b), found.f[i] / unit, LOG2E * unit / epsilon, a[i], boxes,
            buffers,
        )  # fmt: skip
        read = np.zeros(len(b), bool)
        for start, stop in buffers.runs[:n_runs]:
            assert not read[max(start - 1, 0) : stop].any()
            assert start % sinkhorn.BOX == 0
            assert stop % sinkhorn.BOX == 0 or stop == len(b)
            read[start:stop] = True
        assert (plan[i, ~read] <= 1.001 * nothing * a[i] * b[~read]).all()
        assert read[plan[i] > 1e-6 * a[i] * b].all()
        n_read += read.sum()
    assert n_read < 0.6 * len(b) * len(range(0, len(a), 7))


@functools.cache
def compiled_runs():
    from numba import njit

    find = sinkhorn._find_runs
    return find if JIT_OFF else njit(lambda *each: find(*each))


def test_a_solve_over_boxes_is_proved():
    x, y, a, b = ordered_clouds(2, seed=3, n=200, m=170)
    problem = Problem(x, y, a, b)
    result = solve(problem, method="sinkhorn", epsilon=0.2, tol=1e-9)
    assert result.success
    again = certify(problem, result.plan.toarray(), result.potentials[0])
    assert again.marginal_error < 1e-13
    assert again.value == pytest.approx(result.value, rel=1e-12)
    # The entries are exponentials, and `upper` pays their rounding.
    assert 0 <= result.upper - result.value <= 1e-8 * result.value
    assert 0 <= again.upper - again.value <= 1e-8 * again.value
    exact = solve(problem)
    assert result.lower <= exact.value <= result.upper
