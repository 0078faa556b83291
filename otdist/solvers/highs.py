"""The transport linear program, solved by SciPy's HiGHS: an independent check."""

from __future__ import annotations

import importlib
import math

import numpy as np

from otdist.plans.integer_masses import completed
from otdist.plans.plans import Arcs
from otdist.problem.problem import Problem
from otdist.problem.result import Candidate, Ended
from otdist.runtime.interrupts import interruptible, unbroken
from otdist.solvers.registry import Options

# By the status of linprog; others are numerical difficulties.
_ENDED = {0: Ended.FINISHED, 1: Ended.ITERATIONS}


def run(problem: Problem, options: Options) -> Candidate:
    """Minimise <plan, cost> over the couplings; a multiple of O(nm) memory.

    HiGHS works with absolute tolerances, so costs and masses are scaled to
    O(1) first, by powers of two.
    """
    unbroken(importlib.import_module, "scipy.optimize")
    from scipy.optimize import linprog
    from scipy.sparse import csr_array

    cost = problem.geometry.dense()
    n, m = cost.shape
    rows, columns = np.nonzero(np.isfinite(cost))
    n_arcs = len(rows)
    has_forbidden = n_arcs < n * m
    arc = np.arange(n_arcs)
    ends = np.concatenate([rows, n + columns])
    incidence = csr_array(
        (np.ones(2 * n_arcs), (ends, np.concatenate([arc, arc]))), shape=(n + m, n_arcs)
    )
    cost_unit = _power_of_two(problem.geometry.largest)
    mass_unit = _power_of_two(problem.mass)
    masses = np.concatenate([problem.a, problem.b]) / mass_unit
    solution = interruptible(
        math.inf,
        linprog,
        cost[rows, columns] / cost_unit,
        A_eq=incidence,
        b_eq=masses,
        method="highs-ds",
        options={
            "maxiter": min(options.max_iter, 2**31 - 1),
            "primal_feasibility_tolerance": 1e-10,
            "dual_feasibility_tolerance": 1e-10,
        },
    )
    none = np.empty(0, np.int64)
    if solution.x is None:
        # No solution: the problem is infeasible, or HiGHS stopped before it found a point.
        plan = Arcs(none, none, np.zeros(0))
        potentials = np.zeros(n + m)
    else:
        mass = np.maximum(solution.x, 0.0) * mass_unit
        used = mass > 0
        plan = Arcs(rows[used], columns[used], mass[used])
        potentials = np.asarray(solution.eqlin.marginals) * cost_unit
    if not has_forbidden:
        # HiGHS satisfies the marginals to an absolute tolerance only.
        plan = completed(plan, problem.a, problem.b)
    return Candidate(
        plan=plan,
        f=potentials[:n],
        g=potentials[n:],
        n_iter=int(solution.nit),
        ended=_ENDED.get(solution.status, Ended.STALLED),
        # Without forbidden arcs HiGHS reports masses below its tolerance as infeasible.
        stranded=none if solution.status == 2 and has_forbidden else None,
    )


def _power_of_two(size: float) -> float:
    """Return the power of two just above the size, 1 for 0."""
    return math.ldexp(1.0, math.frexp(size)[1]) if size > 0 else 1.0
