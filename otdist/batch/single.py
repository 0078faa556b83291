"""One small problem: a batch of one, solved and proved in a few compiled calls.

Validation is compiled too, and only says yes. None is returned for whatever is unusual, too
large or not proved: the long way through `Problem` and `pipeline` decides, and words the errors.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numpy as np

from otdist.batch.kernels import small_problems
from otdist.batch.kernels.circle import circle_at_once, reduce_positions
from otdist.batch.kernels.line import line_at_once
from otdist.batch.line import Sorted, both
from otdist.batch.pairs import LARGEST
from otdist.batch.rooms import claims_of, work_for
from otdist.certificate.kernels.brackets import bracket_clouds, bracket_histograms
from otdist.certificate.kernels.packing import pack_two, weigh_two
from otdist.certificate.kernels.points import METRIC_CODES
from otdist.geometry.metrics import NAMED, NamedMetric, rounding_of
from otdist.inputs.scale import EXACT, FAR, room
from otdist.inputs.validate import as_float64, frozen, sum_tolerance
from otdist.problem.result import EXACT_TOL, Bracket, root
from otdist.runtime import kernel_cache
from otdist.solvers.circle.kernels.cut import PARTS
from otdist.typing import FloatArray, IntArray

# Rooms for problems of fewer atoms are made for this many.
_LEAST = 16
# Pairs from which on `solve` is faster, but for assignments.
_MANY_PAIRS = 1 << 15
# Points of a side up to which NumPy sorts.
_SHORT = 1 << 12
# Points of a line or circle whose arrays are kept, 4 and 9 MB: new ones take long.
_KEPT = 1 << 16
_EPS = float(np.finfo(float).eps)
# Writable as other weights are: kernels are compiled anew for read-only arrays.
_UNIFORM = np.empty(0)
_FLOAT = np.dtype(float)
_FIRST, _SECOND = np.zeros(1, np.int64), np.ones(1, np.int64)
_own = threading.local()
_F = TypeVar("_F", bound=Callable[..., Any])


def _quiet(function: _F) -> _F:
    """Ignore NumPy's warnings of numbers that are refused, where compilation is off."""
    return function if kernel_cache.compiles() else np.errstate(all="ignore")(function)


class _Room(NamedTuple):
    """Arrays for two clouds of at most `n_atoms` points each, kept from call to call."""

    points: FloatArray
    weights: FloatArray
    starts: IntArray
    packed: tuple[Any, Any, Any]  # the same, read-only
    kept: IntArray
    boxes: FloatArray
    work: small_problems.Work
    claims: small_problems.Claims
    sums: FloatArray
    found: FloatArray

    @classmethod
    def of(cls, n: int, d: int) -> _Room:
        """Return arrays for n atoms a side, with d coordinates."""
        points, weights = np.empty(2 * n * d), np.empty(2 * n)
        starts: Any = np.empty(3, np.int64)
        return cls(
            points,
            weights,
            starts,
            (frozen(points), frozen(weights), frozen(starts)),
            np.empty(n, np.int64),
            np.empty((6, d)),
            work_for(n, n),
            claims_of(1, 2 * n, n),
            np.empty((11, 4 * n)),
            np.empty((1, 4)),
        )


def _room_for(n: int, d: int) -> _Room:
    """Return arrays of this thread, made anew where a problem needs larger ones."""
    held = getattr(_own, "room", None)
    if held is None or held.kept.size < n or held.boxes.shape[1] < d:
        size = max(_LEAST, 1 << (n - 1).bit_length())
        held = _own.room = _Room.of(size, max(d, 3))
    return held


