"""Fit a minimum of funnels ``u(z) = min_k |z - a_k| + b_k`` by stochastic ascent.

Ascent of ``E u(high) - E u(low)`` in centres and offsets, with Adam (Kingma and Ba,
2015), in single precision: nothing relies on how good the result is. Far more funnels
than the optimum has are what makes it work: few get stuck.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from otdist._critics.functions import Funnel
from otdist._critics.sample import Sample
from otdist._typing import FloatArray, IntArray

_Single = NDArray[np.float32]

_MANY = 64  # funnels; up to that the first of these numbers
_BATCH = (1024, 4096)
_STEPS = (300, 1500)  # at most, for the second
_PASSES = 60  # through the data, but at least the first number of steps
_BLOCK = 4096  # points whose heights are held together
_RATE = 0.05  # first step of a coordinate, in standard deviations of the data
_MEMORY = (0.9, 0.99)  # of gradients and of their squares
_N_CHECKS = 20  # looks at the validation sample
_BALANCING = 60  # steps that give all funnels of the start one share of the points


@dataclass(slots=True)
class _Moments:
    """Adam's running means of gradients and squares, for one array."""

    mean: _Single
    square: _Single
    count: int = 0

    @classmethod
    def like(cls, array: _Single) -> _Moments:
        return cls(np.zeros_like(array), np.zeros_like(array))

    def step(self, gradient: _Single) -> _Single:
        """Return the step of length about 1 in every coordinate."""
        self.count += 1
        for running, new, memory in (
            (self.mean, gradient, _MEMORY[0]),
            (self.square, gradient * gradient, _MEMORY[1]),
        ):
            running *= memory
            running += (1 - memory) * new
        size = np.sqrt(self.square / (1 - _MEMORY[1] ** self.count))
        mean: _Single = self.mean / np.float32(1 - _MEMORY[0] ** self.count)
        unit: _Single = mean / (size + np.float32(1e-12))
        return unit


@dataclass(frozen=True, slots=True, eq=False)
class _Cloud:
    """Points (n, d), their squared lengths, and weights of mean 1."""

    points: _Single
    squares: _Single
    weights: _Single

    @classmethod
    def of(cls, points: FloatArray, weights: FloatArray) -> _Cloud:
        single = points.astype(np.float32)
        squares = np.einsum("nd,nd->n", single, single)
        return cls(single, squares, (weights * len(weights)).astype(np.float32))

    def rows(self, chosen: slice | IntArray) -> _Cloud:
        return _Cloud(self.points[chosen], self.squares[chosen], self.weights[chosen])


def fit_funnel(
    train: Sample,
    check: Sample,
    n_funnels: int,
    sign: float,
    rng: np.random.Generator,
) -> Funnel:
    """Return a fitted critic, high on x: the best on `check` along the ascent."""
    middle = (train.x.mean(axis=0) + train.y.mean(axis=0)) / 2
    spread = (train.x - middle).std() + (train.y - middle).std()
    scale = float(spread) / 2 or 1.0
    clouds = [
        [
            _Cloud.of((points - middle) / scale, weights)
            for points, weights in ((sample.x, sample.a), (sample.y, sample.b))
        ]
        for sample in (train, check)
    ]
    if sign < 0:  # u is then low on x
        clouds = [pair[::-1] for pair in clouds]
    centres, offsets = _ascend(clouds[0], clouds[1], n_funnels, rng)
    centres, offsets = _used(clouds[0], centres, offsets)
    return Funnel(
        middle + scale * centres.astype(float),
        scale * offsets.astype(float),
        sign,
        "euclidean",
    )


