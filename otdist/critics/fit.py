"""Fits that are closed, or a few steps of one: linear, radial, ridge, exact duals."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from otdist.critics.functions import (
    Funnel,
    Linear,
    Profile,
    Radial,
    Ridge,
    best_profile,
    distances,
    steepest,
)
from otdist.critics.sample import Sample
from otdist.pipeline import solve
from otdist.problem.problem import Problem
from otdist.typing import FloatArray

_RIDGE_STEPS = 20
_N_RANDOM = 4  # directions that ridges start from, beside those of the moments
_MOST_ATOMS = 4096  # of an exact dual, and _MOST_NUMBERS coordinates on one side
_MOST_NUMBERS = 1 << 17


def linear(sample: Sample, metric: str) -> Linear:
    """Return the best linear function: along the difference of the means."""
    return Linear(steepest(sample.a @ sample.x - sample.b @ sample.y, metric))


def radial(sample: Sample, metric: str) -> Radial:
    """Return the best function of the distance from one of three means."""
    means = sample.a @ sample.x, sample.b @ sample.y
    candidates = []
    for centre in (*means, (means[0] + means[1]) / 2):
        s, t = (distances(z, centre, metric) for z in (sample.x, sample.y))
        profile = best_profile(s, t, sample.a, sample.b)
        value = sample.difference(profile(s), profile(t))
        candidates.append((value, Radial(centre, profile, metric)))
    return max(candidates, key=lambda candidate: candidate[0])[1]


def ridge(sample: Sample, rng: np.random.Generator) -> Ridge:
    """Return a function of one projection on which the samples are far apart.

    Ascent from the directions in which means and variances differ most, and some
    random ones; see Niles-Weed and Rigollet, "Estimation of Wasserstein distances in
    the spiked transport model", 2022.
    """
    climbs = [_climb(sample, start) for start in _directions(sample, rng)]
    _, direction, profile = max(climbs, key=lambda climb: climb[0])
    return Ridge(direction, profile)


def _directions(sample: Sample, rng: np.random.Generator) -> Iterator[FloatArray]:
    """Yield directions to start a ridge from."""
    mean_x, mean_y = sample.a @ sample.x, sample.b @ sample.y
    yield mean_x - mean_y
    off_x, off_y = sample.x - mean_x, sample.y - mean_y
    spread = (off_x.T * sample.a) @ off_x - (off_y.T * sample.b) @ off_y
    vectors = np.linalg.eigh(spread)[1]
    yield vectors[:, 0]
    yield vectors[:, -1]
    yield from rng.normal(size=(_N_RANDOM, len(mean_x)))


def _climb(sample: Sample, start: FloatArray) -> tuple[float, FloatArray, Profile]:
    """Turn a direction as long as W1 of the projections grows."""
    best = _projected(sample, start)
    for _ in range(_RIDGE_STEPS):
        _, direction, profile = best
        slope_x = sample.a * profile.slope(sample.x @ direction)
        slope_y = sample.b * profile.slope(sample.y @ direction)
        moved = _projected(sample, slope_x @ sample.x - slope_y @ sample.y)
        if moved[0] <= best[0]:
            return best
        best = moved
    return best


def _projected(sample: Sample, direction: FloatArray) -> tuple[float, FloatArray, Profile]:
    """Return W1 along a direction, that direction as a unit, and its potential."""
    unit = steepest(direction, "euclidean")
    s, t = sample.x @ unit, sample.y @ unit
    profile = best_profile(s, t, sample.a, sample.b)
    return sample.difference(profile(s), profile(t)), unit, profile


def exact_duals(sample: Sample, metric: str) -> list[Funnel]:
    """Return the exact potential of a part of the sample, extended in two ways.

    The largest 1-Lipschitz function with its values on y (McShane), and the smallest
    with its values on x (Whitney); both attain W1.
    """
    d = sample.x.shape[1]
    part = sample.first(max(1, min(_MOST_ATOMS, _MOST_NUMBERS // d)))
    result = solve(Problem(part.x, part.y, part.a, part.b, metric=metric))
    f, g = result.potentials
    return [extended(part.x, part.y, f, g, sign, metric) for sign in (1.0, -1.0)]


def extended(
    x: FloatArray,
    y: FloatArray,
    f: FloatArray,
    g: FloatArray,
    sign: float,
    metric: str,
) -> Funnel:
    """Extend the potentials of W1, McShane's way for the sign 1, Whitney's for -1."""
    if sign > 0:
        return Funnel(y, -g, sign, metric)
    return Funnel(x, -f, sign, metric)


def best_shift(
    first: tuple[FloatArray, FloatArray],
    second: tuple[FloatArray, FloatArray],
    sample: Sample,
    sign: float,
) -> float:
    """Return the shift of the second with which a `Lattice` of two is best.

    Given are values on x and on y of both. With ``h = sign * (first - second)`` the
    value grows, along ``sign * shift``, by sign times the part of y with h below
    minus that of x: one sort finds the best of all shifts.
    """
    on_x, on_y = (sign * (f - g) for f, g in zip(first, second, strict=True))
    places = np.concatenate([on_x, on_y])
    order = np.argsort(places, kind="stable")
    places = places[order]
    growth = sign * np.cumsum(np.concatenate([-sample.a, sample.b])[order])[:-1]
    values = np.concatenate([[0.0], np.cumsum(growth * np.diff(places))])
    return sign * float(places[values.argmax()])
