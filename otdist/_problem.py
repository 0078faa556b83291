"""A transport problem: two measures and a ground cost, validated once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from otdist import _validate
from otdist._errors import InputError, warn
from otdist._geometry import Geometry
from otdist._geometry.dense import Dense
from otdist._geometry.grid import SEPARABLE, Grid
from otdist._geometry.line import Line
from otdist._geometry.points import METRICS, Points, largest_cost
from otdist._typing import ArrayLike, FloatArray, IntArray, Metric


@dataclass(frozen=True, slots=True, eq=False, init=False, repr=False)
class Problem:
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
        p = inf (the largest distance moved counts) on the line only.
    normalize : bool, default False
        Divide each side's masses by their sum first.

    Attributes
    ----------
    geometry : Geometry
        Where the costs come from.
    a, b : ndarray (n,), (m,) float64
        The masses, read-only. Sums that differ by no more than the rounding of
        the type they came in (1e-9 relative, 1e-5 for float32, 1e-2 for
        float16) are made equal by scaling b.
    metric, p
        As given; ``None`` and 1 for a problem made from a cost matrix.
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
    ) -> None:
        order = _validate.as_order(p)
        _require_metric(metric, order)
        points_x, points_y = _validate.as_points("x", x), _validate.as_points("y", y)
        _validate.require_same_space(points_x, points_y)
        if a is None and b is None:
            _warn_if_histograms(points_x, points_y)
        geometry = _point_geometry(points_x, points_y, metric, order)
        self._fill(geometry, a, b, metric, order, normalize)

    @classmethod
    def from_cost(
        cls,
        cost: ArrayLike,
        a: ArrayLike | None = None,
        b: ArrayLike | None = None,
        *,
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
        normalize : bool, default False
            Divide each side's masses by their sum first.

        Returns
        -------
        Problem
            With ``p = 1``: its distance is its value.

        Raises
        ------
        InputError
            As for `Problem`; NaN or ``-inf`` costs.

        Examples
        --------
        >>> from otdist import Problem, solve
        >>> solve(Problem.from_cost([[0, 1], [1, 0]], [0.5, 0.5], [0.25, 0.75])).value
        0.25
        """
        matrix, largest, has_forbidden = _validate.as_cost(cost)
        problem = cls.__new__(cls)
        problem._fill(Dense(matrix, largest, has_forbidden), a, b, None, 1.0, normalize)
        return problem

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
        _require_metric(metric, order)
        a, b, mass, sides = _validate.as_images(A, B, normalize)
        steps = _validate.as_spacing(spacing, len(sides))
        with np.errstate(over="ignore"):
            axes = [
                step * np.arange(side) for step, side in zip(steps, sides, strict=True)
            ]
        problem = cls.__new__(cls)
        geometry = _grid_geometry(axes, metric, order)
        problem._set(geometry, a, b, metric, order, mass)
        _require_product(mass, geometry.largest)
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
        masses_a, masses_b, mass = _validate.as_masses(
            a, b, geometry.shape, of, normalize
        )
        self._set(geometry, masses_a, masses_b, metric, p, mass)
        _require_product(mass, geometry.largest)

    def _set(
        self,
        geometry: Geometry,
        a: FloatArray,
        b: FloatArray,
        metric: Metric | None,
        p: float,
        mass: float,
    ) -> None:
        """Fill in the fields; a and b are nobody else's."""
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
        n, m = self.shape
        kind = "cost matrix" if self.metric is None else f"{self.metric}, p={self.p:g}"
        return f"Problem({n} by {m}, {kind}, mass {self.mass:.6g})"

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of atoms (n, m)."""
        return self.geometry.shape

    @property
    def is_line(self) -> bool:
        """Whether the atoms are numbers and the cost is ``|x - y| ** p``."""
        return isinstance(self.geometry, Line)

    @property
    def is_bottleneck(self) -> bool:
        """Whether p = inf: the largest distance moved counts, not a sum."""
        return math.isinf(self.p)

    @property
    def is_metric(self) -> bool:
        """Whether the cost is a true metric, as Kantorovich-Rubinstein needs."""
        known = isinstance(self.metric, str) and METRICS[self.metric]
        return known and self.p == 1

    @property
    def is_assignment(self) -> bool:
        """Whether both sides have n atoms of one mass."""
        n, m = self.shape
        return n == m and bool(
            (self.a == self.a[0]).all() and (self.b == self.a[0]).all()
        )

    @property
    def is_symmetric(self) -> bool:
        """Whether both sides are the same points with the same masses."""
        geometry = self.geometry
        if isinstance(geometry, Grid):
            return np.array_equal(self.a, self.b)
        if isinstance(geometry, Dense) or not isinstance(geometry, Points | Line):
            return False
        return np.array_equal(geometry.x, geometry.y) and np.array_equal(self.a, self.b)

    def support(self) -> tuple[Problem, IntArray, IntArray]:
        """Return the problem on the atoms that carry mass, and their indices.

        Pixels of a grid become points.
        """
        n, m = len(self.a), len(self.b)
        all_carry = np.count_nonzero(self.a) == n and np.count_nonzero(self.b) == m
        if all_carry and not isinstance(self.geometry, Grid):
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
        """Return the problem with the same costs from elsewhere."""
        return self._with(geometry, self.a, self.b, self.mass)

    def _with(
        self, geometry: Geometry, a: FloatArray, b: FloatArray, mass: float
    ) -> Problem:
        other = Problem.__new__(Problem)
        other._set(geometry, a, b, self.metric, self.p, mass)
        return other


def _require_metric(metric: Any, p: float) -> None:
    """Raise if the metric is unknown or does not go with the order."""
    if isinstance(metric, str):
        if metric not in METRICS:
            known = ", ".join(repr(name) for name in METRICS)
            raise InputError(
                f"metric {metric!r} is unknown; known metrics are {known}, or pass a"
                " function of two points"
            )
    elif not callable(metric):
        raise InputError(f"metric must be a name or a function, got {metric!r}")
    if metric == "sqeuclidean" and p != 1:
        raise InputError(
            f"metric='sqeuclidean' with p={p:g} would mean distances to the power"
            f" {2 * p:g}: write metric='euclidean', p=2 for W_2, or"
            f" metric='euclidean', p={2 * p:g} if that power is meant"
        )


def _point_geometry(x: FloatArray, y: FloatArray, metric: Metric, p: float) -> Geometry:
    """Choose the geometry, after making sure that its costs fit float64."""
    on_line = x.shape[1] == 1 and isinstance(metric, str)
    if math.isinf(p):
        if not on_line:
            raise InputError(
                "p=inf is available for points on the line only; use a large finite p"
            )
        p = 1.0
    if metric == "sqeuclidean" and on_line:
        metric, p = "euclidean", 2.0
    # On the line all metrics are |x - y|; this one takes no squares.
    largest = largest_cost(x, y, "cityblock" if on_line else metric, p)
    if math.isnan(largest):
        raise InputError(f"metric {metric!r} gave nan; it must return numbers")
    differ = bool((x.min(0) != y.max(0)).any() or (x.max(0) != y.min(0)).any())
    # Euclidean distances go through squares, which underflow first.
    smallest = 1e-280
    if metric == "euclidean" and not on_line:
        smallest = max(smallest, 1e-140**p)
    if largest > 1e300 or (largest < smallest and differ and isinstance(metric, str)):
        raise InputError(
            f"distances to the power {p:g} reach {largest:.3g}, outside what float64"
            " holds well; divide the points by a constant and multiply the distance"
            " by it"
        )
    if on_line:
        line_x, line_y = _validate.frozen(x[:, 0]), _validate.frozen(y[:, 0])
        return Line.of(line_x, line_y, p, largest)
    return Points(x, y, metric, p, largest)


def _grid_geometry(axes: list[FloatArray], metric: Metric, p: float) -> Geometry:
    """Keep the axes apart, where the cost is a sum over several; else list pixels."""
    if len(axes) == 1 or (metric, p) not in SEPARABLE:
        pixels = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
        points = _validate.frozen(pixels.reshape(-1, len(axes)))
        return _point_geometry(points, points, metric, p)
    assert isinstance(metric, str)
    corners = np.array([[axis[0] for axis in axes], [axis[-1] for axis in axes]])
    # The same checks as for points; the farthest pixels are opposite corners.
    largest = _point_geometry(corners, corners, metric, p).largest
    return Grid(tuple(map(_validate.frozen, axes)), metric, p, largest)


def _require_product(mass: float, largest: float) -> None:
    """Raise if values, cost times mass, would leave float64."""
    size = math.log2(mass) + math.log2(largest) if largest > 0 else 0.0
    if not -970 < size < 1000:
        raise InputError(
            f"costs up to {largest:.3g} times a mass of {mass:.3g} leave what float64"
            " holds well; multiply the costs or the masses by a constant"
        )


def _warn_if_histograms(x: FloatArray, y: FloatArray) -> None:
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
