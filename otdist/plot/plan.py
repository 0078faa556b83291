"""The figure of a plan: two sets of points, and arcs along which mass moves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from otdist.errors import InputError, short
from otdist.inputs.validate import as_points
from otdist.plot.style import BLUE, GREY, ORANGE, finish, given_axes, new_figure, short_name
from otdist.typing import ArrayLike, FloatArray, IntArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ARCS = 150  # largest number of arcs drawn
_DENSE_LIMIT = 2_000_000  # entries of a dense plan that is searched for arcs


def plot_plan(
    plan: Any,
    x: ArrayLike,
    y: ArrayLike,
    *,
    names: Sequence[str] = ("P", "Q"),
    ax: Any = None,
) -> Figure:
    """Draw the points of two measures and the arcs of a plan.

    Points on the line are drawn on two levels. Points in three dimensions are drawn in space,
    those of more dimensions projected on their two principal components. Areas of dots are
    proportional to the mass that leaves or arrives. Of many arcs, 150 are drawn, each for an
    equal share of the total mass × length.

    Parameters
    ----------
    plan : (n, m) array, sparse array, or plan of a result
        Mass moved from x[i] to y[j], from any source: ``result.plan``, or another library's.
    x, y : array_like (n, d) or (n,), (m, d) or (m,)
        Points.
    names : sequence of two str, default ("P", "Q")
        Names of the measures.
    ax : matplotlib axes, optional
        Where to draw. For points in space, axes made with ``projection="3d"``.

    Returns
    -------
    matplotlib.figure.Figure
        A new figure, or that of `ax`.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    InputError
        If the plan is not a matrix of the size of x and y, or `ax` is no axes.

    Examples
    --------
    >>> from otdist import Problem, solve
    >>> from otdist.plot import plot_plan
    >>> x, y = [[0, 0], [0, 1]], [[1, 0], [1, 1]]
    >>> figure = plot_plan(solve(Problem(x, y)).plan, x, y)
    >>> figure.axes[0].get_xlabel()
    'first coordinate'
    """
    points = as_points("x", x), as_points("y", y)
    shape = len(points[0]), len(points[1])
    if getattr(plan, "shape", None) != shape or points[0].shape[1] != points[1].shape[1]:
        given = plan.shape if hasattr(plan, "shape") else short(plan)
        raise InputError(
            f"plan must be a matrix {shape} for x {points[0].shape} and y {points[1].shape},"
            f" got {given}"
        )
    in_space = points[0].shape[1] == 3
    if ax is None:
        ax = new_figure(6.0, 5.0).add_subplot(projection="3d" if in_space else None)
    (axes,) = given_axes(ax, 1)
    if in_space and axes.name != "3d":
        raise InputError('ax must be made with projection="3d" for points in space')
    draw_plan(axes, plan, points, (_sums(plan, 1), _sums(plan, 0)), names)
    figure: Figure = axes.figure
    return figure


def _sums(plan: Any, axis: int) -> FloatArray:
    """Return the marginal of a plan of any kind."""
    if hasattr(plan, "marginals"):
        return np.asarray(plan.marginals()[1 - axis])
    return np.asarray(plan.sum(axis=axis)).ravel()


def _arcs(plan: Any) -> tuple[IntArray, IntArray, FloatArray]:
    """Return rows, columns and masses of the arcs of a plan; of a large dense plan, none."""
    if hasattr(plan, "tocoo"):
        plan = plan.tocoo()
        return plan.row, plan.col, plan.data
    if plan.shape[0] * plan.shape[1] > _DENSE_LIMIT:
        return np.zeros(0, int), np.zeros(0, int), np.zeros(0)
    entries = plan if isinstance(plan, np.ndarray) else plan.toarray()
    # A dense plan has an entry everywhere: keep those that are large in their row.
    rows, columns = np.nonzero(entries > 0.05 * entries.max(axis=1, keepdims=True))
    return rows, columns, entries[rows, columns]


def arcs_to_draw(plan: Any, x: FloatArray, y: FloatArray) -> tuple[IntArray, IntArray]:
    """Choose at most 150 arcs, at equal shares of the total mass × length."""
    rows, columns, mass = _arcs(plan)
    work = mass * np.linalg.norm(x[rows] - y[columns], axis=1)
    total = np.cumsum(work)
    if len(total) == 0 or total[-1] == 0:
        return rows[:0], columns[:0]
    marks = (np.arange(_ARCS) + 0.5) / _ARCS * total[-1]
    chosen = np.unique(np.searchsorted(total, marks))
    if np.count_nonzero(work) <= _ARCS:
        chosen = np.flatnonzero(work)
    return rows[chosen], columns[chosen]


def draw_plan(
    axes: Axes,
    plan: Any,
    points: tuple[FloatArray, FloatArray],
    masses: tuple[FloatArray, FloatArray],
    names: Sequence[str],
) -> None:
    """Draw points as dots with areas proportional to the masses, and arcs between them."""
    rows, columns = arcs_to_draw(plan, *points)
    d = points[0].shape[1]
    is_projected = d > (3 if axes.name == "3d" else 2)
    if is_projected:
        points = _principal(*points)
    elif d == 1:
        points = _on_levels(*points)
    _draw_arcs(axes, points[0][rows], points[1][columns])
    _draw_dots(axes, points, masses, names)
    if d == 1:
        axes.set(xlabel="position", ylim=(-0.3, 1.3))
        axes.set_yticks([0, 1], [short_name(names[1]), short_name(names[0])])
    else:
        _label_coordinates(axes, "principal component" if is_projected else "coordinate")
    finish(axes, f"{short_name(names[0])}, {short_name(names[1])} and the plan")


def _on_levels(x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return numbers (n, 1) and (m, 1) as points of the plane, the first above."""
    return np.column_stack([x, np.ones(len(x))]), np.column_stack([y, np.zeros(len(y))])


