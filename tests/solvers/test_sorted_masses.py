"""Sorted couplings on line and circle: masses and potentials keep the digits of the weights."""

from __future__ import annotations

import bisect
import math
from fractions import Fraction

import numpy as np
import oracles
import pytest

from otdist import Problem, Status, solve, wasserstein_distance
from otdist.batch.kernels.line import couple
from otdist.plans.staircase import levels, staircase
from otdist.solvers.circle.kernels.cut import PARTS, couple_around
from otdist.solvers.circle.kernels.levels import LOW_BITS, Levels


def coupled(x, y, a, b, p, period=0.0):
    """Couple sorted distributions by the compiled kernels; return arcs, f and levels.

    On the line there is no potential.
    """
    n, m = len(x), len(y)
    scratch = Levels(*(np.empty(size, np.int64) for size in (n, m, n, m)))
    rows, columns = np.empty((2, 1, n + m), np.int32)
    mass, f, n_arcs = np.empty((1, n + m)), np.full((1, n), np.nan), np.empty(1, np.int64)
    masses = a[None], b[None], np.zeros((4, 1), np.int64), np.ones(1)
    claims = rows, columns, mass, n_arcs
    if period:
        room = np.empty((2, n + m), np.int64), np.empty(5 * n + m + PARTS)
        around = float(p), period, scratch, *room
        couple_around(x[None], y[None], *masses, *around, *claims, f)
    else:
        couple(*masses, scratch, *claims)
    used = slice(0, int(n_arcs[0]))
    return (rows[0, used], columns[0, used], mass[0, used]), f[0], scratch


def arcs_between(x, y, period):
    """Return all distances, the shorter way round if there is a period."""
    direct = np.abs(x[:, None] - y)
    if not period:
        return direct
    half = period / 2
    around = (half - np.maximum(x[:, None], y)) + (np.minimum(x[:, None], y) + half)
    return np.minimum(direct, around)


def on_circle(x, y, a, b, p):
    """Return the optimal cost on a circle of period 1, exactly: the best of all shifts."""
    x, y, a, b = ([Fraction(float(v)) for v in each] for each in (x, y, a, b))
    total = sum(a)
    b = [mass * total / sum(b) for mass in b]
    above_a = [sum(a[: i + 1]) for i in range(len(a))]
    above_b = [sum(b[: j + 1]) for j in range(len(b))]
    best = None
    for shift in {(second - first) % total for first in above_a for second in above_b}:
        ends = sorted({(level + shift) % total for level in above_a} | {v % total for v in above_b})
        cost = Fraction(0)
        for low, high in zip(ends, [*ends[1:], total], strict=True):
            middle = (low + high) / 2
            i = bisect.bisect_right(above_a, (middle - shift) % total)
            apart = abs(x[i] - y[bisect.bisect_right(above_b, middle)])
            cost += (high - low) * min(apart, 1 - apart) ** p
        best = cost if best is None else min(best, cost)
    return float(best)


def families(rng):
    """Yield weights over twenty orders, small differences of large weights, and ties."""
    n, m = rng.integers(1, 8, 2)
    a, b = 10.0 ** rng.uniform(-20, 0, n), 10.0 ** rng.uniform(-20, 0, m)
    yield a, b * (math.fsum(a) / math.fsum(b))
    yield a, rng.permutation(a)
    a = rng.random(n)
    moved = a.copy()
    moved[0] += 1e-14
    yield a, moved
    yield np.full(n, 1 / n), np.full(m, 1 / m)
    yield rng.integers(1, 4, 4) / 8, rng.integers(1, 4, 3) / 8


def test_levels_are_exact_far_below_the_rounding_of_their_sum():
    rng = np.random.default_rng(0)
    for _ in range(40):
        for a, b in families(rng):
            if np.ptp(a) == 0 and np.ptp(b) == 0:
                continue  # integers of another unit
            total = sum(map(Fraction, a))
            ratio = total / sum(map(Fraction, b))
            wanted = [sum(map(Fraction, a[: i + 1])) for i in range(len(a))]
            wanted += [ratio * sum(map(Fraction, b[: j + 1])) for j in range(len(b))]
            high, low, unit = levels(a, b)
            _, _, found = coupled(np.arange(len(a)), np.arange(len(b)), a, b, 1)
            compiled = [*found.a, *found.b], [*found.low_a, *found.low_b]
            for highs, lows in ((high, low), compiled):
                for level, rest, right in zip(highs, lows, wanted, strict=True):
                    got = (int(level) + Fraction(int(rest), 2**LOW_BITS)) * Fraction(unit)
                    assert abs(got - right) <= total * Fraction(2) ** -100


@pytest.mark.parametrize("p", [1, 2, 15])
def test_a_line_costs_what_it_costs_in_exact_arithmetic(p):
    rng = np.random.default_rng(1)
    for _ in range(40):
        for a, b in families(rng):
            x, y = np.sort(rng.normal(size=len(a))), np.sort(rng.normal(size=len(b)))
            truth = oracles.on_line(x, y, a, b, p)
            for rows, columns, mass in (coupled(x, y, a, b, p)[0], staircase(a, b)):
                cost = math.fsum(mass * np.abs(x[rows] - y[columns]) ** p)
                assert cost == pytest.approx(truth, rel=1e-9, abs=1e-25)


