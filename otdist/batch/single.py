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

from otdist.batch.kernels import at_once
from otdist.batch.kernels.circle import circle_at_once, reduce_positions
from otdist.batch.kernels.line import line_at_once
from otdist.batch.line import Sorted, both
from otdist.batch.pairs import LARGEST
from otdist.batch.rooms import scratch_for
from otdist.certificate.kernels.points import METRIC_CODES
from otdist.geometry.metrics import NAMED, rounding_of
from otdist.inputs.scale import EXACT, FAR, room
from otdist.inputs.validate import as_float64, frozen, look_like_images, sum_tolerance
from otdist.plans.plans import Arcs
from otdist.problem.result import EXACT_TOL, Bracket, root
from otdist.runtime import kernel_cache
from otdist.runtime.interrupts import interruptible
from otdist.solvers.circle.kernels.cut import PARTS
from otdist.typing import FloatArray, IntArray

# Rooms for problems of fewer atoms are made for this many.
_LEAST = 16
# Pairs from which on a problem begins with potentials of coarser ones.
_MANY_PAIRS = 1 << 15
# Points of a side up to which NumPy sorts.
_SHORT = 1 << 12
# Orders that are floats.
_MOST_ORDER = 1e300
# Points of a line or circle whose arrays are kept, 4 and 9 MB: new ones take long.
_KEPT = 1 << 16
_EPS = float(np.finfo(float).eps)
# Writable as other weights are: kernels are compiled anew for read-only arrays.
_UNIFORM = np.empty(0)
_FLOAT = np.dtype(float)
# Costs of a matrix times masses are ordinary up to a power of two.
_FAR_COSTS = 900
_own = threading.local()
_F = TypeVar("_F", bound=Callable[..., Any])


def _quiet(function: _F) -> _F:
    """Ignore NumPy's warnings of numbers that are refused, where compilation is off."""
    return function if kernel_cache.compiles() else np.errstate(all="ignore")(function)


class _Held(NamedTuple):
    """Scratch for problems of at most `n_atoms` atoms a side, kept from call to call."""

    n_atoms: int
    n_coordinates: int
    arrays: tuple[Any, ...]


def _scratch_for(n: int, d: int) -> tuple[Any, ...]:
    """Return scratch of this thread, made anew where a problem needs more."""
    held: _Held | None = getattr(_own, "held", None)
    if held is None or held.n_atoms < n or held.n_coordinates < d:
        size, width = max(_LEAST, 1 << (n - 1).bit_length()), max(d, 3)
        scratch = scratch_for(at_once.room_in, size, size, width)
        held = _own.held = _Held(size, width, (*scratch, frozen(scratch.floats)))
    return held.arrays


@_quiet
def distance_of_points(
    x: Any, y: Any, a: Any, b: Any, metric: Any, p: Any, normalize: bool
) -> float | None:
    """Return W_p of two small clouds of points (n, d) and (m, d), proved."""
    record = NAMED.get(metric) if isinstance(metric, str) else None
    is_known = record is not None and record.code in METRIC_CODES
    if not is_known or type(p) not in (int, float) or not 1 <= p < _MOST_ORDER:
        return None
    assert record is not None
    given = x, y
    x, y = as_float64("x", x), as_float64("y", y)
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1]:
        return None
    (n, d), m = x.shape, len(y)
    if a is None and b is None and n == m and d >= 8 and look_like_images(*given):
        return None
    if d < 2 or not 0 < min(n, m) <= max(n, m) <= LARGEST or not (record.is_metric or p == 1):
        return None
    a, b = _weights("a", a, n, normalize), _weights("b", b, m, normalize)
    if a is None or b is None:
        return None
    p = float(p)
    is_exact = p in EXACT or not record.is_metric
    roundings, underflow = rounding_of(record, d, p)
    code, unit, *found = at_once.cost_of_clouds(
        *map(_plain, (x, y, a, b)),
        record.code,
        p,
        -1 if is_exact else room(p),
        FAR,
        2.0**FAR if is_exact else 1e300,
        roundings * _EPS,
        underflow,
        *_scratch_for(max(n, m), d),
    )
    if code != at_once.BRACKET or (unit != 0 and not record.is_metric):
        return None
    value = _proved(*found)
    return None if value is None else root(value, p, unit)


