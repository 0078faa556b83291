"""Divergences from samples: definitions, coverage, published values, messages."""

from __future__ import annotations

import dataclasses
import math

import mpmath
import numpy as np
import pytest
from scipy.stats import binom

from otdist import InputError, gaussian, js_divergence, kl_divergence, samples

LOG_2 = math.log(2.0)


def brute_force_knn(x, y, k):
    """The definition, from all distances."""
    (n, d), m = x.shape, len(y)
    own = np.sort(np.linalg.norm(x[:, None] - x, axis=-1), axis=1)[:, k]
    other = np.sort(np.linalg.norm(x[:, None] - y, axis=-1), axis=1)[:, k - 1]
    return d * np.mean(np.log(other / own)) + math.log(m / (n - 1))


@pytest.mark.parametrize("k", [1, 2, 5])
@pytest.mark.parametrize("d", [1, 3])
def test_knn_by_its_definition_and_its_jackknife(k, d):
    rng = np.random.default_rng([k, d])
    x, y = rng.standard_normal((23, d)), rng.standard_normal((17, d)) + 0.5
    estimate = samples.knn_divergence(x, y, k)
    assert estimate.value == pytest.approx(brute_force_knn(x, y, k), rel=1e-12)
    left_x = [brute_force_knn(np.delete(x, i, 0), y, k) for i in range(23)]
    left_y = [brute_force_knn(x, np.delete(y, j, 0), k) for j in range(17)]
    jackknife = math.sqrt(22 * np.var(left_x) + 16 * np.var(left_y))
    assert estimate.standard_error == pytest.approx(jackknife, rel=1e-10)


@pytest.mark.parametrize("d, bias", [(1, 0.02), (3, 0.15)])
def test_knn_of_normal_laws(d, bias):
    """Means of 40 runs are near the truth; standard errors are no smaller than real."""
    rng = np.random.default_rng(d)
    shift = np.eye(d)[0]
    draws = rng.standard_normal((40, 2, 400, d))
    estimates = [samples.knn_divergence(x, y + shift) for x, y in draws]
    values = np.array([estimate.value for estimate in estimates])
    errors = np.array([estimate.standard_error for estimate in estimates])
    truth = gaussian.kl_divergence(0 * shift, 1, shift, 1)
    assert abs(values.mean() - truth) < bias + 4 * values.std() / math.sqrt(40)
    # The standard deviation of 40 values is itself known within 11 %.
    assert 0.75 * values.std() < errors.mean() < 2.0 * values.std()


def test_knn_grows_with_the_sample_on_disjoint_lines():
    rng = np.random.default_rng(0)
    values = []
    for n in (100, 1000, 10_000):
        x = np.column_stack([np.zeros(n), rng.random(n)])
        y = np.column_stack([np.ones(n), rng.random(n)])
        values.append(samples.knn_divergence(x, y).value)
    steps = np.diff(values)
    # KL is inf; d / d_intrinsic - 1 = 1, so the estimate grows as 2 log n - log n ...
    assert (steps > math.log(10)).all()


def test_knn_is_the_same_in_other_units():
    rng = np.random.default_rng(5)
    x, y = rng.standard_normal((2, 50, 2))
    estimate, scaled = (
        samples.knn_divergence(x, y),
        samples.knn_divergence(8 * x, 8 * y),
    )
    assert scaled.value == pytest.approx(estimate.value, rel=1e-13)
    line = samples.knn_divergence(x[:, 0], y[:, 0])
    assert line == samples.knn_divergence(x[:, :1], y[:, :1])


def test_knn_refuses_equal_points():
    rng = np.random.default_rng(6)
    x, y = rng.standard_normal((2, 30))
    message = r"x\[29\] equals another point of y; .*align\(\).*add noise"
    with pytest.raises(InputError, match=message):
        samples.knn_divergence(np.append(x[:29], y[3]), y)
    with pytest.raises(InputError, match=r"x\[0\] equals another point of x; "):
        samples.knn_divergence(np.append(x[:29], x[0]), y)
    repeated = np.append(y, y[:3])
    assert math.isfinite(samples.knn_divergence(x, repeated).value)


# ------------------------------------------------------------- a discriminator's loss


def best_for_a_shift(gap):
    """The best discriminator between N(0, 1) and N(gap, 1), whatever the samples."""
    return lambda _x, _y: lambda z: 1 / (1 + np.exp(gap * z[:, 0] - gap**2 / 2))


