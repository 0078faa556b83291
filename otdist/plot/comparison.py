"""The figure of a comparison: two measures, the plan, and all distances."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from otdist.errors import InputError
from otdist.plot.plan import arcs_to_draw, draw_plan
from otdist.plot.style import (
    BLUE,
    ORANGE,
    PALE,
    finish,
    given_axes,
    new_figure,
    short_name,
    tidy,
)
from otdist.typing import ArrayLike, FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from otdist.comparison.table import Comparison


def plot_comparison(
    comparison: Comparison,
    x: ArrayLike,
    y: ArrayLike,
    *,
    shape: tuple[int, int] | None = None,
    names: Sequence[str] = ("P", "Q"),
    ax: Any = None,
) -> Figure:
    """Draw two measures, arcs of the optimal plan, and all distances.

    Measures on the line are drawn as distribution functions: the area between them is W1.
    Points of more than two coordinates are projected on two principal components.

    Parameters
    ----------
    comparison : Comparison
        The result of `compare` for these points.
    x, y : array_like (n, d) or (n,), (m, d) or (m,)
        Points.
    shape : (int, int), optional
        Rows and columns, if both measures are images with one weight per pixel in
        row-major order.
    names : sequence of two str, default ("P", "Q")
        Names of the measures.
    ax : sequence of matplotlib axes, optional
        Where to draw: three axes, for the measures, the distances and the divergences; five
        for images.

    Returns
    -------
    matplotlib.figure.Figure
        A new figure, or that of `ax`.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    InputError
        If the points are not those of the comparison, or `ax` are not as many axes.

    Examples
    --------
    >>> from otdist import compare
    >>> from otdist.plot import plot_comparison
    >>> x, y = [[0, 0], [0, 1]], [[1, 0], [1, 1]]
    >>> figure = plot_comparison(compare(x, y), x, y)
    >>> [axes.get_title() for axes in figure.axes]
    ['P, Q and the plan', 'transport', 'on the common support']
    """
    points = [_as_points(x), _as_points(y)]
    n, m = comparison.exact.problem.shape
    if (len(points[0]), len(points[1])) != (n, m):
        raise InputError(
            f"x and y must be the {n} and {m} points that were compared, got"
            f" {len(points[0])} and {len(points[1])}"
        )
    are_images = shape is not None and n == m == shape[0] * shape[1]
    if ax is None:
        ax = _new_axes(are_images)
    axes = given_axes(ax, 5 if are_images else 3)
    if shape is not None and are_images:
        _draw_images(axes[:3], comparison, points[0], shape, names)
    elif points[0].shape[1] == 1:
        _draw_line(axes[0], comparison, points[0], points[1], names)
    else:
        plan = comparison.exact.plan
        masses = comparison.exact.problem.a, comparison.exact.problem.b
        draw_plan(axes[0], plan, (points[0], points[1]), masses, names)
    _draw_transport(axes[-2], comparison)
    _draw_divergences(axes[-1], comparison)
    figure: Figure = axes[0].figure
    return figure


def _new_axes(are_images: bool) -> list[Any]:
    """Return the axes of a new figure: of the measures, the distances and the divergences."""
    if are_images:
        figure = new_figure(14.0, 4.4)
        panels = figure.add_gridspec(2, 4, width_ratios=[1, 1, 1.1, 1])
        of_measures = [figure.add_subplot(panels[:, k]) for k in range(3)]
    else:
        figure = new_figure(9.5, 4.4)
        panels = figure.add_gridspec(2, 2, width_ratios=[1.5, 1])
        of_measures = [figure.add_subplot(panels[:, 0])]
    return [*of_measures, *(figure.add_subplot(panels[k, -1]) for k in range(2))]


def _as_points(points: ArrayLike) -> FloatArray:
    array = np.asarray(points, dtype=np.float64)
    return array.reshape(len(array), -1)


def _draw_images(
    panels: Sequence[Axes],
    comparison: Comparison,
    points: FloatArray,
    shape: tuple[int, int],
    names: Sequence[str],
) -> None:
    """Draw both images on one grey scale, and the mass that moves between them."""
    problem = comparison.exact.problem
    images = problem.a.reshape(shape), problem.b.reshape(shape)
    high = max(float(image.max()) for image in images)
    extent = _extent(points, shape)
    for k, image in enumerate(images):
        grey = {"cmap": "gray", "vmin": 0, "vmax": high, "extent": extent}
        _draw_image(panels[k], image, short_name(names[k]), "mass", grey)
    difference = images[0] - images[1]
    limit = float(np.abs(difference).max()) or 1.0
    colours = {"cmap": "RdBu", "vmin": -limit, "vmax": limit, "alpha": 0.8, "extent": extent}
    label = "excess (blue) or deficit (red) of mass"
    _draw_image(panels[2], difference, "moved mass", label, colours)
    rows, columns = arcs_to_draw(comparison.exact.plan, points, points)
    start, end = points[rows][:, ::-1], points[columns][:, ::-1]
    arrows: dict[str, Any] = {"angles": "xy", "scale_units": "xy", "scale": 1, "width": 0.004}
    panels[2].quiver(*start.T, *(end - start).T, color="#222222", alpha=0.8, **arrows)


def _extent(points: FloatArray, shape: tuple[int, int]) -> tuple[float, float, float, float]:
    """Return the edges of an image whose pixels are at these points: left, right, bottom, top."""
    (top, left), (bottom, right) = points[0], points[-1]
    height, width = (bottom - top) / max(shape[0] - 1, 1), (right - left) / max(shape[1] - 1, 1)
    height, width = height or width or 1.0, width or height or 1.0
    return left - width / 2, right + width / 2, bottom + height / 2, top - height / 2


def _draw_image(
    axes: Axes, image: FloatArray, title: str, label: str, colours: dict[str, Any]
) -> None:
    """Draw an image with a colour bar."""
    shown = axes.imshow(image, **colours)
    axes.set(xlabel="column (pixels)", ylabel="row (pixels)")
    axes.set_title(title, fontsize=11)
    bar = axes.figure.colorbar(shown, ax=axes, location="bottom", shrink=0.8)
    bar.set_label(label)


def _draw_line(
    axes: Axes,
    comparison: Comparison,
    x: FloatArray,
    y: FloatArray,
    names: Sequence[str],
) -> None:
    """Draw both distribution functions: the area between them is W1."""
    problem = comparison.exact.problem
    places = np.unique(np.concatenate([x, y]))
    span = float(places[-1] - places[0]) or 1.0
    places = np.concatenate([[places[0] - 0.03 * span], places, [places[-1] + 0.03 * span]])
    curves = []
    for points, mass, colour, name in (
        (x, problem.a, BLUE, names[0]),
        (y, problem.b, ORANGE, names[1]),
    ):
        order = np.argsort(points[:, 0])
        total = np.concatenate([[0.0], np.cumsum(mass[order])])
        curve = total[np.searchsorted(points[order, 0], places, side="right")]
        axes.step(places, curve, where="post", color=colour, lw=1.8, label=short_name(name))
        curves.append(curve)
    axes.fill_between(places, curves[0], curves[1], step="post", color=PALE, label="area: W₁")
    axes.set(xlabel="position", ylabel="cumulative mass")
    finish(axes, "distribution functions")


def _draw_transport(axes: Axes, comparison: Comparison) -> None:
    """Draw the transport costs with their brackets."""
    p = comparison.exact.problem.p
    wanted = {"cost": "exact", "Sinkhorn": "Sinkhorn"}
    if p == 1:
        wanted["KR dual"] = "KR dual"
    rows = [row for row in comparison.rows if row.name in wanted]
    _draw_bars(axes, [wanted[row.name] for row in rows], [row.value for row in rows])
    for k, row in enumerate(rows):
        axes.plot([row.lower, row.upper], [k, k], "|-", color="black", ms=9, lw=1.4)
    axes.set_xlim(0, 1.35 * max(*(row.upper for row in rows), 1e-300))
    power = "" if p == 1 or np.isinf(p) else f"$^{{{p:g}}}$"
    unit = "distance" if np.isinf(p) else f"mass × distance{power}"
    axes.set_xlabel(f"{unit}; black: bracket")
    axes.set_title("transport", fontsize=11)


def _draw_divergences(axes: Axes, comparison: Comparison) -> None:
    """Draw the divergences; an infinite value is drawn as an arrow to the edge."""
    names = ["KL(P|Q)", "KL(Q|P)", "JS", "TV", "Hellinger"]
    values = [comparison[name].value for name in names]
    finite = [value for value in values if np.isfinite(value)]
    edge = 1.35 * max(1.0, *finite)
    _draw_bars(axes, names, values, edge)
    axes.set_xlim(0, edge)
    axes.set_xlabel("KL, JS in nats; TV, Hellinger at most 1")
    axes.set_title("on the common support", fontsize=11)


def _draw_bars(
    axes: Axes, names: Sequence[str], values: Sequence[float], edge: float = 1.0
) -> None:
    """Draw horizontal bars and write their values."""
    for k, value in enumerate(values):
        infinite = np.isinf(value)
        axes.barh(k, edge if infinite else value, height=0.6, color=BLUE, alpha=0.75)
        axes.annotate(
            "∞ →" if infinite else f"{value:.6g}",
            (0.97 * edge if infinite else value, k),
            (0 if infinite else 6, 0),
            textcoords="offset points",
            ha="right" if infinite else "left",
            va="center",
            fontsize=9,
            color="white" if infinite else "black",
        )
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    tidy(axes)
    axes.grid(visible=False, axis="y")
