"""Draw W_inf, partial transport and slices: ``python -m benchmarks.plot_mass --out DIR``.

Three pictures: W_p of two clouds as p grows, and the plan for p = inf with its longest
arc; what is moved and what is left at three prices; W_2 along all directions of the
plane, with the mean and the largest. Every number is computed.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

import numpy as np

from otdist import Problem, solve, wasserstein_distance
from otdist.sliced import max_sliced_wasserstein_distance, sliced_wasserstein_estimate

_BLUE, _ORANGE, _GREEN, _GREY = "#0072b2", "#d55e00", "#009e73", "#999999"


def clouds(n: int = 40) -> tuple[Any, Any]:
    """Return two clouds in the plane, one with some points far from all others."""
    rng = np.random.default_rng(3)
    x, y = rng.standard_normal((2, n, 2))
    y[:, 0] += 1.5
    y[:3] += [1.0, 2.5]
    return x, y


def _draw_plan(axes: Any, x: Any, y: Any, plan: Any) -> None:
    for i, j in zip(plan.row, plan.col, strict=True):
        axes.plot(*zip(x[i], y[j], strict=True), color=_GREY, linewidth=0.8, zorder=1)
    axes.plot(*x.T, "o", color=_BLUE, markersize=3)
    axes.plot(*y.T, "s", color=_ORANGE, markersize=3)
    axes.set_aspect("equal")
    axes.set_xticks([])
    axes.set_yticks([])


def draw_bottleneck(orders: Any, first: Any, last: Any) -> None:
    x, y = clouds()
    ps = np.geomspace(1, 64, 13)
    values = [wasserstein_distance(x, y, p=p) for p in ps]
    orders.plot(ps, values, "o-", color=_BLUE, markersize=3, label="W_p")
    result = solve(Problem(x, y, p=math.inf))
    orders.axhline(result.value, color=_ORANGE, label="W_inf")
    orders.set_xscale("log", base=2)
    orders.set_xlabel("p", fontsize=8)
    orders.set_ylabel("distance", fontsize=8)
    orders.legend(fontsize=7)
    for axes, problem, name in (
        (first, Problem(x, y), "p = 1"),
        (last, result.problem, "p = inf"),
    ):
        plan = solve(problem).plan
        _draw_plan(axes, x, y, plan)
        lengths = np.linalg.norm(x[plan.row] - y[plan.col], axis=1)
        k = int(lengths.argmax())
        ends = x[plan.row[k]], y[plan.col[k]]
        axes.plot(*zip(*ends, strict=True), color=_ORANGE, linewidth=2)
        axes.set_title(f"{name}: longest {lengths[k]:.2f}", fontsize=8)


def draw_partial(*panels: Any) -> None:
    x, y = clouds()
    a, b = np.full(len(x), 1.0), np.full(len(y), 1.0)
    for axes, price in zip(panels, (0.2, 0.6, 3.0), strict=True):
        result = solve(Problem.partial(x, y, a, b, price=price))
        _draw_plan(axes, x, y, result.plan)
        for points, left in zip((x, y), result.unmatched, strict=True):
            axes.plot(*points[left > 0].T, "o", color=_GREEN, markersize=8,
                      fillstyle="none")  # fmt: skip
        moved = result.plan.sum() / len(x)
        axes.set_title(f"price {price:g}: {moved:.0%} moved", fontsize=8)


def draw_sliced(profile: Any, axes: Any) -> None:
    rng = np.random.default_rng(5)
    x = rng.standard_normal((200, 2)) * [2.0, 0.5]
    y = rng.standard_normal((200, 2)) * [0.5, 1.0]
    angles = np.linspace(0, np.pi, 181)
    u = np.column_stack([np.cos(angles), np.sin(angles)])
    values = wasserstein_distance(u @ x.T, u @ y.T, p=2, axis=-1)
    degrees = np.degrees(angles)
    profile.plot(degrees, values, color=_BLUE, label="W_2 along a direction")
    mean, error = sliced_wasserstein_estimate(x, y, p=2, n_projections=32, rng=0)
    profile.axhline(mean, color=_GREEN, label="sliced, from 32 directions")
    profile.axhspan(mean - 2 * error, mean + 2 * error, color=_GREEN, alpha=0.2)
    found = max_sliced_wasserstein_distance(x, y, p=2, rng=0)
    at = math.degrees(math.atan2(found.direction[1], found.direction[0])) % 180
    profile.plot([at], [found.value], "*", color=_ORANGE, markersize=12,
                 label="max-sliced")  # fmt: skip
    profile.axhline(wasserstein_distance(x, y, p=2), color=_GREY, label="W_2")
    profile.set_xlabel("direction (degrees)", fontsize=8)
    profile.set_ylabel("distance", fontsize=8)
    profile.legend(fontsize=7)
    axes.plot(*x.T, "o", color=_BLUE, markersize=2)
    axes.plot(*y.T, "s", color=_ORANGE, markersize=2)
    axes.axline((0, 0), tuple(found.direction), color=_ORANGE, linewidth=1)
    axes.set_aspect("equal")
    axes.set_xticks([])
    axes.set_yticks([])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    folder = parser.parse_args().out
    # Here, since only a picture needs matplotlib.
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    for name, draw, n_axes, width in (
        ("bottleneck", draw_bottleneck, 3, 9),
        ("unequal-mass", draw_partial, 3, 8),
        ("sliced", draw_sliced, 2, 8),
    ):
        figure = Figure(figsize=(width, 3.0), layout="constrained")
        draw(*np.ravel(figure.subplots(1, n_axes)))
        with rc_context({"svg.hashsalt": "otdist"}):
            figure.savefig(folder / f"{name}.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
