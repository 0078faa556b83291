"""Costs ``|x - y| ** p`` with p < 1 on the real line: a metric, but not convex."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from otdist.runtime import blocks
from otdist.typing import FloatArray, IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Concave:
    """Numbers x (n,) and y (m,) with cost ``|x - y| ** p``, 0 < p < 1."""

    x: FloatArray
    y: FloatArray
    p: float
    largest: float

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of atoms (n, m)."""
        return len(self.x), len(self.y)

    def rows(self, start: int, stop: int) -> FloatArray:
        """Compute the costs of a block of rows."""
        return np.asarray(np.abs(self.x[start:stop, None] - self.y) ** self.p)

    def pairs(self, rows: IntArray, columns: IntArray) -> FloatArray:
        """Compute the costs of the listed pairs."""
        return np.asarray(np.abs(self.x[rows] - self.y[columns]) ** self.p)

    def dense(self) -> FloatArray:
        """Compute the whole matrix; `InputError` if it cannot fit in memory."""
        return blocks.dense(self)

    def restrict(self, rows: IntArray, columns: IntArray) -> Concave:
        """Return the geometry of the listed points."""
        return Concave(self.x[rows], self.y[columns], self.p, self.largest)

    def column_minimum(self, f: FloatArray) -> FloatArray:
        """Return ``min_i c[i, j] - f[i]``."""
        return blocks.column_minimum(self, f)

    def row_minimum(self, g: FloatArray) -> FloatArray:
        """Return ``min_j c[i, j] - g[j]``."""
        return blocks.row_minimum(self, g)

    def derivative(self, rows: IntArray, columns: IntArray) -> FloatArray:
        """Return the gradient (k, 1) of the costs in the first point; 0 at a cusp."""
        difference = self.x[rows] - self.y[columns]
        distance = np.where(difference == 0, 1.0, np.abs(difference))
        slope = self.p * distance ** (self.p - 1) * np.sign(difference)
        return np.asarray(slope[:, None])
