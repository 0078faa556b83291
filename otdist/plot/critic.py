"""The figure of a critic: its values where two samples are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from otdist.errors import InputError
from otdist.inputs.validate import as_points_in
from otdist.plot.style import BLUE, GREY, ORANGE, finish, given_axes, new_figure, short_name
from otdist.typing import ArrayLike, FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from otdist.critics.kr_dual import Critic

_RESOLUTION = 120  # values a side


def plot_critic(
    critic: Critic,
    x: ArrayLike,
    y: ArrayLike,
    *,
    names: Sequence[str] = ("P", "Q"),
    ax: Any = None,
) -> Figure:
    """Draw the values of a critic, and the points of both measures.

    On the line it is the graph of a function. In the plane, level lines and colours: the
    critic is high where the first measure has more mass, and no steeper than 1 anywhere.

    Parameters
    ----------
    critic : Critic
        The result of `kr_dual`.
    x, y : array_like (n, d) or (n,), (m, d) or (m,)
        Points of the measures; d is 1 or 2.
    names : sequence of two str, default ("P", "Q")
        Names of the measures.
    ax : matplotlib axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.figure.Figure
        A new figure, or that of `ax`.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    InputError
        If the critic has more than two coordinates, or `ax` is no axes.

    Examples
    --------
    >>> from otdist import kr_dual
    >>> from otdist.plot import plot_critic
    >>> x, y = [[0, 0], [0, 1]], [[1, 0], [1, 1]]
    >>> figure = plot_critic(kr_dual(x, y, critic="mcshane"), x, y)
    >>> figure.axes[0].get_title()
    'mcshane critic: 1'
    """
    if critic.dimension > 2:
        raise InputError(
            f"critic must be a function of one or two coordinates, got {critic.dimension}"
        )
    points = tuple(
        as_points_in(name, each, critic.dimension) for name, each in (("x", x), ("y", y))
    )
    if ax is None:
        ax = new_figure(6.0, 4.8).subplots()
    (axes,) = given_axes(ax, 1)
    both = np.concatenate(points)
    margin = 0.1 * (np.ptp(both, axis=0).max() or 1.0)
    sides = [np.linspace(*ends, _RESOLUTION) for ends in _box(both, margin)]
    if critic.dimension == 1:
        _draw_graph(axes, critic, points, sides[0])
    else:
        _draw_field(axes, critic, points, sides)
    for name, colour in zip(names, (BLUE, ORANGE), strict=True):
        axes.scatter([], [], s=30, color=colour, label=short_name(name))
    finish(axes, f"{critic.family} critic: {critic.value:.6g}")
    figure: Figure = axes.figure
    return figure


def _box(points: FloatArray, margin: float) -> list[tuple[float, float]]:
    """Return the ends of each side of a box around points."""
    low, high = points.min(axis=0) - margin, points.max(axis=0) + margin
    return [(float(a), float(b)) for a, b in zip(low, high, strict=True)]


def _draw_graph(
    axes: Axes, critic: Critic, points: Sequence[FloatArray], places: FloatArray
) -> None:
    """Draw a function on the line, with the points on its graph."""
    axes.plot(places, critic(places), color=GREY, lw=1.6)
    for each, colour in zip(points, (BLUE, ORANGE), strict=True):
        axes.scatter(each[:, 0], critic(each), s=18, color=colour, alpha=0.7, lw=0, zorder=3)
    axes.set(xlabel="position", ylabel="value of the critic (distance)")


def _draw_field(
    axes: Any, critic: Critic, points: Sequence[FloatArray], sides: Sequence[FloatArray]
) -> None:
    """Draw level lines in the plane, with the points."""
    grid = np.meshgrid(*sides)
    values = critic(np.column_stack([each.ravel() for each in grid])).reshape(grid[0].shape)
    filled = axes.contourf(*grid, values, levels=20, cmap="cividis", alpha=0.75)
    axes.contour(*grid, values, levels=20, colors="white", linewidths=0.4)
    axes.figure.colorbar(filled, ax=axes, label="value of the critic (distance)")
    for each, colour in zip(points, (BLUE, ORANGE), strict=True):
        axes.scatter(*each.T, s=16, color=colour, edgecolors="white", lw=0.4, zorder=3)
    axes.set_aspect("equal")
    axes.set(xlabel="first coordinate", ylabel="second coordinate")
