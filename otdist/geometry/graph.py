"""Nodes of a graph or a tree, where the cost is the length of the shortest path.

Graphs are read from sparse matrices or lists of parents, or an error names the fault.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NoReturn

import numpy as np

from otdist.errors import InfeasibleError, InputError
from otdist.geometry.protocol import Edges, Facts, Geometry
from otdist.inputs.convert import as_array, first_index
from otdist.inputs.validate import as_float64
from otdist.runtime import blocks
from otdist.typing import FloatArray, IntArray


@dataclass(frozen=True, slots=True, eq=False, repr=False)
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
            is_positive=True,
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


def _matrix_of(graph: Any, weight: str) -> tuple[Any, list[Any]]:
    """Return a graph of networkx as a sparse matrix of lengths, and its nodes in order.

    Edges without the attribute have length 1, as in networkx; of several between two nodes the
    shortest counts.
    """
    from scipy.sparse import csr_array

    nodes = list(graph.nodes)
    place = {node: k for k, node in enumerate(nodes)}
    lengths: dict[tuple[int, int], Any] = {}
    for start, end, attributes in graph.edges(data=True):
        length, pair = attributes.get(weight, 1.0), (place[start], place[end])
        for key in (pair,) if graph.is_directed() else (pair, pair[::-1]):
            lengths[key] = min(length, lengths.get(key, length))
    ends = np.array(list(lengths), np.int64).reshape(-1, 2).T
    data = as_float64(f"the attribute {weight!r} of the edges", list(lengths.values()) or [0.0])
    data = data[: len(lengths)]
    return csr_array((data, (ends[0], ends[1])), shape=(len(nodes), len(nodes))), nodes


def _on_nodes(name: str, values: Any, nodes: list[Any]) -> Any:
    """Return weights of nodes as an array, if they are given by node."""
    if not isinstance(values, Mapping):
        return values
    known = set(nodes)
    for node in values:
        if node not in known:
            raise InputError(f"{name} has a weight for {node!r}, which is no node of the graph")
    return np.array([values.get(node, 0.0) for node in nodes])


def as_graph(value: Any, a: Any, b: Any, weight: str) -> tuple[Graph, Any, Any]:
    """Return a graph of networkx, or of a sparse matrix of lengths, and weights by node."""
    if hasattr(value, "nodes") and hasattr(value, "is_directed"):
        value, nodes = _matrix_of(value, weight)
        a, b = _on_nodes("a", a, nodes), _on_nodes("b", b, nodes)
    return _of_matrix(value), a, b


def _of_matrix(value: Any) -> Graph:
    """Return the graph of a sparse matrix of edge lengths, each edge both ways."""
    if not hasattr(value, "tocsr"):
        raise InputError(
            "graph must be a graph of networkx or a scipy.sparse matrix of edge lengths, got"
            f" {type(value).__name__}; write scipy.sparse.csr_array(matrix), where what is"
            " not stored is no edge"
        )
    if len(value.shape) != 2 or value.shape[0] != value.shape[1] or not value.shape[0]:
        raise InputError(
            "graph must have as many columns as rows, one for each node, got shape"
            f" {tuple(value.shape)}"
        )
    edges = value.tocoo()
    lengths = as_float64("graph", edges.data)
    bad = ~((lengths >= 0) & (lengths < np.inf))
    if bad.any():
        k = int(np.argmax(bad))
        raise InputError(
            f"graph[{edges.row[k]}, {edges.col[k]}] is {lengths[k]}; lengths of edges"
            " must be finite and >= 0: leave out what is no edge"
        )
    is_edge = edges.row != edges.col
    ends = edges.row[is_edge], edges.col[is_edge]
    graph = _graph_of(value.shape[0], lengths[is_edge], *ends)
    _require_symmetry(graph.lengths)
    return graph


def as_tree(parents: Any, lengths: Any) -> Graph:
    """Return the tree in which every node but one has a parent."""
    above = as_array("parents", parents)
    if above.ndim != 1 or not len(above) or above.dtype.kind not in "iu":
        raise InputError(
            "parents must hold one integer for each node, the number of its parent and"
            f" -1 for the root, got shape {above.shape} and dtype {above.dtype}"
        )
    n = len(above)
    steps = as_float64("lengths", lengths)
    if steps.shape != (n,):
        raise InputError(
            f"lengths must have shape ({n},), of each node's edge to its parent, got {steps.shape}"
        )
    outside = (above < -1) | (above >= n)
    if outside.any():
        i = int(np.argmax(outside))
        raise InputError(
            f"parents[{i}] is {above[i]}; it must be a node, 0 to {n - 1}, or -1 for the root"
        )
    bad = ~((steps >= 0) & (steps < np.inf))
    if bad.any():
        raise InputError(
            f"lengths{first_index(bad)} is {steps[bad][0]}; lengths must be finite and"
            " >= 0, also that of the root, which counts for nothing"
        )
    above = above.astype(np.int64)
    roots = np.flatnonzero(above == -1)
    if len(roots) > 1:
        raise InputError(
            f"parents[{roots[0]}] and parents[{roots[1]}] are both -1; a tree has one"
            " root: join them by a node of their own"
        )
    child = np.flatnonzero(above >= 0)
    ends = np.stack([child, above[child]])
    tree = _graph_of(n, np.tile(steps[child], 2), ends.ravel(), ends[::-1].ravel())
    # n - 1 edges that join all nodes have no cycle.
    if not len(roots) or tree.component.max() > 0:
        _refuse_cycle(above)
    return tree


def _refuse_cycle(parents: IntArray) -> NoReturn:
    """Raise, naming the nodes of a cycle."""
    # Steps of doubled length lead to the root, or into a cycle for good.
    reached = np.where(parents == -1, np.arange(len(parents)), parents)
    for _ in range(len(parents).bit_length()):
        reached = reached[reached]
    lost = np.flatnonzero(parents[reached] != -1)
    node = int(reached[lost[0]])
    cycle = [node]
    while (node := int(parents[node])) != cycle[0]:
        cycle.append(node)
    shown = [str(node) for node in [*cycle[:8], *(["…"] * (len(cycle) > 8)), cycle[0]]]
    raise InputError(
        f"parents leads round a cycle, {' -> '.join(shown)}; a tree has none: give one of"
        " these nodes another parent, or -1"
    )


def _graph_of(n: int, lengths: FloatArray, rows: IntArray, columns: IntArray) -> Graph:
    """Return the graph of edges listed both ways, or refuse it."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    matrix = coo_array((lengths, (rows, columns)), shape=(n, n)).tocsr()
    matrix.sum_duplicates()
    _, component = connected_components(matrix, directed=False)
    every = np.arange(n)
    largest = _diameter(matrix, component)
    if largest > 1e300 or 0 < largest < 1e-280:
        raise InputError(
            f"distances reach {largest:.3g}, outside what float64 holds well; divide the"
            " lengths by a constant and multiply the distance by it"
        )
    frozen_component = component.astype(np.int64)
    for part in (matrix.data, matrix.indices, matrix.indptr, every, frozen_component):
        part.setflags(write=False)
    return Graph(matrix, every, every, frozen_component, largest)


