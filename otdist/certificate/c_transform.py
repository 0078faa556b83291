"""Compiled c-transforms, for many points: the certificate's own.

Nothing here comes from a solver or its kernels. Below a size the methods of
the geometry take over, in NumPy; tests compare both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from otdist.geometry.metrics import code_of, named
from otdist.typing import FloatArray

if TYPE_CHECKING:
    from otdist.geometry.circle import Circle
    from otdist.geometry.grid_separable import Grid
    from otdist.geometry.line import Line
    from otdist.geometry.points import Points

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
# Columns whose minima are found together where few pairs count.
_SMALL_TILE = 128
# Norms whose squares a product of matrices has: Euclidean distances and their squares.
_EUCLIDEAN, _SQUARED = 2, 4


def norm_of(metric: str) -> int:
    """Return the code of a metric; `InputError` if the compiled passes do not compute it."""
    from otdist.certificate.kernels.points import METRIC_CODES

    return code_of(metric, METRIC_CODES, "the kernels of the certificate")


def of_points(points: Points, f: FloatArray, n_jobs: int) -> FloatArray:
    """Return ``min_i c[i, j] - f[i]`` of points."""
    metric, (n, m) = named(points.metric), points.shape
    if metric is None or n * m < COMPILED_PAIRS:
        return points.column_minimum(f)
    return points_minimum(points, norm_of(metric.name), f, n_jobs)


def of_grid(grid: Grid, f: FloatArray, n_jobs: int = 1) -> FloatArray:
    """Return ``min_i c[i, j] - f[i]`` of pixels, one axis after the other."""
    del n_jobs
    if grid.shape[0] * max(grid.sides) < COMPILED_PAIRS:
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
    from otdist.certificate.kernels.line_and_circle import sorted_minimum

    x, y = line.x[line.by_x], line.y[line.by_y]
    ordered, best = np.empty((2, len(y)))
    where = np.empty(len(y), np.int64)
    sorted_minimum(x, f[line.by_x], y, 0.0, line.p, where, ordered)
    best[line.by_y] = ordered
    return best


def of_circle(circle: Circle, f: FloatArray, n_jobs: int = 1) -> FloatArray:
    """Return ``min_i arc(x[i], y[j]) ** p - f[i]``."""
    del n_jobs
    if sum(circle.shape) < _COMPILED_CIRCLE:
        return circle.column_minimum(f)
    from otdist.certificate.kernels.line_and_circle import sorted_minimum

    x, y = circle.x[circle.by_x], circle.y[circle.by_y]
    ordered, best = np.empty((2, len(y)))
    where = np.empty(len(y), np.int64)
    sorted_minimum(x, f[circle.by_x], y, circle.period, circle.p, where, ordered)
    best[circle.by_y] = ordered
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
    from concurrent.futures import ThreadPoolExecutor

    from otdist.certificate.kernels import points as certificate

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
