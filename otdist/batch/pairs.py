"""Pairs of many measures, counted so that a range of numbers is a block of work."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from otdist.typing import FloatArray, IntArray

#: Atoms of a measure up to which its pairs are small problems, which compiled code
#: solves many at a time.
LARGEST = 512


class Failure(NamedTuple):
    """A pair without an answer, and the reason."""

    i: int
    j: int
    reason: str


class Block(NamedTuple):
    """Distances of some pairs, NaN for those without an answer."""

    values: FloatArray
    failures: list[Failure]


class Pairs(NamedTuple):
    """Pairs (i, j) of K and L measures; only i < j if `is_symmetric`."""

    n_rows: int
    n_columns: int
    is_symmetric: bool

    @property
    def number(self) -> int:
        """The number of pairs."""
        if self.is_symmetric:
            return self.n_rows * (self.n_rows - 1) // 2
        return self.n_rows * self.n_columns

    def between(self, start: int, stop: int) -> tuple[IntArray, IntArray]:
        """Return rows and columns of the pairs, which are counted row by row."""
        number = np.arange(start, stop)
        if not self.is_symmetric:
            return np.divmod(number, self.n_columns)
        k = np.arange(self.n_rows)
        before = k * (2 * self.n_rows - k - 1) // 2
        i = np.searchsorted(before, number, side="right") - 1
        return i, number - before[i] + i + 1
