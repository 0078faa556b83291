"""A spanning tree of exact flows and potentials, and the network simplex method on it.

Costs, flows and potentials are whole numbers, so that no decision depends on rounding. An
artificial arc has level 1: each costs more than all other arcs together. Sums of levels are kept
beside sums of costs, and compared first.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from otdist.typing import IntArray

#: Marks a node that does not hang on the tree yet.
_LOOSE = -2


class Tree:
    """Arcs without cycles between nodes; ``potential[head] - potential[tail]`` is the cost.

    Parameters
    ----------
    n_nodes : int
    tails, heads, costs : list of int
        The arcs.
    """

    def __init__(self, n_nodes: int, tails: list[int], heads: list[int], costs: list[int]) -> None:
        self.tails, self.heads, self.costs = tails, heads, costs
        self.is_artificial = [0] * len(tails)
        self.flows = [0] * len(tails)
        #: The arc to the parent of a node, -1 at a root.
        self.above = [_LOOSE] * n_nodes
        self.depth, self.potential, self.level = ([0] * n_nodes for _ in range(3))
        #: Nodes and arcs that the last pivot changed.
        self.n_moved = 0
        self.near: list[set[int]] = [set() for _ in range(n_nodes)]
        for k, ends in enumerate(zip(tails, heads, strict=True)):
            for end in ends:
                self.near[end].add(k)

    def hang(self, top: int, arc: int = -1) -> list[int]:
        """Hang `top` on an arc, and all below on it; return these nodes from the top down."""
        self.above[top] = arc
        if arc >= 0:
            self._place(self.tails[arc] + self.heads[arc] - top, arc, top)
        order = [top]
        for node in order:  # which grows meanwhile
            for k in self.near[node]:
                if k != self.above[node]:
                    below = self.tails[k] + self.heads[k] - node
                    self.above[below] = k
                    self._place(node, k, below)
                    order.append(below)
        return order

    def _place(self, node: int, arc: int, below: int) -> None:
        """Set depth and potential of a node below another."""
        sign = 1 if self.heads[arc] == below else -1
        self.depth[below] = self.depth[node] + 1
        self.potential[below] = self.potential[node] + sign * self.costs[arc]
        self.level[below] = self.level[node] + sign * self.is_artificial[arc]

    def parts(self) -> Iterator[list[int]]:
        """Hang each connected part on its first node; yield its nodes."""
        for node in range(len(self.above)):
            if self.above[node] == _LOOSE:
                yield self.hang(node)

    def span(self) -> None:
        """Join all parts by artificial arcs."""
        for top, *_ in list(self.parts())[1:]:
            self._append(top, 0)

    def _append(self, tail: int, head: int) -> None:
        for end in (tail, head):
            self.near[end].add(len(self.tails))
        self.tails.append(tail)
        self.heads.append(head)
        self.costs.append(0)
        self.flows.append(0)
        self.is_artificial.append(1)

    def fill(self, excess: list[int]) -> None:
        """Set the flows that carry the excess of every node away.

        An arc of negative flow is replaced by an artificial one in the other direction.
        """
        left = list(excess)
        for node in reversed(self.hang(0)[1:]):
            k = self.above[node]
            parent = self.tails[k] + self.heads[k] - node
            left[parent] += left[node]
            flow = left[node] if self.tails[k] == node else -left[node]
            if flow < 0:
                self.tails[k], self.heads[k] = self.heads[k], self.tails[k]
                self.costs[k], self.is_artificial[k] = -self.costs[k], 1
            self.flows[k] = abs(flow)
        self.hang(0)

    def reduced(self, tail: int, head: int, cost: int) -> tuple[int, int]:
        """Return the level and the cost of an arc, reduced by the potentials of its ends."""
        level = self.level[tail] - self.level[head]
        return level, cost + self.potential[tail] - self.potential[head]

    def pivot(self, tail: int, head: int, cost: int) -> bool:
        """Bring an arc into the tree, and return whether flow moves on its cycle.

        Of the arcs that may leave, the first in a fixed order does, artificial arcs first.
        """
        along: list[int] = []
        against: list[tuple[int, int, int, int, int, int]] = []
        up, down = head, tail
        while up != down:
            is_up = self.depth[up] >= self.depth[down]
            node, inner = (up, head) if is_up else (down, tail)
            k = self.above[node]
            if (self.tails[k] == node) is is_up:
                along.append(k)
            else:
                ends = self.tails[k], self.heads[k]
                against.append((self.flows[k], -self.is_artificial[k], *ends, k, inner))
            parent = self.tails[k] + self.heads[k] - node
            up, down = (parent, down) if is_up else (up, parent)
        step, *_, out, inner = min(against)
        for k in along:
            self.flows[k] += step
        for _, *_, k, _ in against:
            self.flows[k] -= step
        for end in (self.tails[out], self.heads[out]):
            self.near[end].remove(out)
        for end in (tail, head):
            self.near[end].add(out)
        self.tails[out], self.heads[out], self.costs[out] = tail, head, cost
        self.flows[out], self.is_artificial[out] = step, 0
        self.n_moved = len(self.hang(inner, out)) + len(along) + len(against)
        return step > 0


def spanning(n: int, n_nodes: int, rows: IntArray, columns: IntArray) -> IntArray:
    """Return which of the listed pairs, earlier ones first, join parts (Kruskal, 1956).

    Nodes are n rows, then columns.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import minimum_spanning_tree

    _, first = np.unique(rows * n_nodes + columns, return_index=True)
    graph = coo_array((first + 1.0, (rows[first], n + columns[first])), shape=(n_nodes, n_nodes))
    kept = minimum_spanning_tree(graph.tocsr()).data
    return np.sort(kept.astype(np.int64) - 1)
