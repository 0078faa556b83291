"""Bounds for p = inf, where the largest distance that mass moves counts."""

from __future__ import annotations

import numpy as np

from otdist._geometry.line import Line
from otdist._plan import Arcs
from otdist._problem import Problem
from otdist._result import Certificate
from otdist._typing import FloatArray


def certify_bottleneck(problem: Problem, arcs: Arcs) -> Certificate:
    """Bound W_inf on the line: the plan's longest arc, and Strassen's theorem.

    If more mass lies at or below s in one measure than below t in the other,
    some of it must cross from s to t. Mass below 1e-12 of the total is rounding
    of the weights and is not counted on either side.
    """
    n, m = problem.shape
    rows, columns, mass = arcs
    error_a = np.abs(np.bincount(rows, mass, n) - problem.a).sum()
    error_b = np.abs(np.bincount(columns, mass, m) - problem.b).sum()
    marginal_error = float(error_a + error_b)
    slack = 1e-12 * problem.mass
    x, y = _coordinates(problem)
    counted = mass > slack / (n + m)
    upper = float(np.abs(x[rows] - y[columns])[counted].max(initial=0.0))
    if marginal_error > slack:
        upper = max(float(x.max() - y.min()), float(y.max() - x.min()), upper)
    lower = max(
        _longest_crossing(x, problem.a, y, problem.b, slack),
        _longest_crossing(y, problem.b, x, problem.a, slack),
    )
    return Certificate(
        lower=min(lower, upper),
        upper=upper,
        marginal_error=marginal_error,
        dual_violation=0.0,
        rounding=0.0,
    )


def _coordinates(problem: Problem) -> tuple[FloatArray, FloatArray]:
    assert isinstance(problem.geometry, Line)
    return problem.geometry.x, problem.geometry.y


def _longest_crossing(
    x: FloatArray, a: FloatArray, y: FloatArray, b: FloatArray, slack: float
) -> float:
    """Return the largest t - s such that mass of a at or below s must reach t."""
    by_x, by_y = np.argsort(x), np.argsort(y)
    must_fit = np.cumsum(a[by_x]) - slack
    room = np.cumsum(b[by_y])
    # The mass up to s fits below t only if some level of b reaches it first.
    reached = np.searchsorted(room, must_fit, side="left")
    reached = np.minimum(reached, len(y) - 1)
    crossing = (y[by_y][reached] - x[by_x])[must_fit > 0]
    return float(crossing.max(initial=0.0))
