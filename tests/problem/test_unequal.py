"""Partial transport: proofs in its own terms, linear programs, POT, closed forms."""

from __future__ import annotations

import math
from fractions import Fraction

import knobs
import numpy as np
import pytest
import strategies
from conftest import JIT_OFF
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.optimize import linprog
from scipy.spatial.distance import cdist
from strategies import random_weights

from otdist import (
    InfeasibleError,
    InputError,
    Problem,
    Status,
    certify,
    solve,
    wasserstein_distance,
)
from otdist.problem.marginals import Balanced, LeaveAtPrice, MoveMass

INF = math.inf
EPS = float(np.finfo(float).eps)
METHODS = ("network_simplex", "highs")


def proved(cost, a, b, *, price=None, mass=None, method="auto", problem=None):
    """Solve, prove the answer from the definition alone, and return the value."""
    cost, a, b = (np.asarray(each, float) for each in (cost, a, b))
    if problem is None:
        problem = Problem.from_cost(cost, a, b, price=price, mass=mass)
    result = solve(problem, method=method)
    plan, (left_a, left_b) = result.plan.toarray(), result.unmatched
    assert result.certificate.proves(1e-9), result.message
    (f, g), total = result.potentials, math.fsum([*a, *b])
    assert plan.shape == cost.shape
    assert min(plan.min(), left_a.min(), left_b.min()) >= 0
    near = {"rtol": 0, "atol": 1e-12 * total}
    np.testing.assert_allclose(plan.sum(axis=1) + left_a, a, **near)
    np.testing.assert_allclose(plan.sum(axis=0) + left_b, b, **near)
    used = plan > 0
    paid = math.fsum(plan[used] * cost[used])
    scale = max(np.abs(cost[np.isfinite(cost)]).max(initial=0.0), price or 0.0)
    worth, marginal = price or 0.0, 0.0
    if price is None:
        assert plan.sum() == pytest.approx(mass, rel=1e-12)
        slack = cost - f[:, None] - g
        # The derivative in the mass; of all the mass, any number is one.
        marginal = float(slack.min())
    else:
        paid += price * math.fsum([*left_a, *left_b])
    rounding = 1e-13 * scale
    assert f.max() <= worth + rounding
    assert g.max() <= worth + rounding
    assert (f[:, None] + g <= cost - marginal + rounding).all()
    dual = math.fsum([*(a * f), *(b * g)]) + (mass or 0.0) * marginal
    assert result.value == pytest.approx(paid, rel=1e-13, abs=1e-14 * scale * total)
    assert abs(paid - dual) <= 1e-9 * abs(paid) + 1e-12 * scale * total
    again = certify(problem, result.plan, *result.potentials)
    # What is left is a difference of masses here, and rounded.
    assert again.gap <= 1e-9 * abs(result.value) + 1e-15 * scale * total
    return result.value


def by_linprog(cost, a, b, *, price=None, mass=None):
    """Solve the definition, with inequalities, by HiGHS."""
    n, m = np.shape(cost)
    rows = np.kron(np.eye(n), np.ones(m))
    columns = np.kron(np.ones(n), np.eye(m))
    exact = {} if mass is None else {"A_eq": np.ones((1, n * m)), "b_eq": [mass]}
    weight = np.ravel(cost) - 2 * (price or 0.0)
    # By default it leaves mass on arcs that cost 1e-7 more than others.
    options = dict.fromkeys(("primal_feasibility_tolerance", "dual_feasibility_tolerance"), 1e-10)
    bounds = np.vstack([rows, columns]), np.concatenate([a, b])
    found = linprog(weight, *bounds, **exact, method="highs", options=options)
    assert found.status == 0, found.message
    return found.fun + (price or 0.0) * (np.sum(a) + np.sum(b))


# -------------------------------------------------------------------- closed forms


def test_the_example_of_pyemd():
    cost = [[0, 0.5], [0.5, 0]]
    assert proved(cost, [0, 1], [5, 3], price=0.5) == 3.5


@pytest.mark.parametrize("distance", [0.0, 0.5, 3.0, 4.0, 5.0, 1e6])
def test_unit_diracs_move_or_are_left(distance):
    problem = Problem.partial([0.0], [distance], [1], [1], price=2)
    value = proved([[distance]], [1], [1], price=2, problem=problem)
    assert value == min(distance, 4.0)


