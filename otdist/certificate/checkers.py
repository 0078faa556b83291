"""How the certificate reads each kind of ground cost.

`PairwiseChecker` works for any geometry, from its rows and pairs: a new geometry needs no
checker. A checker of its own is faster, or finds better potentials: compiled c-transforms
take over from the methods of the geometry where there are many atoms. Nothing here comes from
a solver or its kernels.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeAlias, TypeVar

import numpy as np

from otdist.certificate import edge_slopes
from otdist.geometry.circle import Circle
from otdist.geometry.graph import Graph
from otdist.geometry.grid_metric import Pixels
from otdist.geometry.grid_separable import Grid
from otdist.geometry.line import Line
from otdist.geometry.metrics import code_of, named
from otdist.geometry.outside import Extended
from otdist.geometry.points import Points
from otdist.geometry.protocol import Dense, Geometry
from otdist.inputs.validate import frozen
from otdist.typing import FloatArray, IntArray

if TYPE_CHECKING:
    from otdist.plans.plans import Arcs
    from otdist.problem.problem import Problem

# Sizes at which a compiled pass takes over: NumPy is as fast on fewer points.
_COMPILED_LINE = 20_000
_COMPILED_CIRCLE = 1_000
_COMPILED_PAIRS = 1 << 12
# The solver of pixels has loaded the compiler: a compiled pass pays from here on.
_COMPILED_PIXELS = 1 << 14
# Pairs up to which all are looked at where the rounding of shorter ways counts.
_LOOKED_AT = 1 << 24
# Entries up to which a matrix is certified in one compiled pass.
_AT_ONCE = 1 << 27
# Columns that are looked at together: by sums, by c-transforms, where few pairs count, and
# where single precision screens the pairs.
_SUM_TILE = 512
_TILE = 256
_SMALL_TILE = 128
_SCREEN_TILE = 512
# Coordinates from which on a product of matrices screens the pairs of points.
_SCREENED_FROM = 24
# Norms whose squares a product of matrices has: Euclidean distances and their squares.
_EUCLIDEAN, _SQUARED = 2, 4
_EPS = float(np.finfo(float).eps)

G_co = TypeVar("G_co", bound=Geometry, covariant=True)

#: Lower and upper bound, cost of the arcs, marginal error, whether they are a coupling, and
#: violation of the potentials given.
AtOnce: TypeAlias = tuple[float, float, float, float, bool, float]


def norm_of(metric: str) -> int:
    """Return the code of a metric; `InputError` if the compiled passes do not compute it."""
    from otdist.certificate.kernels.points import METRIC_CODES

    return code_of(metric, METRIC_CODES, "the kernels of the certificate")


def of_points(points: Points, f: FloatArray, n_jobs: int) -> FloatArray:
    """Return ``min_i c[i, j] - f[i]`` of points."""
    metric = named(points.metric)
    if metric is None or math.prod(points.shape) < _COMPILED_PAIRS:
        return points.column_minimum(f)
    return points_minimum(points, norm_of(metric.name), f, n_jobs)


def of_grid(grid: Grid, f: FloatArray, n_jobs: int = 1) -> FloatArray:
    """Return ``min_i c[i, j] - f[i]`` of pixels, one axis after the other."""
    del n_jobs
    if grid.shape[0] * max(grid.sides) < _COMPILED_PAIRS:
        return grid.column_minimum(f)
    from otdist.certificate.kernels.grid import smallest_sums

    def step(lines: FloatArray, k: int) -> FloatArray:
        least = np.empty(lines.shape)
        smallest_sums(lines, grid.axis_cost(k), least)
        return least

    return grid.along_axes(-f, step)


def of_line(line: Line, f: FloatArray, n_jobs: int = 1) -> FloatArray:
    """Return ``min_i |x[i] - y[j]| ** p - f[i]``."""
    del n_jobs
    if sum(line.shape) < _COMPILED_LINE:
        return line.column_minimum(f)
    return _sorted_minimum(line, f, 0.0)


def of_circle(circle: Circle, f: FloatArray, n_jobs: int = 1) -> FloatArray:
    """Return ``min_i arc(x[i], y[j]) ** p - f[i]``."""
    del n_jobs
    if sum(circle.shape) < _COMPILED_CIRCLE:
        return circle.column_minimum(f)
    return _sorted_minimum(circle, f, circle.period)


def _sorted_minimum(numbers: Line | Circle, f: FloatArray, period: float) -> FloatArray:
    """Sweep over sorted numbers; a period that is not 0 puts them on a circle."""
    from otdist.certificate.kernels.line_and_circle import sorted_minimum

    x, y = numbers.x[numbers.by_x], numbers.y[numbers.by_y]
    ordered, slip, best = np.empty((3, len(y)))
    where = np.empty(len(y), np.int64)
    sorted_minimum(x, f[numbers.by_x], y, period, numbers.p, where, slip, ordered)
    best[numbers.by_y] = ordered
    return best


def points_minimum(points: Points, norm: int, f: FloatArray, n_jobs: int) -> FloatArray:
    """Sweep over all pairs, in ranges of columns that threads share."""
    if points.x.shape[1] >= _SCREENED_FROM and norm in (_EUCLIDEAN, _SQUARED):
        screened = _screened_minimum(points, norm, f)
        if screened is not None:
            return screened
    best = np.full(len(points.y), np.inf)
    _lower(points, norm, f, n_jobs, _TILE, best)
    return best


def minimum_near(
    points: Points, norm: int, f: FloatArray, claimed: FloatArray, n_jobs: int
) -> FloatArray:
    """Return `points_minimum`, sooner where most of the claimed minima are right.

    The search begins a little above each claim, so that only pairs below it count. A
    minimum that is not found so is larger than the claim, and is searched anew.
    """
    above = 2.0**-48 * (points.largest + np.abs(claimed))
    best = claimed + above
    _lower(points, norm, f, n_jobs, _SMALL_TILE, best)
    others = np.flatnonzero(~(best < claimed + above))
    if len(others) > 0:
        rest = points.restrict(np.arange(len(points.x)), others)
        best[others] = points_minimum(rest, norm, f, n_jobs)
    return best


def _lower(
    points: Points,
    norm: int,
    f: FloatArray,
    n_jobs: int,
    tile: int,
    best: FloatArray,
) -> None:
    """Lower `best` to ``min_i c[i, j] - f[i]``."""
    from otdist.certificate.kernels import points as certificate

    x, y, f = frozen(points.x.T), frozen(points.y.T), np.require(f, requirements=["C", "W"])
    # Some 50 ms at a time, so that Ctrl-C is heard.
    length = max(1024, (1 << 26) // len(f))

    def sweep(start: int) -> None:
        part, room = best[start : start + length], np.empty(tile)
        certificate.points_minimum(x, f, y, norm, points.p, start, room, part)

    starts = range(0, len(best), length)
    if len(starts) == 1:
        sweep(0)
        return
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(n_jobs) as pool:
        list(pool.map(sweep, starts))


def _screened_minimum(points: Points, norm: int, f: FloatArray) -> FloatArray | None:
    """Return `points_minimum` for many coordinates; single precision screens the pairs.

    ``|x|² + |y|² - 2 x y`` is off by no more than a known part of its terms (Higham,
    *Accuracy and Stability of Numerical Algorithms*, 2002, 3.1). Pairs that this part
    cannot rule out, and pairs that are close beside their terms, are computed from
    differences of coordinates in double precision. None where that part is too large,
    or single precision could overflow.
    """
    from otdist.certificate.kernels.points import screened_minimum

    d = points.x.shape[1]
    # Of a square that is not close: products of d terms, sums and rounded coordinates.
    part = 20 * (d + 16) * 2.0**-24
    power = points.p if norm == _SQUARED else points.p / 2
    if not (power <= 2 and (1 + part) ** power < 1.5):
        return None
    relative = (1 + part) ** power - 1 + 2.0**-20
    middle = 0.5 * points.x.mean(axis=0) + 0.5 * points.y.mean(axis=0)
    x, y = points.x - middle, points.y - middle
    exponent = int(np.frexp(max(np.abs(x).max(), np.abs(y).max()))[1])
    x = np.ldexp(x, -exponent).astype(np.float32)
    y = np.ldexp(y, -exponent).astype(np.float32)
    size_x, size_y = (x * x).sum(axis=1), (y * y).sum(axis=1)
    unit = 2.0 ** (2 * exponent * power)
    best = np.empty(len(y))
    for start in range(0, len(y), _SCREEN_TILE):
        lines = slice(start, start + _SCREEN_TILE)
        products = y[lines] @ x.T
        screened_minimum(
            points.x,
            f,
            points.y[lines],
            products,
            size_x,
            size_y[lines],
            norm,
            points.p,
            unit,
            relative,
            best[lines],
        )
    return best


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

        No pair is violated by more than its distance times the excess of the slope. Slopes are
        rounded a few times, and so is the quotient.
        """
        off = 0.0 if g is None else max(float(np.max(g + f)), 0.0)
        if slope > edge_slopes.STEEP and g is not None:
            off += (slope - 1) * self.geometry.largest
        f = f / (max(slope, 1.0) * (1 + 16 * _EPS))
        return Pair(f, -f, off)

    def steepness(self, f: FloatArray) -> float:
        """Return a bound on ``|f(x) - f(y)| / d(x, y)``; inf where none is known."""
        if self.slope is None or not np.isfinite(f).all():
            return math.inf
        return self.slope(self.geometry, f)

    def transform_error(self, problem: Problem, f: FloatArray, g: FloatArray) -> float:
        """Return how much a feasible pair may lack, times mass, beyond the last digit of each."""
        return self.column_error(f, g) * problem.mass

    def column_error(self, f: FloatArray, g: FloatArray) -> float:
        """Return how much a minimum of `column_minimum` may lack beyond its last digit."""
        del f, g
        return 0.0

    def known_bound(self, problem: Problem) -> tuple[float, float] | None:
        """Return a lower bound that needs no potentials, and its rounding; None without one."""
        del problem
        return None

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

    def careful(self) -> PairwiseChecker[Any]:
        """Return the checker to ask where rounding counts."""
        return self

    def _has_many_pairs(self) -> bool:
        return math.prod(self.geometry.shape) >= _COMPILED_PAIRS


