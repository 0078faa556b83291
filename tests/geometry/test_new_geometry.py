"""A geometry is one class: solvers and certificates take it as it comes."""

import numpy as np
import pytest

from otdist import InputError, Problem, certify, solve
from otdist.certificate.checkers import CHECKERS, PairwiseChecker, checker_of
from otdist.geometry.protocol import Dense, Geometry


class Discrete(Geometry):
    """Labels on both sides; to change one costs 1."""

    largest = 1.0

    def __init__(self, x, y):
        self.x, self.y = x, y

    @property
    def shape(self):
        return len(self.x), len(self.y)

    def rows(self, start, stop):
        return (self.x[start:stop, None] != self.y).astype(float)

    def pairs(self, rows, columns):
        return (self.x[rows] != self.y[columns]).astype(float)


def problem_of(seed, n=9, m=7, geometry=Discrete):
    """Labels with random weights, and the total variation of their sums."""
    rng = np.random.default_rng(seed)
    x, y = rng.integers(0, 5, n), rng.integers(0, 5, m)
    a, b = rng.random(n), rng.random(m)
    a, b = a / a.sum(), b / b.sum()
    start = Problem.from_cost(np.zeros((n, m)), a, b)
    of_a, of_b = (np.bincount(*each, 5) for each in ((x, a), (y, b)))
    return start.on(geometry(x, y)), np.abs(of_a - of_b).sum() / 2


@pytest.mark.parametrize("method", ["auto", "network_simplex", "highs"])
def test_it_is_solved_and_certified(method):
    for seed in range(5):
        problem, truth = problem_of(seed)
        result = solve(problem, method=method)
        assert result.status == "optimal"
        assert result.certificate.proves(1e-9)
        assert result.value == pytest.approx(truth, abs=1e-14)


def test_it_is_solved_when_it_is_large():
    problem, truth = problem_of(0, 700, 600)
    result = solve(problem)
    assert result.status == "optimal"
    assert result.value == pytest.approx(truth, abs=1e-12)


def test_entropic_plans_are_certified():
    problem, truth = problem_of(1)
    result = solve(problem, method="sinkhorn", epsilon=0.01)
    assert result.lower - 1e-12 <= truth <= result.upper + 1e-12
    assert result.gap < 0.1


def test_wrong_claims_are_not_proved():
    problem, truth = problem_of(2)
    honest = solve(problem)
    f, g = honest.potentials
    lost = honest.plan.toarray() * 0.9
    assert certify(problem, lost, f, g).upper >= truth - 1e-12
    assert certify(problem, honest.plan, f + np.arange(9), g).lower <= truth + 1e-12
    assert certify(problem, honest.plan, 0 * f).lower <= truth


def test_its_checker_looks_at_all_pairs():
    geometry = problem_of(3)[0].geometry
    assert type(checker_of(geometry)) is PairwiseChecker
    assert all(issubclass(kind, Geometry) for kind in CHECKERS)


def test_what_a_geometry_has_by_default():
    geometry, rng = problem_of(4)[0].geometry, np.random.default_rng(4)
    matrix, f, g = geometry.dense(), rng.normal(size=9), rng.normal(size=7)
    assert (geometry.costs().matrix == matrix).all()
    assert isinstance(geometry.tabulated(), Dense)
    rows, columns = np.array([4, 1]), np.array([0, 6, 3])
    assert (geometry.restrict(rows, columns).dense() == matrix[np.ix_(rows, columns)]).all()
    assert (geometry.transposed().dense() == matrix.T).all()
    assert (geometry.column_minimum(f) == (matrix - f[:, None]).min(axis=0)).all()
    assert (geometry.row_minimum(g) == (matrix - g).min(axis=1)).all()
    assert geometry.edges() is geometry.as_points() is None
    assert not geometry.facts.is_metric
    assert not geometry.has_equal_sides()
    with pytest.raises(InputError, match="no coordinates to differentiate by"):
        geometry.derivative(rows, rows)
