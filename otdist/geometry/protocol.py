"""The interface of all geometries, and the simplest one: a matrix.

A geometry knows the cost of moving one unit of mass from atom i to atom j. It holds no
weights, validates nothing and decides nothing. Solvers and certificates ask it for
`Facts`, never for its class, so that a new geometry is one class and nothing else.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from otdist.errors import InputError
from otdist.runtime import blocks
from otdist.typing import FloatArray, IntArray

if TYPE_CHECKING:
    from otdist.compiled.costs import Costs
    from otdist.geometry.points import Points


class Facts(NamedTuple):
    """What solvers and certificates may rely on."""

    #: The cost is a metric: it obeys the triangle inequality.
    is_metric: bool = False
    #: Some costs are ``inf``.
    has_forbidden: bool = False
    #: Orders of the atoms along a line or a circle, in which mass is coupled in order.
    order: tuple[IntArray, IntArray] | None = None
    #: The atoms are numbers, and the cost is ``|x - y| ** p`` with p >= 1.
    is_line: bool = False
    #: Both sides are the same atoms in the same order.
    same_atoms: bool = False
    #: The cost is a sum over the axes of a grid (`Grid`).
    is_separable: bool = False
    #: Kernels read or compute single costs: no matrix has to be made for them.
    is_compiled: bool = False
    #: A row of costs takes a search: solvers read a matrix instead.
    takes_search: bool = False
    #: Atoms have coordinates to differentiate by.
    has_positions: bool = False
    #: No cost is negative.
    is_positive: bool = False
    #: How far a computed cost may be off, in parts of 2**-52 of it. Those of a matrix are exact.
    roundings: float = 0.0
    #: How far a computed cost may be off beyond that, where squares or powers underflow.
    least: float = 0.0
    #: Which connected part an atom is in (N,), where no finite cost joins the parts.
    component: IntArray | None = None


_NO_FACTS = Facts()
#: Facts of a matrix without forbidden arcs, and with some.
_OF_MATRIX = Facts(is_compiled=True), Facts(is_compiled=True, has_forbidden=True)


class Edges(NamedTuple):
    """Pairs of atoms whose shortest paths are as long as the costs."""

    tails: IntArray
    heads: IntArray
    lengths: FloatArray


class Geometry:
    """A ground cost ``c[i, j]``; a subclass says its shape, `largest`, rows and pairs.

    Not an `abc.ABC`, whose `isinstance` takes longer than all of the choice of a solver.
    """

    __slots__ = ()
    #: Name of the costs in the ``repr`` of a problem.
    label: ClassVar[str] = "geometry"

    def __repr__(self) -> str:
        n, m = self.shape
        return f"{type(self).__name__}({n} by {m})"

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int]:
        """Numbers of atoms (n, m)."""

    if TYPE_CHECKING:  # a field of most geometries, which no property may be there for

        @property
        def largest(self) -> float:
            """A bound on the absolute value of every finite cost."""

    @abstractmethod
    def rows(self, start: int, stop: int) -> FloatArray:
        """Return the costs ``c[start:stop, :]``, at most a block of them at a time."""

    @abstractmethod
    def pairs(self, rows: IntArray, columns: IntArray) -> FloatArray:
        """Return the costs of the listed pairs."""

    @property
    def facts(self) -> Facts:
        """Facts: nothing, unless a geometry says more."""
        return _NO_FACTS

    def dense(self) -> FloatArray:
        """Return the whole read-only matrix; `InputError` if it cannot fit in memory."""
        n, m = self.shape
        blocks.require_memory(n, m)
        cost = np.empty((n, m))
        for start, stop in blocks.row_blocks(n, m):
            cost[start:stop] = self.rows(start, stop)
        cost.flags.writeable = False
        return cost

    def tabulated(self) -> Geometry:
        """Return the geometry to solve on: the matrix, where costs are slow to compute."""
        return Dense(self.dense(), self.largest, self.facts.has_forbidden)

    def costs(self) -> Costs:
        """Return the costs as kernels of solvers read them: the matrix, unless overridden."""
        from otdist.compiled.costs import from_matrix

        return from_matrix(self.dense())

    def resolution(self) -> tuple[float, float] | None:
        """Return how far distances follow the last digits of all coordinates, and their order.

        The order is the power of a distance that is a cost. None for atoms without coordinates.
        """
        return None

    def coincide(self, rows: IntArray, columns: IntArray) -> Any:
        """Return which of the listed pairs cost nothing because they must, not by underflow."""
        return self.pairs(rows, columns) == 0

    def edges(self, reach: int = 1) -> Edges | None:
        """Return edges whose shortest paths are as long as the costs; None where none are known.

        For pixels with the Euclidean metric paths are longer, by a part that falls with
        `reach`.
        """
        del reach
        return None

    def as_points(self) -> Points | None:
        """Return points and a metric with these costs; None if there are no such points."""
        return None

    def restrict(self, rows: IntArray, columns: IntArray) -> Geometry:
        """Return the geometry of the listed atoms."""
        each = [self.pairs(np.full(len(columns), i), columns) for i in rows]
        part = np.reshape(each, (len(rows), len(columns)))
        part.flags.writeable = False
        return Dense(part, self.largest, self.facts.has_forbidden)

    def transposed(self) -> Geometry:
        """Return the geometry with sources and sinks exchanged."""
        return Dense(self.dense().T, self.largest, self.facts.has_forbidden)

    @property
    def exponent(self) -> int:
        """Return k if solvers and certificates need the unit of length 2**k; mostly 0."""
        return 0

    def in_unit(self, k: int) -> Geometry:
        """Return the geometry in the unit of length 2**k, where `exponent` is not 0."""
        raise NotImplementedError

    def has_equal_sides(self) -> bool:
        """Whether both sides are known to be the same atoms in the same order."""
        return self.facts.same_atoms

    def column_minimum(self, f: FloatArray) -> FloatArray:
        """Return the c-transform of f, ``g[j] = min_i c[i, j] - f[i]``."""
        n, m = self.shape
        g = np.full(m, np.inf)
        for start, stop in blocks.row_blocks(n, m):
            slack = self.rows(start, stop) - f[start:stop, None]
            np.minimum(g, slack.min(axis=0), out=g)
        return g

    def row_minimum(self, g: FloatArray) -> FloatArray:
        """Return the c-transform of g, ``f[i] = min_j c[i, j] - g[j]``."""
        n, m = self.shape
        f = np.empty(n)
        for start, stop in blocks.row_blocks(n, m):
            f[start:stop] = (self.rows(start, stop) - g).min(axis=1)
        return f

    def derivative(self, rows: IntArray, columns: IntArray) -> FloatArray:
        """Return the gradient (k, d) of the listed costs in ``x[rows]``."""
        del rows, columns
        raise InputError(
            f"a problem on a {self.label} has no coordinates to differentiate by; use the"
            " gradients in a, b and cost, or make it of points with Problem(x, y, …)"
        )

    def slopes(self, start: int, stop: int, mass: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return how ``sum(mass * cost)`` changes as ``x[start:stop]`` and all y move.

        Parameters
        ----------
        start, stop : int
            A block of rows.
        mass : ndarray (stop - start, m)
            A plan's entries there.

        Returns
        -------
        by_x, by_y : ndarray (stop - start, d), (m, d)
            Cost × mass per unit of coordinate; for y the part of these rows.
        """
        rows, columns = np.nonzero(mass)
        return self.arc_slopes(start, stop, rows, columns, mass[rows, columns])

    def arc_slopes(
        self, start: int, stop: int, rows: IntArray, columns: IntArray, mass: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Return `slopes` for the listed arcs, whose `rows` are counted from `start`."""
        # Costs depend on x - y, so the gradient in y is minus that in x.
        slope = mass[:, None] * self.derivative(rows + start, columns)
        by_x = np.zeros((stop - start, slope.shape[1]))
        by_y = np.zeros((self.shape[1], slope.shape[1]))
        np.add.at(by_x, rows, slope)
        np.subtract.at(by_y, columns, slope)
        return by_x, by_y


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Dense(Geometry):
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

    label: ClassVar[str] = "cost matrix"

    cost: FloatArray
    largest: float
    has_forbidden: bool = False

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of atoms (n, m)."""
        n, m = self.cost.shape
        return n, m

    @property
    def facts(self) -> Facts:
        """Facts: kernels read the matrix."""
        return _OF_MATRIX[self.has_forbidden]

    def rows(self, start: int, stop: int) -> FloatArray:
        """Return a view of the rows."""
        return self.cost[start:stop]

    def pairs(self, rows: IntArray, columns: IntArray) -> FloatArray:
        """Return the costs of the listed pairs."""
        return self.cost[rows, columns]

    def dense(self) -> FloatArray:
        """Return the matrix itself."""
        return self.cost

    def tabulated(self) -> Dense:
        """Return the geometry itself."""
        return self

    def restrict(self, rows: IntArray, columns: IntArray) -> Dense:
        """Copy the part of the matrix that the listed atoms span."""
        part = np.empty((len(rows), len(columns)))
        # Row by row, which `np.ix_` takes ten times as long for.
        for k, i in enumerate(rows):
            self.cost[i].take(columns, out=part[k], mode="clip")
        part.flags.writeable = False
        has_forbidden = self.has_forbidden and not np.isfinite(part).all()
        return Dense(part, self.largest, has_forbidden)