@_quiet
def distance_of_points(
    x: Any, y: Any, a: Any, b: Any, metric: Any, p: Any, normalize: bool
) -> float | None:
    """Return W_p of two small clouds of points (n, d) and (m, d), proved."""
    record = NAMED.get(metric) if isinstance(metric, str) else None
    is_known = record is not None and record.code in METRIC_CODES
    if not is_known or type(p) not in (int, float) or not 1 <= p < math.inf:
        return None
    assert record is not None
    x, y = as_float64("x", x), as_float64("y", y)
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1]:
        return None
    (n, d), m = x.shape, len(y)
    if d < 2 or not 0 < min(n, m) <= max(n, m) <= LARGEST or not (record.is_metric or p == 1):
        return None
    a, b = _weights("a", a, n, normalize), _weights("b", b, m, normalize)
    if a is None or b is None:
        return None
    p = float(p)
    held = _room_for(max(n, m), d)
    is_exact = p in EXACT or not record.is_metric
    is_ordinary, mass, largest, unit = pack_two(
        *map(frozen, (x, y, a, b)),
        record.code,
        p,
        -1 if is_exact else room(p),
        FAR,
        held.points,
        held.weights,
        held.starts,
        held.kept,
        held.boxes,
    )
    least, most = (2.0**-FAR, 2.0**FAR) if is_exact else (2.0**-FAR, 1e300)
    if not (is_ordinary and least < largest < most and 2.0**-FAR < mass < 2.0**FAR):
        return None
    if unit != 0 and not record.is_metric:
        return None
    proved = _proved(held, d, record, p, largest)
    return None if proved is None else root(proved, p, unit)


def is_compiled() -> bool:
    """Return whether `distance_of_points` need not wait for the compiler."""
    return kernel_cache.is_compiled(bracket_clouds)