def test_a_high_price_is_no_price():
    rng = np.random.default_rng(0)
    x, y = rng.random((12, 2)), rng.random((9, 2))
    a, b = random_weights(rng, 12), random_weights(rng, 9)
    for p in (1, 2):
        cost = cdist(x, y) ** p
        problem = Problem.partial(x, y, a, b, price=cost.max() / 2, p=p)
        value = proved(cost, a, b, price=cost.max() / 2, problem=problem)
        balanced = wasserstein_distance(x, y, a, b, p=p) ** p
        assert value == pytest.approx(balanced, rel=1e-13)
        # Unequal: what one side has more stays, whatever it costs.
        value = proved(cost, 2 * a, b, price=50.0)
        nearest = proved(cost, 2 * a, b, mass=1.0)
        assert value == pytest.approx(nearest + 50.0, rel=1e-13)


def test_a_low_price_is_the_mass_that_is_not_in_common():
    rng = np.random.default_rng(1)
    x = rng.random((10, 2))
    a, b = rng.integers(0, 5, (2, 10)).astype(float)
    price = cdist(x, x)[~np.eye(10, dtype=bool)].min() / 4
    value = proved(cdist(x, x), a, b, price=price)
    assert value == pytest.approx(price * np.abs(a - b).sum(), rel=1e-14)


def test_nothing_to_move():
    cost = [[1.0, 2.0]]
    assert proved(cost, [0], [0, 0], price=3) == 0
    assert proved(cost, [0], [1, 2], price=3) == 9
    assert proved(cost, [4], [0, 0], price=3) == 12


def test_the_nearest_mass_moves_first():
    x, y = [0.0, 10, 20], [1.0, 13, 29]
    cost = np.abs(np.subtract.outer(x, y))
    values = [0.5, 1.0, 2.5, 4.0, 8.5, 13.0]
    for mass, value in zip(np.arange(1, 7) / 2, values, strict=True):
        problem = Problem.partial(x, y, [1, 1, 1], [1, 1, 1], mass=mass)
        assert proved(cost, [1] * 3, [1] * 3, mass=mass, problem=problem) == value


# ---------------------------------------------------------------------- oracles


@st.composite
def unequal(draw):
    """Costs and masses of unequal sums, with zeros and ties."""
    n, m = draw(strategies.SIZES), draw(strategies.SIZES)
    a = np.round(draw(st.sampled_from([1, 3, 0.125])) * draw(strategies.weights(n)), 6)
    b = np.round(draw(strategies.weights(m)), 6)
    cost = draw(strategies.costs(n, m))
    return cost, a, b


NEAR_0 = np.array([[0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, -6e-8]])


@given(unequal(), st.floats(0.01, 3), st.sampled_from(METHODS))
@example((NEAR_0, np.full(2, 0.5), np.full(4, 0.25)), 1.0, METHODS[0])
def test_a_price_beside_a_linear_program(problem, price, method):
    cost, a, b = problem
    scale = np.abs(cost).max() or 1.0
    price *= scale
    value = proved(cost, a, b, price=price, method=method)
    truth = scale * by_linprog(cost / scale, a, b, price=price / scale)
    assert value == pytest.approx(truth, rel=1e-9, abs=1e-9 * scale)


@given(unequal(), st.floats(0.05, 1), st.sampled_from(METHODS))
def test_a_mass_beside_a_linear_program(problem, part, method):
    cost, a, b = problem
    cost, scale = np.abs(cost), np.abs(cost).max() or 1.0
    if method == "highs":
        # It leaves rounding on dear arcs, where the optimum should not be 0.
        cost = cost + scale
    mass = part * min(math.fsum(a), math.fsum(b))
    value = proved(cost, a, b, mass=mass, method=method)
    truth = scale * by_linprog(cost / scale, a, b, mass=mass)
    # The value is the cost of a plan and proved; the oracle has a tolerance of 1e-7,
    # and may leave as much on arcs that cost more.
    assert truth * (1 - 1e-9) - 1e-7 * scale <= value
    assert value <= truth * (1 + 1e-9) + 1e-9 * scale