class RowsChecker(PairwiseChecker[Geometry]):
    """Compares all pairs, row by row: its minima are right to the last digit."""

    @staticmethod
    def transform(geometry: Geometry, f: FloatArray, n_jobs: int) -> FloatArray:
        """Return ``min_i c[i, j] - f[i]`` from the rows of the costs."""
        del n_jobs
        return Geometry.column_minimum(geometry, f)


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
        best, work = np.empty(m), np.empty(2 * (n + m) + len(arcs.mass))
        f, g = _plain(f), best if g is None else _plain(g)
        largest = math.inf if self.geometry.facts.has_forbidden else self.geometry.largest
        with np.errstate(all="ignore"):  # for where compilation is off
            return _dense_bounds()(cost, problem.a, problem.b, f, g, *arcs, largest, best, work)

    def column_minimum(self, f: FloatArray, n_jobs: int) -> FloatArray:
        """Return the c-transform of f, compiled for many pairs."""
        if not self._has_many_pairs():
            return super().column_minimum(f, n_jobs)
        from otdist.certificate.kernels.brackets import matrix_minimum

        best = np.empty(self.geometry.shape[1])
        matrix_minimum(self.geometry.cost, _plain(f), best)
        return best

    def add_up(self, start: int, block: FloatArray, columns: FloatArray, sums: FloatArray) -> bool:
        """Add up rows of a plan, compiled for many pairs."""
        if not self._has_many_pairs():
            return super().add_up(start, block, columns, sums)
        from otdist.certificate.kernels.brackets import matrix_sums

        costs = self.geometry.cost[start : start + len(block)]
        return bool(matrix_sums(block, costs, columns, sums))


