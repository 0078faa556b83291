"""The optimal flows of whole masses, by the network simplex method in whole numbers.

Floats only choose: pairs whose reduced costs may be negative, the most negative first. Whole
numbers decide.
"""

from __future__ import annotations

import math
import time
from typing import NamedTuple

import numpy as np

from otdist.runtime.blocks import row_blocks
from otdist.solvers.exact_arithmetic.tree import Tree, spanning
from otdist.solvers.exact_arithmetic.whole import as_whole, rounded, unit_of
from otdist.typing import FloatArray, IntArray

# Reduced costs of floats are off by no more than this part of their terms, and this much.
_ROUNDING = 2.0**-50
_LEAST = 2.0**-1070
# Floats up to this number of units are whole numbers, and so are their sums.
_EXACT = 2.0**51
# Costs above this exponent are scaled down, so that sums along paths stay finite.
_HIGH = 900
# Pairs near a row or column that may complete the tree.
_NEAR = 4
# Nodes and exact costs that a search may look at before it is given up: some seconds.
_BUDGET = 3_000_000
# A reduced cost of 0: its level, and its cost.
_NOTHING = (0, 0)
# Pairs whose exact reduced costs are compared, for each one wanted, where floats are too close.
_SEEN = 64
# Pairs priced in the time of a node.
_PAIRS = 50
# Pivots in a row in which no flow moves, as a multiple of the nodes, before Bland's rule.
_PATIENCE = 2


class Flows(NamedTuple):
    """Whole flows > 0 along pairs, and how many pivots led there."""

    rows: IntArray
    columns: IntArray
    flows: list[int]
    n_pivots: int


class Prices:
    """Reduced costs of all pairs, in floats where these decide, else in whole numbers."""

    def __init__(self, cost: FloatArray) -> None:
        self.unit = unit_of(cost)
        self.cost = cost
        largest = float(np.abs(cost[np.isfinite(cost)]).max(initial=0.0))
        self.scale = min(0, _HIGH - math.frexp(largest)[1])
        self.scaled = np.ldexp(cost, self.scale) if self.scale else cost
        self.largest = math.ldexp(largest, self.scale)
        #: Exact reduced costs computed so far.
        self.n_exact = 0

    def whole(self, rows: IntArray, columns: IntArray) -> list[int]:
        """Return the costs of the listed pairs in units."""
        return as_whole(self.cost[rows, columns], self.unit)

    def violations(self, tree: Tree, most: int) -> list[tuple[int, int, int]]:
        """Return some pairs of negative reduced cost, and their costs; none at the optimum.

        They are the `most` that are most negative, about, or all with a `most` of 0, ordered
        by row and column.
        """
        n, m = self.cost.shape
        found, most_cost, level = self._candidates(tree)
        by_size = np.lexsort([most_cost, level]) if most else np.arange(len(found))
        is_certain = bool(((level < 0) | (most_cost < 0)).any())
        length = most * (1 if is_certain else _SEEN) or max(len(found), 1)
        for start in range(0, len(found), length):
            rows, columns = np.divmod(found[by_size[start : start + length]], m)
            pairs = zip(rows.tolist(), columns.tolist(), self.whole(rows, columns), strict=True)
            self.n_exact += len(rows)
            negative = []
            for i, j, cost in pairs:
                reduced = tree.reduced(i, n + j, cost)
                if reduced < _NOTHING:
                    negative.append((reduced, i, n + j, cost))
            if negative:
                ordered = sorted(negative)[:most] if most else negative
                return [(i, j, cost) for _, i, j, cost in ordered]
        return []

    def _candidates(self, tree: Tree) -> tuple[IntArray, FloatArray, IntArray]:
        """Return the pairs that may be negative, bounds of their reduced costs, and levels."""
        n, m = self.cost.shape
        level = np.array(tree.level)
        potential = rounded(tree.potential, self.unit + self.scale)
        f, g = -potential[:n], potential[n:]
        size = self.largest + np.abs(f).max() + np.abs(g).max()
        is_exact = size <= math.ldexp(_EXACT, self.unit + self.scale)
        found, values, levels = [], [], []
        for start, stop in row_blocks(n, m):
            part = self.scaled[start:stop]
            slack = (part - f[start:stop, None]) - g
            if is_exact:
                may = slack < 0
            else:
                off = (np.abs(part) + np.abs(f[start:stop, None])) + np.abs(g)
                off *= _ROUNDING
                off += _LEAST
                with np.errstate(invalid="ignore"):  # a forbidden pair: inf - inf
                    may = slack - off <= 0
                slack += off
            above = level[start:stop, None] - level[n:]
            may = (above < 0) & np.isfinite(part) | (above == 0) & may
            inside = np.flatnonzero(may)
            found.append(inside + start * m)
            values.append(slack.ravel()[inside])
            levels.append(above.ravel()[inside])
        return np.concatenate(found), np.concatenate(values), np.concatenate(levels)


