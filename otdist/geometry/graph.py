"""Nodes of a graph, where the cost is the length of the shortest path."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from otdist.geometry.protocol import Edges, Facts, Geometry
from otdist.runtime import blocks
from otdist.typing import FloatArray, IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Graph(Geometry):
    """Nodes of an undirected graph on both sides; a path costs the sum of its edges.

    Attributes
    ----------
    lengths : scipy.sparse.csr_array (N, N)
        Length of every edge, in both directions; edges of length 0 are stored.
    sources, sinks : ndarray (n,), (m,)
        The nodes that the atoms of either side are.
    component : ndarray (N,)
        Which connected part a node is in. No path leads from one to another, which
        costs ``inf``.
    largest : float
        A bound on every finite distance.
    """

    label: ClassVar[str] = "graph"

    lengths: Any
    sources: IntArray
    sinks: IntArray
    component: IntArray
    largest: float

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of atoms (n, m)."""
        return len(self.sources), len(self.sinks)

    @property
    def n_nodes(self) -> int:
        """Number of nodes, those that are no atoms among them."""
        return len(self.component)

    @property
    def is_whole(self) -> bool:
        """Whether the atoms of both sides are all nodes, in order."""
        every = np.arange(self.n_nodes)
        return np.array_equal(self.sources, every) and np.array_equal(self.sinks, every)

    @property
    def is_tree(self) -> bool:
        """Whether just one path joins any two nodes."""
        n = self.n_nodes
        return bool(self.lengths.nnz == 2 * (n - 1) and self.component.max() == 0)

    @property
    def facts(self) -> Facts:
        """Facts: distances are sums over the edges of a path."""
        return Facts(
            is_metric=True,
            has_forbidden=bool(self.component.max() > 0),
            same_atoms=self.is_whole,
            roundings=self.n_nodes,
            component=self.component,
            takes_search=True,
        )

    def edges(self, reach: int = 1) -> Edges:
        """Return the edges of the graph, each in one direction."""
        del reach
        start, heads = self.lengths.indptr, self.lengths.indices
        tails = np.repeat(np.arange(self.n_nodes), np.diff(start))
        once = tails < heads
        return Edges(tails[once], heads[once].astype(np.int64), self.lengths.data[once])

    def rows(self, start: int, stop: int) -> FloatArray:
        """Compute the distances from a block of sources, by Dijkstra's algorithm."""
        return self._from(self.sources[start:stop])[:, self.sinks]

    def pairs(self, rows: IntArray, columns: IntArray) -> FloatArray:
        """Compute the distances of the listed pairs: one search for each node."""
        ends, others = self.sources[rows], self.sinks[columns]
        from_ends, at = np.unique(ends, return_inverse=True)
        from_others, at_other = np.unique(others, return_inverse=True)
        if len(from_others) < len(from_ends):
            from_ends, at, others = from_others, at_other, ends
        order = np.argsort(at, kind="stable")
        distances = np.empty(len(rows))
        for start, stop in blocks.row_blocks(len(from_ends), self.n_nodes):
            first, last = np.searchsorted(at[order], [start, stop])
            part = order[first:last]
            block = self._from(from_ends[start:stop])
            distances[part] = block[at[part] - start, others[part]]
        return distances

    def restrict(self, rows: IntArray, columns: IntArray) -> Graph:
        """Return the geometry of the listed atoms, on the same graph."""
        sources, sinks = self.sources[rows], self.sinks[columns]
        return Graph(self.lengths, sources, sinks, self.component, self.largest)

    def column_minimum(self, f: FloatArray) -> FloatArray:
        """Return ``min_i d[i, j] - f[i]``: one search from all sources at once."""
        return self._minimum(f, self.sources, self.sinks)

    def row_minimum(self, g: FloatArray) -> FloatArray:
        """Return ``min_j d[i, j] - g[j]``."""
        return self._minimum(g, self.sinks, self.sources)

    def _from(self, nodes: IntArray) -> FloatArray:
        from scipy.sparse.csgraph import dijkstra

        return np.asarray(dijkstra(self.lengths, indices=nodes))

    def _minimum(self, values: FloatArray, starts: IntArray, ends: IntArray) -> FloatArray:
        """Search from one more node, joined to every start by how far its value is below the top.

        Lengths are rounded down, and values up, to multiples of a unit in which all
        sums are exact: the result is feasible, not just up to rounding.
        """
        from scipy.sparse import csr_array
        from scipy.sparse.csgraph import dijkstra

        known = np.isfinite(values)
        if not known.any():
            return np.full(len(ends), np.inf)
        starts, values = starts[known], values[known]
        spread = float(values.max() - values.min()) + self.largest
        bound = 2 * spread + float(np.abs(values).max())
        unit = math.ldexp(1.0, math.frexp(bound)[1] - 52)
        values = np.ceil(values / unit) * unit
        top = float(values.max())
        low = np.full(self.n_nodes, np.inf)
        np.minimum.at(low, starts, top - values)
        joined = np.flatnonzero(np.isfinite(low))
        lengths = self.lengths
        data = np.concatenate([np.floor(lengths.data / unit) * unit, low[joined]])
        heads = np.concatenate([lengths.indices, joined.astype(lengths.indices.dtype)])
        start = np.append(lengths.indptr, len(data)).astype(lengths.indptr.dtype)
        size = self.n_nodes + 1
        matrix = csr_array((data, heads, start), shape=(size, size))
        found = np.asarray(dijkstra(matrix, indices=self.n_nodes))
        return found[ends] - top
