"""Couplings as solvers make them: lists of arcs, or entries computed on demand."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from otdist._errors import InputError
from otdist._geometry import Geometry
from otdist._geometry.blocks import require_memory, row_blocks
from otdist._typing import FloatArray, IntArray


class Arcs(NamedTuple):
    """A sparse coupling: arc k carries mass[k] > 0 from rows[k] to columns[k]."""

    rows: IntArray
    columns: IntArray
    mass: FloatArray


class LazyPlan(ABC):
    """A dense coupling that is never stored: blocks of rows are computed when needed.

    ``plan @ values`` takes an array (m,) or (m, k), ``plan.T @ values`` one of (n,) or
    (n, k), in O(n + m) memory and as many exponentials as the plan has entries.
    """

    __slots__ = ()
    # NumPy then leaves ``values @ plan`` to the plan.
    __array_ufunc__ = None

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int]:
        """Numbers of atoms (n, m)."""

    @abstractmethod
    def rows(self, start: int, stop: int) -> FloatArray:
        """Return the entries of a block of rows, shape (stop - start, m)."""

    @property
    def T(self) -> TransposedPlan:  # noqa: N802
        """The plan with its two sides exchanged, shape (m, n)."""
        return TransposedPlan(self)

    def __matmul__(self, values: Any) -> FloatArray:
        n, m = self.shape
        values = _factor(values, m)
        product = np.empty((n, *values.shape[1:]))
        for start, stop in row_blocks(n, m):
            product[start:stop] = self.rows(start, stop) @ values
        return product

    def __rmatmul__(self, values: Any) -> FloatArray:
        return (self.T @ np.asarray(values).T).T

    def marginals(self) -> tuple[FloatArray, FloatArray]:
        """Return the row sums (n,) and the column sums (m,), in mass."""
        n, m = self.shape
        rows, columns = np.empty(n), np.zeros(m)
        for start, stop in row_blocks(n, m):
            block = self.rows(start, stop)
            rows[start:stop] = block.sum(axis=1)
            columns += block.sum(axis=0)
        return rows, columns

    def toarray(self) -> FloatArray:
        """Return all entries, shape (n, m); `InputError` if they do not fit."""
        n, m = self.shape
        require_memory(n, m)
        entries = np.empty((n, m))
        for start, stop in row_blocks(n, m):
            entries[start:stop] = self.rows(start, stop)
        return entries


@dataclass(frozen=True, slots=True, eq=False)
class TransposedPlan:
    """A lazy plan seen from its columns: ``plan.T``."""

    T: LazyPlan
    __array_ufunc__ = None

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of atoms (m, n)."""
        n, m = self.T.shape
        return m, n

    def __matmul__(self, values: Any) -> FloatArray:
        n, m = self.T.shape
        values = _factor(values, n)
        product = np.zeros((m, *values.shape[1:]))
        for start, stop in row_blocks(n, m):
            product += self.T.rows(start, stop).T @ values[start:stop]
        return product

    def __rmatmul__(self, values: Any) -> FloatArray:
        return (self.T @ np.asarray(values).T).T

    def toarray(self) -> FloatArray:
        """Return all entries, shape (m, n); `InputError` if they do not fit."""
        return self.T.toarray().T


def _factor(values: Any, n: int) -> FloatArray:
    """Return what a plan is multiplied by: n numbers, or rows of them."""
    array = np.asarray(values, dtype=float)
    if array.ndim not in (1, 2) or len(array) != n:
        raise InputError(
            f"a plan with {n} atoms on this side is multiplied by an array ({n},) or"
            f" ({n}, k), got {array.shape}"
        )
    return array


@dataclass(frozen=True, slots=True, eq=False)
class EntropicPlan(LazyPlan):
    """An entropic plan rounded to exact marginals, in O(n + m) memory.

    Entry (i, j) is ``r[i] * exp((f[i] + g[j] - c[i, j]) / epsilon) * s[j] + u[i] *
    v[j]``: r and s scale down what is too much, u and v bring in what is missing
    (Altschuler, Weed, Rigollet, 2017). The factors are kept apart from the
    potentials, so that the exponentials round alike whenever they are computed.
    """

    geometry: Geometry
    f: FloatArray
    g: FloatArray
    epsilon: float
    r: FloatArray
    s: FloatArray
    u: FloatArray
    v: FloatArray

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of atoms (n, m)."""
        return self.geometry.shape

    def rows(self, start: int, stop: int) -> FloatArray:
        """Return the entries of a block of rows, shape (stop - start, m)."""
        exponent = self.f[start:stop, None] + self.g - self.geometry.rows(start, stop)
        exponent /= self.epsilon
        block: FloatArray = np.exp(exponent, out=exponent)
        block *= self.r[start:stop, None]
        block *= self.s
        block += self.u[start:stop, None] * self.v
        return block

    def put_back(
        self, geometry: Geometry, rows: IntArray, columns: IntArray
    ) -> EntropicPlan:
        """Return the plan of atoms that `rows` and `columns` had put in order."""

        def back(values: FloatArray, order: IntArray) -> FloatArray:
            restored = np.empty_like(values)
            restored[order] = values
            return restored

        f, r, u = (back(values, rows) for values in (self.f, self.r, self.u))
        g, s, v = (back(values, columns) for values in (self.g, self.s, self.v))
        return EntropicPlan(geometry, f, g, self.epsilon, r, s, u, v)


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddedPlan(LazyPlan):
    """A coupling of the atoms that carry mass, seen on all atoms."""

    part: EntropicPlan
    rows_kept: IntArray
    columns_kept: IntArray
    n_atoms: tuple[int, int]

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of atoms (n, m)."""
        return self.n_atoms

    def rows(self, start: int, stop: int) -> FloatArray:
        """Return the entries of a block of rows, shape (stop - start, m)."""
        first, last = np.searchsorted(self.rows_kept, [start, stop])
        block = np.zeros((stop - start, self.shape[1]))
        if last > first:
            kept = self.rows_kept[first:last] - start
            block[np.ix_(kept, self.columns_kept)] = self.part.rows(first, last)
        return block
