"""Bound the optimal values of many problems in compiled calls, by weak duality.

The compiled counterpart of `certificate.certify`. Its problems are pairs of measures, packed
into few arrays: on the line or the circle (`Measures`), on common bins (`Histograms`), or
small clouds (`Clouds`). Nothing here comes from a solver or its kernels.
"""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from otdist.geometry.metrics import code_of, known, rounding_of
from otdist.geometry.points import Points, cost_matrix
from otdist.inputs.validate import frozen
from otdist.problem.result import Bracket
from otdist.typing import FloatArray, IntArray

_EPS = float(np.finfo(float).eps)
# Entries of a matrix looked at in one call of the kernel: some 50 ms.
_ROWS = 64


class Measures(NamedTuple):
    """Pairs of measures: sorted points, masses in the same order, and indices of pairs.

    Pair k has points ``x[which[0, k]]``, ``y[which[1, k]]`` and masses
    ``a[which[2, k]]``, ``factor[k] * b[which[3, k]]``.
    """

    x: FloatArray  # (K, n)
    y: FloatArray  # (L, m)
    a: FloatArray  # (M, n)
    b: FloatArray  # (N, m)
    which: IntArray  # (4, pairs)
    factor: FloatArray  # (pairs,)


class Claims(NamedTuple):
    """Couplings of pairs and their potentials, as a solver claims them."""

    rows: NDArray[np.int32]  # (pairs, n + m)
    columns: NDArray[np.int32]  # (pairs, n + m)
    mass: FloatArray  # (pairs, n + m)
    n_arcs: IntArray  # (pairs,): the number of arcs in use
    f: FloatArray  # (pairs, n), read on a circle only

    def first(self, n_pairs: int) -> Claims:
        """Return the claims of the first pairs."""
        return Claims._make(part[:n_pairs] for part in self)


Scratch: TypeAlias = tuple[FloatArray, FloatArray, FloatArray, IntArray]


class LineBounds:
    """Bounds on the optimal values of pairs, computed for some pairs at a time, p >= 1.

    With a period that is not 0, positions are on a circle, within half a period of 0.
    """

    def __init__(self, n: int, m: int, p: float, n_pairs: int, period: float = 0.0) -> None:
        self._shape, self._cost = (n, m), (p, period)
        self._found = np.full((n_pairs, 6), np.nan)

    def scratch(self) -> Scratch:
        """Return the arrays that each thread needs."""
        n, m = self._shape
        return (
            np.empty((2, n + m)),
            np.empty(n),
            np.empty((2, m)),
            np.empty(m, np.int64),
        )

    def add(
        self,
        start: int,
        measures: Measures,
        claims: Claims,
        scratch: Scratch,
    ) -> None:
        """Check the claims for the pairs from `start` on."""
        from otdist.certificate.kernels.line_and_circle import line_bounds

        found = self._found[start : start + len(claims.n_arcs)]
        with np.errstate(all="ignore"):  # for where compilation is off
            line_bounds(*measures, *self._cost, *claims, *scratch, found)

    def bounds(self) -> Bracket[FloatArray]:
        """Return the bounds of all pairs, NaN for claims that are not sound."""
        return brackets_on_line(self._found, self._cost[0])


