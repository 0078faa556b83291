"""Exact transport by the network simplex method, on few arcs at a time.

Small matrices are priced whole. Larger problems, and points of any number, go
through column generation from potentials of a coarser problem; see `_exact`.
"""

from __future__ import annotations

import numpy as np

from otdist._exact import columns, tree
from otdist._geometry.dense import Dense
from otdist._masses import fitted, quantise
from otdist._problem import Problem
from otdist._result import Candidate
from otdist._solvers import Options, start_from

# Entries of the matrix up to which all arcs are priced in turn.
_SMALL = 1 << 16
# A warm start trusts its potentials to this part of the largest cost.
_WARM_MARGIN = 1e-3
_EPS = float(np.finfo(float).eps)


def run(problem: Problem, options: Options) -> Candidate:
    """Solve the linear program exactly; O(n + m) memory beyond the input."""
    geometry = problem.geometry
    n, m = geometry.shape
    masses = quantise(problem.a, problem.b)
    is_small = n * m <= _SMALL or min(n, m) < 64 and isinstance(geometry, Dense)
    margin = 2.0 * (geometry.largest or 1.0)
    if options.warm_start is not None:
        g = start_from(geometry, options.warm_start)
        margin *= _WARM_MARGIN / 2
    elif is_small:
        g = np.zeros(m)
    else:
        g = columns.potentials(geometry, problem.a, problem.b, options)
    if is_small:
        search = columns.search_all(geometry, masses, g)
    else:
        search = columns.search_candidates(geometry, masses, g, options.n_jobs)
    basis = search.basis
    # Masses of parts that no arc connects may differ by the rounding of their sums.
    rounding = int(16 * _EPS * float(masses.a.sum()))
    negligible = 0
    while True:
        finished = columns.optimise(search, margin, options, negligible=negligible)
        left = tree.artificial_flow(basis, n)
        if not finished or left in (0, negligible) or left > rounding:
            break
        # A margin above all paths has shown that no path is left for this flow; the
        # potentials it leaves are as large, so begin again and let the flow be.
        negligible = left
    is_stranded = finished and left > negligible
    rows = np.flatnonzero(tree.is_artificial(basis)[:n]) if is_stranded else None
    plan = tree.plan_of(basis, masses, (n, m), keep_artificial=not finished)
    if not masses.is_exact and finished and not is_stranded:
        plan = fitted(plan, problem.a, problem.b)
    return Candidate(
        plan=plan,
        f=basis.potential[:n].copy(),
        g=basis.potential[n : n + m].copy(),
        n_iter=int(search.pivots.n_pivots[0]),
        finished=finished,
        stranded=rows,
    )
