"""Parts of a problem that no allowed arc joins: mass does not leave them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from otdist.geometry.graph import Graph, refuse_part
from otdist.geometry.protocol import Dense, Geometry
from otdist.typing import FloatArray, IntArray, NDArray

# Masses of parts agree up to the rounding of their sums.
_MASS_TOLERANCE = 1e-9
_EPS = float(np.finfo(float).eps)


class Parts(NamedTuple):
    """The part of each atom; atoms of both sides are in one part if arcs join them."""

    of_a: IntArray  # (n,)
    of_b: IntArray  # (m,)


def balanced(geometry: Geometry, a: FloatArray, b: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Scale b to the mass of a in all parts that forbidden arcs leave.

    Only masses that differ by the rounding of sums are scaled. A part loses its mass if the
    other side has none there, and it is no more than the rounding of the sum of all. Other
    masses of a matrix are left as they are, for the solver to refuse.

    Raises
    ------
    InfeasibleError
        A part of a graph whose masses differ by more than rounding.
    """
    parts = _parts_of(geometry, a, b)
    if parts is None:
        return a, b
    n_parts = 1 + max(int(parts.of_a.max()), int(parts.of_b.max()))
    sums_a = np.bincount(parts.of_a, a, n_parts)
    sums_b = np.bincount(parts.of_b, b, n_parts)
    larger = np.maximum(sums_a, sums_b)
    rounding = np.maximum(_MASS_TOLERANCE * larger, (len(a) + len(b)) * _EPS * larger.sum())
    is_equal: NDArray[np.bool_] = np.abs(sums_a - sums_b) <= rounding
    if isinstance(geometry, Graph) and not is_equal.all():
        refuse_part(geometry, int(is_equal.argmin()), a, b)
    factor = np.ones(n_parts)
    np.divide(sums_a, sums_b, out=factor, where=is_equal & (sums_b > 0))
    is_lost = is_equal & (sums_b == 0)
    return np.where(is_lost[parts.of_a], 0.0, a), b * factor[parts.of_b]


def _parts_of(geometry: Geometry, a: FloatArray, b: FloatArray) -> Parts | None:
    """Return the parts of a graph or a matrix; None if there is one part only."""
    if isinstance(geometry, Graph):
        return Parts(geometry.component, geometry.component)
    return _parts_of_matrix(geometry, a, b) if isinstance(geometry, Dense) else None


def _parts_of_matrix(matrix: Dense, a: FloatArray, b: FloatArray) -> Parts | None:
    """Return the parts of a matrix; None if there is one part only.

    Atoms without mass join nothing. Columns are joined row by row, in O(n + m) memory.
    """
    rows, columns = np.flatnonzero(a), np.flatnonzero(b)
    label, one_of = np.arange(len(columns)), np.full(len(a), -1)
    for i in rows.tolist():
        reached = np.flatnonzero(_allowed(matrix, i, columns))
        if len(reached) == 0:
            continue
        one_of[i] = reached[0]
        joined = label[reached]
        first = joined.min()
        if joined.max() > first:
            is_joined = np.zeros(len(label), bool)
            is_joined[joined] = True
            label[is_joined[label]] = first
    if not label.any() and (one_of[rows] >= 0).all():
        return None
    # A row that reaches no column is a part of its own.
    of_a, of_b = len(label) + np.arange(len(a)), np.zeros(len(b), np.int64)
    is_row = one_of >= 0
    of_a[is_row] = label[one_of[is_row]]
    of_b[columns] = label
    return Parts(of_a, of_b)


def _allowed(matrix: Dense, i: int, columns: IntArray) -> NDArray[np.bool_]:
    costs: FloatArray = matrix.cost[i]
    return np.isfinite(costs if len(columns) == len(costs) else costs[columns])