@pytest.mark.parametrize("d, p", [(1, 1), (2, 1), (2, 2), (30, 1)])
def test_a_mass_beside_pot(d, p):
    ot = pytest.importorskip("ot")
    n, m = (12, 9) if JIT_OFF else (60, 45)
    rng = np.random.default_rng(d)
    x, y = rng.standard_normal((n, d)), rng.standard_normal((m, d))
    a, b = rng.random(n), rng.random(m)
    cost = cdist(x, y) ** p
    for part in (0.1, 0.7, 1.0):
        mass = part * min(a.sum(), b.sum())
        problem = Problem.partial(x, y, a, b, mass=mass, p=p)
        value = proved(cost, a, b, mass=mass, problem=problem)
        truth = ot.partial.partial_wasserstein2(a, b, cost, m=mass, numItermax=10**9)
        assert value == pytest.approx(truth, rel=1e-10)


def test_the_engine_for_large_problems(engine):
    rng = np.random.default_rng(4)
    n, m = (12, 15) if JIT_OFF else (40, 50)
    x, y, a, b = rng.random((n, 2)), rng.random((m, 2)), rng.random(n), rng.random(m)
    cost = cdist(x, y)
    assert engine
    for options in ({"price": 0.1}, {"price": 9.0}, {"mass": 3.0}):
        problem = Problem.partial(x, y, a, b, **options)
        value = proved(cost, a, b, **options, problem=problem)
        assert value == pytest.approx(by_linprog(cost, a, b, **options), rel=1e-9)


# ------------------------------------------------------------------ metamorphic


@st.composite
def clouds(draw):
    x, a = draw(strategies.measures())
    return x, a * draw(st.sampled_from([0.0, 0.5, 1.0, 4.0]))


def flat_norm(one, other, price=1.5):
    (x, a), (y, b) = one, other
    problem = Problem.partial(x, y, a, b, price=price)
    return proved(cdist(x, y), a, b, price=price, problem=problem)


@given(clouds(), clouds(), st.integers(-40, 40), st.randoms(use_true_random=False))
def test_scales_order_and_splitting(one, other, k, random):
    (x, a), (y, b) = one, other
    value = flat_norm(one, other)
    near = pytest.approx(value, rel=1e-13, abs=1e-13)
    assert flat_norm(other, one) == near
    assert flat_norm((x + 8.0, a), (y + 8.0, b)) == near
    scaled = (np.ldexp(x, k), a), (np.ldexp(y, k), b)
    assert math.ldexp(flat_norm(*scaled, price=math.ldexp(1.5, k)), -k) == near
    heavier = Problem.partial(x, y, np.ldexp(a, k), np.ldexp(b, k), price=1.5)
    assert math.ldexp(solve(heavier).value, -k) == near
    order = random.sample(range(len(x)), len(x))
    assert flat_norm((x[order], a[order]), other) == near
    split, halves = np.vstack([x, x[:1], [[99.0, 99.0]]]), np.append(a, [0.0, 0.0])
    halves[0] = halves[-2] = a[0] / 2
    assert flat_norm((split, halves), other) == near


@given(clouds(), clouds(), clouds())
def test_the_flat_norm_is_a_metric(first, second, third):
    through = flat_norm(first, second) + flat_norm(second, third)
    assert flat_norm(first, third) <= through * (1 + 1e-13) + 1e-13
    assert flat_norm(first, first) == 0
    # What is in common does not count: it is a norm of the difference.
    z, c = third
    more = [(np.vstack([points, z]), np.append(mass, c)) for points, mass in (first, second)]
    value = flat_norm(first, second)
    assert flat_norm(*more) == pytest.approx(value, rel=1e-12, abs=1e-12)


def test_the_best_mass_at_a_price():
    """The value for a price is the least of those for a mass, and what is left."""
    rng = np.random.default_rng(2)
    x, y = rng.random((5, 2)), rng.random((6, 2))
    a, b = rng.integers(1, 4, 5) / 8, rng.integers(1, 4, 6) / 8
    cost, total = cdist(x, y), a.sum() + b.sum()
    masses = np.arange(1, 8 * min(a.sum(), b.sum()) + 1) / 8
    values = [proved(cost, a, b, mass=mass) for mass in masses]
    steps = np.diff([0.0, *values])
    assert (np.diff(steps) >= -1e-15).all(), "the cost of more mass grows"
    for price in (0.05, 0.1, 0.2, 1.0):
        best = min([0.0, *(np.array(values) - 2 * price * masses)])
        value = proved(cost, a, b, price=price)
        assert value == pytest.approx(best + price * total, rel=1e-13)


