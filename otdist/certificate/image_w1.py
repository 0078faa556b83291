"""The lower bound of W1 on pixels: only what one image has more than the other counts.

Let S be the pixels with ``a > b``, T those with ``a < b``, f any numbers on S, and
``h(y) = min c(i, y) - f[i]`` over i in S. As the least of functions of slope 1 h has
slope 1: ``h(y) - h(x) <= c(x, y)`` for all pixels, so the pair -h, h is feasible for
all of them and proves ``sum (b - a) h``. That is no worse than the bound of f and its
c-transform: on S ``-h >= f``, on T both are h, and elsewhere nothing is counted.
So as many pairs as |S| times N have to be looked at, of N times N.

Used by the certificate only, and shares nothing with any solver.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np

from otdist.certificate.c_transform import minimum_near, norm_of, of_points
from otdist.typing import FloatArray, IntArray

if TYPE_CHECKING:
    from otdist.geometry.grid_metric import Pixels
    from otdist.problem.problem import Problem

# The solver of pixels has loaded the compiler: a compiled pass pays from here on.
_COMPILED_PAIRS = 1 << 14
_EPS = float(np.finfo(float).eps)


def slope_one(
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
    grid = cast("Pixels", problem.geometry)
    more = np.flatnonzero(problem.a > problem.b)
    less = np.flatnonzero(problem.a < problem.b)
    if len(more) == 0 or len(less) == 0:
        return np.zeros(len(f))
    if g is None or (len(more) <= len(less)) != turned:
        claimed = -f if g is None else g
        return _least(grid, more, f[more], claimed, n_jobs)
    return -_least(grid, less, g[less], f, n_jobs)


def _least(
    grid: Pixels,
    sources: IntArray,
    potential: FloatArray,
    claimed: FloatArray,
    n_jobs: int,
) -> FloatArray:
    """Return ``min_i c(i, y) - potential[i]`` for all pixels y, claimed or not."""
    pairs = grid.restrict(sources, np.arange(len(grid.y)))
    if len(sources) * len(grid.y) < _COMPILED_PAIRS:
        return pairs.column_minimum(potential)
    return minimum_near(pairs, norm_of(str(grid.metric)), potential, claimed, n_jobs)


def violation_of(
    problem: Problem, f: FloatArray, g: FloatArray, h: FloatArray, n_jobs: int
) -> float:
    """Return the largest ``f[i] + g[j] - c[i, j]``, 0 if none is positive.

    The largest excess of f over -h plus that of g over h is no less. All pairs are looked
    at only where this sum is more than rounding.
    """
    most = max(float(np.max(f + h)), 0.0) + max(float(np.max(g - h)), 0.0)
    size = problem.geometry.largest + float(np.abs(h).max())
    if most <= 4 * _EPS * size:
        return most
    best = of_points(cast("Pixels", problem.geometry), f, n_jobs)
    return max(float(np.max(g - best)), 0.0)