class PointsChecker(PairwiseChecker[Points]):
    """Computes costs from coordinates in compiled passes."""

    transform = staticmethod(of_points)

    def add_up(self, start: int, block: FloatArray, columns: FloatArray, sums: FloatArray) -> bool:
        """Add up rows of a plan, compiled for many pairs and a metric known by name."""
        metric = named(self.geometry.metric)
        if metric is None or not self._has_many_pairs():
            return super().add_up(start, block, columns, sums)
        from otdist.certificate.kernels.points import point_sums

        norm, scratch = norm_of(metric.name), np.empty(_SUM_TILE)
        x, y = self._coordinates
        p = self.geometry.p
        return bool(point_sums(block, x, y, norm, p, start, scratch, columns, sums))

    @functools.cached_property
    def _coordinates(self) -> tuple[FloatArray, FloatArray]:
        x, y = self.geometry.x.T, self.geometry.y.T
        return np.ascontiguousarray(x), np.ascontiguousarray(y)


class PixelsChecker(PointsChecker):
    """Counts only what one image has more than the other, where the cost is a metric.

    Let S be the pixels with ``a > b``, T those with ``a < b``, f any numbers on S, and
    ``h(y) = min c(i, y) - f[i]`` over i in S. As the least of functions of slope 1 h has
    slope 1: ``h(y) - h(x) <= c(x, y)`` for all pixels, so the pair -h, h is feasible for
    all of them and proves ``sum (b - a) h``. That is no worse than the bound of f and its
    c-transform: on S ``-h >= f``, on T both are h, and elsewhere nothing is counted.
    So as many pairs as |S| times N have to be looked at, of N times N.
    """

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
        best = self.slope_one(problem, f, g, n_jobs)
        off = 0.0 if g is None else self.violation_of(f, g, best, n_jobs)
        return Pair(-best, best, off)

    def feasible_from_g(
        self, problem: Problem, f: FloatArray, g: FloatArray, n_jobs: int
    ) -> tuple[FloatArray, FloatArray]:
        """Return a function of slope 1, made on the larger set of pixels, and its negative."""
        g = self.slope_one(problem, f, g, n_jobs, turned=True)
        return -g, g

    def slope_one(
        self,
        problem: Problem,
        f: FloatArray,
        g: FloatArray | None,
        n_jobs: int,
        *,
        turned: bool = False,
    ) -> FloatArray:
        """Return h (N,); 0 where the images are equal.

        h is made of f on S. If g is given and T is the smaller set, it is minus the function
        made of g on T; with `turned` the larger set is taken.
        """
        more = np.flatnonzero(problem.a > problem.b)
        less = np.flatnonzero(problem.a < problem.b)
        if len(more) == 0 or len(less) == 0:
            return np.zeros(len(f))
        if g is None or (len(more) <= len(less)) != turned:
            return self._least(more, f[more], -f if g is None else g, n_jobs)
        return -self._least(less, g[less], f, n_jobs)

    def _least(
        self, sources: IntArray, potential: FloatArray, claimed: FloatArray, n_jobs: int
    ) -> FloatArray:
        """Return ``min_i c(i, y) - potential[i]`` for all pixels y, claimed or not."""
        pixels = self.geometry
        pairs = pixels.restrict(sources, np.arange(len(pixels.y)))
        if math.prod(pairs.shape) < _COMPILED_PIXELS:
            return pairs.column_minimum(potential)
        return minimum_near(pairs, norm_of(str(pixels.metric)), potential, claimed, n_jobs)

    def violation_of(self, f: FloatArray, g: FloatArray, h: FloatArray, n_jobs: int) -> float:
        """Return the largest ``f[i] + g[j] - c[i, j]``, 0 if none is positive.

        The largest excess of f over -h plus that of g over h is no less. All pairs are
        looked at only where this sum is more than rounding.
        """
        most = max(float(np.max(f + h)), 0.0) + max(float(np.max(g - h)), 0.0)
        size = self.geometry.largest + float(np.abs(h).max())
        if most <= 4 * _EPS * size:
            return most
        return max(float(np.max(g - self.column_minimum(f, n_jobs))), 0.0)

    def transform_error(self, problem: Problem, f: FloatArray, g: FloatArray) -> float:
        """Return the rounding of a function of slope 1 where the mass that moves begins and ends.

        Two of its values are compared, each a cost minus a potential of the sources.
        """
        size = 2 * float(np.abs(g).max()) + 2 * float(np.abs(f).max())
        moved = float(np.maximum(problem.a - problem.b, 0.0).sum())
        return 4 * _EPS * (1 + self.geometry.facts.roundings) * size * moved


