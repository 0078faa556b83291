"""Passes over tiles of points against all pairs at once; lists of arcs against sets."""

from __future__ import annotations

import knobs
import numpy as np
import pytest
from conftest import JIT_OFF
from hypothesis import given
from hypothesis import strategies as st

from otdist import Problem
from otdist.compiled.costs import Found
from otdist.geometry.points import Points
from otdist.solvers.coarsen import order_of
from otdist.solvers.network_simplex import column_generation as lists
from otdist.solvers.network_simplex.kernels import tiles

SIZE = 40 if JIT_OFF else 300
KINDS = [
    ("euclidean", 1.0),
    ("euclidean", 2.0),
    ("euclidean", 1.5),
    ("sqeuclidean", 1.0),
    ("cityblock", 1.0),
    ("cityblock", 3.0),
    ("chebyshev", 1.0),
    ("chebyshev", 2.0),
]


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch):
    if JIT_OFF:
        monkeypatch.setattr(knobs.TILE, 8)
        monkeypatch.setattr(knobs.COLUMNS_TILE, 8)


def geometry_of(rng, shape, metric, p, shift=1.0):
    """Return two clouds, each in the order of a kd-tree."""
    (n, m), d = shape, int(rng.integers(1, 5))
    x, y = rng.normal(size=(n, d)), rng.normal(size=(m, d))
    y[:, 0] += shift
    if rng.random() < 0.3:
        # Ties: points on a grid, some of them the same.
        x, y = np.round(x), np.round(y)
    if d > 1:
        geometry = Problem(x, y, metric=metric, p=p).geometry
        assert isinstance(geometry, Points)
        return geometry.restrict(order_of(geometry.x), order_of(geometry.y))
    x, y = np.sort(x, axis=0), np.sort(y, axis=0)
    return Problem(x[:, 0], y[:, 0], metric=metric, p=p).geometry


def potential_of(rng, geometry, cost):
    """Return g: of a coarse problem, of no problem at all, or zero."""
    m = cost.shape[1]
    some = rng.choice(len(cost), 5)
    return [
        (cost[some] - rng.normal(size=(5, 1))).min(axis=0),
        rng.normal(size=m) * geometry.largest,
        np.zeros(m),
    ][rng.integers(3)]


def cases():
    return st.tuples(st.integers(0, 2**32 - 1), st.sampled_from(KINDS))


def shape_of(rng):
    return [(SIZE, SIZE + 30), (SIZE + 30, SIZE), (3, SIZE), (SIZE, 1)][rng.integers(4)]


def assert_nearest(geometry, cost, g, width, *, by_column=False):
    """The least slacks, and the arcs below some level: no fewer than half of a width."""
    costs = geometry.costs()
    slacks = cost.T - g if by_column else cost - g
    least, found = lists.nearest(costs, g, width, geometry.largest, 1, by_column=by_column)
    scale = np.abs(g).max() + geometry.largest
    assert least == pytest.approx(slacks.min(axis=1), abs=1e-14 * scale)
    if width == 0:
        return
    for line, slack in enumerate(slacks):
        number = int(found.number[line])
        end = found.end[line, :number]
        assert len(set(end.tolist())) == number <= width
        assert number >= min(width // 2, 1)
        inside = np.zeros(len(slack), bool)
        inside[end] = True
        if number < width:
            # All arcs below the level are there.
            assert slack[~inside].min(initial=np.inf) >= slack[end].max() - 1e-13 * scale


@given(cases())
def test_nearest_arcs_of_tiles(case):
    seed, (metric, p) = case
    rng = np.random.default_rng(seed)
    geometry = geometry_of(rng, shape_of(rng), metric, p)
    cost = geometry.dense()
    g = potential_of(rng, geometry, cost)
    assert_nearest(geometry, cost, g, 0)
    assert_nearest(geometry, cost, g, 10)
    f = (cost - g).min(axis=1)
    assert_nearest(geometry, cost, f, 6, by_column=True)


@given(cases())
def test_nearest_arcs_where_there_is_little_room(case):
    """The step is made shorter; of points that are all equal so many are enough."""
    seed, (metric, p) = case
    rng = np.random.default_rng(seed)
    geometry = geometry_of(rng, (SIZE, SIZE + 30), metric, p, rng.choice([0.0, 1.0]))
    cost = geometry.dense()
    g = potential_of(rng, geometry, cost)
    real = tiles.scratch_for

    def tight(n_tiles, width):
        made, room = real(n_tiles, width), tiles.TILE + 12
        return made._replace(end=made.end[:room], values=made.values[:room])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiles, "scratch_for", tight)
        least, found = lists.nearest(geometry.costs(), g, 10, geometry.largest, 1, by_column=False)
    scale = np.abs(g).max() + geometry.largest
    assert least == pytest.approx((cost - g).min(axis=1), abs=1e-14 * scale)
    for i in range(len(cost)):
        end = found.end[i, : found.number[i]]
        assert 1 <= len(set(end.tolist())) == len(end) <= 10


