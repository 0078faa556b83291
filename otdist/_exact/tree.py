"""The network simplex tree: built on an artificial root, read out at the end."""

from __future__ import annotations

import numpy as np

from otdist._kernels import network_simplex as kernel
from otdist._masses import IntegerMasses, northwest
from otdist._plan import Arcs
from otdist._typing import FloatArray, IntArray

# Rows priced at a time; 8 to 50 measure alike on all families, 20 is best.
BLOCK_ROWS = 20


def allocate(n: int, m: int) -> tuple[kernel.Tree, kernel.Search]:
    """Return arrays for a tree of n sources, m sinks and a root, and its search."""
    size = n + m + 1
    parent, thread, back, last, subtree, atom, node = np.empty((7, size), np.uint32)
    cost, potential = np.empty((2, size))
    flow = np.empty(size, np.int64)
    basis = kernel.Tree(
        parent, thread, back, last, subtree, flow, cost, atom, node, potential
    )
    search = kernel.Search(
        np.empty(BLOCK_ROWS, np.uint32),
        np.empty(BLOCK_ROWS, np.uint32),
        np.empty(BLOCK_ROWS),
        np.zeros(2, np.int64),
        np.zeros(1, np.int64),
    )
    return basis, search


def hang_on_root(
    basis: kernel.Tree, masses: IntegerMasses, start: FloatArray, margin: float
) -> None:
    """Make every atom a child of the root, by an arc `margin` above its start."""
    size, n = len(basis.parent), len(masses.a)
    nodes = np.arange(size)
    basis.parent[:] = 0
    basis.thread[:-1] = nodes[1:]
    basis.thread[-1] = 0
    basis.back[1:] = nodes[:-1]
    basis.back[0] = basis.last[0] = size - 1
    basis.last[1:] = nodes[1:]
    basis.size[1:] = 1
    basis.size[0] = size
    basis.atom[1:] = nodes[:-1]
    basis.atom[0] = size - 1
    basis.node[:-1] = nodes[1:]
    basis.node[-1] = 0
    basis.flow[0] = 0
    basis.flow[1 : n + 1] = masses.a
    basis.flow[n + 1 :] = masses.b
    basis.cost[0] = basis.potential[-1] = 0.0
    basis.cost[1:] = start + margin
    basis.potential[:-1] = basis.cost[1:]


def set_artificial_costs(
    basis: kernel.Tree, n: int, start: FloatArray, of_sources: float, of_sinks: float
) -> None:
    """Let the arcs of the root cost so much more than the start; new potentials."""
    nodes = np.flatnonzero(basis.parent[1:] == 0) + 1
    atoms = basis.atom[nodes]
    basis.cost[nodes] = start[atoms] + np.where(atoms < n, of_sources, of_sinks)
    kernel.refresh(basis)


def artificial_flow(basis: kernel.Tree, n: int) -> int:
    """Return the mass that leaves its source by an artificial arc."""
    return int(_left_over(basis)[:n].sum())


def value_of(basis: kernel.Tree, masses: IntegerMasses) -> float:
    """Return the cost of the flow, artificial arcs included, in cost × mass."""
    return float(basis.flow.astype(np.float64) @ basis.cost) * masses.unit


def stranded_rows(basis: kernel.Tree, n: int) -> IntArray:
    """Return the sources that send mass to the root."""
    return np.flatnonzero(_left_over(basis)[:n])


def _left_over(basis: kernel.Tree) -> IntArray:
    """Return the flow between each atom and the root, by atom (n + m,)."""
    node = basis.node[:-1]
    return np.where(basis.parent[node] == 0, basis.flow[node], 0)


def plan_of(
    basis: kernel.Tree,
    masses: IntegerMasses,
    shape: tuple[int, int],
    *,
    keep_artificial: bool,
) -> Arcs:
    """Read the plan off the tree; artificial flow is coupled from the corner."""
    n, m = shape
    atom, node = np.arange(n + m), basis.node[:-1]
    parent = basis.atom[basis.parent[node]].astype(np.int64)
    flow = basis.flow[node]
    real = (parent < n + m) & (flow > 0)
    rows = np.where(atom < n, atom, parent)[real]
    columns = np.where(atom < n, parent, atom)[real] - n
    integer = flow[real]
    left = _left_over(basis)
    if keep_artificial and left.any():
        i, j, rest = northwest(left[:n], left[n:])
        rows, columns = np.concatenate([rows, i]), np.concatenate([columns, j])
        integer = np.concatenate([integer, rest])
    return Arcs(rows, columns, integer * masses.unit)
