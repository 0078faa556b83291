"""Sinkhorn divergences: balanced and with relaxed masses, values and derivatives."""

from __future__ import annotations

import math

import knobs
import numpy as np
import pytest
import strategies
from cases import differences, measures
from conftest import JIT_OFF
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import logsumexp

from otdist import (
    InputError,
    NotCertifiedError,
    Problem,
    sinkhorn_divergence,
    sinkhorn_divergence_gradients,
    solve,
    wasserstein_distance,
)
from otdist.solvers.sinkhorn.acceleration import Anderson
from otdist.solvers.sinkhorn.unbalanced import Relaxed

REACHES = (None, 0.7)
COSTS = [
    ("euclidean", 1),
    ("euclidean", 1.5),
    ("euclidean", 2),
    ("cityblock", 1),
    ("chebyshev", 2),
    ("sqeuclidean", 1),
]


def gradients_of(*arguments, **options):
    found = sinkhorn_divergence_gradients(*arguments, **options)
    return found.value, found


def largest(*clouds, p=1):
    """Return the largest Euclidean cost between any of the points."""
    z = np.concatenate(clouds)
    return float(np.linalg.norm(z[:, None] - z, axis=2).max()) ** p


# --------------------------------------------------------------------------- identity


@given(st.data())
def test_the_same_atoms_in_any_order_are_exactly_zero_apart(data):
    n, d = data.draw(strategies.SIZES), data.draw(st.integers(1, 3))
    x, a = data.draw(strategies.points(n, d)), data.draw(strategies.weights(n))
    order = data.draw(st.permutations(range(n)))
    for reach in REACHES:
        options = {"epsilon": 0.5, "reach": reach}
        more = np.append(x, [x[0] + 1], axis=0), np.append(a, 0.0)
        for y, b in ((x, a), (x[order], a[order]), more):
            value, slopes = gradients_of(x, y, a, b, **options)
            assert value == sinkhorn_divergence(x, y, a, b, **options) == 0.0
            for each, like in zip(
                (slopes.a, slopes.b, slopes.x, slopes.y), (a, b, x, y), strict=True
            ):
                assert each.shape == like.shape
                assert not each.any()
            assert slopes.cost is None


@pytest.mark.parametrize("reach", REACHES)
def test_the_same_measure_in_other_atoms_is_zero_up_to_the_error(reach):
    x, _, a, _ = measures(1)
    twice, halves = np.concatenate([x, x]), np.concatenate([a, a]) / 2
    value, slopes = gradients_of(x, twice, a, halves, epsilon=0.2, reach=reach)
    assert abs(value) < 1e-10
    for each in (slopes.a, slopes.b, slopes.x, slopes.y):
        np.testing.assert_allclose(each, 0, atol=1e-5)


@pytest.mark.parametrize("reach", REACHES)
def test_exchanged_measures_give_the_same_to_the_last_bit(reach):
    x, y, a, b = measures(2)
    options = {"epsilon": 0.1, "reach": reach}
    there, slopes = gradients_of(x, y, a, b, **options)
    back, turned = gradients_of(y, x, b, a, **options)
    assert there == back == sinkhorn_divergence(x, y, a, b, **options) > 0
    for mine, other in (("a", "b"), ("b", "a"), ("x", "y"), ("y", "x")):
        assert (getattr(slopes, mine) == getattr(turned, other)).all()


@given(st.data())
def test_it_is_not_negative_beyond_its_error(data):
    n, m, d = data.draw(strategies.SIZES), data.draw(strategies.SIZES), 2
    x, y = data.draw(strategies.points(n, d)), data.draw(strategies.points(m, d))
    a, b = data.draw(strategies.weights(n)), data.draw(strategies.weights(m))
    p, reach = (
        data.draw(st.sampled_from([1, 1.5, 2])),
        data.draw(st.sampled_from(REACHES)),
    )
    size = largest(x, y, p=p)
    epsilon, tol = 0.3 * (size or 1.0), 1e-4
    value = sinkhorn_divergence(x, y, a, b, p=p, epsilon=epsilon, tol=tol, reach=reach)
    assert value >= -2 * tol * max(size, 1e-12)


# ---------------------------------------------------------------------- stated errors


