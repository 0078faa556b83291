"""Initial potentials of W1 on pixels, from pooled images.

Blocks of two pixels along every axis are pooled repeatedly into one at their centre. Positive
and negative excess within a block cancel, since mass that moves within it costs next to
nothing: half of the blocks are sources, and half are sinks. The potential of a pooled image is
extended to the next finer image as the steepest function of slope 1 (Gottschlich and
Schuhmacher, *PLoS ONE* 9, 2014, on pooled starts; Schmitzer, *SIAM J. Sci. Comput.* 38, 2016).
"""

from __future__ import annotations

import threading
from typing import NamedTuple, cast

import numpy as np

from otdist.compiled.costs import fill_rows, least_slacks
from otdist.geometry.grid_metric import Pixels, pixels_of
from otdist.geometry.points import Points
from otdist.plans.integer_masses import quantise
from otdist.plans.plans import Arcs
from otdist.problem.result import Candidate
from otdist.solvers.coarsen import order_of
from otdist.solvers.network_simplex.column_generation import nearest, search_candidates
from otdist.solvers.network_simplex.search import optimise, solve_from
from otdist.solvers.registry import Options
from otdist.typing import FloatArray, IntArray

# Pairs up to which all arcs are priced.
_SMALL = 1 << 18
# Pairs up to which a c-transform does not look for tiles to skip.
_ALL_PAIRS = 1 << 21
# Blocks of the coarsest image, at most.
_COARSEST = 64
# Margin of artificial arcs as a part of the largest cost: without a start, and from a pooled
# image where all arcs are priced; the factor by which a margin that is too small grows.
_COLD, _MARGIN, _GROWTH = 2.0, 0.1, 4.0
# Margin for many arcs, in pixels: larger margins cost up to twice the pivots.
_PIXELS = 0.5
# Excess below this part of the moving mass is rounding of sums.
_ROUNDING = 1e-13

_threads = threading.local()


class Sources(NamedTuple):
    """Points (n, d) with potentials f, which define the potential at other points."""

    points: FloatArray
    f: FloatArray


class Start(NamedTuple):
    """Potentials g of the columns, and the margin of artificial arcs above them."""

    g: FloatArray
    margin: float


def start(grid: Pixels, net: FloatArray, part: Points, options: Options) -> Start:
    """Return the start for some of the pixels, from all pooled images.

    `net` (N,) holds the excess of each pixel.
    """
    found = None
    for axes, masses in _pooled_images(grid.axes, net):
        least = _ROUNDING * float(np.abs(masses).sum())
        rows, columns = np.flatnonzero(masses > least), np.flatnonzero(masses < -least)
        if len(rows) > 0 and len(columns) > 0:
            found = _solved(grid, axes, masses, rows, columns, found, options)
    return _start_from(found, grid.axes, part)


def _solved(
    grid: Pixels,
    axes: tuple[FloatArray, ...],
    masses: FloatArray,
    rows: IntArray,
    columns: IntArray,
    coarser: Sources | None,
    options: Options,
) -> Sources:
    """Solve on the blocks of a pooled image, from a coarser one."""
    points = pixels_of(axes)
    if len(rows) * len(columns) > _SMALL:
        rows = rows[order_of(points[rows])]
        columns = columns[order_of(points[columns])]
    part = Points(points[rows], points[columns], grid.metric, 1.0, grid.largest)
    a, b = masses[rows], -masses[columns]
    begun = _start_from(coarser, axes, part)
    solution = solve_small(part, a, b, begun, options.max_iter)
    if solution is not None:
        return Sources(part.x, solution.f)
    search = search_candidates(part, quantise(a, b), begun.g, options.n_jobs)
    optimise(search, begun.margin, options)
    return Sources(part.x, search.basis.potential[: len(rows)].copy())


