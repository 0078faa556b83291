"""A transport problem: two measures and a ground cost, validated once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np

from otdist.errors import InputError, warn
from otdist.geometry.build import point_geometry, require_metric, require_product
from otdist.geometry.outside import Extended
from otdist.geometry.protocol import Dense, Geometry
from otdist.inputs import validate as _validate
from otdist.problem.constructors import Structured
from otdist.typing import ArrayLike, FloatArray, IntArray, Metric


@dataclass(frozen=True, slots=True, eq=False, init=False, repr=False)
class Problem(Structured):
    """Move the masses a to the masses b at the least cost ``metric(x, y) ** p``.

    Everything is checked here and nowhere else; solvers and certificates rely
    on it. Arrays are copied (a cost matrix is not) and read-only.

    Parameters
    ----------
    x : array_like (n, d) or (n,)
        Points of the first measure; a 1-D array is points on the line.
    y : array_like (m, d) or (m,)
        Points of the second measure, with the same d.
    a : array_like (n,), optional
        Masses of x, >= 0. Default: 1/n each.
    b : array_like (m,), optional
        Masses of y, >= 0, with the same sum as a. Default: 1/m each.
    metric : str or callable, default "euclidean"
        ``"euclidean"``, ``"cityblock"`` (L1), ``"chebyshev"`` (L∞),
        ``"sqeuclidean"`` (with p = 1 only), or a function of two points.
    p : float, default 1
        Order, 1 <= p <= inf. The cost of a pair is ``metric(x, y) ** p``;
        for p = inf the largest distance moved counts.
    normalize : bool, default False
        Divide each side's masses by their sum first.
    concave : bool, default False
        Take 0 < p < 1, on the line only. The cost ``|x - y| ** p`` is then a metric by
        itself, so that no root is taken: ``distance`` is ``value``.

    Attributes
    ----------
    geometry : Geometry
        Where the costs come from.
    a, b : ndarray (n,), (m,) float64
        The masses, read-only. Sums that differ by no more than the rounding of
        the type they came in (1e-9 relative, 1e-5 for float32, 1e-2 for
        float16) are made equal by scaling b.
    metric, p
        As given; ``None`` and 1 (or inf) for a problem made from a cost matrix;
        ``None`` and 1 on a graph.
    mass : float
        The total mass of either side.

    Raises
    ------
    InputError
        NaN, infinite or negative entries, shapes that do not fit, masses that
        differ, an unknown metric, an order below 1, costs that over- or
        underflow float64.

    Examples
    --------
    >>> from otdist import Problem, solve
    >>> problem = Problem([0.0, 1.0, 3.0], [5.0, 6.0, 8.0], p=2)
    >>> solve(problem).distance
    5.0
    """

    geometry: Geometry
    a: FloatArray
    b: FloatArray
    metric: Metric | None
    p: float
    mass: float

    def __init__(
        self,
        x: ArrayLike,
        y: ArrayLike,
        a: ArrayLike | None = None,
        b: ArrayLike | None = None,
        *,
        metric: Metric = "euclidean",
        p: float = 1,
        normalize: bool = False,
        concave: bool = False,
    ) -> None:
        order = _validate.as_order(p, concave)
        require_metric(metric, order)
        points_x, points_y = _validate.as_points("x", x), _validate.as_points("y", y)
        _validate.require_same_space(points_x, points_y)
        if a is None and b is None:
            warn_if_histograms(points_x, points_y)
        geometry = point_geometry(points_x, points_y, metric, order)
        self._fill(geometry, a, b, metric, order, normalize)

    @classmethod
    def from_cost(
        cls,
        cost: ArrayLike,
        a: ArrayLike | None = None,
        b: ArrayLike | None = None,
        *,
        p: float = 1,
        price: float | None = None,
        mass: float | None = None,
        normalize: bool = False,
    ) -> Self:
        """Make a problem from a cost matrix.

        Parameters
        ----------
        cost : array_like (n, m)
            Cost of moving a unit of mass from i to j, in cost units; ``inf``
            forbids the arc, negative costs are allowed. A float64 C-contiguous
            matrix is used as it is, without a copy: leave it alone meanwhile.
        a, b : array_like (n,), (m,), optional
            Masses; uniform probabilities by default.
        p : {1, inf}, default 1
            Whether the cost of all mass counts, or the largest cost that some mass
            pays (the bottleneck). Its distance is its value.
        price, mass : float, optional
            Cost of a unit of mass that is not moved, or the mass to move: see `partial`.
        normalize : bool, default False
            Divide each side's masses by their sum first.

        Returns
        -------
        Problem

        Raises
        ------
        InputError
            As for `Problem`; NaN or ``-inf`` costs; another order.

        Examples
        --------
        >>> from otdist import Problem, solve
        >>> solve(Problem.from_cost([[0, 1], [1, 0]], [0.5, 0.5], [0.25, 0.75])).value
        0.25
        """
        if p not in (1, math.inf):
            raise InputError(
                f"p must be 1 or inf for a cost matrix, got {p!r}; for another order"
                " pass the matrix distance**p"
            )
        matrix, largest, has_forbidden = _validate.as_cost(cost)
        geometry, order = Dense(matrix, largest, has_forbidden), float(p)
        if price is not None or mass is not None:
            if normalize or order != 1:
                raise InputError(
                    "price and mass are for masses as they are and p=1; got"
                    f" normalize={normalize!r} and p={p!r}"
                )
            return cls._partly(geometry, a, b, price, mass, None, order)
        problem = cls.__new__(cls)
        problem._fill(geometry, a, b, None, order, normalize)
        return problem

    def _fill(
        self,
        geometry: Geometry,
        a: ArrayLike | None,
        b: ArrayLike | None,
        metric: Metric | None,
        p: float,
        normalize: bool,
    ) -> None:
        of = ("row of cost", "column of cost")
        if metric is not None:
            of = ("point of x", "point of y")
        masses_a, masses_b, mass = _validate.as_masses(a, b, geometry.shape, of, normalize)
        require_product(mass, geometry.largest)
        self._set(geometry, masses_a, masses_b, metric, p, mass)

    @classmethod
    def _of(
        cls,
        geometry: Geometry,
        a: FloatArray,
        b: FloatArray,
        metric: Metric | None,
        p: float,
        mass: float,
    ) -> Self:
        """Return the problem with these fields; a and b are not shared with a caller."""
        require_product(mass, geometry.largest)
        problem = cls.__new__(cls)
        problem._set(geometry, a, b, metric, p, mass)
        return problem

    def _set(
        self,
        geometry: Geometry,
        a: FloatArray,
        b: FloatArray,
        metric: Metric | None,
        p: float,
        mass: float,
    ) -> None:
        """Fill in the fields; a and b are not shared with a caller."""
        a.setflags(write=False)
        b.setflags(write=False)
        for name, value in (
            ("geometry", geometry),
            ("a", a),
            ("b", b),
            ("metric", metric),
            ("p", p),
            ("mass", mass),
        ):
            object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        n, m = (size - self.is_partial for size in self.shape)
        kind = f"{self.metric}, p={self.p:g}"
        kind = self.geometry.label if self.metric is None else kind
        how = ", partial" if self.is_partial else f", mass {self.mass:.6g}"
        return f"Problem({n} by {m}, {kind}{how})"

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of atoms (n, m)."""
        return self.geometry.shape

    @property
    def is_line(self) -> bool:
        """Whether the atoms are numbers and the cost is ``|x - y| ** p``."""
        return self.geometry.facts.is_line

    @property
    def is_bottleneck(self) -> bool:
        """Whether p = inf: the largest distance moved counts, not a sum."""
        return math.isinf(self.p)

    @property
    def is_partial(self) -> bool:
        """Whether some mass may stay: the last atom of each side is outside."""
        return isinstance(self.geometry, Extended)

    @property
    def is_metric(self) -> bool:
        """Whether the cost is a true metric, as Kantorovich-Rubinstein needs."""
        return self.geometry.facts.is_metric and not self.is_bottleneck

    @property
    def is_assignment(self) -> bool:
        """Whether both sides have n atoms of one mass."""
        n, m = self.shape
        return n == m and bool((self.a == self.a[0]).all() and (self.b == self.a[0]).all())

    @property
    def is_symmetric(self) -> bool:
        """Whether both sides are the same points with the same masses."""
        return self.geometry.has_equal_sides() and np.array_equal(self.a, self.b)

    def support(self) -> tuple[Problem, IntArray, IntArray]:
        """Return the problem on the atoms that carry mass, and their indices.

        Pixels of a grid become points.
        """
        n, m = len(self.a), len(self.b)
        all_carry = np.count_nonzero(self.a) == n and np.count_nonzero(self.b) == m
        if all_carry and not self.geometry.facts.is_separable:
            return self, np.arange(n), np.arange(m)
        rows, columns = np.flatnonzero(self.a), np.flatnonzero(self.b)
        return self.restrict(rows, columns), rows, columns

    def restrict(
        self,
        rows: IntArray,
        columns: IntArray,
        a: FloatArray | None = None,
        b: FloatArray | None = None,
    ) -> Problem:
        """Return the problem on the listed atoms, in that order, or with other masses."""
        part = self.geometry.restrict(rows, columns)
        mass = self.mass if a is None else math.fsum(a.tolist())
        a = self.a[rows] if a is None else a
        b = self.b[columns] if b is None else b
        return self._with(part, a, b, mass)

    def on(self, geometry: Geometry) -> Problem:
        """Return this problem with another representation of the same costs."""
        return self._with(geometry, self.a, self.b, self.mass)

    def _with(self, geometry: Geometry, a: FloatArray, b: FloatArray, mass: float) -> Problem:
        other = Problem.__new__(Problem)
        other._set(geometry, a, b, self.metric, self.p, mass)
        return other


def warn_if_histograms(x: FloatArray, y: FloatArray) -> None:
    """Warn when two vectors of probabilities are given as points on the line."""
    if x.shape != y.shape or x.shape[1] != 1 or len(x) < 2:
        return
    if min(x.min(), y.min()) < 0:
        return
    if abs(x.sum() - 1) > 1e-6 or abs(y.sum() - 1) > 1e-6:
        return
    warn(
        "x and y look like histograms (they are >= 0 and sum to 1) but are read as"
        " points on the line; for histograms on common bins write"
        " wasserstein_distance(bins, bins, x, y) or emd(x, y, cost)"
    )
