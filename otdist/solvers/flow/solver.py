"""Transport by a flow on edges, where distances are lengths of paths.

They are by definition on a graph; on a grid with the L1 metric paths take steps along the
axes, with the L∞ metric a king's steps in chess. W1 is then the least cost of a flow with
divergence a - b (Beckmann, 1952; Ling and Okada, 2007, for L1 on grids): O(N) edges instead of
N² pairs.
"""

from __future__ import annotations

from otdist.geometry.graph import Graph
from otdist.geometry.grid_metric import Pixels
from otdist.geometry.grid_separable import Grid
from otdist.problem.problem import Problem
from otdist.problem.result import Candidate
from otdist.solvers.flow import coarsen as start
from otdist.solvers.flow.lattice import king_offsets, lattice, unit_offsets
from otdist.solvers.flow.network import network_of
from otdist.solvers.flow.simplex import Limits, answer
from otdist.solvers.registry import Options
from otdist.typing import FloatArray, IntArray


def run(problem: Problem, options: Options) -> Candidate:
    """Solve exactly; O(N + edges) memory."""
    geometry = problem.geometry
    component = geometry.component if isinstance(geometry, Graph) else None
    network, scale = network_of(problem, _edges(problem), component)
    limits = Limits(options.max_iter, options.deadline, options.report)
    tree = start.solve(network, limits)
    flow, f = answer(network, tree, scale)
    return Candidate(flow, f, -f, tree.n_pivots, tree.finished)


def _edges(problem: Problem) -> tuple[IntArray, IntArray, FloatArray]:
    """Return tails, heads and lengths."""
    geometry = problem.geometry
    if isinstance(geometry, Graph):
        return geometry.edges()
    assert isinstance(geometry, Grid | Pixels)
    n_axes = len(geometry.axes)
    is_grid = isinstance(geometry, Grid)
    offsets = unit_offsets(n_axes) if is_grid else king_offsets(n_axes)
    tails, heads = lattice(geometry.axes, offsets)
    return tails, heads, geometry.pairs(tails, heads)
