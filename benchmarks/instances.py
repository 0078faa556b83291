"""Seeded problems, in families that were chosen before any result was seen.

A family is a function of a generator and a size, and gives a cost matrix or two point
clouds, which are solved as they are or by their matrix. The size is a wish: an image
has a square number of pixels, and the odd and rectangular families miss it on purpose.
"""

from __future__ import annotations

import math
import os
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.spatial.distance import cdist

from otdist import Problem

FloatArray = NDArray[np.float64]
Generator = np.random.Generator


@dataclass(frozen=True)
class Instance:
    """A cost matrix and two histograms, and what they were made from."""

    cost: FloatArray
    a: FloatArray
    b: FloatArray
    d: int | None
    p: float | None
    weights: str

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.a), len(self.b)

    def problem(self) -> Problem:
        return Problem.from_cost(self.cost, self.a, self.b)


@dataclass(frozen=True)
class Clouds:
    """Two weighted point clouds; the cost is their Euclidean distance to the power p."""

    x: FloatArray
    y: FloatArray
    a: FloatArray
    b: FloatArray
    p: float
    weights: str

    @property
    def d(self) -> int:
        return self.x.shape[1]

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.a), len(self.b)

    @property
    def cost_name(self) -> str:
        """What SciPy and POT call the cost."""
        return {1: "euclidean", 2: "sqeuclidean"}[self.p]

    def problem(self) -> Problem:
        return Problem(self.x, self.y, self.a, self.b, p=self.p)

    def matrix(self) -> Instance:
        cost = cdist(self.x, self.y, self.cost_name)
        return Instance(cost, self.a, self.b, self.d, self.p, self.weights)


def make(family: str, n: int) -> Instance:
    """Return the cost matrix of a family: the same in every process."""
    made = _make(family, n)
    return made.matrix() if isinstance(made, Clouds) else made


def make_points(family: str, n: int) -> Clouds:
    """Return the points that `make` computes the matrix of."""
    made = _make(family, n)
    if isinstance(made, Clouds):
        return made
    raise NotImplementedError(f"{family} has no points")


def _make(family: str, n: int) -> Instance | Clouds:
    rng = np.random.default_rng([n, zlib.crc32(family.encode())])
    return (_MAKERS | _POINT_MAKERS)[family](rng, n)


def sizes(*wanted: int) -> tuple[int, ...]:
    """Return the sizes up to OTDIST_BENCH_MAX_N; beyond 1000 they take minutes.

    asv starts a process per case, also for one that `setup` then skips.
    """
    largest = int(os.environ.get("OTDIST_BENCH_MAX_N", "1000"))
    return tuple(n for n in wanted if n <= largest)


def masses(rng: Generator, n: int, weights: str) -> FloatArray:
    if weights == "uniform":
        return np.full(n, 1 / n)
    return _normalized(rng.random(n))


def _normalized(values: FloatArray) -> FloatArray:
    return values / values.sum()


def _clouds(rng: Generator, x: FloatArray, y: FloatArray, weights: str, p: float) -> Clouds:
    a, b = masses(rng, len(x), weights), masses(rng, len(y), weights)
    return Clouds(x, y, a, b, p, weights)


def gaussian_clouds(
    rng: Generator, n: int, m: int, d: int, weights: str = "uniform", p: float = 1
) -> Clouds:
    """Two standard Gaussians, the second moved by 1 along the first axis."""
    x, y = rng.standard_normal((n, d)), rng.standard_normal((m, d))
    y[:, 0] += 1
    return _clouds(rng, x, y, weights, p)


def _uniform_clouds(
    rng: Generator, n: int, m: int, d: int, weights: str = "uniform", p: float = 1
) -> Clouds:
    return _clouds(rng, rng.random((n, d)), rng.random((m, d)), weights, p)


def _clustered_clouds(rng: Generator, n: int) -> Clouds:
    """Ten tight clusters, visited with other frequencies by either cloud."""
    centres = 10 * rng.random((10, 2))

    def cloud() -> FloatArray:
        label = rng.choice(10, n, p=_normalized(rng.random(10)))
        return centres[label] + 0.1 * rng.standard_normal((n, 2))

    return _clouds(rng, cloud(), cloud(), "uniform", 1)


