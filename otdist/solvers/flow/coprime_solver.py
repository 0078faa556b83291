"""Euclidean W1 of two images to a known relative error, by a flow on few directions.

Mass moves by steps to pixels within `reach` that are no multiples of shorter steps (Bassetti,
Gualandi, Veneroni, *On the computation of Kantorovich-Wasserstein distances between
two-dimensional histograms by uncapacitated minimum cost flows*, 2020). The cost of the flow is
at least W1, and exceeds it by no more than the longest detour: 1.3 % for steps up to 3.
"""

from __future__ import annotations

from otdist.errors import InputError
from otdist.geometry.grid_metric import Pixels
from otdist.problem.problem import Problem
from otdist.problem.result import Candidate
from otdist.solvers.flow import coarsen as start
from otdist.solvers.flow.lattice import coprime_offsets, detour, lattice
from otdist.solvers.flow.network import network_of
from otdist.solvers.flow.simplex import Limits, answer
from otdist.solvers.registry import Options

# Edges grow with the square of the steps' length.
_LONGEST = 24


def run(problem: Problem, options: Options) -> Candidate:
    """Solve with the shortest steps that guarantee `tol`; O(N reach**2) memory."""
    pixels = problem.geometry
    assert isinstance(pixels, Pixels)
    spacing = tuple(float(axis[1]) if len(axis) > 1 else 1.0 for axis in pixels.axes)
    reach = _reach((spacing[0], spacing[1]), options.tol)
    tails, heads = lattice(pixels.axes, coprime_offsets(reach))
    edges = tails, heads, pixels.pairs(tails, heads)
    network, scale = network_of(problem, edges)
    limits = Limits(options.max_iter, options.deadline, options.report)
    tree = start.solve(network, limits)
    flow, f = answer(network, tree, scale)
    f /= detour(reach, (spacing[0], spacing[1]))
    return Candidate(flow, f, -f, tree.n_pivots, tree.finished)


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
