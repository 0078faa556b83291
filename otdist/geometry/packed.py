"""Families of measures packed into few arrays, as kernels and other machines take them.

A family is a tuple of arrays and numbers, which tasks ship as it is.
"""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import numpy as np

from otdist.geometry.points import Points, cost_matrix
from otdist.geometry.protocol import Dense, Geometry
from otdist.inputs.validate import frozen
from otdist.typing import FloatArray, IntArray


class Histograms(NamedTuple):
    """Masses on common bins: rows of a against rows of b."""

    cost: FloatArray  # (n, m)
    transposed: FloatArray  # (m, n), contiguous
    a: FloatArray  # (K, n)
    b: FloatArray  # (L, m)
    largest: float
    mass: float  # of every measure
    is_metric: bool
    excess: float  # by which the cost may break the triangle inequality
    most: tuple[int, int]  # atoms, bins with mass, of a measure of either side
    has_forbidden: bool = False  # whether some costs are infinite

    @classmethod
    def of(
        cls,
        cost: FloatArray,
        a: FloatArray,
        b: FloatArray,
        largest: float,
        mass: float,
        *,
        is_metric: bool = False,
        excess: float = 0.0,
        has_forbidden: bool = False,
    ) -> Histograms:
        """Pack histograms; a metric is its own transpose."""
        transposed = cost if is_metric else np.ascontiguousarray(cost.T)
        n, m = (int(np.count_nonzero(side, axis=1).max()) for side in (a, b))
        return cls(cost, transposed, a, b, largest, mass, is_metric, excess, (n, m), has_forbidden)

    def largest_of(self, first: IntArray, second: IntArray) -> FloatArray:
        """Return a bound on the costs of each pair."""
        return np.full(len(first), self.largest)


class Clouds(NamedTuple):
    """Weighted points, of different numbers, one measure after the other.

    Measure k has the atoms from ``starts[k]`` to ``starts[k + 1]``. Its points are d
    times as many numbers from ``d * starts[k]``, one coordinate after the other.
    """

    points: FloatArray  # (N * d,)
    weights: FloatArray  # (N,), positive
    starts: IntArray  # (K + 1,)
    boxes: FloatArray  # (2, K, d), least and largest coordinates
    d: int
    offset: int  # of the first measure of the second side
    metric: str
    p: float
    mass: float
    most: tuple[int, int]  # atoms of a measure of either side
    has_forbidden: bool = False

    @classmethod
    def of(
        cls,
        points: list[FloatArray],
        weights: list[FloatArray],
        offset: int,
        metric: str,
        p: float,
        mass: float,
    ) -> Clouds:
        """Pack points (n, d) and weights (n,) of many measures, without empty atoms.

        The measures from `offset` on are those of the second side; 0 for a single side.
        """
        carries = [a > 0 for a in weights]
        points = [x[kept] for x, kept in zip(points, carries, strict=True)]
        weights = [a[kept] for a, kept in zip(weights, carries, strict=True)]
        sizes = [len(a) for a in weights]
        return cls(
            points=np.concatenate([x.T.reshape(-1) for x in points]),
            weights=np.concatenate(weights),
            starts=np.array([0, *itertools.accumulate(sizes)]),
            boxes=np.array([[x.min(axis=0) for x in points], [x.max(axis=0) for x in points]]),
            d=points[0].shape[1],
            offset=offset,
            metric=metric,
            p=p,
            mass=mass,
            most=(max(sizes[: offset or None]), max(sizes[offset:])),
        )

    def largest_of(self, first: IntArray, second: IntArray) -> FloatArray:
        """Return a bound on the costs of each pair: of the corners farthest apart."""
        (low, high), second = self.boxes, second + self.offset
        apart = np.maximum(high[first] - low[second], high[second] - low[first])
        return cost_matrix(apart, np.zeros((1, self.d)), self.metric, self.p)[:, 0]

    def cloud(self, k: int) -> tuple[FloatArray, FloatArray]:
        """Return points (n, d) and weights (n,) of a measure."""
        start, stop = int(self.starts[k]), int(self.starts[k + 1])
        points = self.points[self.d * start : self.d * stop].reshape(self.d, -1).T
        return points, self.weights[start:stop]


Family = Histograms | Clouds


def one_pair(geometry: Geometry, a: FloatArray, b: FloatArray, mass: float) -> Family | None:
    """Return two measures as a family; None if the compiled code lacks their cost."""
    if isinstance(geometry, Points) and isinstance(geometry.metric, str):
        points = [geometry.x, geometry.y]
        return packed(Clouds, *Clouds.of(points, [a, b], 1, geometry.metric, geometry.p, mass))
    if isinstance(geometry, Dense) and not geometry.has_forbidden:
        cost, largest = geometry.cost, geometry.largest
        most = int(np.count_nonzero(a)), int(np.count_nonzero(b))
        rows = a[None], b[None]
        return Histograms(cost, frozen(cost.T), *rows, largest, mass, False, 0.0, most)
    return None


def packed(kind: type[Family], *fields: Any) -> Family:
    """Return a family of read-only plain arrays, the one type that kernels are compiled for.

    Arrays from other machines and processes may be writable or mapped from a file.
    """
    return kind(*(_plain(field) for field in fields))


def _plain(field: Any) -> Any:
    if not isinstance(field, np.ndarray):
        return field
    array = np.ascontiguousarray(field).view(np.ndarray).view()
    array.flags.writeable = False
    return array
