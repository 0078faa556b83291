"""The circle: exact cuts, potentials that close, and the uniform distribution."""

from __future__ import annotations

import math
from fractions import Fraction

import knobs
import numpy as np
import oracles
import pytest
from checks import assert_proved, cost_of
from conftest import JIT_OFF
from hypothesis import given
from hypothesis import strategies as st
from strategies import weights

from otdist import InputError, Problem, Status, certify, solve, wasserstein_distance
from otdist.batch import line as along
from otdist.batch import single
from otdist.certificate.checkers import checker_of
from otdist.certificate.many import LineBounds
from otdist.geometry.circle import Circle, reduced
from otdist.solvers.circle.kernels import cut as kernel

ORDERS = [1, 1.5, 2, 3]


def value(x, y, a=None, b=None, **options):
    result = solve(Problem.on_circle(x, y, a, b, **options))
    assert_proved(result)
    return result.value


# ------------------------------------------------------------------------ known values


def test_known_values():
    assert value([0.05], [0.95]) == pytest.approx(0.1, rel=1e-15)
    assert value([0.05], [0.95], p=2) == pytest.approx(0.01, rel=2e-15)
    assert value([0.0, 0.5], [0.25, 0.75]) == 0.25
    assert value([0.0, 0.5], [0.25, 0.75], p=2) == 0.0625
    assert value([0.0, 0.25, 0.5, 0.75], [0.25, 0.5, 0.75, 0.0]) == 0
    # One mass to its opposite, both ways round.
    assert value([0.0], [0.25, 0.75]) == 0.25
    assert value([23.75], [0.25], period=24) == 0.5
    assert value([350.0, 10.0], [0.0, 20.0], period=360) == 10
    assert value([0.1, 0.9], [0.1, 0.9], [0.75, 0.25], [0.25, 0.75]) == pytest.approx(
        0.1, rel=1e-15
    )


@pytest.mark.parametrize("p", ORDERS)
def test_what_lies_in_half_a_circle_is_on_the_line(p):
    rng = np.random.default_rng(0)
    x, y = rng.random(8) / 2, rng.random(6) / 2
    a, b = rng.random(8), rng.random(6)
    masses = a / math.fsum(a), b / math.fsum(b)
    line = solve(Problem(x, y, *masses, p=p)).value
    for turn in (0.0, 0.3, 0.8):
        found = value(x + turn, y + turn, *masses, p=p)
        assert found == pytest.approx(line, rel=1e-13)


def test_short_ways_across_the_cut_keep_their_digits():
    tiny = 1e-12
    x, y = np.array([0.5 - 3 * tiny]), np.array([-0.5 + 4 * tiny])
    truth = float(1 - (Fraction(x[0]) - Fraction(y[0])))
    assert value(x, y) == truth
    assert value(x, y, p=2) == pytest.approx(truth**2, rel=1e-15)


@pytest.mark.parametrize("p", ORDERS)
def test_potentials_keep_their_digits_across_the_cut(p):
    rng = np.random.default_rng(19)
    x = np.concatenate([0.5 - 1e-9 * rng.random(4), -0.5 + 1e-9 * rng.random(3)])
    y = np.concatenate([0.5 - 1e-9 * rng.random(2), -0.5 + 1e-9 * rng.random(4)])
    a, b = rng.dirichlet(np.ones(7)), rng.dirichlet(np.ones(6))
    for pair in ((x, y, a, b), (y, x, b, a), (-x, -y, a, b), (-y, -x, b, a)):
        result = solve(Problem.on_circle(*pair, p=p, normalize=True))
        assert result.status is Status.OPTIMAL
        assert 0 <= result.gap <= 1e-12 * result.value


def test_positions_are_brought_into_one_turn_without_rounding():
    rng = np.random.default_rng(1)
    for period in (1.0, 0.3, 2 * math.pi, 360.0):
        x = np.concatenate(
            [rng.standard_normal(20) * 10.0**k for k in range(-300, 300, 50)]
            + [[0.0, period, -period, period / 2, -period / 2, -1e-320]]
        )
        found = reduced(x, period)
        assert (np.abs(found) <= period / 2).all()
        for before, after in zip(x, found, strict=True):
            turns = (Fraction(before) - Fraction(after)) / Fraction(period)
            assert turns.denominator == 1
    far = 0.25 + 2.0**40
    assert value([far], [0.5]) == 0.25