def _ascend(
    train: list[_Cloud],
    check: list[_Cloud],
    n_funnels: int,
    rng: np.random.Generator,
) -> tuple[_Single, _Single]:
    """Return centres (K, d) and offsets (K,) that are best on the check."""
    low = train[1]
    start = rng.choice(len(low.points), n_funnels, replace=n_funnels > len(low.points))
    centres = low.points[start]
    offsets = _balanced(train, centres)
    best = (-math.inf, centres, offsets)
    of_centres, of_offsets = _Moments.like(centres), _Moments.like(offsets)
    size = _BATCH[n_funnels > _MANY]
    batches = [_Batches(cloud, size, rng) for cloud in train]
    n_passes = min(len(cloud.points) for cloud in train) / size
    n_steps = int(min(max(_PASSES * n_passes, _STEPS[0]), _STEPS[1]))
    n_steps = _STEPS[0] if n_funnels <= _MANY else n_steps
    every = max(1, n_steps // _N_CHECKS)
    # Between the spread of the data and the spacing of K centres in it.
    first_rate = _RATE * n_funnels ** (-0.5 / centres.shape[1])
    for step in range(n_steps):
        slopes = _gradient([each.next() for each in batches], centres, offsets)
        rate = np.float32(first_rate * (1 + math.cos(math.pi * step / n_steps)) / 2)
        centres = centres + rate * of_centres.step(slopes[0])
        offsets = offsets + rate * of_offsets.step(slopes[1])
        if (step + 1) % every == 0:
            value = _value(check, centres, offsets)
            if value > best[0]:
                best = (value, centres, offsets)
    return best[1], best[2]


class _Batches:
    """Batches of one cloud, in a new random order in every pass."""

    def __init__(self, cloud: _Cloud, size: int, rng: np.random.Generator) -> None:
        self._cloud, self._rng = cloud, rng
        self._size = min(size, len(cloud.points))
        self._start = len(cloud.points)

    def next(self) -> _Cloud:
        """Return the next batch."""
        n = len(self._cloud.points)
        if self._start + self._size > n:
            self._start = 0
            if self._size < n:
                self._cloud = self._cloud.rows(self._rng.permutation(n))
        part = slice(self._start, self._start + self._size)
        self._start += self._size
        return self._cloud.rows(part)


def _heights(cloud: _Cloud, centres: _Single) -> _Single:
    """Return distances (n, K): by products, which is exact enough to fit."""
    squares: _Single = cloud.points @ centres.T
    squares *= -2
    squares += cloud.squares[:, None]
    squares += np.einsum("kd,kd->k", centres, centres)
    np.maximum(squares, np.float32(1e-12), out=squares)
    np.sqrt(squares, out=squares)
    return squares


def _value(pair: list[_Cloud], centres: _Single, offsets: _Single) -> float:
    """Return the mean of u on the first cloud minus that on the second."""
    means = []
    for cloud in pair:
        total = 0.0
        for start in range(0, len(cloud.points), _BLOCK):
            part = cloud.rows(slice(start, start + _BLOCK))
            heights = _heights(part, centres) + offsets
            total += float(heights.min(axis=1).astype(float) @ part.weights)
        means.append(total / len(cloud.points))
    return means[0] - means[1]


def _gradient(
    pair: list[_Cloud], centres: _Single, offsets: _Single
) -> tuple[_Single, _Single]:
    """Return the gradient of the value in centres and offsets."""
    from scipy.sparse import csr_array

    on_centres = np.zeros_like(centres)
    on_offsets = np.zeros_like(offsets)
    for cloud, sign in zip(pair, (1, -1), strict=True):
        n = len(cloud.points)
        own = (_heights(cloud, centres) + offsets).argmin(axis=1)
        ray = cloud.points - centres[own]
        length = np.sqrt(np.einsum("nd,nd->n", ray, ray)) + np.float32(1e-12)
        weights = cloud.weights * np.float32(sign / n)
        # One row for each point with its funnel: the transpose adds points up.
        entries = csr_array(
            (weights / length, own, np.arange(n + 1)), shape=(n, len(offsets))
        )
        on_centres -= entries.T @ ray
        on_offsets += np.bincount(own, weights, len(offsets)).astype(np.float32)
    return on_centres, on_offsets


def _balanced(train: list[_Cloud], centres: _Single) -> _Single:
    """Return offsets with which all funnels are deepest for equally many points.

    Otherwise, in high dimension, a few central funnels take all points and the rest
    never moves.
    """
    heights = np.concatenate(
        [_heights(cloud.rows(slice(_BLOCK)), centres) for cloud in train]
    )
    offsets = np.zeros(len(centres), dtype=np.float32)
    unit = heights.std(axis=0).mean() / 4
    for step in range(_BALANCING):
        own = (heights + offsets).argmin(axis=1)
        share = np.bincount(own, minlength=len(offsets)) * (len(offsets) / len(own))
        size = unit * (1 - step / _BALANCING)
        offsets += (size * np.clip(share - 1, -1, 3)).astype(np.float32)
    return offsets


def _used(
    train: list[_Cloud], centres: _Single, offsets: _Single
) -> tuple[_Single, _Single]:
    """Leave out funnels that decide nowhere in the sample."""
    deciding: set[int] = set()
    for cloud in train:
        for start in range(0, len(cloud.points), _BLOCK):
            part = cloud.rows(slice(start, start + _BLOCK))
            own = (_heights(part, centres) + offsets).argmin(axis=1)
            deciding.update(np.unique(own).tolist())
    kept = np.array(sorted(deciding))
    return centres[kept], offsets[kept]
