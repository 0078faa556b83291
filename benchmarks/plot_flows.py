"""Draw flows: ``python -m benchmarks.plot_flows --out FOLDER``.

Two pictures: mass that goes through a net of streets, with the potential of its nodes;
and one pair of images under three metrics.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_array
from scipy.spatial import Delaunay

from otdist import Problem, Result, solve

SEED = 3


def streets(n: int = 130) -> tuple[np.ndarray, Problem]:
    """Points in the plane, the edges of their triangles, two towns that trade."""
    rng = np.random.default_rng(SEED)
    x = rng.random((n, 2))
    triangles = Delaunay(x).simplices
    pairs = np.sort(triangles[:, [[0, 1], [1, 2], [0, 2]]].reshape(-1, 2), axis=1)
    pairs = np.unique(pairs, axis=0)
    length = np.linalg.norm(x[pairs[:, 0]] - x[pairs[:, 1]], axis=1)
    short = length < 0.25
    i, j, length = pairs[short, 0], pairs[short, 1], length[short]
    ends = np.concatenate([i, j]), np.concatenate([j, i])
    graph = csr_array((np.tile(length, 2), ends), shape=(n, n))
    a = np.exp(-np.sum((x - [0.2, 0.3]) ** 2, axis=1) / 0.02)
    b = np.exp(-np.sum((x - [0.8, 0.7]) ** 2, axis=1) / 0.02)
    b += np.exp(-np.sum((x - [0.8, 0.2]) ** 2, axis=1) / 0.01)
    return x, Problem.on_graph(graph, a, b, normalize=True)


def draw_streets(axes: Any) -> None:
    from matplotlib.collections import LineCollection

    x, problem = streets()
    result = solve(problem)
    tails, heads, _ = problem.geometry.edges()
    edges = np.stack([x[tails], x[heads]], axis=1)
    axes.add_collection(LineCollection(edges, colors="#cccccc", linewidths=0.6))
    draw_flow(axes, x, result, 3.5)
    shown = axes.scatter(*x.T, c=result.potentials[0], s=12, cmap="viridis", zorder=3, linewidths=0)
    axes.figure.colorbar(shown, ax=axes, label="potential f (length)", shrink=0.8)
    axes.set_title(f"W1 = {result.value:.4f}, gap {result.gap:.0e}", fontsize=9)


def draw_flow(axes: Any, x: np.ndarray, result: Result, width: float) -> None:
    from matplotlib.collections import LineCollection

    flow = result.coupling
    amounts = flow.amounts / flow.amounts.max()
    steps = np.stack([x[flow.tails], x[flow.heads]], axis=1)[amounts > 1e-3]
    widths = np.maximum(0.3, width * amounts[amounts > 1e-3])
    lines = LineCollection(steps, colors="#d55e00", linewidths=widths, capstyle="round")
    axes.add_collection(lines)
    axes.set_aspect("equal")
    axes.set_xticks([])
    axes.set_yticks([])


def blobs(side: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """One blob, and one that is turned around."""
    i, j = np.indices((side, side)) / (side - 1)
    A = np.exp(-((i - 0.25) ** 2 + (j - 0.2) ** 2) / 0.02)
    B = np.exp(-((i - 0.55) ** 2) / 0.03 - (j - 0.85) ** 2 / 0.005)
    return A * (A > 0.05), B * (B > 0.05)


def draw_metric(axes: Any, metric: str, method: str) -> None:
    A, B = blobs()
    problem = Problem.on_grid(A, B, metric=metric, normalize=True)
    result = solve(problem, method=method)
    x = np.indices(A.shape).reshape(2, -1)[::-1].T
    axes.imshow(A / A.sum() - B / B.sum(), cmap="RdBu", vmin=-0.03, vmax=0.03)
    draw_flow(axes, x, result, 2.0)
    name = {"cityblock": "L1", "chebyshev": "L∞"}.get(metric, "Euclidean")
    value = f"{result.value:.4f}"
    if method == "coprime":
        value = f"[{result.lower:.3f}, {result.upper:.3f}]"
    axes.set_title(f"{name}: {value}", fontsize=9)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    folder = parser.parse_args(arguments).out
    folder.mkdir(parents=True, exist_ok=True)
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "otdist"
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(5.5, 4), layout="constrained")
    draw_streets(axes)
    figure.savefig(folder / "flow-streets.svg", metadata={"Date": None})
    plt.close(figure)
    figure, panels = plt.subplots(1, 3, figsize=(8, 2.9), layout="constrained")
    kinds = (("cityblock", "auto"), ("chebyshev", "auto"), ("euclidean", "coprime"))
    for axes, kind in zip(panels, kinds, strict=True):
        draw_metric(axes, *kind)
    figure.savefig(folder / "flow-metrics.svg", metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    main()
