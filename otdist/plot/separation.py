"""Figures of distances while one of two measures moves away."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from otdist.plot.style import BLUE, GREEN, GREY, ORANGE, PURPLE, given_axes, new_figure, tidy
from otdist.typing import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from otdist.comparison.separation import Separation


def plot_demo(rows: Sequence[Separation], *, ax: Any = None) -> Figure:
    """Draw W1, JS, KL and TV of two parallel lines at signed distance theta.

    Parameters
    ----------
    rows : sequence of Separation
        The result of `demo_separations`, by increasing theta; infinite values are drawn
        as arrows at the upper edge.
    ax : sequence of two matplotlib axes, optional
        Where to draw: the two lines, and the values.

    Returns
    -------
    matplotlib.figure.Figure
        A new figure, or that of `ax`.

    Raises
    ------
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> from otdist.comparison.separation import demo_separations
    >>> from otdist.plot import plot_demo
    >>> figure = plot_demo(demo_separations(2, 3))
    >>> [axes.get_title() for axes in figure.axes]
    ['Two lines, no common point', 'Only W₁ has a slope that leads to θ = 0']
    """
    theta, w1, js, kl, tv = (
        np.array([getattr(row, name) for row in rows]) for name in ("theta", "w1", "js", "kl", "tv")
    )
    if ax is None:
        ax = new_figure(10.0, 4.4).subplots(1, 2, width_ratios=[1, 2.5])
    scene, axes = given_axes(ax, 2)
    figure: Figure = axes.figure
    _draw_lines(scene, float(np.abs(theta).max()) or 1.0)
    top = 1.32 * max(1.0, float(w1.max()))
    axes.set_ylim(-0.05 * top, top)
    for values, colour, label in (
        (tv, GREEN, "TV"),
        (js, ORANGE, "JS (nats)"),
        (kl, PURPLE, "KL (nats), ∞ off θ = 0"),
    ):
        _draw_with_hole(axes, theta, values, colour, label, 0.95 * top)
    axes.plot(theta, w1, "o-", color=BLUE, lw=2.4, ms=4, label="W₁ (distance)")
    if (theta == 0).any():
        _label_zero(axes)
    if np.isinf(kl).any():
        _label_infinity(axes, 0.95 * top)
    axes.set_xlabel("θ, signed distance of the lines")
    axes.set_ylabel("value")
    axes.set_title("Only W₁ has a slope that leads to θ = 0", fontsize=11)
    below: dict[str, Any] = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.16), "ncols": 4}
    axes.legend(frameon=False, fontsize=9, **below)
    tidy(axes)
    return figure


def plot_separation(rows: Sequence[Separation], *, ax: Any = None) -> Figure:
    """Draw W1, JS, KL and the slope of the critic while one measure moves.

    Parameters
    ----------
    rows : sequence of Separation
        The result of `separations`.
    ax : sequence of two matplotlib axes, optional
        Where to draw: the values, and the slopes.

    Returns
    -------
    matplotlib.figure.Figure
        A new figure, or that of `ax`. Above the values; below their difference quotients, and
        the mean slope of the critic on the first measure.

    Raises
    ------
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> from otdist.comparison import separations
    >>> from otdist.plot import plot_separation
    >>> rows = separations([[0.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [1.0, 1.0]])
    >>> [axes.get_ylabel() for axes in plot_separation(rows).axes]
    ['value', 'slope']
    """
    offset = np.array([row.theta for row in rows])
    if ax is None:
        ax = new_figure(7.0, 6.0).subplots(2, 1, sharex=True)
    values, slopes = given_axes(ax, 2)
    figure: Figure = values.figure
    kl = np.array([row.kl for row in rows])
    series = (
        ("W₁ (distance)", BLUE, np.array([row.w1 for row in rows])),
        ("JS (nats)", ORANGE, np.array([row.js for row in rows])),
        ("KL (nats)", PURPLE, np.where(np.isinf(kl), np.nan, kl)),
    )
    top = 1.25 * max(float(np.nanmax(each, initial=1.0)) for _, _, each in series)
    middle, steps = 0.5 * (offset[1:] + offset[:-1]), np.diff(offset)
    for name, colour, each in series:
        values.plot(offset, each, ".-", color=colour, label=name)
        if not np.isnan(each).all():
            slopes.plot(middle, np.diff(each) / steps, ".-", color=colour, label=name)
    infinite = np.isinf(kl)
    values.plot(offset[infinite], np.full(infinite.sum(), 0.95 * top), "^", color=PURPLE)
    values.set_ylim(-0.05 * top, top)
    if infinite.any():
        _label_infinity(values, 0.95 * top)
    steepness = [row.slope for row in rows]
    slopes.plot(offset, steepness, "--", color=GREEN, label="slope of the critic")
    values.set_ylabel("value")
    slopes.set_ylabel("slope")
    slopes.set_xlabel("offset of the second measure (distance)")
    for axes in (values, slopes):
        axes.legend(frameon=False, fontsize=9)
        tidy(axes)
    return figure


def _draw_lines(axes: Axes, theta: float) -> None:
    """Draw the two parallel lines."""
    second = (theta, ORANGE, r"$\mathrm{P}_\theta$")
    for position, colour, label in ((0.0, BLUE, r"$\mathrm{P}_0$"), second):
        axes.plot([position, position], [0, 1], color=colour, lw=4)
        options: dict[str, Any] = {"textcoords": "offset points", "ha": "center", "fontsize": 12}
        axes.annotate(label, (position, 1.0), (0, 6), color=colour, **options)
    arrow = {"arrowstyle": "<->", "color": GREY}
    axes.annotate("", (theta, 0.5), (0.0, 0.5), arrowprops=arrow)
    axes.text(theta / 2, 0.53, "θ", ha="center", color=GREY, fontsize=12)
    axes.set_xlim(-0.35 * theta, 1.35 * theta)
    axes.set_ylim(-0.05, 1.15)
    axes.set_xlabel("first coordinate")
    axes.set_ylabel("second coordinate, Z")
    axes.set_title("Two lines, no common point", fontsize=11)
    tidy(axes)


def _label_zero(axes: Axes) -> None:
    """Mark theta = 0, where all distances are 0."""
    axes.plot([0.0], [0.0], "o", ms=8, color="black", zorder=4)
    options: dict[str, Any] = {"textcoords": "offset points", "va": "center", "fontsize": 9}
    axes.annotate("all are 0 at θ = 0", (0.0, 0.0), (16, -1), **options)


def _label_infinity(axes: Axes, edge: float) -> None:
    """Label the height at which infinite values are drawn."""
    ticks = [tick for tick in axes.get_yticks() if 0 <= tick < 0.9 * edge]
    axes.set_yticks([*ticks, edge], [*(f"{tick:g}" for tick in ticks), "∞"])


def _draw_with_hole(
    axes: Axes,
    theta: FloatArray,
    values: FloatArray,
    colour: str,
    label: str,
    edge: float,
) -> None:
    """Draw a function that jumps at 0: both branches, their open ends, and the value at 0."""
    infinite = np.isinf(values)
    if infinite.any():
        heights = np.full(int(infinite.sum()), edge)
        axes.plot(theta[infinite], heights, "^", ms=6, color=colour, label=label)
        label = "_nolegend_"
    for side in (theta < 0, theta > 0):
        branch = side & ~infinite
        if branch.any():
            at_zero = values[branch][np.abs(theta[branch]).argmin()]
            line = np.append(theta[branch], 0.0), np.append(values[branch], at_zero)
            order = np.argsort(line[0], kind="stable")
            axes.plot(line[0][order], line[1][order], color=colour, lw=1.8, label=label)
            axes.plot([0.0], [at_zero], "o", ms=6, mfc="white", mec=colour, zorder=3)
            label = "_nolegend_"
    axes.plot(theta[theta == 0], values[theta == 0], "o", ms=6, color=colour)