# ------------------------------------------------------------------------- random problems


@st.composite
def circle_pairs(draw):
    def positions(n):
        number = st.one_of(
            st.integers(-8, 8).map(lambda k: k / 8),
            st.floats(-2, 2).map(lambda v: round(v, 9)),
        )
        return np.array(draw(st.lists(number, min_size=n, max_size=n)))

    n, m = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    return positions(n), positions(m), draw(weights(n)), draw(weights(m))


@given(circle_pairs(), st.sampled_from(ORDERS))
def test_values_are_those_of_exact_arithmetic(pair, p):
    problem = Problem.on_circle(*pair, p=p)
    result = solve(problem)
    assert_proved(result)
    truth = oracles.exact(cost_of(problem), problem.a, problem.b)
    assert abs(Fraction(result.value) - truth) <= 1e-14
    compiled = wasserstein_distance(*pair, p=p, period=1.0, axis=0)
    assert compiled == pytest.approx(result.distance, abs=1e-7 if p > 1 else 1e-14)
    assert compiled**p == pytest.approx(result.value, rel=1e-12, abs=1e-15)


@given(circle_pairs(), st.sampled_from(ORDERS), st.integers(-40, 40))
def test_metamorphic(pair, p, k):
    x, y, a, b = pair

    def distance(x, y, a, b, period=1.0):
        return solve(Problem.on_circle(x, y, a, b, p=p, period=period)).value

    found = distance(x, y, a, b)
    same = pytest.approx(found, rel=1e-11, abs=1e-14)
    assert distance(y, x, b, a) == same
    assert distance(-x, -y, a, b) == same
    assert distance(x + 0.3, y + 0.3, a, b) == same
    assert distance(x[::-1], y, a[::-1], b) == same
    assert distance(x + 3, y - 5, a, b) == same
    scaled = distance(np.ldexp(x, k), np.ldexp(y, k), a, b, math.ldexp(1.0, k))
    assert scaled == pytest.approx(found * 2.0 ** (k * p), rel=1e-11, abs=1e-14 * 2.0 ** (k * p))
    halves = np.concatenate([a, a]) / 2
    assert distance(np.concatenate([x, x]), y, halves, b) == same
    assert distance(np.append(x, 0.7), y, np.append(a, 0.0), b) == same
    assert distance(x, x, a, a) <= 1e-14
    assert distance(x, y, 3 * a, 3 * b) == pytest.approx(3 * found, rel=1e-11, abs=3e-14)


@given(st.integers(0, 2**32), st.sampled_from(ORDERS))
def test_triangle_inequality(seed, p):
    rng = np.random.default_rng(seed)
    x, y, z = rng.random((3, 4))
    masses = rng.dirichlet(np.ones(4), 3)

    def distance(i, j):
        points = (x, y, z)
        pair = points[i], points[j], masses[i], masses[j]
        return wasserstein_distance(*pair, p=p, period=1.0, normalize=True)

    assert distance(0, 2) <= distance(0, 1) + distance(1, 2) + 1e-12


@pytest.mark.parametrize("p", ORDERS)
@pytest.mark.parametrize("kind", ["plain", "equal numbers", "ties", "counts"])
def test_larger_problems_are_those_of_the_network_simplex_method(p, kind):
    rng = np.random.default_rng(2)
    n, m = (12, 9) if JIT_OFF else (90, 70)
    x, y = rng.random(n) * 5, rng.random(m) ** 2
    a, b = rng.random(n), rng.random(m)
    a, b = a / math.fsum(a), b / math.fsum(b)
    if kind == "equal numbers":
        y, a, b = np.resize(y, n) + np.arange(n) / 1000, None, None
    if kind == "ties":
        x, y = np.round(x, 1), np.round(y, 1)
    if kind == "counts":
        a, b = np.full(n, float(m)), np.full(m, float(n))
    problem = Problem.on_circle(x, y, a, b, p=p)
    result = solve(problem)
    assert result.method == "circle"
    assert_proved(result)
    other = solve(problem, method="network_simplex")
    assert result.value == pytest.approx(other.value, rel=1e-12)
    assert wasserstein_distance(x, y, a, b, p=p, period=1.0) == pytest.approx(
        other.distance, rel=1e-12
    )


