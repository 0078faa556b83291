"""A plan that loses mass must not be called optimal, however good its repair is."""

from __future__ import annotations

import numpy as np

from otdist import Problem, Status, solve
from otdist.solvers import registry


def test_a_solver_that_loses_mass_is_not_optimal(monkeypatch):
    problem = Problem(np.arange(5.0), np.arange(5.0) + 1)
    line = registry.named("line")
    honest = line.load()

    def loses_mass(problem, options):
        candidate = honest(problem, options)
        rows, columns, mass = candidate.plan
        plan = type(candidate.plan)(rows, columns, 0.99 * mass)
        return type(candidate)(plan=plan, f=candidate.f, g=candidate.g, n_iter=1)

    assert solve(problem).status is Status.OPTIMAL
    monkeypatch.setattr(registry.Solver, "load", lambda solver: loses_mass)
    assert solve(problem).status is Status.NOT_PROVED
