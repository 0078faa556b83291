"""Problems whose atoms have structure, which a faster method uses."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Self

import numpy as np

from otdist import _graphs, _validate
from otdist._geometry import Geometry
from otdist._geometry.graph import Graph
from otdist._ground import grid_geometry, require_metric
from otdist._typing import ArrayLike, FloatArray, Metric


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
            ``method="sinkhorn"`` uses that; other methods do not need it.

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
            axes = [
                step * np.arange(side) for step, side in zip(steps, sides, strict=True)
            ]
        geometry = grid_geometry(axes, metric, order)
        return cls._of(geometry, a, b, metric, order, mass)

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
