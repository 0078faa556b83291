"""Lipschitz constants of potentials, checked along the edges of a graph or grid.

A function that changes between neighbours by no more than their distance is 1-Lipschitz
where the shortest paths go from neighbour to neighbour: then f and -f are feasible
potentials, by a look at each edge. So it is on graphs, and on grids with the L1 and L∞
metrics. In the Euclidean plane coprime steps nearly do: a path of steps is longer than the
straight line by no more than their `detour`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from otdist.geometry.lattice import coprime_offsets, detour, king_offsets
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
    values, worst = f.reshape(grid.sides), 0.0
    for k, axis in enumerate(grid.axes):
        change = np.moveaxis(np.diff(values, axis=k), k, -1)
        worst = max(worst, _steepest(change, np.diff(axis)))
    return worst


def on_pixels(pixels: Pixels, f: FloatArray) -> float:
    """Return a bound on the slope of f; O(N) time for each direction that is looked at."""
    values = f.reshape([len(axis) for axis in pixels.axes])
    if pixels.metric == "chebyshev" and pixels.step is not None:
        changes = (_changes(values, offset) for offset in king_offsets(len(pixels.axes)))
        return max(_steepest(change, pixels.step) for change in changes)
    if pixels.metric == "euclidean" and len(pixels.axes) == 2:
        height, width = pixels.spacing
        return _in_plane(values, height, width)
    return math.inf


def _in_plane(values: FloatArray, height: float, width: float) -> float:
    """Return the least bound that steps up to some length prove."""
    best, worst, last_better = math.inf, 0.0, 0
    for reach in range(1, _LONGEST_STEP + 1):
        for i, j in coprime_offsets(reach):
            if max(abs(i), abs(j)) == reach:
                length = math.hypot(i * height, j * width)
                worst = max(worst, _steepest(_changes(values, (i, j)), length))
        bound = worst * detour(reach, (height, width))
        if bound < best * (1 - 1e-12):
            best, last_better = bound, reach
        if worst >= best or reach - last_better >= _PATIENCE:
            break
    return best


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
