"""The network simplex tree: built on an artificial root, read out at the end."""

from __future__ import annotations

import numpy as np

from otdist._kernels import network_simplex as kernel
from otdist._masses import IntegerMasses, northwest
from otdist._plan import Arcs
from otdist._typing import FloatArray, NDArray

# Rows priced at a time; 8 to 50 measure alike on all families, 20 is best.
BLOCK_ROWS = 20


def allocate(n: int, m: int) -> tuple[kernel.Tree, kernel.Search]:
    """Return arrays for a tree of n sources, m sinks and a root, and its search."""
    size = n + m + 1
    parent, thread, back, last, subtree = np.empty((5, size), np.int32)
    cost, potential = np.empty((2, size))
    flow = np.empty(size, np.int64)
    tree = kernel.Tree(parent, thread, back, last, subtree, flow, cost, potential)
    search = kernel.Search(
        np.empty(BLOCK_ROWS, np.int32),
        np.empty(BLOCK_ROWS, np.int32),
        np.empty(BLOCK_ROWS),
        np.zeros(2, np.int64),
        np.zeros(1, np.int64),
    )
    return tree, search


def hang_on_root(
    tree: kernel.Tree, masses: IntegerMasses, start: FloatArray, margin: float
) -> None:
    """Make every atom a child of the root, by an arc `margin` above its start."""
    root = len(tree.parent) - 1
    tree.parent[:] = root
    tree.parent[root] = -1
    tree.thread[:-1] = np.arange(1, root + 1)
    tree.thread[root] = 0
    tree.back[1:] = np.arange(root)
    tree.back[0] = root
    tree.last[:-1] = np.arange(root)
    tree.last[root] = root - 1
    tree.size[:-1] = 1
    tree.size[root] = root + 1
    n = len(masses.a)
    tree.flow[:n] = masses.a
    tree.flow[n:-1] = masses.b
    tree.flow[root] = 0
    tree.cost[:-1] = start + margin
    tree.potential[:-1] = tree.cost[:-1]
    tree.cost[root] = tree.potential[root] = 0.0


def set_artificial_costs(
    tree: kernel.Tree, n: int, start: FloatArray, of_sources: float, of_sinks: float
) -> None:
    """Let the arcs of the root cost so much more than the start; new potentials."""
    root = len(tree.parent) - 1
    nodes = np.flatnonzero(tree.parent[:-1] == root)
    tree.cost[nodes] = start[nodes] + np.where(nodes < n, of_sources, of_sinks)
    kernel.refresh(tree)


def is_artificial(tree: kernel.Tree) -> NDArray[np.bool_]:
    """Return which atoms hang on the root by an arc that carries flow."""
    root = len(tree.parent) - 1
    return np.asarray((tree.parent[:-1] == root) & (tree.flow[:-1] > 0))


def artificial_flow(tree: kernel.Tree, n: int) -> int:
    """Return the mass that leaves its source by an artificial arc."""
    return int(tree.flow[:n][is_artificial(tree)[:n]].sum())


def plan_of(
    tree: kernel.Tree,
    masses: IntegerMasses,
    shape: tuple[int, int],
    *,
    keep_artificial: bool,
) -> Arcs:
    """Read the plan off the tree; artificial flow is coupled from the corner."""
    n, m = shape
    node = np.arange(n + m)
    parent, flow = tree.parent[:-1].astype(np.int64), tree.flow[:-1]
    real = (parent < n + m) & (flow > 0)
    rows = np.where(node < n, node, parent)[real]
    columns = np.where(node < n, parent, node)[real] - n
    integer = flow[real]
    left = np.where(parent == n + m, flow, 0)
    if keep_artificial and left.any():
        i, j, rest = northwest(left[:n], left[n:])
        rows, columns = np.concatenate([rows, i]), np.concatenate([columns, j])
        integer = np.concatenate([integer, rest])
    return Arcs(rows, columns, integer * masses.unit)


def value_of(tree: kernel.Tree, masses: IntegerMasses) -> float:
    """Return the cost of the flow, for a tree without artificial flow."""
    carries = tree.flow[:-1] > 0
    return float(tree.flow[:-1][carries] @ tree.cost[:-1][carries]) * masses.unit
