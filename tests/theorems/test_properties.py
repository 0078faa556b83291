"""What must hold for every problem, whatever its answer: metamorphic tests."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import strategies
from checks import assert_proved, cost_of, plan_of
from conftest import JIT_OFF
from hypothesis import assume, given
from hypothesis import strategies as st

from otdist import (
    InputError,
    Problem,
    c_transform,
    emd,
    kr_dual,
    solve,
    wasserstein_distance,
)

DIMENSIONS = st.integers(1, 3)


def distance(first, second, **options):
    """Return W between two measures (points, weights)."""
    (x, a), (y, b) = first, second
    return wasserstein_distance(x, y, a, b, **options)


def scale_of(*clouds):
    return max(1.0, *(float(np.abs(x).max()) for x, _ in clouds))


@st.composite
def clouds(draw, number=2):
    d = draw(DIMENSIONS)
    return [draw(strategies.measures(d)) for _ in range(number)]


# ------------------------------------------------------------------- a metric it is


@given(clouds(), strategies.ORDERS, strategies.METRICS)
def test_symmetry(pair, p, metric):
    mu, nu = pair
    there = distance(mu, nu, p=p, metric=metric)
    back = distance(nu, mu, p=p, metric=metric)
    # Another optimal basis may be found, with other terms: equal to rounding of the
    # cost, hence to its p-th root where the distance is nearly 0.
    size = (10 * scale_of(mu, nu)) ** p
    assert abs(there**p - back**p) <= 1e-13 * size


@given(clouds(3), strategies.ORDERS, strategies.METRICS)
def test_triangle_inequality(three, p, metric):
    mu, nu, xi = three
    options = {"p": p, "metric": metric}
    direct = distance(mu, xi, **options)
    detour = distance(mu, nu, **options) + distance(nu, xi, **options)
    # A cost of eps * size**p that should be 0 has this p-th root.
    slack = 10 * scale_of(*three) * 1e-14 ** (1 / p)
    assert direct <= detour * (1 + 1e-12) + slack


@given(clouds(1), strategies.ORDERS, strategies.METRICS, st.data())
def test_identity_is_exactly_zero(one, p, metric, data):
    ((x, a),) = one
    order = np.array(data.draw(st.permutations(range(len(x)))))
    assert wasserstein_distance(x, x, a, a, p=p, metric=metric) == 0.0
    value = wasserstein_distance(x, x[order], a, a[order], p=p, metric=metric)
    assert value == 0.0


@given(clouds(), strategies.METRICS)
def test_w_p_grows_with_p(pair, metric):
    orders = [1, 1.5, 2, 3, 7]
    if pair[0][0].shape[1] == 1:
        orders.append(math.inf)
    values = [distance(*pair, p=p, metric=metric) for p in orders]
    slack = 1e-12 * scale_of(*pair)
    for smaller, larger in itertools.pairwise(values):
        assert smaller <= larger * (1 + 1e-12) + slack


# ---------------------------------------------------------------------- change of units


@given(strategies.dense_problems(), st.integers(-900, 900))
def test_costs_times_a_power_of_two_change_nothing_but_the_exponent(problem, k):
    cost = cost_of(problem)
    assume(cost.any())  # costs that are all 0 have no unit to change
    exponent = math.frexp(float(np.abs(cost).max()))[1]
    assume(-900 <= exponent + k <= 900)
    scaled = np.ldexp(cost, k)
    # Entries that would become subnormal lose digits, whoever scales them.
    assume((np.abs(scaled[cost != 0]) > 1e-290).all())
    other = Problem.from_cost(scaled, problem.a, problem.b)
    for method in ("network_simplex", "sinkhorn"):
        first = solve(problem, method=method, max_iter=200)
        second = solve(other, method=method, max_iter=200)
        assert second.value == math.ldexp(first.value, k)
        assert second.lower == math.ldexp(first.lower, k)
        assert second.n_iter == first.n_iter
        assert second.status is first.status
        assert (plan_of(first) == plan_of(second)).all()


@pytest.mark.parametrize("k", [-900, -300, -40, 40, 300, 900])
def test_larger_costs_times_a_power_of_two(k):
    rng = np.random.default_rng(40)
    n = 8 if JIT_OFF else 60
    cost = rng.random((n, n + 5))
    first, second = (
        solve(Problem.from_cost(cost)),
        solve(Problem.from_cost(cost * 2.0**k)),
    )
    assert second.value == math.ldexp(first.value, k)
    assert second.n_iter == first.n_iter
    assert (plan_of(first) == plan_of(second)).all()
    assert_proved(second)


@pytest.mark.parametrize("k", [-400, -30, 30, 400])
@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("d", [1, 2])
def test_points_times_a_power_of_two(k, p, d):
    rng = np.random.default_rng([d, p])
    x, y = rng.normal(size=(7, d)), rng.normal(size=(9, d))
    value = wasserstein_distance(x, y, p=p)
    scaled = wasserstein_distance(np.ldexp(x, k), np.ldexp(y, k), p=p)
    assert scaled == math.ldexp(value, k)


@pytest.mark.parametrize("scale", [1e-8, 1e-6, 3.0, 1e8])
@pytest.mark.parametrize("p", [1, 1.5, 2, 3])
@pytest.mark.parametrize("d", [1, 2, 3])
def test_points_times_any_number(scale, p, d):
    rng = np.random.default_rng([d])
    x, y = rng.normal(size=(7, d)), rng.normal(size=(9, d))
    value = wasserstein_distance(x, y, p=p)
    scaled = wasserstein_distance(scale * x, scale * y, p=p)
    assert scaled == pytest.approx(scale * value, rel=1e-13, abs=0)


@pytest.mark.parametrize("offset", [5e5, 1e7, -3e9])
@pytest.mark.parametrize("metric", ["euclidean", "cityblock", "chebyshev"])
@pytest.mark.parametrize("d", [1, 2, 3])
def test_an_offset_common_to_all_points_changes_nothing(offset, metric, d):
    rng = np.random.default_rng([d])
    # Multiples of 2**-10 and 2**-8 stay exact beside the offset.
    x, y = (np.round(rng.normal(size=(8, d)) * 256) / 256 for _ in range(2))
    for p in (1, 2):
        value = wasserstein_distance(x, y, p=p, metric=metric)
        moved = wasserstein_distance(x + offset, y + offset, p=p, metric=metric)
        assert moved == pytest.approx(value, rel=1e-14, abs=0)


@given(clouds(), st.sampled_from([1e-6, 0.5, 3.0, 1e6]), strategies.ORDERS)
def test_the_value_is_homogeneous_in_the_mass(pair, mass, p):
    (x, a), (y, b) = pair
    one = solve(Problem(x, y, a, b, p=p))
    many = solve(Problem(x, y, a * mass, b * mass, p=p))
    size = (10 * scale_of(*pair)) ** p
    assert many.value == pytest.approx(mass * one.value, rel=1e-13, abs=1e-15 * mass * size)
    again = solve(Problem(x, y, a * mass, b * mass, p=p, normalize=True))
    assert again.value == pytest.approx(one.value, rel=1e-13, abs=1e-15 * size)


def test_orthogonal_maps_and_added_dimensions_change_nothing():
    rng = np.random.default_rng(41)
    x, y = rng.normal(size=(8, 3)), rng.normal(size=(6, 3))
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    for p in (1, 2, 3):
        value = wasserstein_distance(x, y, p=p)
        turned = wasserstein_distance(x @ rotation, y @ rotation, p=p)
        assert turned == pytest.approx(value, rel=1e-13, abs=0)
        wide = [np.column_stack([z, np.full(len(z), 7.0)]) for z in (x, y)]
        assert wasserstein_distance(*wide, p=p) == pytest.approx(value, rel=1e-14)


def test_a_translation_adds_its_square_to_the_centred_w2():
    rng = np.random.default_rng(42)
    x, y = rng.normal(size=(8, 2)), rng.normal(size=(6, 2)) + 5
    gap = x.mean(0) - y.mean(0)
    centred = wasserstein_distance(x - x.mean(0), y - y.mean(0), p=2)
    whole = wasserstein_distance(x, y, p=2)
    assert whole**2 == pytest.approx(gap @ gap + centred**2, rel=1e-13, abs=0)


# ------------------------------------------------------------------- the same measures


@given(clouds(), strategies.ORDERS, st.data())
def test_atoms_without_mass_split_atoms_and_order_change_nothing(pair, p, data):
    (x, a), (y, b) = pair
    value = solve(Problem(x, y, a, b, p=p)).value
    size = (20 * scale_of(*pair)) ** p
    order = np.array(data.draw(st.permutations(range(len(x)))))
    far = np.full((1, x.shape[1]), 9.0)
    first = data.draw(st.integers(0, len(x) - 1))
    halves = np.append(a, a[first] / 2)
    halves[first] /= 2
    variants = [
        (x[order], a[order], y, b),
        (np.vstack([far, x]), np.append(0.0, a), y, b),
        (x, a, np.vstack([y, far]), np.append(b, 0.0)),
        (np.vstack([x, x[[first]]]), halves, y, b),
    ]
    for variant in variants:
        u, v, w, z = variant
        for method in ("auto", "network_simplex"):
            result = solve(Problem(u, w, v, z, p=p), method=method)
            assert_proved(result)
            assert abs(result.value - value) <= 1e-13 * abs(value) + 1e-15 * size


@given(clouds(3), st.sampled_from([0.125, 0.5]))
def test_mixtures_are_no_farther_than_their_parts(three, t):
    (x, a), (u, v), (y, b) = three
    mixture = np.vstack([x, u]), np.concatenate([t * a, (1 - t) * v])
    value = solve(Problem(mixture[0], y, mixture[1], b, p=2)).value
    bound = t * solve(Problem(x, y, a, b, p=2)).value
    bound += (1 - t) * solve(Problem(u, y, v, b, p=2)).value
    assert value <= bound * (1 + 1e-12) + 1e-13 * scale_of(*three) ** 2


@given(clouds(3))
def test_mass_common_to_both_sides_cancels_for_p_1(three):
    (x, a), (u, v), (y, b) = three
    value = wasserstein_distance(x, y, a, b)
    points = np.vstack([x, u]), np.vstack([y, u])
    weights = np.concatenate([a, v]), np.concatenate([b, v])
    value_with = solve(Problem(*points, *weights)).value
    assert value_with == pytest.approx(value, rel=1e-12, abs=1e-14 * scale_of(*three))


@given(clouds())
def test_projections_bring_measures_closer(pair):
    (x, a), (y, b) = pair
    flat = wasserstein_distance(x[:, 0], y[:, 0], a, b)
    assert flat <= wasserstein_distance(x, y, a, b) * (1 + 1e-12) + 1e-13


@given(strategies.dense_problems())
def test_a_constant_added_to_costs_is_added_to_the_value(problem):
    cost = cost_of(problem)
    size = float(np.abs(cost).max())
    f, g = np.arange(len(problem.a)) * size, -np.arange(len(problem.b)) * size
    value = solve(problem).value
    moved = solve(Problem.from_cost(cost + f[:, None] + g, problem.a, problem.b)).value
    expected = value + problem.a @ f + problem.b @ g
    assert moved == pytest.approx(expected, rel=1e-13, abs=5e-14 * size)


# ------------------------------------------------------------------------- gradients


def test_gradients_that_do_not_exist_are_refused():
    with pytest.raises(InputError, match="p=inf has no gradient"):
        solve(Problem([0.0, 1], [1.0, 5], p=math.inf)).gradients()
    custom = Problem([[0.0, 1]], [[1.0, 5]], metric=lambda u, v: abs(u - v).sum())
    with pytest.raises(InputError, match="has no known gradient"):
        solve(custom).gradients()


def test_the_slope_of_parallel_lines_is_the_sign():
    z = np.linspace(0, 1, 6)
    line = np.column_stack([np.zeros(6), z])
    for theta in (-0.7, 0.3):
        gradients = solve(Problem(line, line + np.array([theta, 0]))).gradients()
        assert gradients.y[:, 0].sum() == pytest.approx(math.copysign(1, theta))
        np.testing.assert_allclose(gradients.y[:, 1], 0, atol=1e-15)


# --------------------------------------------------------------------------- duality


@pytest.mark.parametrize("critic", ["mcshane", "whitney"])
@pytest.mark.parametrize("metric", ["euclidean", "cityblock", "chebyshev"])
@pytest.mark.parametrize("d", [1, 2, 3])
def test_critics_attain_w1_and_are_1_lipschitz(critic, metric, d):
    rng = np.random.default_rng([d])
    x, y = rng.normal(size=(7, d)), rng.normal(size=(6, d)) + 1
    x[1] = x[0]
    y[2] = x[3]
    a = np.array([0.1, 0.2, 0, 0.3, 0.1, 0.1, 0.2])
    b = np.array([0.25, 0.25, 0.25, 0.05, 0, 0.2])
    w1 = wasserstein_distance(x, y, a, b, metric=metric)
    function = kr_dual(x, y, a, b, metric=metric, critic=critic)
    assert function.value == pytest.approx(w1, rel=1e-13, abs=0)
    assert function.value == pytest.approx(a @ function(x) - b @ function(y), rel=1e-13)
    assert function.lipschitz == 1.0
    proof = function.certificate
    exact = solve(Problem(x, y, a, b, metric=metric))
    assert proof.lower <= exact.upper
    assert proof.upper >= exact.lower
    assert proof.lower <= w1 <= proof.upper
    near = rng.normal(size=(60, d))
    far = 1e6 * rng.normal(size=(20, d))
    z = np.vstack([x, y, near, near + 1e-9, far, x])
    heights = function(z)
    steps = np.abs(heights[:, None] - heights)
    lengths = np.stack([_length(z - w, metric) for w in z])
    # Heights of 1e6 are rounded to 1e-10.
    slack = 4e-16 * (np.abs(heights)[:, None] + np.abs(heights) + np.abs(z).max())
    assert (steps <= lengths + slack).all()
    assert (heights[: len(x)] == heights[-len(x) :]).all()


def _length(difference, metric):
    order = {"euclidean": 2, "cityblock": 1, "chebyshev": np.inf}[metric]
    return np.linalg.norm(difference, ord=order, axis=-1)


@pytest.mark.parametrize("critic", ["mcshane", "whitney"])
@pytest.mark.parametrize("metric", ["euclidean", "cityblock", "chebyshev"])
def test_gradients_of_critics(critic, metric):
    rng = np.random.default_rng(47)
    x, y = rng.normal(size=(7, 2)), rng.normal(size=(6, 2)) + 1
    function = kr_dual(x, y, metric=metric, critic=critic)
    z = rng.normal(size=(40, 2))
    slope = function.gradient(z)
    dual = {"euclidean": 2, "cityblock": np.inf, "chebyshev": 1}[metric]
    assert (np.linalg.norm(slope, ord=dual, axis=1) <= 1 + 1e-15).all()
    for k in range(2):
        step = 1e-6 * np.eye(2)[k]
        expected = (function(z + step) - function(z - step)) / 2e-6
        # No kink lies within 1e-6 of any of these 40 points.
        np.testing.assert_allclose(slope[:, k], expected, atol=1e-7)
    slope = function.gradient(function.potential.centres)
    assert (np.linalg.norm(slope, ord=dual, axis=1) <= 1 + 1e-15).all()
    assert not slope.all(), "the gradient at a centre that decides is 0"


@pytest.mark.parametrize("critic", ["mcshane", "whitney"])
def test_critics_are_affine_along_transport_rays(critic):
    """[Gulrajani et al., Prop. 1]: slope 1 on the segment from x to its target y."""
    rng = np.random.default_rng(48)
    x, y = rng.normal(size=(12, 3)), rng.normal(size=(15, 3)) + 2
    plan = solve(Problem(x, y)).plan
    function = kr_dual(x, y, critic=critic)
    for i, j in zip(plan.row, plan.col, strict=True):
        length = float(np.linalg.norm(x[i] - y[j]))
        t = np.linspace(0, 1, 9)[:, None]
        heights = function(t * x[i] + (1 - t) * y[j])
        expected = function(y[[j]]) + t[:, 0] * length
        np.testing.assert_allclose(heights, expected, atol=1e-13 * (1 + length))


@given(clouds())
def test_kr_dual_equals_w1(pair):
    (x, a), (y, b) = pair
    value = kr_dual(x, y, a, b, critic="mcshane").value
    w1 = wasserstein_distance(x, y, a, b)
    assert value == pytest.approx(w1, rel=1e-12, abs=1e-13 * scale_of(*pair))


def test_kr_dual_refuses_what_is_no_metric():
    x, y = [[0.0, 0]], [[1.0, 1]]
    for metric in ("sqeuclidean", "l2", None):
        with pytest.raises(InputError, match="metric of kr_dual must be one of"):
            kr_dual(x, y, metric=metric)
    with pytest.raises(InputError, match="critic must be one of 'auto', 'linear', 'radial'"):
        kr_dual(x, y, critic="lipschitz")
    function = kr_dual(x, y, critic="mcshane")
    with pytest.raises(InputError, match="points must have 2 coordinates, got 3"):
        function([[0.0, 1, 2]])
    with pytest.raises(InputError, match=r"points\[0, 1\] is nan"):
        function([[0.0, math.nan]])


@given(st.data())
def test_c_transforms(data):
    d, p = data.draw(DIMENSIONS), data.draw(st.sampled_from([1, 2, 3]))
    n, m = data.draw(strategies.SIZES), data.draw(strategies.SIZES)
    metric = data.draw(strategies.METRICS)
    x, y = data.draw(strategies.points(n, d)), data.draw(strategies.points(m, d))
    g = data.draw(strategies.potentials(m))
    f = c_transform(x, y, g, p=p, metric=metric)
    cost = np.stack([_length(row - y, metric) for row in x]) ** p
    slack = 1e-13 * (np.abs(g).max() + cost.max() + 1)
    assert f.shape == (n,)
    assert np.abs(f - (cost - g).min(axis=1)).max() <= slack
    # Any g is a bound; transforming twice never lowers it, a third time changes nothing.
    a, b = np.full(n, 1 / n), np.full(m, 1 / m)
    better = c_transform(y, x, f, p=p, metric=metric)
    assert (better >= g - slack).all()
    again = c_transform(x, y, better, p=p, metric=metric)
    assert np.abs(again - f).max() <= 4 * slack
    optimum = solve(Problem(x, y, a, b, p=p, metric=metric)).value
    assert a @ f + b @ g <= optimum + slack


def test_c_transform_refusals():
    with pytest.raises(InputError, match=r"g must have shape \(2,\), got \(3,\)"):
        c_transform([0.0], [1.0, 2.0], [0.0, 1, 2])
    with pytest.raises(InputError, match="needs a finite p"):
        c_transform([0.0], [1.0, 2.0], [0.0, 1], p=math.inf)
    with pytest.raises(InputError, match=r"g\[1\] is inf"):
        c_transform([0.0], [1.0, 2.0], [0.0, math.inf])


def test_emd_is_the_value_of_solve():
    rng = np.random.default_rng(49)
    a, b, cost = rng.integers(1, 9, 4), rng.integers(1, 9, 5), rng.random((4, 5))
    b[0] += 100
    a[0] += int(b.sum() - a.sum())
    assert emd(a, b, cost) == solve(Problem.from_cost(cost, a, b)).value
    assert emd(b, a, cost.T) == pytest.approx(emd(a, b, cost), rel=1e-14)