def test_derivatives_are_those_of_differences():
    rng = np.random.default_rng(3)
    x, y = rng.random((4, 2)), rng.random((3, 2))
    a, b = rng.random(4), rng.random(3)
    h = 1e-6
    for options in ({"price": 0.3}, {"mass": 0.5}):

        def value(x, a, b, options=options):
            return solve(Problem.partial(x, y, a, b, **options)).value

        slopes = solve(Problem.partial(x, y, a, b, **options)).gradients()
        for i in range(4):
            step = h * np.eye(4)[i]
            slope = (value(x, a + step, b) - value(x, a - step, b)) / (2 * h)
            assert slopes.a[i] == pytest.approx(slope, abs=1e-7)
            moved = x.copy()
            moved[i, 0] += h
            slope = (value(moved, a, b) - value(x, a, b)) / h
            assert slopes.x[i, 0] == pytest.approx(slope, abs=1e-5)
        for j in range(3):
            step = h * np.eye(3)[j]
            slope = (value(x, a, b + step) - value(x, a, b - step)) / (2 * h)
            assert slopes.b[j] == pytest.approx(slope, abs=1e-7)
        assert slopes.cost.shape == (4, 3)
    matrix = solve(Problem.from_cost([[1.0]], [1], [2], price=1)).gradients()
    assert matrix.x is None
    assert matrix.b[0] == 1.0


# --------------------------------------------------------------- certificates


@given(unequal(), st.floats(0.05, 1), st.data())
def test_whatever_is_claimed_the_bracket_holds(problem, part, data):
    cost, a, b = problem
    cost = np.abs(cost)
    f = data.draw(strategies.potentials(len(a))) * (cost.max() or 1.0)
    plan = np.outer(a, b) * data.draw(st.sampled_from([0.0, 0.3, 1.0, 7.0]))
    mass = part * min(math.fsum(a), math.fsum(b))
    price = 0.7 * cost.max() or 1.0
    for options in ({"mass": mass}, {"price": price}):
        problem = Problem.from_cost(cost, a, b, **options)
        truth = solve(problem, method="highs")
        certificate = certify(problem, plan, f)
        # The optimum is in both brackets.
        assert certificate.lower <= truth.upper
        assert certificate.upper >= truth.lower


def test_warm_starts_take_a_result_or_potentials():
    rng = np.random.default_rng(7)
    x, y = rng.random((30, 2)), rng.random((25, 2))
    for options in ({"price": 0.2}, {"mass": 0.5}):
        problem = Problem.partial(x, y, **options)
        first = solve(problem)
        for start in (first, first.potentials):
            again = solve(problem, warm_start=start)
            assert again.value == pytest.approx(first.value, rel=1e-13)


def test_large_clouds_are_certified_by_compiled_passes(monkeypatch):

    monkeypatch.setattr(knobs.CHECKERS_COMPILED_PAIRS, 1)
    rng = np.random.default_rng(8)
    x, y, a, b = rng.random((9, 2)), rng.random((7, 2)), rng.random(9), rng.random(7)
    proved(cdist(x, y), a, b, price=0.2, problem=Problem.partial(x, y, a, b, price=0.2))


def test_forbidden_arcs():
    cost = [[INF, 1.0], [INF, 2.0]]
    assert proved(cost, [1, 1], [1, 1], price=5) == 1 + 10
    assert proved(cost, [1, 1], [1, 1], mass=1) == 1
    with pytest.raises(InfeasibleError, match="no coupling exists"):
        solve(Problem.from_cost(cost, [1, 1], [1, 1], mass=1.5))


def test_negative_costs():
    cost = [[-1.0, 3.0], [2.0, -2.0]]
    assert proved(cost, [1, 1], [1, 1], mass=1) == -2
    assert proved(cost, [1, 1], [1, 1], price=1) == -3