def test_the_best_discriminator_attains_js():
    rng = np.random.default_rng(7)
    x, y = rng.standard_normal((2, 40_000))
    estimate = samples.classifier_divergence(x, y + 2, best_for_a_shift(2.0), rng=0)
    truth = gaussian.js_divergence(0, 1, 2, 1)
    assert estimate.standard_error < 0.005
    assert abs(estimate.value - truth) < 4 * estimate.standard_error


def test_standard_errors_of_the_loss_are_those_of_repeats():
    rng = np.random.default_rng(8)
    draws = rng.standard_normal((200, 2, 80)) + np.array([[0.0], [1.0]])
    repeats = [
        samples.classifier_divergence(x, y, best_for_a_shift(1.0), rng=rng) for x, y in draws
    ]
    values = np.array([estimate.value for estimate in repeats])
    errors = np.array([estimate.standard_error for estimate in repeats])
    assert errors.mean() == pytest.approx(values.std(), rel=0.2)
    assert values.mean() == pytest.approx(0.11142, abs=4 * values.std() / 14)


@pytest.mark.parametrize(
    "first, second",
    [((0, 1), (2, 1)), ((0, 1), (0, 4)), ((1, 1), (0, 1))],
)
def test_the_own_classifier_is_nearly_the_best_between_normal_laws(first, second):
    rng = np.random.default_rng(9)
    x = rng.normal(first[0], math.sqrt(first[1]), 1000)
    y = rng.normal(second[0], math.sqrt(second[1]), 9000)
    estimate = samples.classifier_divergence(x, y, rng=1)
    truth = gaussian.js_divergence(*first, *second)
    assert abs(estimate.value - truth) < 4 * estimate.standard_error + 0.002


def test_products_of_coordinates_see_a_correlation():
    rng = np.random.default_rng(10)
    x = rng.standard_normal((4000, 2))
    y = x[:, :1] * [1, 0.9] + rng.standard_normal((4000, 2)) * [0, math.sqrt(0.19)]
    estimate = samples.classifier_divergence(x[:2000], y[2000:], rng=2)
    assert estimate.value > 0.1
    wide = rng.standard_normal((600, 40))
    scaled = rng.standard_normal((600, 40)) * 2
    assert samples.classifier_divergence(wide, scaled, rng=0).value > 0.5


def test_data_held_out_show_nothing_between_equal_laws():
    """Fitted and judged on the same points, 27 features would separate these."""
    rng = np.random.default_rng(11)
    values = [
        samples.classifier_divergence(*rng.standard_normal((2, 60, 6)), rng=rng).value
        for _ in range(20)
    ]
    assert np.mean(values) < 0.0
    bounds = [
        samples.divergence_lower(*rng.standard_normal((2, 60, 6)), rng=rng).lower for _ in range(20)
    ]
    assert np.count_nonzero(bounds) <= 3


def test_a_constant_coordinate_and_any_scale_are_no_matter():
    rng = np.random.default_rng(12)
    x, y = rng.standard_normal((2, 200, 1))
    base = samples.classifier_divergence(x, y + 1, rng=3).value
    flat = np.full((200, 1), 7.0)
    padded = np.hstack([1e9 * x, flat]), np.hstack([1e9 * (y + 1), flat])
    assert samples.classifier_divergence(*padded, rng=3).value == pytest.approx(base)


def test_certain_mistakes_cost_no_infinity():
    x, y = np.zeros(100), np.ones(100)
    sure = samples.classifier_divergence(x, y, lambda *_: lambda z: 1 - z[:, 0])
    assert sure.value == pytest.approx(LOG_2 + math.log(1 - 1 / 102), rel=1e-12)
    assert sure.standard_error == pytest.approx(0.0, abs=1e-15)
    wrong = samples.classifier_divergence(x, y, lambda *_: lambda z: z[:, 0])
    assert wrong.value == pytest.approx(LOG_2 - math.log(102), rel=1e-12)


# -------------------------------------------------------------------- certified bounds


def test_what_1000_separated_points_of_each_prove():
    rng = np.random.default_rng(13)
    x, y = rng.normal(-9, 1, (2000, 2)), rng.normal(9, 1, (2000, 2))
    bounds = {
        kind: samples.divergence_lower(x, y, kind, rng=0).lower
        for kind in ("tv", "js", "kl", "hellinger")
    }
    assert bounds["tv"] == pytest.approx(0.9926, abs=5e-5)
    assert bounds["js"] == pytest.approx(0.6688, abs=5e-5)
    assert bounds["kl"] == pytest.approx(5.559, abs=5e-4)
    p = 0.025 ** (1 / 1000)  # Clopper-Pearson of n successes in n
    assert bounds["tv"] == pytest.approx(2 * p - 1, rel=1e-12)
    square = 1 - 2 * math.sqrt(p * (1 - p))
    assert bounds["hellinger"] == pytest.approx(math.sqrt(square), rel=1e-12)


