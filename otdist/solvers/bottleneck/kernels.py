"""Maximum flow along the arcs within a radius: Dinic's blocking flows on lists of arcs.

Rows hold the mass they have left, columns the mass they still take.
"""

from typing import NamedTuple

import numpy as np

from otdist.compiled.costs import Costs, minimum, n_below, slacks_of
from otdist.compiled.simd import smaller
from otdist.runtime.kernel_cache import njit

_FLAGS = {"cache": True, "error_model": "numpy", "nogil": True, "_nrt": False}
_INNER = {**_FLAGS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
kernel = njit(**_FLAGS)
inner = njit(**_INNER)


class Lists(NamedTuple):
    """The arcs of each row whose cost is at most some reach."""

    begin: np.ndarray  # (n + 1,) int64, where the list of a row begins
    column: np.ndarray  # (arcs + 1,) uint32, one place to spare
    cost: np.ndarray  # (arcs + 1,) float64


class Flow(NamedTuple):
    """Integer flow; the arcs that enter a column are a linked list."""

    left: np.ndarray  # (n,) int64, mass of a row that is not placed
    room: np.ndarray  # (m,) int64, mass that a column still wants
    head: np.ndarray  # (m,) int64, first arc of a column, -1 for none
    row: np.ndarray  # (capacity,) int64, where an arc comes from
    amount: np.ndarray  # (capacity,) int64
    after: np.ndarray  # (capacity,) int64, next arc of the column, -1 for none
    state: np.ndarray  # (2,) int64, arcs ever used, first of the arcs given back


class Labels(NamedTuple):
    """Rows and columns reached by a breadth-first search from the rows with mass left."""

    row_level: np.ndarray  # (n,) int64, -1 for rows not reached
    column_level: np.ndarray  # (m,) int64, that of the row a column was reached from
    queue: np.ndarray  # (n,) int64, rows in the order they were reached
    row_place: np.ndarray  # (n,) int64, the place of its list that a row tries next
    column_arc: np.ndarray  # (m,) int64, the arc with flow that a column tries next
    path_row: np.ndarray  # (n + 1,) int64
    path_column: np.ndarray  # (n + 1,) int64


NO_PATH = -1


@kernel
def nearest(costs: Costs, nothing: np.ndarray, row: np.ndarray, columns: np.ndarray) -> float:
    """Write the least cost of each column; return the largest least cost of a row."""
    columns[:] = np.inf
    largest = -np.inf
    n = max(costs.matrix.shape[0], costs.x.shape[1])
    for i in range(n):
        slacks_of(costs, i, nothing, row)
        for j in range(row.size):
            columns[j] = smaller(row[j], columns[j])
        largest = max(largest, minimum(row))
    return largest


@kernel
def count_within(
    costs: Costs, above: float, nothing: np.ndarray, row: np.ndarray, begin: np.ndarray
) -> None:
    """Write where lists of arcs with costs below `above` begin."""
    begin[0] = 0
    for i in range(begin.size - 1):
        slacks_of(costs, i, nothing, row)
        begin[i + 1] = begin[i] + n_below(row, above)


@kernel
def list_within(
    costs: Costs, above: float, nothing: np.ndarray, row: np.ndarray, lists: Lists
) -> None:
    """Write the arcs with costs below `above`."""
    for i in range(lists.begin.size - 1):
        k, stop = lists.begin[i], lists.begin[i + 1]
        if k == stop:
            continue
        slacks_of(costs, i, nothing, row)
        # Without a branch: entries beyond the end are overwritten, or fall on the spare place.
        for j in range(row.size):
            lists.column[k], lists.cost[k] = j, row[j]
            k += row[j] < above


@kernel
def label(lists: Lists, radius: float, flow: Flow, labels: Labels) -> int:
    """Search from the rows with mass left, one level after the other.

    Returns the first level at which some column has room, or NO_PATH: the rows reached then
    hold more mass than the columns within their radius can take.
    """
    labels.row_level[:] = -1
    labels.column_level[:] = -1
    n_rows = 0
    for i in range(flow.left.size):
        if flow.left[i] > 0:
            labels.row_level[i] = 0
            labels.queue[n_rows] = i
            n_rows += 1
    last, place = NO_PATH, 0
    while place < n_rows:
        i = labels.queue[place]
        level = labels.row_level[i]
        if last != NO_PATH and level > last:
            break
        labels.row_place[i] = lists.begin[i]
        for k in range(lists.begin[i], lists.begin[i + 1]):
            j = lists.column[k]
            if labels.column_level[j] >= 0 or not lists.cost[k] <= radius:
                continue
            labels.column_level[j] = level
            _drop_empty(flow, j)
            arc = flow.head[j]
            labels.column_arc[j] = arc
            if flow.room[j] > 0:
                last = level
            while arc >= 0:
                other = flow.row[arc]
                if labels.row_level[other] < 0:
                    labels.row_level[other] = level + 1
                    labels.queue[n_rows] = other
                    n_rows += 1
                arc = flow.after[arc]
        place += 1
    return last


@inner
def _drop_empty(flow: Flow, j: int) -> None:
    """Give back the arcs of a column that carry nothing."""
    before, arc = -1, flow.head[j]
    while arc >= 0:
        following = flow.after[arc]
        if flow.amount[arc] == 0:
            if before < 0:
                flow.head[j] = following
            else:
                flow.after[before] = following
            flow.after[arc] = flow.state[1]
            flow.state[1] = arc
        else:
            before = arc
        arc = following


@inner
def _add(flow: Flow, i: int, j: int, amount: int) -> None:
    """Add to an arc: to a new one, unless it is the column's latest."""
    arc = flow.head[j]
    if arc >= 0 and flow.row[arc] == i:
        flow.amount[arc] += amount
        return
    new = flow.state[1]
    if new >= 0:
        flow.state[1] = flow.after[new]
    else:
        new = flow.state[0]
        flow.state[0] += 1
    flow.row[new], flow.amount[new], flow.after[new] = i, amount, arc
    flow.head[j] = new


@inner
def _push(flow: Flow, labels: Labels, depth: int, column: int) -> None:
    """Move as much as the path can carry, from its first row to the column."""
    root = labels.path_row[0]
    amount = min(flow.left[root], flow.room[column])
    for t in range(depth):
        amount = min(amount, flow.amount[labels.column_arc[labels.path_column[t]]])
    flow.left[root] -= amount
    flow.room[column] -= amount
    for t in range(depth):
        j = labels.path_column[t]
        flow.amount[labels.column_arc[j]] -= amount
        _add(flow, labels.path_row[t], j, amount)
    _add(flow, labels.path_row[depth], column, amount)


@kernel
def augment(lists: Lists, radius: float, flow: Flow, labels: Labels, last: int) -> bool:
    """Push flow along paths of the labels until no path is left.

    Returns False if it stopped before, since there may be no place for another arc.
    """
    for place in range(labels.queue.size):
        root = labels.queue[place]
        if labels.row_level[root] != 0:
            break
        depth = 0
        labels.path_row[0] = root
        while depth >= 0 and flow.left[root] > 0:
            if flow.row.size - flow.state[0] <= last + 1:
                return False
            i = labels.path_row[depth]
            k = _next_place(lists, radius, flow, labels, i, depth, depth == last)
            if k == lists.begin[i + 1]:
                # No path leads on from this row: it need not be tried again.
                if depth > 0:
                    labels.row_level[i] = -1
                depth -= 1
            elif depth == last:
                _push(flow, labels, depth, lists.column[k])
                depth = 0
            else:
                j = lists.column[k]
                labels.path_column[depth] = j
                depth += 1
                labels.path_row[depth] = flow.row[labels.column_arc[j]]
    return True


@inner
def _next_place(
    lists: Lists, radius: float, flow: Flow, labels: Labels, i: int, depth: int, is_last: bool
) -> int:
    """Return the next place of a row's list that leads on, or the end of the list."""
    k, stop = labels.row_place[i], lists.begin[i + 1]
    while k < stop:
        j = lists.column[k]
        if labels.column_level[j] == depth and lists.cost[k] <= radius:
            if is_last:
                if flow.room[j] > 0:
                    break
            else:
                arc = labels.column_arc[j]
                while arc >= 0:
                    child = flow.row[arc]
                    if flow.amount[arc] > 0 and labels.row_level[child] == depth + 1:
                        break
                    arc = flow.after[arc]
                labels.column_arc[j] = arc
                if arc >= 0:
                    break
        k += 1
    labels.row_place[i] = k
    return k


@kernel
def least_leaving(lists: Lists, labels: Labels) -> float:
    """Return the least listed cost between rows reached and columns not reached."""
    least = np.inf
    for i in range(labels.row_level.size):
        if labels.row_level[i] >= 0:
            for k in range(lists.begin[i], lists.begin[i + 1]):
                if labels.column_level[lists.column[k]] < 0:
                    least = min(least, lists.cost[k])
    return least


@kernel
def least_leaving_of_all(
    costs: Costs, labels: Labels, potential: np.ndarray, row: np.ndarray
) -> float:
    """Return the least cost between rows reached and columns not reached, of all pairs.

    `potential` is 0 for columns not reached, else -inf.
    """
    least = np.inf
    for i in range(labels.row_level.size):
        if labels.row_level[i] >= 0:
            slacks_of(costs, i, potential, row)
            least = min(least, minimum(row))
    return least


@kernel
def largest_used(lists: Lists, flow: Flow) -> float:
    """Return the largest cost of an arc with flow, found in its row's list."""
    largest = -np.inf
    for j in range(flow.head.size):
        arc = flow.head[j]
        while arc >= 0:
            i = flow.row[arc]
            low, high = lists.begin[i], lists.begin[i + 1] - 1
            while low < high:
                middle = (low + high) // 2
                if lists.column[middle] < j:
                    low = middle + 1
                else:
                    high = middle
            if flow.amount[arc] > 0:
                largest = max(largest, lists.cost[low])
            arc = flow.after[arc]
    return largest