def test_other_methods_and_gradients():
    rng = np.random.default_rng(3)
    x, y = rng.random(6), rng.random(5)
    problem = Problem.on_circle(x, y, p=2)
    result = solve(problem)
    assert solve(problem, method="highs").value == pytest.approx(result.value)
    entropic = solve(problem, method="sinkhorn", tol=1e-3)
    assert entropic.lower <= result.value <= entropic.upper * (1 + 1e-12)
    slopes, h = result.gradients().x[:, 0], 1e-6
    for i in range(6):
        moved = x.copy()
        moved[i] += h
        rise = (solve(Problem.on_circle(moved, y, p=2)).value - result.value) / h
        assert slopes[i] == pytest.approx(rise, abs=1e-4)


def test_pot_agrees():
    ot = pytest.importorskip("ot")
    rng = np.random.default_rng(4)
    x, y = rng.random(30), rng.random(25)
    a, b = rng.dirichlet(np.ones(30)), rng.dirichlet(np.ones(25))
    for p, tol in ((1, 1e-12), (2, 1e-5)):  # POT halves its range down to 1e-6
        found = wasserstein_distance(x, y, a, b, p=p, period=1.0, normalize=True) ** p
        peer = float(np.squeeze(ot.wasserstein_circle(x, y, a, b, p=p)))
        assert found == pytest.approx(peer, rel=tol)


# ------------------------------------------------------------------------ many, and large


@pytest.mark.parametrize("p", ORDERS)
def test_pairs_along_an_axis(p):
    rng = np.random.default_rng(5)
    x, y = rng.random((3, 1, 6)) * 9, rng.random((4, 5))
    a, b = rng.random((3, 1, 6)), rng.random(5)
    a[0, 0, :2] = 0.0
    found = wasserstein_distance(x, y, a, b, p=p, period=3.0, axis=-1, normalize=True, n_jobs=2)
    assert found.shape == (3, 4)
    for i in range(3):
        for j in range(4):
            pair = x[i, 0], y[j], a[i, 0], b
            problem = Problem.on_circle(*pair, p=p, period=3.0, normalize=True)
            assert found[i, j] == pytest.approx(solve(problem).distance, rel=1e-13)


