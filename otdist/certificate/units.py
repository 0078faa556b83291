"""Certificates of problems that are solved in a unit 2**k of length of their own."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from otdist.inputs.validate import as_values, require_finite
from otdist.problem.result import Certificate
from otdist.typing import FloatArray

if TYPE_CHECKING:
    from otdist.problem.problem import Problem

# Potentials in a unit are no larger, so that sums of them do not overflow.
_MOST = 2.0**980
# What is in costs, or costs × mass, in a certificate.
_COSTS = ("lower", "upper", "value", "dual_violation", "resolution")


def in_costs(problem: Problem, potential: FloatArray, k: int) -> FloatArray:
    """Return a potential in costs of the unit 2**k of length; those of p = inf are no costs.

    Numbers near the overflow become smaller ones: any finite potential will do.
    """
    if k == 0 or problem.is_bottleneck:
        return potential
    with np.errstate(over="ignore"):
        return np.clip(np.ldexp(potential, -k), -_MOST, _MOST)


def from_unit(certificate: Certificate, k: int) -> Certificate:
    """Return a certificate of a problem in the unit 2**k of length in units of the user."""
    with np.errstate(over="ignore"):
        costs: dict[str, Any] = {
            name: float(np.ldexp(getattr(certificate, name), k)) for name in _COSTS
        }
    return replace(certificate, **costs)


def potential_in_unit(problem: Problem, potential: Any, side: int, k: int) -> Any:
    """Return a potential, values or a function of points, in costs of the unit 2**k."""
    if potential is None:
        return None
    name, n = "fg"[side], problem.shape[side]
    values = as_values(name, potential, n, problem.positions[side])
    require_finite(name, values)
    return in_costs(problem, values, k)
