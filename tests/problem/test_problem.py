"""Every contract of Problem: what it takes, what it refuses and in which words."""

from __future__ import annotations

import math
import re
import warnings

import knobs
import numpy as np
import pytest

from otdist import (
    InputError,
    InputWarning,
    Problem,
    certify,
    emd,
    kr_dual,
    sinkhorn_divergence,
    solve,
    wasserstein_distance,
)
from otdist.geometry.line import Line
from otdist.geometry.points import Points
from otdist.geometry.protocol import Dense
from otdist.inputs import validate as _validate
from otdist.runtime import blocks

INF, NAN = math.inf, math.nan
X, Y = [[0.0, 0.0], [1.0, 2.0]], [[1.0, 1.0], [3.0, 2.0], [0.0, 5.0]]


def refuses(message):
    return pytest.raises(InputError, match=re.escape(message))


# ---------------------------------------------------------------------------- points


@pytest.mark.parametrize(
    "x, y, message",
    [
        ([[0.0, NAN]], [[0.0, 1.0]], "x[0, 1] is nan; x must be finite"),
        ([[0.0, 1.0]], [[0.0, 1.0], [-INF, 2]], "y[1, 0] is -inf; y must be finite"),
        ([1.0, INF], [1.0], "x[1] is inf; x must be finite"),
        ([], [1.0], "x is empty, shape (0,)"),
        ([1.0], [], "y is empty"),
        (np.zeros((3, 0)), [[1.0]], "x is empty, shape (3, 0)"),
        (3.0, [1.0], "x must have shape (n,) for points on the line or (n, d), got ()"),
        (np.zeros((2, 2, 2)), [1.0], "or (n, d), got (2, 2, 2)"),
        ([[0.0, 1.0]], [[1.0, 2.0, 3.0]], "same number of coordinates, got 2 and 3"),
        ([1.0, 2.0], [[1.0, 2.0]], "same number of coordinates, got 1 and 2"),
        ([[1.0], [1.0, 2.0]], [1.0], "x must be an array of numbers with rows of one"),
        (["a", "b"], [1.0], "x must hold real numbers of at most 64 bits"),
        ([1j], [1.0], "x must hold real numbers of at most 64 bits, got dtype complex"),
        ([True], [1.0], "x must hold real numbers of at most 64 bits, got dtype bool"),
        ([None], [1.0], "got dtype object with None at [0]; drop or replace"),
        (
            np.array([2**53 + 1]),
            [1.0],
            "x[0] is 9007199254740993, and float64 holds integers above 2**53 only rounded",
        ),
        (np.ones(2, np.longdouble), [1.0], "at most 64 bits"),
    ],
)
def test_bad_points(x, y, message):
    for call in (Problem, wasserstein_distance, kr_dual):
        with refuses(message):
            call(x, y)
    with refuses(message):
        sinkhorn_divergence(x, y, epsilon=0.1)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"p": 0.5}, "p must be >= 1, got 0.5; for p < 1 the p-th root of the cost is no distance"),
        ({"p": NAN}, "p must be >= 1, got nan"),
        ({"p": -INF}, "p must be >= 1, got -inf"),
        ({"p": "2"}, "p must be a real number >= 1 or inf, got '2'"),
        ({"p": True}, "p must be a real number >= 1 or inf, got True"),
        ({"p": None}, "p must be a real number >= 1 or inf, got None"),
        ({"p": 2j}, "p must be a real number >= 1 or inf, got 2j"),
        (
            {"metric": "l2"},
            (
                "metric 'l2' is unknown; known metrics are 'euclidean', 'cityblock',"
                " 'chebyshev', 'sqeuclidean', or pass a function of two points"
            ),
        ),
        ({"metric": 3}, "metric must be a name or a function, got 3"),
        ({"metric": None}, "metric must be a name or a function, got None"),
        (
            {"metric": "sqeuclidean", "p": 2},
            (
                "metric='sqeuclidean' with p=2 would mean distances to the power 4: write"
                " metric='euclidean', p=2 for W_2"
            ),
        ),
        ({"metric": lambda u, v: NAN}, "metric gave nan for x[0] and y[0]"),
        ({"metric": lambda u, v: INF}, "metric gave inf for x[0] and y[0]"),
    ],
)
def test_bad_metrics_and_orders(options, message):
    with refuses(message):
        Problem(X, Y, **options)
    with refuses(message):
        wasserstein_distance(X, Y, **options)


