"""Transport by a flow on edges, where distances are lengths of paths.

They are by definition on a graph; on a grid with the L1 metric paths take steps along the
axes, with the L∞ metric a king's steps in chess. W1 is then the least cost of a flow with
divergence a - b (Beckmann, 1952; Ling and Okada, 2007, for L1 on grids): O(N) edges instead of
N² pairs.
"""

from __future__ import annotations

from otdist.problem.problem import Problem
from otdist.problem.result import Candidate
from otdist.solvers.flow import coarsen as start
from otdist.solvers.flow.network import network_of
from otdist.solvers.flow.simplex import answer
from otdist.solvers.registry import Options


def run(problem: Problem, options: Options) -> Candidate:
    """Solve exactly; O(N + edges) memory."""
    edges = problem.geometry.edges()
    assert edges is not None, "the registry asks for edges"
    network, scale = network_of(problem, edges, problem.geometry.facts.component)
    tree = start.solve(network, options)
    flow, f = answer(network, tree, scale)
    ended = options.ended(tree.n_pivots, finished=tree.finished)
    return Candidate(flow, f, -f, tree.n_pivots, ended)
