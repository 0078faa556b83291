"""Confidence intervals for W1: their ends, their coverage, and invalid input."""

from __future__ import annotations

import math

import numpy as np
import pytest
from conftest import JIT_OFF

from otdist import InputError, datasets, w1_interval, wasserstein_distance
from otdist.critics import concentration
from otdist.critics.concentration import spread_of_points, w1_by_bands
from otdist.critics.functions import distances

N = 60


def lines(n=N, seed=0):
    return datasets.parallel_lines(0.5).sample(n, rng=seed)


def hoeffding(span, n, m, risk):
    return span * math.sqrt((1 / n + 1 / m) * math.log(1 / risk) / 2)


def bernstein(span, n, m, variance_x, variance_y, risk):
    """Maurer and Pontil's bounds of both standard deviations, then Bernstein's bound."""
    log = math.log(3 / risk)
    missed = [span * math.sqrt(2 * log / (k - 1)) for k in (n, m)]
    error = math.hypot(math.sqrt(variance_x / n), math.sqrt(variance_y / m))
    error += math.hypot(missed[0] / math.sqrt(n), missed[1] / math.sqrt(m))
    return math.sqrt(2 * log) * error + span * log / (3 * min(n, m))


def test_the_ends_are_those_of_the_formulas():
    x, y = lines()
    y = y[:40]
    interval = w1_interval(x, y, confidence=0.9, diameter=2.0, critic="linear", rng=0)
    assert interval.critic.n_held_out == (18, 12)
    # Half of 0.1 for each end, and half of that for each inequality; Hoeffding's is narrower.
    lower = interval.critic.value - hoeffding(2, 18, 12, 0.025)
    upper = wasserstein_distance(x, y) + hoeffding(2, 60, 40, 0.025)
    assert interval.lower == pytest.approx(max(lower, 0.0), rel=1e-10)
    assert interval.upper == pytest.approx(upper, rel=1e-10)
    assert interval.plug_in == pytest.approx(wasserstein_distance(x, y), rel=1e-14)
    assert interval.confidence == 0.9


def test_points_close_to_each_other_take_bernstein():
    rng = np.random.default_rng(3)
    x, y = 0.1 * rng.standard_normal((2, 500, 2))
    y = y[:400] + np.array([30, 40])
    interval = w1_interval(x, y, diameter=100.0, critic="linear", rng=0)
    variances = [np.var(z, axis=0, ddof=1).sum() for z in (x, y)]
    upper = wasserstein_distance(x, y) + bernstein(100, 500, 400, *variances, 0.0125)
    assert interval.upper == pytest.approx(upper, rel=1e-9)
    critic = interval.critic
    assert critic.n_held_out == (150, 120)
    # With both standard deviations below 0.11 in all directions.
    lowest = critic.value - bernstein(100, 150, 120, 0.11**2, 0.11**2, 0.0125)
    assert lowest < interval.lower < critic.value - bernstein(100, 150, 120, 0, 0, 0.0125)
    assert interval.lower > critic.value - hoeffding(100, 150, 120, 0.0125)


def test_the_lower_end_counts_held_out_points_only():
    interval = w1_interval(np.zeros(60), np.ones(40), diameter=1.2, critic="linear", rng=0)
    assert interval.critic.n_held_out == (18, 12)
    assert interval.lower == pytest.approx(1 - hoeffding(1.2, 18, 12, 0.0125), rel=1e-10)
    assert interval.lower > 0.2


def distance_of_bands(x, y, low, high, confidence, number=200_000):
    """Integrate the least and the largest distance of two bands by the midpoint rule."""
    at = low + (np.arange(number) + 0.5) * (high - low) / number
    F, G = (np.searchsorted(np.sort(z), at, side="right") / len(z) for z in (x, y))
    # 2 exp(-2 n eps**2) is a quarter of the error, for each of two samples.
    eps = [math.sqrt(math.log(2 / ((1 - confidence) / 4)) / (2 * len(z))) for z in (x, y)]
    F_low, F_high = np.clip(F - eps[0], 0, 1), np.clip(F + eps[0], 0, 1)
    G_low, G_high = np.clip(G - eps[1], 0, 1), np.clip(G + eps[1], 0, 1)
    least = np.maximum(np.maximum(F_low - G_high, G_low - F_high), 0)
    most = np.maximum(F_high - G_low, G_high - F_low)
    return least.mean() * (high - low), most.mean() * (high - low)


