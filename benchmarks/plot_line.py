"""Draw plans on the line and on the circle: ``python -m benchmarks.plot_line``.

Two pictures into the folder ``--out``: plans of a convex and of a concave cost on the
line; an optimal plan on the circle, and what every cut of it would cost.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from otdist import Problem, solve

_BLUE, _ORANGE, _GREY = "#0072b2", "#d55e00", "#888888"


def draw_plan(axes: Any, p: float) -> None:
    """Arcs from x below to y above, as half circles."""
    rng = np.random.default_rng(3)
    x, y = np.sort(rng.random(7)), np.sort(rng.random(7) + 0.25)
    result = solve(Problem(x, y, p=p, concave=p < 1))
    turn = np.linspace(0, np.pi, 40)
    for i, j in zip(result.plan.row, result.plan.col, strict=True):
        middle, radius = 0.5 * (x[i] + y[j]), 0.5 * (y[j] - x[i])
        axes.plot(
            middle + radius * np.cos(turn),
            abs(radius) * np.sin(turn),
            color=_GREY,
            linewidth=1,
        )
    axes.plot(x, 0 * x, "o", color=_BLUE, markersize=4)
    axes.plot(y, 0 * y, "o", color=_ORANGE, markersize=4)
    axes.set_title(f"cost |x − y|^{p:g}: {result.value:.4g}", fontsize=8)
    axes.set_aspect("equal")
    axes.axis("off")


def positions() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    return rng.normal(0.05, 0.09, 12) % 1, rng.normal(0.3, 0.15, 12) % 1


def draw_circle(axes: Any) -> None:
    """The plan for p = 2, outside in."""
    x, y = positions()
    result = solve(Problem.on_circle(x, y, p=2))
    turn = np.linspace(0, 2 * np.pi, 200)
    axes.plot(np.cos(turn), np.sin(turn), color=_GREY, linewidth=0.5)
    for radius, at, colour in ((1.1, x, _BLUE), (0.9, y, _ORANGE)):
        angle = 2 * np.pi * at
        axes.plot(
            radius * np.cos(angle),
            radius * np.sin(angle),
            "o",
            color=colour,
            markersize=4,
        )
    for i, j in zip(result.plan.row, result.plan.col, strict=True):
        moved = (y[j] - x[i] + 0.5) % 1 - 0.5
        angle = 2 * np.pi * (x[i] + moved * np.linspace(0, 1, 20))
        radius = np.linspace(1.1, 0.9, 20)
        axes.plot(radius * np.cos(angle), radius * np.sin(angle), color=_GREY, linewidth=1)
    axes.set_title(f"optimal plan, W2² = {result.value:.4g}", fontsize=8)
    axes.set_aspect("equal")
    axes.axis("off")


def draw_cuts(axes: Any) -> None:
    """What coupling in order costs, when y is moved on by so many points."""
    x, y = (np.sort(each) for each in positions())
    n, p = len(x), 2
    shifts = np.arange(-n, n + 1)
    index = np.arange(n)[:, None] + shifts
    lifted = y[index % n] + index // n
    cost = (np.abs(x[:, None] - lifted) ** p).mean(axis=0)
    axes.plot(shifts / n, cost, "-", color=_GREY, linewidth=1)
    axes.plot(shifts / n, cost, ".", color=_BLUE, markersize=4)
    best = cost.argmin()
    axes.plot(shifts[best] / n, cost[best], "o", color=_ORANGE, markersize=6)
    axes.set_xlabel("mass θ that one side is moved on by", fontsize=8)
    axes.set_title("cost of every cut: convex, linear between corners", fontsize=8)
    axes.tick_params(labelsize=7)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    folder = parser.parse_args(arguments).out
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    mpl.rcParams["svg.hashsalt"] = "otdist"
    figure, axes = plt.subplots(2, 1, figsize=(5, 3.4), layout="constrained")
    draw_plan(axes[0], 2)
    draw_plan(axes[1], 0.5)
    save = {"metadata": {"Date": None}}
    figure.savefig(folder / "line.svg", **save)
    figure, axes = plt.subplots(1, 2, figsize=(6.4, 2.8), layout="constrained")
    draw_circle(axes[0])
    draw_cuts(axes[1])
    figure.savefig(folder / "circle.svg", **save)
    plt.close("all")


if __name__ == "__main__":
    main()
