"""Where costs come from: a matrix, or points and a metric.

A geometry knows the cost of moving one unit of mass from atom i to atom j. It
holds no weights, validates nothing and decides nothing. All geometries answer
the same questions (`Geometry`), so that a certificate needs only one code.
"""

from typing import Protocol

from otdist.typing import FloatArray, IntArray


class Geometry(Protocol):
    """What a solver or a certificate may ask of a ground cost ``c[i, j]``."""

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of atoms (n, m)."""
        ...

    @property
    def largest(self) -> float:
        """A bound on the absolute value of every finite cost."""
        ...

    def rows(self, start: int, stop: int) -> FloatArray:
        """Costs ``c[start:stop, :]``, at most a block of them at a time."""
        ...

    def pairs(self, rows: IntArray, columns: IntArray) -> FloatArray:
        """Costs of the listed pairs."""
        ...

    def dense(self) -> FloatArray:
        """Return the whole read-only matrix; `InputError` if it cannot fit."""
        ...

    def restrict(self, rows: IntArray, columns: IntArray) -> "Geometry":
        """Return the geometry of the listed atoms."""
        ...

    def column_minimum(self, f: FloatArray) -> FloatArray:
        """Return the c-transform of f, ``g[j] = min_i c[i, j] - f[i]``."""
        ...

    def row_minimum(self, g: FloatArray) -> FloatArray:
        """Return the c-transform of g, ``f[i] = min_j c[i, j] - g[j]``."""
        ...

    def derivative(self, rows: IntArray, columns: IntArray) -> FloatArray:
        """Return the gradient (k, d) of the listed costs in ``x[rows]``."""
        ...
