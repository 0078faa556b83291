"""Passes over all pairs of atoms, each a Sinkhorn iteration, on one or more threads."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np

from otdist.compiled.costs import EUCLIDEAN, MATRIX, SQUARED, Costs, read_only
from otdist.compiled.exp2 import WIDTH
from otdist.geometry.protocol import Geometry
from otdist.runtime.blocks import N_PARTS, share
from otdist.solvers.sinkhorn.kernels.newton import scaled_columns
from otdist.solvers.sinkhorn.kernels.sweep import BOX, Boxes, Buffers, Pool, Rows, sweep
from otdist.typing import FloatArray

LOG2E = 1.4426950408889634
# Pairs in one call of the kernel: about 50 ms, so that Ctrl-C takes effect.
_PAIRS = 1 << 25
# Most entries of blocks that are kept (256 MB), and pairs up to which any are kept.
_KEPT_ENTRIES = 1 << 26
_KEPT_FROM = 1 << 28
# How far from costs epsilon may be in single precision.
_FAR = 1e20
# Relative rounding of sums of entries in single precision.
_ROUNDING = 3e-7
_NOWHERE = Pool(np.zeros(1, np.int64), np.empty(0, np.int32), np.empty((0, WIDTH), np.float32))


class Part(NamedTuple):
    """A range of rows, and the blocks of their plan."""

    rows: slice
    pool: Pool


class Blocks(NamedTuple):
    """A plan as blocks of its larger entries, and the sums of all other entries."""

    parts: list[Part]
    rest_rows: FloatArray  # (n,)
    rest_columns: FloatArray  # (m,)
    # (m,) column sums of the pass divided by those of the blocks and the rest: they differ,
    # since entries of blocks are in single precision.
    accuracy: FloatArray
    density: float  # part of all entries that is in blocks
    level: float  # part of a row's mass from which on entries are in blocks

    def reach(self) -> float:
        """Return how many columns a row reaches: the mean of 1 / (sum of squared entries)."""
        total = 0.0
        for rows, pool in self.parts:
            start = pool.start[rows.start : rows.stop + 1]
            values = pool.values[: start[-1]]
            squares = np.add.accumulate(np.einsum("kj,kj->k", values, values), dtype=np.float64)
            squares = np.diff(np.concatenate([[0.0], squares])[start])
            total += float((1 / np.maximum(squares, 1e-30)).sum())
        return total / len(self.rest_rows)


class Pass(NamedTuple):
    """Results of one pass."""

    f: FloatArray  # the soft c-transform of g
    columns: FloatArray  # column sums of the plan of (f, g)
    blocks: Blocks | None


class Pairs:
    """All pairs of a problem, and the memory that passes over them share.

    Potentials include ε log of the masses, as in `solvers.sinkhorn.kernels.sweep`. Without b,
    columns may lose entries that are negligible for the rows' masses.
    """

    def __init__(
        self, geometry: Geometry, a: FloatArray, b: FloatArray | None = None, n_jobs: int = 1
    ) -> None:
        self.geometry, self.a, self.n_jobs = geometry, read_only(a), n_jobs
        self.n, self.m = geometry.shape
        # Logarithms of the columns' parts of the mass.
        self.log_b = np.full(self.m, -np.log(self.m)) if b is None else np.log(b / b.sum())
        self.costs = geometry.tabulated().costs()
        self.n_places = -(-self.m // WIDTH) * WIDTH
        self._single, self._unit = self._singles()
        self._boxes = _corners(self.costs)
        self._single_boxes = _corners(self._single)
        self._parts = _parts(self.n)
        self._pools: list[Pool] = []

    @property
    def keeps_blocks(self) -> bool:
        """Whether blocks of the plan are kept at all."""
        return self.n * self.m <= _KEPT_FROM

    def sweep(
        self,
        f: FloatArray,
        g: FloatArray,
        epsilon: float,
        *,
        single: bool = False,
        level: float | None = None,
    ) -> Pass:
        """Move f to the soft c-transform of g, and keep blocks.

        A block is kept if it has an entry of at least `level` times the mass of its row; with
        None, and where there are too many, no block is kept. Single precision suffices for
        annealing: the relative error of an entry is about 1e-7, and for points also 1e-7 of
        the costs divided by epsilon.
        """
        costs, unit = (self._single, self._unit) if single else (self.costs, 1.0)
        low, high = self._single_boxes if single else self._boxes
        starts = BOX * np.arange(low.shape[1])
        top = np.maximum.reduceat(g - epsilon * self.log_b, starts) if starts.size else low[0]
        boxes, g = Boxes(low, high, top / unit), g / unit
        rows = Rows(self.a, f / unit, np.zeros(self.n))
        keeps = level is not None and self.keeps_blocks
        pools = self._room() if keeps else [_NOWHERE] * len(self._parts)
        buffers = self._scratch(single, g)
        columns = np.zeros((len(self._parts), self.m))
        step = max(1, _PAIRS // self.m)
        is_full = [False] * len(self._parts)

        def go(k: int) -> None:
            part, top, own = self._parts[k], 0, buffers.pop()
            for start in range(part.start, part.stop, step):
                stop = min(start + step, part.stop)
                top = sweep(
                    costs,
                    start,
                    stop,
                    g,
                    LOG2E * unit / epsilon,
                    level or 0.0,
                    rows,
                    boxes,
                    columns[k],
                    pools[k],
                    top,
                    own,
                )
            buffers.append(own)
            is_full[k] = top < 0

        share(go, len(self._parts), self.n_jobs)
        total = columns.sum(axis=0)
        kept = keeps and not any(is_full)
        blocks = self._blocks(pools, rows.rest, total, level) if kept and level else None
        return Pass(rows.f * unit, total, blocks)

    def fits_single(self, epsilon: float) -> bool:
        """Whether single precision holds epsilon in the unit of the points' costs."""
        is_near = 1 / _FAR <= epsilon / self._unit <= _FAR
        return self.costs.kind == MATRIX or is_near

    def _singles(self) -> tuple[Costs, float]:
        """Return the costs with coordinates in single precision, and their unit.

        Coordinates are centred and scaled to at most 1.
        """
        x, y, unit = self.costs.x, self.costs.y, 1.0
        if self.costs.kind != MATRIX:
            low = np.minimum(x.min(axis=1), y.min(axis=1))[:, None]
            high = np.maximum(x.max(axis=1), y.max(axis=1))[:, None]
            middle = 0.5 * low + 0.5 * high
            exponent = int(np.frexp((high - low).max())[1])
            x, y = np.ldexp(x - middle, -exponent), np.ldexp(y - middle, -exponent)
            unit = 2.0 ** (exponent * _power(self.costs))
        return self.costs._replace(x=_single(x), y=_single(y)), unit

    def _scratch(self, single: bool, g: FloatArray) -> list[Buffers]:
        """Return buffers for every thread."""
        kind = np.float32 if single else np.float64
        of_columns = np.zeros(self.m, kind) if self.costs.kind == MATRIX else g.astype(kind)
        found = []
        for _ in range(max(1, self.n_jobs)):
            row = np.zeros(self.n_places, kind)
            found.append(
                Buffers(
                    row,
                    row if single else np.zeros(self.n_places, np.float32),
                    np.zeros(self.m, kind),
                    np.zeros(self.m, kind),
                    of_columns,
                    np.empty(2, kind),
                    np.empty((self._boxes[0].shape[1] + 1, 2), np.int64),
                    np.empty(self._boxes[0].shape[1]),
                )
            )
        return found

    def _room(self) -> list[Pool]:
        """Return pools with places for all blocks; pages are allocated as they fill."""
        if not self._pools:
            most = max(_KEPT_ENTRIES // WIDTH // len(self._parts), self.n_places)
            for part in self._parts:
                n_rows = part.stop - part.start
                size = min(n_rows * self.n_places // WIDTH, most)
                values = np.empty((size, WIDTH), np.float32)
                start = np.zeros(self.n + 1, np.int64)
                self._pools.append(Pool(start, np.empty(size, np.int32), values))
        return self._pools

    def _blocks(
        self, pools: list[Pool], rest: FloatArray, columns: FloatArray, level: float
    ) -> Blocks:
        """Return the blocks of all parts, and the rest of the columns."""
        parts = [Part(*each) for each in zip(self._parts, pools, strict=True)]
        ones, kept, sums = (np.ones(self.n_places), np.zeros(self.n_places), np.empty(self.n))
        for rows, pool in parts:
            scaled_columns(pool, rows.start, ones, self.a[rows], rest[rows], sums[rows], kept)
        # Blocks are in single precision: a difference below its rounding counts as 0.
        left = np.maximum(columns - kept[: self.m] - _ROUNDING * columns, 0.0)
        n_kept = sum(int(pool.start[rows.stop]) for rows, pool in parts)
        accuracy = columns / np.maximum(kept[: self.m] + left, np.finfo(float).tiny)
        density = n_kept * WIDTH / (self.n * self.m)
        return Blocks(parts, rest, left, accuracy, density, level)


def _power(costs: Costs) -> float:
    """Return the power of lengths that costs scale with."""
    return costs.p * (2.0 if costs.kind == SQUARED else 1.0)


def _corners(costs: Costs) -> tuple[FloatArray, FloatArray]:
    """Return lowest and highest corners (d, boxes) of columns of points, `BOX` after `BOX`.

    There are boxes for Euclidean distances and their squares only.
    """
    if costs.kind not in (EUCLIDEAN, SQUARED) or _power(costs) not in (1.0, 2.0):
        return np.empty((1, 0)), np.empty((1, 0))
    starts = np.arange(0, costs.y.shape[1], BOX)
    low = np.minimum.reduceat(costs.y, starts, axis=1)
    high = np.maximum.reduceat(costs.y, starts, axis=1)
    return low.astype(np.float64), high.astype(np.float64)


def _parts(n: int) -> list[slice]:
    ends = np.linspace(0, n, min(n, N_PARTS) + 1).astype(int).tolist()
    return [slice(start, stop) for start, stop in itertools.pairwise(ends)]


def _single(values: FloatArray) -> np.ndarray:
    return read_only(values.astype(np.float32))