# ------------------------------------------------------------------- bad input

X, Y = [[0.0, 0], [1, 1]], [[2.0, 2]]


@pytest.mark.parametrize(
    "options, message",
    [
        ({}, r"give either price, .* or mass, .* got price=None and mass=None"),
        ({"price": 1, "mass": 1}, r"got price=1 and mass=1"),
        ({"price": 0}, r"price must be a positive number, in cost units, got 0"),
        ({"price": -1.0}, r"price must be a positive number, in cost units, got -1"),
        ({"price": math.nan}, r"price must be a positive number, .* got nan"),
        ({"price": INF}, r"price must be a positive number, .* got inf"),
        ({"price": "1"}, r"price must be a positive number, .* got '1'"),
        ({"mass": 0}, r"mass is 0; it must be positive and no more than either side"),
        ({"mass": math.nan}, r"mass is nan; it must be positive"),
        ({"mass": 1.5}, r"mass is 1.5; .* a sums to 2 and b to 1"),
        ({"mass": [1]}, r"mass must be a positive number, got \[1\]"),
        ({"mass": 1, "a": [0, 0]}, r"a is zero everywhere"),
        ({"price": 1, "a": [1, -1]}, r"a\[1\] is -1.0; weights must be >= 0"),
        ({"price": 1, "a": [math.nan, 0]}, r"a\[0\] is nan; a must be finite"),
        ({"price": 1, "b": [1, 2]}, r"b must have shape \(1,\)"),
        ({"price": 1, "p": INF}, r"p=inf needs all mass to be moved"),
        ({"price": 1, "p": 0.5}, r"p must be >= 1"),
        ({"price": 1, "metric": "l2"}, r"metric 'l2' is unknown"),
    ],
)
def test_bad_input_is_refused(options, message):
    arguments = {"a": [1, 1], "b": [1]} | options
    with pytest.raises(InputError, match=message):
        Problem.partial(X, Y, **arguments)


def test_more_bad_input():
    with pytest.raises(InputError, match="same number of coordinates"):
        Problem.partial(X, [1.0, 2.0], price=1)
    for options in ({"p": INF}, {"normalize": True}):
        with pytest.raises(
            InputError, match=r"p=inf needs all mass to be moved|for weights as they are"
        ):
            Problem.from_cost([[1.0]], price=1, **options)
    problem = Problem.partial(X, Y, price=1)
    assert repr(problem) == "Problem(2 by 1, euclidean, p=1, partial)"
    for method in ("sinkhorn", "line", "bottleneck"):
        with pytest.raises(
            InputError,
            match=r"method=.* needs .*; for Problem.*partial. use method=.network_simplex."
            r" or method=.highs.",
        ):
            solve(problem, method=method)
    with pytest.raises(InputError, match=r"warm_start\[0\] must have shape \(2,\)"):
        solve(problem, warm_start=([1.0], [1.0]))
    with pytest.raises(InputError, match=r"plan must have shape \(2, 1\)"):
        certify(problem, [[1.0]], [0.0, 0.0])
    with pytest.raises(InputError, match=r"f must have shape \(2,\)"):
        certify(problem, [[0.0], [0.0]], [0.0])


def test_a_mass_that_is_all_but_for_rounding():
    tenths = np.full(10, 0.1)
    for mass in (1.0, 1.0 + 1e-12):
        problem = Problem.partial(np.arange(10.0), np.arange(10.0) + 3, tenths, tenths, mass=mass)
        assert solve(problem).value == pytest.approx(3.0, rel=1e-11)


def test_no_more_is_moved_than_there_is():
    """A mass may exceed a sum by rounding; the bracket is about what there is."""
    thirds = np.full(3, 1 / 3)  # their sum is less than 1
    problem = Problem.from_cost(np.full((3, 3), 3.0), thirds, thirds, mass=1.0 + 1e-12)
    assert problem.marginals == MoveMass(math.fsum(thirds))
    result = solve(problem)
    assert Fraction(result.lower) <= 9 * Fraction(1 / 3) <= Fraction(result.upper)


# ---------------------------------------------------- more digits before giving up


