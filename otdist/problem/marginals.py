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
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from otdist.errors import InputError
from otdist.geometry.outside import Extended
from otdist.geometry.protocol import Geometry
from otdist.inputs.scale import from_unit
from otdist.typing import FloatArray

if TYPE_CHECKING:
    from otdist.plans.plans import Arcs

# Part of a mass that the sum of a few parts of it may miss.
_ROUNDING = 2.0**-50
# Binary digits by which a price may differ from the costs.
_FARTHEST = 900


@dataclass(frozen=True, slots=True)
class Balanced:
    """All mass is moved: both sides have the same sum."""

    def in_unit(self, k: int) -> Balanced:
        """Return these marginals, which state no cost."""
        del k
        return self


@dataclass(frozen=True, slots=True)
class LeaveAtPrice:
    """Mass of either side may be left, at a price for each unit of it, in cost units."""

    price: float

    def in_unit(self, k: int) -> LeaveAtPrice:
        """Return the price in costs of the unit 2**k of length."""
        if abs(math.frexp(self.price)[1] - k) > _FARTHEST:
            raise InputError(
                f"price is {self.price:.3g}, too far from the costs, which are about 2**{k};"
                " divide price and points by a constant, or pass mass= in its place"
            )
        return LeaveAtPrice(from_unit(self.price, -k))

    def extended(
        self, geometry: Geometry, a: FloatArray, b: FloatArray
    ) -> tuple[Extended, FloatArray, FloatArray]:
        """Return costs and weights of the balanced problem with an atom outside."""
        of_a, of_b = float(a.sum()), float(b.sum())
        # Two measures without mass would make a problem without any.
        spare = 0.0 if of_a + of_b > 0 else 1.0
        outside = Extended(geometry, self.price, 0.0)
        return outside, np.append(a, of_b + spare), np.append(b, of_a + spare)

    def outside(self, of_a: int, of_b: int, moved: int) -> tuple[int, int]:
        """Return the weights of the atoms outside, of a and of b, from whole sums."""
        del moved
        return of_b, of_a


@dataclass(frozen=True, slots=True)
class MoveMass:
    """Exactly `mass` is moved, at the least cost."""

    mass: float

    def in_unit(self, k: int) -> MoveMass:
        """Return these marginals, which state no cost."""
        del k
        return self

    def extended(
        self, geometry: Geometry, a: FloatArray, b: FloatArray
    ) -> tuple[Extended, FloatArray, FloatArray]:
        """Return costs and weights of the balanced problem with an atom outside."""
        # Rounded once, so that they are 0 only if nothing is left.
        left_a, left_b = (math.fsum([*w.tolist(), -self.mass]) for w in (a, b))
        lacking = min(left_a, left_b, 0.0)
        outside = Extended(geometry, 0.0, 2 * geometry.largest or 1.0)
        return outside, np.append(a, left_b - lacking), np.append(b, left_a - lacking)

    def outside(self, of_a: int, of_b: int, moved: int) -> tuple[int, int]:
        """Return the weights of the atoms outside, of a and of b, from whole sums and `mass`."""
        moved = min(moved, of_a, of_b)
        return of_b - moved, of_a - moved


Marginals = Balanced | LeaveAtPrice | MoveMass


def unmatched(arcs: Arcs, a: FloatArray, b: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the mass (n,) and (m,) that a plan leaves, 0 where that is rounding."""
    rows, columns, mass = arcs
    return rest(a, np.bincount(rows, mass, len(a))), rest(b, np.bincount(columns, mass, len(b)))


def rest(mass: FloatArray, moved: NDArray[Any]) -> FloatArray:
    """Return the mass that is not moved, 0 where that is the rounding of a sum."""
    left = mass - moved
    return np.where(left > _ROUNDING * mass, left, 0.0)