@pytest.mark.parametrize("p", [1, 2])
def test_terms_are_lower_bounds_as_close_as_stated(p):
    x, y, a, b = measures(3, 8, 7)
    size = largest(x, y, p=p)
    for u, v, of_u, of_v in ((x, y, a, b), (x, x, a, a)):
        problem = Problem(u, v, of_u, of_v, p=p)

        def value(tol, problem=problem):
            options = {"method": "sinkhorn", "epsilon": 0.05 * size, "tol": tol}
            return solve(problem, **options).regularized_value

        exact = value(1e-13)
        for tol in (0.3, 1e-2, 1e-4):
            assert -tol * size <= value(tol) - exact <= 1e-13 * size


@pytest.mark.parametrize("reach", REACHES)
@pytest.mark.parametrize("p", [1, 2])
def test_the_divergence_is_as_close_as_stated(reach, p):
    x, y, a, b = measures(4, 8, 7)
    size = largest(x, y, p=p)
    options = {"p": p, "reach": reach, "epsilon": 0.05 * size}
    exact = sinkhorn_divergence(x, y, a, b, tol=1e-13, **options)
    for tol in (1e-2, 1e-4, 1e-6):
        value = sinkhorn_divergence(x, y, a, b, tol=tol, **options)
        assert abs(value - exact) <= tol * size


# ------------------------------------------------------------------------ known values


def test_the_limits_are_transport_and_energy_distance():
    x, y, a, b = measures(5)
    for p in (1, 2):
        cost = [
            u @ np.linalg.norm(s[:, None] - t, axis=2) ** p @ v
            for s, t, u, v in ((x, y, a, b), (x, x, a, a), (y, y, b, b))
        ]
        energy = cost[0] - cost[1] / 2 - cost[2] / 2
        value = sinkhorn_divergence(x, y, a, b, p=p, epsilon=1e6)
        assert value == pytest.approx(energy, rel=1e-4)
        exact = wasserstein_distance(x, y, a, b, p=p) ** p
        value = sinkhorn_divergence(x, y, a, b, p=p, epsilon=1e-4)
        assert value == pytest.approx(exact, rel=1e-3)


def times_power(value, exponent):
    """Return ``value * 2**exponent``, inf or 0 where float64 cannot hold it."""
    with np.errstate(over="ignore"):
        return float(np.ldexp(value, exponent))


@pytest.mark.parametrize("reach", REACHES)
@pytest.mark.parametrize("metric, p", COSTS)
def test_powers_of_two_only_change_the_exponent(metric, p, reach):
    """At any scale: the very digits, or an InputError where costs leave float64."""
    x, y, a, b = measures(9)
    power = 2 if metric == "sqeuclidean" else p
    options = {"metric": metric, "p": p}
    value, slopes = gradients_of(x, y, a, b, epsilon=0.1, reach=reach, **options)
    for k in (-900, -490, -300, -2, 2, 300, 490, 900):
        exponent = int(k * power)
        scaled = {
            "epsilon": times_power(0.1, exponent),
            "reach": None if reach is None else times_power(reach, k),
            **options,
        }
        points = np.ldexp(x, k), np.ldexp(y, k)
        if abs(exponent) > 1000:
            with pytest.raises(InputError, match=r"leaves float64|epsilon must be a positive"):
                sinkhorn_divergence(*points, a, b, **scaled)
            continue
        found, of = gradients_of(*points, a, b, **scaled)
        assert found == times_power(value, exponent)
        assert (of.a == np.ldexp(slopes.a, exponent)).all()
        assert (of.x == np.ldexp(slopes.x, exponent - k)).all()


def test_messages_at_extreme_scales_name_the_numbers_given():
    x, y = np.array([0.0, 2.0**600]), np.array([1.0, 3.0])
    with pytest.raises(InputError, match="epsilon=1 is below the rounding of the costs"):
        sinkhorn_divergence(x, y, epsilon=1.0)
    with pytest.raises(InputError, match=r"epsilon=1 .* so far above the costs"):
        sinkhorn_divergence(x / 2.0**1000, y / 2.0**1000, epsilon=1.0)


