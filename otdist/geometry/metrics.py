"""The metrics known by name: one record says all that differs between them.

A metric is one record here, one branch of the solvers' costs (`compiled.costs`), and one
of the certificate's kernels, which share no code with those.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import numpy as np

from otdist.errors import InputError, short
from otdist.typing import FloatArray

_EPS = float(np.finfo(float).eps)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NamedMetric:
    """A distance between points that is known by its name.

    Attributes
    ----------
    name : str
        The value of ``metric`` in public functions.
    code : int
        Its number in all kernels.
    add : callable
        ``add(total, part)`` takes the differences of one coordinate into the totals of
        those before, in place; `part` may be overwritten.
    is_root : bool
        Whether the distance is the square root of the total.
    gradient : callable
        Gradients (k, d) of the distances in x, given ``x - y``. Where a distance has a
        kink they are the subgradients with the smallest entries: 0 for equal points.
    steepest : callable
        The vector of dual norm at most 1 whose product with the vector given is that
        vector's norm.
    is_metric : bool
        Whether the triangle inequality holds.
    separable_at : frozenset of float
        Orders p at which ``distance ** p`` is a sum over the coordinates.
    line_power : float or None
        The power r if the distance of two numbers is ``|x - y| ** r``: points with one
        coordinate are then on the line. None if it is no such power.
    is_tiled : bool
        Whether solvers can bound the costs of a tile of points (`network_simplex.tiles`).
        They work on the matrix of costs otherwise.
    """

    name: str
    code: int
    add: Callable[[FloatArray, FloatArray], Any]
    gradient: Callable[[FloatArray], FloatArray]
    steepest: Callable[[FloatArray], FloatArray]
    is_root: bool = False
    is_metric: bool = True
    separable_at: frozenset[float] = frozenset()
    line_power: float | None = None
    is_tiled: bool = False


def _add_size(total: FloatArray, part: FloatArray) -> None:
    np.add(total, np.abs(part, out=part), out=total)


def _keep_largest(total: FloatArray, part: FloatArray) -> None:
    np.maximum(total, np.abs(part, out=part), out=total)


def _add_square(total: FloatArray, part: FloatArray) -> None:
    np.add(total, np.multiply(part, part, out=part), out=total)


def _direction(difference: FloatArray) -> FloatArray:
    # By powers of two near the lengths: squares then neither over- nor underflow.
    size = np.abs(difference).max(axis=1, keepdims=True)
    unit = np.ldexp(difference, -np.frexp(size)[1])
    length = np.sqrt(np.einsum("kd,kd->k", unit, unit))
    return np.asarray(unit / np.where(length > 0, length, 1.0)[:, None])


def _sign_of_largest(difference: FloatArray) -> FloatArray:
    steepest = np.abs(difference).argmax(axis=-1)[..., None]
    slope = np.zeros_like(difference)
    sign = np.sign(np.take_along_axis(difference, steepest, axis=-1))
    np.put_along_axis(slope, steepest, sign, axis=-1)
    return slope


def _unit(vector: FloatArray) -> FloatArray:
    largest = np.abs(vector).max()
    if largest == 0:
        return np.zeros_like(vector)
    unit = vector / largest
    # Rounding must not make it longer than 1.
    return np.asarray(unit / (np.sqrt(unit @ unit) * (1 + (len(vector) + 4) * _EPS)))


#: The metrics by name. Codes stay what they are: compiled kernels are cached with them.
NAMED = {
    metric.name: metric
    for metric in (
        NamedMetric(
            name="euclidean",
            code=2,
            add=_add_square,
            is_root=True,
            gradient=_direction,
            steepest=_unit,
            separable_at=frozenset({2.0}),
            line_power=1.0,
            is_tiled=True,
        ),
        NamedMetric(
            name="cityblock",
            code=1,
            add=_add_size,
            gradient=np.sign,
            steepest=np.sign,
            separable_at=frozenset({1.0}),
            line_power=1.0,
            is_tiled=True,
        ),
        NamedMetric(
            name="chebyshev",
            code=0,
            add=_keep_largest,
            gradient=_sign_of_largest,
            steepest=_sign_of_largest,
            line_power=1.0,
            is_tiled=True,
        ),
        NamedMetric(
            name="sqeuclidean",
            code=4,
            add=_add_square,
            gradient=lambda difference: 2 * difference,
            steepest=_unit,
            is_metric=False,
            separable_at=frozenset({1.0}),
            line_power=2.0,
            is_tiled=True,
        ),
    )
}


def named(metric: Any) -> NamedMetric | None:
    """Return the record of a metric; None for a function of two points."""
    return known(metric) if isinstance(metric, str) else None


def line_power(metric: Any) -> float | None:
    """Return r if the distance of two numbers is ``|x - y| ** r``; None if that is unknown."""
    record = named(metric)
    return None if record is None else record.line_power


def known(name: str) -> NamedMetric:
    """Return the record of a name; `InputError` that lists the names there are."""
    if name not in NAMED:
        raise InputError(
            f"metric {name!r} is unknown; known metrics are {names_of(NAMED.values())}, or"
            " pass a function of two points"
        )
    return NAMED[name]


def true_metric(caller: str, metric: Any) -> NamedMetric:
    """Return the record of a metric with the triangle inequality, which duality needs."""
    if not isinstance(metric, str) or metric not in NAMED or not NAMED[metric].is_metric:
        fitting = names_of(record for record in NAMED.values() if record.is_metric)
        raise InputError(f"metric of {caller} must be one of {fitting}; got {short(metric)}")
    return NAMED[metric]


def require_slopes(metric: Any) -> None:
    """Raise for a metric without a derivative that is known, if it is given by name."""
    if isinstance(metric, str) and metric not in NAMED:
        raise InputError(
            f"metric of a loss must be one of {names_of(NAMED.values())}, whose derivatives are"
            f" known; got {short(metric)}"
        )


def names_of(metrics: Any) -> str:
    """Return the names of metrics as a message lists them."""
    return ", ".join(repr(metric.name) for metric in metrics)


def code_of(name: str, computed: Collection[int], where: str) -> int:
    """Return the code of a metric, if it is among those that some kernels compute."""
    metric = known(name)
    if metric.code not in computed:
        raise InputError(f"metric {name!r} has the code {metric.code}, which {where} do not know")
    return metric.code


def power(distance: FloatArray, p: float) -> FloatArray:
    """Return ``distance ** p``, leaving the array alone for p = 1."""
    return distance if p == 1 else np.asarray(distance**p)


def rounding_of(metric: NamedMetric, d: int, p: float) -> tuple[float, float]:
    """Return how far computed costs of d coordinates may be off: see `Facts`.

    Each difference, product and sum rounds by half a unit; a power multiplies the error by p.
    Squares of differences below 2**-500 may underflow, and so may powers.
    """
    roundings = p * (d + 4) / 2 + 1
    if metric.is_root:
        return roundings, max(2.0 ** (-500 * p), 2.0**-1050)
    return roundings, 0.0 if p == 1 and metric.is_metric else 2.0**-1050
