"""Finds candidate arcs between points, skipping whole tiles of points.

The points of a tile follow each other and lie together (`solvers.coarsen.order_of`). A tile has
a centre, a radius, and a linear function close to the potentials of its points. The cost is
convex, so that it lies above its tangent at the centre; the least difference of the tangent
and the linear function on the tile is a lower bound on all its slacks. In most tiles no point
has to be looked at, also along the rays of W1, where potentials fall as fast as costs grow.
"""

from typing import NamedTuple

import numpy as np

from otdist.compiled.costs import (
    CITYBLOCK,
    EUCLIDEAN,
    SQUARED,
    TILE,
    Costs,
    Found,
    cost_of,
    minimum,
    point_slacks,
)
from otdist.runtime.kernel_cache import njit
from otdist.solvers.network_simplex.kernels.matrix import keep_best
from otdist.solvers.network_simplex.kernels.simplex import is_noise

_FLAGS = {"cache": True, "error_model": "numpy", "nogil": True, "_nrt": False}
_INNER = {**_FLAGS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
kernel = njit(**_FLAGS)
inner = njit(**_INNER)
# With one call in a kernel: compiled within it, instead of by itself and then again.

_TRIES = 64  # lengths of a step
_LEAST = 2.0**-58  # part of the largest cost that a step is not below: `_TRIES` reach all arcs
_PARTS = 4  # parts of a tile; each contributes at most one violated arc
_ROUNDING = 2.0**-45  # part of a cost that its rounding is below, and that of powers


class Tiles(NamedTuple):
    """The tiles of the points on the other side."""

    centre: np.ndarray  # (d, tiles) float64
    slope: np.ndarray  # (d, tiles) float64, of the linear function
    radius: np.ndarray  # (tiles,) float64, Euclidean
    top: np.ndarray  # (tiles,) float64, most that a potential exceeds that function


class Scratch(NamedTuple):
    """Arrays for the lines of one range."""

    bounds: np.ndarray  # (tiles,) float64
    factor: np.ndarray  # (tiles,) float64
    off: np.ndarray  # (tiles,) float64
    slacks: np.ndarray  # (2 TILE,) float64, of two tiles
    end: np.ndarray  # (room,) uint32
    values: np.ndarray  # (room,) float64


def scratch_for(n_tiles: int, width: int) -> Scratch:
    """Return arrays for so many tiles, of whose points about `width` are kept."""
    room = 8 * width + 4 * TILE
    return Scratch(
        np.empty(n_tiles),
        np.empty(n_tiles),
        np.empty(n_tiles),
        np.empty(2 * TILE),
        np.empty(room, np.uint32),
        np.empty(room),
    )


@inner
def _write_euclidean(point: np.ndarray, tiles: Tiles, power: float, scratch: Scratch) -> None:
    """Write costs to the centres, powers of the distance, and the slopes' differences."""
    bounds, factor, off = scratch.bounds, scratch.factor, scratch.off
    off[:] = 0.0
    for k in range(point.size):
        x, centre = point[k], tiles.centre[k]
        for t in range(off.size):
            off[t] += (centre[t] - x) * (centre[t] - x)
    for t in range(off.size):
        square = off[t]
        off[t] = 0.0
        if power == 1.0:
            bounds[t] = np.sqrt(square)
            factor[t] = 1.0 / bounds[t] if square > 0.0 else 0.0
        elif power == 2.0:
            bounds[t], factor[t] = square, 2.0
        else:
            bounds[t] = square ** (0.5 * power)
            factor[t] = power * bounds[t] / square if square > 0.0 else 0.0
    for k in range(point.size):
        x, centre, slope = point[k], tiles.centre[k], tiles.slope[k]
        for t in range(off.size):
            difference = factor[t] * (centre[t] - x) - slope[t]
            off[t] += difference * difference


@inner
def _write_other(point: np.ndarray, tiles: Tiles, kind: int, p: float, scratch: Scratch) -> None:
    """Write costs to the centres and slopes' differences for the other metrics."""
    for t in range(scratch.off.size):
        distance, farthest = 0.0, 0
        for k in range(point.size):
            gap = abs(tiles.centre[k, t] - point[k])
            if kind == CITYBLOCK:
                distance += gap
            elif gap > distance:
                distance, farthest = gap, k
        scratch.bounds[t] = distance if p == 1.0 else distance**p
        steep = 0.0
        if distance > 0.0:
            steep = 1.0 if p == 1.0 else p * scratch.bounds[t] / distance
        total = 0.0
        for k in range(point.size):
            rise = steep if tiles.centre[k, t] > point[k] else -steep
            counts = kind == CITYBLOCK or k == farthest
            difference = (rise if counts else 0.0) - tiles.slope[k, t]
            total += difference * difference
        scratch.off[t] = total


@inner
def _write_bounds(point: np.ndarray, tiles: Tiles, kind: int, p: float, scratch: Scratch) -> None:
    """Write a lower bound on the slacks of the points of each tile."""
    if kind in (EUCLIDEAN, SQUARED):
        power = p if kind == EUCLIDEAN else 2.0 * p
        _write_euclidean(point, tiles, power, scratch)
    else:
        _write_other(point, tiles, kind, p, scratch)
    bounds, off = scratch.bounds, scratch.off
    for t in range(bounds.size):
        fall = np.sqrt(off[t]) * tiles.radius[t]
        rounding = _ROUNDING * (bounds[t] + fall + abs(tiles.top[t]))
        bounds[t] = bounds[t] - fall - tiles.top[t] - rounding


@inner
def _may_violate(
    point: np.ndarray, others: np.ndarray, start: int, f: float, g: np.ndarray
) -> bool:
    """Whether a distance in the plane or in space may be below ``f + g[j]`` for some j.

    Squares are compared, since a root takes longer than all the rest; `others` are read
    from `start` on.
    """
    x0, x1, x2 = point[0], point[1], point[point.size - 1]
    stop = start + g.size
    y0, y1 = others[0][start:stop], others[1][start:stop]
    y2 = others[point.size - 1][start:stop]
    weight = 1.0 if point.size == 3 else 0.0
    hits = 0
    for j in range(g.size):
        d0, d1, d2, most = x0 - y0[j], x1 - y1[j], x2 - y2[j], f + g[j]
        square = d0 * d0 + d1 * d1 + weight * (d2 * d2)
        hits += (square < most * most) & (most > 0.0)
    return hits > 0


@inner
def _least_of(
    point: np.ndarray,
    others: np.ndarray,
    costs: Costs,
    potential: np.ndarray,
    bounds: np.ndarray,
    buffer: np.ndarray,
    least: float,
) -> float:
    """Return the least slack of all points; no more than `least`."""
    for t in range(bounds.size):
        if bounds[t] < least:
            start = t * TILE
            part = potential[start : start + TILE]
            slacks = buffer[: part.size]
            point_slacks(point, others, start, costs.kind, costs.p, part, slacks)
            least = min(least, minimum(slacks))
    return least


@inner
def _collect(
    point: np.ndarray,
    others: np.ndarray,
    costs: Costs,
    potential: np.ndarray,
    scratch: Scratch,
    begin: int,
    step: float,
    shortest: float,
) -> tuple[float, float, int]:
    """Write the points with slacks of less than `step` above the least, and some more.

    Returns the least slack, the step, and how many points were written. The step is shortened
    where there is no room for so many points, but not below the shortest: of ties some are
    enough, from tile `begin` on.
    """
    bounds, end, values = scratch.bounds, scratch.end, scratch.values
    first = 0
    for t in range(bounds.size):
        first = t if bounds[t] < bounds[first] else first
    least = np.inf
    is_least = False
    n_found = 0
    # First the tile that is likely to hold the least slack; it comes again in its turn.
    for turn in range(-1, bounds.size):
        t = (begin + turn) % bounds.size if turn >= 0 else first
        if turn >= 0 and not bounds[t] < least + step:
            continue
        start = t * TILE
        part = potential[start : start + TILE]
        slacks = scratch.slacks[: part.size]
        point_slacks(point, others, start, costs.kind, costs.p, part, slacks)
        smallest = minimum(slacks)
        least = min(least, smallest)
        if turn < 0 or not smallest < least + step:
            continue
        while n_found + TILE > end.size:
            n_kept = 0
            for k in range(n_found):
                end[n_kept], values[n_kept] = end[k], values[k]
                n_kept += values[k] < least + step
            if n_kept == n_found and not is_least:
                # Only when the least slack is known can the step be too long.
                rest = scratch.slacks[TILE:]
                least = _least_of(point, others, costs, potential, bounds, rest, least)
                is_least = True
                shortest = max(shortest, _ROUNDING * abs(least))
                step = max(step, shortest)
            elif n_kept == n_found and step > shortest:
                step = max(0.5 * step, shortest)
            elif n_kept == n_found:
                return least, step, n_found
            n_found = n_kept
        level = least + step
        for k in range(part.size):
            end[n_found], values[n_found] = start + k, slacks[k]
            n_found += slacks[k] < level
    return least, step, n_found


@inner
def _mean_size(values: np.ndarray) -> float:
    total = 0.0
    for k in range(values.size):
        total += abs(values[k])
    return total / values.size


@kernel
def nearest(
    costs: Costs,
    by_column: bool,
    start: int,
    stop: int,
    potential: np.ndarray,
    tiles: Tiles,
    scale: float,
    scratch: Scratch,
    least: np.ndarray,
    arcs: Found,
) -> None:
    """Find the arcs of smallest slack of every line, as `matrix.nearest` does."""
    width = arcs.end.shape[1]
    # Neighbouring lines need about the same step; it never shrinks to 0.
    shortest = max(_ROUNDING * _mean_size(potential), _LEAST * scale) if width > 0 else 0.0
    step = 1e-3 * scale if width > 0 else 0.0
    for line in range(start, stop):
        if by_column:
            point, others = costs.y[:, line], costs.x
        else:
            point, others = costs.x[:, line], costs.y
        _write_bounds(point, tiles, costs.kind, costs.p, scratch)
        begin = (line * 7919) % scratch.bounds.size
        for _ in range(_TRIES):
            smallest, step, n = _collect(
                point, others, costs, potential, scratch, begin, step, shortest
            )
            n_near = 0
            for k in range(n):
                n_near += scratch.values[k] < smallest + step
            is_few = n_near < width // 2 and n_near < potential.size
            if not is_few or step > 8.0 * scale:
                break
            step *= 2.0
        least[line] = smallest
        arcs.number[line] = 0
        if width > 0:
            end, values = scratch.end[:n], scratch.values[:n]
            found = arcs.end[line]
            # Of ties the least itself may be left out.
            arcs.number[line] = keep_best(end, values, minimum(values), step, found)
            step = max(0.8 * step, shortest) if n_near > width else step


@kernel
def violations(
    costs: Costs,
    rows: np.ndarray,
    f: np.ndarray,
    g: np.ndarray,
    tolerance: float,
    tiles: Tiles,
    scratch: Scratch,
    least: np.ndarray,
    arcs: Found,
) -> None:
    """Find violated arcs in the rows given, as `matrix.violations` does.

    Each tile contributes some of its most violated arcs.
    """
    found, count = arcs.end, arcs.number
    width = found.shape[1]
    bounds = scratch.bounds
    n_tiles = bounds.size
    is_distance = costs.kind == EUCLIDEAN and costs.p == 1.0
    is_distance = is_distance and costs.x.shape[0] in (2, 3)
    for i in rows:
        count[i] = 0
        point, level = costs.x[:, i], f[i] - tolerance
        least[i] = level
        _write_bounds(point, tiles, costs.kind, costs.p, scratch)
        begin = (i * 7919) % n_tiles
        for turn in range(n_tiles):
            t = (begin + turn) % n_tiles
            if not bounds[t] < level:
                continue
            start = t * TILE
            part = g[start : start + TILE]
            # Half the tolerance is for the rounding of the squares.
            if is_distance and not _may_violate(
                point, costs.y, start, level + 0.5 * tolerance, part
            ):
                continue
            slacks = scratch.slacks[: part.size]
            point_slacks(point, costs.y, start, costs.kind, costs.p, part, slacks)
            smallest = minimum(slacks)
            if not smallest < level:
                continue
            least[i] = min(least[i], smallest)
            # Parts are the points with the same remainder; each gives its most violated arc. Of
            # ties another one in each row: else all rows would have the same few columns.
            for rest in range(min(_PARTS, slacks.size)):
                k = rest + _PARTS * ((i * 7919) % ((slacks.size - rest - 1) // _PARTS + 1))
                other = k
                for _ in range(rest, slacks.size, _PARTS):
                    k = other if slacks[other] < slacks[k] - tolerance else k
                    other += _PARTS
                    if other >= slacks.size:
                        other = rest
                if count[i] == width or not slacks[k] < level:
                    continue
                j = start + k
                reduced = (cost_of(costs, i, j) - g[j]) - f[i]
                if reduced < -tolerance and not is_noise(reduced, f[i], g[j]):
                    found[i, count[i]] = j
                    count[i] += 1
