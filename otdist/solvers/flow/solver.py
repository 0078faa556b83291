"""Transport by a flow on edges, where distances are lengths of paths.

They are by definition on a graph; on a grid with the L1 metric paths take steps along the
axes, with the L∞ metric a king's steps in chess. W1 is then the least cost of a flow with
divergence a - b (Beckmann, 1952; Ling and Okada, 2007, for L1 on grids): O(N) edges instead of
N² pairs.
"""

from __future__ import annotations

from typing import cast

import numpy as np

from otdist.errors import InputError
from otdist.geometry.grid_metric import Pixels
from otdist.geometry.lattice import detour
from otdist.problem.problem import Problem
from otdist.problem.result import Candidate
from otdist.solvers.flow.network import network_of
from otdist.solvers.flow.simplex import answer, optimise
from otdist.solvers.flow.start import solve
from otdist.solvers.registry import Options

# Edges grow with the square of the steps' length.
_LONGEST = 24


def run(problem: Problem, options: Options) -> Candidate:
    """Solve exactly; O(N + edges) memory."""
    return _run(problem, options)


def run_tree(problem: Problem, options: Options) -> Candidate:
    """Solve on a tree in closed form; O(n) time and memory.

    The mass that crosses an edge is the excess of the subtree below it. W1 is the sum of its
    absolute values times the lengths (Evans and Matsen, 2012). Potentials fall in its direction.
    """
    edges = problem.geometry.edges()
    assert edges is not None, "the registry asks for edges"
    network, scale = network_of(problem, edges)
    tree = optimise(network, np.arange(len(network.tail)), options)
    flow, f = answer(network, tree, scale)
    return Candidate(flow, f, -f, network.n_nodes)


def run_coprime(problem: Problem, options: Options) -> Candidate:
    """Solve Euclidean W1 of two images within `tol`; O(N reach**2) memory.

    Mass moves by steps to pixels within `reach` that are no multiples of shorter steps
    (Bassetti, Gualandi, Veneroni, *On the computation of Kantorovich-Wasserstein distances
    between two-dimensional histograms by uncapacitated minimum cost flows*, 2020). The cost of
    the flow is at least W1, and exceeds it by no more than the longest detour: 1.3 % for steps
    up to 3.
    """
    spacing = cast("Pixels", problem.geometry).spacing
    reach = _reach((spacing[0], spacing[1]), options.tol)
    return _run(problem, options, reach, detour(reach, (spacing[0], spacing[1])))


def _run(problem: Problem, options: Options, reach: int = 1, longest: float = 1.0) -> Candidate:
    """Solve on edges of a reach; potentials are divided by the longest detour along them."""
    edges = problem.geometry.edges(reach)
    assert edges is not None, "the registry asks for edges"
    network, scale = network_of(problem, edges, problem.geometry.facts.component)
    tree = solve(network, options)
    flow, f = answer(network, tree, scale)
    f /= longest
    ended = options.ended(tree.n_pivots, finished=tree.finished)
    return Candidate(flow, f, -f, tree.n_pivots, ended)


def _reach(spacing: tuple[float, float], tol: float) -> int:
    """Return the shortest reach with a detour within `tol` of the flow's cost."""
    for reach in range(1, _LONGEST + 1):
        if 1 - 1 / detour(reach, spacing) <= tol:
            return reach
    least = 1 - 1 / detour(_LONGEST, spacing)
    raise InputError(
        f"method='coprime' can promise no tol below {least:.2g} on this grid, got"
        f" {tol:g}; use method='network_simplex', which is exact"
    )
