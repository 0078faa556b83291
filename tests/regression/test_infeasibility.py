"""Problems that were called infeasible and were not, or feasible and were not."""

from __future__ import annotations

import math

import numpy as np
import pytest
from checks import assert_brackets
from scipy.sparse import csr_array

from otdist import InfeasibleError, Problem, Status, solve

INF = math.inf


@pytest.mark.parametrize("method", ["network_simplex", "highs"])
def test_parts_whose_masses_agree_up_to_rounding(method):
    """0.1 + 0.2 must go to 0.3: the sums of two parts differ by 6e-17."""
    cost = [[0, INF], [0, INF], [INF, 1], [INF, 2]]
    result = solve(Problem.from_cost(cost, [0.1, 0.2, 0.3, 0.4], [0.3, 0.7]), method=method)
    assert result.success
    assert result.value == pytest.approx(1.1, rel=1e-14)
    cost = [[0, INF], [0, INF], [INF, 1]]
    result = solve(Problem.from_cost(cost, [1 / 6, 1 / 3, 1 / 2], [0.5, 0.5]), method=method)
    assert result.success
    assert result.value == pytest.approx(0.5, rel=1e-14)


def test_random_parts_whose_masses_agree_up_to_rounding():
    rng = np.random.default_rng(61)
    for _ in range(30):
        parts = rng.random((2, 5))
        parts /= parts.sum()
        cost = np.full((10, 2), INF)
        cost[:5, 0], cost[5:, 1] = rng.random((2, 5))
        problem = Problem.from_cost(cost, parts.ravel(), parts.sum(axis=1))
        truth = float(parts[0] @ cost[:5, 0] + parts[1] @ cost[5:, 1])
        assert solve(problem).value == pytest.approx(truth, rel=1e-13)


@pytest.mark.parametrize("size", [1e3, 1e10, 1e20, 1e300])
@pytest.mark.parametrize("method", ["network_simplex", "sinkhorn"])
def test_any_warm_start_leads_to_the_optimum(size, method):
    """Potentials much larger than the costs made feasible problems "infeasible"."""
    rng = np.random.default_rng(62)
    problem = Problem.from_cost(rng.random((12, 12)))
    cold = solve(problem, method=method)
    start = (np.zeros(12), size * rng.random(12))
    warm = solve(problem, method=method, warm_start=start)
    if method == "network_simplex":
        assert warm.success
        assert warm.value == pytest.approx(cold.value, rel=1e-12)
    elif warm.success:
        # A converged Sinkhorn has the one optimum there is.
        expected = pytest.approx(cold.regularized_value, rel=1e-4)
        assert warm.regularized_value == expected


@pytest.mark.parametrize("method", ["network_simplex", "highs", "sinkhorn"])
@pytest.mark.parametrize(
    "cost",
    [[[INF]], [[INF, INF], [INF, INF]], [[0.0, INF], [0.0, INF]], [[INF, INF], [0, 1]]],
    ids=["one", "all", "column", "row"],
)
def test_no_way_out_of_a_row_or_into_a_column(cost, method):
    """HiGHS got an empty program (ValueError); Sinkhorn computed inf - inf."""
    with pytest.raises(InfeasibleError, match="no coupling exists"):
        solve(Problem.from_cost(cost), method=method)


def test_sinkhorn_does_not_call_an_infeasible_problem_solved():
    """Its upper bound is inf, and that was taken for proved."""
    problem = Problem.from_cost([[0.0, INF], [1.0, 3.0]], [0.7, 0.3], [0.5, 0.5])
    try:
        result = solve(problem, method="sinkhorn", max_iter=200)
    except InfeasibleError:
        return
    assert not result.success
    assert result.status is not Status.OPTIMAL


def test_sinkhorn_with_forbidden_arcs_has_a_finite_upper_bound():
    """Rounding spread what was missing over forbidden arcs too: value = inf."""
    cost = np.array([[0, INF, 2], [1, 3, INF], [INF, 1, 1]])
    problem = Problem.from_cost(cost, [2, 3, 1], [2, 2, 2])
    result = solve(problem, method="sinkhorn", epsilon=0.05)
    assert_brackets(result, 10.0)
    assert result.upper < 12.0


@pytest.mark.parametrize("lost", [3e-16, 5e-324])
def test_a_part_may_lose_mass_within_the_rounding_of_all(lost):
    """3e-16 of one side met none of the other side in its part: that is rounding of the sums."""
    a, b = [0.5, 0.5, 0.0], [0.5, 0.5, lost]
    cost = np.array([[0, INF, INF], [INF, 1, INF], [INF, INF, 5]])
    graph = csr_array(np.array([[0, 2, 0], [2, 0, 0], [0, 0, 0]]))
    for problem, value in (
        (Problem.from_cost(cost, a, b), 0.5),
        (Problem.from_cost(cost.T, b, a), 0.5),
        (Problem.on_graph(graph, a, b), 0.0),
        (Problem.on_graph(graph, b, a), 0.0),
    ):
        assert problem.a[2] == problem.b[2] == 0
        result = solve(problem)
        assert result.success
        assert result.value == pytest.approx(value)
    with pytest.raises(InfeasibleError, match=r"node 2 is in a part of 1 of the 3 nodes"):
        Problem.on_graph(graph, a, [0.5, 0.5, 1e-12])
    with pytest.raises(InfeasibleError, match=r"b\[2\] has mass and every arc of it is"):
        solve(Problem.from_cost(cost, a, [0.5, 0.5, 1e-12]))


def test_parts_are_joined_by_atoms_with_mass_only():
    """b is scaled to a in each part; a row without mass joins no columns."""
    cost = np.array([[0, INF, INF], [INF, 0, 0], [0, 0, 0]])
    a, b = [0.3, 0.3, 0.0], [0.1 + 0.2, 0.1, 0.2]
    problem = Problem.from_cost(cost, a, b)
    assert (problem.b == [0.3, 0.1 * (0.3 / b[0]), 0.2 * (0.3 / b[0])]).all()
    joined = Problem.from_cost(cost[:, :2], [0.3, 0.3, 0.1], [0.1 + 0.2, 0.4])
    assert joined.b.tolist() == [0.1 + 0.2, 0.4]
