"""One more atom on each side, outside, for the mass that is not moved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from otdist.errors import InputError
from otdist.geometry.protocol import Dense, Facts, Geometry
from otdist.typing import FloatArray, IntArray


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Extended(Geometry):
    """The costs of a geometry (n, m), and of an atom outside, the last one of each side.

    Attributes
    ----------
    base : Geometry
        Costs between the atoms proper.
    price : float
        Cost between an atom proper and outside.
    idle : float
        Cost between outside and outside.
    """

    base: Geometry
    price: float
    idle: float

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of atoms (n + 1, m + 1)."""
        n, m = self.base.shape
        return n + 1, m + 1

    @property
    def largest(self) -> float:
        """A bound on the absolute value of every finite cost."""
        return max(self.base.largest, self.price, self.idle)

    @property
    def facts(self) -> Facts:
        """Facts: whether some pair of atoms proper is forbidden."""
        return Facts(has_forbidden=self.base.facts.has_forbidden)

    def rows(self, start: int, stop: int) -> FloatArray:
        """Return the costs of a block of rows."""
        n, m = self.base.shape
        block = np.full((stop - start, m + 1), self.price)
        if start < n:
            block[: n - start, :m] = self.base.rows(start, min(stop, n))
        if stop > n:
            block[-1, m] = self.idle
        return block

    def pairs(self, rows: IntArray, columns: IntArray) -> FloatArray:
        """Return the costs of the listed pairs."""
        n, m = self.base.shape
        cost = np.full(len(rows), self.price)
        inside = (rows < n) & (columns < m)
        cost[inside] = self.base.pairs(rows[inside], columns[inside])
        cost[(rows == n) & (columns == m)] = self.idle
        return cost

    def coincide(self, rows: IntArray, columns: IntArray) -> Any:
        """Return which of the listed pairs cost nothing because they must, not by underflow."""
        n, m = self.base.shape
        same = self.pairs(rows, columns) == 0
        inside = (rows < n) & (columns < m)
        same[inside] = self.base.coincide(rows[inside], columns[inside])
        return same

    def restrict(self, rows: IntArray, columns: IntArray) -> Dense:
        """Return the matrix of the listed atoms."""
        n, m = self.base.shape
        inside = np.ix_(rows < n, columns < m)
        part = np.full((len(rows), len(columns)), self.price)
        part[inside] = self.base.restrict(rows[rows < n], columns[columns < m]).dense()
        part[np.ix_(rows == n, columns == m)] = self.idle
        part.flags.writeable = False
        return Dense(part, self.largest, self.facts.has_forbidden)

    def column_minimum(self, f: FloatArray) -> FloatArray:
        """Return ``min_i c[i, j] - f[i]``."""
        return self.with_outside(self.base.column_minimum(f[:-1]), f)

    def row_minimum(self, g: FloatArray) -> FloatArray:
        """Return ``min_j c[i, j] - g[j]``."""
        return self.with_outside(self.base.row_minimum(g[:-1]), g)

    def with_outside(self, inner: FloatArray, potential: FloatArray) -> FloatArray:
        """Return the c-transform of a potential, given that over the atoms proper."""
        of_outside = min((self.price - potential[:-1]).min(), self.idle - potential[-1])
        return np.append(np.minimum(inner, self.price - potential[-1]), of_outside)

    def derivative(self, rows: IntArray, columns: IntArray) -> FloatArray:
        """Raise: an atom outside has no coordinates."""
        raise InputError("the atoms outside have no coordinates to differentiate by")
