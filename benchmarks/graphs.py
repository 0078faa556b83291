"""W1 on graphs and trees: random masses on all nodes.

Wanted: 100 000 nodes and 400 000 edges within 20 s. HiGHS solves the same flow problem,
as a linear program, where it is small.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from benchmarks.instances import sizes
from otdist import Problem, solve

EDGES_PER_NODE = 4


def geometric(rng, n):
    """Points in the plane and their nearest neighbours, by ways that wind a little."""
    x = rng.random((n, 2))
    _, near = cKDTree(x).query(x, k=min(n, 6))
    i, j = np.repeat(np.arange(n), near.shape[1] - 1), near[:, 1:].ravel()
    return i, j, np.linalg.norm(x[i] - x[j], axis=1) * (1 + rng.random(len(i)))


def random(rng, n):
    """Pairs of nodes at random, with random lengths."""
    i, j = rng.integers(0, n, (2, EDGES_PER_NODE * n))
    return i, j, rng.random(len(i))


def roads(rng, n):
    """A grid of streets with random lengths, of which one in ten is closed."""
    side = round(n**0.5)
    node = np.arange(side * side).reshape(side, side)
    i = np.concatenate([node[1:].ravel(), node[:, 1:].ravel()])
    j = np.concatenate([node[:-1].ravel(), node[:, :-1].ravel()])
    is_open = rng.random(len(i)) < 0.9
    return i[is_open], j[is_open], rng.random(is_open.sum())


FAMILIES = {make.__name__: make for make in (geometric, random, roads)}


def make_problem(family: str, n: int) -> Problem:
    """Return the problem of a family on about n nodes, those that are connected."""
    rng = np.random.default_rng([n, sorted(FAMILIES).index(family)])
    i, j, length = FAMILIES[family](rng, n)
    low, high = np.minimum(i, j), np.maximum(i, j)
    _, first = np.unique(low * n + high, return_index=True)
    first = first[low[first] < high[first]]
    ends = low[first], high[first]
    half = csr_array((length[first], ends), shape=(n, n))
    _, part = connected_components(half, directed=False)
    nodes = np.flatnonzero(part == np.bincount(part).argmax())
    graph = (half + half.T)[nodes][:, nodes]
    a, b = rng.random((2, len(nodes)))
    return Problem.on_graph(graph, a, b, normalize=True)


class Graph:
    params = (tuple(FAMILIES), sizes(1000, 10_000, 100_000))
    param_names = ("family", "n")
    timeout = 600

    def setup(self, family, n):
        solve(make_problem("roads", 100))  # compiles
        self.problem = make_problem(family, n)

    def time_solve(self, family, n):
        solve(self.problem)

    def peakmem_solve(self, family, n):
        solve(self.problem)

    def track_gap(self, family, n):
        return solve(self.problem).relative_gap

    def track_pivots(self, family, n):
        return solve(self.problem).n_iter


class Highs:
    """The flow of the same problem as a linear program."""

    params = (tuple(FAMILIES), (1000,))
    param_names = ("family", "n")
    timeout = 600

    def setup(self, family, n):
        problem = make_problem(family, n)
        edges = problem.geometry.lengths.tocoo()
        k, ones = np.arange(edges.nnz), np.ones(edges.nnz)
        into = csr_array((ones, (edges.col, k)))
        self.lengths, self.divergence = edges.data, problem.a - problem.b
        self.matrix = csr_array((ones, (edges.row, k))) - into

    def time_linprog(self, family, n):
        found = linprog(self.lengths, A_eq=self.matrix, b_eq=self.divergence)
        assert found.status == 0


class Tree:
    params = (("recursive", "path"), sizes(1000, 1_000_000))
    param_names = ("family", "n")
    timeout = 600

    def setup(self, family, n):
        solve(Problem.on_tree([-1, 0], [0, 1]))  # compiles
        rng = np.random.default_rng(n)
        self.parents = np.arange(-1, n - 1)
        if family == "recursive":
            self.parents[1:] = (rng.random(n - 1) * np.arange(1, n)).astype(int)
        self.lengths = rng.random(n)
        self.a, self.b = rng.random((2, n))

    def solve(self):
        problem = Problem.on_tree(self.parents, self.lengths, self.a, self.b, normalize=True)
        return solve(problem)

    def time_solve(self, family, n):
        self.solve()

    def track_gap(self, family, n):
        return self.solve().relative_gap
