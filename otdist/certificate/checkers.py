"""How the certificate reads each kind of ground cost.

`PairwiseChecker` works for any geometry, from its rows and pairs: a new geometry needs no
checker. A checker of its own is faster, or finds better potentials. Nothing here comes
from a solver or its kernels.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeAlias, TypeVar

import numpy as np

from otdist.certificate import c_transform, edge_slopes, image_w1
from otdist.geometry.circle import Circle
from otdist.geometry.graph import Graph
from otdist.geometry.grid_metric import Pixels
from otdist.geometry.grid_separable import Grid
from otdist.geometry.line import Line
from otdist.geometry.metrics import named
from otdist.geometry.outside import Extended
from otdist.geometry.points import Points
from otdist.geometry.protocol import Dense, Geometry
from otdist.typing import FloatArray, IntArray

if TYPE_CHECKING:
    from otdist.plans.plans import Arcs
    from otdist.problem.problem import Problem

# Entries up to which a matrix is certified in one compiled pass.
_AT_ONCE = 1 << 27
# Columns that the compiled sums look at together.
_TILE = 512

G_co = TypeVar("G_co", bound=Geometry, covariant=True)

#: Lower and upper bound, size of all terms, marginal error, that error weighted by the
#: potentials, and violation of the potentials given.
AtOnce: TypeAlias = tuple[float, float, float, float, float, float]


class Pair(NamedTuple):
    """A feasible pair of potentials, and by how much the given pair was not."""

    f: FloatArray
    g: FloatArray
    violation: float


class PairwiseChecker(Generic[G_co]):
    """Reads rows and pairs of the costs, in NumPy.

    Parameters
    ----------
    geometry : Geometry
        The ground cost.
    """

    #: A compiled c-transform of the geometry, a potential and a number of threads; without
    #: one the geometry's own is used.
    transform: Callable[[Any, FloatArray, int], FloatArray] | None = None
    #: A bound on ``|f(x) - f(y)| / d(x, y)``, where neighbours tell one.
    slope: Callable[[Any, FloatArray], float] | None = None
    #: Whether c-transforms are rounded in units of the costs too: they compare sums of
    #: coordinates, rely on the order of atoms, or add up costs.
    is_rounded_as_costs = False

    def __init__(self, geometry: G_co) -> None:
        self.geometry = geometry

    def column_minimum(self, f: FloatArray, n_jobs: int) -> FloatArray:
        """Return the c-transform of f, ``g[j] = min_i c[i, j] - f[i]``."""
        if self.transform is None:
            return self.geometry.column_minimum(f)
        return self.transform(self.geometry, f, n_jobs)

    def row_minimum(self, g: FloatArray, n_jobs: int) -> FloatArray:
        """Return the c-transform of g, ``f[i] = min_j c[i, j] - g[j]``."""
        if self.transform is None:
            return self.geometry.row_minimum(g)
        return self.transform(self.geometry.transposed(), g, n_jobs)

    def feasible(
        self, problem: Problem, f: FloatArray, g: FloatArray | None, n_jobs: int, *, is_flow: bool
    ) -> Pair:
        """Return a feasible pair made of f; `is_flow` says whether f came with a flow."""
        slope = self.steepness(f)
        if slope <= edge_slopes.STEEP:
            return self._of_slope(f, g, slope)
        best = self.column_minimum(f, n_jobs)
        violation = 0.0 if g is None else max(float(np.max(g - best)), 0.0)
        carries = problem.a > 0
        if not carries.all():
            # Atoms without mass constrain nothing.
            best = self.column_minimum(np.where(carries, f, -np.inf), n_jobs)
        return Pair(f, best, violation)

    def feasible_from_g(
        self, problem: Problem, f: FloatArray, g: FloatArray, n_jobs: int
    ) -> tuple[FloatArray, FloatArray]:
        """Return a feasible pair made of g."""
        del f
        return self.row_minimum(np.where(problem.b > 0, g, -np.inf), n_jobs), g

    def _of_slope(self, f: FloatArray, g: FloatArray | None, slope: float) -> Pair:
        """Return f and -f, which are feasible once f is less by its slope.

        No pair is violated by more than its distance times the excess of the slope.
        """
        off = 0.0 if g is None else max(float(np.max(g + f)), 0.0)
        if slope > edge_slopes.STEEP and g is not None:
            off += (slope - 1) * self.geometry.largest
        f = f / max(slope, 1.0)
        return Pair(f, -f, off)

    def steepness(self, f: FloatArray) -> float:
        """Return a bound on ``|f(x) - f(y)| / d(x, y)``; inf where none is known."""
        if self.slope is None or not np.isfinite(f).all():
            return math.inf
        return self.slope(self.geometry, f)

    def rounded_size(
        self, problem: Problem, f: FloatArray, g: FloatArray, *, by_row: bool
    ) -> float:
        """Return the size of the numbers that the c-transform was rounded in, times mass.

        The c-transform is f if `by_row`, else g.
        """
        size = float(problem.a @ np.abs(f)) if by_row else float(problem.b @ np.abs(g))
        return size + self.is_rounded_as_costs * problem.mass * self.geometry.largest

    def lengths(self, tails: IntArray, heads: IntArray) -> FloatArray:
        """Return upper bounds of the costs along the edges of a flow."""
        return self.geometry.pairs(tails, heads)

    def add_up(self, start: int, block: FloatArray, columns: FloatArray, sums: FloatArray) -> bool:
        """Add the rows of a plan from `start` on to `columns`; write to `sums` (3, k).

        Those are masses, costs and sizes of the costs. Returns whether some entries are no
        masses.
        """
        columns += block.sum(axis=0)
        costs = self.geometry.rows(start, start + len(block))
        # 0 * inf: a forbidden arc that carries nothing costs nothing.
        costs = np.where((block == 0) & np.isinf(costs), 0.0, costs)
        sums[0] = block.sum(axis=1)
        sums[1] = np.einsum("ij,ij->i", block, costs)
        sums[2] = np.einsum("ij,ij->i", block, np.abs(costs))
        return not bool((block >= 0).all())

    def at_once(
        self, problem: Problem, arcs: Arcs, f: FloatArray, g: FloatArray | None
    ) -> AtOnce | None:
        """Return all bounds from one compiled pass; None where there is no such pass."""
        del problem, arcs, f, g
        return None

    def _has_many_pairs(self) -> bool:
        n, m = self.geometry.shape
        return n * m >= c_transform.COMPILED_PAIRS


class MatrixChecker(PairwiseChecker[Dense]):
    """Looks at a matrix in compiled passes."""

    def at_once(
        self, problem: Problem, arcs: Arcs, f: FloatArray, g: FloatArray | None
    ) -> AtOnce | None:
        """Return all bounds, where NumPy's calls would cost more than the sums.

        They are infinite for bad masses and potentials, which NumPy's code tells apart.
        """
        cost = self.geometry.cost
        if cost.size > _AT_ONCE:
            return None
        n, m = cost.shape
        best, work = np.empty(m), np.empty(n + m + len(arcs.mass))
        f, g = _plain(f), best if g is None else _plain(g)
        return _dense_bounds()(cost, problem.a, problem.b, f, g, *arcs, best, work)

    def add_up(self, start: int, block: FloatArray, columns: FloatArray, sums: FloatArray) -> bool:
        """Add up rows of a plan, compiled for many pairs."""
        if not self._has_many_pairs():
            return super().add_up(start, block, columns, sums)
        from otdist.certificate.kernels.brackets import matrix_sums

        costs = self.geometry.cost[start : start + len(block)]
        return bool(matrix_sums(block, costs, columns, sums))


class PointsChecker(PairwiseChecker[Points]):
    """Computes costs from coordinates in compiled passes."""

    transform = staticmethod(c_transform.of_points)

    def add_up(self, start: int, block: FloatArray, columns: FloatArray, sums: FloatArray) -> bool:
        """Add up rows of a plan, compiled for many pairs and a metric known by name."""
        metric = named(self.geometry.metric)
        if metric is None or not self._has_many_pairs():
            return super().add_up(start, block, columns, sums)
        from otdist.certificate.kernels.points import point_sums

        norm, scratch = c_transform.norm_of(metric.name), np.empty(_TILE)
        x, y = self._coordinates
        p = self.geometry.p
        return bool(point_sums(block, x, y, norm, p, start, scratch, columns, sums))

    @functools.cached_property
    def _coordinates(self) -> tuple[FloatArray, FloatArray]:
        x, y = self.geometry.x.T, self.geometry.y.T
        return np.ascontiguousarray(x), np.ascontiguousarray(y)


class PixelsChecker(PointsChecker):
    """Counts only what one image has more than the other; see `image_w1`."""

    geometry: Pixels
    slope = staticmethod(edge_slopes.on_pixels)

    def feasible(
        self, problem: Problem, f: FloatArray, g: FloatArray | None, n_jobs: int, *, is_flow: bool
    ) -> Pair:
        """Return a function of slope 1 and its negative.

        Slopes are looked at for flows only: for other plans transforms bound more tightly.
        """
        if is_flow:
            return self._of_slope(f, g, self.steepness(f))
        best = image_w1.slope_one(problem, f, g, n_jobs)
        off = 0.0 if g is None else image_w1.violation_of(problem, f, g, best, n_jobs)
        return Pair(-best, best, off)

    def feasible_from_g(
        self, problem: Problem, f: FloatArray, g: FloatArray, n_jobs: int
    ) -> tuple[FloatArray, FloatArray]:
        """Return a function of slope 1, made on the larger set of pixels, and its negative."""
        g = image_w1.slope_one(problem, f, g, n_jobs, turned=True)
        return -g, g

    def rounded_size(
        self, problem: Problem, f: FloatArray, g: FloatArray, *, by_row: bool
    ) -> float:
        """Return the size of both: each is a cost minus a potential of the sources."""
        del by_row
        size = float(problem.a @ np.abs(f) + problem.b @ np.abs(g))
        return size + problem.mass * self.geometry.largest


class LineChecker(PairwiseChecker[Line]):
    """Sweeps over sorted numbers."""

    transform = staticmethod(c_transform.of_line)
    is_rounded_as_costs = True


class CircleChecker(PairwiseChecker[Circle]):
    """Sweeps over sorted positions."""

    transform = staticmethod(c_transform.of_circle)
    is_rounded_as_costs = True


class GridChecker(PairwiseChecker[Grid]):
    """Goes through one axis after the other."""

    transform = staticmethod(c_transform.of_grid)
    slope = staticmethod(edge_slopes.on_grid)
    is_rounded_as_costs = True

    def rounded_size(
        self, problem: Problem, f: FloatArray, g: FloatArray, *, by_row: bool
    ) -> float:
        """Return the size of all steps: each axis adds its cost to the sums of those before."""
        return len(self.geometry.axes) * super().rounded_size(problem, f, g, by_row=by_row)


class GraphChecker(PairwiseChecker[Graph]):
    """Looks at edges."""

    slope = staticmethod(edge_slopes.on_graph)

    def lengths(self, tails: IntArray, heads: IntArray) -> FloatArray:
        """Return the lengths of edges, and distances for pairs without an edge."""
        return edge_slopes.lengths(self.geometry, tails, heads)


class OutsideChecker(PairwiseChecker[Extended]):
    """Asks the checker of the costs between the atoms proper."""

    def column_minimum(self, f: FloatArray, n_jobs: int) -> FloatArray:
        """Return the c-transform of f."""
        inner = checker_of(self.geometry.base).column_minimum(f[:-1], n_jobs)
        return self.geometry.with_outside(inner, f)

    def row_minimum(self, g: FloatArray, n_jobs: int) -> FloatArray:
        """Return the c-transform of g."""
        inner = checker_of(self.geometry.base).row_minimum(g[:-1], n_jobs)
        return self.geometry.with_outside(inner, g)


CHECKERS: dict[type[Geometry], Callable[..., PairwiseChecker[Geometry]]] = {
    Dense: MatrixChecker,
    Points: PointsChecker,
    Pixels: PixelsChecker,
    Line: LineChecker,
    Circle: CircleChecker,
    Grid: GridChecker,
    Graph: GraphChecker,
    Extended: OutsideChecker,
}


def checker_of(geometry: Geometry) -> PairwiseChecker[Geometry]:
    """Return the checker of a geometry."""
    return CHECKERS.get(type(geometry), PairwiseChecker)(geometry)


def _plain(potential: FloatArray) -> FloatArray:
    """Return an array as kernels are compiled for: others would compile them anew."""
    return potential if potential.flags.carray else potential.copy()


@functools.cache
def _dense_bounds() -> Callable[..., AtOnce]:
    """Return the compiled pass; to import it in every call takes time."""
    from otdist.certificate.kernels.brackets import dense_bounds

    kernel: Callable[..., AtOnce] = dense_bounds
    return kernel
