"""Solve blocks of small problems for `pairwise`.

The counterpart of `pipeline` for values alone: compiled code solves and certifies, and
pairs that it cannot take, or not prove, are left to `pipeline`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from otdist.batch.kernels import small_problems as kernel
from otdist.batch.kernels.line import lines_at_once
from otdist.batch.pairs import LARGEST, Block, Failure, Pairs
from otdist.batch.rooms import claims_of, work_for
from otdist.certificate.many import Clouds, Family, bracket, brackets_on_line, packed
from otdist.errors import short
from otdist.geometry.points import kernel_code
from otdist.inputs.scale import EXACT, FAR, room
from otdist.pipeline import solve
from otdist.problem.problem import Problem, unit_problem
from otdist.problem.result import EXACT_TOL, root, roots
from otdist.typing import FloatArray, IntArray

# Numbers in the claims of one call, which stay in the second-level cache.
_CLAIMED = 1 << 16
# Part of the mass that must be left for common mass to be cancelled; else the
# rounding of sums shows.
_LEAST_LEFT = 1e-6
# Binary exponents of costs below which a pair among larger ones gets a unit of its own.
_FEWEST_DIGITS = -500


def solve_block(
    pairs: tuple[int, int, bool],
    start: int,
    stop: int,
    p: float,
    kind: type[Family],
    *fields: Any,
) -> Block:
    """Solve the pairs from `start` to `stop` of measures packed as `kind`; take p-th roots.

    The fields come one by one, so that each array is shipped once to other machines.
    A pair that fails does not affect others.
    """
    family = packed(kind, *fields)
    first, second = Pairs(*pairs).between(start, stop)
    if isinstance(family, Clouds) and family.is_on_line:
        value = _on_line(family, first, second + family.offset, p)
    else:
        value = roots(_by_matrices(family, first, second), p, family.unit)
    failures = []
    for k in np.flatnonzero(np.isnan(value)):
        i, j = int(first[k]), int(second[k])
        distance = attempt(_solved, family, i, j, p)
        if isinstance(distance, str):
            failures.append(Failure(i, j, distance))
        else:
            value[k] = distance
    return Block(value, failures)


def _on_line(family: Clouds, first: IntArray, second: IntArray, p: float) -> FloatArray:
    """Return the distances of pairs on the line, NaN for those that are not proved."""
    n, m, order = *family.most, family.p
    out = np.empty((len(first), 9))
    lines_at_once(
        family.points,
        family.weights,
        family.starts,
        first,
        second,
        order,
        -1 if order in EXACT else room(order),
        FAR,
        np.empty(2 * (n + m), np.int32),
        np.empty(2 * (n + m) + 5, np.int64),
        np.empty(6 * (n + m) + 7),
        out,
    )
    is_ordinary, unit, heavy = out[:, :3].T
    found = brackets_on_line(out[:, 3:], order)
    value = np.where((is_ordinary > 0) & found.proves(EXACT_TOL), found.value, np.nan)
    # The values of squared distances take no root: they scale as length ** 2.
    units = unit.astype(np.int64) * round(order / p) + heavy.astype(np.int64) // max(int(p), 1)
    return np.asarray(roots(value, p, units + family.unit))


def _by_matrices(family: Family, first: IntArray, second: IntArray) -> FloatArray:
    """Return the costs of pairs by their cost matrices, NaN for those that are not proved."""
    value = np.full(len(first), np.nan)
    n, m = (min(size, LARGEST) for size in family.most)
    step = max(8, min(256, _CLAIMED // (3 * (n + m) + m)))
    work = work_for(n, m)
    claims = claims_for(family, min(step, len(first)), n, m)
    for begin in range(0, 0 if family.has_forbidden else len(first), step):
        part = slice(begin, min(begin + step, len(first)))
        solve_pairs(family, first[part], second[part], work, claims)
        code, *claim = (each[: part.stop - begin] for each in claims)
        done = np.flatnonzero(code == 0)
        if len(done) < len(code):
            claim = [each[done] for each in claim]
        found = bracket(family, first[begin + done], second[begin + done], *claim)
        proved = found.proves(EXACT_TOL)
        proved &= ~_is_tiny(family, first[begin + done], second[begin + done])
        which = begin + done[proved]
        value[which] = found.value[proved]
    return value


def _is_tiny(family: Family, first: IntArray, second: IntArray) -> Any:
    """Whether pairs are so small beside others that their powers need a unit of their own."""
    if not isinstance(family, Clouds):
        return np.zeros(len(first), np.bool_)
    (low, high), second = family.boxes, second + family.offset
    sizes = np.maximum(high[first], high[second]) - np.minimum(low[first], low[second])
    digits = np.frexp(sizes.max(axis=1))[1]
    return digits * max(family.p, 2.0) < _FEWEST_DIGITS


def call_block(
    pairs: tuple[int, int, bool],
    start: int,
    stop: int,
    distance: Callable[..., float],
    measures: Any,
    others: Any,
    options: dict[str, Any],
) -> Block:
    """Compute the pairs from `start` to `stop` by calls of ``distance(x, y, a, b)``."""
    values, failures = np.full(stop - start, np.nan), []
    for k, (i, j) in enumerate(zip(*Pairs(*pairs).between(start, stop), strict=True)):
        (x, a), (y, b) = measures[i], others[j]
        found = attempt(distance, x, y, a, b, **options)
        if isinstance(found, str):
            failures.append(Failure(int(i), int(j), found))
        else:
            values[k] = found
    return Block(values, failures)


def attempt(function: Callable[..., Any], *arguments: Any, **options: Any) -> float | str:
    """Return the number that a call returns, or the reason in words."""
    try:
        found = function(*arguments, **options)
        if isinstance(found, str | bytes) or getattr(found, "shape", ()) != ():
            raise TypeError(f"a distance must be a number, got {short(found)}")
        value = float(found)
        if math.isnan(value):
            raise ValueError("the distance is nan")
    except Exception as error:  # noqa: BLE001 (whatever it is, other pairs are kept)
        return f"{type(error).__name__}: {error}"
    return value


def claims_for(family: Family, n_pairs: int, n: int, m: int) -> kernel.Claims:
    """Return room for claims about some pairs of at most n and m atoms."""
    return claims_of(n_pairs, n + m, m if isinstance(family, Clouds) else family.cost.shape[1])


def solve_pairs(
    family: Family,
    first: IntArray,
    second: IntArray,
    work: kernel.Work,
    claims: kernel.Claims,
) -> None:
    """Solve pairs and write the claims; ``code`` is 0 where that is an optimum."""
    if isinstance(family, Clouds):
        kernel.solve_clouds(
            family.points,
            family.weights,
            family.starts,
            family.d,
            first,
            second + family.offset,
            kernel_code(family.metric),
            family.p,
            work,
            claims,
        )
        return
    kernel.solve_histograms(
        family.cost,
        family.a,
        family.b,
        first,
        second,
        family.is_metric,
        work,
        claims,
    )


def _solved(family: Family, i: int, j: int, p: float) -> float:
    """Solve a single pair, as `solve` does; return its distance."""
    unit = family.unit
    if isinstance(family, Clouds):
        (x, a), (y, b) = family.cloud(i), family.cloud(j + family.offset)
        problem, k = unit_problem(x, y, a, b, metric=family.metric, p=family.p)
        # Values of squared distances take no root: they scale as length ** 2.
        unit += k * round(family.p / p)
    else:
        a, b = family.a[i], family.b[j]
        if family.is_metric:
            # Cancel common mass, if enough digits are left to balance the rest.
            left = np.maximum(a - b, 0.0), np.maximum(b - a, 0.0)
            if min(left[0].sum(), left[1].sum()) > _LEAST_LEFT * family.mass:
                a, b = left
        rows, columns = np.flatnonzero(a), np.flatnonzero(b)
        cost = family.cost[np.ix_(rows, columns)]
        problem = Problem.from_cost(cost, a[rows], b[columns])
    result = solve(problem)
    if not result.certificate.proves(EXACT_TOL):
        raise ArithmeticError(f"not proved to {EXACT_TOL:g}: {result.outcome}")
    return root(result.value, p, unit)