def brackets_on_line(found: FloatArray, p: float) -> Bracket[FloatArray]:
    """Return what `line_bounds` writes for pairs (pairs, 6) as brackets."""
    lower, upper, value, is_coupling, mass, largest = found.T
    with np.errstate(invalid="ignore"):
        resolution = 2 * _EPS * largest * (1.0 if p == np.inf else mass ** (1 / p))
        value = np.clip(value, lower, upper)
        return Bracket(lower, upper, value, is_coupling > 0, resolution, p)


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
    unit: int = 0  # costs are those of the unit 2**unit of length

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

    def resolution(self, first: IntArray, second: IntArray) -> tuple[float, float]:
        """Return 0, since a matrix has no coordinates, and no root."""
        del first, second
        return 0.0, 1.0


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
    unit: int = 0  # points are in the unit 2**unit of length

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

        Points on the line are sorted. The measures from `offset` on are those of the second
        side; 0 for a single side.
        """
        carries = [a > 0 for a in weights]
        points = [x[kept] for x, kept in zip(points, carries, strict=True)]
        weights = [a[kept] for a, kept in zip(weights, carries, strict=True)]
        if points[0].shape[1] == 1:
            orders = [np.argsort(x[:, 0], kind="stable") for x in points]
            points = [x[order] for x, order in zip(points, orders, strict=True)]
            weights = [a[order] for a, order in zip(weights, orders, strict=True)]
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

    @property
    def is_on_line(self) -> bool:
        """Whether points are numbers and costs are convex powers of their distances."""
        return self.d == 1 and self.p >= 1 and self.metric == "cityblock"

    def largest_of(self, first: IntArray, second: IntArray) -> FloatArray:
        """Return a bound on the costs of each pair: of the corners farthest apart."""
        (low, high), second = self.boxes, second + self.offset
        apart = np.maximum(high[first] - low[second], high[second] - low[first])
        return cost_matrix(apart, np.zeros((1, self.d)), self.metric, self.p)[:, 0]

    def resolution(self, first: IntArray, second: IntArray) -> tuple[FloatArray, float]:
        """Return what units in the last place of the coordinates decide, and the order.

        As `Geometry.resolution`, for each pair, times mass ** (1 / order).
        """
        largest = np.abs(self.boxes).max(axis=(0, 2))
        largest = np.maximum(largest[first], largest[second + self.offset])
        points = Points(np.zeros((1, self.d)), np.ones((1, self.d)), self.metric, self.p, 1.0)
        found = points.resolution()
        assert found is not None
        unit, order = found
        return largest * unit * self.mass ** (1 / order), order

    def cloud(self, k: int) -> tuple[FloatArray, FloatArray]:
        """Return points (n, d) and weights (n,) of a measure."""
        start, stop = int(self.starts[k]), int(self.starts[k + 1])
        points = self.points[self.d * start : self.d * stop].reshape(self.d, -1).T
        return points, self.weights[start:stop]


Family: TypeAlias = Histograms | Clouds


def packed(kind: type[Family], *fields: Any) -> Family:
    """Return a family of read-only plain arrays, the one type that kernels are compiled for.

    Arrays from other machines and processes may be writable or mapped from a file.
    """
    plain: list[Any] = [frozen(each) if isinstance(each, np.ndarray) else each for each in fields]
    return kind(*plain)


def bracket(
    family: Family,
    first: IntArray,
    second: IntArray,
    n_arcs: IntArray,
    row: IntArray,
    column: IntArray,
    mass: FloatArray,
    g: FloatArray,
) -> Bracket[FloatArray]:
    """Bound the optimal values of pairs of measures from claimed plans and potentials.

    Parameters
    ----------
    family : Histograms or Clouds
        The measures.
    first, second : ndarray (Q,) int64
        The pairs.
    n_arcs : ndarray (Q,) int64
        Arcs of each plan; the rest of the columns below is not read.
    row, column, mass : ndarray (Q, N)
        The plans: atoms, and the mass moved. With histograms on a metric, mass that
        stays in its bin is left out.
    g : ndarray (Q, m) float64
        Potentials of the second measure's atoms.

    Returns
    -------
    Bracket
        Arrays (Q,).
    """
    largest = family.largest_of(first, second)
    lower, upper, value, is_coupling = _sums(
        family, first, second, largest, n_arcs, row, column, mass, g
    ).T
    # Bounds may be NaN, and prove nothing then.
    with np.errstate(invalid="ignore"):
        value = np.clip(value, lower, upper)
    resolution, order = family.resolution(first, second)
    return Bracket(lower, upper, value, is_coupling > 0, resolution, order)


def _sums(
    family: Family,
    first: IntArray,
    second: IntArray,
    largest: FloatArray,
    n_arcs: IntArray,
    row: IntArray,
    column: IntArray,
    mass: FloatArray,
    g: FloatArray,
) -> FloatArray:
    """Return bounds, costs of the arcs, and 1 for couplings (Q, 4), from the compiled pass."""
    from otdist.certificate.kernels import brackets as kernel
    from otdist.certificate.kernels.points import METRIC_CODES

    n, m = family.most
    out = np.empty((len(first), 4))
    if isinstance(family, Clouds):
        roundings, least = rounding_of(known(family.metric), family.d, family.p)
        kernel.bracket_clouds(
            family.points,
            family.weights,
            family.starts,
            family.d,
            first,
            second + family.offset,
            code_of(family.metric, METRIC_CODES, "the kernels of the certificate"),
            family.p,
            roundings * _EPS,
            least,
            largest,
            n_arcs,
            row,
            column,
            mass,
            g,
            np.empty((7, max(n, m) + row.shape[1])),
            out,
        )
    else:
        kernel.bracket_histograms(
            family.transposed,
            family.a,
            family.b,
            first,
            second,
            family.is_metric,
            family.largest,
            family.excess,
            n_arcs,
            row,
            column,
            mass,
            g,
            np.empty((11, sum(family.cost.shape) + row.shape[1])),
            out,
        )
    return out


def triangle_excess(cost: FloatArray) -> float:
    """Return by how much a symmetric matrix breaks the triangle inequality.

    O(n³) time. 0 for a metric, up to rounding; inf for a matrix with NaN or negative entries.
    """
    from otdist.certificate.kernels import brackets as kernel

    n, worst = len(cost), 0.0
    best = np.empty(n)
    for start in range(0, n, _ROWS):
        found = kernel.triangle_excess(cost, start, min(start + _ROWS, n), best)
        worst = max(worst, float(found))
    return worst
