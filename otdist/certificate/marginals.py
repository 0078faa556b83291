"""Marginals and cost of an entropic plan, as certificates compute them.

A plan gives its rows, and the problem the costs. On a grid sums over all pairs go
through one axis after the other, since plan and cost do. Nothing here comes from a
solver or its kernels, and nothing that a plan on a grid says of itself but its factors
is used.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from otdist.certificate.checkers import checker_of
from otdist.errors import InputError
from otdist.geometry.grid_separable import Grid
from otdist.geometry.protocol import Geometry
from otdist.plans.plans import GridPlan
from otdist.runtime.blocks import N_PARTS, share_rows
from otdist.typing import FloatArray

_EPS = float(np.finfo(float).eps)
# To this part the compiled pass knows an exponential.
_EXPONENTIAL = 2.0**-44


class Sums(NamedTuple):
    """Marginals and cost of a plan."""

    rows: FloatArray  # (n,)
    columns: FloatArray  # (m,)
    cost: float
    size: float  # sum of the absolute terms of the cost


def scaled_sums(
    geometry: Geometry,
    plan_rows: Callable[[int, int], FloatArray],
    n_jobs: int,
    scale_a: FloatArray | None,
    scale_b: FloatArray | None,
) -> Sums:
    """Return the sums of a plan scaled by rows and columns, or as it is for None."""
    n, m = geometry.shape
    rows, columns = np.empty(n), np.zeros((N_PARTS, m))
    costs, sizes = np.empty(n), np.empty(n)
    checker = checker_of(geometry)

    def add(part: int, start: int, stop: int) -> None:
        block = plan_rows(start, stop)
        if scale_a is not None:
            block = block * scale_a[start:stop, None]
        if scale_b is not None:
            block = block * scale_b
        found = np.empty((3, stop - start))
        if checker.add_up(start, block, columns[part], found):
            _refuse(start, stop, float(block.min()))
        rows[start:stop], costs[start:stop], sizes[start:stop] = found

    share_rows(n, m, add, n_jobs)
    return Sums(rows, columns.sum(axis=0), math.fsum(costs.tolist()), math.fsum(sizes.tolist()))


def grid_sums(
    plan: GridPlan,
) -> tuple[Callable[[FloatArray | None, FloatArray | None], Sums], float]:
    """Return a function that sums the scaled plan, and the relative error of the entries."""
    _require_factors(plan)
    return partial(_scaled_sums, plan), _entry_rounding(plan)


def _scaled_sums(plan: GridPlan, scale_a: FloatArray | None, scale_b: FloatArray | None) -> Sums:
    """Return marginals and cost of the plan, rows and columns scaled; and its terms' size."""
    scale_a = np.ones_like(plan.u) if scale_a is None else scale_a
    scale_b = np.ones_like(plan.v) if scale_b is None else scale_b
    grid, u, v = plan.geometry, plan.u * scale_a, plan.v * scale_b
    with np.errstate(divide="ignore"):
        log_r = plan.log_r + np.log(scale_a)
        log_s = plan.log_s + np.log(scale_b)
        costs = [grid.axis_cost(k) for k in range(len(grid.axes))]
        # Factors of the kernel, and of the kernel times the cost, as minus logarithms.
        factors = [cost / plan.epsilon for cost in costs]
        weighted = [cost / plan.epsilon - np.log(cost) for cost in costs]
    rows = _row_sums(grid, log_r, log_s, factors) + u * v.sum()
    columns = _row_sums(grid, log_s, log_r, factors) + v * u.sum()
    terms = []
    for k, cost in enumerate(costs):
        product = [*factors[:k], weighted[k], *factors[k + 1 :]]
        terms.append(_row_sums(grid, log_r, log_s, product))
        along_u, along_v = _along(grid, u, k), _along(grid, v, k)
        terms.append(along_u * (cost @ along_v))
    total = float(np.sum(np.concatenate(terms), dtype=np.longdouble))
    return Sums(rows, columns, total, total)


def _entry_rounding(plan: GridPlan) -> float:
    """Return the relative error of the plan's entries in the sums.

    An exponential is as exact as its exponent: that is a sum of logarithms of the
    factors, and is rounded in units of the largest of them in every pass.
    """
    logs = np.concatenate([plan.log_r, plan.log_s])
    largest = np.abs(logs[np.isfinite(logs)]).max(initial=0.0)
    exponent = 2 * float(largest) + plan.geometry.largest / plan.epsilon
    side = max(plan.geometry.sides)
    return len(plan.geometry.axes) * (_EPS * (4 * exponent + side) + _EXPONENTIAL)


def _require_factors(plan: GridPlan) -> None:
    """Raise for factors that are no masses, or have the wrong length."""
    n = plan.shape[0]
    if not 0 < plan.epsilon < math.inf:
        raise InputError(f"plan.epsilon must be positive, got {plan.epsilon}")
    for name in ("log_r", "log_s", "u", "v"):
        values, floor = getattr(plan, name), 0.0 if name in "uv" else -math.inf
        if np.shape(values) != (n,):
            raise InputError(f"plan.{name} must have shape ({n},)")
        good = (values >= floor) & (values < math.inf)
        if not good.all():
            i = int(np.argmin(good))
            raise InputError(
                f"plan.{name}[{i}] is {values[i]}; a plan holds masses, finite and >= 0"
            )
    with np.errstate(over="ignore"):
        spread = float(plan.u.sum() * plan.v.sum())
    if not spread < math.inf:
        raise InputError(f"plan.u times plan.v sums to {spread}; it must be finite")


def _row_sums(
    grid: Grid, log_r: FloatArray, log_s: FloatArray, factors: list[FloatArray]
) -> FloatArray:
    """Return ``r[i] sum_j exp(-sum_k factors[k][i, j]) s[j]``."""
    logs = grid.along_axes(-log_s, partial(_log_sums, factors))
    with np.errstate(over="ignore"):
        return np.asarray(np.exp(log_r - logs))


def _log_sums(factors: list[FloatArray], lines: FloatArray, k: int) -> FloatArray:
    from otdist.certificate.kernels.grid import log_sums

    lines = np.array(lines)
    log_sums(lines, factors[k], *np.empty((2, lines.shape[1])))
    return lines


def _along(grid: Grid, values: FloatArray, k: int) -> FloatArray:
    """Return the sums of values over all axes but one."""
    others = tuple(i for i in range(len(grid.axes)) if i != k)
    return np.asarray(values.reshape(grid.sides).sum(axis=others))


def _refuse(start: int, stop: int, value: float) -> None:
    raise InputError(f"plan[{start}:{stop}] is {value}; a plan holds masses, finite and >= 0")
