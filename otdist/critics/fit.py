"""Fit 1-Lipschitz functions to one part of the data, and choose one on another part."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from otdist.critics.fit_funnels import Scene, fit_funnel
from otdist.critics.functions import (
    Funnel,
    Lattice,
    Linear,
    Potential,
    Profile,
    Radial,
    Ridge,
    best_profile,
    distances,
    steepest,
)
from otdist.critics.sample import Sample
from otdist.errors import InputError
from otdist.typing import FloatArray

#: Families that a caller can ask for by name.
FAMILIES = ("linear", "radial", "ridge", "funnel")
#: Families that exist for the Euclidean metric only.
EUCLIDEAN = ("ridge", "funnel")

# Shares of the data for validation and test, and the largest size of each part.
_CHECK, _TEST = 0.2, 0.3
_MOST_CHECK, _MOST_TEST = 1 << 13, 1 << 15
_FEWEST = 10
_FEW = 8192  # largest number of points that the closed-form fits use

_RIDGE_STEPS = 20
_N_RANDOM = 4  # random starting directions of a ridge, beside those of the moments

_SIZES = (4, 16, 64, 512)  # numbers of funnels to try
_FEWEST_PER_FUNNEL = 8  # points of the sample
_MOST_PER_FUNNEL = 4096  # with more points, small numbers of funnels are not tried
_BOTH_SIGNS = 64  # above this number, only the better sign so far is tried
_WORSE = 0.98  # share of the best value so far below which the search stops
_N_JOINED = 3  # the best candidates, which are joined in pairs


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A fitted function and its value on the validation part."""

    family: str
    potential: Potential
    value: float


def split(sample: Sample, rng: np.random.Generator) -> tuple[Sample, Sample, Sample]:
    """Split at random into training, validation and test parts, without zero weights."""
    orders = []
    for name, weights in (("x", sample.a), ("y", sample.b)):
        kept = weights.nonzero()[0]
        if len(kept) < _FEWEST:
            raise InputError(
                f"{name} must have at least {_FEWEST} points of positive weight to hold some"
                f" out, got {len(kept)}; pass critic='mcshane' for the exact dual of the two"
                " weighted point clouds themselves"
            )
        orders.append(kept[rng.permutation(len(kept))])
    parts: list[list[np.ndarray]] = [[], [], []]
    for order in orders:
        n_check = min(max(2, int(_CHECK * len(order))), _MOST_CHECK)
        n_test = min(max(2, int(_TEST * len(order))), _MOST_TEST)
        ends = [len(order) - n_check - n_test, len(order) - n_test]
        for part, rows in zip(parts, np.split(order, ends), strict=True):
            part.append(rows)
    train, check, test = (sample.part(*part) for part in parts)
    return train, check, test


def choose(
    train: Sample,
    check: Sample,
    family: str,
    metric: str,
    rng: np.random.Generator,
    exact: list[Funnel],
) -> tuple[Candidate, ...]:
    """Fit one family, or every family for ``"auto"``; return the best on `check` first.

    The `exact` potentials are further candidates; ``"auto"`` also tries minima and maxima
    of the best candidates.
    """
    few = train.first(_FEW)
    is_auto = family == "auto"
    families: tuple[str, ...] = FAMILIES if is_auto else (family,)
    if metric != "euclidean":
        families = tuple(name for name in families if name not in EUCLIDEAN)
    made: list[Candidate] = []
    if "linear" in families:
        made.append(_judged("linear", linear(few, metric), check))
    if "radial" in families:
        made.append(_judged("radial", radial(few, metric), check))
    if "ridge" in families:
        made.append(_judged("ridge", ridge(few, rng), check))
    for dual in exact:
        made.append(_judged("mcshane" if dual.sign > 0 else "whitney", dual, check))
    if "funnel" in families:
        made += _funnels(train, check, rng)
    made.sort(key=_by_value)
    if is_auto:
        made += _joined(made[:_N_JOINED], few, check)
    return tuple(sorted(made, key=_by_value))


def _by_value(candidate: Candidate) -> float:
    return -candidate.value


def _judged(family: str, potential: Potential, check: Sample) -> Candidate:
    """Evaluate a function on the validation part."""
    on_x, on_y = potential(check.x), potential(check.y)
    return Candidate(family, potential, check.difference(on_x, on_y))