def _start_from(coarser: Sources | None, axes: tuple[FloatArray, ...], part: Points) -> Start:
    n, m = part.shape
    if coarser is None:
        return Start(np.zeros(m), _COLD * (part.largest or 1.0))
    margin = _MARGIN * part.largest
    if n * m > _SMALL:
        margin = _PIXELS * min(_steps(axes))
    g = least_from(coarser, part.y, part)
    return Start(np.asarray(g - g.mean()), margin)


def least_from(sources: Sources, points: FloatArray, like: Points, n_jobs: int = 1) -> FloatArray:
    """Return ``min_i c(sources[i], point) - f[i]`` for every point (m, d)."""
    pairs = Points(sources.points, points, like.metric, like.p, like.largest)
    n, m = pairs.shape
    if n * m > _ALL_PAIRS:
        order = order_of(sources.points)
        pairs = Points(sources.points[order], points, like.metric, like.p, like.largest)
        g, _ = nearest(pairs.costs(), sources.f[order], 0, 1.0, n_jobs, by_column=True)
        return g
    least = np.empty(m)
    least_slacks(pairs.costs(), sources.f, np.empty(n), least)
    return least


def solve_small(
    part: Points, a: FloatArray, b: FloatArray, begun: Start, max_pivots: int
) -> Candidate | None:
    """Solve on all arcs; return None where there are too many, or a limit was met."""
    n, m = part.shape
    if n * m > _SMALL:
        return None
    order = _shuffled(n)
    part = Points(part.x[order], part.y, part.metric, part.p, part.largest)
    potentials = np.empty(n + m)
    potentials[n:] = begun.g
    cost = _matrix_room(n, m)
    fill_rows(part.costs(), 0, np.zeros(m), cost)
    found = solve_from(
        cost,
        a[order],
        b,
        float(a.sum()),
        part.largest or 1.0,
        potentials,
        begun.margin,
        _GROWTH,
        max_pivots,
    )
    if found is None:
        return None
    f = np.empty(n)
    f[order] = found.f
    rows, columns, mass = cast("Arcs", found.plan)
    plan = Arcs(order[rows], columns, mass)
    return found._replace(plan=plan, f=f)


def _matrix_room(n: int, m: int) -> FloatArray:
    """Return an uninitialised matrix in memory that this thread uses again.

    The process gets new pages more slowly than it computes all costs.
    """
    room: FloatArray | None = getattr(_threads, "room", None)
    if room is None:
        room = _threads.room = np.empty(_SMALL)
    return room[: n * m].reshape(n, m)


def _shuffled(n: int) -> IntArray:
    """Return 0 … n - 1 in an order in which neighbours are far apart.

    Neighbours compete for the same sinks: priced together they take up to twice the pivots.
    """
    return np.argsort(np.arange(n) * 0.6180339887498949 % 1.0)


def _pooled_images(
    axes: tuple[FloatArray, ...], net: FloatArray
) -> list[tuple[tuple[FloatArray, ...], FloatArray]]:
    """Return centres along the axes and masses of pooled images, coarsest first.

    An axis is pooled only while its steps are short compared with the others, so that blocks
    of flat pixels become cubes.
    """
    images = []
    masses = net.reshape([len(axis) for axis in axes])
    while masses.size > _COARSEST:
        steps = _steps(axes)
        for k, step in enumerate(steps):
            if step < 2 * min(steps):
                axes = (*axes[:k], _centres(axes[k]), *axes[k + 1 :])
                starts = np.arange(0, masses.shape[k], 2)
                masses = np.add.reduceat(masses, starts, axis=k)
        images.append((axes, masses.ravel()))
    return images[::-1]


def _steps(axes: tuple[FloatArray, ...]) -> list[float]:
    """Return the distance of neighbours along each axis; inf for a single pixel."""
    return [float(axis[1] - axis[0]) if len(axis) > 1 else np.inf for axis in axes]


def _centres(axis: FloatArray) -> FloatArray:
    """Return the centres of pairs of neighbours; the last pixel may have none."""
    left, right = axis[::2], axis[1::2]
    centres = left.copy()
    centres[: len(right)] += 0.5 * (right - left[: len(right)])
    return centres