def _label_coordinates(axes: Any, kind: str) -> None:
    """Label the axes of points in the plane, of one scale, or in space."""
    axes.set(xlabel=f"first {kind}", ylabel=f"second {kind}")
    if axes.name == "3d":
        axes.set(zlabel=f"third {kind}")
    else:
        # Axes that share their limits with others keep them.
        is_shared = len(axes.get_shared_x_axes().get_siblings(axes)) > 1
        axes.set_aspect("equal", adjustable="box" if is_shared else "datalim")


def _draw_dots(
    axes: Any,  # in the plane or in space
    points: tuple[FloatArray, FloatArray],
    masses: tuple[FloatArray, FloatArray],
    names: Sequence[str],
) -> None:
    """Draw points of any dimension with areas proportional to their masses."""
    largest = max(float(mass.max()) for mass in masses) or 1.0
    size = 60.0 if max(map(len, points)) <= 200 else 20.0
    for each, mass, colour, name in zip(points, masses, (BLUE, ORANGE), names, strict=True):
        axes.scatter(*each.T, s=size * mass / largest, color=colour, alpha=0.8, lw=0)
        axes.scatter(*np.empty((each.shape[1], 0)), s=30, color=colour, label=short_name(name))


def _draw_arcs(axes: Any, start: FloatArray, end: FloatArray) -> None:
    from matplotlib.collections import LineCollection

    segments = list(np.stack([start, end], axis=1))
    style: dict[str, Any] = {"colors": GREY, "linewidths": 0.7, "alpha": 0.55}
    if axes.name == "3d":
        from mpl_toolkits.mplot3d.art3d import Line3DCollection

        axes.add_collection3d(Line3DCollection(segments, **style))
    else:
        axes.add_collection(LineCollection(segments, **style), autolim=False)


def _principal(x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Project both clouds on their first two principal components."""
    both = np.concatenate([x, y])
    centre = both.mean(axis=0)
    basis = np.linalg.svd(both - centre, full_matrices=False)[2][:2].T
    return (x - centre) @ basis, (y - centre) @ basis
