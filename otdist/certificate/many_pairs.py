"""Prove how far plans and potentials of many small problems are from optimal.

As `certificate.certify` does for one problem: weak duality, by code of its own. Nothing here comes
from a solver or its kernels.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from otdist.certificate.rounding import LARGEST_ROUNDING, coupling_tolerance
from otdist.geometry.packed import Clouds, Family
from otdist.typing import FloatArray, IntArray, NDArray

_EPS = float(np.finfo(float).eps)
# How the kernel calls the metrics.
_NORMS = {"cityblock": 1, "euclidean": 2, "chebyshev": 0, "sqeuclidean": 4}
# Entries of a matrix looked at in one call of the kernel: some 50 ms.
_ROWS = 64


class Brackets(NamedTuple):
    """Bounds on the optimum of each pair, cost × mass."""

    lower: FloatArray
    upper: FloatArray
    proved: NDArray[np.bool_]  # whether the gap is within the tolerance, or rounding


def bracket(
    family: Family,
    first: IntArray,
    second: IntArray,
    n_arcs: IntArray,
    row: IntArray,
    column: IntArray,
    mass: FloatArray,
    g: FloatArray,
    *,
    tol: float,
) -> Brackets:
    """Bound the optimal values of pairs of measures by claims of anybody.

    Parameters
    ----------
    family : Histograms or Clouds
        The measures.
    first, second : ndarray (Q,) int64
        The pairs.
    n_arcs : ndarray (Q,) int64
        Arcs of each plan; the rest of the columns below is not read.
    row, column, mass : ndarray (Q, N)
        The plans: atoms, and the mass moved. For histograms on a metric, mass that
        stays in its bin is left out.
    g : ndarray (Q, m) float64
        Potentials of the second measure's atoms.
    tol : float
        Relative gap below which a value is proved.

    Returns
    -------
    Brackets
        A pair is proved only if its plan is a coupling, up to rounding.
    """
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
            _NORMS[family.metric],
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
    return _judged(family, first, second, out, tol, n + m)


def _judged(
    family: Family,
    first: IntArray,
    second: IntArray,
    out: FloatArray,
    tol: float,
    n_atoms: int,
) -> Brackets:
    """Say which pairs are proved; bounds that cross by rounding are made to meet."""
    lower, upper, terms, error, weighted, moved = out.T
    excess = 0.0 if isinstance(family, Clouds) else family.excess
    allowed = coupling_tolerance(n_atoms) * family.mass
    most = LARGEST_ROUNDING * family.largest_of(first, second) * family.mass
    with np.errstate(invalid="ignore"):
        hidden = 2 * _EPS * terms + weighted + excess * moved
        gap = upper - lower
        proved = (error <= allowed) & (hidden <= most) & (-gap <= hidden)
        proved &= (gap <= tol * np.abs(upper)) | (gap <= hidden)
    return Brackets(np.where(gap < 0, upper, lower), upper, proved)


def triangle_excess(cost: FloatArray) -> float:
    """Return by how much a symmetric matrix breaks the triangle inequality.

    O(n³) time. 0 for a metric, up to rounding; inf for what is none.
    """
    from otdist.certificate.kernels import brackets as kernel

    n, worst = len(cost), 0.0
    best = np.empty(n)
    for start in range(0, n, _ROWS):
        found = kernel.triangle_excess(cost, start, min(start + _ROWS, n), best)
        worst = max(worst, float(found))
    return worst
