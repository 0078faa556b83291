"""Compare with POT on random problems, on this machine."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from otdist.errors import InputError
from otdist.pipeline import solve
from otdist.problem.problem import Problem
from otdist.problem.result import Status
from otdist.typing import FloatArray

#: Largest relative difference that passes.
TOLERANCE = 1e-9
_LARGEST = 80


# A problem for otdist, and its cost matrix for POT.
_Case: TypeAlias = tuple[Problem, FloatArray]


class Family(NamedTuple):
    """Numbers of problems and of proved values, and the largest relative difference."""

    name: str
    n_problems: int
    n_certified: int
    worst: float


class Report(NamedTuple):
    """The result of `verify`: a row for each family, and a row for all of them."""

    families: tuple[Family, ...]
    peer: str
    seed: int

    @property
    def total(self) -> Family:
        """The row of all problems."""
        _, numbers, certified, worst = zip(*self.families, strict=True)
        return Family("all", sum(numbers), sum(certified), max(worst))

    @property
    def passed(self) -> bool:
        """Whether all values are proved, and agree within `TOLERANCE`."""
        total = self.total
        return total.worst <= TOLERANCE and total.n_certified == total.n_problems


def verify(n_problems: int = 200, seed: int = 0) -> Report:
    """Solve random problems with otdist and with POT, and compare the values.

    Parameters
    ----------
    n_problems : int, default 200
        Total number of problems, divided among the families.
    seed : int, default 0
        Seed of the random problems.

    Returns
    -------
    Report

    Raises
    ------
    InputError
        If `n_problems` is below 1 or `seed` negative.
    ImportError
        If POT is not installed.
    """
    if n_problems < 1:
        raise InputError(f"the number of problems must be >= 1, got {n_problems}")
    if seed < 0:
        raise InputError(f"the seed must be >= 0, got {seed}")
    import ot

    rng = np.random.default_rng(seed)
    rows: dict[str, Family] = {}
    for name, make in itertools.islice(itertools.cycle(_FAMILIES.items()), n_problems):
        problem, cost = make(rng)
        result = solve(problem)
        _, count, certified, worst = rows.get(name, Family(name, 0, 0, 0.0))
        difference = _difference(result.value, _peer_value(ot, problem, cost))
        is_proved = result.status is Status.OPTIMAL
        rows[name] = Family(name, count + 1, certified + is_proved, max(worst, difference))
    return Report(tuple(rows.values()), f"POT {ot.__version__}", seed)


def _peer_value(ot: Any, problem: Problem, cost: FloatArray) -> float:
    """Return the value of POT's network simplex, without its default limit on pivots."""
    return float(ot.emd2(problem.a, problem.b, cost, numItermax=10**9))


def _difference(value: float, other: float) -> float:
    if value == other:
        return 0.0
    return abs(value - other) / max(abs(value), abs(other))


def _sizes(rng: np.random.Generator) -> tuple[int, int]:
    n, m = rng.integers(2, _LARGEST, size=2, endpoint=True)
    return int(n), int(m)


def _weights(rng: np.random.Generator, n: int, zeros: float = 0.0) -> FloatArray:
    """Return n random probabilities; about the share `zeros` of them is 0."""
    weights = rng.exponential(size=n) * (rng.random(n) >= zeros)
    weights[rng.integers(n)] += 1.0
    return np.asarray(weights / weights.sum())


def _gaussian(d: int) -> Callable[[np.random.Generator], _Case]:
    def case(rng: np.random.Generator) -> _Case:
        n, m = _sizes(rng)
        p = float(rng.choice([1.0, 1.5, 2.0]))
        x, y = rng.normal(size=(n, d)), 0.5 + 2 * rng.normal(size=(m, d))
        problem = Problem(x, y, _weights(rng, n), _weights(rng, m), p=p)
        # The cost by its definition, independent of the library.
        distance = np.sqrt(((x[:, None] - y) ** 2).sum(axis=-1))
        return problem, distance**p

    return case


def _of_cost(cost: FloatArray, a: FloatArray, b: FloatArray) -> _Case:
    return Problem.from_cost(cost, a, b), cost


def _ties(rng: np.random.Generator) -> _Case:
    n, m = _sizes(rng)
    cost = rng.integers(1, 5, size=(n, m)).astype(float)
    return _of_cost(cost, _weights(rng, n), _weights(rng, m))


def _independent(rng: np.random.Generator) -> _Case:
    n, m = _sizes(rng)
    return _of_cost(rng.random((n, m)), _weights(rng, n), _weights(rng, m))


def _lopsided(rng: np.random.Generator) -> _Case:
    n, m = int(rng.integers(1, 5)), int(rng.integers(_LARGEST, 3 * _LARGEST))
    cost = rng.exponential(size=(n, m))
    return _of_cost(cost, _weights(rng, n), _weights(rng, m))


def _with_zeros(rng: np.random.Generator) -> _Case:
    n, m = _sizes(rng)
    return _of_cost(rng.random((n, m)), _weights(rng, n, 0.3), _weights(rng, m, 0.3))


def _uniform(rng: np.random.Generator) -> _Case:
    n, _ = _sizes(rng)
    x, y = rng.random((n, 2)), rng.random((n, 2))
    distance = np.sqrt(((x[:, None] - y) ** 2).sum(axis=-1))
    return Problem(x, y), distance


_FAMILIES: dict[str, Callable[[np.random.Generator], _Case]] = {
    "Gaussian clouds, d=1": _gaussian(1),
    "Gaussian clouds, d=2": _gaussian(2),
    "Gaussian clouds, d=3": _gaussian(3),
    "Gaussian clouds, d=16": _gaussian(16),
    "integer costs with ties": _ties,
    "independent costs": _independent,
    "few sources, many sinks": _lopsided,
    "a third of the weights 0": _with_zeros,
    "uniform, n = m": _uniform,
}