class SortedChecker(PairwiseChecker[G_co]):
    """Sweeps over sorted numbers; compiled passes round down by themselves."""

    #: Numbers from which on the pass is compiled.
    compiled_from = 0

    def column_error(self, f: FloatArray, g: FloatArray) -> float:
        """Return by how much the minimum of a column may be missed, where NumPy looks for it.

        The place found for a column limits the search in others, and it may miss the least slack
        by its rounding; the error grows with each level of the halving. For p = 1 sums of
        coordinates and potentials are compared.
        """
        if sum(self.geometry.shape) >= self.compiled_from:
            return 0.0
        size = float(np.abs(f).max() + np.abs(g).max()) + self._apart()
        levels = 2 + len(g).bit_length()
        return 4 * levels * (1 + self.geometry.facts.roundings) * _EPS * size

    def careful(self) -> PairwiseChecker[Any]:
        """Return a checker that looks at all pairs, unless there are too many."""
        return _by_rows(self)

    def _apart(self) -> float:
        return 0.0


class LineChecker(SortedChecker[Line]):
    """Sweeps over sorted numbers."""

    transform = staticmethod(of_line)
    compiled_from = _COMPILED_LINE

    def _apart(self) -> float:
        """Return the size of the sums that are compared for p = 1."""
        return self.geometry.largest if self.geometry.p == 1 else 0.0

    def known_bound(self, problem: Problem) -> tuple[float, float] | None:
        """Return the area between the distribution functions, which is W1, rounded down.

        The potential with slope 1 where the one function is larger, and -1 elsewhere, proves it.
        """
        line = self.geometry
        if line.p != 1:
            return None
        points = np.concatenate([line.x[line.by_x], line.y[line.by_y]])
        order = np.argsort(points, kind="stable")
        points = points[order]
        change = np.concatenate([problem.a[line.by_x], -problem.b[line.by_y]])[order]
        apart, error = _running_sums(change, problem.mass)
        # b stands for weights of the same sum as a.
        error += 2 * abs(float(apart[-1]))
        gaps = np.diff(points)
        terms = np.abs(apart[:-1]) * gaps
        area = float(np.sum(terms, dtype=np.longdouble))
        rounding = 16 * _EPS * area + error * float(points[-1] - points[0])
        return area - rounding, rounding