@pytest.mark.parametrize("p", ORDERS)
@pytest.mark.parametrize("kind", ["plain", "weights", "list", "turns", "2**300", "2**-300"])
def test_one_pair_at_once_is_that_along_an_axis(p, kind, monkeypatch):
    """But for a digit, in which powers of arrays and of numbers differ."""
    rng = np.random.default_rng(14)
    scale = 2.0 ** int(kind[3:]) if kind.startswith("2") else 1.0
    for n, m in ((1, 1), (4, 9), (60, 60)):
        x, y = rng.random(n) * 9, rng.random(m)
        a = b = None
        if kind != "plain":
            a, b = rng.dirichlet(np.ones(n)), rng.dirichlet(np.ones(m))
            a[: n // 4] = 0.0
            a /= math.fsum(a)
        options = {"p": p, "period": 3.0 * scale}
        given = x * scale, y * scale, a, b
        wanted = wasserstein_distance(*given, axis=0, **options)
        if kind == "list":
            given = [each.tolist() for each in given]
        elif kind == "turns":
            given = x, np.where(y < 0.5, y, y - 3.0), a, b
            wanted = wasserstein_distance(*given, axis=0, **options)
        with monkeypatch.context() as patch:
            patch.setattr("otdist.distances.wasserstein.distances_along", None)
            patch.setattr("otdist.distances.wasserstein.solve", None)
            right = pytest.approx(wanted, rel=4e-16, abs=0)
            assert wasserstein_distance(*given, **options) == right
            # It is no view of the caller's that was sorted.
            assert wasserstein_distance(*given, n_jobs=2, **options) == right


def test_what_is_on_a_tiny_part_of_a_circle_is_in_a_unit_of_its_own():
    x, y = np.array([0.0, 2.0**-400]), np.array([-(2.0**-401)])
    for p in (2, 3):
        assert single.distance_on_line(x, y, None, None, p, False, 1, 1.0) is None
        right = 2.0**-401 * ((1 + 3**p) / 2) ** (1 / p)
        assert wasserstein_distance(x, y, p=p, period=1.0) == pytest.approx(right, rel=1e-14)
    # The same across the cut, where numbers are no closer than 2**-54.
    x, y = np.array([0.5 - 2.0**-54]), np.array([0.5 + 2.0**-53])
    assert single.distance_on_line(x, y, None, None, 20, False, 1, 1.0) is None
    assert wasserstein_distance(x, y, p=20, period=1.0) == pytest.approx(1.5 * 2.0**-53, rel=1e-14)


@pytest.mark.parametrize("p", [1, 2])
def test_a_large_pair(p, monkeypatch):
    n = 200 if JIT_OFF else 6000
    monkeypatch.setattr(knobs.LINE_LONG, 64)
    rng = np.random.default_rng(6)
    x, y = rng.standard_normal(n), rng.random(n + 3)
    a, b = rng.random(n), rng.random(n + 3)
    problem = Problem.on_circle(x, y, a, b, p=p, normalize=True)
    result = solve(problem)
    assert result.status is Status.OPTIMAL

    def refuse(*arguments, **options):
        raise AssertionError("the compiled path gave up")

    monkeypatch.setattr("otdist.distances.wasserstein.solve", refuse)
    found = wasserstein_distance(x, y, a, b, p=p, period=1.0, normalize=True)
    assert found == pytest.approx(result.distance, rel=1e-12)


@pytest.mark.parametrize("seed", [8, 9, 12])
def test_bounds_do_not_cross_where_many_masses_go_to_few(seed):
    """A plan was scaled to sums that were themselves rounded, and lost 3e-14 of it."""
    rng = np.random.default_rng(seed)
    n, m = (1500, 3) if JIT_OFF else (5000, 3)
    x, y = 0.001 * rng.random(n), 0.5 + 0.001 * rng.random(m)
    a, b = np.ceil(3 * rng.random(n)), np.ceil(3 * rng.random(m))
    result = solve(Problem.on_circle(x, y, a, b, p=2, normalize=True))
    assert result.status is Status.OPTIMAL
    assert result.certificate.marginal_error < 1e-14


# ------------------------------------------------------------------------------- the cut


def brute_force_shift(x, y, level_a, level_b, p):
    """Return the least cost of all shifts at which two levels meet, period 1."""
    total = int(level_b[-1])
    ends = np.concatenate([level_b - total, level_b, level_b + total])
    below_a, below_b = np.append(0, level_a[:-1]), np.append(0, level_b[:-1])
    best = math.inf
    for shift in np.unique(np.subtract.outer(ends, level_a)):
        cost = 0.0
        for i in range(len(x)):
            for j in range(len(y)):
                for turn in (-2, -1, 0, 1, 2):
                    low = max(below_a[i] + shift, below_b[j] + turn * total)
                    high = min(level_a[i] + shift, level_b[j] + turn * total)
                    if high > low:
                        cost += (high - low) * abs(x[i] - y[j] - turn) ** p
        best = min(best, cost)
    return best / total


@pytest.mark.parametrize("p", ORDERS)
def test_no_other_cut_is_better(p):
    rng = np.random.default_rng(7)
    for _ in range(10):
        n, m = rng.integers(1, 6, 2)
        x, y = np.sort(rng.random(n) - 0.5), np.sort(rng.random(m) - 0.5)
        level_a, level_b = (
            np.cumsum(rng.integers(1, 5, n)),
            np.cumsum(rng.integers(1, 5, m)),
        )
        level_a, level_b = level_a * level_b[-1], level_b * level_a[-1]
        wanted = brute_force_shift(x, y, level_a, level_b, p)
        a, b = np.diff(level_a, prepend=0.0), np.diff(level_b, prepend=0.0)
        found = value(x, y, a, b, p=p, normalize=True)
        assert found == pytest.approx(wanted, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("few", [2, 3, 7])
def test_a_start_from_few_points_ends_at_the_same_optimum(few, monkeypatch):
    if not JIT_OFF:
        pytest.skip("compiled kernels keep their constants")
    rng = np.random.default_rng(18)
    for k in range(30):
        n, m = rng.integers(1, 20, 2)
        x, y = rng.random(n) ** 3, rng.random(m)
        masses = (rng.random(n), rng.random(m)) if k % 2 else (None, None)
        problem = Problem.on_circle(x, y, *masses, p=2, normalize=True)
        wanted = solve(problem).value
        with monkeypatch.context() as patch:
            patch.setattr(knobs.CIRCLE_FEW, few)
            patch.setattr(knobs.CIRCLE_NEAR_BITS, int(rng.integers(1, 12)))
            result = solve(problem)
        assert_proved(result)
        assert result.value == pytest.approx(wanted, rel=1e-13, abs=1e-16)


def test_the_root_of_the_slope_is_found_in_few_passes(monkeypatch):
    if not JIT_OFF:
        pytest.skip("passes are counted where kernels are plain Python")
    passes = []
    slope_at = kernel._slope_at

    def counted(*arguments):
        passes.append(arguments)
        return slope_at(*arguments)

    monkeypatch.setattr(kernel, "_slope_at", counted)
    rng = np.random.default_rng(8)
    for weighted in (False, True):
        x, y = rng.random(400), rng.random(400) ** 2
        masses = rng.dirichlet(np.ones(400), 2) if weighted else (None, None)
        passes.clear()
        solve(Problem.on_circle(x, y, *masses, p=2, normalize=True))
        assert 2 < len(passes) < 20
    # Looking beyond the root by equal steps crept: 97 passes and more.
    monkeypatch.setattr(knobs.CIRCLE_FEW, 200)
    for seed in range(3):
        x, y, a, b = np.random.default_rng(seed).random((4, 800))
        passes.clear()
        solve(Problem.on_circle(x, y, a, b, p=7, normalize=True))
        assert 2 < len(passes) < 45


# ---------------------------------------------------------------------------- the checker


@pytest.mark.parametrize("p", ORDERS)
def test_compiled_transforms_are_those_of_the_matrix(p, monkeypatch):
    monkeypatch.setattr(knobs.CHECKERS_COMPILED_CIRCLE, 0)
    rng = np.random.default_rng(9)
    for n, m in ((1, 1), (1, 5), (7, 1), (8, 6), (23, 31)):
        x, y = rng.random(n) - 0.5, rng.random(m) - 0.5
        circle = Circle.of(x, y, 1.0, float(p))
        cost = cost_of(Problem.on_circle(x, y, p=p))
        np.testing.assert_allclose(circle.dense(), cost, atol=1e-15)
        np.testing.assert_allclose(
            circle.pairs(np.arange(min(n, m)), np.arange(min(n, m))),
            np.diag(cost),
            atol=1e-15,
        )
        for spread in (0.0, 0.1, 3.0):
            f, g = spread * rng.standard_normal(n), spread * rng.standard_normal(m)
            by_column, by_row = (cost - f[:, None]).min(0), (cost - g).min(1)
            for found in (checker_of(circle).column_minimum(f, 1), circle.column_minimum(f)):
                np.testing.assert_allclose(found, by_column, atol=4e-15)
            for found in (checker_of(circle).row_minimum(g, 1), circle.row_minimum(g)):
                np.testing.assert_allclose(found, by_row, atol=4e-15)
        f[0] = -np.inf
        if n > 1:
            wanted = (cost - f[:, None])[1:].min(0)
            np.testing.assert_allclose(checker_of(circle).column_minimum(f, 1), wanted, atol=4e-15)


def one_pair(rng, p):
    x, y = np.sort(rng.random(6) - 0.5), np.sort(rng.random(5) - 0.5)
    a, b = rng.dirichlet(np.ones(6)), rng.dirichlet(np.ones(5))
    b *= math.fsum(a) / math.fsum(b)
    which = np.zeros((4, 1), np.int64)
    measures = along.Measures(x[None], y[None], a[None], b[None], which, np.ones(1))
    claims = along._claims(measures, (p, 1.0), along._Buffers.of(6, 5, 1))
    return measures, claims


def bounds_of(measures, claims, p):
    proof = LineBounds(6, 5, p, 1, 1.0)
    proof.add(0, measures, claims, proof.scratch())
    return proof.bounds()


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0])
def test_bounds_are_those_of_certify(p):
    rng = np.random.default_rng(10)
    for _ in range(10):
        measures, claims = one_pair(rng, p)
        assert bounds_of(measures, claims, p).proves(1e-9)[0]
        claims.f[0] += 0.1 * rng.standard_normal(6)
        found = bounds_of(measures, claims, p)
        x, y, a, b = (each[0] for each in measures[:4])
        problem, plan = Problem.on_circle(x, y, a, b, p=p), np.zeros((6, 5))
        k = claims.n_arcs[0]
        np.add.at(plan, (claims.rows[0, :k], claims.columns[0, :k]), claims.mass[0, :k])
        wanted = certify(problem, plan, claims.f[0])
        assert found.upper[0] == pytest.approx(wanted.upper, rel=1e-13)
        assert found.lower[0] == pytest.approx(wanted.lower, abs=1e-13)
        assert not found.proves(1e-9)[0]


