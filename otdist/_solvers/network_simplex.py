"""Exact transport by the network simplex method: drives the compiled kernel.

The start hangs every atom on an artificial root, by arcs that cost a margin
more than the potentials it starts from. When no arc prices out and artificial
flow is left, the margin was too small, or forbidden arcs leave mass without a
way: the margin is raised until it exceeds the cost of any path, and what is
left then cannot be transported at all.
"""

from __future__ import annotations

import numpy as np

from otdist._kernels import network_simplex as kernel
from otdist._masses import IntegerMasses, fitted, northwest, quantise
from otdist._plan import Arcs
from otdist._problem import Problem
from otdist._result import Candidate
from otdist._solvers import Options, start_from
from otdist._typing import FloatArray, NDArray

# Entries priced in one call of the kernel: about 50 ms, so that Ctrl-C works.
_BUDGET = 100_000_000
# Rows priced at a time; 8 to 50 measure alike on all families, 20 is best.
_BLOCK_ROWS = 20
# A warm start trusts its potentials to this part of the largest cost.
_WARM_MARGIN = 1e-3
_EPS = float(np.finfo(float).eps)


def run(problem: Problem, options: Options) -> Candidate:
    """Solve the linear program exactly; O(n + m) memory beyond the cost matrix."""
    cost = problem.geometry.dense()
    n, m = cost.shape
    masses = quantise(problem.a, problem.b)
    largest = problem.geometry.largest or 1.0
    g, margin = np.zeros(m), 2.0 * largest
    if options.warm_start is not None:
        g = start_from(problem.geometry, options.warm_start)
        margin = _WARM_MARGIN * largest
    start = np.concatenate([problem.geometry.row_minimum(g), g])
    # Masses of parts that no arc connects may differ by the rounding of their sums.
    rounding = int(16 * _EPS * float(masses.a.sum()))
    negligible = 0
    while True:
        tree, search = _allocate(n, m)
        _hang_on_root(tree, masses, start, margin)
        finished = _pivot_to_the_end(
            cost, tree, search, start, largest, margin, negligible, options
        )
        left = _artificial_flow(tree, n)
        if not finished or left in (0, negligible) or left > rounding:
            break
        # A margin above all paths has shown that no path is left for this flow; the
        # potentials it leaves are as large, so begin again and let the flow be.
        negligible = left
    is_stranded = finished and left > negligible
    rows = np.flatnonzero(_is_artificial(tree)[:n]) if is_stranded else None
    plan = _plan(tree, masses, (n, m), keep_artificial=not finished)
    if not masses.is_exact and finished and not is_stranded:
        plan = fitted(plan, problem.a, problem.b)
    return Candidate(
        plan=plan,
        f=tree.potential[:n].copy(),
        g=tree.potential[n : n + m].copy(),
        n_iter=int(search.n_pivots[0]),
        finished=finished,
        stranded=rows,
    )


def _pivot_to_the_end(
    cost: FloatArray,
    tree: kernel.Tree,
    search: kernel.Search,
    start: FloatArray,
    largest: float,
    margin: float,
    negligible: int,
    options: Options,
) -> bool:
    """Pivot to optimality; return False if the iteration limit came first.

    The entering tolerance starts at the scale of the costs. When no arc is left
    it is lowered to the rounding of the potentials, which may be far smaller
    than the largest cost, and the search goes on.
    """
    n, m = cost.shape
    tolerance = 1e-13 * largest
    n_pivots = -1
    while True:
        code = kernel.run(
            cost, tree, search, _BLOCK_ROWS, tolerance, _BUDGET, options.max_iter
        )
        options.report(int(search.n_pivots[0]))
        has_artificial = _artificial_flow(tree, n) > negligible
        if code == kernel.DONE and has_artificial:
            if margin > 4 * (n + m) * largest:
                return True
            margin *= 8
        levels = (margin, margin)
        if not has_artificial:
            # Artificial arcs carry nothing: without the margin, which changes no
            # difference, potentials are of the size of the costs in the tree.
            levels = (0.0, 2 * margin)
        kernel.refresh(cost, tree, n, start, *levels)
        if code == kernel.MORE:
            if search.n_pivots[0] >= options.max_iter:
                return False
            continue
        if has_artificial:
            continue
        rounding = 8 * _EPS * float(np.abs(tree.potential[:-1]).max())
        if search.n_pivots[0] == n_pivots or rounding > tolerance / 2:
            return True
        n_pivots = int(search.n_pivots[0])
        tolerance = rounding


def _allocate(n: int, m: int) -> tuple[kernel.Tree, kernel.Search]:
    size = n + m + 1
    parent, thread, back, last, subtree = np.empty((5, size), np.int32)
    flow, potential = np.empty(size, np.int64), np.empty(size)
    tree = kernel.Tree(parent, thread, back, last, subtree, flow, potential)
    search = kernel.Search(
        np.empty(_BLOCK_ROWS, np.int32),
        np.empty(_BLOCK_ROWS, np.int32),
        np.empty(_BLOCK_ROWS),
        np.zeros(2, np.int64),
        np.zeros(1, np.int64),
    )
    return tree, search


def _hang_on_root(
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
    tree.flow[:] = np.concatenate([masses.a, masses.b, [0]])
    tree.potential[:-1] = start + margin
    tree.potential[root] = 0.0


def _is_artificial(tree: kernel.Tree) -> NDArray[np.bool_]:
    """Return which atoms hang on the root by an arc that carries flow."""
    root = len(tree.parent) - 1
    return np.asarray((tree.parent[:-1] == root) & (tree.flow[:-1] > 0))


def _artificial_flow(tree: kernel.Tree, n: int) -> int:
    """Return the mass that leaves its source by an artificial arc."""
    return int(tree.flow[:n][_is_artificial(tree)[:n]].sum())


def _plan(
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
