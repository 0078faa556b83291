"""Certificates of couplings on the line and the circle: many pairs, or one large pair.

The compiled counterpart of `certificate.certify`.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from otdist.problem.result import LARGEST_ROUNDING, Bracket, coupling_tolerance
from otdist.typing import FloatArray, IntArray


class Measures(NamedTuple):
    """Pairs of measures: sorted points, masses in the same order, and indices of pairs.

    Pair k has points ``x[which[0, k]]``, ``y[which[1, k]]`` and masses
    ``a[which[2, k]]``, ``factor[k] * b[which[3, k]]``.
    """

    x: FloatArray  # (K, n)
    y: FloatArray  # (L, m)
    a: FloatArray  # (M, n)
    b: FloatArray  # (N, m)
    which: IntArray  # (4, pairs)
    factor: FloatArray  # (pairs,)


class Claims(NamedTuple):
    """Couplings of pairs and their potentials, as a solver claims them."""

    rows: NDArray[np.int32]  # (pairs, n + m)
    columns: NDArray[np.int32]  # (pairs, n + m)
    mass: FloatArray  # (pairs, n + m)
    n_arcs: IntArray  # (pairs,): the number of arcs in use
    f: FloatArray  # (pairs, n)

    def first(self, n_pairs: int) -> Claims:
        """Return the claims of the first pairs."""
        return Claims._make(part[:n_pairs] for part in self)


Scratch: TypeAlias = tuple[FloatArray, FloatArray, FloatArray, IntArray]


class LineBounds:
    """Bounds on the optimal values of pairs, computed for some pairs at a time, p >= 1.

    With a period that is not 0, positions are on a circle, within half a period of 0.
    """

    def __init__(self, n: int, m: int, p: float, n_pairs: int, period: float = 0.0) -> None:
        self._shape, self._cost = (n, m), (p, period)
        self._found = np.full((n_pairs, 6), np.nan)

    def scratch(self) -> Scratch:
        """Return the arrays that each thread needs."""
        n, m = self._shape
        return (
            np.empty((2, n + m)),
            np.empty((3, n)),
            np.empty(m),
            np.empty(m, np.int64),
        )

    def add(
        self,
        start: int,
        measures: Measures,
        claims: Claims,
        scratch: Scratch,
    ) -> None:
        """Check the claims for the pairs from `start` on."""
        from otdist.certificate.kernels.line_and_circle import line_bounds

        found = self._found[start : start + len(claims.n_arcs)]
        with np.errstate(all="ignore"):  # for where compilation is off
            line_bounds(*measures, *self._cost, *claims, *scratch, found)

    def bounds(self) -> Bracket[FloatArray]:
        """Return the bounds of all pairs, NaN for claims that are not sound."""
        lower, upper, rounding, error, mass, largest = self._found.T
        with np.errstate(all="ignore"):
            most_error = coupling_tolerance(sum(self._shape)) * mass
            most_rounding = LARGEST_ROUNDING * mass * largest
            # Outside these ranges values leave what float64 holds well.
            for size in (largest, mass * largest):
                is_good = (largest == 0) | ((size > 1e-250) & (size < 1e250))
                lower = np.where(is_good, lower, np.nan)
        return Bracket(lower, upper, error, rounding, most_error, most_rounding)
