"""The value of potentials in exact arithmetic, where float64 would round it away.

Potentials of the size of a cost that little mass pays cancel in the dual value: it is far smaller
than the terms it is a sum of. Here c-transforms are sums of two floats, and the value is a sum of
fractions; nothing is rounded but computed costs, by a part of the value itself.
"""

from __future__ import annotations

import math
from fractions import Fraction
from operator import mul
from typing import TYPE_CHECKING

import numpy as np

from otdist.certificate.rounding import EPS, Dual, U
from otdist.geometry.protocol import Geometry
from otdist.problem.marginals import MoveMass
from otdist.runtime import blocks
from otdist.typing import FloatArray, IntArray

if TYPE_CHECKING:
    from otdist.problem.problem import Problem

# Pairs and atoms up to which this takes a fraction of a second.
_MOST_PAIRS, _MOST_ATOMS = 1 << 22, 20_000


def exact_lower(problem: Problem, f: FloatArray) -> Dual | None:
    """Return what f and its c-transform prove, rounded down once; None for large problems."""
    carries = np.flatnonzero(problem.a)
    found = _transform(problem.geometry, f, carries)
    if found is None:
        return None
    used = np.flatnonzero(problem.b)
    a, b = _fractions(problem.a[carries]), _fractions(problem.b[used])
    g = _sums(found, used)
    total = sum(map(mul, a, _fractions(f[carries])), Fraction(0))
    of_b = sum(map(mul, b, g), Fraction(0))
    noise = 0.0
    if problem.geometry.facts.has_forbidden:
        # In the parts that forbidden arcs separate b may be scaled by other factors.
        noise = sum(problem.shape) * EPS * float(problem.b[used] @ np.abs(found[0][used]))
    return _rounded(problem, total + of_b * sum(a) / sum(b), noise)


def exact_partial_lower(problem: Problem, f: FloatArray, price: float, level: float) -> Dual | None:
    """Return what F, G and l prove where mass may be left: see `certificate.partial`."""
    carries = np.flatnonzero(problem.a)
    found = _transform(problem.geometry, f, carries)
    if found is None:
        return None
    used, most, above = np.flatnonzero(problem.b), Fraction(price), Fraction(level)
    g = [min(value - above, most) for value in _sums(found, used)]
    total = sum(map(mul, _fractions(problem.a[carries]), _fractions(f[carries])), Fraction(0))
    total += sum(map(mul, _fractions(problem.b[used]), g), Fraction(0))
    if isinstance(problem.marginals, MoveMass):
        total += above * Fraction(problem.marginals.mass)
    return _rounded(problem, total, 0.0)


def _transform(
    geometry: Geometry, f: FloatArray, carries: IntArray
) -> tuple[FloatArray, FloatArray] | None:
    """Return ``min_i c[i, j] - f[i]`` over rows with mass, as two numbers, rounded down."""
    n, m = geometry.shape
    if n * m > _MOST_PAIRS or n + m > _MOST_ATOMS or not len(carries):
        return None
    is_used = np.zeros(n, bool)
    is_used[carries] = True
    high, low = np.full(m, np.inf), np.full(m, np.inf)
    with np.errstate(over="ignore", invalid="ignore"):
        for start, stop in blocks.row_blocks(n, m):
            slack = (geometry.rows(start, stop) - f[start:stop, None])[is_used[start:stop]]
            np.minimum(high, slack.min(axis=0, initial=np.inf), out=high)
        for start, stop in blocks.row_blocks(n, m):
            cost = geometry.rows(start, stop)[is_used[start:stop]]
            known = f[start:stop, None][is_used[start:stop]]
            slack = cost - known
            back = slack - cost
            lost = (cost - (slack - back)) - (known + back)
            rest = np.where(np.isfinite(cost), (slack - high) + lost, np.inf)
            np.minimum(low, rest.min(axis=0, initial=np.inf), out=low)
        low -= 4 * U * np.abs(low) + 2.0**-104 * np.abs(high)
    return (high, low) if np.isfinite(high + low).all() else None


def _sums(pair: tuple[FloatArray, FloatArray], used: IntArray) -> list[Fraction]:
    high, low = (_fractions(values[used]) for values in pair)
    return [x + y for x, y in zip(high, low, strict=True)]


def _fractions(values: FloatArray) -> list[Fraction]:
    return [Fraction(value) for value in values.tolist()]


def _rounded(problem: Problem, value: Fraction, noise: float) -> Dual | None:
    try:
        nearest = float(value)
    except OverflowError:
        return None
    facts = problem.geometry.facts
    rounding = (1 + facts.roundings) * EPS * abs(nearest) + facts.least * problem.mass
    rounding += math.ulp(0.0) + noise
    return Dual(nearest - rounding, rounding)
