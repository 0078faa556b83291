"""The figure of a comparison: two measures, the plan, and all distances."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from otdist.errors import InputError
from otdist.plot.style import BLUE, GREY, ORANGE, PALE, new_figure, tidy
from otdist.typing import ArrayLike, FloatArray, IntArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from otdist.comparison.table import Comparison

_ARCS = 150  # largest number of arcs drawn
_DENSE_LIMIT = 2_000_000  # entries of a dense plan that is searched for arcs


def plot_comparison(
    comparison: Comparison,
    x: ArrayLike,
    y: ArrayLike,
    *,
    shape: tuple[int, int] | None = None,
    names: Sequence[str] = ("P", "Q"),
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

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    InputError
        If the points are not those of the comparison.

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
    if shape is not None and n == m == shape[0] * shape[1]:
        figure = new_figure(14.0, 4.4)
        panels = figure.add_gridspec(2, 4, width_ratios=[1, 1, 1.1, 1])
        _draw_images(figure, panels, comparison, points[0], shape, names)
    else:
        figure = new_figure(9.5, 4.4)
        panels = figure.add_gridspec(2, 2, width_ratios=[1.5, 1])
        axes = figure.add_subplot(panels[:, 0])
        draw = _draw_line if points[0].shape[1] == 1 else _draw_clouds
        draw(axes, comparison, points[0], points[1], names)
    _draw_transport(figure.add_subplot(panels[0, -1]), comparison)
    _draw_divergences(figure.add_subplot(panels[1, -1]), comparison)
    return figure


def _as_points(points: ArrayLike) -> FloatArray:
    array = np.asarray(points, dtype=np.float64)
    return array.reshape(len(array), -1)


def _arcs(comparison: Comparison) -> tuple[IntArray, IntArray, FloatArray]:
    """Return rows, columns and masses of the arcs of the plan."""
    plan = comparison.exact.plan
    n, m = comparison.exact.problem.shape
    if hasattr(plan, "row"):
        rows, columns, mass = plan.row, plan.col, plan.data
    elif n * m <= _DENSE_LIMIT:
        entries = plan.toarray()
        # A dense plan has an entry everywhere: keep those that are large in their row.
        rows, columns = np.nonzero(entries > 0.05 * entries.max(axis=1, keepdims=True))
        mass = entries[rows, columns]
    else:
        rows, columns, mass = np.zeros(0, int), np.zeros(0, int), np.zeros(0)
    return rows, columns, mass


def _sample(comparison: Comparison, x: FloatArray, y: FloatArray) -> tuple[IntArray, IntArray]:
    """Choose at most `_ARCS` arcs, at equal shares of the total mass × length."""
    rows, columns, mass = _arcs(comparison)
    work = mass * np.linalg.norm(x[rows] - y[columns], axis=1)
    total = np.cumsum(work)
    if len(total) == 0 or total[-1] == 0:
        return rows[:0], columns[:0]
    marks = (np.arange(_ARCS) + 0.5) / _ARCS * total[-1]
    chosen = np.unique(np.searchsorted(total, marks))
    if np.count_nonzero(work) <= _ARCS:
        chosen = np.flatnonzero(work)
    return rows[chosen], columns[chosen]


def _draw_arcs(axes: Axes, start: FloatArray, end: FloatArray) -> None:
    from matplotlib.collections import LineCollection

    segments = np.stack([start, end], axis=1)
    lines = LineCollection(list(segments), colors=GREY, linewidths=0.7, alpha=0.55)
    axes.add_collection(lines, autolim=False)


def _draw_images(
    figure: Figure,
    panels: Any,
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
        _draw_image(figure.add_subplot(panels[:, k]), image, _short(names[k]), "mass", grey)
    difference = images[0] - images[1]
    limit = float(np.abs(difference).max()) or 1.0
    axes = figure.add_subplot(panels[:, 2])
    colours = {"cmap": "RdBu", "vmin": -limit, "vmax": limit, "alpha": 0.8, "extent": extent}
    label = "excess (blue) or deficit (red) of mass"
    _draw_image(axes, difference, "moved mass", label, colours)
    rows, columns = _sample(comparison, points, points)
    start, end = points[rows][:, ::-1], points[columns][:, ::-1]
    arrows: dict[str, Any] = {"angles": "xy", "scale_units": "xy", "scale": 1, "width": 0.004}
    axes.quiver(*start.T, *(end - start).T, color="#222222", alpha=0.8, **arrows)


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


def _draw_clouds(
    axes: Axes,
    comparison: Comparison,
    x: FloatArray,
    y: FloatArray,
    names: Sequence[str],
) -> None:
    """Draw two clouds in the plane, as dots with areas proportional to the weights."""
    rows, columns = _sample(comparison, x, y)
    labels = ("first coordinate", "second coordinate")
    if x.shape[1] > 2:
        x, y = _principal(x, y)
        labels = ("first principal component", "second principal component")
    problem = comparison.exact.problem
    _draw_arcs(axes, x[rows], y[columns])
    largest = max(float(problem.a.max()), float(problem.b.max()))
    size = 60.0 if max(len(x), len(y)) <= 200 else 20.0
    for points, mass, colour, name in (
        (x, problem.a, BLUE, names[0]),
        (y, problem.b, ORANGE, names[1]),
    ):
        area = size * mass / largest
        axes.scatter(points[:, 0], points[:, 1], s=area, color=colour, alpha=0.8, lw=0)
        axes.scatter([], [], s=30, color=colour, label=_short(name))
    axes.set_aspect("equal", adjustable="datalim")
    axes.set(xlabel=labels[0], ylabel=labels[1])
    _finish(axes, f"{_short(names[0])}, {_short(names[1])} and the plan")


def _principal(x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Project both clouds on their first two principal components."""
    both = np.concatenate([x, y])
    centre = both.mean(axis=0)
    basis = np.linalg.svd(both - centre, full_matrices=False)[2][:2].T
    return (x - centre) @ basis, (y - centre) @ basis


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
        axes.step(places, curve, where="post", color=colour, lw=1.8, label=_short(name))
        curves.append(curve)
    axes.fill_between(places, curves[0], curves[1], step="post", color=PALE, label="area: W₁")
    axes.set(xlabel="position", ylabel="cumulative mass")
    _finish(axes, "distribution functions")


def _finish(axes: Axes, title: str) -> None:
    axes.set_title(title, fontsize=11)
    axes.legend(frameon=False, fontsize=9)
    tidy(axes)


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


def _short(name: str) -> str:
    return name if len(name) <= 30 else "…" + name[-29:]
