"""Derivatives of the optimal value, by the envelope theorem."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from otdist._errors import InputError
from otdist._geometry.blocks import row_blocks
from otdist._geometry.dense import Dense
from otdist._plan import Arcs, EmbeddedPlan, EntropicPlan, GridPlan
from otdist._result import Gradients
from otdist._typing import FloatArray

if TYPE_CHECKING:
    from otdist._result import Result


def gradients(result: Result) -> Gradients:
    """Return the derivatives of ``result.value``; see `Result.gradients`."""
    problem = result.problem
    if problem.is_bottleneck:
        raise InputError("p=inf has no gradient: the longest arc changes abruptly")
    f, g = result.potentials
    x = y = None
    if not isinstance(problem.geometry, Dense):
        x, y = _point_gradients(result)
    return Gradients(a=f - f.mean(), b=g - g.mean(), x=x, y=y, cost=result.plan)


def _point_gradients(result: Result) -> tuple[FloatArray, FloatArray]:
    """Sum plan times cost slope; costs depend on x - y, so y's slope is minus x's."""
    problem, plan = result.problem, result.coupling
    n, m = problem.shape
    x = y = None
    for rows, columns, mass in _arc_blocks(plan, n, m):
        slope = mass[:, None] * problem.geometry.derivative(rows, columns)
        if x is None or y is None:
            x, y = np.zeros((n, slope.shape[1])), np.zeros((m, slope.shape[1]))
        np.add.at(x, rows, slope)
        np.subtract.at(y, columns, slope)
    assert x is not None
    assert y is not None
    return x, y


def _arc_blocks(
    plan: Arcs | EntropicPlan | GridPlan | EmbeddedPlan, n: int, m: int
) -> Iterator[Arcs]:
    """Yield the arcs of a sparse or lazy plan, a block at a time."""
    if isinstance(plan, Arcs):
        yield plan
        return
    for start, stop in row_blocks(n, m):
        block = plan.rows(start, stop)
        rows, columns = np.nonzero(block)
        yield Arcs(rows + start, columns, block[rows, columns])