def _funnels(train: Sample, check: Sample, rng: np.random.Generator) -> list[Candidate]:
    """Fit more and more funnels, of both signs, as long as the value grows."""
    made: list[Candidate] = []
    best = {1.0: -math.inf, -1.0: -math.inf}
    scene = Scene.of(train, check)
    for n_funnels in _sizes(train.size):
        before = max(best.values())
        signs = list(best)
        if n_funnels > _BOTH_SIGNS:
            signs = [max(signs, key=lambda sign: best[sign])]
        level = -math.inf
        for sign in signs:
            potential = fit_funnel(scene, n_funnels, sign, rng)
            made.append(_judged("funnel", potential, check))
            best[sign] = max(best[sign], made[-1].value)
            level = max(level, made[-1].value)
        if level < _WORSE * before:
            break
    return made


def _sizes(n: int) -> list[int]:
    """Return the numbers of funnels to try for n points."""
    fitting = [k for k in _SIZES if n >= _FEWEST_PER_FUNNEL * k] or [_SIZES[0]]
    return [k for k in fitting if k >= _BOTH_SIGNS or n <= _MOST_PER_FUNNEL * k]


def _joined(best: list[Candidate], few: Sample, check: Sample) -> Iterator[Candidate]:
    """Yield minima and maxima of pairs that beat the best by more than one standard error."""
    on_few = [(each.potential(few.x), each.potential(few.y)) for each in best]
    on_check = [(each.potential(check.x), each.potential(check.y)) for each in best]
    for j in range(1, len(best)):
        for i, sign in itertools.product(range(j), (1.0, -1.0)):
            shift = best_shift(on_few[i], on_few[j], few, sign)
            joined = Lattice(best[i].potential, best[j].potential, shift, sign)
            triples = zip(on_check[i], on_check[j], on_check[0], strict=True)
            gains = [joined.join(one, two)[0] - top for one, two, top in triples]
            gain = check.difference(*gains)
            if gain > check.standard_error(*gains):
                yield Candidate("lattice", joined, best[0].value + gain)


def linear(sample: Sample, metric: str) -> Linear:
    """Return the best linear function, along the difference of the means."""
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
    """Return a function of one projection, by ascent of W1 of the projected samples.

    The ascent starts from the directions in which means and variances differ most, and
    from random ones; see Niles-Weed and Rigollet, "Estimation of Wasserstein distances in
    the spiked transport model", 2022.
    """
    climbs = [_climb(sample, start) for start in _directions(sample, rng)]
    _, direction, profile = max(climbs, key=lambda climb: climb[0])
    return Ridge(direction, profile)


def _directions(sample: Sample, rng: np.random.Generator) -> Iterator[FloatArray]:
    """Yield starting directions of a ridge."""
    mean_x, mean_y = sample.a @ sample.x, sample.b @ sample.y
    yield mean_x - mean_y
    off_x, off_y = sample.x - mean_x, sample.y - mean_y
    spread = (off_x.T * sample.a) @ off_x - (off_y.T * sample.b) @ off_y
    vectors = np.linalg.eigh(spread)[1]
    yield vectors[:, 0]
    yield vectors[:, -1]
    yield from rng.normal(size=(_N_RANDOM, len(mean_x)))


def _climb(sample: Sample, start: FloatArray) -> tuple[float, FloatArray, Profile]:
    """Turn a direction as long as W1 of the projected samples grows."""
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
    """Return W1 of the projected samples, the unit direction, and the potential."""
    unit = steepest(direction, "euclidean")
    s, t = sample.x @ unit, sample.y @ unit
    profile = best_profile(s, t, sample.a, sample.b)
    return sample.difference(profile(s), profile(t)), unit, profile


def best_shift(
    first: tuple[FloatArray, FloatArray],
    second: tuple[FloatArray, FloatArray],
    sample: Sample,
    sign: float,
) -> float:
    """Return the shift of the second function for the best `Lattice` of two.

    `first` and `second` are the values of two functions on x and on y. With ``h = sign *
    (first - second)``, the value as a function of ``sign * shift`` has the slope sign
    times (weight of y where h is below, minus weight of x): one sort finds the maximum.
    """
    on_x, on_y = (sign * (f - g) for f, g in zip(first, second, strict=True))
    places = np.concatenate([on_x, on_y])
    order = np.argsort(places, kind="stable")
    places = places[order]
    growth = sign * np.cumsum(np.concatenate([-sample.a, sample.b])[order])[:-1]
    values = np.concatenate([[0.0], np.cumsum(growth * np.diff(places))])
    return sign * float(places[values.argmax()])