def is_compiled() -> bool:
    """Return whether `distance_of_points` need not wait for the compiler."""
    return kernel_cache.is_compiled(at_once.cost_of_clouds)


@_quiet
def distance_on_line(
    x: Any, y: Any, a: Any, b: Any, p: Any, normalize: bool, n_jobs: int, period: Any = None
) -> float | None:
    """Return W_p of two distributions of any number of points on the line or circle, proved."""
    if type(p) not in (int, float) or not (1 <= p < _MOST_ORDER or p == math.inf):
        return None
    x, y = as_float64("x", x), as_float64("y", y)
    n, m = x.size, y.size
    if n == 0 or m == 0 or x.ndim > 2 or y.shape[1:] not in ((), (1,)):
        return None
    is_line = period is None
    if not is_line and not (x.ndim == y.ndim == 1 and p < math.inf and _is_length(period)):
        return None
    value: float | None = interruptible(
        n + m, _on_line, x, y, a, b, float(p), normalize, n_jobs, period
    )
    return value


def _on_line(
    x: FloatArray,
    y: FloatArray,
    a: Any,
    b: Any,
    p: float,
    normalize: bool,
    n_jobs: int,
    period: Any,
) -> float | None:
    """Return W_p of two distributions on the line or circle whose parameters are valid."""
    n, m, is_line, tolerance = x.size, y.size, period is None, _tolerance(a, b)
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


def _is_length(period: Any) -> bool:
    return type(period) in (int, float) and 0 < period < _MOST_ORDER


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


def _plain(array: FloatArray) -> FloatArray:
    """Return an array of the one type that kernels are compiled for, a copy of others."""
    return array if array.flags.carray else array.copy()


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
def least_cost(a: Any, b: Any, cost: Any, normalize: bool = False) -> float | None:
    """Return the least cost of coupling weights a (n,) and b (m,), for a small matrix, proved."""
    if hasattr(cost, "tocoo") or a is None or b is None:
        return None
    cost = as_float64("cost", cost)
    if cost.ndim != 2:
        return None
    n, m = cost.shape
    a, b = _weights("a", a, n, normalize), _weights("b", b, m, normalize)
    if a is None or b is None:
        return None
    if not 0 < min(n, m) <= max(n, m) <= LARGEST:
        return None
    is_large = n * m > _MANY_PAIRS
    given = _plain(a), _plain(b), frozen(cost)
    code, *found = at_once.cost_of_matrix(*given, _FAR_COSTS, is_large, *_scratch_for(max(n, m), 0))
    if code == at_once.SPARSE:
        rows, columns = np.flatnonzero(a), np.flatnonzero(b)
        return least_cost(a[rows], b[columns], cost[np.ix_(rows, columns)])
    if is_large and code == at_once.UNSOLVED:
        return _of_larger(*given, *found[:2])
    return _proved(*found) if code == at_once.BRACKET else None


def _of_larger(
    a: FloatArray, b: FloatArray, cost: FloatArray, mass: float, largest: float
) -> float | None:
    """Return the least cost for a matrix that is solved in several calls."""
    from otdist.certificate.kernels.brackets import dense_bounds
    from otdist.solvers.network_simplex.search import solve_matrix

    a, b = frozen(a), frozen(b)
    found = solve_matrix(cost, a, b, mass, largest)
    if found is None:
        return None
    assert isinstance(found.plan, Arcs)
    work = np.empty(2 * (len(a) + len(b)) + len(found.plan.mass))
    lower, upper, value, _, is_coupling, _ = dense_bounds(
        cost, a, b, found.f, found.g, *found.plan, largest, np.empty(len(b)), work
    )
    return _proved(lower, upper, value, is_coupling)


def _proved(lower: float, upper: float, value: float, is_coupling: float) -> float | None:
    """Return the cost that was found, if its bracket proves it."""
    value = float(min(max(value, lower), upper))  # where compilation is off
    bracket = Bracket(lower, upper, value, is_coupling > 0)
    return bracket.value if bracket.proves(EXACT_TOL) else None
