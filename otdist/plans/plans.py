"""Couplings as solvers make them: lists of arcs, or entries computed on demand."""

from __future__ import annotations

import functools
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from otdist.errors import InputError
from otdist.geometry.protocol import Geometry
from otdist.runtime.blocks import require_memory, row_blocks
from otdist.runtime.show import table
from otdist.typing import FloatArray, IntArray

if TYPE_CHECKING:
    from otdist.compiled.costs import Costs
    from otdist.geometry.grid_separable import Grid


class Arcs(NamedTuple):
    """A sparse coupling: arc k carries mass[k] > 0 from rows[k] to columns[k]."""

    rows: IntArray
    columns: IntArray
    mass: FloatArray

    def __repr__(self) -> str:
        return f"Arcs({len(self.mass)} arcs)"

    def __array__(self, dtype: Any = None, copy: Any = None) -> FloatArray:
        raise TypeError("arcs are no matrix; np.asarray(result.plan.toarray()) is the coupling")


@dataclass(frozen=True, slots=True, eq=False)
class Flow:
    """Mass that moves along edges: mass that reaches a node goes on or stays there.

    Any flow whose divergence is a - b costs, in a metric, at least as much as a coupling
    that it can be split into, and an optimal one as much as an optimal coupling.

    Attributes
    ----------
    tails, heads : ndarray (k,) int64
        Where each edge begins and ends.
    units : ndarray (k,) int64
        Mass along each edge, > 0, in multiples of `unit`.
    unit : float
        A unit, in mass. Whole numbers keep divergences exact.
    n_nodes : int
        Number of nodes.
    """

    tails: IntArray
    heads: IntArray
    units: IntArray
    unit: float
    n_nodes: int

    def __repr__(self) -> str:
        return f"Flow({len(self.units)} edges between {self.n_nodes} nodes)"

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of atoms (N, N)."""
        return self.n_nodes, self.n_nodes

    @property
    def amounts(self) -> FloatArray:
        """Mass along each edge (k,)."""
        return np.asarray(self.units * self.unit)

    def matrix(self) -> Any:
        """Return the amounts as a sparse ``coo_array`` (N, N): from tail to head."""
        from scipy.sparse import coo_array

        return coo_array((self.amounts, (self.tails, self.heads)), shape=self.shape)

    def arcs(self, a: FloatArray, b: FloatArray) -> Arcs:
        """Split the flow into a coupling of a and b; mass common to both stays.

        Takes time in proportion to the edges, and to the paths that share them.
        """
        from otdist.plans.kernels.decompose_flow import decompose

        n, k = self.n_nodes, len(self.tails)
        order = np.argsort(self.tails, kind="stable")
        heads, units = self.heads[order], self.units[order]
        start = np.searchsorted(self.tails[order], np.arange(n + 1))
        excess = np.zeros(n, np.int64)
        np.add.at(excess, self.tails, self.units)
        np.subtract.at(excess, self.heads, self.units)
        found = np.empty((3, 2 * n + k), np.int64)
        lots, nodes = np.empty((3, n + k), np.int64), np.empty((3, n), np.int64)
        n_found, n_done = decompose(start, heads, units, excess, lots, nodes, found)
        if n_done < n:
            raise InputError("the flow runs in a circle, so that no plan comes of it")
        common = np.minimum(a, b)
        kept = np.flatnonzero(common)
        rows, columns, moved = found[:, :n_found]
        return Arcs(
            np.concatenate([kept, rows]),
            np.concatenate([kept, columns]),
            np.concatenate([common[kept], moved * self.unit]),
        )


class LazyPlan(ABC):
    """A dense coupling that is never stored: blocks of rows are computed when needed.

    ``plan @ values`` takes an array (m,) or (m, k), ``plan.T @ values`` one of (n,) or
    (n, k), in O(n + m) memory and as many exponentials as the plan has entries.
    """

    __slots__ = ()
    # NumPy then leaves ``values @ plan`` to the plan.
    __array_ufunc__ = None

    def __repr__(self) -> str:
        n, m = self.shape
        return f"{type(self).__name__}({n} by {m}, epsilon={self.epsilon:.6g})"

    def _repr_html_(self) -> str:
        n, m = self.shape
        return table(
            type(self).__name__,
            [
                ("shape", f"{n} by {m}, entries computed when asked for"),
                ("epsilon", f"{self.epsilon:.6g}"),
                ("products", "plan @ values, plan.T @ values"),
                ("entries", "plan.rows(start, stop), plan.toarray()"),
            ],
        )

    def __array__(self, dtype: Any = None, copy: Any = None) -> FloatArray:
        return np.asarray(self.toarray(), dtype=dtype)

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int]:
        """Numbers of atoms (n, m)."""

    if TYPE_CHECKING:  # a field of most plans, which no property may be there for

        @property
        def epsilon(self) -> float:
            """Entropic weight of the plan, cost units."""

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

    def _from_left(self, values: FloatArray) -> FloatArray:
        """Return ``plan.T @ values``."""
        n, m = self.shape
        product = np.zeros((m, *values.shape[1:]))
        for start, stop in row_blocks(n, m):
            product += self.rows(start, stop).T @ values[start:stop]
        return product

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
        return self.T._from_left(_factor(values, self.shape[1]))

    def __rmatmul__(self, values: Any) -> FloatArray:
        return (self.T @ np.asarray(values).T).T

    def toarray(self) -> FloatArray:
        """Return all entries, shape (m, n); `InputError` if they do not fit."""
        return self.T.toarray().T


def _factor(values: Any, n: int) -> FloatArray:
    """Return the factor of a product: n numbers, or n rows of them."""
    array = np.asarray(values, dtype=float)
    if array.ndim not in (1, 2) or len(array) != n:
        raise InputError(
            f"a plan with {n} atoms on this side is multiplied by an array ({n},) or"
            f" ({n}, k), got {array.shape}"
        )
    return array


@dataclass(frozen=True, eq=False, repr=False)
class EntropicPlan(LazyPlan):
    """An entropic plan rounded to exact marginals, in O(n + m) memory.

    Entry (i, j) is ``r[i] * exp((f[i] + g[j] - c[i, j]) / epsilon) * s[j] + u[i] *
    v[j]``: r and s scale down heavy rows and columns, u and v add the missing mass
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
        if self._costs is None:
            return self._rows_of_any(start, stop)
        from otdist.plans.kernels.entropic import entropic_rows

        block = np.empty((stop - start, self.shape[1]))
        entropic_rows(
            self._costs,
            start,
            self.f,
            self.g,
            self._scale,
            self.r,
            self.s,
            self.u,
            self.v,
            self._nothing,
            block,
        )
        return block

    def add_scaled_down(
        self,
        start: int,
        stop: int,
        mass: FloatArray,
        rows: FloatArray,
        columns: FloatArray,
        scratch: FloatArray,
    ) -> None:
        """Write sums of the rows from `start` on; add the scaled rows to columns.

        Of a plan in which only the columns have been scaled: rows that are too heavy
        are scaled down. `scratch` takes a row.
        """
        if self._costs is None:
            block = self.rows(start, stop)
            rows[start:stop] = sums = block.sum(axis=1)
            columns += (mass[start:stop] / np.maximum(mass[start:stop], sums)) @ block
            return
        from otdist.plans.kernels.entropic import rounded_sums

        rounded_sums(
            self._costs,
            start,
            stop,
            self.f,
            self.g,
            self._scale,
            self.s,
            mass,
            self._nothing,
            scratch,
            rows,
            columns,
        )

    @property
    def _scale(self) -> float:
        return 1 / (self.epsilon * math.log(2))

    @functools.cached_property
    def _nothing(self) -> FloatArray:
        return np.zeros(self.shape[1])

    def _rows_of_any(self, start: int, stop: int) -> FloatArray:
        """Return rows of costs that kernels do not know, such as a metric that is a function."""
        exponent = self.f[start:stop, None] + self.g - self.geometry.rows(start, stop)
        exponent /= self.epsilon
        block: FloatArray = np.exp(exponent, out=exponent)
        block *= self.r[start:stop, None]
        block *= self.s
        block += self.u[start:stop, None] * self.v
        return block

    @functools.cached_property
    def _costs(self) -> Costs | None:
        """Costs as kernels read them; None where a matrix would have to be made."""
        return self.geometry.costs() if self.geometry.facts.is_compiled else None

    def put_back(self, geometry: Geometry, rows: IntArray, columns: IntArray) -> EntropicPlan:
        """Return the plan of atoms that `rows` and `columns` had put in order."""

        def back(values: FloatArray, order: IntArray) -> FloatArray:
            restored = np.empty_like(values)
            restored[order] = values
            return restored

        f, r, u = (back(values, rows) for values in (self.f, self.r, self.u))
        g, s, v = (back(values, columns) for values in (self.g, self.s, self.v))
        return EntropicPlan(geometry, f, g, self.epsilon, r, s, u, v)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class GridPlan(LazyPlan):
    """An entropic plan of two images, rounded to their masses, in O(N) memory.

    Entry (i, j) is ``exp(log_r[i] + log_s[j] - c[i, j] / epsilon) + u[i] * v[j]``. Its
    sums go through one axis of the grid after the other.
    """

    geometry: Grid
    epsilon: float
    log_r: FloatArray
    log_s: FloatArray
    u: FloatArray
    v: FloatArray

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of pixels (N, N)."""
        return self.geometry.shape

    def rows(self, start: int, stop: int) -> FloatArray:
        """Return the entries of a block of rows, shape (stop - start, N)."""
        exponent = self.geometry.rows(start, stop)
        exponent /= -self.epsilon
        exponent += self.log_r[start:stop, None]
        exponent += self.log_s
        block: FloatArray = np.exp(exponent, out=exponent)
        block += self.u[start:stop, None] * self.v
        return block

    def __matmul__(self, values: Any) -> FloatArray:
        sides = self.log_r, self.log_s, self.u, self.v
        return self._product(_factor(values, self.shape[1]), *sides)

    def _from_left(self, values: FloatArray) -> FloatArray:
        return self._product(values, self.log_s, self.log_r, self.v, self.u)

    def marginals(self) -> tuple[FloatArray, FloatArray]:
        """Return the row sums and the column sums, in time O(N · sum of the sides)."""
        ones = np.ones(self.shape[0])
        return self @ ones, self.T @ ones

    def _product(
        self,
        values: FloatArray,
        log_r: FloatArray,
        log_s: FloatArray,
        u: FloatArray,
        v: FloatArray,
    ) -> FloatArray:
        """Multiply positive and negative values apart: sums are of exponentials."""
        products = []
        for column in np.atleast_2d(values.T):
            total = u * float(v @ column)
            for sign in (1.0, -1.0):
                part = np.maximum(sign * column, 0.0)
                if part.any():
                    with np.errstate(divide="ignore"):
                        logs = log_s + np.log(part)
                    sums = self.geometry.along_axes(logs, self._log_sums)
                    total += sign * np.exp(log_r + sums)
            products.append(total)
        return np.reshape(np.transpose(products), values.shape)

    def _log_sums(self, lines: FloatArray, k: int) -> FloatArray:
        """Return ``log sum_i exp(lines[:, i] - c[i, j] / epsilon)``."""
        exponent, sums = self.geometry.axis_cost(k) / -self.epsilon, []
        for start, stop in row_blocks(len(lines), exponent.size):
            terms = lines[start:stop, None, :] + exponent
            top = np.maximum(terms.max(axis=2), np.finfo(float).min)
            with np.errstate(divide="ignore"):
                total = np.log(np.exp(terms - top[:, :, None]).sum(axis=2))
            sums.append(top + total)
        return np.concatenate(sums)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
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

    @property
    def epsilon(self) -> float:
        """Entropic weight of the plan, cost units."""
        return self.part.epsilon

    def rows(self, start: int, stop: int) -> FloatArray:
        """Return the entries of a block of rows, shape (stop - start, m)."""
        first, last = np.searchsorted(self.rows_kept, [start, stop])
        block = np.zeros((stop - start, self.shape[1]))
        if last > first:
            kept = self.rows_kept[first:last] - start
            block[np.ix_(kept, self.columns_kept)] = self.part.rows(first, last)
        return block
