"""Couplings as solvers make them: lists of arcs, or entries computed on demand."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from otdist._geometry import Geometry
from otdist._geometry.blocks import require_memory, row_blocks
from otdist._geometry.dense import Dense
from otdist._geometry.grid import Grid
from otdist._geometry.line import Line
from otdist._geometry.points import Points
from otdist._typing import FloatArray, IntArray

if TYPE_CHECKING:
    from otdist._kernels.costs import Costs


class Arcs(NamedTuple):
    """A sparse coupling: arc k carries mass[k] > 0 from rows[k] to columns[k]."""

    rows: IntArray
    columns: IntArray
    mass: FloatArray


@dataclass(frozen=True, eq=False)
class EntropicPlan:
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
        if self._costs is None:
            return self._rows_of_any(start, stop)
        from otdist._kernels.plans import entropic_rows

        block = np.empty((stop - start, self.shape[1]))
        scale = 1 / (self.epsilon * math.log(2))
        factors = self.r, self.s, self.u, self.v
        nothing = np.zeros(self.shape[1])
        entropic_rows(
            self._costs, start, self.f, self.g, scale, *factors, nothing, block
        )
        return block

    def _rows_of_any(self, start: int, stop: int) -> FloatArray:
        """Do the same for a metric that is a function."""
        exponent = self.f[start:stop, None] + self.g - self.geometry.rows(start, stop)
        exponent /= self.epsilon
        block: FloatArray = np.exp(exponent, out=exponent)
        block *= self.r[start:stop, None]
        block *= self.s
        block += self.u[start:stop, None] * self.v
        return block

    @functools.cached_property
    def _costs(self) -> Costs | None:
        """Costs as kernels read them, without making a matrix."""
        from otdist._exact.matrix import costs_of

        geometry = self.geometry
        is_named = isinstance(geometry, Points) and isinstance(geometry.metric, str)
        return (
            costs_of(geometry)
            if is_named or isinstance(geometry, Dense | Line)
            else None
        )

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

    def toarray(self) -> FloatArray:
        """Return all entries, shape (n, m); `InputError` if they do not fit."""
        return _all_rows(self)


@dataclass(frozen=True, slots=True, eq=False)
class GridPlan:
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

    def marginals(self) -> tuple[FloatArray, FloatArray]:
        """Return the row sums and the column sums, in time O(N · sum of the sides)."""
        rows = np.exp(self.log_r + self.geometry.along_axes(self.log_s, self._log_sums))
        columns = np.exp(
            self.log_s + self.geometry.along_axes(self.log_r, self._log_sums)
        )
        return rows + self.u * self.v.sum(), columns + self.u.sum() * self.v

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

    def toarray(self) -> FloatArray:
        """Return all entries, shape (N, N); `InputError` if they do not fit."""
        return _all_rows(self)


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddedPlan:
    """A coupling of the atoms that carry mass, seen on all atoms."""

    part: EntropicPlan
    rows_kept: IntArray
    columns_kept: IntArray
    shape: tuple[int, int]

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

    def toarray(self) -> FloatArray:
        """Return all entries, shape (n, m); `InputError` if they do not fit."""
        return _all_rows(self)


def _all_rows(plan: EntropicPlan | GridPlan | EmbeddedPlan) -> FloatArray:
    n, m = plan.shape
    require_memory(n, m)
    entries = np.empty((n, m))
    for start, stop in row_blocks(n, m):
        entries[start:stop] = plan.rows(start, stop)
    return entries