def test_masses_are_exact_where_the_value_is_0():
    """All of a is moved, and free of charge if column 4 gets its mass from row 0."""
    result = solve(Problem.from_cost([[0] * 5, [0, 0, 0, 0, 1]], [0.5] * 2, [0.2] * 5, mass=1))
    assert (result.status, result.lower, result.upper) == (Status.OPTIMAL, 0, 0)
    rng = np.random.default_rng(12)
    for _ in range(20):
        n, m = rng.integers(2, 12, 2)
        cost, a = rng.integers(0, 2, (n, m)).astype(float), rng.random(n)
        b = rng.multinomial(50, np.full(m, 1 / m)) / 50 * a.sum()
        least = min(math.fsum(a), math.fsum(b))
        for options in ({"mass": 0.3 * least}, {"mass": least}, {"price": 0.5}, {"price": 1e6}):
            result = solve(Problem.from_cost(cost, a, b, **options))
            assert result.success, (options, result.message)


@pytest.mark.parametrize("p", [1, 3, 10])
@pytest.mark.parametrize("options", [{"part": 1.0}, {"part": 1e-3}, {"part": 1e-6}, {"price": 1}])
def test_the_cost_of_the_last_mass_may_be_far_above_the_mean(p, options):
    """Its digits must not decide how well potentials of cheap arcs are known."""
    rng = np.random.default_rng(13)
    for _ in range(20):
        n, m = rng.integers(2, 20, 2)
        a, b = rng.random(n), 10.0 ** rng.uniform(-12, 0, m)
        x, y = rng.random((n, 1)), rng.random((m, 1))
        if "part" in options:
            how = {"mass": options["part"] * min(math.fsum(a), math.fsum(b))}
        else:
            how = {"price": options["price"] * float(rng.choice(abs(x - y.T).ravel())) ** p}
        for problem in (
            Problem.partial(x, y, a, b, p=p, **how),
            Problem.on_circle(x[:, 0], y[:, 0], a, b, period=1.0, p=p, **how),
        ):
            result = solve(problem)
            assert result.success, result.message


def test_columns_that_no_arc_reaches_hide_no_digits():
    cost, a = np.array([[0.3, INF, 0.7], [0.1, INF, INF]]), [0.1, 0.7]
    for options in ({"mass": 0.1 * 3e-10}, {"price": 1e-3}):
        result = solve(Problem.from_cost(cost, a, [1e-10, 0.3, 0.5], **options))
        assert result.status is Status.OPTIMAL, result.message


def test_what_a_rounded_plan_pays_is_no_rounding_of_the_costs():
    b = [2.0**-53, 1.0, 1.7516230804060213e-46]
    problem = Problem.from_cost([[0.0, 1.0, 0.75]], [1.0], b, mass=5.048709793414476e-29)
    result = solve(problem)
    assert result.lower <= 0 <= result.upper
    assert result.value == 0 or not result.success


def test_balanced_problems_leave_nothing():
    result = solve(Problem(X, [[0.0, 0]]))
    left_a, left_b = result.unmatched
    assert left_a.tolist() == [0.0, 0.0]
    assert left_b.tolist() == [0.0]


# ------------------------------------------------------------- other geometries


def two_components():
    """Two paths of three nodes that no edge joins."""
    from scipy.sparse import csr_array

    path = np.array([[0, 1.0, 0], [1, 0, 2], [0, 2, 0]])
    return csr_array(np.kron(np.eye(2), path))


def on_circle(a, b, **options):
    return Problem.on_circle(SPOTS, SPOTS + 0.4, a, b, period=1.0, p=2, **options)


def on_grid(a, b, **options):
    return Problem.on_grid(a.reshape(2, 3), b.reshape(2, 3), spacing=(1, 2), **options)


def on_tree(a, b, **options):
    return Problem.on_tree([-1, 0, 0, 1, 1, 2], [0, 1, 2, 3, 1, 1], a, b, **options)


