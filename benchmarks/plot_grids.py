"""Draw how mass moves between two images: ``python -m benchmarks.plot_grids``.

Two small images, one minus the other; the arcs of W1 over its potential, a function of
slope 1 that falls along every arc; the arcs of W2. Everything is computed.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from otdist import Problem, Result, solve

_SIDE = 20
_LINE = "#0072b2"
_LEAST = 0.1  # of the mass of the widest arc


def images() -> tuple[np.ndarray, np.ndarray]:
    """A spot, and a smaller one with a ring, of one mass."""
    x, y = np.meshgrid(*[np.linspace(-1, 1, _SIDE)] * 2, indexing="ij")
    spot = np.exp(-12 * ((x + 0.35) ** 2 + (y + 0.3) ** 2))
    ring = np.exp(-40 * (np.hypot(x - 0.2, y - 0.2) - 0.5) ** 2)
    first = np.rint(60 * spot)
    second = np.rint(20 * ring + 25 * spot)
    return first / first.sum(), second / second.sum()


def draw_arcs(axes: Any, result: Result) -> None:
    """One line for each arc that carries much, the wider the more; none for what stays."""
    from matplotlib.collections import LineCollection

    plan = result.plan
    part = np.where(plan.row != plan.col, plan.data, 0.0)
    part /= part.max()
    shown = part > _LEAST
    ends = np.stack([plan.row[shown], plan.col[shown]], axis=1)
    lines = np.stack([ends % _SIDE, ends // _SIDE], axis=2)
    widths = 0.2 + 1.3 * part[shown]
    axes.add_collection(LineCollection(lines, colors=_LINE, linewidths=widths))


def draw(figure: Any) -> None:
    """Draw the three panels."""
    first, second = images()
    all_axes = figure.subplots(1, 3, sharex=True, sharey=True)
    difference = first - second
    limit = np.abs(difference).max()
    all_axes[0].imshow(difference, cmap="PuOr_r", vmin=-limit, vmax=limit)
    all_axes[0].set_title("A − B", fontsize=9)
    for axes, p in zip(all_axes[1:], (1, 2), strict=True):
        result = solve(Problem.on_grid(first, second, p=p))
        if p == 1:
            potential = result.potentials[0].reshape(_SIDE, _SIDE)
            axes.contour(potential, levels=12, colors="0.75", linewidths=0.7)
        draw_arcs(axes, result)
        axes.set_title(f"W{p} = {result.distance:.3f} pixels", fontsize=9)
        axes.set_aspect("equal")
    for axes in all_axes:
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_xlim(-0.5, _SIDE - 0.5)
        axes.set_ylim(_SIDE - 0.5, -0.5)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    out = parser.parse_args(arguments).out
    # Here, since only a picture needs matplotlib.
    import matplotlib
    from matplotlib.figure import Figure

    # Two runs give one file.
    matplotlib.rcParams["svg.hashsalt"] = "otdist"
    figure = Figure(figsize=(7.5, 2.7), layout="constrained")
    draw(figure)
    figure.savefig(out, metadata={"Date": None}, dpi=100)


if __name__ == "__main__":
    main()
