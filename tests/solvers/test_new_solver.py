"""A new method is one file and one record: this file is the one, and adds the other."""

from __future__ import annotations

import numpy as np
import pytest
from checks import assert_narrow

from otdist import InputError, Problem, Status, solve, wasserstein_distance
from otdist.plans.plans import Arcs
from otdist.problem.result import Candidate
from otdist.solvers import registry
from otdist.solvers.registry import Solver


def run(problem, options):
    """Fill the masses in order, from the north-west corner; the potentials are 0."""
    levels = np.cumsum(problem.a), np.cumsum(problem.b)
    level = np.sort(np.concatenate(levels))
    mass = np.diff(level, prepend=0.0)
    rows, columns = (
        np.minimum(np.searchsorted(levels[k], level), problem.shape[k] - 1) for k in (0, 1)
    )
    used = mass > 0
    n, m = problem.shape
    return Candidate(Arcs(rows[used], columns[used], mass[used]), np.zeros(n), np.zeros(m), n + m)


NORTH_WEST = Solver(
    name="north_west",
    run=f"{__name__}:run",
    accepts=lambda problem: not (problem.is_bottleneck or problem.is_partial),
    requires="a finite p and all mass moved",
    is_automatic=False,
)


@pytest.fixture(autouse=True)
def _registered(monkeypatch):
    monkeypatch.setattr(registry, "SOLVERS", (*registry.SOLVERS, NORTH_WEST))


def test_its_claim_is_certified(as_claimed):
    # Potentials of 0 prove the cost of the nearest columns.
    result = solve(Problem.from_cost([[1.0, 5], [5, 2]]), method="north_west")
    assert (result.status, result.value) == (Status.OPTIMAL, 1.5)
    assert_narrow(result, 1.5)
    assert result.method == "north_west"
    poor = solve(Problem.from_cost([[5.0, 1], [2, 5]]), method="north_west")
    assert (poor.status, poor.value) == (Status.NOT_PROVED, 5.0)
    assert poor.lower == pytest.approx(1.5, rel=1e-14)
    assert poor.upper == pytest.approx(5.0, rel=1e-14)
    assert "use method='network_simplex'" in poor.advice


def test_its_claim_is_finished_in_exact_arithmetic():
    result = solve(Problem.from_cost([[5.0, 1], [2, 5]]), method="north_west")
    assert result.status is Status.OPTIMAL
    assert_narrow(result, 1.5)


def test_atoms_without_mass_are_kept_from_it():
    problem = Problem.from_cost([[1.0, 5], [0, 0], [5, 2]], [0.5, 0, 0.5], [0.5, 0.5])
    result = solve(problem, method="north_west")
    assert result.value == 1.5
    assert result.plan.shape == (3, 2)


def test_its_options_are_checked_and_its_name_is_known():
    problem = Problem([[0.0, 0]], [[3.0, 4]])
    assert wasserstein_distance([[0.0, 0]], [[3.0, 4]], method="north_west") == 5.0
    with pytest.raises(InputError, match=r"max_iter is not an option of method='north_west'"):
        solve(problem, method="north_west", max_iter=3)
    with pytest.raises(InputError, match=r"known methods are .*'north_west'"):
        solve(problem, method="north-west")
    with pytest.raises(
        InputError, match=r"for Problem.* use method=.*'sinkhorn' or method='north_west'"
    ):
        solve(problem, method="line")
    with pytest.raises(InputError, match=r"'north_west' needs a finite p and all mass moved; for"):
        solve(Problem.partial([[0.0, 0]], [[3.0, 4]], price=1), method="north_west")


def test_nothing_changes_for_others():
    assert solve(Problem([[0.0, 0]], [[3.0, 4]])).method == "network_simplex"