def test_on_the_line_both_ends_come_from_distribution_functions():
    rng = np.random.default_rng(4)
    x, y = rng.random(300), rng.random(200) ** 3
    interval = w1_interval(x, y, box=(-0.2, 1.1), confidence=0.9)
    least, most = distance_of_bands(x, y, -0.2, 1.1, 0.9)
    assert interval.lower == pytest.approx(least, abs=1e-5)
    assert interval.upper <= most + 1e-5
    assert interval.critic is None
    # The bands alone, without a share for W1 of the samples.
    bands = w1_by_bands(x, y, 1.3, 0.05)
    assert bands == pytest.approx((least, most), abs=1e-5)
    by_diameter = w1_interval(x, y, diameter=1.3, confidence=0.9)
    assert (by_diameter.lower, by_diameter.upper) == (interval.lower, interval.upper)


def test_a_shift_is_seen_in_a_box_that_is_much_wider():
    rng = np.random.default_rng(5)
    x, y = rng.normal(45, 10, 2000), rng.normal(55, 10, 2000)
    interval = w1_interval(x, y, box=(-20, 120))
    assert 6 < interval.lower < 10 < interval.upper < 13
    assert "Dvoretzky" in interval.proof[0]


def test_few_points_on_the_line_give_a_wide_interval():
    interval = w1_interval([0.0], [1.0], diameter=1.0)
    assert (interval.lower, interval.upper) == (0.0, 1.0)


def test_ends_are_cut_where_w1_cannot_be():
    x, y = lines(10)
    interval = w1_interval(x, y, diameter=1.2, critic="linear", rng=0)
    assert interval.lower == 0.0
    assert interval.upper == 1.2


def test_a_narrower_support_and_more_points_give_a_narrower_interval():
    n, few_points = (250, 50) if JIT_OFF else (2000, 500)
    x, y = lines(n)
    wide = w1_interval(x, y, diameter=5.0, critic="linear", rng=0)
    narrow = w1_interval(x, y, box=([0, 0], [0.5, 1]), critic="linear", rng=0)
    few = w1_interval(x[:few_points], y[:few_points], diameter=5.0, critic="linear", rng=0)
    lengths = [each.upper - each.lower for each in (narrow, wide, few)]
    assert lengths == sorted(lengths)
    assert narrow.lower > (0.2 if JIT_OFF else 0.4)
    assert narrow.upper < (0.8 if JIT_OFF else 0.6)
    for each in (wide, narrow, few):
        assert each.lower <= 0.5 <= each.upper


def test_the_assumptions_are_printed():
    x, y = lines()
    by_box = w1_interval(x, y, box=(0.0, 1.0), critic="linear", rng=0)
    text = str(by_box)
    assert f"in [{by_box.lower:.6g}, {by_box.upper:.6g}] with confidence 0.95" in text
    assert "all points are independent" in text
    assert "both distributions are in the box from [0. 0.] to [1. 1.], of diameter 1.41421" in text
    assert "lower end: a critic's mean on held-out points, less its deviation" in text
    assert "upper end: W1 of the samples plus the deviation" in text
    line = str(w1_interval(x[:, 1], y[:, 1], box=(0.0, 1.0)))
    assert "lower end: the bands of both distribution functions by Dvoretzky" in line
    text = str(w1_interval(x, y, diameter=3.0, critic="linear", rng=0))
    assert "no two points of the supports are farther apart than 3" in text


def test_the_diameter_of_a_box_is_that_of_the_metric():
    x, y = lines()
    for metric, diameter in (("cityblock", 2.0), ("chebyshev", 1.0)):
        options = {"metric": metric, "critic": "linear", "rng": 0}
        by_box = w1_interval(x, y, box=(0.0, 1.0), **options)
        by_number = w1_interval(x, y, diameter=diameter, **options)
        assert (by_box.lower, by_box.upper) == (by_number.lower, by_number.upper)


@pytest.mark.parametrize(
    "options, message",
    [
        ({}, "needs either diameter=.* or box=.* not computed from the samples"),
        ({"diameter": 2.0, "box": (0.0, 1.0)}, "needs either diameter=.* or box="),
        ({"diameter": 2.0, "independent": False}, "needs independent points"),
        ({"diameter": 0.5}, "diameter=0.5 is too small: two of the points are"),
        ({"diameter": math.inf}, "diameter must be a positive number, got inf"),
        ({"diameter": -1}, "diameter must be a positive number, got -1"),
        ({"diameter": "2"}, "diameter must be a positive number, got '2'"),
        ({"box": 1.0}, r"box must be a pair \(low, high\) of corners, got 1.0"),
        ({"box": (0.0, [1.0])}, r"box\[1\] must be a number or have shape \(2,\)"),
        ({"box": (0.0, math.nan)}, r"box\[1\]\[0\] is nan"),
        ({"box": (0.1, 1.0)}, "must have a positive size and contain all points"),
        ({"box": (0.0, 0.7)}, "must have a positive size and contain all points"),
        ({"box": (1.0, 0.0)}, "must have a positive size and contain all points"),
        ({"diameter": 2.0, "confidence": 1.0}, r"confidence must be in \(0, 1\)"),
        ({"diameter": 2.0, "confidence": math.nan}, r"confidence must be in \(0, 1\)"),
        ({"diameter": 2.0, "critic": "mcshane"}, "holds no points out"),
        ({"diameter": 2.0, "critic": "best"}, "critic must be one of"),
        ({"diameter": 2.0, "metric": "sqeuclidean"}, "metric of w1_interval must be one of"),
    ],
)
def test_what_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        w1_interval(*lines(), **options)


