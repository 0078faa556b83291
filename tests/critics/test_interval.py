"""Confidence intervals for W1: their ends, their coverage, and invalid input."""

from __future__ import annotations

import math

import numpy as np
import pytest
from conftest import JIT_OFF

from otdist import InputError, datasets, w1_interval, wasserstein_distance

N = 60


def lines(n=N, seed=0):
    return datasets.parallel_lines(0.5).sample(n, rng=seed)


def test_the_ends_are_those_of_the_formulas():
    x, y = lines()
    y = y[:40]
    interval = w1_interval(x, y, confidence=0.9, diameter=2.0, critic="linear", rng=0)
    log = math.log(20)  # of 1 / 0.05, the error on either side
    held_out = interval.critic.n_held_out
    assert held_out == (18, 12)
    lower = interval.critic.value - 2 * math.sqrt((1 / 18 + 1 / 12) * log / 2)
    upper = wasserstein_distance(x, y) + 2 * math.sqrt((1 / 60 + 1 / 40) * log / 2)
    assert interval.lower == max(lower, 0.0)
    assert interval.upper == pytest.approx(upper, rel=1e-12)
    assert interval.plug_in == pytest.approx(wasserstein_distance(x, y), rel=1e-14)
    assert interval.confidence == 0.9


def test_the_lower_end_counts_held_out_points_only():
    interval = w1_interval(np.zeros(60), np.ones(40), diameter=1.2, critic="linear", rng=0)
    assert interval.critic.n_held_out == (18, 12)
    below = 1.2 * math.sqrt((1 / 18 + 1 / 12) * math.log(40) / 2)
    assert interval.lower == pytest.approx(1 - below, rel=1e-12)
    assert interval.lower > 0.3


def test_ends_are_cut_where_w1_cannot_be():
    x, y = lines(10)
    interval = w1_interval(x, y, diameter=1.2, critic="linear", rng=0)
    assert interval.lower == 0.0
    assert interval.upper == 1.2


def test_a_narrower_support_and_more_points_give_a_narrower_interval():
    n, few_points = (200, 50) if JIT_OFF else (2000, 500)
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


@pytest.mark.parametrize("confidence", [0.5, 0.95])
def test_coverage(confidence):
    """200 repeats: as often as said, less three standard errors of that count.

    A pair of atoms has the largest variance that a diameter allows, so that 50 % is
    not covered by much more; `benchmarks/coverage.py` has more pairs and repeats.
    """
    rng = np.random.default_rng(1)
    covered = below = above = 0
    for repeat in range(200):
        x, y = rng.integers(0, 2, 40).astype(float), np.zeros(40)
        interval = w1_interval(
            x, y, confidence=confidence, diameter=1.0, critic="linear", rng=repeat
        )
        below += interval.upper < 0.5
        above += interval.lower > 0.5
        covered += interval.lower <= 0.5 <= interval.upper
    error = math.sqrt(confidence * (1 - confidence) / 200)
    assert covered / 200 >= confidence - 3 * error
    for misses in (below, above):
        assert misses / 200 <= (1 - confidence) / 2 + 3 * error


def test_the_interval_of_equal_distributions_contains_zero():
    rng = np.random.default_rng(2)
    x, y = rng.random((2, 100, 3))
    interval = w1_interval(x, y, box=(0, 1), rng=0)
    assert interval.lower == 0.0
    assert interval.upper > wasserstein_distance(x, y)
