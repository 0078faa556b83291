"""Draw what epsilon does: ``python -m benchmarks.plot_entropic --out FOLDER``.

Three pictures: value, bracket and regularized value against epsilon; the plan of two
densities on the line at three epsilons beside the exact one; and what a translation
costs, debiased and not.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np

from otdist import Problem, sinkhorn_divergence, solve

_PARTS = np.geomspace(1e-4, 10, 26)
_PLANS = (0.3, 0.03, 0.003)
# The weight for a translation, of a measure whose variance is about 1.
_BLUR = 1.0


def clouds() -> Problem:
    """Two Gaussian clouds in the plane, W2."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 300, 2))
    y[:, 0] += 1.5
    return Problem(x, y, p=2)


def densities() -> Problem:
    """One bump and two, on the line."""
    z = np.linspace(0, 1, 120)
    a = np.exp(-((z - 0.3) ** 2) / 0.01)
    b = np.exp(-((z - 0.45) ** 2) / 0.003) + np.exp(-((z - 0.8) ** 2) / 0.006)
    return Problem(z, z, a, b, p=2, normalize=True)


def mean_cost(problem: Problem) -> float:
    """The mean cost under the product measure."""
    return float(problem.a @ problem.geometry.dense() @ problem.b)


def draw_values(axes: Any, gaps: Any) -> None:
    problem = clouds()
    mean, exact = mean_cost(problem), solve(problem).value
    results = [solve(problem, method="sinkhorn", epsilon=part * mean) for part in _PARTS]
    lower, upper = ([getattr(r, name) for r in results] for name in ("lower", "upper"))
    axes.fill_between(_PARTS, lower, upper, color="#56b4e9", alpha=0.4, label="bracket")
    axes.plot(_PARTS, upper, color="#0072b2", label="value (cost of the plan)")
    regularized = [r.regularized_value for r in results]
    axes.plot(_PARTS, regularized, "--", color="#d55e00", label="regularized_value")
    axes.axhline(exact, color="black", linewidth=0.8, label="exact optimum")
    axes.axhline(mean, color="grey", linewidth=0.8, linestyle=":", label="mean cost")
    axes.set_ylabel("cost × mass (distance² × mass)", fontsize=8)
    axes.legend(fontsize=7)
    above, below = np.array(upper) / exact - 1, 1 - np.array(lower) / exact
    gaps.plot(_PARTS, above, color="#0072b2", label="value above the optimum")
    gaps.plot(_PARTS, below, "-.", color="#009e73", label="lower below the optimum")
    over = np.array(regularized) / exact - 1
    gaps.plot(_PARTS, over, "--", color="#d55e00", label="regularized_value above it")
    gaps.set_yscale("log")
    gaps.set_ylabel("part of the optimum", fontsize=8)
    gaps.legend(fontsize=7)
    for each in (axes, gaps):
        each.set_xscale("log")
        each.set_xlabel("epsilon / mean cost", fontsize=8)


def draw_plans(all_axes: Any) -> None:
    problem = densities()
    mean = mean_cost(problem)
    plans = {
        f"ε = {part:g} of the mean cost": solve(
            problem, method="sinkhorn", epsilon=part * mean
        ).plan.toarray()
        for part in _PLANS
    }
    plans["exact"] = solve(problem).plan.toarray()
    for axes, (title, plan) in zip(all_axes, plans.items(), strict=True):
        # Each in its own brightness: the exact plan is a curve of single pixels.
        axes.imshow(np.sqrt(plan.T), origin="lower", extent=(0, 1, 0, 1), cmap="cividis")
        axes.set_title(title, fontsize=8)
        axes.set_xlabel("x (distance)", fontsize=8)
    all_axes[0].set_ylabel("y (distance)", fontsize=8)


def draw_translation(axes: Any) -> None:
    """What it costs to move 60 normal quantiles by t, entropic and debiased."""
    z = np.array([NormalDist().inv_cdf((i + 0.5) / 60) for i in range(60)])[:, None]
    moves = np.linspace(-2, 2, 33)
    plain = [solve(Problem(z, z + t, p=2), method="sinkhorn", epsilon=_BLUR) for t in moves]
    for name, style, colour in (
        ("value", "-", "#0072b2"),
        ("regularized_value", "--", "#d55e00"),
    ):
        values = [getattr(r, name) for r in plain]
        axes.plot(moves, values, style, color=colour, label=name)
    debiased = [sinkhorn_divergence(z, z + t, p=2, epsilon=_BLUR) for t in moves]
    axes.plot(moves, debiased, "o", color="#009e73", markersize=4, label="sinkhorn_divergence")
    axes.plot(moves, moves**2, color="black", linewidth=0.8, label="exact: t²")
    axes.set_xlabel("translation t (distance)", fontsize=8)
    axes.set_ylabel("cost × mass (distance² × mass)", fontsize=8)
    axes.legend(fontsize=7)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    folder = parser.parse_args().out
    # Here, since only a picture needs matplotlib.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.4), layout="constrained")
    draw_values(*figure.subplots(1, 2))
    figure.savefig(folder / "epsilon-value.png", dpi=100)
    figure = Figure(figsize=(8, 2.4), layout="constrained")
    draw_plans(figure.subplots(1, 4, sharey=True))
    figure.savefig(folder / "epsilon-plan.png", dpi=100)
    figure = Figure(figsize=(5, 3.2), layout="constrained")
    draw_translation(figure.subplots())
    figure.savefig(folder / "epsilon-translation.png", dpi=100)


if __name__ == "__main__":
    main()
