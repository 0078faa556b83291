"""Pixels of an image or a volume, with a distance that is no sum over the axes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from otdist.geometry.points import Points
from otdist.typing import FloatArray, Metric


@dataclass(frozen=True, slots=True, eq=False)
class Pixels(Points):
    """All pixels on both sides, in C order, with cost ``metric(x, y)``, a metric.

    They are points, and whoever knows points can use them. Beyond that, x and y are
    one array, no two pixels are at one place, and neighbours are known.

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


def pixels_of(axes: tuple[FloatArray, ...]) -> FloatArray:
    """Return the coordinates (N, d) of all pixels, in C order."""
    points = np.empty((*map(len, axes), len(axes)))
    for k, axis in enumerate(axes):
        points[..., k] = axis.reshape(-1, *[1] * (len(axes) - 1 - k))
    return points.reshape(-1, len(axes))
