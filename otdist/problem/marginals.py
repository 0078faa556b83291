"""The marginals of a plan: all mass is moved, some is left at a price, or a given mass is moved.

A partial plan is a coupling once each side has one more atom, "outside", which takes the
mass that is not moved and gives the mass that is missing (Caffarelli and McCann, 2010).
For a price, outside has room for everything, and its spare mass stays there for nothing.
For a given mass, outside takes exactly what has to be left, and the arc from outside to
outside, which would move more, costs more than any other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from otdist.errors import InputError
from otdist.geometry.outside import Extended
from otdist.geometry.protocol import Geometry
from otdist.inputs import validate as _validate
from otdist.typing import ArrayLike, FloatArray

if TYPE_CHECKING:
    from otdist.plans.plans import Arcs

# Part of a mass that the sum of a few parts of it may miss.
_ROUNDING = 2.0**-50

EITHER = (
    "give either price, the cost of a unit of mass that is not moved, or mass, how much is"
    " moved; got price={!r} and mass={!r}"
)
#: What weights belong to, for error messages.
POINTS = ("point of x", "point of y")
ENTRIES = ("row of cost", "column of cost")
NODES = ("node of the graph", "node of the graph")
PIXELS = ("pixel", "pixel of A")


@dataclass(frozen=True, slots=True)
class Balanced:
    """All mass is moved: both sides have the same sum."""


@dataclass(frozen=True, slots=True)
class LeaveAtPrice:
    """Mass of either side may be left, at a price for each unit of it, in cost units."""

    price: float

    def extended(
        self, geometry: Geometry, a: FloatArray, b: FloatArray
    ) -> tuple[Extended, FloatArray, FloatArray]:
        """Return costs and weights of the balanced problem with an atom outside."""
        of_a, of_b = float(a.sum()), float(b.sum())
        # Two measures without mass would make a problem without any.
        spare = 0.0 if of_a + of_b > 0 else 1.0
        outside = Extended(geometry, self.price, 0.0)
        return outside, np.append(a, of_b + spare), np.append(b, of_a + spare)


@dataclass(frozen=True, slots=True)
class MoveMass:
    """Exactly `mass` is moved, at the least cost."""

    mass: float

    def extended(
        self, geometry: Geometry, a: FloatArray, b: FloatArray
    ) -> tuple[Extended, FloatArray, FloatArray]:
        """Return costs and weights of the balanced problem with an atom outside."""
        left_a, left_b = (max(math.fsum(w.tolist()) - self.mass, 0.0) for w in (a, b))
        outside = Extended(geometry, 0.0, 2 * geometry.largest or 1.0)
        return outside, np.append(a, left_b), np.append(b, left_a)


Marginals = Balanced | LeaveAtPrice | MoveMass


class Weights(NamedTuple):
    """Validated weights of both sides, the larger of their sums, and the marginals."""

    a: FloatArray
    b: FloatArray
    mass: float
    marginals: Marginals = Balanced()


def weigh(
    geometry: Geometry,
    a: ArrayLike | None,
    b: ArrayLike | None,
    of: tuple[str, str],
    *,
    names: tuple[str, str] = ("a", "b"),
    sides: tuple[int, ...] | None = None,
    normalize: bool = False,
    price: float | None = None,
    mass: float | None = None,
) -> Weights:
    """Validate weights, uniform probabilities by default, and choose the marginals.

    `of` and `names` are for error messages; `sides` is the shape of images.
    """
    shape = geometry.shape if sides is None else (sides, sides)
    if price is None and mass is None:
        weights = Weights(*_validate.as_masses(a, b, shape, of, normalize, names))
        _validate.require_product(weights.mass, geometry.largest)
        return weights
    if price is not None and mass is not None:
        raise InputError(EITHER.format(price, mass))
    if normalize:
        raise InputError(
            "price and mass are for weights as they are; leave out normalize=True, or divide"
            " each side's weights by their sum"
        )
    price = None if price is None else _validate.as_price(price)
    first, second, most = _validate.as_unequal_masses(a, b, shape, of, mass, names)
    _validate.require_product(most or 1.0, max(geometry.largest, price or 0.0))
    marginals = LeaveAtPrice(price) if price is not None else MoveMass(float(mass or 0.0))
    return Weights(first, second, most, marginals)


def unmatched(arcs: Arcs, a: FloatArray, b: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the mass (n,) and (m,) that a plan leaves, 0 where that is rounding."""
    rows, columns, mass = arcs
    return rest(a, np.bincount(rows, mass, len(a))), rest(b, np.bincount(columns, mass, len(b)))


def rest(mass: FloatArray, moved: NDArray[Any]) -> FloatArray:
    """Return the mass that is not moved, 0 where that is the rounding of a sum."""
    left = mass - moved
    return np.where(left > _ROUNDING * mass, left, 0.0)
