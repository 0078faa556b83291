"""The figure of the home page, for light and dark pages: two clouds of points and the plan."""

from pathlib import Path

FIGURES = "_static/generated"
#: Colours of both clouds and of the arcs; the first pair is that of `otdist.plot`.
COLOURS = {"light": ("#0072B2", "#D55E00", "#555555"), "dark": ("#56B4E9", "#F0883E", "#9AA4AE")}


def points():
    """Return the points of the program on the home page."""
    import numpy as np

    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 2))
    t = rng.uniform(0, 2 * np.pi, 60)
    y = np.column_stack([5 + 2 * np.cos(t), 2 * np.sin(t)])
    return x, y


def draw(path, colours):
    import numpy as np
    from matplotlib.collections import LineCollection
    from matplotlib.figure import Figure

    import otdist as od

    x, y = points()
    plan = od.solve(od.Problem(x, y)).plan.tocoo()
    figure = Figure(figsize=(5.6, 3.4), layout="constrained")
    axes = figure.add_subplot()
    axes.set_axis_off()
    axes.set_aspect("equal")
    arcs = np.stack([x[plan.row], y[plan.col]], axis=1)
    axes.add_collection(LineCollection(list(arcs), colors=colours[2], linewidths=0.8, alpha=0.45))
    for cloud, colour in zip((x, y), colours, strict=False):
        axes.scatter(*cloud.T, s=34, color=colour, lw=0, zorder=2)
    figure.savefig(path, transparent=True, metadata={"Date": None})


def make(app):
    folder = Path(app.srcdir, FIGURES)
    folder.mkdir(parents=True, exist_ok=True)
    for name, colours in COLOURS.items():
        draw(folder / f"landing-{name}.svg", colours)


def setup(app):
    app.connect("builder-inited", make)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
