"""Potentials to start from, found on coarser problems.

Atoms are grouped by halving them repeatedly across their widest coordinate (a kd-tree). A level
of the hierarchy keeps one atom of each group, the one nearest to its centre, with the mass of
the group. Potentials of a level are extended to the next finer one by the c-transform
(Schmitzer, *SIAM J. Sci. Comput.* 38, 2016; Gerber and Maggioni, *JMLR* 18, 2017). For a cost
matrix the coordinates of a row are its costs to a few columns: rows with similar costs are
near each other.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from otdist.compiled.costs import TILE, central, kd_order, spread
from otdist.geometry.protocol import Geometry
from otdist.typing import FloatArray, IntArray

# Groups at the coarsest level, which is solved with all its arcs.
_COARSEST = 64
# Atoms in a group of the finest level, about.
_GROUP = 4
# Columns that serve as coordinates of the rows; as many others test the groups.
_N_LANDMARKS = 12
# Atoms form no groups if more than this part of the variance is within them.
_SPREAD = 0.2
# Dimensions up to which points form groups wherever they are.
_FLAT = 3


class Level(NamedTuple):
    """Atoms that represent groups, and the masses of the groups."""

    rows: IntArray
    columns: IntArray
    a: FloatArray
    b: FloatArray


def hierarchy(geometry: Geometry, a: FloatArray, b: FloatArray) -> list[Level]:
    """Return coarser problems, coarsest first; none where atoms form no groups."""
    n, m = geometry.shape
    depth = int(np.ceil(np.log2(max(min(n, m) / _GROUP, 1))))
    if 1 << depth < _COARSEST // 4:
        return []
    x, test_x = _coordinates(geometry)
    y, test_y = _coordinates(geometry.transposed())
    order_x, order_y = np.arange(n), np.arange(m)
    kd_order(x, depth, order_x)
    kd_order(y, depth, order_y)
    # In few dimensions points always form groups, and a far one would have all the variance.
    if (
        len(x) > _FLAT
        and max(spread(test_x, order_x, depth), spread(test_y, order_y, depth)) > _SPREAD
    ):
        return []
    levels = []
    while True:
        rows, mass_a = _grouped(x, a, order_x, depth)
        columns, mass_b = _grouped(y, b, order_y, depth)
        levels.append(Level(rows, columns, mass_a, mass_b))
        if 1 << depth <= _COARSEST:
            return levels[::-1]
        depth -= 2


def order_of(points: FloatArray) -> IntArray:
    """Return an order in which the points (n, d) of each tile lie together.

    Tiles, and points within a tile, are in random order: the network simplex takes more pivots
    where neighbours in the order are neighbours in space.
    """
    n, order = len(points), kd_ordered(points)
    last = n - n % TILE
    rng = np.random.default_rng(0)
    tiles = rng.permuted(order[:last].reshape(-1, TILE), axis=1)
    return np.concatenate([rng.permutation(tiles).ravel(), order[last:]])


def kd_ordered(points: FloatArray) -> IntArray:
    """Return an order in which points (n, d) that are neighbours lie together."""
    depth = int(np.ceil(np.log2(max(len(points) / _GROUP, 1))))
    order = np.arange(len(points))
    kd_order(_scaled(points.T), depth, order)
    return order


def _coordinates(geometry: Geometry) -> tuple[FloatArray, FloatArray]:
    """Return coordinates (d, n) of the sources, and others to test groups by."""
    points = geometry.as_points()
    if points is not None:
        x = _scaled(points.x.T)
        return x, x
    cost = geometry.dense()
    m = cost.shape[1]
    chosen = np.random.default_rng(0).permutation(m)[: 2 * _N_LANDMARKS]
    x = np.ascontiguousarray(cost[:, chosen].T)
    x[~np.isfinite(x)] = geometry.largest
    x, half = _scaled(x), len(x) // 2
    return x[:half], x[half:]


def _scaled(x: FloatArray) -> FloatArray:
    """Scale coordinates to at most 1, so that squares neither overflow nor underflow."""
    exponent = int(np.frexp(np.abs(x).max())[1])
    return np.ascontiguousarray(np.ldexp(x, -exponent))


def _grouped(
    x: FloatArray, mass: FloatArray, order: IntArray, depth: int
) -> tuple[IntArray, FloatArray]:
    """Return for each group the atom nearest to its centre, and its mass."""
    chosen, total = np.empty(1 << depth, np.int64), np.empty(1 << depth)
    central(x, mass, order, depth, np.empty(len(x)), chosen, total)
    return chosen, total