class CircleChecker(SortedChecker[Circle]):
    """Sweeps over sorted positions."""

    transform = staticmethod(of_circle)
    compiled_from = _COMPILED_CIRCLE


class GridChecker(PairwiseChecker[Grid]):
    """Goes through one axis after the other."""

    transform = staticmethod(of_grid)
    slope = staticmethod(edge_slopes.on_grid)

    def column_error(self, f: FloatArray, g: FloatArray) -> float:
        """Return the rounding of all steps: each axis adds its cost to the sums of those before.

        These sums are between -f and g.
        """
        size = float(np.abs(f).max() + np.abs(g).max())
        return 2 * len(self.geometry.axes) * _EPS * size

    def careful(self) -> PairwiseChecker[Any]:
        """Return a checker that looks at all pairs, unless there are too many."""
        return _by_rows(self)


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


def _by_rows(checker: PairwiseChecker[Any]) -> PairwiseChecker[Any]:
    is_small = math.prod(checker.geometry.shape) <= _LOOKED_AT
    return RowsChecker(checker.geometry) if is_small else checker


def _running_sums(values: FloatArray, total: float) -> tuple[FloatArray, float]:
    """Return running sums, and how far they may be off beyond their last digit.

    Multiples of 2**-52 of the total add up exactly; what is left is small.
    """
    shift = math.ldexp(1.5, math.frexp(2 * total)[1])
    high = (values + shift) - shift
    low = values - high
    sums = np.cumsum(high) + np.cumsum(low)
    return sums, (len(values) ** 2 * 2.0**-105 * total if low.any() else 0.0)


def _plain(potential: FloatArray) -> FloatArray:
    """Return an array as kernels are compiled for: others would compile them anew."""
    return potential if potential.flags.carray else potential.copy()


@functools.cache
def _dense_bounds() -> Callable[..., AtOnce]:
    """Return the compiled pass; to import it in every call takes time."""
    from otdist.certificate.kernels.brackets import dense_bounds

    kernel: Callable[..., AtOnce] = dense_bounds
    return kernel