def test_the_bound_is_that_of_clopper_and_pearson():
    """Both probabilities are where the binomial tails are half of the risk."""
    rng = np.random.default_rng(14)
    x, y = rng.random(100), rng.random(60)
    # Of held-out points, 37 of 50 and 9 of 30 are in the event.
    order = np.arange(80)
    event = np.where(order < 50, order < 37, order < 59).astype(float)
    for confidence in (0.5, 0.95, 0.999):
        bound = samples.divergence_lower(
            x, y, confidence=confidence, classifier=lambda *_: lambda z: event, rng=0
        )
        with mpmath.workdps(30):
            risk = (1 - mpmath.mpf(confidence)) / 2
        low, high = 0.0, 1.0
        for _ in range(80):
            middle = (low + high) / 2
            if binom.sf(36, 50, middle) < float(risk):
                low = middle
            else:
                high = middle
        p, low, high = low, 0.0, 1.0
        for _ in range(80):
            middle = (low + high) / 2
            if binom.cdf(9, 30, middle) > float(risk):
                low = middle
            else:
                high = middle
        assert bound.lower == pytest.approx(max(p - low, 0), rel=1e-9)
        assert bound.confidence == confidence


@pytest.mark.parametrize("kind", ["tv", "js", "kl", "hellinger"])
def test_coverage(kind):
    """In 1000 repeats a bound of confidence 0.9 is too large 100 times at most.

    The distribution of A is known, so the count is that of the binomial, not of a classifier.
    """
    rng = np.random.default_rng(15)
    event = lambda _x, _y: lambda z: z[:, 0]
    exact = {
        "tv": 0.3,
        "js": js_divergence([0.6, 0.4], [0.3, 0.7]),
        "kl": kl_divergence([0.6, 0.4], [0.3, 0.7]),
        "hellinger": math.sqrt(1 - math.sqrt(0.18) - math.sqrt(0.28)),
    }[kind]
    above, bounds = 0, []
    for _ in range(1000):
        x = (rng.random(80) < 0.6).astype(float)
        y = (rng.random(80) < 0.3).astype(float)
        bound = samples.divergence_lower(x, y, kind, confidence=0.9, classifier=event, rng=rng)
        above += bound.lower > exact
        bounds.append(bound.lower)
    assert above <= 100
    assert np.count_nonzero(bounds) > 400


def test_coverage_with_the_own_classifier():
    rng = np.random.default_rng(16)
    truth = gaussian.total_variation(0, 1, 1, 1)
    bounds = np.array(
        [
            samples.divergence_lower(
                *(rng.standard_normal((2, 60)) + np.array([[0.0], [1.0]])),
                confidence=0.8,
                rng=rng,
            ).lower
            for _ in range(200)
        ]
    )
    assert np.count_nonzero(bounds > truth) <= 40
    assert np.count_nonzero(bounds) > 50


def test_the_bound_tightens_with_the_sample_and_loosens_with_confidence():
    rng = np.random.default_rng(17)
    x, y = rng.standard_normal((2, 20_000))
    lower = [samples.divergence_lower(x[:n], y[:n] + 1, rng=0).lower for n in (200, 2000, 20_000)]
    assert 0 < lower[0] < lower[1] < lower[2] < gaussian.total_variation(0, 1, 1, 1)
    assert lower[2] > 0.35
    strict = samples.divergence_lower(x, y + 1, confidence=0.9999, rng=0).lower
    assert strict < lower[2]


def test_the_roles_are_not_exchanged():
    """A is where x is; a classifier that says the contrary proves nothing."""
    x, y = np.zeros(100), np.ones(100)
    contrary = lambda *_: lambda z: z[:, 0]
    assert samples.divergence_lower(x, y, classifier=contrary).lower == 0.0
    more_x = samples.divergence_lower(np.zeros(1000), y, "kl", rng=0).lower
    more_y = samples.divergence_lower(x, np.ones(1000), "kl", rng=0).lower
    assert more_y > more_x  # KL is large where Q(A) is known to be small


# --------------------------------------------------------------------------- arguments


