"""Transport on a tree in closed form, in linear time.

The mass that crosses an edge is the excess of the subtree below it. W1 is the sum of its
absolute values times the lengths (Evans and Matsen, 2012). Potentials fall in its direction.
"""

from __future__ import annotations

import numpy as np

from otdist.geometry.graph import Graph
from otdist.problem.problem import Problem
from otdist.problem.result import Candidate
from otdist.solvers.flow.network import network_of
from otdist.solvers.flow.simplex import Limits, answer, optimise
from otdist.solvers.registry import Options


def run(problem: Problem, options: Options) -> Candidate:
    """Root the tree and sum the excess of subtrees; O(n) time and memory."""
    geometry = problem.geometry
    assert isinstance(geometry, Graph)
    network, scale = network_of(problem, geometry.edges())
    every = np.arange(len(network.tail))
    limits = Limits(options.max_iter, options.deadline, options.report)
    tree = optimise(network, every, limits)
    flow, f = answer(network, tree, scale)
    return Candidate(flow, f, -f, network.n_nodes, tree.finished)
