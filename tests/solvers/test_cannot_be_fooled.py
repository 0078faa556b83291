"""Scales, offsets and forbidden arcs made to fool an exact solver.

Everything goes through the public API, and no result is believed before `proved`
has seen it. Every test runs on both engines of the network simplex method; without
numba's compiler the large problems are replaced by small ones.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import oracles
import pytest
from checks import (
    assert_agrees_with_highs,
    assert_exact,
    assert_proved,
    assert_same_plan,
    paid,
    prove,
    same,
)
from conftest import JIT_OFF
from scipy.optimize import linear_sum_assignment
from strategies import random_weights

from otdist import InfeasibleError, Problem, emd, solve, wasserstein_distance

pytestmark = pytest.mark.usefixtures("engine")

INF = math.inf
SMALL = (20, 25) if not JIT_OFF else (8, 9)
LARGE = (300, 280) if not JIT_OFF else (11, 12)
SIZES = {"small": SMALL, "large": LARGE}
SQUARE = {"small": 30 if not JIT_OFF else 10, "large": 300 if not JIT_OFF else 14}

both_sizes = pytest.mark.parametrize("n, m", SIZES.values(), ids=SIZES)
both_squares = pytest.mark.parametrize("n", SQUARE.values(), ids=SQUARE)


def _two_weights(rng, n, m):
    return random_weights(rng, n), random_weights(rng, m)


# ---------------------------------------------------------------- scales and offsets


@both_sizes
@pytest.mark.parametrize("masses", ["uniform", "float"])
def test_costs_times_a_power_of_two_change_the_value_only(n, m, masses):
    """Nothing may depend on the unit of the costs: the same pivots, the same plan."""
    rng = np.random.default_rng([2, n])
    a, b = _two_weights(rng, n, m) if masses == "float" else (None, None)
    cost = rng.random((n, m))
    first = solve(Problem.from_cost(cost, a, b), method="network_simplex")
    assert_proved(first)
    for k in (-900, -333, -1, 1, 40, 900):
        problem = Problem.from_cost(np.ldexp(cost, k), a, b)
        result = solve(problem, method="network_simplex")
        assert assert_proved(result) == math.ldexp(first.value, k)
        assert_same_plan(result, first)


@both_sizes
@pytest.mark.parametrize(
    "metric, p, exponents",
    [
        ("cityblock", 1, (-900, -17, 900)),
        ("chebyshev", 1, (-900, 900)),
        # Euclidean distances go through squares, which must fit float64 too.
        ("euclidean", 1, (-450, 17, 450)),
        ("euclidean", 2, (-450, 450)),
        ("sqeuclidean", 1, (-450, 450)),
    ],
)
def test_points_times_a_power_of_two_change_the_value_only(n, m, metric, p, exponents):
    """As for matrices; in the last two rows the costs are multiplied by 2**±900."""
    rng = np.random.default_rng([3, n])
    x, y, (a, b) = rng.random((n, 2)), rng.random((m, 2)), _two_weights(rng, n, m)
    first = solve(Problem(x, y, a, b, metric=metric, p=p), method="network_simplex")
    assert_proved(first)
    degree = 2 if metric == "sqeuclidean" else p
    for k in exponents:
        far = Problem(np.ldexp(x, k), np.ldexp(y, k), a, b, metric=metric, p=p)
        result = solve(far, method="network_simplex")
        assert assert_proved(result) == math.ldexp(first.value, degree * k)
        assert_same_plan(result, first)


@both_sizes
@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("p", [1, 2])
def test_an_offset_of_the_points_changes_nothing_but_their_rounding(n, m, d, p):
    """1e7 + x is x rounded to half an ulp of 1e7: W_p moves by sqrt(d) ulp at most."""
    rng = np.random.default_rng([4, n, d])
    x, y, (a, b) = rng.random((n, d)), rng.random((m, d)), _two_weights(rng, n, m)
    near = wasserstein_distance(x, y, a, b, p=p)
    assert near**p == pytest.approx(prove(Problem(x, y, a, b, p=p)), rel=1e-14)
    far = solve(Problem(x + 1e7, y + 1e7, a, b, p=p), method="network_simplex")
    assert_proved(far)
    assert abs(far.distance - near) <= math.sqrt(d) * np.spacing(1e7) + 1e-13
    # Taking the offset away again is exact, so that all differences are the same.
    back = prove(Problem((x + 1e7) - 1e7, (y + 1e7) - 1e7, a, b, p=p))
    assert far.value == pytest.approx(back, rel=1e-13, abs=0)


@pytest.mark.parametrize("masses", ["uniform", "integer", "float"])
def test_costs_over_eighteen_decades_against_rational_arithmetic(masses):
    """Costs of 1e12 must not cost those of 1e-6 their digits."""
    rng = np.random.default_rng(5)
    for _ in range(4 if JIT_OFF else 12):
        n, m = rng.integers(2, 8, 2)
        cost = 10.0 ** rng.uniform(-6, 12, (n, m))
        if masses == "integer":
            counts = [rng.integers(1, 9, k) for k in (n, m)]
            a, b = counts[0] * counts[1].sum(), counts[1] * counts[0].sum()
        else:
            a, b = _two_weights(rng, n, m) if masses == "float" else (None, None)
        problem = Problem.from_cost(cost, a, b)
        result = solve(problem, method="network_simplex")
        assert_exact(assert_proved(result), problem, exact_masses=masses == "integer")
        assert_exact(paid(result), problem, exact_masses=masses != "float")


@both_squares
def test_costs_over_eighteen_decades_are_proved_in_rational_arithmetic(n):
    """Both bounds in Fractions: no rounding at all between the value and its proof."""
    rng = np.random.default_rng([6, n])
    cost = 10.0 ** rng.uniform(-6, 12, (n, n))
    result = solve(Problem.from_cost(cost), method="network_simplex")
    assert_proved(result)
    assert result.value == same(oracles.by_assignment(cost))
    assert sorted(result.plan.row) == sorted(result.plan.col) == list(range(n))
    upper = sum(Fraction(cost[arc]) for arc in zip(*result.plan.coords, strict=True))
    f = [Fraction(u) for u in result.potentials[0]]
    lower = sum(f)
    for column in cost.T:
        # The least in float64 are candidates for the least in rational arithmetic.
        slack = column - result.potentials[0]
        near = np.flatnonzero(slack <= slack.min() + 1e-9 * np.abs(slack).max())
        lower += min(Fraction(column[i]) - f[i] for i in near)
    assert 0 <= upper - lower <= Fraction(1e-9) * upper


# --------------------------------------------------------------------- forbidden arcs


def band(rng, n, width):
    """Return random costs, finite only within a band about the diagonal."""
    i = np.arange(n)
    return np.where(np.abs(i[:, None] - i) <= width, rng.random((n, n)), INF)


@both_squares
@pytest.mark.parametrize("width", [0, 1, 4])
def test_a_band_of_allowed_arcs_with_uniform_masses(n, width):
    cost = band(np.random.default_rng([7, n]), n, width)
    value = prove(Problem.from_cost(cost))
    assert value == same(oracles.by_assignment(cost))
    uniform = np.full(n, 1 / n)
    assert emd(uniform, uniform, cost) == same(value)


@both_squares
@pytest.mark.parametrize("width", [0, 1, 4])
@pytest.mark.parametrize("masses", ["integer", "float"])
def test_a_band_of_allowed_arcs_with_any_masses(n, width, masses):
    """Marginals of a plan within the band, so that there is a coupling."""
    rng = np.random.default_rng([8, n])
    cost = band(rng, n, width)
    plan = np.where(np.isfinite(cost), rng.integers(0, 5, (n, n)), 0)
    if masses == "float":
        plan = plan * rng.random((n, n))
    a, b = plan.sum(axis=1), plan.sum(axis=0)
    problem = Problem.from_cost(cost, a, b)
    assert_agrees_with_highs(prove(problem), problem)


@both_squares
def test_infeasible_problems_name_mass_that_cannot_go(n):
    """Ten rows that reach only nine columns, or columns reached by too few rows."""
    cost = band(np.random.default_rng([9, n]), n, 3)
    k = n // 3
    few_columns = cost.copy()
    few_columns[: k + 1, k:] = INF
    problem = Problem.from_cost(few_columns)
    with pytest.raises(InfeasibleError, match=r"not all of the mass a\[\d+\]") as caught:
        solve(problem, method="network_simplex")
    assert _named_row(caught) <= k
    few_rows = cost.copy()
    few_rows[k:, : k + 1] = INF
    # The k rows fill k of the k + 1 columns, and one of the others is left.
    with pytest.raises(InfeasibleError, match=r"not all of the mass a\[\d+\]") as caught:
        emd(np.ones(n), np.ones(n), few_rows)
    assert _named_row(caught) >= k


def _named_row(caught):
    return int(str(caught.value).split("a[")[1].split("]")[0])


@both_squares
def test_infeasible_by_one_unit_of_mass(n):
    """The right masses are feasible; one unit moved from the first block is not."""
    rng = np.random.default_rng([10, n])
    half = n // 2
    cost = rng.random((n, n))
    cost[:half, half:] = cost[half:, :half] = INF
    a = rng.integers(1, 9, n)
    b = a[np.r_[rng.permutation(half), half + rng.permutation(n - half)]]
    problem = Problem.from_cost(cost, a, b)
    assert_agrees_with_highs(prove(problem), problem)
    b[0] += 1
    b[-1] += 8
    a[0] += 2
    a[-1] += 7
    with pytest.raises(InfeasibleError, match=r"a\[\d+\]") as caught:
        solve(Problem.from_cost(cost, a, b), method="network_simplex")
    assert _named_row(caught) < half


@both_squares
def test_atoms_without_any_arc_are_named(n):
    cost = band(np.random.default_rng([11, n]), n, 2)
    row, column = cost.copy(), cost.copy()
    row[n // 2] = INF
    column[:, n // 3] = INF
    for bad, name in ((row, f"a[{n // 2}]"), (column, f"b[{n // 3}]")):
        with pytest.raises(InfeasibleError) as caught:
            solve(Problem.from_cost(bad), method="network_simplex")
        assert f"{name} has mass and every arc of it is forbidden" in str(caught.value)
    # Without mass it does not matter: the rest must still be coupled.
    both = np.minimum(row, column)
    both[n // 2] = both[:, n // 2] = INF
    weights = np.ones(n)
    weights[n // 2] = 0
    value = prove(Problem.from_cost(both, weights, weights))
    rest = np.delete(np.delete(both, n // 2, 0), n // 2, 1)
    assert value == same(math.fsum(rest[linear_sum_assignment(rest)]))
