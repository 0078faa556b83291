"""The network simplex tree between two calls of a kernel, and at the end."""

from __future__ import annotations

import math

import numpy as np

from otdist.plans.integer_masses import IntegerMasses, northwest
from otdist.plans.plans import Arcs
from otdist.solvers.network_simplex.kernels import pivot_loop as simplex
from otdist.solvers.network_simplex.kernels import spanning_tree as kernel
from otdist.typing import IntArray

# Rows priced at a time; 8 to 50 take about as long on all families, 20 is best.
BLOCK_ROWS = 20


def allocate(n: int, m: int) -> tuple[kernel.Tree, simplex.Search]:
    """Return arrays for a tree of n sources, m sinks and a root, and its search."""
    size = n + m + 1
    parent, thread, back, last, below, atom, node = np.empty((7, size), np.uint32)
    cost, potential = np.empty((2, size))
    flow = np.empty(size, np.int64)
    basis = kernel.Tree(parent, thread, back, last, below, flow, cost, atom, node, potential)
    row, column = np.empty((2, BLOCK_ROWS), np.uint32)
    cursor, n_pivots = np.array([0, 0, 0, _step(n)]), np.zeros(1, np.int64)
    return basis, simplex.Search(row, column, np.empty(BLOCK_ROWS), cursor, n_pivots)


def _step(n: int) -> int:
    """Return a step that visits 0 … n - 1 in an order without a pattern."""
    step = max(1, round(n * 0.6180339887498949))
    while math.gcd(step, n) > 1:
        step += 1
    return step


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
    basis: kernel.Tree, masses: IntegerMasses, shape: tuple[int, int], *, keep_artificial: bool
) -> Arcs:
    """Read the plan from the tree; couple artificial flow by the north-west corner rule."""
    n, m = shape
    rows, columns, integer = np.empty((3, n + m), np.int64)
    n_arcs = kernel.read_plan(basis, n, rows, columns, integer)
    rows, columns, integer = rows[:n_arcs], columns[:n_arcs], integer[:n_arcs]
    if keep_artificial:
        left = _left_over(basis)
        i, j, rest = northwest(left[:n], left[n:])
        rows, columns = np.concatenate([rows, i]), np.concatenate([columns, j])
        integer = np.concatenate([integer, rest])
    return Arcs(rows, columns, np.multiply(integer, masses.unit, dtype=np.float64))