def test_costs_outside_float64_are_refused():
    message = "outside what float64 holds well; divide the points by a constant"
    for size, p in ((1e200, 1.5), (1e160, 2), (1e-200, 1.5), (1e-160, 2), (1e101, 3)):
        with refuses(message):
            Problem(np.array(X) * size, np.array(Y) * size, p=p)
    for size, p in ((1e301, 1), (1e-290, 1), (1e-95, 3), (1e110, 3)):
        with refuses(message):
            Problem([0.0, size], [2 * size, size], p=p)
    for size, p in ((1e200, 1), (1e-200, 1), (1e140, 1), (1e-130, 1), (1e60, 2), (1e-60, 2)):
        value = solve(Problem(np.array([[0.0, 0]]), [[3 * size, 4 * size]], p=p)).value
        assert value == pytest.approx((5 * size) ** p, rel=1e-14, abs=0)
    assert solve(Problem([0.0], [1e150])).value == 1e150
    assert solve(Problem([[0.0, 0.0]], [[0.0, 0.0]], p=3)).value == 0.0


# --------------------------------------------------------------------------- weights


@pytest.mark.parametrize(
    "a, b, message",
    [
        ([0.5, NAN], None, "a[1] is nan; a must be finite"),
        (None, [0.5, INF, 0], "b[1] is inf; b must be finite"),
        ([1.5, -0.5], None, "a[1] is -0.5; weights must be >= 0"),
        ([0, 0], None, "a is zero everywhere; a measure needs a positive mass"),
        (None, [0.0, 0.0, 0.0], "b is zero everywhere"),
        (
            [1.0],
            None,
            "a must have shape (2,), one weight for each point of x, got (1,)",
        ),
        (None, [[1.0], [0], [0]], "b must have shape (3,), one weight for each point of y"),
        (1.0, None, "a must have shape (2,)"),
        (["x", "y"], None, "a must hold real numbers"),
        ([1.0, 1.0], None, "the masses differ: a sums to 2 and b to 1"),
        ([0.5, 0.5], [1, 1, 2], "pass normalize=True, or divide each side's weights by their sum"),
        ([0.5, 0.5 + 1e-8], None, "the masses differ: a sums to 1.0000000"),
        ([1e308, 1e308], None, "the sum of a overflows"),
        ([INF, -INF], None, "a[0] is inf; a must be finite"),
        ([1.0, -INF], None, "a[1] is -inf; a must be finite"),
        ([1e308, NAN], None, "a[1] is nan; a must be finite"),
        (None, [2.0, -1.0, -1.0], "b[1] is -1.0; weights must be >= 0"),
        (None, [0.0, -0.0, 0.0], "b is zero everywhere"),
    ],
)
def test_bad_weights(a, b, message):
    with refuses(message):
        Problem(X, Y, a, b)
    with refuses(message):
        wasserstein_distance(X, Y, a, b)


def test_weights_of_a_cost_matrix_are_named_by_rows_and_columns():
    with refuses("a must have shape (2,), one weight for each row of cost, got (3,)"):
        emd([1, 1, 1], [1, 1], np.zeros((2, 2)))
    with refuses("b must have shape (2,), one weight for each column of cost, got (1,)"):
        emd([1, 1], [2], np.zeros((2, 2)))


def test_sums_that_agree_to_the_rounding_of_their_type_are_made_equal():
    for dtype, off, too_much in (
        (np.float64, 1e-10, 1e-8),
        (np.float32, 2e-6, 1e-4),
        (np.float16, 4e-3, 5e-2),
    ):
        a = np.array([0.5, 0.5], dtype)
        b = np.array([0.25, 0.75 * (1 + off)], dtype)
        assert b.sum() != 1
        problem = Problem([0.0, 1], [2.0, 3], a, b)
        assert math.fsum(problem.b) == pytest.approx(math.fsum(a), rel=4e-16)
        assert solve(problem).success
        with refuses("the masses differ"):
            Problem([0.0, 1], [2.0, 3], a, np.array([0.25, 0.75 + too_much], dtype))
    # Integers are exact, so they get no more room than float64.
    with refuses("the masses differ"):
        Problem([0.0, 1], [2.0, 3], [10**6, 10**6], [10**6, 10**6 + 1])


def test_normalize_divides_each_side():
    problem = Problem(X, Y, [1, 3], [2, 2, 4], normalize=True)
    assert problem.a.tolist() == [0.25, 0.75]
    assert problem.b.tolist() == [0.25, 0.25, 0.5]
    same = Problem(X, Y, [0.25, 0.75], [0.25, 0.25, 0.5])
    assert solve(problem).value == solve(same).value
    assert Problem(X, Y, [1, 3], [1, 1, 2]).mass == 4.0


# ---------------------------------------------------------------------- cost matrices


