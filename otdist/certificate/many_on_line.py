"""Certificates of couplings on line and circle, compiled: many pairs, or a large one.

Part of the checker: what `certificate.certify` does for one problem, with nothing of any solver.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from otdist.certificate.rounding import LARGEST_ROUNDING, coupling_tolerance
from otdist.typing import FloatArray, IntArray


class Measures(NamedTuple):
    """Pairs of measures: sorted points, masses in their order, and who goes with whom.

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
    """Couplings of pairs and their potentials; nothing of it is believed."""

    rows: NDArray[np.int32]  # (pairs, n + m)
    columns: NDArray[np.int32]  # (pairs, n + m)
    mass: FloatArray  # (pairs, n + m)
    n_arcs: IntArray  # (pairs,): how many of those there are
    f: FloatArray  # (pairs, n)

    def first(self, n_pairs: int) -> Claims:
        """Return those of the first pairs."""
        part = slice(n_pairs)
        return Claims(
            self.rows[part],
            self.columns[part],
            self.mass[part],
            self.n_arcs[part],
            self.f[part],
        )


class Bounds(NamedTuple):
    """What is proved of each pair; NaN where the claim is not what it must be."""

    lower: FloatArray
    upper: FloatArray
    rounding: FloatArray

    def proves(self, tol: float) -> NDArray[np.bool_]:
        """Whether the gap is at most `tol` relative, or below rounding."""
        gap = self.upper - self.lower
        room = np.maximum(tol * self.upper, self.rounding)
        return np.asarray((-self.rounding <= gap) & (gap <= room))


Scratch: TypeAlias = tuple[FloatArray, FloatArray, FloatArray, IntArray]


class LineBounds:
    """Bounds of the optimal values of pairs, some pairs at a time, p >= 1.

    On a circle for a period that is not 0, with positions within half of it of 0.
    """

    def __init__(self, n: int, m: int, p: float, n_pairs: int, period: float = 0.0) -> None:
        self._shape, self._cost = (n, m), (p, period)
        self._found = np.full((n_pairs, 6), np.nan)

    def scratch(self) -> Scratch:
        """Return what a thread needs for itself."""
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
        """Look at the claims for the pairs from `start` on."""
        from otdist.certificate.kernels.line_and_circle import line_bounds

        found = self._found[start : start + len(claims.n_arcs)]
        with np.errstate(all="ignore"):  # for where compilation is off
            line_bounds(*measures, *self._cost, *claims, *scratch, found)

    def bounds(self) -> Bounds:
        """Return what is proved of all pairs."""
        lower, upper, rounding, error, mass, largest = self._found.T
        allowed = coupling_tolerance(sum(self._shape))
        with np.errstate(all="ignore"):
            good = error <= allowed * mass
            good &= rounding <= LARGEST_ROUNDING * mass * largest
            # Out of these ranges values leave what float64 holds well.
            for size in (largest, mass * largest):
                good &= (largest == 0) | ((size > 1e-250) & (size < 1e250))
        lower, upper = np.where(good, lower, np.nan), np.where(good, upper, np.nan)
        return Bounds(lower, upper, rounding)
