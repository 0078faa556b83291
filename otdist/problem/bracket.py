"""The one rule by which a value counts as proved, for one problem and for many."""

from __future__ import annotations

import math
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np

from otdist.typing import FloatArray

#: The relative gap below which a value counts as proved.
EXACT_TOL = 1e-9
#: Rounding may hide no more of a gap than this part of the largest cost of all mass.
LARGEST_ROUNDING = 1e-12
# A plan is a coupling if its marginals are off by no more than this part of the mass:
# sums of float64 are not exact. Beyond, it is repaired before it counts.
_COUPLING = 1e-13
# Likewise for each atom: solvers round masses to 2**-61 of the total.
_ATOM = 2.0**-60

Floats = TypeVar("Floats", bound=float | FloatArray)


def coupling_tolerance(n_atoms: int) -> float:
    """Return how far the marginals of a coupling may be off, as a part of the mass."""
    return max(_COUPLING, _ATOM * n_atoms)


class Bracket(NamedTuple, Generic[Floats]):
    """Bounds on an optimal value, or arrays of bounds, and how well they are known.

    Attributes
    ----------
    lower, upper : float or ndarray
        The bounds, cost × mass; `upper` is the cost of a coupling.
    marginal_error : float or ndarray
        How far the plan is from a coupling, in mass.
    rounding : float or ndarray
        How much float64 can hide between the bounds, cost × mass.
    most_error, most_rounding : float or ndarray
        The largest marginal error and the largest rounding that are accepted. Any, by
        default: for plans that were repaired.
    """

    lower: Floats
    upper: Floats
    marginal_error: Floats
    rounding: Floats
    most_error: float | FloatArray = math.inf
    most_rounding: float | FloatArray = math.inf

    def proves(self, tol: float) -> Any:
        """Whether the gap is at most `tol`, relative, or hidden by rounding: bool or array.

        Bounds that cross by more than rounding prove only that something is wrong.
        """
        if type(self.upper) is float:
            return self._proves(tol)
        with np.errstate(invalid="ignore"):
            return self._proves(tol)

    def _proves(self, tol: float) -> Any:
        fields: tuple[Any, ...] = self
        lower, upper, error, rounding, most_error, most_rounding = fields
        # Operators alone, which are fast for floats. Comparisons with NaN are false.
        gap, size = upper - lower, abs(upper)
        is_narrow = (gap <= tol * size) | (gap <= rounding)
        is_sound = (size < math.inf) & (-rounding <= gap)
        is_coupling = (error <= most_error) & (error < math.inf)
        is_sharp = (rounding <= most_rounding) & (rounding < math.inf)
        return is_narrow & is_sound & is_coupling & is_sharp


def root(value: float, p: float) -> float:
    """Return ``value ** (1 / p)``; the value itself for p <= 1 and p = inf."""
    return value if p <= 1 or math.isinf(p) else float(max(value, 0.0) ** (1 / p))


def roots(values: FloatArray, p: float) -> FloatArray:
    """Return the roots of many values, 0 for those that rounding made negative."""
    if p <= 1 or math.isinf(p):
        return values
    return np.asarray(np.maximum(values, 0.0) ** (1 / p))
