"""Bound the optimal values of many small problems, by weak duality.

The compiled counterpart of `certificate.certify`. Nothing here comes from a solver or its
kernels.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from otdist.certificate.c_transform import norm_of
from otdist.geometry.packed import Clouds, Family
from otdist.problem.result import LARGEST_ROUNDING, Bracket, coupling_tolerance
from otdist.typing import FloatArray, IntArray

_EPS = float(np.finfo(float).eps)
# Entries of a matrix looked at in one call of the kernel: some 50 ms.
_ROWS = 64


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
            norm_of(family.metric),
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
