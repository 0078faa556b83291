"""Costs given as a matrix."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from otdist.errors import InputError
from otdist.runtime import blocks
from otdist.typing import FloatArray, IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Dense:
    """A read-only float64 matrix (n, m); ``inf`` marks a forbidden arc.

    Attributes
    ----------
    cost : ndarray (n, m) float64
        Cost units; a view of the caller's array where that was float64 already.
    largest : float
        The largest absolute value of a finite entry.
    has_forbidden : bool
        Whether some entry is ``inf``.
    """

    cost: FloatArray
    largest: float
    has_forbidden: bool = False

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of atoms (n, m)."""
        n, m = self.cost.shape
        return n, m

    def rows(self, start: int, stop: int) -> FloatArray:
        """Return a view of the rows."""
        return self.cost[start:stop]

    def pairs(self, rows: IntArray, columns: IntArray) -> FloatArray:
        """Return the costs of the listed pairs."""
        return self.cost[rows, columns]

    def dense(self) -> FloatArray:
        """Return the matrix itself."""
        return self.cost

    def restrict(self, rows: IntArray, columns: IntArray) -> Dense:
        """Copy the part of the matrix that the listed atoms span."""
        part = np.empty((len(rows), len(columns)))
        # Row by row, which `np.ix_` takes ten times as long for.
        for k, i in enumerate(rows):
            self.cost[i].take(columns, out=part[k], mode="clip")
        part.flags.writeable = False
        return Dense(part, self.largest, self.has_forbidden)

    def column_minimum(self, f: FloatArray) -> FloatArray:
        """Return ``min_i cost[i, j] - f[i]``."""
        return blocks.column_minimum(self, f)

    def row_minimum(self, g: FloatArray) -> FloatArray:
        """Return ``min_j cost[i, j] - g[j]``."""
        return blocks.row_minimum(self, g)

    def derivative(self, rows: IntArray, columns: IntArray) -> FloatArray:
        """Raise: a matrix has no points to differentiate by."""
        raise InputError(
            "the problem was made from a cost matrix, so there are no points to"
            " differentiate by; build it with Problem(x, y, …), or use .cost"
        )
