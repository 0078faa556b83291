"""How steep a function is, beside a metric of which neighbours tell everything.

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

import numpy as np

from otdist.errors import InputError
from otdist.geometry.graph import Graph
from otdist.geometry.grid_metric import Pixels
from otdist.geometry.grid_separable import Grid
from otdist.geometry.protocol import Geometry
from otdist.plans.plans import Flow
from otdist.problem.problem import Problem
from otdist.typing import FloatArray, IntArray

# Steps of the plane are tried up to this length, and while they help.
_LONGEST_STEP = 32
_PATIENCE = 3
# A function steeper than the metric by no more than this is scaled down to it.
STEEP = 1 + 1e-9


def slope_to_trust(problem: Problem, f: FloatArray, *, is_flow: bool) -> float | None:
    """Return how steep f is, if f and -f, less by that factor, are to be the bound.

    Pixels are looked at for flows only: for other plans transforms bound more tightly.
    """
    is_pixels = isinstance(problem.geometry, Pixels)
    if not problem.is_metric or (is_pixels and not is_flow):
        return None
    slope = steepness(problem.geometry, f)
    return slope if slope <= STEEP or is_pixels else None


def roundings(geometry: Geometry) -> int:
    """Return how often a cost may be rounded: on a graph it sums the edges of a path."""
    return geometry.n_nodes if isinstance(geometry, Graph) else 1


def steepness(geometry: Geometry, f: FloatArray) -> float:
    """Return a bound on ``|f(x) - f(y)| / d(x, y)``; inf where none is known.

    O(edges) time, for pixels O(N) for each direction that is looked at.
    """
    if not np.isfinite(f).all():
        return math.inf
    if isinstance(geometry, Graph):
        return _on_graph(geometry, f) if geometry.is_whole else math.inf
    if isinstance(geometry, Grid) and (geometry.metric, geometry.p) == ("cityblock", 1):
        return _along_axes(geometry.axes, f)
    if isinstance(geometry, Pixels) and geometry.metric == "chebyshev":
        return _of_king(geometry.axes, f)
    if isinstance(geometry, Pixels) and geometry.metric == "euclidean":
        return _in_plane(geometry.axes, f) if len(geometry.axes) == 2 else math.inf
    return math.inf


def _on_graph(graph: Graph, f: FloatArray) -> float:
    tails, heads, lengths = graph.edges()
    return _steepest(f[tails] - f[heads], lengths)


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


def flow_sums(problem: Problem, flow: Flow) -> tuple[FloatArray, FloatArray]:
    """Return what a flow's divergence has beyond a - b (N,), and its edges' lengths.

    Divergences are sums of whole numbers. Lengths are distances of the problem, whatever
    the flow's maker took them for.
    """
    _require_flow(problem, flow)
    out: IntArray = np.zeros(flow.n_nodes, np.int64)
    np.add.at(out, flow.tails, flow.units)
    np.subtract.at(out, flow.heads, flow.units)
    off = out * flow.unit - (problem.a - problem.b)
    return off, _lengths(problem.geometry, flow)


def _require_flow(problem: Problem, flow: Flow) -> None:
    """Raise for what is no flow, or where a flow is no plan."""
    geometry = problem.geometry
    has_nodes = isinstance(geometry, Grid | Pixels)
    has_nodes = has_nodes or (isinstance(geometry, Graph) and geometry.is_whole)
    if not (problem.is_metric and has_nodes):
        raise InputError(
            "plan is a Flow, which costs what a coupling does on graphs and grids with a"
            " metric and p=1 only; pass a coupling"
        )
    ends = np.concatenate([flow.tails, flow.heads])
    if not ((ends >= 0) & (ends < flow.n_nodes)).all() or (flow.units < 0).any():
        raise InputError("plan is a Flow with negative amounts, or nodes that are none")
    through = np.bincount(ends, np.tile(flow.units, 2), flow.n_nodes)
    if through.max() >= 2.0**63:
        raise InputError("plan is a Flow with more units at a node than 64 bits hold")


def _lengths(geometry: Geometry, flow: Flow) -> FloatArray:
    """Return the distances from tails to heads; on a graph those of the edges."""
    if not isinstance(geometry, Graph):
        return geometry.pairs(flow.tails, flow.heads)
    matrix, n = geometry.lengths, geometry.n_nodes
    starts = np.repeat(np.arange(n), np.diff(matrix.indptr))
    stored = starts * n + matrix.indices
    wanted = flow.tails * n + flow.heads
    place = np.minimum(np.searchsorted(stored, wanted), max(len(stored) - 1, 0))
    lengths = np.full(len(wanted), np.inf)
    if len(stored):
        is_edge = stored[place] == wanted
        lengths[is_edge] = matrix.data[place][is_edge]
    missing = np.flatnonzero(np.isinf(lengths))
    if len(missing):
        lengths[missing] = geometry.pairs(flow.tails[missing], flow.heads[missing])
    return lengths
