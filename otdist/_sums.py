"""Sums over a plan that is computed in blocks of rows, as certificates make them.

Costs come from the problem, not from the plan; compiled where there are many pairs, by
passes that nothing else uses.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from otdist._errors import InputError
from otdist._geometry import Geometry
from otdist._geometry.blocks import N_PARTS, share_rows
from otdist._geometry.points import Points
from otdist._transform import COMPILED_PAIRS, NORMS
from otdist._typing import FloatArray


class Sums(NamedTuple):
    """Marginals and cost of a plan."""

    rows: FloatArray  # (n,)
    columns: FloatArray  # (m,)
    cost: float
    size: float  # sum of the absolute terms of the cost


def scaled_sums(
    geometry: Geometry,
    plan_rows: Callable[[int, int], FloatArray],
    scale_a: FloatArray | None,
    scale_b: FloatArray | None,
    n_jobs: int,
) -> Sums:
    """Return the sums of a plan scaled by rows and columns, or as it is for None."""
    n, m = geometry.shape
    rows, columns = np.empty(n), np.zeros((N_PARTS, m))
    costs, sizes = np.empty(n), np.empty(n)
    cost_rows = _cost_rows(geometry)

    def add(part: int, start: int, stop: int) -> None:
        block = plan_rows(start, stop)
        if not block.min(initial=0.0) >= 0:
            _refuse(start, stop, float(block.min()))
        if scale_a is not None:
            block = block * scale_a[start:stop, None]
        if scale_b is not None:
            block = block * scale_b
        rows[start:stop] = block.sum(axis=1)
        columns[part] += np.ones(stop - start) @ block
        terms = cost_rows(start, stop)
        if not math.isfinite(terms.max()):
            # 0 * inf: a forbidden arc that carries nothing costs nothing.
            terms = np.where((block == 0) & np.isinf(terms), 0.0, terms)
        costs[start:stop] = np.einsum("ij,ij->i", block, terms)
        sizes[start:stop] = costs[start:stop]
        if not terms.min() >= 0:
            sizes[start:stop] = np.einsum("ij,ij->i", block, np.abs(terms))

    share_rows(n, m, add, n_jobs)
    return Sums(rows, columns.sum(axis=0), math.fsum(costs), math.fsum(sizes))


def _cost_rows(geometry: Geometry) -> Callable[[int, int], FloatArray]:
    """Return what computes costs of blocks of rows."""
    n, m = geometry.shape
    if not isinstance(geometry, Points) or n * m < COMPILED_PAIRS:
        return geometry.rows
    metric = geometry.metric
    if not isinstance(metric, str):
        return geometry.rows
    from otdist._kernels.certificate import point_costs

    x, y = np.ascontiguousarray(geometry.x.T), np.ascontiguousarray(geometry.y.T)

    def rows(start: int, stop: int) -> FloatArray:
        block = np.empty((stop - start, m))
        point_costs(x, y, NORMS[metric], geometry.p, start, block)
        return block

    return rows


def _refuse(start: int, stop: int, value: float) -> None:
    raise InputError(
        f"plan[{start}:{stop}] is {value}; a plan holds masses, finite and >= 0"
    )
