"""Solve a block of pairs: compiled where they are small, one by one where not.

The counterpart of `pipeline` for many problems: it sees solver and checker, and every
value that leaves it is proved. What goes wrong with a pair stays with that pair.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from otdist.batch import small_problems as exact
from otdist.batch.pairs import Block, Failure, Pairs
from otdist.certificate.many_pairs import bracket
from otdist.geometry.packed import Clouds, Family, packed
from otdist.pipeline import solve
from otdist.problem.problem import Problem
from otdist.problem.result import EXACT_TOL
from otdist.typing import FloatArray, IntArray

# Numbers in the claims of one call, which stay in the second-level cache.
_CLAIMED = 1 << 16
# Part of the mass that must be left for common mass to be cancelled; else the
# rounding of sums shows.
_LEAST_LEFT = 1e-6


def solve_block(
    pairs: tuple[int, int, bool],
    start: int,
    stop: int,
    kind: type[Family],
    *fields: Any,
) -> Block:
    """Solve the pairs from `start` to `stop` of measures packed as `kind`.

    The fields come one by one, so that each array is shipped once to other machines.
    """
    family = packed(kind, *fields)
    first, second = Pairs(*pairs).between(start, stop)
    lower, upper = np.full((2, stop - start), np.nan)
    n, m = (min(size, exact.LARGEST) for size in family.most)
    step = max(8, min(256, _CLAIMED // (3 * (n + m) + m)))
    work = exact.work_for(n, m)
    claims = exact.claims_for(family, min(step, stop - start), n, m)
    whole = range(0, 0 if family.has_forbidden else stop - start, step)
    for begin in whole:
        part = slice(begin, min(begin + step, stop - start))
        _solve_small(family, first[part], second[part], work, claims, lower[part], upper[part])
    failures = []
    for k in np.flatnonzero(np.isnan(upper)):
        i, j = int(first[k]), int(second[k])
        found = attempt(_solved, family, i, j)
        if isinstance(found, str):
            failures.append(Failure(i, j, found))
        else:
            lower[k], upper[k] = found
    return Block(lower, upper, failures)


def call_block(
    pairs: tuple[int, int, bool],
    start: int,
    stop: int,
    distance: Callable[..., float],
    measures: Any,
    others: Any,
    options: dict[str, Any],
) -> Block:
    """Do the same by calls of a function of two measures (points, weights)."""
    values, failures = np.full(stop - start, np.nan), []
    for k, (i, j) in enumerate(zip(*Pairs(*pairs).between(start, stop), strict=True)):
        (x, a), (y, b) = measures[i], others[j]
        found = attempt(distance, x, y, a, b, **options)
        if isinstance(found, str):
            failures.append(Failure(int(i), int(j), found))
        else:
            values[k] = found
    return Block(values, values, failures)


def attempt(function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Return what a function returns, or in words why it does not."""
    try:
        return function(*arguments, **options)
    except Exception as error:  # noqa: BLE001 (whatever it is, other pairs are kept)
        return f"{type(error).__name__}: {error}"


def _solve_small(
    family: Family,
    first: IntArray,
    second: IntArray,
    work: Any,
    claims: Any,
    lower: FloatArray,
    upper: FloatArray,
) -> None:
    """Solve those pairs that are small; write the bounds of those that are proved."""
    exact.solve_pairs(family, first, second, work, claims)
    code, *claim = (part[: len(first)] for part in claims)
    done = np.flatnonzero(code == 0)
    if len(done) < len(first):
        first, second, claim = first[done], second[done], [part[done] for part in claim]
    found = bracket(family, first, second, *claim, tol=EXACT_TOL)
    lower[done[found.proved]] = found.lower[found.proved]
    upper[done[found.proved]] = found.upper[found.proved]


def _solved(family: Family, i: int, j: int) -> tuple[float, float]:
    """Solve a single pair, as `solve` does; return its bounds."""
    if isinstance(family, Clouds):
        (x, a), (y, b) = family.cloud(i), family.cloud(j + family.offset)
        problem = Problem(x, y, a, b, metric=family.metric, p=family.p)
    else:
        a, b = family.a[i], family.b[j]
        if family.is_metric:
            # Common mass stays, if what is left has digits enough to be balanced.
            left = np.maximum(a - b, 0.0), np.maximum(b - a, 0.0)
            if min(left[0].sum(), left[1].sum()) > _LEAST_LEFT * family.mass:
                a, b = left
        rows, columns = np.flatnonzero(a), np.flatnonzero(b)
        cost = family.cost[np.ix_(rows, columns)]
        problem = Problem.from_cost(cost, a[rows], b[columns])
    result = solve(problem)
    if not result.certificate.proves(EXACT_TOL):
        raise ArithmeticError(f"not proved to {EXACT_TOL:g}: {result.outcome}")
    return result.lower, result.upper
