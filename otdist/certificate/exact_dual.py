"""The value of potentials in exact arithmetic, where float64 would round it away.

Potentials of the size of a cost that little mass pays cancel in the dual value: it is far smaller
than the terms it is a sum of. Here c-transforms are sums of two floats, and the value is a sum of
fractions; nothing is rounded but computed costs, by a part of the value itself.
"""

from __future__ import annotations

import math
from fractions import Fraction
from operator import mul
from typing import TYPE_CHECKING, cast

import numpy as np

from otdist.certificate.exact_coupling import Exact, forest
from otdist.certificate.rounding import EPS, Dual, U
from otdist.geometry.protocol import Geometry
from otdist.problem.marginals import LeaveAtPrice, MoveMass
from otdist.runtime import blocks
from otdist.typing import FloatArray, IntArray

if TYPE_CHECKING:
    from otdist.problem.problem import Problem

# Pairs and atoms up to which this takes a fraction of a second.
_MOST_PAIRS, _MOST_ATOMS = 1 << 22, 20_000


def exact_lower(problem: Problem, f: FloatArray, rest: FloatArray | None = None) -> Dual | None:
    """Return what f, or the sum of f and a rest, and its c-transform prove.

    It is rounded down once; None for large problems.
    """
    carries = np.flatnonzero(problem.a)
    found = _transform(problem.geometry, f, carries, rest)
    if found is None or not np.isfinite(found[0]).all():
        return None
    used = np.flatnonzero(problem.b)
    a, b = _fractions(problem.a[carries]), _fractions(problem.b[used])
    of_f, of_g = _both(f, rest, carries), _both(*found, used)
    total = sum(map(mul, a, of_f), Fraction(0)) + sum(map(mul, b, of_g), Fraction(0)) * sum(
        a
    ) / sum(b)
    noise = 0.0
    if problem.geometry.facts.has_forbidden:
        # In the parts that forbidden arcs separate b may be scaled by other factors.
        noise = sum(problem.shape) * EPS * float(problem.b[used] @ np.abs(found[0][used]))
    return _rounded(problem, total, noise)


def exact_partial_lower(
    problem: Problem, f: FloatArray, rest: FloatArray | None = None
) -> Dual | None:
    """Return what f, or the sum of f and a rest, proves where mass may be left.

    F and G are feasible if ``F + G <= cost``. Where a given mass is moved, each atom may be left
    for nothing, so that ``F <= s`` and ``G <= t`` cost s and t for all mass that is left:
    ``sum a F + sum b G - (sum a - mass) s - (sum b - mass) t`` is a lower bound. For a price,
    neither exceeds it.
    """
    carries, used = np.flatnonzero(problem.a), np.flatnonzero(problem.b)
    marginals = problem.marginals
    if isinstance(marginals, LeaveAtPrice):
        rest = None if rest is None else np.where(f < marginals.price, rest, 0.0)
        f = np.minimum(f, marginals.price)
    found = _transform(problem.geometry, f, carries, rest)
    if found is None:
        return None
    # A column that no arc reaches is left.
    found = np.minimum(found[0], np.finfo(float).max), found[1]
    a, b = _fractions(problem.a[carries]), _fractions(problem.b[used])
    of_a, of_b = sum(a, Fraction(0)), sum(b, Fraction(0))
    of_f, of_g = _both(f, rest, carries), _both(*found, used)
    if isinstance(marginals, MoveMass):
        moved = min(Fraction(marginals.mass), of_a, of_b)
        s, t = max(of_f), _quantile(of_g, b, moved)
        total = -(of_a - moved) * s - (of_b - moved) * t
    else:
        t = Fraction(cast("LeaveAtPrice", marginals).price)
        of_f, total = [min(value, t) for value in of_f], Fraction(0)
    total += sum(map(mul, a, of_f), Fraction(0))
    total += sum(map(mul, b, [min(value, t) for value in of_g]), Fraction(0))
    return _rounded(problem, total, 0.0)


def _quantile(values: list[Fraction], weights: list[Fraction], part: Fraction) -> Fraction:
    """Return the value up to which there is a part of the weights."""
    level = max(values, default=Fraction(0))
    for value, weight in sorted(zip(values, weights, strict=True)):
        part -= weight
        if part <= 0:
            return value
    return level


def along(exact: Exact, f: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return f and a rest for which the arcs of a plan lose nothing to rounding.

    In each part of their forest f keeps its value at one atom, and the others follow. The plan
    of a partial problem has one more atom on each side, outside.
    """
    rows, columns, mass = exact.arcs
    n, m = exact.geometry.shape
    cost = exact.geometry.pairs(rows, columns)
    by_mass = np.argsort(-mass, kind="stable")
    by_mass = by_mass[np.isfinite(cost[by_mass])]
    ends = list(zip(rows.tolist(), (n + columns).tolist(), strict=True))
    neighbours, _ = forest(by_mass.tolist(), ends, n + m)
    # All atoms that leave mass follow that outside, where the potential is 0.
    outside = [n + m - 1] if n > len(f) else []
    potential = {}
    for root in (*outside, *range(len(f))):
        if root in potential:
            continue
        potential[root] = Fraction(float(f[root])) if root < n else Fraction(0)
        order = [root]
        for node in order:
            for other, k in neighbours[node]:
                if other not in potential:
                    potential[other] = Fraction(float(cost[k])) - potential[node]
                    order.append(other)
    whole = [potential[i] for i in range(len(f))]
    high = np.array([float(value) for value in whole])
    rest = [float(value - near) for value, near in zip(whole, _fractions(high), strict=True)]
    return high, np.array(rest)


def _transform(
    geometry: Geometry, f: FloatArray, carries: IntArray, rest: FloatArray | None = None
) -> tuple[FloatArray, FloatArray] | None:
    """Return ``min_i c[i, j] - f[i]`` over rows with mass, as two numbers, rounded down.

    A column without an allowed arc has inf. The rest of f, if there is one, is part of its last
    digit.
    """
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
            if rest is not None:
                lost = lost - rest[start:stop, None][is_used[start:stop]]
            above = np.where(np.isfinite(cost), (slack - high) + lost, np.inf)
            np.minimum(low, above.min(axis=0, initial=np.inf), out=low)
        size = np.abs(high) + (0.0 if rest is None else np.abs(f[carries]).max())
        low -= 4 * U * np.abs(low) + 2.0**-104 * size
        low[high == np.inf] = 0.0
    return (high, low) if (np.isfinite(low) & (high > -np.inf)).all() else None


def _both(high: FloatArray, low: FloatArray | None, which: IntArray) -> list[Fraction]:
    """Return the sums of two numbers, or the first ones where there are no others."""
    values = _fractions(high[which])
    if low is None:
        return values
    return [x + y for x, y in zip(values, _fractions(low[which]), strict=True)]


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