SPOTS = np.array([0.0, 0.1, 0.35, 0.5, 0.77, 0.9])
ELSEWHERE = {
    "line": lambda a, b, **k: Problem.partial(SPOTS, SPOTS + 0.4, a, b, p=2, **k),
    "circle": on_circle,
    "pixels": on_grid,
    "grid": lambda a, b, **k: on_grid(a, b, metric="cityblock", **k),
    "squares": lambda a, b, **k: on_grid(a, b, p=2, **k),
    "graph": lambda a, b, **k: Problem.on_graph(two_components(), a, b, **k),
    "tree": on_tree,
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("where", ELSEWHERE)
def test_every_geometry_can_be_partial(where, method):
    rng = np.random.default_rng(9)
    a, b = rng.integers(0, 5, (2, 6)) / 4
    make = ELSEWHERE[where]
    for options in ({"price": 0.07}, {"price": 0.6}, {"price": 50.0}, {"mass": 1.25}):
        problem = make(a, b, **options)
        assert problem.shape == (6, 6)
        assert problem.is_partial
        assert (problem.a == a).all()
        assert (problem.b == b).all()
        assert repr(problem).endswith("partial)")
        cost = problem.geometry.dense()
        value = proved(cost, a, b, problem=problem, method=method, **options)
        plain = Problem.from_cost(cost, a, b, **options)
        assert value == pytest.approx(solve(plain).value, rel=1e-9)


@pytest.mark.parametrize("where", ELSEWHERE)
def test_partial_results_elsewhere_are_in_their_own_terms(where):
    rng = np.random.default_rng(10)
    a, b = rng.integers(1, 5, (2, 6)) / 4
    problem = ELSEWHERE[where](a, b, mass=1.0)
    assert problem.marginals == MoveMass(1.0)
    result = solve(problem)
    assert [len(each) for each in (*result.potentials, *result.unmatched)] == [6] * 4
    assert result.coupling.rows.max() < 6
    assert solve(problem, warm_start=result).value == pytest.approx(result.value, rel=1e-12)
    slopes = result.gradients()
    assert (slopes.x is None) == (where in ("graph", "tree"))
    assert slopes.a.shape == slopes.b.shape == (6,)


def test_the_marginals_of_a_problem():
    a, b = np.full((2, 6), 1 / 6)
    for make in ELSEWHERE.values():
        assert make(a, b, price=2).marginals == LeaveAtPrice(2.0)
    assert Problem([0.0], [1.0]).marginals == Balanced()
    # The larger of the two sums.
    assert Problem.partial([0.0], [1.0], [3], [2], price=1).mass == 3
    assert not Problem.on_tree([-1], [0], [1], [1], price=1).is_metric


def test_a_graph_in_parts_needs_no_equal_masses_if_some_may_be_left():
    graph, a, b = two_components(), np.eye(6)[0], np.eye(6)[4]
    with pytest.raises(InfeasibleError, match="no coupling exists"):
        Problem.on_graph(graph, a, b)
    assert solve(Problem.on_graph(graph, a, b, price=3)).value == 6
    with pytest.raises(InfeasibleError, match="no coupling exists"):
        solve(Problem.on_graph(graph, a, b, mass=0.5))


def test_options_of_unequal_masses_elsewhere():
    a, b = np.full((2, 6), 1 / 6)
    for where, make in ELSEWHERE.items():
        for options, message in [
            ({"price": 1, "mass": 1}, "got price=1 and mass=1"),
            ({"price": -1}, "price must be a positive number"),
            ({"mass": 2}, r"mass is 2; .* has: \w sums to 1 and \w to 1"),
        ]:
            with pytest.raises(InputError, match=message):
                make(a, b, **options)
        if where != "line":
            with pytest.raises(InputError, match="leave out normalize=True"):
                make(a, b, price=1, normalize=True)
    with pytest.raises(InputError, match=r"B\[0, 1\] is nan"):
        Problem.on_grid([[1.0, 1]], [[1.0, math.nan]], price=1)


def test_a_critic_can_be_certified_on_partial_points():
    x, y = np.array([[0.0, 0], [4, 0]]), np.array([[1.0, 0]])
    problem = Problem.partial(x, y, [1, 1], [1], price=1.5)
    result = solve(problem)
    certificate = certify(problem, result.plan, lambda points: np.minimum(points[:, 0], 1.5))
    assert certificate.lower <= 2.5 <= certificate.upper <= 2.5 * (1 + 1e-14)
    assert result.value == certificate.value == 2.5