# Two distributions on [0, 1] by their quantile functions, and numbers of points.
PAIRS = {
    "equal": (lambda u: u, lambda u: u, 40, 40),
    "shifted": (lambda u: 0.5 * u, lambda u: 0.5 * u + 0.3, 50, 20),
    "near the ends": (lambda u: u**8, lambda u: 1 - u**8, 30, 60),
    "bernoulli": (lambda u: (u < 0.5) * 1.0, lambda u: 0.0 * u, 40, 40),
    "rare": (lambda u: (u < 0.02) * 1.0, lambda u: (u < 0.01) * 1.0, 100, 40),
    "few points": (lambda u: u, lambda u: u**2, 5, 2),
}


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("critic", ["auto", "linear"])
def test_coverage(name, critic):
    """Of 300 intervals at 80 %, no more miss than 20 % and three standard errors.

    `benchmarks/coverage.py` has more pairs and repeats.
    """
    first, second, n, m = PAIRS[name]
    if critic == "linear":
        n, m = max(n, 10), max(m, 10)
    u = (np.arange(100_000) + 0.5) / 100_000
    w1 = np.abs(np.sort(first(u)) - np.sort(second(u))).mean()
    rng = np.random.default_rng(1)
    repeats = 300
    misses = {"below": 0, "above": 0}
    for repeat in range(repeats):
        x, y = first(rng.random(n)), second(rng.random(m))
        interval = w1_interval(x, y, confidence=0.8, box=(0.0, 1.0), critic=critic, rng=repeat)
        misses["below"] += interval.upper < w1 - 1e-5
        misses["above"] += interval.lower > w1 + 1e-5
    for missed in misses.values():
        assert missed <= repeats * 0.1 + 3 * math.sqrt(repeats * 0.1 * 0.9)


@pytest.mark.parametrize("risk", [0.3, 0.1])
@pytest.mark.parametrize("name", PAIRS)
def test_each_bound_misses_no_more_than_its_share(name, risk):
    """Each inequality alone, in many repeats, of a function whose mean is known.

    Of the bands the two ends count, and that the functions leave them at all.
    """
    first, second, n, m = PAIRS[name]
    u = (np.arange(100_000) + 0.5) / 100_000
    on_x, on_y = np.sort(first(u)), np.sort(second(u))
    mean, w1 = on_x.mean() - on_y.mean(), np.abs(on_x - on_y).mean()
    rng = np.random.default_rng(2)
    repeats = 2000
    missed = dict.fromkeys(("hoeffding", "bernstein", "bands"), 0)
    for _ in range(repeats):
        x, y = first(rng.random(n)), second(rng.random(m))
        off = x.mean() - y.mean() - mean
        error = math.hypot(x.std(ddof=1) / math.sqrt(n), y.std(ddof=1) / math.sqrt(m))
        missed["hoeffding"] += off > concentration._hoeffding(1.0, (n, m), risk)
        missed["bernstein"] += off > concentration._bernstein(1.0, (n, m), error, risk)
        lower, upper = w1_by_bands(x, y, 1.0, risk)
        missed["bands"] += not lower - 1e-5 <= w1 <= upper + 1e-5
    allowed = repeats * risk + 3 * math.sqrt(repeats * risk * (1 - risk))
    assert max(missed.values()) <= allowed, missed


def test_the_spread_of_points_bounds_that_of_every_critic():
    rng = np.random.default_rng(6)
    x, y = rng.standard_normal((2, 50, 3)) * [1, 2, 3]
    centres = (distances(z, z.mean(axis=0), "euclidean") for z in (x, y))
    spread = spread_of_points(*centres)
    for direction in np.eye(3):
        on_x, on_y = x @ direction, y @ direction
        assert math.hypot(*(np.std(z, ddof=1) / math.sqrt(50) for z in (on_x, on_y))) <= spread
    variance = sum(np.var(z, axis=0, ddof=1).sum() / 50 for z in (x, y))
    assert spread == pytest.approx(math.sqrt(variance), rel=1e-12)


def test_the_interval_of_equal_distributions_contains_zero():
    rng = np.random.default_rng(2)
    x, y = rng.random((2, 100, 3))
    interval = w1_interval(x, y, box=(0, 1), rng=0)
    assert interval.lower == 0.0
    assert interval.upper > wasserstein_distance(x, y)