@pytest.mark.skipif(JIT_OFF, reason="long without compiled kernels")
def test_gaussians_have_a_closed_form():
    z = np.linspace(-15, 15, 401)
    a, b = np.exp(-(z**2) / 2), np.exp(-(z**2) / 8)
    a, b = a / math.fsum(a), b / math.fsum(b)
    value = sinkhorn_divergence(z, z, a, b, epsilon=1.0, p=2, tol=1e-8)
    assert value == pytest.approx(0.9923093304855108, rel=1e-6)


@pytest.mark.parametrize("reach", REACHES)
def test_atoms_in_one_place_are_zero_apart(reach):
    _, _, a, b = measures(46, 7, 6)
    for of_x, of_y in ((a, b), ([0.1, 0.7, 0.2], [1.0])):
        for epsilon in (1e-9, 1.0, 1e9):
            value, slopes = gradients_of(
                *(np.full((len(of_x), 2), 0.1), np.full((len(of_y), 2), 0.1)),
                *(of_x, of_y),
                epsilon=epsilon,
                reach=reach,
            )
            assert abs(value) <= 1e-14 * epsilon
            assert not slopes.x.any()


def test_potentials_that_vary_too_much_prove_nothing(monkeypatch):
    from dataclasses import replace

    from otdist.distances import sinkhorn_divergence as _debiased

    def worse(problem, **options):
        result = solve(problem, **options)
        f, g = result.potentials
        wild = g + 4 * problem.geometry.largest * np.eye(len(g))[0]
        return replace(result, potentials=(f, wild))

    monkeypatch.setattr(_debiased, "solve", worse)
    x, y, a, b = measures(41)
    with pytest.raises(NotCertifiedError, match="did not converge"):
        sinkhorn_divergence(x, y, a, b, epsilon=0.1)


def geomloss(x, y, a, b, epsilon, rho):
    """Return the formula of GeomLoss, after as many iterations as it takes."""
    damping = rho / (rho + epsilon)

    def potentials(x, y, a, b):
        cost = np.linalg.norm(x[:, None] - y, axis=2)
        f, g = np.zeros(len(a)), np.zeros(len(b))
        for _ in range(2000):
            new = -epsilon * logsumexp((g - cost) / epsilon, axis=1, b=b)
            back = -epsilon * logsumexp((f - cost.T) / epsilon, axis=1, b=a)
            f, g = 0.5 * (f + damping * new), 0.5 * (g + damping * back)
        return f, g

    f, g = potentials(x, y, a, b)
    own_f, own_g = potentials(x, x, a, a)[0], potentials(y, y, b, b)[0]
    of_a = np.exp(-own_f / rho) - np.exp(-f / rho)
    of_b = np.exp(-own_g / rho) - np.exp(-g / rho)
    return (rho + epsilon / 2) * (a @ of_a + b @ of_b)


def test_it_is_the_formula_of_geomloss():
    x, y, a, b = measures(42)
    for epsilon, reach in ((0.5, 0.3), (0.2, 2.0)):
        expected = geomloss(x, y, a, 1.5 * b, epsilon, reach)
        value = sinkhorn_divergence(x, y, a, 1.5 * b, epsilon=epsilon, reach=reach, tol=1e-12)
        assert value == pytest.approx(expected, rel=1e-10)


def test_it_is_proportional_to_the_mass():
    x, y, a, b = measures(6)
    value, slopes = gradients_of(x, y, a, b, epsilon=0.1)
    for mass in (1e-3, 40.0):
        scaled, others = gradients_of(x, y, mass * a, mass * b, epsilon=0.1)
        assert scaled == pytest.approx(mass * value, rel=1e-8)
        np.testing.assert_allclose(others.a, slopes.a, atol=1e-5)
        np.testing.assert_allclose(others.x, mass * slopes.x, rtol=1e-4)


# ------------------------------------------------------------------------- derivatives


