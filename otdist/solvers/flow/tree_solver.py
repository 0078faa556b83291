"""Transport on a tree in closed form, in linear time.

The mass that crosses an edge is the excess of the subtree below it. W1 is the sum of its
absolute values times the lengths (Evans and Matsen, 2012). Potentials fall in its direction.
"""

from __future__ import annotations

import numpy as np

from otdist.problem.problem import Problem
from otdist.problem.result import Candidate
from otdist.solvers.flow.network import network_of
from otdist.solvers.flow.simplex import answer, optimise
from otdist.solvers.registry import Options


def run(problem: Problem, options: Options) -> Candidate:
    """Root the tree and sum the excess of subtrees; O(n) time and memory."""
    edges = problem.geometry.edges()
    assert edges is not None, "the registry asks for edges"
    network, scale = network_of(problem, edges)
    every = np.arange(len(network.tail))
    tree = optimise(network, every, options)
    flow, f = answer(network, tree, scale)
    return Candidate(flow, f, -f, network.n_nodes)
