"""Many measures at once, packed into few arrays, as kernels and other machines take them.

Both are tuples of arrays and numbers: tasks ship them as they are.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from otdist.geometry.points import cost_matrix
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


def packed(kind: type[Family], *fields: Any) -> Family:
    """Return a family of read-only plain arrays, the one type kernels know.

    Other machines and processes hand on arrays of all sorts.
    """
    return kind(*(_plain(field) for field in fields))


def _plain(field: Any) -> Any:
    if not isinstance(field, np.ndarray):
        return field
    array = np.ascontiguousarray(field).view(np.ndarray).view()
    array.flags.writeable = False
    return array
