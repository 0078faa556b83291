"""Euclidean W1 of two images to a known relative error, by a flow on few directions.

Mass moves by steps to pixels within `reach` that are no multiples of shorter steps (Bassetti,
Gualandi, Veneroni, *On the computation of Kantorovich-Wasserstein distances between
two-dimensional histograms by uncapacitated minimum cost flows*, 2020). The cost of the flow is
at least W1, and exceeds it by no more than the longest detour: 1.3 % for steps up to 3.
"""

from __future__ import annotations

from typing import cast

from otdist.errors import InputError
from otdist.geometry.grid_metric import Pixels
from otdist.geometry.lattice import detour
from otdist.problem.problem import Problem
from otdist.problem.result import Candidate
from otdist.solvers.flow import coarsen as start
from otdist.solvers.flow.network import network_of
from otdist.solvers.flow.simplex import answer
from otdist.solvers.registry import Options

# Edges grow with the square of the steps' length.
_LONGEST = 24


def run(problem: Problem, options: Options) -> Candidate:
    """Solve with the shortest steps that guarantee `tol`; O(N reach**2) memory."""
    height, width = cast("Pixels", problem.geometry).spacing
    reach = _reach((height, width), options.tol)
    edges = problem.geometry.edges(reach)
    assert edges is not None, "the registry asks for edges"
    network, scale = network_of(problem, edges)
    tree = start.solve(network, options)
    flow, f = answer(network, tree, scale)
    f /= detour(reach, (height, width))
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
