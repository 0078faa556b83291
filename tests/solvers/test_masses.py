"""Integer masses: exact where they can be, off by no more than rounding elsewhere."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import strategies
from hypothesis import given
from hypothesis import strategies as st

from otdist.plans.integer_masses import IntegerMasses, northwest, quantise
from otdist.plans.kernels import integer_masses as compiled

LIMIT = 2**62


def assert_valid(masses: IntegerMasses) -> None:
    assert masses.a.dtype == masses.b.dtype == np.int64
    assert (masses.a > 0).all()
    assert (masses.b > 0).all()
    total = sum(map(int, masses.a))
    assert total == sum(map(int, masses.b)) < LIMIT


def assert_exact(masses, a, b):
    unit = Fraction(masses.unit)
    assert all(int(k) * unit == Fraction(v) for k, v in zip(masses.a, a, strict=True))
    assert all(int(k) * unit == Fraction(v) for k, v in zip(masses.b, b, strict=True))


@st.composite
def positive_counts(draw):
    n, m = draw(st.integers(1, 8)), draw(st.integers(1, 8))
    total = draw(st.integers(max(n, m), 2**40))
    a = draw(strategies.counts(n, total - n)) + 1
    b = draw(strategies.counts(m, total - m)) + 1
    return a, b


@given(positive_counts(), st.integers(-1000, 900))
def test_counts_times_a_power_of_two_are_exact(pair, k):
    a, b = (np.ldexp(side, k) for side in pair)
    masses = quantise(a, b)
    assert_valid(masses)
    if np.ptp(a) or np.ptp(b):
        assert_exact(masses, a, b)


@given(st.integers(1, 400), st.integers(1, 400))
def test_uniform_masses_are_the_smallest_integers(n, m):
    masses = quantise(np.full(n, 1 / n), np.full(m, 1 / m))
    assert_valid(masses)
    assert int(masses.a.sum()) == math.lcm(n, m)
    assert masses.a[0] * masses.unit == pytest.approx(1 / n, rel=4e-16)
    assert masses.b[0] * masses.unit == pytest.approx(1 / m, rel=4e-16)


@given(st.data())
def test_any_masses_are_right_to_the_rounding_of_their_total(data):
    n, m = data.draw(st.integers(1, 8)), data.draw(st.integers(1, 8))
    exponents = st.floats(-30, 0)
    a = 10.0 ** np.array(data.draw(st.lists(exponents, min_size=n, max_size=n)))
    b = 10.0 ** np.array(data.draw(st.lists(exponents, min_size=m, max_size=m)))
    scale = 2.0 ** data.draw(st.integers(-900, 900))
    total = math.fsum(a)
    b *= total / math.fsum(b)
    masses = quantise(a * scale, b * scale)
    assert_valid(masses)
    slack = 4e-16 * total * scale
    assert np.abs(masses.a * masses.unit - a * scale).max() <= slack
    assert np.abs(masses.b * masses.unit - b * scale).max() <= slack


def test_the_remainder_goes_to_the_largest_mass():
    a = np.array([0.1, 0.2, 0.7])
    b = np.array([0.3, 0.3, 0.4])
    masses = quantise(a, b)
    assert_valid(masses)
    # Every mass but the largest is rounded to the nearest unit.
    for whole, wanted in ((masses.a, a), (masses.b, b)):
        error = [
            abs(int(k) - Fraction(v) / Fraction(masses.unit))
            for k, v in zip(whole, wanted, strict=True)
        ]
        error.pop(int(np.argmax(wanted)))
        assert max(error) <= 2**9  # the total itself is a rounded float: 2**-53


def test_masses_near_overflow_and_underflow():
    for scale in (1e308, 1e-300):
        a, b = np.array([0.3, 0.4]) * scale, np.array([0.2, 0.25, 0.25]) * scale
        masses = quantise(a, b)
        assert_valid(masses)
        assert np.isfinite(masses.a * masses.unit).all()
        assert (masses.a * masses.unit > 0).all()


def assert_compiled_alike(a, b):
    """Compare the compiled twin with NumPy: the same integers, unit and verdict."""
    a, b = np.array(a, dtype=float), np.array(b, dtype=float)
    wanted = quantise(a, b)
    whole_a, whole_b = np.empty(len(a), np.int64), np.empty(len(b), np.int64)
    unit, is_exact = compiled.quantise(a, b, 1.0, math.fsum(a), whole_a, whole_b)
    assert (whole_a == wanted.a).all()
    assert (whole_b == wanted.b).all()
    assert (unit, is_exact) == (wanted.unit, wanted.is_exact)


@given(positive_counts(), st.integers(-1000, 900))
def test_compiled_counts_are_the_same(pair, k):
    assert_compiled_alike(*(np.ldexp(side, k) for side in pair))


@given(st.integers(1, 400), st.integers(1, 400))
def test_compiled_uniform_masses_are_the_same(n, m):
    assert_compiled_alike(np.full(n, 1 / n), np.full(m, 1 / m))


@given(st.data())
def test_any_compiled_masses_are_the_same(data):
    n, m = data.draw(st.integers(1, 8)), data.draw(st.integers(1, 8))
    exponents = st.floats(data.draw(st.sampled_from([-30, -3, -1])), 0)
    a = 10.0 ** np.array(data.draw(st.lists(exponents, min_size=n, max_size=n)))
    b = 10.0 ** np.array(data.draw(st.lists(exponents, min_size=m, max_size=m)))
    b *= math.fsum(a) / math.fsum(b)
    scale = 2.0 ** data.draw(st.integers(-900, 900))
    assert_compiled_alike(a * scale, b * scale)


@pytest.mark.parametrize(
    "a, b, is_exact",
    [
        ([0.5, 0.5], [0.25, 0.75], True),
        ([0.1, 0.2, 0.7], [0.3, 0.3, 0.4], False),
        ([1e-20, 1.0], [0.5, 0.5], False),
        ([0.5, 0.5], [1e-20, 1.0], False),
        ([0.25, 0.75], [0.5, 0.5 + 1e-12], False),
        ([0.25, 0.75 + 1e-12], [0.5, 0.5], False),
        ([3e-309, 4e-309], [7e-309], True),
        ([3e307, 4e307], [7e307], False),
    ],
)
def test_the_compiled_verdict_is_the_same(a, b, is_exact):
    assert quantise(np.array(a), np.array(b)).is_exact == is_exact
    assert_compiled_alike(a, b)


@given(positive_counts())
def test_northwest_is_a_staircase_with_exact_marginals(pair):
    a, b = (side.astype(np.int64) for side in pair)
    rows, columns, flow = northwest(a, b)
    assert (flow > 0).all()
    assert len(flow) <= len(a) + len(b) - 1
    assert (np.bincount(rows, minlength=len(a)) > 0).all()
    plan = np.zeros((len(a), len(b)), np.int64)
    plan[rows, columns] += flow
    assert np.count_nonzero(plan) == len(flow)
    assert (plan.sum(axis=1) == a).all()
    assert (plan.sum(axis=0) == b).all()
    assert (np.diff(rows) >= 0).all()
    assert (np.diff(columns) >= 0).all()


def test_northwest_passes_over_empty_atoms():
    rows, columns, flow = northwest(np.array([0, 2, 0, 1]), np.array([1, 0, 2]))
    assert rows.tolist() == [1, 1, 3]
    assert columns.tolist() == [0, 2, 2]
    assert flow.tolist() == [1, 1, 1]
