"""Pixels of an image or a volume, with a distance that is no sum over the axes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from otdist.geometry.lattice import coprime_offsets, king_offsets, lattice
from otdist.geometry.points import Points
from otdist.geometry.protocol import Edges, Facts
from otdist.inputs.scale import in_unit
from otdist.typing import FloatArray, Metric


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Pixels(Points):
    """All pixels on both sides, in C order, with cost ``metric(x, y)``, a metric.

    They can be used as any points can. Beyond that, x and y are one array, no two pixels
    are at one place, and neighbours are known.

    Attributes
    ----------
    axes : tuple of ndarray
        Coordinates along each axis, read-only.
    """

    axes: tuple[FloatArray, ...]

    @classmethod
    def of(cls, axes: tuple[FloatArray, ...], metric: Metric, largest: float) -> Pixels:
        """List the pixels of a grid."""
        points = pixels_of(axes)
        points.setflags(write=False)
        return cls(points, points, metric, 1.0, largest, axes)

    @property
    def facts(self) -> Facts:
        """Facts: both sides are all pixels."""
        return super(Pixels, self).facts._replace(is_metric=True, same_atoms=True)

    @property
    def spacing(self) -> tuple[float, ...]:
        """Distance of neighbours along each axis; 1 for an axis of one pixel."""
        return tuple(float(axis[1]) if len(axis) > 1 else 1.0 for axis in self.axes)

    @property
    def step(self) -> float | None:
        """Distance of neighbours along all axes; None where two axes differ."""
        steps = {float(axis[1]) for axis in self.axes if len(axis) > 1} or {1.0}
        return steps.pop() if len(steps) == 1 else None

    def in_unit(self, k: int) -> Self:
        """Return the geometry of the pixels in a unit of length 2**k."""
        axes = tuple(in_unit(axis, k) for axis in self.axes)
        return replace(Points.in_unit(self, k), axes=axes)

    def edges(self, reach: int = 1) -> Edges | None:
        """Return the steps of a king for L∞ and one spacing, coprime steps in the plane."""
        if self.metric == "chebyshev" and self.step is not None:
            offsets = king_offsets(len(self.axes))
        elif self.metric == "euclidean" and len(self.axes) == 2:
            offsets = coprime_offsets(reach)
        else:
            return None
        tails, heads = lattice(self.axes, offsets)
        return Edges(tails, heads, self.pairs(tails, heads))


def pixels_of(axes: tuple[FloatArray, ...]) -> FloatArray:
    """Return the coordinates (N, d) of all pixels, in C order."""
    points = np.empty((*map(len, axes), len(axes)))
    for k, axis in enumerate(axes):
        points[..., k] = axis.reshape(-1, *[1] * (len(axes) - 1 - k))
    return points.reshape(-1, len(axes))
