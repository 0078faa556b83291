"""Square problems of equal weights: one row to one column, by shortest augmenting paths.

The algorithm is that of Jonker and Volgenant, *A shortest augmenting path algorithm for dense and
sparse linear assignment problems*, Computing 38, 1987: prices of columns from their least costs,
two rounds in which rows bid for columns, and for each row that is left a shortest path, by
Dijkstra's algorithm. The simplex method is faster where paths become long, as between clouds that
lie apart in the plane: the search gives up there. Of equal costs, as small integers have many, many
rows are left, but their paths are short.
"""

from typing import NamedTuple

import numpy as np

from otdist.compiled.simd import least_difference
from otdist.runtime.kernel_cache import njit

_FLAGS = {"cache": True, "error_model": "numpy", "nogil": True, "_nrt": False}
_INNER = {**_FLAGS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
kernel = njit(**_FLAGS)
inner = njit(**_INNER)

# Rows that all paths may read, as a multiple of n, judged by those so far, a few at least; beyond
# so many rows of costs in all a processor's cache does not hold the matrix.
_MOST_READ, _FEWEST_PATHS = 50, 8
_MOST_ROWS = 20_000
_BIDS = 1  # that may follow each other, as a multiple of n


class Room(NamedTuple):
    """Arrays for n rows and columns."""

    column: np.ndarray  # (n,) int64, of each row; -1 for none
    row: np.ndarray  # (n,) int64, of each column; -1 for none
    before: np.ndarray  # (n,) int64, the row that leads to each column
    left: np.ndarray  # (n,) int64, rows without a column
    reached: np.ndarray  # (n,) int64, columns in the order in which a path reaches them
    price: np.ndarray  # (n,) float64, potentials of the columns
    open_price: np.ndarray  # (n,) the same, -inf for columns that were reached
    distance: np.ndarray  # (n,) float64, of each column from the row that a path begins at
    is_reached: np.ndarray  # (n,) float64, -inf for columns that were reached, else 0
    is_taken: np.ndarray  # (n,) float64, -inf for columns that have a row, else 0


@inner
def of_size(room: Room, n: int) -> Room:
    """Return the first places of all arrays."""
    return Room(
        room.column[:n],
        room.row[:n],
        room.before[:n],
        room.left[:n],
        room.reached[:n],
        room.price[:n],
        room.open_price[:n],
        room.distance[:n],
        room.is_reached[:n],
        room.is_taken[:n],
    )


@inner
def _least_costs(cost: np.ndarray, room: Room) -> None:
    """Make the least cost of each column its price, and give the column to that row.

    Rows with several columns keep the first of them, and those with one lower its price by as
    much as their next best column allows.
    """
    n, price, before, count = cost.shape[0], room.price, room.before, room.reached
    for k in range(n):
        room.column[k] = room.row[k] = -1
        count[k] = before[k] = 0
        price[k] = np.inf
    for i in range(n):
        line = cost[i]
        for j in range(n):
            is_less = line[j] < price[j]
            price[j] = line[j] if is_less else price[j]
            before[j] = i if is_less else before[j]
    for j in range(n):
        i = before[j]
        count[i] += 1
        if count[i] == 1:
            room.column[i], room.row[j] = j, i
    for i in range(n):
        j = room.column[i]
        if count[i] == 1 and n > 1:
            own = price[j]
            price[j] = -np.inf
            least, _ = least_difference(cost[i], price)
            price[j] = own - least


@inner
def _bid(cost: np.ndarray, room: Room, n_left: int) -> int:
    """Let rows that are left take their best columns; return how many are left then.

    A bid lowers the price of the column to where the second best is as good, and the row that had
    it bids next. Where the two are as good already, that row waits.
    """
    n, price, left = cost.shape[0], room.price, room.left
    n_rows, n_left, k, n_bids = n_left, 0, 0, 0
    while k < n_rows:
        i = left[k]
        k += 1
        n_bids += 1
        least, best = least_difference(cost[i], price)
        own = price[best]
        price[best] = -np.inf
        second, other = least_difference(cost[i], price)
        price[best] = own - (second - least)
        is_lower = price[best] < own
        if not is_lower and room.row[best] >= 0:
            best = other
        loser = room.row[best]
        room.column[i], room.row[best] = best, i
        if loser < 0:
            continue
        if is_lower and n_bids < _BIDS * n:
            k -= 1
            left[k] = loser
        else:
            left[n_left] = loser
            n_left += 1
    return n_left


@inner
def _lower(line: np.ndarray, room: Room, shift: float, i: int) -> None:
    """Lower the distances of the columns that row i leads to."""
    distance, before, price = room.distance, room.before, room.open_price
    for j in range(distance.size):
        length = line[j] - price[j] - shift
        is_less = length < distance[j]
        distance[j] = length if is_less else distance[j]
        before[j] = i if is_less else before[j]


@inner
def _augment(cost: np.ndarray, room: Room, first: int) -> int:
    """Find the shortest path from a row to a column without one; return the rows it read."""
    n, price, is_reached = cost.shape[0], room.price, room.is_reached
    for j in range(n):
        room.distance[j] = np.inf
        room.open_price[j] = price[j]
        is_reached[j] = 0.0
        room.is_taken[j] = 0.0 if room.row[j] < 0 else -np.inf
    i, shift, length, n_reached = first, 0.0, -np.inf, 0
    while True:
        _lower(cost[i], room, shift, i)
        last = length
        length, j = least_difference(room.distance, is_reached)
        if length == last or n_reached == 0:
            # Of columns that are as near, one without a row ends the path.
            least, end = least_difference(room.distance, room.is_taken)
            j = end if least <= length else j
        if room.row[j] < 0:
            break
        is_reached[j] = room.open_price[j] = -np.inf
        room.reached[n_reached] = j
        n_reached += 1
        i = room.row[j]
        shift = cost[i, j] - price[j] - length
    for k in range(n_reached):
        price[room.reached[k]] += room.distance[room.reached[k]] - length
    while True:
        i = room.before[j]
        room.row[j] = i
        j, room.column[i] = room.column[i], j
        if i == first:
            return n_reached + 1


@kernel
def assign(cost: np.ndarray, room: Room) -> int:
    """Write the cheapest assignment of n rows to n columns, with prices of the columns.

    Costs are finite. Returns the number of rows that the paths read, -1 for giving up. Takes
    O(n²) time for few rows left, O(n³) at most.
    """
    n = cost.shape[0]
    _least_costs(cost, room)
    n_left, n_read, most = 0, 0, min(_MOST_READ * n, _MOST_ROWS)
    for i in range(n):
        if room.column[i] < 0:
            room.left[n_left] = i
            n_left += 1
    for _ in range(2):
        n_left = _bid(cost, room, n_left)
    for k in range(1, n_left + 1):
        n_read += _augment(cost, room, room.left[k - 1])
        # Paths become longer as columns are taken, except where each reads no row but its own.
        if k >= _FEWEST_PATHS and (n_read - k) * n_left**2 > most * k**2:
            return -1
    return n_read
