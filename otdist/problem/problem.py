"""A transport problem: two measures, a ground cost and the marginals, validated once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from otdist.errors import InputError, short
from otdist.geometry.build import (
    circle_geometry,
    grid_geometry,
    point_geometry,
    points_of,
    require_metric,
    unit_geometry_of,
    unordered,
)
from otdist.geometry.graph import Graph, as_graph, as_tree
from otdist.geometry.protocol import Dense, Geometry
from otdist.inputs import validate as _validate
from otdist.inputs.labels import matched, matched_cost
from otdist.problem.marginals import Balanced, Marginals
from otdist.problem.weights import EITHER, Weights, weigh
from otdist.typing import ArrayLike, FloatArray, IntArray, Metric

#: The atoms that weights belong to, for error messages.
POINTS = ("point of x", "point of y")
_ENTRIES = ("row of cost", "column of cost")
_NODES = ("node of the graph", "node of the graph")
_PIXELS = ("pixel", "pixel of A")


@dataclass(frozen=True, slots=True, eq=False, init=False, repr=False)
class Problem:
    """Move the weights a to the weights b at the least cost ``metric(x, y) ** p``.

    The constructors validate everything; solvers and certificates rely on that. Arrays
    are read-only copies (a cost matrix is not copied).

    Parameters
    ----------
    x : array_like (n, d) or (n,)
        Points of the first measure; a 1-D array is points on the line.
    y : array_like (m, d) or (m,)
        Points of the second measure, with the same d.
    a : array_like (n,), optional
        Weights of x, >= 0. Default: 1/n each.
    b : array_like (m,), optional
        Weights of y, >= 0, with the same sum as a. Default: 1/m each.
    metric : str or callable, default "euclidean"
        ``"euclidean"``, ``"cityblock"`` (L1), ``"chebyshev"`` (L∞),
        ``"sqeuclidean"`` (with p = 1 only), or a function of two points.
    p : float, default 1
        Order, 1 <= p <= inf. The cost of a pair is ``metric(x, y) ** p``;
        for p = inf the largest distance moved counts.
    normalize : bool, default False
        Divide each side's weights by their sum first. ``None`` is False in a function that
        has no such option, so that no message advises it.
    concave : bool, default False
        Take 0 < p < 1, on the line only. The cost ``|x - y| ** p`` is then a metric by
        itself, so that no root is taken: ``distance`` is ``value``.

    Attributes
    ----------
    geometry : Geometry
        The ground cost.
    a, b : ndarray (n,), (m,) float64
        The weights, read-only. Sums that differ by no more than the rounding of
        the type they came in (1e-9 relative, 1e-5 for float32, 1e-2 for
        float16) are made equal by scaling b.
    metric, p
        As given; ``None`` and 1 (or inf) for a problem made from a cost matrix;
        ``None`` and 1 on a graph.
    mass : float
        The total mass of either side; of a partial problem, of the side that has more.
    marginals : Balanced, LeaveAtPrice or MoveMass
        Whether all mass is moved, see `partial`.

    Raises
    ------
    InputError
        NaN, infinite or negative entries, shapes that do not fit, sums of weights that
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
    marginals: Marginals

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
        x, y, a, b = matched(x, y, a, b)
        points = points_of(x, y, metric, order, without_weights=a is None and b is None)
        geometry = point_geometry(*points, metric, order)
        weights = weigh(geometry, a, b, POINTS, normalize, None, None)
        self._set(geometry, weights, metric, order)

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
        cost : array_like (n, m), or sparse matrix
            Cost of moving a unit of mass from i to j, in cost units; ``inf``, or an entry
            that a sparse matrix does not store, forbids the arc. A float64 C-contiguous
            matrix is used as it is, without a copy: leave it alone meanwhile.
        a, b : array_like (n,), (m,), optional
            Weights; uniform probabilities by default. If forbidden arcs divide the atoms
            into parts, b is scaled to the mass of a in each part where they differ by the
            rounding of sums only.
        p : {1, inf}, default 1
            Whether the cost of all mass counts, or the largest cost that some mass
            pays (the bottleneck). Its distance is its value.
        price, mass : float, optional
            Price of mass that is not moved, or the mass to move: see `partial`.
        normalize : bool, default False
            As for `Problem`.

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
        if _validate.as_number("p", p, "1 or inf") not in (1, math.inf):
            raise InputError(
                f"p must be 1 or inf for a cost matrix, got {short(p)}; for another order"
                " pass the matrix distance**p"
            )
        matrix, largest, has_forbidden = _validate.as_cost(matched_cost(a, b, cost))
        geometry, order = Dense(matrix, largest, has_forbidden), float(p)
        weights = weigh(geometry, a, b, _ENTRIES, normalize, price, mass)
        return cls._of(geometry, weights, None, order)

    @classmethod
    def partial(
        cls,
        x: ArrayLike,
        y: ArrayLike,
        a: ArrayLike | None = None,
        b: ArrayLike | None = None,
        *,
        price: float | None = None,
        mass: float | None = None,
        metric: Metric = "euclidean",
        p: float = 1,
    ) -> Self:
        r"""Make a problem in which some mass is left: the sums of a and b may differ.

        Either for a price of the mass that is left,

        .. math:: \min_P \sum_{ij} P_{ij} c_{ij} + \text{price}\,
                  \Big(\sum_i (a - P 1)_i + \sum_j (b - P^T 1)_j\Big),
                  \qquad P 1 \le a,\; P^T 1 \le b,

        or for a given mass to move, :math:`\sum P_{ij} = \text{mass}`, at the least
        cost. With a metric, p = 1 and a price this is the Kantorovich-Rubinstein norm
        of a - b, also called the flat norm, the greatest :math:`\int f\,d(a - b)` of
        1-Lipschitz functions :math:`|f| \le \text{price}`.

        Parameters
        ----------
        x, y, metric, p
            As for `Problem`; p is finite.
        a, b : array_like (n,), (m,), optional
            Weights, >= 0, of any sums; with a price they may be zero everywhere.
            Default: 1/n and 1/m each.
        price : float
            Cost of a unit of mass of either measure that is not moved, in cost units
            (distance ** p), > 0. Nothing moves at a cost above twice the price.
        mass : float
            Mass to move, > 0 and no more than the sums of a and of b; a sum that it
            exceeds by rounding takes its place. Give either `price` or `mass`.

        Returns
        -------
        Problem
            Its `Result` has a `plan` (n, m), `unmatched` (the mass of a and b that is
            left) and `potentials` (n,) and (m,), the derivatives of the value in a and
            b. With a price, ``f[i] <= price``, ``g[j] <= price`` and
            ``f[i] + g[j] <= cost[i, j]``; with a mass, f and g are at most 0 and their
            sum is less than the cost by the derivative in the mass.

        Raises
        ------
        InputError
            As for `Problem`; a price or a mass that is not positive, a mass that is
            more than one side has, both or neither, p = inf.

        See Also
        --------
        from_cost, on_grid, on_circle, on_graph, on_tree : take `price` or `mass` as well.

        Notes
        -----
        Solved as a balanced problem with an atom outside on each side (as by Caffarelli
        and McCann, 2010; Chapel, Alaya and Gasso, 2020), exactly and with the same
        certificate, by ``"network_simplex"`` or ``"highs"``. The matrix of all costs is
        made; the certificate of points and grids takes O(n + m) memory.

        Examples
        --------
        Of three points the third has no partner within twice the price:

        >>> from otdist import Problem, solve
        >>> x, y = [[0.0, 0], [1, 0], [9, 0]], [[0.0, 1], [1, 1]]
        >>> result = solve(Problem.partial(x, y, [1, 1, 1], [1, 1], price=2))
        >>> result.value
        4.0
        >>> result.unmatched[0]
        array([0., 0., 1.])
        >>> solve(Problem.partial(x, y, [1, 1, 1], [1, 1], mass=2)).value
        2.0
        """
        order = _validate.as_order(p)
        if price is None and mass is None:
            raise InputError(EITHER.format(short(price), short(mass)))
        x, y, a, b = matched(x, y, a, b)
        points = points_of(x, y, metric, order)
        geometry = point_geometry(*points, metric, order)
        weights = weigh(geometry, a, b, POINTS, False, price, mass)
        return cls._of(geometry, weights, metric, order)

    @classmethod
    def on_grid(
        cls,
        A: ArrayLike,
        B: ArrayLike,
        *,
        spacing: ArrayLike = 1.0,
        metric: Metric = "euclidean",
        p: float = 1,
        price: float | None = None,
        mass: float | None = None,
        normalize: bool = False,
    ) -> Self:
        """Make a problem from two images, volumes or histograms on one grid.

        Pixel i is at ``spacing * i``. Atoms are the pixels in C order: the weights a are
        ``A.ravel()``.

        Parameters
        ----------
        A, B : array_like of one shape
            Weights of the pixels, >= 0, with equal sums; any number of axes.
        spacing : float or array_like (number of axes,), default 1.0
            Distance of neighbouring pixels, along all axes or along each.
        price, mass, normalize
            See `from_cost`.
        metric, p
            See `Problem`. With ``metric="cityblock"``, p = 1, and with
            ``metric="euclidean"``, p = 2, the cost is a sum over the axes, and
            ``method="sinkhorn"`` and certificates use that. With p = 1 the
            mass common to both images is cancelled first.

        Returns
        -------
        Problem
            On the line, if there is one axis.

        Raises
        ------
        InputError
            As for `Problem`; shapes that differ, a spacing that is not positive.

        Notes
        -----
        Where the cost is a sum over axes, the Gibbs kernel of entropic transport is a
        product over them (Solomon et al., *Convolutional Wasserstein distances*,
        2015). An iteration then takes time O(N · sum of the sides) for N pixels, in
        the logarithmic domain at any epsilon, and O(N) memory beside a matrix for
        each axis; so does the certificate.

        Exact W1 of N pixels, Euclidean or Chebyshev, starts from pooled images and
        takes O(N) memory; its certificate looks at no more than N²/2 pairs. The
        potentials are one function of slope 1 on all pixels and its negative.

        Examples
        --------
        A spot that moves by 3 pixels and by 4:

        >>> import numpy as np
        >>> from otdist import Problem, solve
        >>> A, B = np.zeros((2, 32, 32))
        >>> A[10, 10] = B[13, 14] = 1
        >>> solve(Problem.on_grid(A, B)).value
        5.0
        >>> result = solve(Problem.on_grid(A, B, p=2), method="sinkhorn")
        >>> round(result.distance, 9), result.relative_gap < 1e-6
        (5.0, True)
        """
        order = _validate.as_order(p)
        require_metric(metric, order)
        sides, steps = _validate.as_grid(A, spacing)
        with np.errstate(over="ignore"):
            axes = [step * np.arange(side) for step, side in zip(steps, sides, strict=True)]
        geometry = grid_geometry(axes, metric, order)
        weights = weigh(
            geometry, A, B, _PIXELS, normalize, price, mass, names=("A", "B"), sides=sides
        )
        return cls._of(geometry, weights, metric, order)

    @classmethod
    def on_circle(
        cls,
        x: ArrayLike,
        y: ArrayLike,
        a: ArrayLike | None = None,
        b: ArrayLike | None = None,
        *,
        period: float = 1.0,
        p: float = 1,
        price: float | None = None,
        mass: float | None = None,
        normalize: bool = False,
    ) -> Self:
        """Make a problem from positions on a circle, such as angles or times of day.

        The cost of a pair is ``arc ** p``, arc the length of the shorter way around.

        Parameters
        ----------
        x, y : array_like (n,), (m,)
            Positions, any real numbers: positions a period apart are equal, exactly.
        period : float, default 1.0
            Circumference, in the unit of the positions: 360 for degrees.
        p : float, default 1
            Order, 1 <= p < inf.
        a, b, price, mass, normalize
            See `from_cost`.

        Returns
        -------
        Problem
            With ``metric="arc"``.

        Raises
        ------
        InputError
            As for `Problem`; a period that is not positive.

        Notes
        -----
        ``solve`` takes O((n + m) log(n + m)) time for p = 1, and as many passes over
        the sorted positions as bits of the number of pairs for other p; O(n + m) memory.

        References
        ----------
        Delon, Salomon, Sobolevski, "Fast transport optimization for Monge costs on the
        circle", SIAM Journal on Applied Mathematics 70, 2010.

        Examples
        --------
        A quarter to midnight, and a quarter past, in hours:

        >>> from otdist import Problem, solve
        >>> problem = Problem.on_circle([23.75], [0.25], period=24)
        >>> solve(problem).distance
        0.5
        """
        order = _validate.as_order(p)
        length = _validate.as_period(period)
        first, second = _validate.as_positions("x", x), _validate.as_positions("y", y)
        geometry = circle_geometry(first, second, length, order)
        weights = weigh(geometry, a, b, POINTS, normalize, price, mass)
        return cls._of(geometry, weights, "arc", order)

    @classmethod
    def on_graph(
        cls,
        graph: Any,
        a: ArrayLike | None = None,
        b: ArrayLike | None = None,
        *,
        weight: str = "weight",
        price: float | None = None,
        mass: float | None = None,
        normalize: bool = False,
    ) -> Self:
        """Make a problem from two measures on the nodes of a graph.

        The cost of moving a unit of mass is the length of the shortest path.

        Parameters
        ----------
        graph : scipy.sparse matrix or array (n, n), or graph of networkx
            Length of each edge, finite and >= 0, stored in both directions: the matrix
            is symmetric. A stored 0 is an edge of length 0; an entry that is not stored is
            no edge. Entries on the diagonal are ignored; entries stored twice add up, as
            they do in SciPy.
        a, b, price, mass, normalize
            See `from_cost`. For a graph of networkx a and b may be dictionaries by node.
        weight : str, default "weight"
            The attribute of edges of networkx that is their length; without it 1.

        Returns
        -------
        Problem
            With ``p = 1``: its distance is its value, W1.

        Raises
        ------
        InputError
            As for `Problem`; a matrix that is not sparse, square or symmetric, lengths
            that are negative, NaN or infinite.
        InfeasibleError
            A part of the graph that no path leaves, in which the masses of a and b differ,
            if all mass is to be moved. Masses that differ by the rounding of sums only are
            made equal: b is scaled to a, and mass that meets none on the other side is left
            out.

        Notes
        -----
        W1 is the least cost of a flow whose divergence is a - b (Beckmann, 1952), with a
        variable for each edge instead of each pair of nodes. ``solve`` finds it by the
        network simplex method in O(n + edges) memory; `Result.coupling` is the flow,
        `Result.plan` a coupling of nodes made from it. Potentials are one function on
        the nodes and its negative, and the certificate looks at each edge once.

        Examples
        --------
        A ring of four nodes; half of the mass goes either way:

        >>> import numpy as np
        >>> from scipy.sparse import csr_array
        >>> from otdist import Problem, solve
        >>> ring = np.array([[0, 1, 0, 1], [1, 0, 1, 0], [0, 1, 0, 1], [1, 0, 1, 0]])
        >>> problem = Problem.on_graph(csr_array(ring), [1, 0, 0, 0], [0, 0.5, 0, 0.5])
        >>> result = solve(problem)
        >>> result.value, result.gap < 1e-12
        (1.0, True)
        >>> result.coupling.matrix().toarray()[0]
        array([0. , 0.5, 0. , 0.5])
        """
        nodes, a, b = as_graph(graph, a, b, weight)
        return cls._on_nodes(nodes, a, b, normalize, price, mass)

    @classmethod
    def on_tree(
        cls,
        parents: ArrayLike,
        lengths: ArrayLike,
        a: ArrayLike | None = None,
        b: ArrayLike | None = None,
        *,
        price: float | None = None,
        mass: float | None = None,
        normalize: bool = False,
    ) -> Self:
        """Make a problem from two measures on the nodes of a tree.

        Parameters
        ----------
        parents : array_like (n,) of int
            Parent of each node, in any order, and -1 for the root.
        lengths : array_like (n,)
            Length of each node's edge to its parent, finite and >= 0; ignored for the
            root.
        a, b, price, mass, normalize
            See `on_graph`.

        Returns
        -------
        Problem
            A problem on a graph, solved in O(n) time: the mass that crosses an edge is
            the difference of the weights below it.

        Raises
        ------
        InputError
            As for `on_graph`; a cycle (its nodes are named), two roots.

        Examples
        --------
        A star with legs of length 1, 2 and 3; mass moves from the end of the first leg to
        the ends of the others:

        >>> from otdist import Problem, solve
        >>> problem = Problem.on_tree(
        ...     [-1, 0, 0, 0], [0, 1, 2, 3], [0, 1, 0, 0], [0, 0, 0.5, 0.5]
        ... )
        >>> solve(problem).value
        3.5
        """
        return cls._on_nodes(as_tree(parents, lengths), a, b, normalize, price, mass)

    @classmethod
    def _on_nodes(
        cls,
        graph: Graph,
        a: ArrayLike | None,
        b: ArrayLike | None,
        normalize: bool,
        price: float | None,
        mass: float | None,
    ) -> Self:
        weights = weigh(graph, a, b, _NODES, normalize, price, mass)
        return cls._of(graph, weights, None, 1.0)

    @classmethod
    def _of(cls, geometry: Geometry, weights: Weights, metric: Metric | None, p: float) -> Self:
        """Return the problem with these fields, which are validated."""
        problem = cls.__new__(cls)
        problem._set(geometry, weights, metric, p)
        return problem

    def _set(self, geometry: Geometry, weights: Weights, metric: Metric | None, p: float) -> None:
        """Set all fields; the problem owns the arrays a and b."""
        if math.isinf(p) and not isinstance(weights.marginals, Balanced):
            raise InputError(
                "p=inf needs all mass to be moved; leave out price and mass, or use a finite p"
            )
        a, b, mass, marginals = weights
        a.setflags(write=False)
        b.setflags(write=False)
        values = (geometry, a, b, metric, p, mass, marginals)
        for name, value in zip(self.__slots__, values, strict=True):
            object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        n, m = self.shape
        kind = f"{self.metric}, p={self.p:g}"
        kind = self.geometry.label if self.metric is None else kind
        how = ", partial" if self.is_partial else f", mass {self.mass:.6g}"
        return f"Problem({n} by {m}, {kind}{how})"

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of atoms (n, m)."""
        return self.geometry.shape

    @property
    def positions(self) -> list[FloatArray | None]:
        """Points of both sides as functions take them; on the line numbers (n,)."""
        sides = [getattr(self.geometry, side, None) for side in "xy"]
        if isinstance(self.metric, str):
            return [x[:, 0] if x is not None and x.shape[1:] == (1,) else x for x in sides]
        return sides

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
        """Whether some mass may be left where it is."""
        return not isinstance(self.marginals, Balanced)

    @property
    def is_metric(self) -> bool:
        """Whether the cost is a true metric, as Kantorovich-Rubinstein needs."""
        is_known = self.geometry.facts.is_metric
        return is_known and not (self.is_bottleneck or self.is_partial)

    @property
    def is_assignment(self) -> bool:
        """Whether both sides have n atoms of one mass."""
        n, m = self.shape
        return n == m and bool((self.a == self.a[0]).all() and (self.b == self.a[0]).all())

    @property
    def is_symmetric(self) -> bool:
        """Whether both sides are the same points with the same weights."""
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
        """Return the problem on the listed atoms, in that order, or with other weights."""
        part = self.geometry.restrict(rows, columns)
        mass = self.mass if a is None else math.fsum(a.tolist())
        a = self.a[rows] if a is None else a
        b = self.b[columns] if b is None else b
        return Problem._of(part, Weights(a, b, mass, self.marginals), self.metric, self.p)

    def on(self, geometry: Geometry) -> Problem:
        """Return this problem with another representation of the same costs."""
        weights = Weights(self.a, self.b, self.mass, self.marginals)
        return Problem._of(geometry, weights, self.metric, self.p)

    def in_unit(self, k: int) -> Problem:
        """Return this problem in the unit 2**k of length, for ``geometry.exponent``."""
        weights = Weights(self.a, self.b, self.mass, self.marginals.in_unit(k))
        return Problem._of(self.geometry.in_unit(k), weights, self.metric, self.p)

    def with_outside(self) -> Problem:
        """Return a balanced problem: itself, or one with an atom outside on each side.

        The atom outside is the last one. A solver and a certificate see the partial
        problem in this form only.
        """
        if isinstance(self.marginals, Balanced):
            return self
        geometry, a, b = self.marginals.extended(unordered(self.geometry), self.a, self.b)
        return Problem._of(geometry, Weights(a, b, math.fsum(a.tolist())), None, self.p)


def unit_problem(
    x: ArrayLike,
    y: ArrayLike,
    a: ArrayLike | None,
    b: ArrayLike | None,
    *,
    metric: Metric = "euclidean",
    p: float = 1,
    normalize: bool = False,
    concave: bool = False,
    period: float | None = None,
) -> tuple[Problem, int]:
    """Return a problem of points in the unit 2**k of length, and k.

    Its distance is right also where the value, a power, would leave float64. See `Problem`
    and, for a period, `Problem.on_circle`.
    """
    if period is None:
        order = _validate.as_order(p, concave)
        x, y, a, b = matched(x, y, a, b)
        points = points_of(x, y, metric, order, without_weights=a is None and b is None)
    else:
        metric, order, period = "arc", _validate.as_order(p), _validate.as_period(period)
        points = _validate.as_positions("x", x), _validate.as_positions("y", y)

    geometry, k = unit_geometry_of(*points, metric, order, period)
    first, second, mass = _validate.as_masses(a, b, geometry.shape, POINTS, normalize)
    _validate.require_product(mass, geometry.largest)
    weights = Weights(first, second, mass)
    if k != 0 and not (weights.a.all() and weights.b.all()):
        # Atoms without mass, wherever they are, do not decide the unit.
        rows, columns = np.flatnonzero(weights.a), np.flatnonzero(weights.b)
        geometry, k = unit_geometry_of(points[0][rows], points[1][columns], metric, order, period)
        weights = weights._replace(a=weights.a[rows], b=weights.b[columns])
    return Problem._of(geometry, weights, metric, order), k
