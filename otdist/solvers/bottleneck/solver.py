"""The least radius within which all mass can be coupled: transport for p = inf.

By duality of flows (Strassen, 1965, for measures) a radius is too small if and only if some set
of rows has more mass than all columns within the radius. Radii are bisected as in Gross's
bottleneck assignment (1959). Maximum flows (Dinic, 1970) decide about them, each beginning with
the flow of the largest radius known to be too small.
"""

from __future__ import annotations

import numpy as np

from otdist.plans.integer_masses import completed, fitted, quantise
from otdist.plans.plans import Arcs
from otdist.problem.problem import Problem
from otdist.problem.result import Candidate
from otdist.solvers.bottleneck.search import Search
from otdist.solvers.registry import Options

# A larger tolerance than this one stops the search before the optimum.
_EXACT = 1e-9


def run(problem: Problem, options: Options) -> Candidate:
    """Bisect the radius; O(nm) time for each phase of a flow, some tens in all.

    Memory is at most twelve bytes for each pair not farther apart than about twice the value.
    The potentials are 1 on a set of rows that does not fit into the columns nearer than the
    value, and -1 on those columns.
    """
    masses = quantise(problem.a, problem.b)
    search = Search(problem.geometry, masses)
    tol = options.tol if options.tol > _EXACT else 0.0
    n_iter = 0
    while not search.is_done(tol) and options.limit_met(n_iter) is None:
        search.step()
        n_iter += 1
        if options.report is not None:
            options.report(n_iter, search.relative_gap)
    plan = search.plan()
    finished = plan is not None and search.is_done(tol)
    if plan is None:
        none = np.empty(0, np.int64)
        plan = completed(Arcs(none, none, np.empty(0)), problem.a, problem.b)
    elif not masses.is_exact:
        plan = fitted(plan, problem.a, problem.b)
    return Candidate(
        plan=plan,
        f=search.crowded.astype(np.float64),
        g=-search.near.astype(np.float64),
        n_iter=n_iter,
        ended=options.ended(n_iter, finished=finished),
        stranded=np.flatnonzero(search.crowded) if search.is_infeasible else None,
    )