@pytest.mark.parametrize("p", [1.0, 2.0])
@pytest.mark.parametrize(
    "spoil",
    [
        lambda m, c: c.mass.__setitem__((0, 1), c.mass[0, 1] * (1 + 1e-9)),
        lambda m, c: c.rows.__setitem__((0, 0), (c.rows[0, 0] + 1) % 6),
        lambda m, c: c.f.__setitem__((0, 2), c.f[0, 2] + 0.1),
        lambda m, c: m.x.__setitem__((0, 5), 0.6),
        lambda m, c: m.x.__setitem__((0, 3), -0.5),
    ],
)
def test_wrong_claims_prove_nothing(spoil, p):
    measures, claims = one_pair(np.random.default_rng(11), p)
    spoil(measures, claims)
    assert not bounds_of(measures, claims, p).proves(1e-9)[0]


# ------------------------------------------------------------------------ the uniform distribution


@pytest.mark.parametrize("p", [1, 1.5, 2, 3])
def test_one_atom_and_the_uniform_law(p):
    truth = 0.5**p / (p + 1)
    found = wasserstein_distance([0.3], "uniform", period=1, p=p) ** p
    assert found == pytest.approx(truth, rel=4e-16)
    found = wasserstein_distance([7.0], "uniform", [3.0], period=24, p=p) ** p
    assert found == pytest.approx(3 * 24**p * truth, rel=4e-15)