def test_a_bound_too_high_is_seen(monkeypatch):
    """Tiles that claim less than their potentials are skipped, and should not be."""
    rng = np.random.default_rng(3)
    geometry = geometry_of(rng, (SIZE, SIZE), "euclidean", 1.0)
    cost = geometry.dense()
    g = rng.normal(size=SIZE)
    assert_nearest(geometry, cost, g, 0)
    real = lists._tiles_of

    def too_high(points, potential):
        made = real(points, potential)
        return made._replace(top=made.top - 2.0)

    monkeypatch.setattr(lists, "_tiles_of", too_high)
    with pytest.raises(AssertionError):
        assert_nearest(geometry, cost, g, 0)


@given(cases())
def test_violated_arcs_of_tiles(case):
    seed, (metric, p) = case
    rng = np.random.default_rng(seed)
    geometry = geometry_of(rng, shape_of(rng), metric, p)
    cost = geometry.dense()
    n, _ = cost.shape
    g = potential_of(rng, geometry, cost)
    # Feasible potentials, some of which are raised.
    f = (cost - g).min(axis=1)
    f[rng.random(n) < 0.3] += 0.1 * geometry.largest
    tolerance = 1e-12 * (geometry.largest + np.abs(f).max() + np.abs(g).max())
    rows = np.flatnonzero(rng.random(n) < 0.8)
    least, found = lists.violated(geometry.costs(), f, g, tolerance, 4, rows, 1)
    reduced = cost - f[:, None] - g
    for i in rows:
        smallest = float((cost[i] - g).min())
        is_violated = smallest < f[i] - tolerance
        assert least[i] <= smallest + 1e-2 * tolerance
        assert least[i] == pytest.approx(
            smallest if is_violated else f[i] - tolerance, abs=1e-2 * tolerance
        )
        end = found.end[i, : found.number[i]]
        assert (reduced[i, end] < 0).all()
        assert len(set(end.tolist())) == len(end)
        if reduced[i].min() < -2 * tolerance:
            assert len(end) > 0
    others = np.setdiff1d(np.arange(n), rows)
    assert (found.number[others] == 0).all()


@given(st.integers(0, 2**32 - 1))
def test_lists_are_merged_as_sets_are(seed):
    rng = np.random.default_rng(seed)
    n, m, width = rng.integers(1, 9, 3)
    costs = Problem.from_cost(rng.random((n, m))).geometry.costs()

    def found(lines, ends):
        number = rng.integers(0, min(width, ends) + 1, lines)
        end = np.array([rng.permutation(max(ends, width))[:width] for _ in range(lines)])
        return Found(np.minimum(end, ends - 1).astype(np.uint32), number.astype(np.uint32))

    wanted, rows = set(), lists.no_rows(n)
    for _ in range(3):
        by_row, by_column = found(n, m), found(m, n)
        rows = lists.merged(costs, rows, by_row, by_column)
        for i in range(n):
            wanted |= {(i, int(j)) for j in by_row.end[i, : by_row.number[i]]}
        for j in range(m):
            wanted |= {(int(i), j) for i in by_column.end[j, : by_column.number[j]]}
        both = lists.both_ways(rows, m)
        i = np.repeat(np.arange(n), np.diff(both.row_start))
        j = np.repeat(np.arange(m), np.diff(both.column_start))
        by_rows = list(zip(i.tolist(), both.column.tolist(), strict=True))
        by_columns = list(zip(both.row.tolist(), j.tolist(), strict=True))
        assert len(by_rows) == len(by_columns) == len(wanted)
        assert set(by_rows) == set(by_columns) == wanted
        assert (both.row_cost == costs.matrix[i, both.column]).all()
        assert (both.column_cost == costs.matrix[both.row, j]).all()


@given(st.integers(0, 2**32 - 1))
def test_nearest_arcs_of_a_matrix(seed):
    rng = np.random.default_rng(seed)
    n, m = shape_of(rng)
    cost = rng.random((n, m)) if rng.random() < 0.5 else rng.integers(0, 4, (n, m)) + 1.0
    cost[rng.random((n, m)) < 0.1] = np.inf
    cost[np.arange(n), rng.integers(0, m, n)] = 1.0
    geometry = Problem.from_cost(cost).geometry
    g = rng.normal(size=m)
    least, found = lists.nearest(geometry.costs(), g, 8, 4.0, 1, by_column=False)
    assert (least == (cost - g).min(axis=1)).all()
    for i in range(n):
        end = found.end[i, : found.number[i]]
        assert np.isfinite(cost[i, end]).all()
        assert len(set(end.tolist())) == len(end) >= 1
    f = least
    best, found = lists.nearest(geometry.costs(), f, 8, 4.0, 1, by_column=True)
    assert (best == (cost.T - f).min(axis=1)).all()
    for j in range(m):
        end = found.end[j, : found.number[j]]
        assert np.isfinite(cost[end, j]).all()
        assert len(set(end.tolist())) == len(end)
