"""Fit a minimum of funnels ``u(z) = min_k |z - a_k| + b_k`` by stochastic ascent.

The ascent maximises ``E u(high) - E u(low)`` over centres and offsets by Adam (Kingma and
Ba, 2015). Single precision is enough, as no proof depends on the result. It works because
there are far more funnels than the optimum needs, so that few of them get stuck.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from otdist.critics.functions import Funnel
from otdist.critics.sample import Sample
from otdist.typing import FloatArray, IntArray

_Single = NDArray[np.float32]

_MANY = 64  # funnels; up to this number, the first of each pair below holds
_BATCH = (1024, 4096)
_STEPS = (300, 1500)  # with many funnels, _PASSES passes over the data in this range
_PASSES = 60
_BLOCK = 1 << 18  # entries of a block of heights: 1 MB
_FEW = 4096  # points used for estimating the spread and the shares of funnels
_RATE = 0.05  # first step of a coordinate, in standard deviations of the data
_MEMORY = (0.9, 0.99)  # Adam's decay rates of gradients and of their squares
_N_CHECKS = 20  # evaluations on the validation sample
_BALANCING = 60  # steps that make all initial funnels the lowest for equally many points


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
        """Return Adam's step, of length about 1 in every coordinate."""
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
        squares = np.einsum("kd,kd->k", single, single)
        return cls(single, squares, (weights * len(weights)).astype(np.float32))

    def rows(self, chosen: slice | IntArray) -> _Cloud:
        return _Cloud(self.points[chosen], self.squares[chosen], self.weights[chosen])


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """Training and validation clouds, x before y, moved to mean 0 and scaled to spread 1."""

    train: list[_Cloud]
    check: list[_Cloud]
    middle: FloatArray
    scale: float

    @classmethod
    def of(cls, train: Sample, check: Sample) -> Scene:
        """Centre and scale two samples, so that the fit does not depend on units."""
        few = train.first(_FEW)
        middle = (few.x.mean(axis=0) + few.y.mean(axis=0)) / 2
        spread = (few.x - middle).std() + (few.y - middle).std()
        scale = float(spread) / 2 or 1.0
        clouds = [
            [
                _Cloud.of((points - middle) / scale, weights)
                for points, weights in ((sample.x, sample.a), (sample.y, sample.b))
            ]
            for sample in (train, check)
        ]
        return cls(clouds[0], clouds[1], middle, scale)


def fit_funnel(scene: Scene, n_funnels: int, sign: float, rng: np.random.Generator) -> Funnel:
    """Return the critic, high on x, that is best on the validation part during the ascent."""
    turn = 1 if sign > 0 else -1  # u is low on x for the sign -1
    train, check = scene.train[::turn], scene.check[::turn]
    centres, offsets = _used(train, *_ascend(train, check, n_funnels, rng))
    return Funnel(
        scene.middle + scene.scale * centres.astype(float),
        scene.scale * offsets.astype(float),
        sign,
        "euclidean",
    )