@pytest.mark.parametrize(
    "cost, message",
    [
        (
            [[0.0, NAN], [1, 2]],
            "cost[0, 1] is nan; every cost must be a number, or inf",
        ),
        ([[0.0, 1], [-INF, 2]], "cost[1, 0] is -inf; costs must be numbers, or +inf"),
        ([[INF, NAN]], "cost[0, 1] is nan"),
        ([1.0, 2.0], "cost must have shape (n, m) with n, m >= 1, got (2,)"),
        (np.zeros((2, 0)), "cost must have shape (n, m) with n, m >= 1, got (2, 0)"),
        ([[1e301]], "the largest cost is 1e+301, too near the overflow of float64"),
        ([[-1e301, INF]], "the largest cost is 1e+301"),
        ([["0"]], "cost must hold real numbers"),
        ([[0, 1], [2]], "cost must be an array of numbers with rows of one length"),
    ],
)
def test_bad_costs(cost, message):
    with refuses(message):
        Problem.from_cost(cost)


@pytest.mark.parametrize("block", [1, 8, 20, 1 << 17])
def test_a_large_matrix_is_looked_at_in_blocks(block, monkeypatch):
    monkeypatch.setattr(knobs.INPUTS_BLOCK_ENTRIES, block)
    rng = np.random.default_rng(60)
    for _ in range(10):
        cost = rng.normal(size=(7, 5))
        got, largest, has_forbidden = _validate.as_cost(np.asfortranarray(cost))
        assert (got == cost).all()
        assert got.flags.c_contiguous
        assert (largest, has_forbidden) == (np.abs(cost).max(), False)
        i, j = rng.integers(7), rng.integers(5)
        for bad, message in ((NAN, f"cost[{i}, {j}] is nan"), (-INF, "is -inf")):
            wrong = cost.copy()
            wrong[i, j] = bad
            with refuses(message):
                _validate.as_cost(wrong)
        cost[i, j] = INF
        finite = np.abs(cost[np.isfinite(cost)])
        assert _validate.as_cost(cost)[1:] == (finite.max(), True)


def test_a_cost_matrix_is_not_copied():
    rng = np.random.default_rng(30)
    cost = rng.random((6, 4))
    problem = Problem.from_cost(cost)
    assert np.shares_memory(problem.geometry.cost, cost)
    assert problem.geometry.dense() is problem.geometry.cost
    assert not problem.geometry.cost.flags.writeable
    assert cost.flags.writeable
    solve(problem)
    assert np.shares_memory(problem.geometry.rows(1, 3), cost)
    for other in (np.asfortranarray(cost), cost[::2], cost.astype(np.float32)):
        copied = Problem.from_cost(other).geometry.cost
        assert copied.flags.c_contiguous
        assert not np.shares_memory(copied, other)
        assert (copied == other).all()
    read_only = cost.copy()
    read_only.flags.writeable = False
    assert np.shares_memory(Problem.from_cost(read_only).geometry.cost, read_only)


def test_a_cost_matrix_that_does_not_fit_in_memory(monkeypatch):
    # With so many coordinates a matrix is faster than costs computed anew.
    problem = Problem(*(np.arange(40.0 * n).reshape(n, 40) for n in (1000, 2000)))
    monkeypatch.setattr(blocks, "available_memory", lambda: 1e6)
    wanted = (
        "a matrix of 1000 by 2000 atoms would take 0.016 GB and 0.001 GB of memory are available"
    )
    with refuses(wanted):
        solve(problem)
    with refuses("use fewer atoms, or a machine with more memory"):
        solve(problem)


def test_memory_is_looked_up():
    assert 1e7 < blocks.available_memory() < 1e15


# --------------------------------------------------------------------- what is accepted


def test_inputs_are_never_changed():
    rng = np.random.default_rng(31)
    arrays = {
        "x": rng.random((4, 2)),
        "y": rng.random((3, 2)),
        "a": np.array([0.0, 1, 2, 1]),
        "b": np.array([1.0, 2, 1 + 1e-10]),
    }
    before = {name: array.copy() for name, array in arrays.items()}
    problem = Problem(**arrays)
    for method in ("network_simplex", "highs", "sinkhorn"):
        result = solve(problem, method=method)
        certify(problem, result.plan, *result.potentials)
    kr_dual(**arrays, critic="mcshane")
    cost = rng.random((4, 3))
    kept = cost.copy()
    for method in ("network_simplex", "highs", "sinkhorn"):
        solve(Problem.from_cost(cost, arrays["a"], arrays["b"]), method=method)
    assert (cost == kept).all()
    for name, array in arrays.items():
        assert (array == before[name]).all()
        assert array.flags.writeable


