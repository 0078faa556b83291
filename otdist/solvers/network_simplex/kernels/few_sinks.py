"""Shortest paths between few sinks, for any number of sources.

Every source is at the sink that is cheapest at the present prices, so that some sinks have too
much mass and others too little. Mass moves along shortest paths from sink to sink, source by
source, until all have what they need (Brenner, *Discrete Optimization* 5, 2008). A
step from sink u to sink v costs the least ``cost[i, v] - cost[i, u]`` of the sources at u; the
best sources of each step are kept in lists, so that no move looks at all sources.
"""

from typing import Any, NamedTuple

import numpy as np

from otdist.compiled.simd import least_difference
from otdist.runtime.kernel_cache import njit

_FLAGS = {"cache": True, "error_model": "numpy", "nogil": True, "_nrt": False}
_INNER = {**_FLAGS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
kernel = njit(**_FLAGS)
inner = njit(**_INNER)

DONE = 0  # every sink has its mass
MORE = 1  # so many moves were made
FULL = 2  # more sources are divided than there is room for


class Mass(NamedTuple):
    """Where the mass of every source is, in whole numbers."""

    home: np.ndarray  # (n,) int64, a sink
    rest: np.ndarray  # (n,) int64 > 0, mass at that sink
    parts: np.ndarray  # (n,) int64, the first part that is elsewhere, or -1
    sink: np.ndarray  # (room,) int64, of a part
    amount: np.ndarray  # (room,) int64, of a part, 0 if the place is free
    following: np.ndarray  # (room,) int64, the next part of the source, or -1
    excess: np.ndarray  # (k,) int64, mass that a sink has too much


class Steps(NamedTuple):
    """Sources that can go from one sink to another, the cheapest last."""

    source: np.ndarray  # (k, k, length) int64
    cost: np.ndarray  # (k, k, length) float64
    number: np.ndarray  # (k, k) int64
    bound: np.ndarray  # (k, k) float64; sources that cost so much or more may be missing
    least: np.ndarray  # (k, k) float64, cost of the cheapest; inf without any


class Paths(NamedTuple):
    """Prices, and shortest paths from the sinks with too much mass."""

    price: np.ndarray  # (k,) float64
    distance: np.ndarray  # (k,) float64
    before: np.ndarray  # (k,) int64, the sink before this one on its path, or -1
    is_known: np.ndarray  # (k,) bool


@inner
def _amount_at(mass: Mass, i: int, u: int) -> Any:
    """Return how much of a source is at a sink."""
    if mass.home[i] == u:
        return np.int64(mass.rest[i])
    part = mass.parts[i]
    while part >= 0:
        if mass.sink[part] == u:
            return np.int64(mass.amount[part])
        part = mass.following[part]
    return np.int64(0)


@inner
def _give(mass: Mass, i: int, v: int, amount: int) -> bool:
    """Add mass of a source to a sink; return False where there is no room for a part."""
    if mass.home[i] == v:
        mass.rest[i] += amount
        return True
    part = mass.parts[i]
    while part >= 0:
        if mass.sink[part] == v:
            mass.amount[part] += amount
            return True
        part = mass.following[part]
    part = 0
    while part < mass.amount.size and mass.amount[part] > 0:
        part += 1
    if part == mass.amount.size:
        return False
    mass.sink[part], mass.amount[part] = v, amount
    mass.following[part] = mass.parts[i]
    mass.parts[i] = part
    return True


@inner
def _take(mass: Mass, i: int, u: int, amount: int) -> None:
    """Remove mass of a source, which is elsewhere too, from a sink."""
    if mass.home[i] == u:
        mass.rest[i] -= amount
        if mass.rest[i] == 0:
            part = mass.parts[i]
            mass.home[i], mass.rest[i] = mass.sink[part], mass.amount[part]
            mass.parts[i] = mass.following[part]
            mass.amount[part] = 0
        return
    before, part = -1, mass.parts[i]
    while mass.sink[part] != u:
        before, part = part, mass.following[part]
    mass.amount[part] -= amount
    if mass.amount[part] == 0:
        if before < 0:
            mass.parts[i] = mass.following[part]
        else:
            mass.following[before] = mass.following[part]


@inner
def _list_source(cost: np.ndarray, steps: Steps, i: int, u: int) -> None:
    """Add a source at u to the lists of the steps from there."""
    length = steps.source.shape[2]
    for v in range(cost.shape[1]):
        extra = cost[i, v] - cost[i, u]
        if v == u or not extra < steps.bound[u, v]:
            continue
        sources, costs, number = steps.source[u, v], steps.cost[u, v], steps.number[u, v]
        if number == length:
            # The dearest gives way; from now on it is missing.
            steps.bound[u, v] = costs[0]
            if not extra < costs[0]:
                continue
            place = 0
            while place + 1 < number and costs[place + 1] > extra:
                sources[place], costs[place] = sources[place + 1], costs[place + 1]
                place += 1
        else:
            place = number
            while place > 0 and costs[place - 1] < extra:
                sources[place], costs[place] = sources[place - 1], costs[place - 1]
                place -= 1
            steps.number[u, v] = number + 1
        sources[place], costs[place] = i, extra


@inner
def _list_sources(cost: np.ndarray, mass: Mass, steps: Steps, u: int) -> None:
    """Make the lists of the steps from u anew."""
    for v in range(cost.shape[1]):
        steps.number[u, v] = 0
        steps.bound[u, v] = np.inf
    for i in range(cost.shape[0]):
        if _amount_at(mass, i, u) > 0:
            _list_source(cost, steps, i, u)


@inner
def _drop_moved(mass: Mass, steps: Steps, u: int) -> bool:
    """Take sources off the ends of lists that are no longer at u.

    Returns False if a list has become empty, although sources may be missing.
    """
    is_complete = True
    for v in range(steps.number.shape[0]):
        number = steps.number[u, v]
        while number > 0 and _amount_at(mass, steps.source[u, v, number - 1], u) == 0:
            number -= 1
        steps.number[u, v] = number
        steps.least[u, v] = steps.cost[u, v, number - 1] if number > 0 else np.inf
        is_complete &= u == v or number > 0 or steps.bound[u, v] == np.inf
    return is_complete


@inner
def _update(cost: np.ndarray, mass: Mass, steps: Steps, u: int) -> None:
    """Find the least costs of the steps from u."""
    if not _drop_moved(mass, steps, u):
        _list_sources(cost, mass, steps, u)
        _drop_moved(mass, steps, u)


@inner
def _find_path(mass: Mass, steps: Steps, paths: Paths) -> int:
    """Find the nearest sink with too little mass, and change prices by the distances.

    Dijkstra's method on the costs of the steps relative to prices, which are not negative.
    """
    price, distance, before, is_known = paths
    k = price.size
    for u in range(k):
        distance[u] = 0.0 if mass.excess[u] > 0 else np.inf
        before[u], is_known[u] = -1, False
    while True:
        u = -1
        for v in range(k):
            if not is_known[v] and (u < 0 or distance[v] < distance[u]):
                u = v
        is_known[u] = True
        if mass.excess[u] < 0:
            break
        for v in range(k):
            step = max(steps.least[u, v] + price[u] - price[v], 0.0)
            if not is_known[v] and distance[u] + step < distance[v]:
                distance[v], before[v] = distance[u] + step, u
    for v in range(k):
        if is_known[v]:
            price[v] -= distance[u] - distance[v]
    return u


@inner
def _move(cost: np.ndarray, mass: Mass, steps: Steps, paths: Paths, end: int) -> bool:
    """Move mass along the path to a sink; return False where there is no room."""
    v, amount = end, -mass.excess[end]
    while paths.before[v] >= 0:
        u = paths.before[v]
        i = steps.source[u, v, steps.number[u, v] - 1]
        amount = min(amount, _amount_at(mass, i, u))
        v = u
    amount = min(amount, mass.excess[v])
    mass.excess[v] -= amount
    mass.excess[end] += amount
    v = end
    while paths.before[v] >= 0:
        u = paths.before[v]
        i = steps.source[u, v, steps.number[u, v] - 1]
        is_new = _amount_at(mass, i, v) == 0
        if not _give(mass, i, v, amount):
            return False
        _take(mass, i, u, amount)
        if is_new:
            _list_source(cost, steps, i, v)
        _update(cost, mass, steps, v)
        v = u
    _update(cost, mass, steps, v)
    return True


@kernel
def place_sources(cost: np.ndarray, a: np.ndarray, mass: Mass, steps: Steps, paths: Paths) -> None:
    """Put every source where it costs least at the prices given."""
    n, k = cost.shape
    for i in range(n):
        j = least_difference(cost[i], paths.price)[1]
        mass.home[i], mass.rest[i], mass.parts[i] = j, a[i], -1
        mass.excess[j] += a[i]
    for u in range(k):
        for v in range(k):
            steps.number[u, v] = 0
            steps.bound[u, v] = np.inf
    for i in range(n):
        _list_source(cost, steps, i, mass.home[i])
    for u in range(k):
        _drop_moved(mass, steps, u)


@kernel
def move_excess(
    cost: np.ndarray, mass: Mass, steps: Steps, paths: Paths, n_moves: int
) -> tuple[int, int]:
    """Move mass along shortest paths, at most so many times; return a code and how many."""
    n_done = 0
    while True:
        is_over = False
        for u in range(cost.shape[1]):
            is_over |= mass.excess[u] > 0
        if not is_over:
            return DONE, n_done
        if n_done == n_moves:
            return MORE, n_done
        end = _find_path(mass, steps, paths)
        if not _move(cost, mass, steps, paths, end):
            return FULL, n_done
        n_done += 1