@pytest.mark.parametrize("p", [1, 2, 15])
def test_a_circle_costs_what_it_costs_in_exact_arithmetic(p):
    rng = np.random.default_rng(2)
    for _ in range(20):
        for a, b in families(rng):
            x = np.sort(rng.uniform(-0.5, 0.5, len(a)))
            y = np.sort(rng.uniform(-0.5, 0.5, len(b)))
            if len(a) == len(b) and rng.random() < 0.5:
                y = x  # only what differs in mass moves
            (rows, columns, mass), _, _ = coupled(x, y, a, b, p, 1.0)
            cost = math.fsum(mass * arcs_between(x, y, 1.0)[rows, columns] ** p)
            assert cost == pytest.approx(on_circle(x, y, a, b, p), rel=1e-9, abs=1e-25)


@pytest.mark.parametrize("p", [1, 2, 3])
def test_the_best_shift_is_found_among_levels_that_almost_meet(p):
    """All that moves is 1e-20 to 1e-18 of the sum: less than a unit of the high limbs."""
    rng = np.random.default_rng(4)
    for _ in range(40):
        n = int(rng.integers(3, 8))
        x = np.sort(rng.uniform(-0.5, 0.5, n))
        a = 10.0 ** rng.uniform(-20, -18, n)
        large = rng.permutation(n)[:2]
        b = a.copy()
        others = np.setdiff1d(np.arange(n), large)
        b[others] = rng.permutation(a[others])
        a[large] = b[large] = rng.random(2)
        (rows, columns, mass), _, _ = coupled(x, x, a, b, p, 1.0)
        cost = math.fsum(mass * arcs_between(x, x, 1.0)[rows, columns] ** p)
        assert cost == pytest.approx(on_circle(x, x, a, b, p), rel=1e-9, abs=0)


def test_a_small_mass_far_away_counts():
    """Masses were rounded to 2**-61 of their sum, 20 of 1e-20 in this case."""
    x, y, a = np.array([0.0, 0.0]), np.array([1.0, 0.0]), np.array([1e-20, 0.7])
    right = pytest.approx(1e-10, rel=1e-12)
    assert wasserstein_distance(x, y, a, a, p=2) == right
    assert wasserstein_distance(x[None], y[None], a[None], a[None], p=2, axis=-1)[0] == right
    assert wasserstein_distance(x, y, a, a, p=2, period=8.0) == right


@pytest.mark.parametrize("n, p", [(6, 50), (50, 15), (50, 3), (51, 15)])
@pytest.mark.parametrize("period", [0.0, 8.0])
def test_potentials_are_of_the_size_of_the_costs_that_are_paid(n, p, period):
    """Sums of cost differences passed through costs of 3**p between two clusters."""
    rng = np.random.default_rng(n)
    x, y = (np.sort(rng.random(n) + 3 * (np.arange(n) % 2) - 2) for _ in range(2))
    uniform = np.full(n, 1 / n)
    truth = oracles.on_line(x, y, uniform, uniform, p)
    cost = arcs_between(x, y, period) ** p
    if period:
        f = coupled(x, y, uniform, uniform, p, period)[1]
    else:
        f = solve(Problem(x, y, p=p), method="line").potentials[0]
    g = (cost - f[:, None]).min(axis=0)
    dual = sum(Fraction(float(value)) for value in (*f, *g)) / n
    assert truth - dual == pytest.approx(0, abs=1e-11 * truth)


def test_atoms_without_mass_get_finite_potentials():
    x, y = np.array([-1.0, 0.0, 1.0]), np.array([0.0, 2.0])
    a, b = np.array([0.5, 0.0, 0.5]), np.array([0.25, 0.75])
    _, f, _ = coupled(x, y, a, b, 2, 8.0)
    assert np.isfinite(f).all()


def test_potentials_on_a_circle_return_to_where_they_began():
    """Ties of all levels leave choices, and the last one closes the circle."""
    rng = np.random.default_rng(3)
    for _ in range(60):
        n = int(rng.integers(2, 9))
        x, y = np.sort(rng.uniform(-0.5, 0.5, (2, n)))
        y = np.sort(x + 1e-4 * y) if rng.random() < 0.5 else y
        uniform = np.full(n, 1 / n)
        p = int(rng.choice([1, 2, 15]))
        (rows, columns, mass), f, _ = coupled(x, y, uniform, uniform, p, 1.0)
        cost = arcs_between(x, y, 1.0) ** p
        value = math.fsum(mass * cost[rows, columns])
        g = (cost - f[:, None]).min(axis=0)
        assert math.fsum([*f, *g]) / n == pytest.approx(value, rel=1e-9)


def test_masses_below_all_digits_have_potentials(monkeypatch):
    """They have no arc, and their potentials were whatever the memory held."""
    real = np.empty
    monkeypatch.setattr(np, "empty", lambda *of, **more: _spoilt(real(*of, **more)))
    x = np.linspace(-14, 14, 141)
    normal = np.exp(-(x**2) / 2)
    mixture = np.exp(-(((x - 0.3) / 0.3) ** 2) / 2) + np.exp(-(((x + 1.7) / 0.3) ** 2) / 2)
    a, b = mixture / mixture.sum(), normal / normal.sum()
    for p in (1, 2):
        problems = Problem(x, x, a, b, p=p), Problem.on_circle(x, x, a, b, p=p, period=99)
        for result in map(solve, problems):
            _assert_finite(result)


def _assert_finite(result):
    assert np.isfinite(result.potentials[0]).all()
    assert np.isfinite(result.potentials[1]).all()
    assert result.status is Status.OPTIMAL


def _spoilt(array):
    """Fill an array of floats with NaN, as memory may be."""
    if array.dtype == np.float64:
        array.fill(np.nan)
    return array