def _require_symmetry(matrix: Any) -> None:
    """Raise for an edge stored in one direction, or with two lengths."""
    turned = matrix.T.tocsr()
    turned.sort_indices()
    same = np.array_equal(turned.indptr, matrix.indptr)
    same = same and np.array_equal(turned.indices, matrix.indices)
    if same and np.array_equal(turned.data, matrix.data):
        return
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    back = {
        (int(i), int(j)): float(length)
        for i, j, length in zip(matrix.indices, rows, matrix.data, strict=True)
    }
    for i, j, length in zip(rows, matrix.indices, matrix.data, strict=True):
        other = back.get((int(i), int(j)))
        if other != length:
            stored = "not stored" if other is None else f"{other}"
            raise InputError(
                f"graph[{i}, {j}] is {length} and graph[{j}, {i}] is {stored}; edges lead"
                " both ways with one length: store both, for example"
                " graph.maximum(graph.T)"
            )


def _diameter(matrix: Any, component: IntArray) -> float:
    """Return twice the longest distance from the first node of any component."""
    from scipy.sparse.csgraph import dijkstra

    _, first = np.unique(component, return_index=True)
    with np.errstate(over="ignore"):
        longest = dijkstra(matrix, indices=first, min_only=True)
        return 2 * float(longest.max())


def refuse_part(graph: Graph, part: int, a: FloatArray, b: FloatArray) -> NoReturn:
    """Raise for a component in which the masses of a and b differ."""
    nodes = np.flatnonzero(graph.component == part)
    node = int(nodes[np.argmax(np.abs(a[nodes] - b[nodes]))])
    raise InfeasibleError(
        f"no coupling exists: node {node} is in a part of {len(nodes)} of the"
        f" {graph.n_nodes} nodes that no path leaves, and a has a mass of"
        f" {a[nodes].sum():.6g} there where b has {b[nodes].sum():.6g}; join it to the others"
        " by an edge, or make these masses equal"
    )