def test_the_farthest_that_mass_moves_to_the_uniform_law():
    assert wasserstein_distance([0.3], "uniform", period=1, p=math.inf) == 0.5
    found = wasserstein_distance([0.0, 0.5], "uniform", period=1, p=math.inf)
    assert found == 0.25
    with_nothing = [0.0, 0.1, 0.5], "uniform", [0.5, 0.0, 0.5]
    assert wasserstein_distance(*with_nothing, period=1, p=math.inf) == 0.25


def test_quarter_turns_are_an_eighth_from_uniform():
    x = np.arange(4) / 4
    assert wasserstein_distance(x, "uniform", period=1) == pytest.approx(1 / 16)
    found = wasserstein_distance(x, "uniform", period=1, p=2) ** 2
    assert found == pytest.approx(1 / (12 * 16), rel=1e-15)


@pytest.mark.parametrize("p", ORDERS)
def test_uniform_is_the_limit_of_many_atoms(p):
    rng = np.random.default_rng(12)
    x, a = rng.random(5), rng.random(5)
    a[1] = 0.0
    n = 100 if JIT_OFF else 5000
    grid = (np.arange(n) + 0.5) / n
    wanted = wasserstein_distance(x, grid, a, p=p, period=1.0, normalize=True)
    found = wasserstein_distance(x, "uniform", a, p=p, period=1.0, normalize=True)
    assert found == pytest.approx(wanted, rel=1e-2 if JIT_OFF else 1e-5)
    turned = wasserstein_distance(x + 0.4, "uniform", a, p=p, period=1, normalize=True)
    assert turned == pytest.approx(found, rel=1e-14)


