"""Families of 1-Lipschitz functions on the whole space.

Each is 1-Lipschitz in its metric by construction, up to the rounding of its values.
These functions are 1-Lipschitz: the distance from a point, by the triangle inequality; a
linear function whose slope has dual norm at most 1; a function of slope at most 1 of
either; minima and maxima of finitely many of them, and their sums with constants.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from otdist.geometry.metrics import known
from otdist.geometry.points import Points, distance_gradient
from otdist.inputs.scale import in_unit
from otdist.runtime import blocks
from otdist.typing import FloatArray, IntArray

BoolArray: TypeAlias = NDArray[np.bool_]

# From this number of coordinates on, matrix products rule out most funnels first.
_MANY_COORDINATES = 6
_EPS = float(np.finfo(float).eps)


class Potential(Protocol):
    """A 1-Lipschitz function of points (k, d)."""

    def __call__(self, z: FloatArray) -> FloatArray:
        """Return values (k,)."""
        ...

    def gradient(self, z: FloatArray) -> FloatArray:
        """Return gradients (k, d) of dual norm at most 1."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Linear:
    """``z -> slope @ z`` with a slope (d,) of dual norm at most 1."""

    slope: FloatArray

    def __call__(self, z: FloatArray) -> FloatArray:
        """Return values (k,)."""
        values: FloatArray = z @ self.slope
        return values

    def gradient(self, z: FloatArray) -> FloatArray:
        """Return the slope for every point."""
        return np.tile(self.slope, (len(z), 1))


def steepest(moment: FloatArray, metric: str) -> FloatArray:
    """Return the slope of dual norm at most 1 whose product with `moment` is largest.

    That product is the norm of `moment`.
    """
    return known(metric).steepest(moment)


@dataclass(frozen=True, slots=True, eq=False)
class InUnit:
    """A function of points in the unit 2**k of length, whose values are in that unit too."""

    function: Potential
    k: int

    def __call__(self, z: FloatArray) -> FloatArray:
        """Return values (k,)."""
        return in_unit(self.function(in_unit(z, self.k)), -self.k)

    def gradient(self, z: FloatArray) -> FloatArray:
        """Return gradients (k, d), which do not depend on the unit."""
        return self.function.gradient(in_unit(z, self.k))


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """A piecewise linear function of one variable with slopes 1, -1 and 0.

    It is 0 at the first of its knots (k + 1,) and constant outside of them; `slopes` (k,)
    hold between them.
    """

    knots: FloatArray
    slopes: FloatArray

    def __call__(self, t: FloatArray) -> FloatArray:
        """Return values of the shape of t."""
        rises = np.concatenate([[0.0], np.cumsum(self.slopes * np.diff(self.knots))])
        return np.asarray(np.interp(t, self.knots, rises))

    def slope(self, t: FloatArray) -> FloatArray:
        """Return slopes of the shape of t; at a knot, the slope to its right."""
        padded = np.concatenate([[0.0], self.slopes, [0.0]])
        return padded[np.searchsorted(self.knots, t, side="right")]


def best_profile(s: FloatArray, t: FloatArray, a: FloatArray, b: FloatArray) -> Profile:
    """Return the potential of W1 on the line, high on s (weights a), low on t (b).

    Its slope is the sign of the difference of the distribution functions.
    """
    places = np.concatenate([s, t])
    order = np.argsort(places, kind="stable")
    knots = places[order]
    excess = np.cumsum(np.concatenate([-a, b])[order])[:-1]
    slopes = np.sign(np.where(np.abs(excess) > 4 * len(knots) * _EPS, excess, 0.0))
    kept = np.concatenate([[True], slopes[1:] != slopes[:-1]])
    ends = np.concatenate([kept.nonzero()[0], [len(slopes)]])
    return Profile(knots[ends], slopes[kept])


@dataclass(frozen=True, slots=True, eq=False)
class Ridge:
    """``z -> profile(direction @ z)`` with a direction (d,) of dual norm at most 1."""

    direction: FloatArray
    profile: Profile

    def __call__(self, z: FloatArray) -> FloatArray:
        """Return values (k,)."""
        return self.profile(z @ self.direction)

    def gradient(self, z: FloatArray) -> FloatArray:
        """Return a gradient (k, d) at each point."""
        return self.profile.slope(z @ self.direction)[:, None] * self.direction


@dataclass(frozen=True, slots=True, eq=False)
class Radial:
    """``z -> profile(distance of z from the centre (d,))``."""

    centre: FloatArray
    profile: Profile
    metric: str

    def __call__(self, z: FloatArray) -> FloatArray:
        """Return values (k,)."""
        return self.profile(distances(z, self.centre, self.metric))

    def gradient(self, z: FloatArray) -> FloatArray:
        """Return a gradient (k, d) at each point; 0 at the centre."""
        rise = self.profile.slope(distances(z, self.centre, self.metric))
        return rise[:, None] * distance_gradient(z - self.centre, self.metric)


