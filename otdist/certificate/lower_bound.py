"""Lower bounds of the optimum: dual values of feasible potentials."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from otdist.certificate.checkers import checker_of
from otdist.certificate.upper_bound import total
from otdist.typing import FloatArray

if TYPE_CHECKING:
    from otdist.problem.problem import Problem


class Dual(NamedTuple):
    """A feasible pair of potentials, balanced and 0 where there is no mass."""

    value: float
    f: FloatArray
    g: FloatArray
    violation: float  # of the pair as given
    size: float  # sum of the absolute terms of the value


def lower_bound(
    problem: Problem,
    f: FloatArray,
    g: FloatArray | None,
    n_jobs: int,
    *,
    is_flow: bool = False,
) -> Dual:
    """Return the dual value of a feasible pair made of f."""
    pair = checker_of(problem.geometry).feasible(problem, f, g, n_jobs, is_flow=is_flow)
    return _dual_value(problem, *pair, by_row=False)


def other_lower_bound(
    problem: Problem, f: FloatArray, g: FloatArray, dual: Dual, n_jobs: int
) -> Dual:
    """Return the dual value of a feasible pair made of g, or `dual` if that is larger.

    The potential of an atom far away is large, and so is its rounding. As f, that
    costs every column it is nearest to; as a c-transform, only its own mass.
    """
    pair = checker_of(problem.geometry).feasible_from_g(problem, f, g, n_jobs)
    other = _dual_value(problem, *pair, dual.violation, by_row=True)
    return other if other.value > dual.value else dual


def _dual_value(
    problem: Problem, f: FloatArray, g: FloatArray, violation: float, *, by_row: bool
) -> Dual:
    """Return the value of a potential and its c-transform, which is f if `by_row`."""
    a, b = problem.a, problem.b
    carries, used = a > 0, b > 0
    f, g = np.where(carries, f, 0.0), np.where(used, g, 0.0)
    if not (np.isfinite(f).all() and np.isfinite(g).all()):
        return Dual(math.inf, np.zeros(len(a)), np.zeros(len(b)), violation, math.inf)
    # A c-transform is rounded in units of its own size, before it is balanced.
    checker = checker_of(problem.geometry)
    size = checker.rounded_size(problem, f, g, by_row=by_row)
    # Potentials are defined up to a constant; the balanced choice rounds least.
    shift = float(a @ f - b @ g) / (2 * problem.mass)
    f, g = np.where(carries, f - shift, 0.0), np.where(used, g + shift, 0.0)
    terms = np.concatenate([a * f, b * g])
    return Dual(total(terms), f, g, violation, size + float(np.abs(terms).sum()))