def test_many_measures_and_the_uniform_law():
    rng = np.random.default_rng(13)
    x, a = rng.random((3, 1, 4)), rng.dirichlet(np.ones(4), 2)
    found = wasserstein_distance(x, "uniform", a, period=1, axis=-1, normalize=True)
    assert found.shape == (3, 2)
    wanted = wasserstein_distance(x[2, 0], "uniform", a[1], period=1, normalize=True)
    assert found[2, 1] == wanted
    one = wasserstein_distance(x[0, 0], "uniform", period=1, axis=0)
    assert isinstance(one, float)


# --------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"period": 0}, "period must be a positive length, got 0"),
        ({"period": -1.0}, "period must be a positive length, got -1.0"),
        ({"period": math.inf}, "period must be a positive length, got inf"),
        ({"period": "day"}, "period must be a positive length, got 'day'"),
        ({"x": [[0.0]]}, r"x must have shape \(n,\), positions on the circle"),
        ({"y": []}, r"y must have shape \(n,\)"),
        ({"x": [0.0, math.nan]}, r"x\[1\] is nan"),
        ({"p": math.inf}, "p=inf is not available on the circle"),
        ({"p": 0.5}, "p must be >= 1"),
        ({"a": [0.5]}, r"a must have shape \(2,\)"),
        ({"a": [0.5, 0.6]}, "the masses differ"),
    ],
)
def test_bad_input(arguments, message):
    good = {"x": [0.0, 0.5], "y": [0.1]}
    with pytest.raises(InputError, match=message):
        Problem.on_circle(**{**good, **arguments})
    with pytest.raises(InputError, match=message):
        wasserstein_distance(**{**good, "period": 1.0, **arguments})


@pytest.mark.parametrize(
    "options, message",
    [
        ({"metric": "cityblock"}, "the distance is the shorter arc"),
        ({"concave": True, "p": 0.5}, "does not go with period="),
        ({"method": "line", "axis": 0}, "with axis= the method is 'circle'"),
        ({"method": "line"}, "method='line' needs points on the line"),
        ({"y": "normal"}, "y must be points, or 'uniform' together with a period"),
        ({"y": "uniform", "period": None}, "together with a period"),
        ({"y": "uniform", "b": [1.0]}, "b must be left out"),
        ({"y": "uniform", "a": [1.0, -1.0]}, r"a\[1\] is -1.0"),
        ({"y": "uniform", "x": [0.0, math.nan]}, r"^x\[1\] is nan"),
        (
            {"y": "uniform", "x": [[0.0, 1], [0, math.nan]], "axis": -1},
            r"pair \[1\]: x\[1\]",
        ),
        (
            {"y": "uniform", "x": [[0.0, 1], [0, 1]], "a": np.ones((3, 2)), "axis": 1},
            "broadcast",
        ),
    ],
)
def test_options_that_do_not_fit_the_circle(options, message):
    good = {"x": [0.0, 0.5], "y": [0.1], "period": 1.0}
    with pytest.raises(InputError, match=message):
        wasserstein_distance(**{**good, **options})


def test_the_method_needs_a_circle():
    with pytest.raises(InputError, match=r"needs a problem made by Problem.on_circle"):
        solve(Problem([0.0], [1.0]), method="circle")
    assert repr(Problem.on_circle([0.0], [0.5])) == "Problem(1 by 1, arc, p=1, mass 1)"
    assert not Problem.on_circle([0.0], [0.5]).is_metric
