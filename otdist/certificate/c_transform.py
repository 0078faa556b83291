"""The c-transform, as certificates compute it: compiled where there are many pairs.

Nothing here comes from a solver or its kernels. Each compiled pass has a NumPy twin,
the method of the geometry, that tests compare it with.
"""

from __future__ import annotations

import numpy as np

from otdist.geometry.circle import Circle
from otdist.geometry.grid_separable import Grid
from otdist.geometry.line import Line
from otdist.geometry.outside import Extended
from otdist.geometry.points import Points
from otdist.geometry.protocol import Geometry
from otdist.typing import FloatArray

# Sizes at which a compiled pass takes over: NumPy is as fast on fewer points.
_COMPILED_LINE = 20_000
_COMPILED_CIRCLE = 1_000
COMPILED_PAIRS = 1 << 20
# Coordinates from which on a product of matrices screens the pairs of points.
_SCREENED_FROM = 24
# Columns that are screened at a time.
_LINES = 512
# Columns whose minima are found together.
_TILE = 256
# The same where few pairs count.
_SMALL_TILE = 128
# How the compiled passes call the metrics.
NORMS = {"euclidean": 2, "sqeuclidean": 4, "cityblock": 1, "chebyshev": 0}


def column_minimum(geometry: Geometry, f: FloatArray, n_jobs: int) -> FloatArray:
    """Return the c-transform of f; compiled for many points."""
    n, m = geometry.shape
    if isinstance(geometry, Extended):
        inner = column_minimum(geometry.base, f[:-1], n_jobs)
        return geometry.with_outside(inner, f)
    if isinstance(geometry, Line) and n + m >= _COMPILED_LINE:
        return _line_minimum(geometry, f)
    if isinstance(geometry, Circle) and n + m >= _COMPILED_CIRCLE:
        return _circle_minimum(geometry, f)
    if isinstance(geometry, Points) and n * m >= COMPILED_PAIRS:
        metric = geometry.metric
        if isinstance(metric, str):
            return points_minimum(geometry, NORMS[metric], f, n_jobs)
    if isinstance(geometry, Grid) and n * max(geometry.sides) >= COMPILED_PAIRS:
        return _grid_minimum(geometry, f)
    return geometry.column_minimum(f)


def _grid_minimum(grid: Grid, f: FloatArray) -> FloatArray:
    from otdist.certificate.kernels.grid import smallest_sums

    def step(lines: FloatArray, k: int) -> FloatArray:
        least = np.empty(lines.shape)
        smallest_sums(lines, grid.axis_cost(k), least)
        return least

    return grid.along_axes(-f, step)


def _line_minimum(line: Line, f: FloatArray) -> FloatArray:
    from otdist.certificate.kernels.one_problem import line_minimum

    x, y = line.x[line.by_x], line.y[line.by_y]
    ordered, best = np.empty((2, len(y)))
    line_minimum(x, f[line.by_x], y, line.p, np.empty(len(y), np.int64), ordered)
    best[line.by_y] = ordered
    return best


def _circle_minimum(circle: Circle, f: FloatArray) -> FloatArray:
    from otdist.certificate.kernels.line_and_circle import circle_minimum

    x, y = circle.x[circle.by_x], circle.y[circle.by_y]
    ordered, best = np.empty((2, len(y)))
    where = np.empty(len(y), np.int64)
    circle_minimum(x, f[circle.by_x], y, circle.period, circle.p, where, ordered)
    best[circle.by_y] = ordered
    return best


def points_minimum(points: Points, norm: int, f: FloatArray, n_jobs: int) -> FloatArray:
    """Sweep over all pairs, in ranges of columns that threads share."""
    if points.x.shape[1] >= _SCREENED_FROM and norm in (2, 4):
        screened = _screened_minimum(points, norm, f)
        if screened is not None:
            return screened
    best = np.full(len(points.y), np.inf)
    _lower(points, norm, f, n_jobs, _TILE, best)
    return best


def minimum_near(
    points: Points, norm: int, f: FloatArray, claimed: FloatArray, n_jobs: int
) -> FloatArray:
    """Do the same, sooner where the claimed minima are right, whatever they are.

    From a little above the claims only pairs that are below count. Minima that were
    not found so are larger, and are found as others are.
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
    from concurrent.futures import ThreadPoolExecutor

    from otdist.certificate.kernels import one_problem as certificate

    x, y = np.ascontiguousarray(points.x.T), np.ascontiguousarray(points.y.T)
    # Some 50 ms at a time, so that Ctrl-C is heard.
    length = max(1024, (1 << 26) // len(f))

    def sweep(start: int) -> None:
        part, room = best[start : start + length], np.empty(tile)
        certificate.points_minimum(x, f, y, norm, points.p, start, room, part)

    starts = range(0, len(best), length)
    if len(starts) == 1:
        sweep(0)
        return
    with ThreadPoolExecutor(n_jobs) as pool:
        list(pool.map(sweep, starts))


def row_minimum(geometry: Geometry, g: FloatArray, n_jobs: int) -> FloatArray:
    """Return the c-transform of g, ``f[i] = min_j c[i, j] - g[j]``."""
    if isinstance(geometry, Circle):
        around = Circle.of(geometry.y, geometry.x, geometry.period, geometry.p)
        return column_minimum(around, g, n_jobs)
    if isinstance(geometry, Extended):
        inner = row_minimum(geometry.base, g[:-1], n_jobs)
        return geometry.with_outside(inner, g)
    if isinstance(geometry, Points):
        x, y = geometry.y, geometry.x
        turned = Points(x, y, geometry.metric, geometry.p, geometry.largest)
        return column_minimum(turned, g, n_jobs)
    if isinstance(geometry, Grid):
        return column_minimum(geometry, g, n_jobs)
    return geometry.row_minimum(g)


def _screened_minimum(points: Points, norm: int, f: FloatArray) -> FloatArray | None:
    """Do the same for many coordinates: single precision finds the pairs to look at.

    ``|x|² + |y|² - 2 x y`` is off by no more than a known part of its terms (Higham,
    *Accuracy and Stability of Numerical Algorithms*, 2002, 3.1). Pairs that this part
    cannot rule out, and pairs that are close beside their terms, are computed from
    differences of coordinates in double precision. None where that part is too large, or
    single precision could overflow.
    """
    from otdist.certificate.kernels.one_problem import screened_minimum

    d = points.x.shape[1]
    # Of a square that is not close: products of d terms, sums and rounded coordinates.
    part = 20 * (d + 16) * 2.0**-24
    power = points.p if norm == 4 else points.p / 2
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
    for start in range(0, len(y), _LINES):
        lines = slice(start, start + _LINES)
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
