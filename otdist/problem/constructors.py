"""Problems whose atoms have structure, which a faster method uses."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any, Self

import numpy as np

from otdist.errors import InputError
from otdist.geometry import build_graph as _graphs
from otdist.geometry.build import (
    circle_geometry,
    grid_geometry,
    point_geometry,
    require_metric,
)
from otdist.geometry.graph import Graph
from otdist.geometry.protocol import Geometry
from otdist.inputs import validate as _validate
from otdist.problem import partial as _partial
from otdist.typing import ArrayLike, FloatArray, Metric


class Structured:
    """The constructors of `Problem` for more than points and matrices."""

    __slots__ = ()

    @classmethod
    @abstractmethod
    def _of(
        cls,
        geometry: Geometry,
        a: FloatArray,
        b: FloatArray,
        metric: Metric | None,
        p: float,
        mass: float,
    ) -> Self:
        """Return the problem with these fields; a and b are nobody else's."""

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
        r"""Make a problem in which not all mass is moved: a and b may differ.

        Either for a price of what is left where it is,

        .. math:: \min_P \sum_{ij} P_{ij} c_{ij} + \text{price}\,
                  \Big(\sum_i (a - P 1)_i + \sum_j (b - P^T 1)_j\Big),
                  \qquad P 1 \le a,\; P^T 1 \le b,

        or for a mass that is moved, :math:`\sum P_{ij} = \text{mass}`, at the least
        cost. With a metric, p = 1 and a price this is the Kantorovich-Rubinstein norm
        of a - b, also called the flat norm, the greatest :math:`\int f\,d(a - b)` of
        1-Lipschitz functions :math:`|f| \le \text{price}`.

        Parameters
        ----------
        x, y, metric, p
            As for `Problem`; p is finite.
        a, b : array_like (n,), (m,), optional
            Masses, >= 0, of any sums; with a price they may be zero everywhere.
            Default: 1/n and 1/m each.
        price : float
            Cost of a unit of mass of either measure that is not moved, in cost units
            (distance ** p), > 0. Nothing moves at a cost above twice the price.
        mass : float
            How much is moved, > 0 and no more than the sums of a and of b. One of
            `price` and `mass` is given.

        Returns
        -------
        Problem
            With one more atom on each side, the last, where mass goes that is not
            moved. Its `Result` is in terms of x and y: `plan` (n, m), `unmatched`
            (what is left of a and b) and `potentials` (n,) and (m,): the derivatives of
            the value in a and b, with ``f[i] <= price``, ``g[j] <= price`` and
            ``f[i] + g[j] <= cost[i, j]`` (for a mass, prices of 0, and less than the
            cost by the derivative in the mass).

        Raises
        ------
        InputError
            As for `Problem`; a price or a mass that is not positive, a mass that is
            more than one side has, both or neither, p = inf.

        Notes
        -----
        Solved as a balanced problem with an atom outside on each side (as by Caffarelli
        and McCann, 2010; Chapel, Alaya and Gasso, 2020), exactly and with the same
        certificate, by ``"network_simplex"`` or ``"highs"``. The matrix of all costs is
        made; the certificate takes O(n + m) memory.

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
        require_metric(metric, order)
        if math.isinf(order):
            raise InputError("p=inf needs all mass to be moved; use a finite p")
        points_x, points_y = _validate.as_points("x", x), _validate.as_points("y", y)
        _validate.require_same_space(points_x, points_y)
        geometry = point_geometry(points_x, points_y, metric, order)
        return cls._partly(geometry, a, b, price, mass, metric, order)

    @classmethod
    def _partly(
        cls,
        geometry: Geometry,
        a: ArrayLike | None,
        b: ArrayLike | None,
        price: float | None,
        mass: float | None,
        metric: Metric | None,
        p: float,
    ) -> Self:
        """Return the problem with an atom outside on each side."""
        if (price is None) == (mass is None):
            raise InputError(
                "give either price, the cost of a unit of mass that is not moved, or"
                f" mass, how much is moved; got price={price!r} and mass={mass!r}"
            )
        of = ("row of cost", "column of cost")
        if metric is not None:
            of = ("point of x", "point of y")
        worth = None if price is None else _validate.as_price(price)
        a, b, left = _validate.as_unequal_masses(a, b, geometry.shape, of, mass)
        if worth is None:
            extended, a, b = _partial.with_mass(geometry, a, b, *left)
        else:
            extended, a, b = _partial.with_price(geometry, a, b, worth)
        return cls._of(extended, a, b, metric, p, math.fsum(a.tolist()))

    @classmethod
    def on_grid(
        cls,
        A: ArrayLike,
        B: ArrayLike,
        *,
        spacing: ArrayLike = 1.0,
        metric: Metric = "euclidean",
        p: float = 1,
        normalize: bool = False,
    ) -> Self:
        """Make a problem from two images, volumes or histograms on one grid.

        Pixel i is at ``spacing * i``; atoms are the pixels in C order, so that masses
        and potentials are ``A.ravel()`` and the like.

        Parameters
        ----------
        A, B : array_like of one shape
            Mass of each pixel, >= 0, with one sum; any number of axes.
        spacing : float or array_like (number of axes,), default 1.0
            Distance of neighbouring pixels, along all axes or along each.
        metric, p, normalize
            As for `Problem`. With ``metric="cityblock"``, p = 1, and with
            ``metric="euclidean"``, p = 2, the cost is a sum over the axes, and
            ``method="sinkhorn"`` and certificates use that. With p = 1 what the
            images have in common is cancelled first.

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
        >>> round(result.distance, 9), result.gap < 1e-9
        (5.0, True)
        """
        order = _validate.as_order(p)
        require_metric(metric, order)
        a, b, mass, sides = _validate.as_images(A, B, normalize)
        steps = _validate.as_spacing(spacing, len(sides))
        with np.errstate(over="ignore"):
            axes = [step * np.arange(side) for step, side in zip(steps, sides, strict=True)]
        geometry = grid_geometry(axes, metric, order)
        return cls._of(geometry, a, b, metric, order, mass)

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
        normalize: bool = False,
    ) -> Self:
        """Make a problem from positions on a circle, such as angles or times of day.

        The cost of a pair is ``arc ** p``, arc the length of the shorter way around.

        Parameters
        ----------
        x, y : array_like (n,), (m,)
            Positions, any real numbers: those a period apart are one, and no digit is
            lost by that.
        a, b : array_like (n,), (m,), optional
            Masses, >= 0 and of one sum; uniform probabilities by default.
        period : float, default 1.0
            Circumference, in the unit of the positions: 360 for degrees.
        p : float, default 1
            Order, 1 <= p < inf.
        normalize : bool, default False
            Divide each side's masses by their sum first.

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
        of = ("point of x", "point of y")
        masses_a, masses_b, mass = _validate.as_masses(a, b, geometry.shape, of, normalize)
        return cls._of(geometry, masses_a, masses_b, "arc", order, mass)

    @classmethod
    def on_graph(
        cls,
        graph: Any,
        a: ArrayLike | None = None,
        b: ArrayLike | None = None,
        *,
        normalize: bool = False,
    ) -> Self:
        """Make a problem from two measures on the nodes of a graph.

        The cost of moving a unit of mass is the length of the shortest path.

        Parameters
        ----------
        graph : scipy.sparse matrix or array (n, n)
            Length of each edge, finite and >= 0, stored in both directions: the matrix
            is symmetric. What is stored as 0 is an edge of length 0, what is not stored
            is none. Entries on the diagonal are ignored; entries stored twice add up, as
            they do in SciPy.
        a, b : array_like (n,), optional
            Mass of each node, >= 0; uniform probabilities by default.
        normalize : bool, default False
            Divide each side's masses by their sum first.

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
            A part of the graph that no path leaves, with more mass in a than in b.

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
        >>> result.value, result.gap
        (1.0, 0.0)
        >>> result.coupling.matrix().toarray()[0]
        array([0. , 0.5, 0. , 0.5])
        """
        return cls._on_nodes(_graphs.as_graph(graph), a, b, normalize)

    @classmethod
    def on_tree(
        cls,
        parents: ArrayLike,
        lengths: ArrayLike,
        a: ArrayLike | None = None,
        b: ArrayLike | None = None,
        *,
        normalize: bool = False,
    ) -> Self:
        """Make a problem from two measures on the nodes of a tree.

        Parameters
        ----------
        parents : array_like (n,) of int
            Parent of each node, in any order, and -1 for the root.
        lengths : array_like (n,)
            Length of each node's edge to its parent, finite and >= 0; that of the root
            counts for nothing.
        a, b, normalize
            As for `on_graph`.

        Returns
        -------
        Problem
            A problem on a graph, solved in O(n) time: all that is above an edge must
            exchange with what is below just the difference of their masses.

        Raises
        ------
        InputError
            As for `on_graph`; a cycle (its nodes are named), two roots.

        Examples
        --------
        A star with legs of length 1, 2 and 3; mass moves from the end of the first to
        those of the others:

        >>> from otdist import Problem, solve
        >>> problem = Problem.on_tree(
        ...     [-1, 0, 0, 0], [0, 1, 2, 3], [0, 1, 0, 0], [0, 0, 0.5, 0.5]
        ... )
        >>> solve(problem).value
        3.5
        """
        return cls._on_nodes(_graphs.as_tree(parents, lengths), a, b, normalize)

    @classmethod
    def _on_nodes(
        cls, graph: Graph, a: ArrayLike | None, b: ArrayLike | None, normalize: bool
    ) -> Self:
        of = ("node of the graph", "node of the graph")
        first, second, mass = _validate.as_masses(a, b, graph.shape, of, normalize)
        second = _graphs.balanced(graph, first, second)
        return cls._of(graph, first, second, None, 1.0, mass)
