"""Weights of both sides, validated, and the marginals that they go with."""

from __future__ import annotations

import math
from typing import NamedTuple

from otdist.errors import InputError, short
from otdist.geometry.parts import balanced
from otdist.geometry.protocol import Geometry
from otdist.inputs import validate as _validate
from otdist.problem.marginals import Balanced, LeaveAtPrice, Marginals, MoveMass
from otdist.typing import ArrayLike, FloatArray

EITHER = (
    "give either price, the cost of a unit of mass that is not moved, or mass, how much is"
    " moved; got price={} and mass={}"
)


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
    normalize: bool,
    price: float | None,
    mass: float | None,
    *,
    names: tuple[str, str] = ("a", "b"),
    sides: tuple[int, ...] | None = None,
) -> Weights:
    """Validate weights, uniform probabilities by default, and choose the marginals.

    `of` and `names` are for error messages; `sides` is the shape of images.
    """
    shape = geometry.shape if sides is None else (sides, sides)
    if price is None and mass is None:
        first, second, total = _validate.as_masses(a, b, shape, of, normalize, names)
        _validate.require_product(total, geometry.largest)
        if geometry.facts.has_forbidden:
            first, second = balanced(geometry, first, second)
        return Weights(first, second, total)
    if price is not None and mass is not None:
        raise InputError(EITHER.format(short(price), short(mass)))
    if normalize:
        raise InputError(
            "price and mass are for weights as they are; leave out normalize=True, or divide"
            " each side's weights by their sum"
        )
    if price is not None:
        wanted = "a positive number, in cost units"
        price = _validate.as_inside("price", price, 0, math.inf, wanted)
    first, second, most = _validate.as_unequal_masses(a, b, shape, of, mass, names)
    _validate.require_product(most or 1.0, max(geometry.largest, price or 0.0))
    if price is not None:
        return Weights(first, second, most, LeaveAtPrice(price))
    # No more can be moved than either side has, which rounding of the sum may exceed.
    least = min(math.fsum(side.tolist()) for side in (first, second))
    marginals = MoveMass(min(float(mass or 0.0), least))
    return Weights(first, second, most, marginals)