def distances(z: FloatArray, centre: FloatArray, metric: str) -> FloatArray:
    """Return distances (k,) of points (k, d) from a centre (d,)."""
    return Points(z, centre[None], metric, 1.0, 0.0).rows(0, len(z))[:, 0]


@dataclass(frozen=True, slots=True, eq=False)
class Funnel:
    """``z -> sign * min_k (d(z, centres[k]) + offsets[k])``.

    Extensions of an exact potential have this form: McShane's with the sign 1, Whitney's
    with -1.
    """

    centres: FloatArray
    offsets: FloatArray
    sign: float
    metric: str

    def __call__(self, z: FloatArray) -> FloatArray:
        """Return values (k,)."""
        return self._at(z)[0]

    def gradient(self, z: FloatArray) -> FloatArray:
        """Return gradients (k, d): of the first centre in a tie, and 0 at a centre."""
        nearest = self._at(z)[1]
        return self.sign * distance_gradient(z - self.centres[nearest], self.metric)

    def _at(self, z: FloatArray) -> tuple[FloatArray, IntArray]:
        """Return values, and the index of the centre that attains each, in O(k) memory."""
        geometry = Points(z, self.centres, self.metric, 1.0, 0.0)
        nearest = np.empty(len(z), dtype=np.int64)
        values = np.empty(len(z))
        by_products = self.metric == "euclidean" and z.shape[1] >= _MANY_COORDINATES
        for start, stop in blocks.row_blocks(*geometry.shape):
            if not by_products:
                height = geometry.rows(start, stop) + self.offsets
                nearest[start:stop] = height.argmin(axis=1)
                values[start:stop] = self.sign * height.min(axis=1)
                continue
            rows, columns = _near(z[start:stop], self.centres, self.offsets)
            height = geometry.pairs(rows + start, columns) + self.offsets[columns]
            first = np.searchsorted(rows, np.arange(stop - start))
            least = np.minimum.reduceat(height, first)
            values[start:stop] = self.sign * least
            decides = np.flatnonzero(height == least[rows])[::-1]
            nearest[start + rows[decides]] = columns[decides]
        return values, nearest


def _near(z: FloatArray, centres: FloatArray, offsets: FloatArray) -> tuple[IntArray, IntArray]:
    """Return pairs (point, funnel), by rows, that include the lowest funnel of each point.

    A matrix product gives squared distances up to a known error, whose root bounds the
    error of the distances. Every funnel that could be the lowest is kept: mostly one.
    """
    middle = centres.mean(axis=0)
    points, ends = z - middle, centres - middle
    sizes, lengths = (np.sqrt(np.einsum("kd,kd->k", w, w)) for w in (points, ends))
    squares = points @ ends.T
    squares *= -2
    squares += (sizes**2)[:, None]
    squares += lengths**2
    heights = np.sqrt(np.maximum(squares, 0.0, out=squares), out=squares)
    heights += offsets
    reach = sizes + lengths.max()
    error = np.sqrt(8 * (z.shape[1] + 8) * _EPS) * reach
    error += 8 * _EPS * (np.abs(offsets).max() + reach)
    limit = heights.min(axis=1) + 2 * error
    rows, columns = (heights <= limit[:, None]).nonzero()
    return rows, columns


@dataclass(frozen=True, slots=True, eq=False)
class Lattice:
    """The minimum of ``first`` and ``second + shift`` for the sign 1, the maximum for -1."""

    first: Potential
    second: Potential
    shift: float
    sign: float

    def __call__(self, z: FloatArray) -> FloatArray:
        """Return values (k,)."""
        return self._at(z)[0]

    def gradient(self, z: FloatArray) -> FloatArray:
        """Return gradients (k, d) of the function that attains the value; the first in a tie."""
        is_first = self._at(z)[1]
        slope = np.empty_like(z)
        slope[is_first] = self.first.gradient(z[is_first])
        slope[~is_first] = self.second.gradient(z[~is_first])
        return slope

    def _at(self, z: FloatArray) -> tuple[FloatArray, BoolArray]:
        return self.join(self.first(z), self.second(z))

    def join(self, one: FloatArray, two: FloatArray) -> tuple[FloatArray, BoolArray]:
        """Return values, and where the first function attains them, given values of both."""
        two = two + self.shift
        is_first = self.sign * one <= self.sign * two
        return np.where(is_first, one, two), is_first
