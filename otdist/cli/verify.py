"""Compare with POT on random problems: a second opinion on this machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from otdist.errors import InputError
from otdist.pipeline import solve
from otdist.problem.problem import Problem
from otdist.problem.result import Status
from otdist.typing import FloatArray

#: The largest relative difference that passes.
TOLERANCE = 1e-9
_LARGEST = 80


class _Case(NamedTuple):
    """A problem as otdist gets it, and as POT does."""

    problem: Problem
    cost: FloatArray


@dataclass(frozen=True, slots=True)
class Family:
    """What came out for one family of problems.

    Attributes
    ----------
    name : str
        What the problems of the family are like.
    n_problems, n_certified : int
        How many there were, and for how many the certificate proves the value.
    worst : float
        The largest ``|value - POT's value| / max(value, POT's value)``.
    """

    name: str
    n_problems: int
    n_certified: int
    worst: float


@dataclass(frozen=True, slots=True)
class Report:
    """What `verify` returns; `passed` says whether all is well."""

    families: tuple[Family, ...]
    peer: str
    seed: int

    @property
    def n_problems(self) -> int:
        """Number of problems of all families."""
        return sum(family.n_problems for family in self.families)

    @property
    def n_certified(self) -> int:
        """Number of problems with a proved value."""
        return sum(family.n_certified for family in self.families)

    @property
    def worst(self) -> float:
        """The largest relative difference of all families."""
        return max(family.worst for family in self.families)

    @property
    def passed(self) -> bool:
        """Whether the values agree within 1e-9 and all are proved."""
        return self.worst <= TOLERANCE and self.n_certified == self.n_problems


def verify(n_problems: int = 200, seed: int = 0) -> Report:
    """Solve random problems by otdist and by POT, and compare the values.

    Parameters
    ----------
    n_problems : int, default 200
        Dealt out to the families in turn.
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
    count = dict.fromkeys(_FAMILIES, 0)
    certified = dict.fromkeys(_FAMILIES, 0)
    worst = dict.fromkeys(_FAMILIES, 0.0)
    names = list(_FAMILIES)
    for k in range(n_problems):
        name = names[k % len(names)]
        case = _FAMILIES[name](rng)
        result = solve(case.problem)
        count[name] += 1
        certified[name] += result.status is Status.OPTIMAL
        other = _peer_value(ot, case)
        worst[name] = max(worst[name], _difference(result.value, other))
    families = tuple(
        Family(name, count[name], certified[name], worst[name]) for name in names if count[name]
    )
    return Report(families, f"POT {ot.__version__}", seed)


def _peer_value(ot: Any, case: _Case) -> float:
    """Run POT's network simplex to its end, without its default limit on pivots."""
    value = ot.emd2(case.problem.a, case.problem.b, case.cost, numItermax=10**9)
    return float(value)


def _difference(value: float, other: float) -> float:
    if value == other:
        return 0.0
    return abs(value - other) / max(abs(value), abs(other))


def _sizes(rng: np.random.Generator) -> tuple[int, int]:
    n, m = rng.integers(2, _LARGEST, size=2, endpoint=True)
    return int(n), int(m)


def _masses(rng: np.random.Generator, n: int, zeros: float = 0.0) -> FloatArray:
    """Return n random probabilities, about a part `zeros` of them 0."""
    weights = rng.exponential(size=n) * (rng.random(n) >= zeros)
    weights[rng.integers(n)] += 1.0
    return np.asarray(weights / weights.sum())


def _gaussian(d: int) -> Callable[[np.random.Generator], _Case]:
    def case(rng: np.random.Generator) -> _Case:
        n, m = _sizes(rng)
        p = float(rng.choice([1.0, 1.5, 2.0]))
        x, y = rng.normal(size=(n, d)), 0.5 + 2 * rng.normal(size=(m, d))
        problem = Problem(x, y, _masses(rng, n), _masses(rng, m), p=p)
        # The cost by its definition, not by the library's own code.
        distance = np.sqrt(((x[:, None] - y) ** 2).sum(axis=-1))
        return _Case(problem, distance**p)

    return case


def _of_cost(cost: FloatArray, a: FloatArray, b: FloatArray) -> _Case:
    return _Case(Problem.from_cost(cost, a, b), cost)


def _ties(rng: np.random.Generator) -> _Case:
    n, m = _sizes(rng)
    cost = rng.integers(1, 5, size=(n, m)).astype(float)
    return _of_cost(cost, _masses(rng, n), _masses(rng, m))


def _independent(rng: np.random.Generator) -> _Case:
    n, m = _sizes(rng)
    return _of_cost(rng.random((n, m)), _masses(rng, n), _masses(rng, m))


def _lopsided(rng: np.random.Generator) -> _Case:
    n, m = int(rng.integers(1, 5)), int(rng.integers(_LARGEST, 3 * _LARGEST))
    cost = rng.exponential(size=(n, m))
    return _of_cost(cost, _masses(rng, n), _masses(rng, m))


def _with_zeros(rng: np.random.Generator) -> _Case:
    n, m = _sizes(rng)
    return _of_cost(rng.random((n, m)), _masses(rng, n, 0.3), _masses(rng, m, 0.3))


def _uniform(rng: np.random.Generator) -> _Case:
    n, _ = _sizes(rng)
    x, y = rng.random((n, 2)), rng.random((n, 2))
    distance = np.sqrt(((x[:, None] - y) ** 2).sum(axis=-1))
    return _Case(Problem(x, y), distance)


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