def _image_pair(first: FloatArray, second: FloatArray, p: float) -> Clouds:
    """Two images of one size, on the grid of integers that their pixels are."""
    pixels = np.argwhere(np.ones(first.shape)).astype(float)
    a, b = _normalized(first.ravel()), _normalized(second.ravel())
    return Clouds(pixels, pixels, a, b, p, "image")


def _blobs(rng: Generator, n: int, p: float) -> Clouds:
    """Smooth positive random images."""
    side = round(math.sqrt(n))

    def image() -> FloatArray:
        field = gaussian_filter(rng.standard_normal((side, side)), side / 16)
        return np.exp(2 * field / field.std())

    return _image_pair(image(), image(), p)


@dataclass(frozen=True)
class Images:
    """Two images on one grid, and the matrix of all pixels for those who want one."""

    first: FloatArray
    second: FloatArray
    p: float

    @property
    def a(self) -> FloatArray:
        return self.first.ravel()

    @property
    def b(self) -> FloatArray:
        return self.second.ravel()

    @cached_property
    def cost(self) -> FloatArray:
        pixels = np.argwhere(np.ones(self.first.shape)).astype(float)
        return cdist(pixels, pixels, {1: "euclidean", 2: "sqeuclidean"}[self.p])

    def problem(self) -> Problem:
        return Problem.on_grid(self.first, self.second, p=self.p)


def make_images(family: str, n: int) -> Images:
    """Return two images of n pixels, a square number: the same in every process.

    Families are named for their images and p; `white_noise_3d` has a cubic number.
    """
    name, order = family.rsplit("_p", 1)
    d = 3 if name.endswith("_3d") else 2
    side = round(n ** (1 / d))
    if name.startswith("white_noise"):
        rng = np.random.default_rng([n, zlib.crc32(family.encode())])
        images = [_normalized(rng.random((side,) * d)) for _ in range(2)]
        return Images(*images, int(order))
    if "OTDIST_DOTMARK" not in os.environ:
        raise NotImplementedError("OTDIST_DOTMARK names no folder of images")
    clouds = _dotmark({"classic": "ClassicImages", "shapes": "Shapes"}[name], n, 1)
    return Images(*(each.reshape(side, side) for each in (clouds.a, clouds.b)), int(order))


def smooth_images(sides: tuple[int, ...]) -> tuple[FloatArray, FloatArray]:
    """Two smooth positive random images, or volumes: the same in every process."""
    rng = np.random.default_rng(sides)

    def image() -> FloatArray:
        field = gaussian_filter(rng.standard_normal(sides), min(sides) / 16)
        return _normalized(np.exp(2 * field / field.std()))

    return image(), image()


def dotmark_images(image_class: str, side: int) -> Clouds:
    """Images 1 and 2 of a DOTmark class, pooled to a side."""
    return _dotmark(image_class, side * side, 1)


def _dotmark(image_class: str, n: int, p: float) -> Clouds:
    """Images 1 and 2 of a DOTmark class (512 by 512), pooled by block means."""
    try:
        from PIL import Image
    except ImportError:
        raise NotImplementedError("reading images needs Pillow") from None
    folder = Path(os.environ["OTDIST_DOTMARK"])
    side = round(math.sqrt(n))
    block = 512 // side

    def image(number: int) -> FloatArray:
        with Image.open(folder / f"{image_class}-512-{number}.png") as opened:
            grey = np.asarray(opened.convert("L"), dtype=float)
        cropped = grey[: side * block, : side * block]
        return cropped.reshape(side, block, side, block).mean(axis=(1, 3))

    return _image_pair(image(1), image(2), p)


def _images_as_points(rng: Generator, n: int, p: float) -> Clouds:
    """Images of 28 by 28 pixels, about half of them 0, as points in d = 784."""

    def cloud(width: float) -> FloatArray:
        fields = gaussian_filter(rng.standard_normal((n, 28, 28)), (0, width, width))
        fields -= fields.mean(axis=(1, 2), keepdims=True)
        images = np.maximum(fields, 0).reshape(n, -1)
        return images / images.sum(axis=1, keepdims=True)

    return _clouds(rng, cloud(2), cloud(2.5), "uniform", p)


def _integer_costs(rng: Generator, n: int, weights: str) -> Instance:
    """Costs 0, 1, ..., 100: thousands of ties in every row."""
    cost = rng.integers(0, 101, (n, n)).astype(float)
    a, b = masses(rng, n, weights), masses(rng, n, weights)
    return Instance(cost, a, b, None, None, weights)