def _ascend(
    train: list[_Cloud],
    check: list[_Cloud],
    n_funnels: int,
    rng: np.random.Generator,
) -> tuple[_Single, _Single]:
    """Return the centres (K, d) and offsets (K,) that are best on the validation part."""
    low = train[1]
    start = rng.choice(len(low.points), n_funnels, replace=n_funnels > len(low.points))
    centres = low.points[start]
    offsets = _balanced(train, centres)
    best = (-math.inf, centres, offsets)
    of_centres, of_offsets = _Moments.like(centres), _Moments.like(offsets)
    size, n_steps = _schedule(min(len(cloud.points) for cloud in train), n_funnels)
    batches = [_batches(cloud, size, rng) for cloud in train]
    every = max(1, n_steps // _N_CHECKS)
    # Between the spread of the data and the spacing of K centres in it.
    first_rate = _RATE * n_funnels ** (-0.5 / centres.shape[1])
    for step in range(n_steps):
        slopes = _gradient([next(each) for each in batches], centres, offsets)
        rate = np.float32(first_rate * (1 + math.cos(math.pi * step / n_steps)) / 2)
        centres = centres + rate * of_centres.step(slopes[0])
        offsets = offsets + rate * of_offsets.step(slopes[1])
        if (step + 1) % every == 0:
            value = _value(check, centres, offsets)
            if value > best[0]:
                best = (value, centres, offsets)
    return best[1], best[2]


def _schedule(n: int, n_funnels: int) -> tuple[int, int]:
    """Return the batch size and the number of steps."""
    if n_funnels <= _MANY:
        return _BATCH[0], _STEPS[0]
    return _BATCH[1], min(max(_PASSES * n // _BATCH[1], _STEPS[0]), _STEPS[1])


def _batches(cloud: _Cloud, size: int, rng: np.random.Generator) -> Iterator[_Cloud]:
    """Yield batches of one cloud without end, in a new random order in every pass."""
    n = len(cloud.points)
    size = min(size, n)
    while True:
        order = rng.permutation(n)
        for start in range(0, n - size + 1, size):
            yield cloud.rows(order[start : start + size])


def _heights(cloud: _Cloud, centres: _Single) -> _Single:
    """Return distances (n, K) from a matrix product, which is exact enough for a fit."""
    squares: _Single = cloud.points @ (np.float32(-2) * centres).T
    squares += cloud.squares[:, None]
    squares += np.einsum("kd,kd->k", centres, centres)
    np.maximum(squares, np.float32(1e-12), out=squares)
    np.sqrt(squares, out=squares)
    return squares


def _lowest(cloud: _Cloud, centres: _Single, offsets: _Single) -> tuple[IntArray, _Single]:
    """Return the index of the lowest funnel at each point, and its height."""
    own = np.empty(len(cloud.points), dtype=np.int64)
    height = np.empty(len(cloud.points), dtype=np.float32)
    size = max(1, _BLOCK // len(centres))
    for start in range(0, len(own), size):
        part = slice(start, start + size)
        every = _heights(cloud.rows(part), centres)
        every += offsets
        own[part] = every.argmin(axis=1)
        height[part] = np.take_along_axis(every, own[part, None], axis=1)[:, 0]
    return own, height


def _value(pair: list[_Cloud], centres: _Single, offsets: _Single) -> float:
    """Return the mean of u on the first cloud minus its mean on the second."""
    first, second = (
        float(np.mean(cloud.weights * _lowest(cloud, centres, offsets)[1], dtype=float))
        for cloud in pair
    )
    return first - second


def _gradient(pair: list[_Cloud], centres: _Single, offsets: _Single) -> tuple[_Single, _Single]:
    """Return the gradient of the value in centres and offsets."""
    from scipy.sparse import csr_array

    on_centres = np.zeros_like(centres)
    on_offsets = np.zeros_like(offsets)
    for cloud, sign in zip(pair, (1, -1), strict=True):
        n = len(cloud.points)
        own = _lowest(cloud, centres, offsets)[0]
        ray = cloud.points - centres[own]
        length = np.sqrt(np.einsum("kd,kd->k", ray, ray)) + np.float32(1e-12)
        weights = cloud.weights * np.float32(sign / n)
        # One row per point, with its funnel as the column: the transpose adds points up.
        entries = csr_array((weights / length, own, np.arange(n + 1)), shape=(n, len(offsets)))
        on_centres -= entries.T @ ray
        on_offsets += np.bincount(own, weights, len(offsets)).astype(np.float32)
    return on_centres, on_offsets


def _balanced(train: list[_Cloud], centres: _Single) -> _Single:
    """Return offsets for which all funnels are the lowest at equally many points.

    Otherwise, in high dimension, a few central funnels are the lowest everywhere, and the
    gradient of all others is 0.
    """
    heights = np.concatenate([_heights(cloud.rows(slice(_FEW)), centres) for cloud in train])
    offsets = np.zeros(len(centres), dtype=np.float32)
    unit = heights.std(axis=0).mean() / 4
    for step in range(_BALANCING):
        own = (heights + offsets).argmin(axis=1)
        share = np.bincount(own, minlength=len(offsets)) * (len(offsets) / len(own))
        size = unit * (1 - step / _BALANCING)
        offsets += (size * np.clip(share - 1, -1, 3)).astype(np.float32)
    return offsets


def _used(train: list[_Cloud], centres: _Single, offsets: _Single) -> tuple[_Single, _Single]:
    """Leave out funnels that decide nowhere in the sample."""
    kept = np.unique(np.concatenate([_lowest(cloud, centres, offsets)[0] for cloud in train]))
    return centres[kept], offsets[kept]