@_quiet
def distance_on_line(
    x: Any, y: Any, a: Any, b: Any, p: Any, normalize: bool, n_jobs: int, period: Any = None
) -> float | None:
    """Return W_p of two distributions of any number of points on the line or circle, proved."""
    if type(p) not in (int, float) or not p >= 1:
        return None
    x, y = as_float64("x", x), as_float64("y", y)
    n, m = x.size, y.size
    if n == 0 or m == 0 or x.ndim > 2 or y.shape[1:] not in ((), (1,)):
        return None
    is_line = period is None
    if not is_line and not (
        type(period) in (int, float) and 0 < period < math.inf > p and x.ndim == y.ndim == 1
    ):
        return None
    p, tolerance = float(p), _tolerance(a, b)
    a, b = _weights("a", a, n, normalize), _weights("b", b, m, normalize)
    if a is None or b is None:
        return None
    if not is_line:
        x, y, period = x.copy(), y.copy(), float(period)
        reduce_positions(x, period)
        reduce_positions(y, period)
    if n_jobs == 1 or n + m <= _SHORT:
        (x, a), (y, b) = _in_order((x, a)), _in_order((y, b))
    else:
        (x, a), (y, b) = both(_in_order, ((x, a), (y, b)), n_jobs)
    options = -1 if p in EXACT else room(p), FAR, tolerance, *_line_room_for(n, m, is_line)
    if is_line:
        found = line_at_once(x, y, a, b, p, *options)
    else:
        found = circle_at_once(x, y, a, b, p, period, *options)
    is_ordinary, unit, heavy, *bounds, is_coupling, mass, largest = found
    if not is_ordinary:
        return None
    resolution = 2 * _EPS * largest * (1.0 if p == math.inf else mass ** (1 / p))
    lower, upper, value = bounds
    value = float(min(max(value, lower), upper))  # where compilation is off
    bracket = Bracket(lower, upper, value, is_coupling > 0, resolution, p)
    # Only p = 1 and 2, with exact roots, and inf, where masses do not count, have a unit of mass.
    exponent = unit + (0 if p == math.inf else heavy // int(p))
    return root(bracket.value, p, exponent) if bracket.proves(EXACT_TOL) else None


def _tolerance(a: Any, b: Any) -> float:
    """Return by what part the sums of weights may differ, as the types they came in have it."""
    if a is None and b is None:
        return 0.0
    return max(
        0.0 if each is None else sum_tolerance(getattr(each, "dtype", _FLOAT)) for each in (a, b)
    )


def _in_order(side: tuple[FloatArray, FloatArray]) -> tuple[FloatArray, FloatArray]:
    """Return points (n,) in ascending order, a copy, and their weights."""
    x, a = side
    if x.size > _SHORT:
        if _is_sorted(x.ravel()):  # as bins of histograms are
            return x.flatten(), a.copy()
        found = Sorted.of(x.reshape(1, -1), a[None] if a.size else None, False)
        return found.points[0], found.masses[0] if a.size else a
    if a.size == 0:
        x = x.flatten()
        x.sort()
        return x, a
    order = x.ravel().argsort()
    return x.take(order), a.take(order)


def _is_sorted(x: FloatArray) -> bool:
    """Return whether numbers ascend; most others are seen by the first ones."""
    return all(bool((part[:-1] <= part[1:]).all()) for part in (x[:_LEAST], x))


def _line_room_for(n: int, m: int, is_line: bool) -> tuple[Any, IntArray, FloatArray]:
    """Return arrays for one pair on the line or circle, kept where they are short."""
    name, size = "line" if is_line else "circle", n + m
    held = getattr(_own, name, None)
    if held is None or held[0].size < 2 * size:
        size = max(64, size)
        n_integers, n_floats = (2 * size, 4 * size) if is_line else (5 * size, 11 * size + PARTS)
        held = (
            np.empty(2 * size, np.int32),
            np.empty(n_integers + 5, np.int64),
            np.empty(n_floats + 7),
        )
        if size <= _KEPT:
            setattr(_own, name, held)
    return held


def _proved(held: _Room, d: int, metric: NamedMetric, p: float, largest: float) -> float | None:
    """Solve the two clouds that were packed; None if their cost is not proved."""
    claims = held.claims
    small_problems.solve_clouds(*held.packed, d, _FIRST, _SECOND, metric.code, p, held.work, claims)
    if claims.code[0] != 0:
        return None
    roundings, least = rounding_of(metric, d, p)
    bracket_clouds(
        *held.packed,
        d,
        _FIRST,
        _SECOND,
        metric.code,
        p,
        roundings * _EPS,
        least,
        np.full(1, largest),
        claims.n_arcs,
        claims.row,
        claims.column,
        claims.mass,
        claims.g,
        held.sums,
        held.found,
    )
    return _value(held.found)


def _weights(name: str, a: Any, n: int, normalize: bool) -> FloatArray | None:
    """Return weights (n,), none at all for uniform ones; None where they do not fit."""
    if a is None:
        return _UNIFORM
    weights = as_float64(name, a)
    if weights.shape != (n,):
        return None
    if normalize:
        total = weights.sum()
        return weights / total if 0.0 < total < math.inf else None
    return weights


@_quiet
def least_cost(a: Any, b: Any, cost: Any) -> float | None:
    """Return the least cost of coupling weights a (n,) and b (m,), for a small matrix, proved."""
    a, b, cost = as_float64("a", a), as_float64("b", b), as_float64("cost", cost)
    if cost.ndim != 2 or (a.shape, b.shape) != ((cost.shape[0],), (cost.shape[1],)):
        return None
    n, m = cost.shape
    if not 0 < min(n, m) <= max(n, m) <= LARGEST or (n != m and n * m > _MANY_PAIRS):
        return None
    held = _room_for(max(n, m), 0)
    is_ordinary, mass, n_a, n_b = weigh_two(frozen(a), frozen(b))
    if not is_ordinary:
        return None
    largest = float(max(cost.max(), -cost.min()))
    # NaN passes no comparison.
    if not 2.0**-900 < mass * largest < 2.0**900:
        return None
    if n_a + n_b < n + m:
        rows, columns = np.flatnonzero(a), np.flatnonzero(b)
        return least_cost(a[rows], b[columns], cost[np.ix_(rows, columns)])
    cost, a, b = frozen(cost), frozen(a.reshape(1, n)), frozen(b.reshape(1, m))
    claims, work = held.claims, held.work
    is_large = n * m > _MANY_PAIRS
    small_problems.solve_histograms(cost, a, b, _FIRST, _FIRST, False, is_large, work, claims)
    if claims.code[0] != 0:
        return None
    # From the side of b, so that the rows of the matrix are the costs to each bin of a.
    bracket_histograms(
        cost,
        b,
        a,
        _FIRST,
        _FIRST,
        False,
        largest,
        0.0,
        claims.n_arcs,
        claims.column,
        claims.row,
        claims.mass,
        work.potential[:n].reshape(1, n),
        held.sums,
        held.found,
    )
    return _value(held.found)


def _value(found: FloatArray) -> float | None:
    """Return the cost that was found (1, 4), if its bracket proves it."""
    lower, upper, value, is_coupling = found[0].tolist()
    bracket = Bracket(lower, upper, min(max(value, lower), upper), is_coupling > 0)
    return bracket.value if bracket.proves(EXACT_TOL) else None
