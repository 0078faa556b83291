"""Bound the optimal values of many problems in compiled calls, by weak duality.

The compiled counterpart of `certificate.certify`: for pairs of measures on the line or the
circle, and for pairs of small histograms or clouds. Nothing here comes from a solver or its
kernels.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from otdist.geometry.metrics import code_of
from otdist.geometry.packed import Clouds, Family
from otdist.problem.bracket import LARGEST_ROUNDING, Bracket, coupling_tolerance
from otdist.typing import FloatArray, IntArray

_EPS = float(np.finfo(float).eps)
# Entries of a matrix looked at in one call of the kernel: some 50 ms.
_ROWS = 64


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


def bracket(
    family: Family,
    first: IntArray,
    second: IntArray,
    n_arcs: IntArray,
    row: IntArray,
    column: IntArray,
    mass: FloatArray,
    g: FloatArray,
) -> Bracket[FloatArray]:
    """Bound the optimal values of pairs of measures from claimed plans and potentials.

    Parameters
    ----------
    family : Histograms or Clouds
        The measures.
    first, second : ndarray (Q,) int64
        The pairs.
    n_arcs : ndarray (Q,) int64
        Arcs of each plan; the rest of the columns below is not read.
    row, column, mass : ndarray (Q, N)
        The plans: atoms, and the mass moved. With histograms on a metric, mass that
        stays in its bin is left out.
    g : ndarray (Q, m) float64
        Potentials of the second measure's atoms.

    Returns
    -------
    Bracket
        Arrays (Q,), which prove a value only where the plan is a coupling, up to
        rounding.
    """
    out = _sums(family, first, second, n_arcs, row, column, mass, g)
    return _bracket(family, family.largest_of(first, second), *out.T)


def bracket_first(family: Family, largest: float, *claims: Any) -> Bracket[float]:
    """Bound the optimal value of the first pair alone, with a bound on its costs.

    The claims are those of `bracket`. Plain numbers take a tenth of the time of arrays.
    """
    first = np.zeros(1, np.int64)
    return _bracket(family, largest, *_sums(family, first, first, *claims)[0].tolist())


def _sums(
    family: Family,
    first: IntArray,
    second: IntArray,
    n_arcs: IntArray,
    row: IntArray,
    column: IntArray,
    mass: FloatArray,
    g: FloatArray,
) -> FloatArray:
    """Return the sums (Q, 6) that the compiled pass finds: see its docstring."""
    from otdist.certificate.kernels import brackets as kernel
    from otdist.certificate.kernels.points import METRIC_CODES

    n, m = family.most
    out = np.empty((len(first), 6))
    if isinstance(family, Clouds):
        width = max(n, m) + m + row.shape[1]
        kernel.bracket_clouds(
            family.points,
            family.weights,
            family.starts,
            family.d,
            first,
            second + family.offset,
            code_of(family.metric, METRIC_CODES, "the kernels of the certificate"),
            family.p,
            n_arcs,
            row,
            column,
            mass,
            g,
            np.empty((6, width)),
            out,
        )
    else:
        kernel.bracket_histograms(
            family.cost,
            family.transposed,
            family.a,
            family.b,
            first,
            second,
            family.is_metric,
            family.largest,
            n_arcs,
            row,
            column,
            mass,
            g,
            np.empty((9, sum(family.cost.shape) + row.shape[1])),
            out,
        )
    return out


def _bracket(
    family: Family,
    largest: Any,
    lower: Any,
    upper: Any,
    terms: Any,
    error: Any,
    weighted: Any,
    moved: Any,
) -> Bracket[Any]:
    """Make brackets of sums, arrays or numbers."""
    rounding = 2 * _EPS * terms + weighted
    if not isinstance(family, Clouds) and family.excess > 0:
        with np.errstate(invalid="ignore"):
            rounding = rounding + family.excess * moved
    most_error = coupling_tolerance(sum(family.most)) * family.mass
    most_rounding = LARGEST_ROUNDING * family.mass * largest
    return Bracket(lower, upper, error, rounding, most_error, most_rounding)


def triangle_excess(cost: FloatArray) -> float:
    """Return by how much a symmetric matrix breaks the triangle inequality.

    O(n³) time. 0 for a metric, up to rounding; inf for a matrix with NaN or negative entries.
    """
    from otdist.certificate.kernels import brackets as kernel

    n, worst = len(cost), 0.0
    best = np.empty(n)
    for start in range(0, n, _ROWS):
        found = kernel.triangle_excess(cost, start, min(start + _ROWS, n), best)
        worst = max(worst, float(found))
    return worst