def _random_costs(rng: Generator, n: int) -> Instance:
    a, b = masses(rng, n, "uniform"), masses(rng, n, "uniform")
    return Instance(rng.random((n, n)), a, b, None, None, "uniform")


_Maker = Callable[[Generator, int], Instance | Clouds]

_MAKERS: dict[str, _Maker] = {
    "gaussian_2": lambda rng, n: gaussian_clouds(rng, n, n, 2),
    "gaussian_16": lambda rng, n: gaussian_clouds(rng, n, n, 16),
    "gaussian_64": lambda rng, n: gaussian_clouds(rng, n, n, 64),
    "gaussian_2_weights_p2": lambda rng, n: gaussian_clouds(rng, n, n, 2, "random", 2),
    "uniform_2": lambda rng, n: _uniform_clouds(rng, n, n, 2),
    "uniform_3_weights": lambda rng, n: _uniform_clouds(rng, n, n, 3, "random"),
    "clustered_2": _clustered_clouds,
    "blobs_p1": lambda rng, n: _blobs(rng, n, 1),
    "blobs_p2": lambda rng, n: _blobs(rng, n, 2),
    "dotmark_classic_p2": lambda rng, n: _dotmark("ClassicImages", n, 2),
    "dotmark_shapes_p1": lambda rng, n: _dotmark("Shapes", n, 1),
    "integer_costs": lambda rng, n: _integer_costs(rng, n, "uniform"),
    "integer_costs_weights": lambda rng, n: _integer_costs(rng, n, "random"),
    "random_costs": _random_costs,
    "rectangular": lambda rng, n: gaussian_clouds(rng, n, 3 * n // 5, 2, "random"),
    "odd": lambda rng, n: _uniform_clouds(rng, n + 1, n + 1, 2, "random"),
}

# Solved as points, or in one benchmark only.
_POINT_MAKERS: dict[str, _Maker] = {
    "gaussian_2_weights": lambda rng, n: gaussian_clouds(rng, n, n, 2, "random"),
    "gaussian_2_p2": lambda rng, n: gaussian_clouds(rng, n, n, 2, p=2),
    "gaussian_3": lambda rng, n: gaussian_clouds(rng, n, n, 3),
    "gaussian_3_p2": lambda rng, n: gaussian_clouds(rng, n, n, 3, p=2),
    "gaussian_16_p2": lambda rng, n: gaussian_clouds(rng, n, n, 16, p=2),
    "uniform_2_p2": lambda rng, n: _uniform_clouds(rng, n, n, 2, p=2),
    "uniform_3": lambda rng, n: _uniform_clouds(rng, n, n, 3),
    "uniform_3_p2": lambda rng, n: _uniform_clouds(rng, n, n, 3, p=2),
    "images_784": lambda rng, n: _images_as_points(rng, n, 1),
    "images_784_p2": lambda rng, n: _images_as_points(rng, n, 2),
}

#: Cost matrices: those that can be made here, DOTmark only where its images are.
FAMILIES = tuple(
    family
    for family in _MAKERS
    if "OTDIST_DOTMARK" in os.environ or not family.startswith("dotmark")
)
#: Small matrices, where overhead counts.
SMALL = ("gaussian_2", "gaussian_2_weights")
#: Points, of which no matrix is made.
POINTS = (
    "gaussian_2",
    "gaussian_3",
    "gaussian_16",
    "gaussian_16_p2",
    "gaussian_2_weights_p2",
    "uniform_2",
    "uniform_3_weights",
)
#: So many points that a matrix of them would not fit.
LARGE = tuple(
    f"{cloud}_{d}{order}"
    for cloud in ("uniform", "gaussian")
    for d in (2, 3)
    for order in ("", "_p2")
)
#: Images; those of DOTmark only where they are.
PICTURES = ("white_noise_p1", "classic_p1", "shapes_p1")
SQUARED_PICTURES = ("white_noise_p2", "classic_p2", "shapes_p2")
VOLUMES = ("white_noise_3d_p1", "white_noise_3d_p2")
#: Points in so many coordinates that every method makes their matrix.
IMAGES = ("images_784", "images_784_p2")
