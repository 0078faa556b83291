"""Lipschitz constants of potentials, checked along the edges of a graph or grid.

A function that changes between neighbours by no more than their distance is 1-Lipschitz
where the shortest paths go from neighbour to neighbour: then f and -f are feasible
potentials, by a look at each edge. So it is on graphs, and on grids with the L1 and L∞
metrics. In the Euclidean plane straight steps to neighbours i, j with gcd(i, j) = 1 and
|i|, |j| <= L nearly do: between two directions a path of steps along both is longer than
the straight line, by no more than ``1 / cos(half their angle)``.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

import numpy as np

from otdist.typing import FloatArray, IntArray

if TYPE_CHECKING:
    from otdist.geometry.graph import Graph
    from otdist.geometry.grid_metric import Pixels
    from otdist.geometry.grid_separable import Grid

# Steps of the plane are tried up to this length, and while they help.
_LONGEST_STEP = 32
_PATIENCE = 3
# A function steeper than the metric by no more than this is scaled down to it.
STEEP = 1 + 1e-9


def on_graph(graph: Graph, f: FloatArray) -> float:
    """Return the slope of f over the edges of a graph; inf where f is not on all nodes."""
    if not graph.is_whole:
        return math.inf
    tails, heads, lengths = graph.edges()
    return _steepest(f[tails] - f[heads], lengths)


def on_grid(grid: Grid, f: FloatArray) -> float:
    """Return the slope of f along the axes; inf where paths along them do not tell."""
    if (grid.metric, grid.p) != ("cityblock", 1):
        return math.inf
    return _along_axes(grid.axes, f)


def on_pixels(pixels: Pixels, f: FloatArray) -> float:
    """Return a bound on the slope of f; O(N) time for each direction that is looked at."""
    if pixels.metric == "chebyshev":
        return _of_king(pixels.axes, f)
    if pixels.metric == "euclidean" and len(pixels.axes) == 2:
        return _in_plane(pixels.axes, f)
    return math.inf


def _along_axes(axes: tuple[FloatArray, ...], f: FloatArray) -> float:
    values, worst = f.reshape([len(axis) for axis in axes]), 0.0
    for k, axis in enumerate(axes):
        change = np.moveaxis(np.diff(values, axis=k), k, -1)
        worst = max(worst, _steepest(change, np.diff(axis)))
    return worst


def _of_king(axes: tuple[FloatArray, ...], f: FloatArray) -> float:
    """Look at all 3**d - 1 neighbours; their steps must be of one length."""
    steps = [step for axis in axes for step in axis[1:2] - axis[0]]
    if not steps:
        return 0.0
    if min(steps) != max(steps):
        return math.inf
    values, worst = f.reshape([len(axis) for axis in axes]), 0.0
    for offset in itertools.product((-1, 0, 1), repeat=len(axes)):
        if offset > (0,) * len(axes):
            worst = max(worst, _steepest(_changes(values, offset), steps[0]))
    return worst


def _in_plane(axes: tuple[FloatArray, ...], f: FloatArray) -> float:
    """Return the least bound that steps up to some length prove."""
    values = f.reshape([len(axis) for axis in axes])
    step = [float(axis[1] - axis[0]) if len(axis) > 1 else 1.0 for axis in axes]
    best, worst, last_better, angles = math.inf, 0.0, 0, [0.0, math.pi / 2]
    for reach in range(1, _LONGEST_STEP + 1):
        for i, j in _directions(reach):
            angles.append(math.atan2(j * step[1], i * step[0]))
            length = math.hypot(i * step[0], j * step[1])
            for offset in {(i, j), (i, -j)}:
                worst = max(worst, _steepest(_changes(values, offset), length))
        # A path of steps beside the straight line, at worst between two directions.
        widest = float(np.diff(np.sort(angles)).max())
        bound = worst / math.cos(widest / 2)
        if bound < best * (1 - 1e-12):
            best, last_better = bound, reach
        if worst >= best or reach - last_better >= _PATIENCE:
            break
    return best


def _directions(reach: int) -> list[tuple[int, int]]:
    """Return the steps i, j >= 0 without a common divisor whose larger one is reach."""
    if reach == 1:
        return [(1, 0), (0, 1), (1, 1)]
    sides = [i for i in range(1, reach) if math.gcd(i, reach) == 1]
    return [(i, reach) for i in sides] + [(reach, i) for i in sides]


def _changes(values: FloatArray, offset: tuple[int, ...]) -> FloatArray:
    """Return ``values[p + offset] - values[p]`` for all places p that have both."""
    there = tuple(slice(max(o, 0), min(o, 0) or None) for o in offset)
    here = tuple(slice(max(-o, 0), min(-o, 0) or None) for o in offset)
    return np.asarray(values[there] - values[here])


def _steepest(change: FloatArray, length: FloatArray | float) -> float:
    """Return the largest ``|change| / length``; no change over no length is no slope."""
    if not change.size:
        return 0.0
    change = np.abs(change)
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = change / length
    return float(np.where(change > 0, slope, 0.0).max())


def lengths(graph: Graph, tails: IntArray, heads: IntArray) -> FloatArray:
    """Return the lengths of edges (k,); distances for pairs that no edge joins."""
    matrix, n = graph.lengths, graph.n_nodes
    starts = np.repeat(np.arange(n), np.diff(matrix.indptr))
    stored = starts * n + matrix.indices
    wanted = tails * n + heads
    place = np.minimum(np.searchsorted(stored, wanted), max(len(stored) - 1, 0))
    found = np.full(len(wanted), np.inf)
    if len(stored):
        is_edge = stored[place] == wanted
        found[is_edge] = matrix.data[place][is_edge]
    missing = np.flatnonzero(np.isinf(found))
    if len(missing):
        found[missing] = graph.pairs(tails[missing], heads[missing])
    return found