def optimal_flows(
    prices: Prices, a: list[int], b: list[int], start: Tree, deadline: float
) -> Flows | None:
    """Return optimal flows from whole masses a to b of one sum; None if none are found.

    Ends, since Bland's rule takes over where no flow moves (*Mathematics of Operations
    Research* 2, 1977), or at a limit of time.
    """
    n, n_nodes = len(a), len(a) + len(b)
    start.span()
    start.fill(a + [-x for x in b])
    tree, budget, n_pivots, n_idle = start, _BUDGET, 0, 0
    most = 2 * math.isqrt(n_nodes)
    while True:
        is_stalled = n_idle >= _PATIENCE * n_nodes
        budget -= n_nodes + n * len(b) // _PAIRS
        violated = prices.violations(tree, 0 if is_stalled else most)
        if not violated:
            break
        for i, j, cost in violated[: 1 if is_stalled else None]:
            if tree.reduced(i, j, cost) < _NOTHING:
                n_idle = 0 if tree.pivot(i, j, cost) else n_idle + 1
                n_pivots += 1
                budget -= tree.n_moved
        if budget < prices.n_exact or time.monotonic() > deadline:
            return None
    if any(flow > 0 and new for flow, new in zip(tree.flows, tree.is_artificial, strict=True)):
        return None
    used = [k for k, flow in enumerate(tree.flows) if flow > 0]
    rows, heads = (np.array([ends[k] for k in used]) for ends in (tree.tails, tree.heads))
    return Flows(rows, heads - n, [tree.flows[k] for k in used], n_pivots)


def start_from(
    prices: Prices, rows: IntArray, columns: IntArray, f: FloatArray, g: FloatArray
) -> Tree:
    """Return a forest of the arcs of a claim, completed by pairs of least reduced cost."""
    n, m = prices.cost.shape
    near_rows, near_columns = _near(prices.cost, f, g)
    rows, columns = np.concatenate([rows, near_rows]), np.concatenate([columns, near_columns])
    allowed = np.isfinite(prices.cost[rows, columns])
    rows, columns = rows[allowed], columns[allowed]
    kept = spanning(n, n + m, rows, columns)
    rows, columns = rows[kept], columns[kept]
    return Tree(n + m, rows.tolist(), (n + columns).tolist(), prices.whole(rows, columns))


def _near(cost: FloatArray, f: FloatArray, g: FloatArray) -> tuple[IntArray, IntArray]:
    """Return pairs of small reduced costs in each row and column, the smallest first."""
    n, m = cost.shape
    with np.errstate(all="ignore"):
        slack = np.nan_to_num((cost - f[:, None]) - g, nan=np.inf)
    by_row = np.argpartition(slack, min(_NEAR, m) - 1, axis=1)[:, :_NEAR]
    by_column = np.argpartition(slack, min(_NEAR, n) - 1, axis=0)[:_NEAR]
    rows = np.concatenate([np.repeat(np.arange(n), by_row.shape[1]), by_column.ravel()])
    columns = np.concatenate([by_row.ravel(), np.tile(np.arange(m), len(by_column))])
    order = np.argsort(slack[rows, columns], kind="stable")
    return rows[order], columns[order]