def test_seeds_and_generators():
    rng = np.random.default_rng(18)
    x, y = rng.standard_normal((2, 100))
    function = samples.classifier_divergence
    assert function(x, y, rng=4) == function(x, y, rng=4)
    assert function(x, y, rng=4) == function(x, y, rng=np.random.default_rng(4))
    assert function(x, y, rng=4) != function(x, y, rng=5)
    generator = np.random.default_rng(4)
    assert function(x, y, rng=generator) != function(x, y, rng=generator)


def test_held_out_points_are_not_trained_on():
    x, y = np.arange(100.0), np.arange(100.0, 140)
    seen = {}

    def classifier(train_x, train_y):
        seen["x"], seen["y"] = set(train_x[:, 0]), set(train_y[:, 0])

        def discriminator(points):
            seen["held"] = points[:, 0].tolist()
            return np.full(len(points), 0.5)

        return discriminator

    estimate = samples.classifier_divergence(x, y, classifier, held_out=0.25, rng=0)
    assert estimate.value == pytest.approx(0.0, abs=1e-15)
    assert (len(seen["x"]), len(seen["y"]), len(seen["held"])) == (75, 30, 35)
    assert seen["x"].isdisjoint(seen["held"])
    assert seen["y"].isdisjoint(seen["held"])
    assert sorted([*seen["x"], *seen["y"], *seen["held"]]) == list(range(140))


def test_results_are_frozen_and_say_what_they_assume():
    x, y = np.random.default_rng(19).standard_normal((2, 30))
    for result in (
        samples.knn_divergence(x, y),
        samples.classifier_divergence(x, y),
        samples.divergence_lower(x, y, "js"),
    ):
        assert "independent samples" in result.assumptions
        with pytest.raises(dataclasses.FrozenInstanceError):
            result.assumptions = ""
    assert samples.divergence_lower(x, y, "js").kind == "js"


X = np.arange(10.0)
BAD = [
    (lambda f: f([math.nan, 1, 2, 3], X), r"x\[0\] is nan"),
    (lambda f: f(X, [[1.0, 2.0]]), "x and y must have the same number of coordinates"),
    (lambda f: f([], X), "x is empty"),
    (lambda f: f(X, ["a"]), "y must hold real numbers"),
]


@pytest.mark.parametrize("call, message", BAD)
def test_bad_samples_are_refused(call, message):
    for function in (
        samples.knn_divergence,
        samples.classifier_divergence,
        samples.divergence_lower,
    ):
        with pytest.raises(InputError, match=message):
            call(function)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"held_out": 0}, r"held_out must be a number in \(0, 1\), got 0"),
        ({"held_out": math.nan}, r"held_out must be a number in \(0, 1\), got nan"),
        ({"held_out": "half"}, "held_out must be a number"),
        ({"held_out": 0.9}, r"x has 10 points; held_out=0.9 must leave at least two"),
        ({"rng": "seed"}, "rng must be a numpy Generator, a seed, or None, got 'seed'"),
        ({"rng": -1}, "rng must be a numpy Generator, a seed, or None, got -1"),
        ({"classifier": 3}, "classifier must be a function of x and y, got 3"),
        ({"classifier": lambda *_: 3}, "must return a function of points .* got 3"),
        (
            {"classifier": lambda *_: lambda z: z},
            r"the classifier's result must have shape \(10,\), got \(10, 1\)",
        ),
        (
            {"classifier": lambda *_: lambda z: z[:, 0] + 0.5},
            r"probabilities in \[0, 1\], got \d",
        ),
        (
            {"classifier": lambda *_: lambda z: z[:, 0] * math.nan},
            r"probabilities in \[0, 1\], got nan",
        ),
    ],
)
def test_bad_options_are_refused(options, message):
    for function in (samples.classifier_divergence, samples.divergence_lower):
        with pytest.raises(InputError, match=message):
            function(X, X + 0.5, **options)


def test_bad_kinds_and_confidences_are_refused():
    with pytest.raises(InputError, match="kind must be one of 'tv', 'js', 'kl', 'hell"):
        samples.divergence_lower(X, X, "chi2")
    for confidence in (0, 1, 95, math.nan, "high"):
        with pytest.raises(InputError, match=r"confidence must be a number in \(0, 1\)"):
            samples.divergence_lower(X, X, confidence=confidence)
    for k in (0, -1, 2.0, "5", True):
        with pytest.raises(InputError, match="k must be a positive integer"):
            samples.knn_divergence(X, X + 0.5, k)
    with pytest.raises(InputError, match=r"need at least k \+ 2 = 11 points, got 10"):
        samples.knn_divergence(X, X + 0.5, 9)