@pytest.mark.parametrize("d", [1, 2] if JIT_OFF else [1, 2, 3])
@pytest.mark.parametrize("reach", REACHES)
@pytest.mark.parametrize("metric, p", COSTS)
def test_derivatives_are_those_of_differences(metric, p, reach, d):
    rng = np.random.default_rng([10, d])
    arguments = list(measures(7 + d, 4, 3, d))
    if reach is not None:
        arguments[3] = 1.7 * arguments[3]
    options = {"metric": metric, "p": p, "reach": reach, "epsilon": 0.5, "tol": 1e-12}

    def value(*arguments):
        return sinkhorn_divergence(*arguments, **options)

    _, slopes = gradients_of(*arguments, **options)
    # Masses move where there is some, and with the same sum if all are moved.
    for which, found in enumerate((slopes.x, slopes.y, slopes.a, slopes.b)):
        steps = rng.normal(size=(2, *found.shape))
        if which >= 2:
            steps *= arguments[which] > 0
        if which >= 2 and reach is None:
            assert found.mean() == pytest.approx(0, abs=1e-13)
            steps -= steps.sum(axis=1, keepdims=True) * arguments[which]
        expected = differences(value, arguments, which, steps, 1e-4)
        dots = [(found * step).sum() for step in steps]
        np.testing.assert_allclose(dots, expected, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("reach", REACHES)
def test_derivatives_where_there_is_no_mass_are_those_of_adding_some(reach):
    x, y, a, b = measures(20)
    b[2] = 0.0
    b /= b.sum()
    options = {"reach": reach, "epsilon": 0.5, "tol": 1e-12, "p": 2}
    value, slopes = gradients_of(x, y, a, b, **options)
    h = 1e-7
    for i, masses, found in ((1, a, slopes.a), (2, b, slopes.b)):
        step = np.eye(len(masses))[i] - (masses if reach is None else 0.0)
        moved = [a, b]
        moved[0 if masses is a else 1] = masses + h * step
        expected = (sinkhorn_divergence(x, y, *moved, **options) - value) / h
        assert found @ step == pytest.approx(expected, rel=1e-4)
    assert not slopes.x[1].any()
    assert not slopes.y[2].any()


def test_derivatives_of_a_metric_given_as_a_function_are_refused():
    x, y, a, b = measures(8)
    options = {"epsilon": 0.5, "metric": lambda u, v: float(np.abs(u - v).sum())}
    for reach in REACHES:
        value = sinkhorn_divergence(x, y, a, b, reach=reach, **options)
        named = sinkhorn_divergence(x, y, a, b, reach=reach, epsilon=0.5, metric="cityblock")
        assert value == pytest.approx(named, rel=1e-12)
        with pytest.raises(InputError, match="has no known gradient"):
            gradients_of(x, y, a, b, reach=reach, **options)


# ----------------------------------------------------------------------- relaxed masses


def diracs(cost, of_a, of_b, epsilon, rho):
    """Return the unbalanced value and divergence of two atoms; there is one plan entry."""

    def value(cost, of_a, of_b):
        entry = (of_a * of_b) ** ((rho + epsilon) / (2 * rho + epsilon))
        entry *= math.exp(-cost / (2 * rho + epsilon))
        masses = rho * (of_a + of_b) + epsilon * of_a * of_b
        return masses - (2 * rho + epsilon) * entry

    cross = value(cost, of_a, of_b)
    own = value(0.0, of_a, of_a) + value(0.0, of_b, of_b)
    return cross, cross - own / 2 + epsilon / 2 * (of_a - of_b) ** 2


@pytest.mark.parametrize("epsilon", [1e-3, 0.1, 20.0])
@pytest.mark.parametrize("reach", [0.1, 1.0, 30.0])
@pytest.mark.parametrize("of_a, of_b", [(1, 1), (2.0, 0.5), (1e-3, 4.0)])
@pytest.mark.parametrize("distance", [0.0, 1.5])
def test_two_atoms_with_relaxed_masses(distance, of_a, of_b, reach, epsilon):
    value = sinkhorn_divergence(
        [0.0], [distance], [of_a], [of_b], epsilon=epsilon, reach=reach, tol=1e-9
    )
    _, expected = diracs(distance, of_a, of_b, epsilon, reach)
    scale = max(of_a, of_b) * max(reach, epsilon)
    assert value == pytest.approx(expected, rel=1e-11, abs=1e-14 * scale)
    if distance == 0 and of_a == of_b:
        assert value == 0


def test_two_unit_atoms_far_apart_cost_twice_the_reach():
    """2 rho (1 - exp(-C / (2 rho))) for a small epsilon, with rho = C = 1."""
    value = sinkhorn_divergence([0.0], [1.0], epsilon=1e-7, reach=1.0, tol=1e-8)
    assert value == pytest.approx(0.7869386805747334, rel=1e-6)
    value = sinkhorn_divergence([0.0], [1e6], epsilon=1e-3, reach=1.0)
    assert value == pytest.approx(2.0, rel=1e-3)


def relaxed_terms(seed, epsilon=0.3, rho=0.8):
    x, y, a, b = measures(seed, 4, 3)
    a = a[a > 0]
    x, b = x[: len(a)], 1.6 * b
    cost = np.linalg.norm(x[:, None] - y, axis=2)
    there, back = Problem(x, y).geometry, Problem(y, x).geometry
    return Relaxed(there, back, a, b, rho), cost, a, b, epsilon, rho


def kl(p, q):
    return float((p * np.log(p / q) - p + q).sum())


def primal(plan, cost, a, b, epsilon, rho):
    value = float((plan * cost).sum()) + epsilon * kl(plan, np.outer(a, b))
    return value + rho * kl(plan.sum(1), a) + rho * kl(plan.sum(0), b)


def dual(f, g, cost, a, b, epsilon, rho):
    plan = np.outer(a, b) * np.exp((f[:, None] + g - cost) / epsilon)
    value = rho * a @ (1 - np.exp(-f / rho)) + rho * b @ (1 - np.exp(-g / rho))
    return value + epsilon * (a.sum() * b.sum() - plan.sum()), plan


def test_every_iteration_brackets_the_unbalanced_value():
    relaxed, cost, a, b, epsilon, rho = relaxed_terms(30)
    rest = (cost, a, b, epsilon, rho)
    best = minimize(
        lambda logs: primal(np.exp(logs).reshape(cost.shape), *rest),
        np.zeros(cost.size),
        tol=1e-12,
    ).fun
    f, g = np.zeros(len(a)), np.zeros(len(b))
    for k in range(12):
        state = relaxed._iterate(f, g, epsilon)
        f, g = state.f, state.next_g
        lower, plan = dual(state.f, state.g, *rest)
        upper = primal(plan, *rest)
        assert state.value + epsilon * a.sum() * b.sum() == pytest.approx(lower)
        assert state.gap == pytest.approx(upper - lower, rel=1e-6, abs=1e-13)
        assert lower - 1e-9 <= best <= upper + 1e-9
        wanted = a * np.exp(-state.f / rho), b * np.exp(-state.g / rho)
        error = sum(np.abs(plan.sum(1 - k) - each).sum() for k, each in enumerate(wanted))
        assert state.error == pytest.approx(error, rel=1e-6, abs=1e-13)
    assert k == 11
    assert state.gap < 1e-6 * best
    assert best == pytest.approx(lower, rel=1e-6)


def test_symmetric_iterations_bracket_the_unbalanced_value():
    x, _, a, _ = measures(31)
    x, a, epsilon, rho = x[a > 0], a[a > 0], 0.3, 0.8
    cost = np.linalg.norm(x[:, None] - x, axis=2)
    rest = (cost, a, a, epsilon, rho)
    relaxed = Relaxed(Problem(x, x).geometry, None, a, a, rho)
    f = np.zeros(len(a))
    for _ in range(4):
        state = relaxed._iterate(f, f, epsilon)
        lower, plan = dual(f, f, *rest)
        assert state.value + epsilon * a.sum() ** 2 == pytest.approx(lower)
        assert state.gap == pytest.approx(primal(plan, *rest) - lower, rel=1e-6)
        f = state.next_g


def test_terms_are_solved_until_the_gap_is_small_too():
    """A marginal error of tol alone would leave a gap of rho * tol ** 2."""
    x, y, a, b = measures(43)
    there, back = Problem(x[a > 0], y).geometry, Problem(y, x[a > 0]).geometry
    epsilon, tol = 0.05, 1e-3
    relaxed = Relaxed(there, back, a[a > 0], b, rho=1e8)
    state, is_proved = relaxed.solve(epsilon, tol)
    assert is_proved
    assert state.error <= tol
    assert state.gap <= tol * (state.value + epsilon)


def test_wild_potentials_overflow_without_a_warning():
    relaxed, _, a, b, _, _ = relaxed_terms(44)
    rng = np.random.default_rng(45)
    state = relaxed._iterate(np.zeros(len(a)), 1e3 * rng.normal(size=len(b)), 1e-3)
    assert state.error > 1e6
    assert np.isfinite(state.next_g).all()


def test_a_large_reach_takes_no_more_iterations(monkeypatch):
    """Without the shift of mass between the potentials it would take rho / epsilon."""
    monkeypatch.setattr(knobs.UNBALANCED_MAX_ITER, 60)
    x, y, a, b = measures(32)
    options = {"epsilon": 0.1, "tol": 1e-9}
    balanced, slopes = gradients_of(x, y, a, b, **options)
    for reach in (1e5, 1e8):
        value, others = gradients_of(x, y, a, b, reach=reach, **options)
        assert value == pytest.approx(balanced, rel=20 / reach)
        np.testing.assert_allclose(others.x, slopes.x, atol=1e2 / reach + 1e-7)
        centred = others.a - others.a.mean()
        np.testing.assert_allclose(centred, slopes.a, atol=1e2 / reach + 1e-7)


def test_a_large_reach_agrees_with_balanced_terms_of_any_mass():
    x, y, a, b = measures(33)
    for mass in (0.1, 7.0):
        balanced = sinkhorn_divergence(x, y, mass * a, mass * b, epsilon=0.1, tol=1e-9)
        value = sinkhorn_divergence(x, y, mass * a, mass * b, epsilon=0.1, reach=1e6, tol=1e-9)
        assert value == pytest.approx(balanced, rel=1e-4)


@pytest.mark.parametrize("reach", REACHES)
def test_units_of_length_are_the_same_for_all_arguments(reach):
    x, y, a, b = measures(34)
    for p, metric in ((1, "euclidean"), (3, "cityblock"), (1, "sqeuclidean")):
        power = 2 if metric == "sqeuclidean" else p
        options = {"p": p, "metric": metric}
        value, slopes = gradients_of(x, y, a, b, epsilon=0.5, reach=reach, **options)
        scaled, others = gradients_of(
            *(8 * x, 8 * y, a, b),
            epsilon=0.5 * 8**power,
            reach=reach and 8 * reach,
            **options,
        )
        assert scaled == pytest.approx(8**power * value, rel=1e-12)
        np.testing.assert_allclose(others.x, 8 ** (power - 1) * slopes.x, rtol=1e-9)


@pytest.mark.parametrize("reach", REACHES)
def test_squared_distances_are_the_square_of_distances(reach):
    x, y, a, b = measures(35)
    squared = sinkhorn_divergence(x, y, a, b, epsilon=0.5, reach=reach, metric="sqeuclidean")
    value = sinkhorn_divergence(x, y, a, b, epsilon=0.5, reach=reach, p=2)
    assert squared == pytest.approx(value, rel=1e-9)


def test_what_is_far_away_underflows_without_harm():
    x, y, a, b = measures(36)
    for reach in (0.05, 1.0):
        options = {"epsilon": 1e-3 * reach**2, "reach": reach, "p": 2, "tol": 1e-4}
        value, slopes = gradients_of(x, y + 1e3, a, 2 * b, **options)
        # Nothing is moved, and each measure is worth its mass but for the blur.
        assert value == pytest.approx(3 * reach**2, rel=0.05)
        assert np.isfinite(slopes.x).all()
        np.testing.assert_allclose(slopes.x, 0, atol=0.1 * reach)
        kept = slopes.a[a > 0]
        np.testing.assert_allclose(kept, reach**2, rtol=0.2)


def test_threads_change_nothing():
    x, y, a, b = measures(37)
    for reach in REACHES:
        one = sinkhorn_divergence(x, y, a, b, epsilon=0.1, reach=reach)
        two = sinkhorn_divergence(x, y, a, b, epsilon=0.1, reach=reach, n_jobs=2)
        assert one == two


# ---------------------------------------------------------------------------- refusals


def test_an_unbalanced_term_that_is_not_proved_is_refused(monkeypatch):
    monkeypatch.setattr(knobs.UNBALANCED_MAX_ITER, 1)
    x, y, a, b = measures(40)
    with pytest.raises(NotCertifiedError, match="did not converge: its gap") as caught:
        sinkhorn_divergence(x, y, a, b, epsilon=1e-3, reach=1.0)
    assert caught.value.result is None


@pytest.mark.parametrize(
    "options, message",
    [
        ({"reach": 0.0}, "reach must be a positive length"),
        ({"reach": -1.0}, "reach must be a positive length"),
        ({"reach": math.inf}, "None is for measures of one mass"),
        ({"reach": math.nan}, "reach must be a positive length"),
        ({"reach": "far"}, "reach must be a positive length"),
        ({"reach": 1e-200, "p": 2}, "reach=1e-200 to the power 2 leaves float64"),
        ({"reach": 1e200, "metric": "sqeuclidean"}, "reach=1e.200 to the power 2"),
        ({"b": [1e200, 0.0], "reach": 1.0}, "b sums to 1e.200, too near the limits"),
        ({"epsilon": 0.0}, "epsilon must be a positive number"),
        ({"epsilon": 1e-15}, "below the rounding of the costs"),
        ({"tol": -1.0}, "tol must be a number >= 0"),
        ({"n_jobs": 0}, "n_jobs must be a positive integer"),
        ({"p": math.inf}, "p=inf has no entropic divergence"),
        ({"a": [1.0, 2.0]}, "the masses differ"),
        ({"a": [1.0, 2.0, 3.0], "reach": 1.0}, "a must have shape"),
        ({"b": [1.0, math.nan], "reach": 1.0}, r"b\[1\] is nan"),
        ({"b": [1.0, -1.0], "reach": 1.0}, "weights must be >= 0"),
        ({"b": [0.0, 0.0], "reach": 1.0}, "b is zero everywhere"),
    ],
)
def test_arguments_that_are_refused(options, message):
    for reach in (None, 1.0) if "a" not in options else (None,):
        words = {"epsilon": 0.1, "reach": reach, **options}
        for y in ([3.0, 4.0], [0.0, 5.0]):
            with pytest.raises(InputError, match=message):
                sinkhorn_divergence([0.0, 5.0], y, **words)


# ----------------------------------------------------------------------- acceleration


@pytest.mark.parametrize("seed", range(3 if JIT_OFF else 12))
def test_masses_of_all_sizes_and_a_large_reach_converge(seed, monkeypatch):
    """Problems of the kind that a random search found hard."""
    monkeypatch.setattr(knobs.UNBALANCED_MAX_ITER, 1000)
    rng = np.random.default_rng([48, seed])
    x, y = rng.normal(size=(6, 2)), 10 * rng.normal(size=(20, 2))
    a, b = rng.random(6) ** 4, 30 * rng.random(20) ** 4
    size = largest(x, y, p=2)
    options = {"epsilon": 0.01 * size, "reach": 5 * size**0.5, "p": 2}
    value = sinkhorn_divergence(x, y, a, b, **options)
    assert value > 0


def test_acceleration_solves_linear_iterations():
    rng = np.random.default_rng(50)
    matrix = np.diag([0.999, 0.9, 0.5, -0.3, 0.0])
    turn = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    matrix, shift = turn @ matrix @ turn.T, rng.normal(size=5)
    exact = np.linalg.solve(np.eye(5) - matrix, shift)
    anderson, point = Anderson(np.ones(5)), np.zeros(5)
    for _ in range(6):
        image = matrix @ point + shift
        point = anderson.next(point, image, float(np.abs(image - point).sum()))
    np.testing.assert_allclose(point, exact, rtol=1e-8)


def test_acceleration_goes_back_to_its_best_where_the_error_grows():
    anderson = Anderson(np.ones(2))
    images = [np.array([1e-3, k]) for k in range(3)]
    for k, error in enumerate((3.0, 1.0, 1.5)):
        anderson.next(np.array([0.0, k]), images[k], error)
    assert (anderson.next(np.zeros(2), np.array([5.0, 7.0]), 9.0) == images[1]).all()
