"""Fit every family on one part of the data, and pick one on another."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from otdist.critics import fit
from otdist.critics.fit_funnels import Scene, fit_funnel
from otdist.critics.functions import Lattice, Potential
from otdist.critics.sample import Sample
from otdist.errors import InputError

#: Families that can be asked for by name; the second line in one metric only.
FAMILIES = ("linear", "radial", "ridge", "funnel")
EUCLIDEAN = ("ridge", "funnel")
#: Those, exact duals of a part of the sample, and what joins the best of all.
ALL = (*FAMILIES, "exact", "lattice")

# Parts of the data, and how many points the last two take at most.
_CHECK, _TEST = 0.2, 0.3
_MOST_CHECK, _MOST_TEST = 1 << 13, 1 << 15
_FEWEST = 10
_FEW = 8192  # points that the closed fits see at most

_SIZES = (4, 16, 64, 512)  # numbers of funnels, as far as the sample has
_FEWEST_PER_FUNNEL = 8  # points of the sample
_MOST_PER_FUNNEL = 4096  # with more points, small numbers are not tried
_BOTH_SIGNS = 64  # above, only the sign that was better so far
_WORSE = 0.98  # part of the best value so far; with less, more funnels are not tried
_N_JOINED = 3  # of the best functions, that are joined in pairs


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A fitted function and its value on the validation part."""

    family: str
    potential: Potential
    value: float


def split(sample: Sample, rng: np.random.Generator) -> tuple[Sample, Sample, Sample]:
    """Return training, validation and test parts, at random; masses 0 are left out."""
    orders = []
    for name, weights in (("x", sample.a), ("y", sample.b)):
        kept = weights.nonzero()[0]
        if len(kept) < _FEWEST:
            raise InputError(
                f"{name} has {len(kept)} points with mass, and held-out data need at"
                f" least {_FEWEST}; take critic='mcshane' for the exact dual of the two"
                " measures as they are"
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
    families: tuple[str, ...],
    metric: str,
    rng: np.random.Generator,
) -> tuple[Candidate, ...]:
    """Return functions of the given families, the best on `check` first."""
    few = train.first(_FEW)
    made: list[Candidate] = []
    if "linear" in families:
        made.append(_judged("linear", fit.linear(few, metric), check))
    if "radial" in families:
        made.append(_judged("radial", fit.radial(few, metric), check))
    if "ridge" in families and metric == "euclidean":
        made.append(_judged("ridge", fit.ridge(few, rng), check))
    if "exact" in families:
        for dual in fit.exact_duals(few, metric):
            made.append(_judged("mcshane" if dual.sign > 0 else "whitney", dual, check))
    if "funnel" in families and metric == "euclidean":
        made += _funnels(train, check, rng)
    made.sort(key=_by_value)
    if "lattice" in families:
        made += _joined(made[:_N_JOINED], few, check)
    return tuple(sorted(made, key=_by_value))


def _by_value(candidate: Candidate) -> float:
    return -candidate.value


def _judged(family: str, potential: Potential, check: Sample) -> Candidate:
    """Return a candidate with its value on the validation part."""
    on_x, on_y = potential(check.x), potential(check.y)
    return Candidate(family, potential, check.difference(on_x, on_y))


def _funnels(train: Sample, check: Sample, rng: np.random.Generator) -> list[Candidate]:
    """Return minima and maxima of more and more funnels, while more are better."""
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
    """Return the numbers of funnels to try with n points."""
    fitting = [k for k in _SIZES if n >= _FEWEST_PER_FUNNEL * k] or [_SIZES[0]]
    return [k for k in fitting if k >= _BOTH_SIGNS or n <= _MOST_PER_FUNNEL * k]


def _joined(best: list[Candidate], few: Sample, check: Sample) -> Iterator[Candidate]:
    """Yield minima and maxima of pairs that beat the best by more than the noise."""
    on_few = [(each.potential(few.x), each.potential(few.y)) for each in best]
    on_check = [(each.potential(check.x), each.potential(check.y)) for each in best]
    for j in range(1, len(best)):
        for i, sign in itertools.product(range(j), (1.0, -1.0)):
            shift = fit.best_shift(on_few[i], on_few[j], few, sign)
            joined = Lattice(best[i].potential, best[j].potential, shift, sign)
            triples = zip(on_check[i], on_check[j], on_check[0], strict=True)
            gains = [joined.join(one, two)[0] - top for one, two, top in triples]
            gain = check.difference(*gains)
            if gain > check.standard_error(*gains):
                yield Candidate("lattice", joined, best[0].value + gain)
