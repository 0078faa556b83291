"""Families of pairs of distributions with exact distances."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from otdist import gaussian
from otdist.divergences.shannon import js_divergence, kl_divergence, total_variation
from otdist.errors import InputError, short
from otdist.inputs.validate import as_generator, as_number, as_size
from otdist.pipeline import solve
from otdist.problem.problem import Problem
from otdist.runtime.show import brief
from otdist.typing import FloatArray, Sampler, Seed

Gradient = Callable[[FloatArray], FloatArray]

_LOG_2 = math.log(2.0)
_ROWS = 1 << 8  # of a block of distances to all centres


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Pair:
    """Two distributions P and Q on R^d as samplers, with exact distances.

    Attributes
    ----------
    dimension : int
        Number of coordinates d.
    first, second : callable
        ``first(n, rng)`` draws n points (n, d) from P with a `numpy.random.Generator`,
        ``second(n, rng)`` from Q.
    w1 : float
        W1(P, Q) in the Euclidean norm, in units of distance.
    w1_error : float
        Standard error of `w1` if it is a Monte-Carlo mean; 0.0 if it is exact.
    kl, js, tv : float or None
        KL(P || Q) and JS (factor 1/2) in nats, and total variation; None if unknown.
    gradient : callable or None
        Maps points (k, d) to gradients (k, d) of an optimal critic, high on P; 0 where the
        critic is not differentiable.
    """

    dimension: int
    first: Sampler
    second: Sampler
    w1: float
    w1_error: float = 0.0
    kl: float | None = None
    js: float | None = None
    tv: float | None = None
    gradient: Gradient | None = None

    def __repr__(self) -> str:
        return brief(self)

    def sample(self, n: int, rng: Seed = None) -> tuple[FloatArray, FloatArray]:
        """Draw n independent points (n, d) from P, and n from Q.

        Parameters
        ----------
        n : int
            Number of points, >= 1.
        rng : numpy.random.Generator, int or None
            Random numbers (SPEC 7).

        Returns
        -------
        (ndarray, ndarray)

        Examples
        --------
        >>> from otdist import datasets
        >>> x, y = datasets.translation(2).sample(5, rng=0)
        >>> x.shape, y.shape
        ((5, 2), (5, 2))
        """
        as_size("n", n)
        generator = as_generator(rng, apart=True)
        return self.first(n, generator), self.second(n, generator)


def ray_pair(
    d: int,
    n_funnels: int,
    rng: Seed = None,
    *,
    power: float = 8.0,
    half_width: float = 2.5,
    n_samples: int = 1 << 16,
) -> Pair:
    """Return a pair of the W1 benchmark: points of a cube moved along rays.

    Q is uniform on a cube. Let ``u(z) = min_k |z - a_k| + b_k``. Every point y lies on a ray
    that starts at the centre that attains the minimum. P is the distribution of the points
    moved from the fraction t of their ray to ``t ** power``. As all mass moves along rays, u
    is an optimal potential and W1 is the mean length moved.

    Parameters
    ----------
    d, n_funnels : int
        Dimension and number of funnels.
    rng : numpy.random.Generator, int or None
        Random numbers for the centres (uniform in the cube), the offsets (normal with
        standard deviation 0.1) and the Monte-Carlo mean.
    power : float, default 8.0
        At least 1; for 1, P = Q.
    half_width : float, default 2.5
        Half the side of the cube.
    n_samples : int, default 65536
        Number of draws for the mean `w1`; `w1_error` is its standard error.

    Returns
    -------
    Pair

    Raises
    ------
    InputError
        For numbers out of range.

    Notes
    -----
    A draw costs O(d n_funnels) time. Source: Korotin, Kolesov, Burnaev,
    "Kantorovich strikes back! Wasserstein GANs are not optimal transport?", 2022;
    the centres are random here, not those of the authors' files.

    Examples
    --------
    >>> from otdist import datasets
    >>> pair = datasets.ray_pair(2, 4, rng=0)
    >>> x, y = pair.sample(100, rng=1)
    >>> x.shape, 0 < pair.w1_error < 0.01
    ((100, 2), True)
    """
    as_size("d", d)
    as_size("n_funnels", n_funnels)
    as_size("n_samples", n_samples, 2)
    _require("power", power, lambda given: given >= 1, "at least 1")
    _require("half_width", half_width, lambda given: given > 0, "positive")
    # A child generator, so that sampling with the same seed does not repeat the centres.
    generator = as_generator(rng, apart=True)
    centres = half_width * generator.uniform(-1.0, 1.0, (n_funnels, d))
    offsets = 0.1 * generator.normal(size=n_funnels)
    rays = Rays(centres, offsets, half_width, power)
    moved = rays.lengths(n_samples, generator)
    return Pair(
        dimension=d,
        first=rays.moved,
        second=rays.cube,
        w1=float(moved.mean()),
        w1_error=float(moved.std(ddof=1)) / math.sqrt(n_samples),
        gradient=rays.gradient,
    )


def ball_funnel(d: int, power: float = 8.0, radius: float = 1.0) -> Pair:
    """Return the uniform distribution on a ball, and its points moved to the middle.

    Q is uniform on the ball. For P the distance from the middle, relative to the radius, is
    raised to `power`: this is `ray_pair` with one funnel.

    Parameters
    ----------
    d : int
        Dimension.
    power : float, default 8.0
        At least 1.
    radius : float, default 1.0
        Radius of the ball.

    Returns
    -------
    Pair
        ``w1 = radius * (d / (d + 1) - d / (d + power))``. KL, JS and total variation are
        those of exponential distributions (of minus the log of the relative distance), and
        do not depend on d.

    Examples
    --------
    >>> from otdist import datasets
    >>> round(datasets.ball_funnel(16).w1, 4)
    0.2745
    """
    as_size("d", d)
    _require("power", power, lambda given: given >= 1, "at least 1")
    _require("radius", radius, lambda given: given > 0, "positive")

    def draw(n: int, rng: np.random.Generator, exponent: float) -> FloatArray:
        part = rng.random((n, 1)) ** (exponent / d)
        return radius * part * unit(rng.normal(size=(n, d)))

    crossing = math.log(power) * power / (power - 1) if power > 1 else 0.0
    return Pair(
        dimension=d,
        first=lambda n, rng: draw(n, rng, power),
        second=lambda n, rng: draw(n, rng, 1.0),
        w1=radius * (d / (d + 1) - d / (d + power)),
        kl=power - 1 - math.log(power),
        js=_js_of_exponentials(power),
        tv=math.exp(-crossing / power) - math.exp(-crossing),
        gradient=lambda points: -unit(points),
    )


def concentric_spheres(d: int, inner: float = 1.0, outer: float = 2.0) -> Pair:
    """Return the uniform distributions on two spheres about the origin.

    Parameters
    ----------
    d : int
        Dimension of the space.
    inner, outer : float
        Radii of the first and the second sphere, ``0 < inner <= outer``.

    Returns
    -------
    Pair
        ``w1 = outer - inner``; the supports are disjoint unless the radii are equal.

    Examples
    --------
    >>> from otdist import datasets
    >>> datasets.concentric_spheres(3).w1
    1.0
    """
    as_size("d", d)
    _require("inner", inner, lambda given: given > 0, "positive")
    _require("outer", outer, lambda given: given >= inner, "at least inner")

    def draw(n: int, rng: np.random.Generator, radius: float) -> FloatArray:
        return radius * unit(rng.normal(size=(n, d)))

    kl, js, tv = _of_disjoint(outer > inner)
    return Pair(
        dimension=d,
        first=lambda n, rng: draw(n, rng, inner),
        second=lambda n, rng: draw(n, rng, outer),
        w1=outer - inner,
        kl=kl,
        js=js,
        tv=tv,
        gradient=lambda points: -unit(points),
    )


def translation(d: int, length: float = 1.0) -> Pair:
    """Return a standard normal distribution and its translate along the first axis.

    Parameters
    ----------
    d : int
        Dimension.
    length : float, default 1.0
        Length of the translation, >= 0.

    Returns
    -------
    Pair
        ``w1 = length``, ``kl = length**2 / 2``, ``tv = 2 Phi(length / 2) - 1``, and
        JS by quadrature, to 1e-12.

    Examples
    --------
    >>> from otdist import datasets
    >>> datasets.translation(2, 2.0).kl
    2.0
    """
    as_size("d", d)
    _require("length", length, lambda given: given >= 0, "at least 0")
    shift = np.zeros(d)
    shift[0] = length
    slope = np.zeros(d)
    slope[0] = -1.0
    return Pair(
        dimension=d,
        first=lambda n, rng: rng.normal(size=(n, d)),
        second=lambda n, rng: rng.normal(size=(n, d)) + shift,
        w1=length,
        kl=length**2 / 2,
        js=gaussian.js_divergence(0.0, 1.0, length, 1.0),
        tv=math.erf(length / math.sqrt(8)),
        gradient=lambda points: np.broadcast_to(slope, points.shape),
    )


def ring_of_modes(n_modes: int = 8, n_kept: int = 1, radius: float = 2.0) -> Pair:
    """Return evenly spread atoms on a circle, and some of them only: mode collapse.

    Parameters
    ----------
    n_modes : int, default 8
        Number of atoms of P.
    n_kept : int, default 1
        Number of atoms of Q, which are neighbours.
    radius : float, default 2.0
        Radius of the circle.

    Returns
    -------
    Pair
        W1 is computed by an exact solve; for one kept mode it is
        ``(2 radius / n_modes) / tan(pi / (2 n_modes))``.

    Examples
    --------
    >>> from otdist import datasets
    >>> round(datasets.ring_of_modes().w1, 10)
    2.5136697461
    """
    as_size("n_modes", n_modes)
    as_size("n_kept", n_kept)
    _require("n_kept", n_kept, lambda given: given <= n_modes, f"at most n_modes={n_modes}")
    _require("radius", radius, lambda given: given > 0, "positive")
    angle = 2 * math.pi * np.arange(n_modes) / n_modes
    modes = radius * np.column_stack([np.cos(angle), np.sin(angle)])
    p = np.full(n_modes, 1 / n_modes)
    q = np.where(np.arange(n_modes) < n_kept, 1 / n_kept, 0.0)
    return Pair(
        dimension=2,
        first=lambda n, rng: modes[rng.integers(n_modes, size=n)],
        second=lambda n, rng: modes[rng.integers(n_kept, size=n)],
        w1=solve(Problem(modes, modes, p, q)).value,
        kl=float(kl_divergence(p, q)),
        js=float(js_divergence(p, q)),
        tv=float(total_variation(p, q)),
    )


def parallel_lines(distance: float = 1.0) -> Pair:
    """Return two parallel segments of length 1 in the plane.

    Parameters
    ----------
    distance : float, default 1.0
        Signed distance of the segments; if it is negative, Q is to the left of P.

    Returns
    -------
    Pair
        ``w1 = |distance|``; KL = inf, JS = log 2, TV = 1 unless it is 0.

    Notes
    -----
    Example 1 of Arjovsky, Chintala, Bottou, "Wasserstein GAN", 2017.

    Examples
    --------
    >>> from otdist import datasets
    >>> pair = datasets.parallel_lines(-0.5)
    >>> pair.w1, pair.kl
    (0.5, inf)
    """
    _require("distance", distance, lambda _: True, "")

    def draw(n: int, rng: np.random.Generator, at: float) -> FloatArray:
        return np.column_stack([np.full(n, at), rng.random(n)])

    kl, js, tv = _of_disjoint(distance != 0)
    slope = np.array([-math.copysign(1.0, distance), 0.0])
    return Pair(
        dimension=2,
        first=lambda n, rng: draw(n, rng, 0.0),
        second=lambda n, rng: draw(n, rng, distance),
        w1=abs(distance),
        kl=kl,
        js=js,
        tv=tv,
        gradient=lambda points: np.broadcast_to(slope, points.shape),
    )


def crossing_segments(angle: float = math.pi / 3) -> Pair:
    """Return two segments of length 1 that cross in their middles.

    The reflection in the bisector of the acute angle moves the point at distance s from the
    crossing by ``2 s sin(angle / 2)``. This is optimal, as the function that is
    ``s sin(angle / 2)`` on P and minus that on Q is 1-Lipschitz.

    Parameters
    ----------
    angle : float, default pi / 3
        Angle between the segments, in radians, in [0, pi].

    Returns
    -------
    Pair
        ``w1 = sin(angle / 2) / 2`` for an angle up to pi / 2; KL = inf, JS = log 2,
        TV = 1 unless the segments are equal, as the crossing point has probability 0.

    Examples
    --------
    >>> from otdist import datasets
    >>> round(datasets.crossing_segments().w1, 12)
    0.25
    """
    _require("angle", angle, lambda given: 0 <= given <= math.pi, "in [0, pi]")
    acute = min(angle, math.pi - angle)

    def draw(n: int, rng: np.random.Generator, turn: float) -> FloatArray:
        s = rng.uniform(-0.5, 0.5, n)
        return np.column_stack([s * math.cos(turn), s * math.sin(turn)])

    kl, js, tv = _of_disjoint(acute > 0)
    return Pair(
        dimension=2,
        first=lambda n, rng: draw(n, rng, angle / 2),
        second=lambda n, rng: draw(n, rng, -angle / 2),
        w1=math.sin(acute / 2) / 2,
        kl=kl,
        js=js,
        tv=tv,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Rays:
    """The rays of ``min_k |z - centres[k]| + offsets[k]`` inside a cube."""

    centres: FloatArray
    offsets: FloatArray
    half_width: float
    power: float

    def cube(self, n: int, rng: np.random.Generator) -> FloatArray:
        """Draw from the uniform distribution on the cube."""
        return self.half_width * rng.uniform(-1.0, 1.0, (n, self.centres.shape[1]))

    def moved(self, n: int, rng: np.random.Generator) -> FloatArray:
        """Draw points of the cube and move them along their rays."""
        y = self.cube(n, rng)
        for start in range(0, n, _ROWS):
            part = y[start : start + _ROWS]
            ray, height, length = self._position(part)
            part += ((height / length) ** (self.power - 1) - 1)[:, None] * ray
        return y

    def lengths(self, n: int, rng: np.random.Generator) -> FloatArray:
        """Draw the lengths by which points are moved."""
        parts = []
        for start in range(0, n, _ROWS):
            _, height, length = self._position(self.cube(min(_ROWS, n - start), rng))
            parts.append(height - length * (height / length) ** self.power)
        return np.concatenate(parts)

    def gradient(self, points: FloatArray) -> FloatArray:
        """Return the gradient of -u, towards the centre that attains the minimum."""
        return unit(self.centres[self._heights(points)[1].argmin(axis=1)] - points)

    def _heights(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return inner products with the centres, and heights of all funnels (n, K)."""
        product = points @ self.centres.T
        squares = np.einsum("kd,kd->k", self.centres, self.centres) - 2 * product
        squares += np.einsum("kd,kd->k", points, points)[:, None]
        return product, np.sqrt(np.maximum(squares, 0.0)) + self.offsets

    def _position(self, y: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return y - centre, the distance of y from its centre, and the length of its ray."""
        product, heights = self._heights(y)
        rows = np.arange(len(y))
        own = heights.argmin(axis=1)
        ray = y - self.centres[own]
        up = np.linalg.norm(ray, axis=1)
        direction = unit(ray)
        with np.errstate(divide="ignore", invalid="ignore"):
            wall = (self.half_width - np.sign(direction) * y) / np.abs(direction)
        # At distance s beyond y the own funnel is higher by s. Another funnel is as high where
        # |w + s v|**2 = (c + s)**2, with w = y - its centre and c = u(y) - its offset.
        c = (up + self.offsets[own])[:, None] - self.offsets
        squares = (heights - self.offsets) ** 2 - c**2
        products = product - (self.centres @ self.centres.T)[own]
        along = np.einsum("kd,kd->k", y, direction)[:, None]
        along = along - products / np.where(up > 0, up, 1.0)[:, None]
        slope = 2 * (c - along)
        slope[rows, own] = -1.0
        with np.errstate(divide="ignore", invalid="ignore"):
            taken = np.where(slope > 0, squares / slope, np.inf).min(axis=1)
        beyond = np.minimum(np.maximum(taken, 0.0), np.nanmin(wall, axis=1))
        return ray, up, up + beyond


def unit(vectors: FloatArray) -> FloatArray:
    """Return vectors (k, d) divided by their lengths; 0 stays 0."""
    length = np.sqrt(np.einsum("kd,kd->k", vectors, vectors))
    return vectors / np.where(length > 0, length, 1.0)[:, None]


def _of_disjoint(are_disjoint: bool) -> tuple[float, float, float]:
    """Return KL, JS and total variation of singular or else equal distributions."""
    return (math.inf, _LOG_2, 1.0) if are_disjoint else (0.0, 0.0, 0.0)


def _js_term(log_ratio: float) -> float:
    """Return log(2 p / (p + q)) with q / p = exp(log_ratio)."""
    return _LOG_2 - float(np.logaddexp(0.0, log_ratio))


def _js_of_exponentials(power: float) -> float:
    """Return JS of the exponential distributions of rates 1 / power and 1."""
    from scipy.integrate import quad

    def term(t: float) -> float:
        # Scaled so that the densities are exp(-t) and power * exp(-power * t).
        log_ratio = math.log(power) - (power - 1) * t
        ratio = math.exp(log_ratio)
        both = _js_term(log_ratio) + ratio * _js_term(-log_ratio)
        return math.exp(-t) * both / 2

    value = quad(term, 0.0, 60.0, epsabs=0, epsrel=1e-12, limit=500, points=[1 / power])
    return float(value[0])


def _require(name: str, value: Any, is_good: Callable[[float], bool], wanted: str) -> None:
    """Raise for a number that is not finite or out of range."""
    number = as_number(name, value, "a finite number")
    if not (math.isfinite(number) and is_good(number)):
        raise InputError(f"{name} must be a finite number, {wanted}; got {short(value)}")