def test_arrays_of_a_problem_are_copies_and_read_only():
    x, a = np.array(X), np.array([0.5, 0.5])
    problem = Problem(x, Y, a)
    x[:] = 7
    a[:] = 7
    assert problem.geometry.x.tolist() == X
    assert problem.a.tolist() == [0.5, 0.5]
    line = Problem([0.0, 1.0], [1.0, 5.0])
    held = [problem.a, problem.b, problem.geometry.x, problem.geometry.y]
    for array in [*held, line.geometry.x, line.geometry.y, line.a]:
        assert not array.flags.writeable
        assert array.dtype == np.float64
        assert array.flags.c_contiguous
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
    with pytest.raises(AttributeError):
        problem.p = 3


@pytest.mark.parametrize(
    "convert",
    [
        list,
        tuple,
        lambda v: np.array(v, np.float32),
        lambda v: np.array(v, np.float16),
        lambda v: np.array(v, np.int8),
        lambda v: np.array(v, np.uint64),
        lambda v: np.array(v, ">f8"),
        lambda v: np.array(v, float)[::-1][::-1],
        np.matrix,
    ],
)
@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
def test_numbers_of_any_kind_are_accepted(convert):
    x, y = [[0, 0], [4, 3]], [[3, 4], [4, 0]]
    expected = wasserstein_distance(np.array(x, float), np.array(y, float))
    assert wasserstein_distance(convert(x), convert(y)) == expected
    cost = [[3, 1], [1, 2]]
    assert emd([1, 1], [1, 1], convert(cost)) == 2.0


def test_the_kinds_of_problem():
    line = Problem([0.0, 1], [[2.0], [3.0]])
    assert line.is_line
    assert isinstance(line.geometry, Line)
    assert line.is_metric
    assert line.is_assignment
    assert not line.is_bottleneck
    assert Problem([0.0, 1], [2.0, 3], p=INF).is_bottleneck
    plane = Problem(X, Y, p=2)
    assert isinstance(plane.geometry, Points)
    assert not plane.is_line
    assert not plane.is_metric
    assert not plane.is_assignment
    assert plane.shape == (2, 3)
    for metric in ("euclidean", "cityblock", "chebyshev"):
        assert Problem(X, Y, metric=metric).is_metric
    assert not Problem(X, Y, metric="sqeuclidean").is_metric
    matrix = Problem.from_cost(np.zeros((2, 2)), [1, 2], [2, 1])
    assert isinstance(matrix.geometry, Dense)
    assert not matrix.is_metric
    assert not matrix.is_assignment
    assert matrix.metric is None
    assert matrix.p == 1


def test_the_support():
    problem = Problem(X, Y, [0, 1], [0.5, 0, 0.5])
    part, rows, columns = problem.support()
    assert rows.tolist() == [1]
    assert columns.tolist() == [0, 2]
    assert (part.geometry.dense() == problem.geometry.dense()[1:, [0, 2]]).all()
    assert (part.a, part.b.tolist()) == ([1.0], [0.5, 0.5])
    whole, _, _ = part.support()
    assert whole is part


def test_repr():
    assert repr(Problem(X, Y)) == "Problem(2 by 3, euclidean, p=1, mass 1)"
    assert repr(Problem(X, Y, p=2.5, metric="cityblock")) == (
        "Problem(2 by 3, cityblock, p=2.5, mass 1)"
    )
    matrix = Problem.from_cost(np.zeros((1, 2)), [3], [1, 2])
    assert repr(matrix) == "Problem(1 by 2, cost matrix, mass 3)"


# --------------------------------------------------------------------------- warnings


def test_two_histograms_given_as_points_warn():
    p, q = [0.1, 0.2, 0.7], [0.5, 0.25, 0.25]
    for call in (Problem, wasserstein_distance):
        with pytest.warns(InputWarning, match="look like histograms"):
            call(p, q)
    with pytest.warns(InputWarning, match=re.escape("wasserstein_distance(bins, bins")):
        wasserstein_distance(np.array(p)[:, None], q)


@pytest.mark.parametrize(
    "x, y, options",
    [
        ([0.1, 0.2, 0.7], [0.5, 0.5], {}),
        ([0.1, 0.2, 0.7], [1.5, 0.25, 0.25], {}),
        ([-0.1, 0.4, 0.7], [0.5, 0.25, 0.25], {}),
        ([1.0], [1.0], {}),
        ([0.5, 0.5], [0.25, 0.75], {"a": [1, 1], "b": [1, 1]}),
        ([[0.5, 0.5], [0.0, 0.0]], [[0.5, 0.5], [0.0, 0.0]], {}),
    ],
)
def test_ordinary_points_do_not_warn(x, y, options):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Problem(x, y, **options)


def test_the_warning_points_at_the_caller():
    with pytest.warns(InputWarning) as caught:
        wasserstein_distance([0.1, 0.9], [0.5, 0.5])
    assert caught[0].filename == __file__
