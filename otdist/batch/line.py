"""Distances of many pairs of measures on the line or the circle, along an axis.

Compiled passes sort the points, and couple and certify the pairs. Pairs that they refuse,
and bad input, go to `pipeline` one by one, which words the messages.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from otdist.certificate.many import Claims, LineBounds, Measures
from otdist.errors import InputError, NotCertifiedError, short, warn_of_failures
from otdist.geometry.build import require_metric
from otdist.geometry.circle import reduced
from otdist.geometry.metrics import line_power
from otdist.inputs.scale import FAR, exponent, exponents, from_unit, in_unit, keeps_digits
from otdist.inputs.validate import (
    as_axis,
    as_float64,
    as_jobs,
    as_order,
    as_period,
    sum_tolerance,
    warn_if_histograms,
)
from otdist.problem.result import EXACT_TOL, roots
from otdist.runtime.blocks import share
from otdist.runtime.interrupts import interruptible
from otdist.solvers.registry import permits
from otdist.typing import ArrayLike, FloatArray, IntArray, Metric

if TYPE_CHECKING:
    from otdist.solvers.circle.kernels.levels import Levels

# Weighted rows up to this length are sorted by NumPy, which has vector instructions for them.
_LONG = 1 << 12
# Numbers that lie closer are not sorted by integers, whose scale may overflow.
_LEAST_RANGE = 2.0**-900
# Arcs of one compiled call, 1 MB: they stay in the second-level cache.
_CHUNK = 1 << 16
_EPS = float(np.finfo(float).eps)

#: Returns the distance of one pair from its points, then its weights, or raises.
One = Callable[..., float]


class Side(NamedTuple):
    """The measures of one side as given, with the axis last."""

    points: FloatArray  # (..., n)
    masses: FloatArray | None  # (..., n)
    dtype: np.dtype[Any]  # of the weights as given, which tells how exact their sums are

    @classmethod
    def of(cls, names: tuple[str, str], points: Any, masses: Any, axis: int) -> Side:
        """Return the measures along an axis; `names` are those of points and weights."""
        name, name_masses = names
        array = as_float64(name, points)
        array = np.moveaxis(array, as_axis(name, axis, array.ndim), -1)
        if array.shape[-1] == 0:
            raise InputError(
                f"{name} is empty, shape {np.shape(points)}; a measure needs at least one point"
            )
        if masses is None:
            return cls(array, None, array.dtype)
        weights = as_float64(name_masses, masses)
        weights = np.moveaxis(weights, as_axis(name_masses, axis, weights.ndim), -1)
        n = array.shape[-1]
        if weights.shape[-1] != n:
            raise InputError(
                f"{name_masses} must have {n} entries along axis={axis}, one weight for each"
                f" point of {name}, got shape {np.shape(masses)}"
            )
        return cls(array, weights, np.asarray(masses).dtype)

    @property
    def tolerance(self) -> float:
        """Return by how much the sums of weights may differ."""
        return 0.0 if self.masses is None else sum_tolerance(self.dtype)

    def arrays(self) -> list[FloatArray]:
        """Return points and weights, if there are any."""
        return [self.points] if self.masses is None else [self.points, self.masses]

    def shape(self) -> tuple[int, ...]:
        """Return the shape of all measures."""
        return np.broadcast_shapes(*(array.shape[:-1] for array in self.arrays()))

    def pick(self, shape: tuple[int, ...], k: int) -> list[FloatArray | None]:
        """Return points and weights of pair k."""
        index = np.unravel_index(k, shape)

        def of(array: FloatArray | None) -> FloatArray | None:
            if array is None:
                return None
            whole = np.broadcast_to(array, (*shape, array.shape[-1]))
            return np.asarray(whole[index])

        masses = of(self.masses)
        return [of(self.points), None if masses is None else masses.astype(self.dtype)]


class LineOptions(NamedTuple):
    """Options that all pairs share."""

    p: float
    n_jobs: int
    normalize: bool
    concave: bool = False
    period: float | None = None  # of a circle; None is the line


def require_line_options(metric: Metric, method: str, period: float | None) -> None:
    """Raise for options that do not go with numbers along an axis."""
    if period is None and line_power(metric) != 1:
        raise InputError(
            "with axis= points are on the line, where the cost is |x - y| ** p; got"
            f" metric={short(metric)}"
        )
    require_metric(metric, 1.0)
    own = "line" if period is None else "circle"
    if not permits(method, own):
        raise InputError(f"with axis= the method is {own!r}, got {method!r}")


def distances_along(
    x: ArrayLike,
    y: ArrayLike,
    a: ArrayLike | None,
    b: ArrayLike | None,
    axis: int,
    options: LineOptions,
    one: One,
) -> float | FloatArray:
    """Return W_p of the pairs of measures that lie along an axis.

    `one` returns the distance of one pair by another path, or raises for its input.
    """
    # On a circle there is no option concave to advise.
    concave = options.concave if options.period is None else None
    p, n_jobs = as_order(options.p, concave), as_jobs(options.n_jobs)
    period = 0.0 if options.period is None else as_period(options.period)
    sides = Side.of(("x", "a"), x, a, axis), Side.of(("y", "b"), y, b, axis)
    shape = pairs_of(sides, axis)
    values = np.full(math.prod(shape), np.nan)
    is_compiled = 1 <= p < math.inf or (p == math.inf and period == 0)
    if is_compiled and len(values):
        for k in _unusable(sides, shape):
            alone(one, sides, shape, int(k))  # raises
        if period == 0:
            _warn_if_histograms(sides, shape)

        def laid_out(side: Side) -> Rows:
            if period > 0:
                side = side._replace(points=in_unit(reduced(side.points, period), unit))
            if heavy != 0 and side.masses is not None:
                side = side._replace(masses=in_unit(side.masses, heavy))
            return Rows.of(side, shape, options.normalize)

        # All pairs on a circle share a unit; those that need a smaller one are computed alone.
        unit = exponent(period, p) if period > 0 else 0
        heavy = 0 if options.normalize else _mass_exponent(sides, p)
        rows = both(laid_out, sides, n_jobs)
        tolerance = max(sides[0].tolerance, sides[1].tolerance)
        cost = p, from_unit(period, -unit)
        values = _certified(rows, tolerance, cost, len(values), n_jobs)
        values = np.ldexp(values, unit + (heavy // int(p) if heavy else 0))
    fill(values, np.flatnonzero(np.isnan(values)), one, sides, shape)
    return values.reshape(shape) if shape else values[0]


def fill(
    values: FloatArray, which: IntArray, one: One, sides: tuple[Side, ...], shape: tuple[int, ...]
) -> None:
    """Compute pairs by themselves; those of several that are not proved are NaN, and reported."""
    failures = []
    for k in which:
        try:
            values[k] = alone(one, sides, shape, int(k))
        except NotCertifiedError as error:
            if not shape:
                raise
            values[k] = np.nan
            where = [int(i) for i in np.unravel_index(k, shape)]
            failures.append((*where, f"{type(error).__name__}: {error}"))
    if failures:
        warn_of_failures(failures, len(values))


def _mass_exponent(sides: tuple[Side, Side], p: float) -> int:
    """Return the exponent of a unit of mass, with an exact root, for weights far from 1."""
    if p not in (1, 2) or sides[0].masses is None or sides[1].masses is None:
        return 0
    k = math.frexp(float(sides[0].masses.max()))[1]
    return k - k % 2 if abs(k) > FAR else 0


def pairs_of(sides: tuple[Side, ...], axis: int) -> tuple[int, ...]:
    """Return the shape of all pairs, to which the other axes of all arrays broadcast."""
    try:
        return np.broadcast_shapes(*(side.shape() for side in sides))
    except ValueError:
        given = [np.moveaxis(each, -1, axis).shape for side in sides for each in side.arrays()]
        raise InputError(
            f"the axes of points and weights other than axis={axis} must broadcast, got"
            f" shapes {', '.join(map(str, given))}"
        ) from None


def _warn_if_histograms(sides: tuple[Side, Side], shape: tuple[int, ...]) -> None:
    """Warn where the first pair looks like two histograms."""
    if sides[0].masses is None and sides[1].masses is None and 0 not in shape:
        x, y = (side.pick(shape, 0)[0] for side in sides)
        assert x is not None
        assert y is not None
        warn_if_histograms(x[:, None], y[:, None])


def _unusable(sides: tuple[Side, Side], shape: tuple[int, ...]) -> IntArray:
    """Return the pairs that have a number which is not finite, or a negative mass."""
    bad = np.zeros(shape, dtype=bool)
    for points, masses, _dtype in sides:
        checks = [np.isfinite(points)]
        if masses is not None:
            checks.append((masses >= 0) & (masses < np.inf))
        for good in checks:
            if not good.all():
                bad |= ~good.all(axis=-1)
    return np.flatnonzero(bad)


def alone(one: One, sides: tuple[Side, ...], shape: tuple[int, ...], k: int) -> float:
    """Return the distance of pair k by itself; errors name it among several."""
    points, masses = zip(*(side.pick(shape, k) for side in sides), strict=True)
    try:
        return one(*points, *masses)
    except InputError as error:
        if not shape:
            raise
        where = [int(i) for i in np.unravel_index(k, shape)]
        raise type(error)(f"pair {where}: {error}") from error


def both(work: Callable[[Any], Any], pair: tuple[Any, Any], n_jobs: int) -> tuple[Any, Any]:
    """Apply a function to both sides, in two threads if `n_jobs` allows it."""
    if n_jobs == 1:
        return work(pair[0]), work(pair[1])
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(work, pair)
    return first, second


class Sorted(NamedTuple):
    """Measures with sorted points and the weights in the same order."""

    points: FloatArray  # (K, n)
    masses: FloatArray  # (M, n)
    total: FloatArray  # (M,)

    @classmethod
    def of(
        cls,
        points: FloatArray,
        masses: FloatArray | None,
        normalize: bool,
    ) -> Sorted:
        """Sort rows; other threads run meanwhile."""
        n = points.shape[1]
        if masses is None:
            return cls(np.sort(points, axis=1), np.full((1, n), 1.0 / n), np.ones(1))
        order, points = _in_order(points)
        masses = _take_rows(masses, order)
        with np.errstate(all="ignore"):  # the pairs are refused
            total = masses.sum(axis=1)
            if normalize:
                masses = masses / total[:, None]
                total = masses.sum(axis=1)
        return cls(points, masses, total)


class Rows(NamedTuple):
    """The measures of one side by rows, and the row of each pair.

    Measures that several pairs share are sorted at once. Others are sorted when their
    pair is computed, while they are in the cache.
    """

    points: FloatArray  # (K, n)
    masses: FloatArray | None  # (K, n)
    normalize: bool
    shared: Sorted | None
    of_points: IntArray | None  # (pairs,): the row of each pair
    of_masses: IntArray | None

    @classmethod
    def of(cls, side: Side, shape: tuple[int, ...], normalize: bool) -> Rows:
        """Arrange measures in rows; `shape` is the shape of all pairs."""
        n = side.points.shape[-1]
        joint = side.shape()
        points, masses = side.points, side.masses
        if masses is not None:
            points = np.broadcast_to(points, (*joint, n))
            masses = np.broadcast_to(masses, (*joint, n)).reshape(-1, n)
            masses = np.ascontiguousarray(masses)
        points = np.ascontiguousarray(points.reshape(-1, n))
        if joint == shape:
            return cls(points, masses, normalize, None, None, None)
        shared = Sorted.of(points, masses, normalize)
        rows = np.arange(math.prod(joint)).reshape(joint)
        of_points = np.broadcast_to(rows, shape).reshape(-1)
        of_masses = np.zeros_like(of_points) if masses is None else of_points
        return cls(points, masses, normalize, shared, of_points, of_masses)

    def part(self, start: int, stop: int) -> tuple[Sorted, IntArray, IntArray]:
        """Return sorted measures, and the rows of the pairs' points and weights."""
        if self.shared is not None:
            assert self.of_points is not None
            assert self.of_masses is not None
            return self.shared, self.of_points[start:stop], self.of_masses[start:stop]
        own = np.arange(stop - start)
        masses = None if self.masses is None else self.masses[start:stop]
        rows = self.points[start:stop]
        found = Sorted.of(rows, masses, self.normalize)
        return found, own, np.zeros_like(own) if masses is None else own


def _in_order(points: FloatArray) -> tuple[IntArray, FloatArray]:
    """Return the order of each row, and the rows in it."""
    if points.shape[1] >= _LONG:
        return _by_keys(points)
    order = np.argsort(points, axis=1)
    return order, _take_rows(points, order)


def _take_rows(values: FloatArray, order: IntArray) -> FloatArray:
    from otdist.batch.kernels.line import take_rows

    out = np.empty(order.shape)
    take_rows(values, order, out)
    return out


def _by_keys(points: FloatArray) -> tuple[IntArray, FloatArray]:
    """Sort long rows by integers, for which NumPy has vector instructions."""
    from otdist.batch.kernels.line import read_keys, write_keys

    order, ordered = np.empty(points.shape, np.int64), np.empty(points.shape)
    keys = np.empty(points.shape[1], np.int64)
    for k, row in enumerate(points):
        low, high = float(row.min()), float(row.max())
        is_done = _LEAST_RANGE < high - low < math.inf and len(row) < 1 << 30
        if is_done:
            write_keys(row, low, high, keys)
            keys.sort()
            is_done = read_keys(keys, row, order[k], ordered[k])
        if not is_done:
            order[k] = np.argsort(row, kind="stable")
            ordered[k] = row[order[k]]
    return order, ordered


def _certified(
    sides: tuple[Rows, Rows],
    tolerance: float,
    cost: tuple[float, float],
    n_pairs: int,
    n_jobs: int,
) -> FloatArray:
    """Return the distances, NaN for pairs that are refused or not proved.

    `cost` is the order and the period.
    """
    p, period = cost
    n, m = (side.points.shape[1] for side in sides)
    length = max(1, min(_CHUNK // (n + m), n_pairs))
    n_parts = min(n_jobs, -(-n_pairs // length))
    proof, units = LineBounds(n, m, p, n_pairs, period), np.zeros(n_pairs, np.int64)
    # One pair leaves a thread for each of its sides.
    n_threads = n_jobs if n_pairs == 1 else 1

    def work(part: int) -> None:
        first, last = (n_pairs * k // n_parts for k in (part, part + 1))
        buffers = _Buffers.of(n, m, length)
        scratch = proof.scratch()
        for start in range(first, last, length):
            stop = min(start + length, last)
            parts = both(lambda side: side.part(start, stop), sides, n_threads)  # noqa: B023
            measures = _measures(*parts, tolerance)
            if period == 0:
                measures, units[start:stop] = _in_units(measures, p)
            elif p > 1:
                measures = _without_tiny(measures, p, period)
            proof.add(start, measures, _claims(measures, cost, buffers), scratch)

    interruptible(n + m, share, work, n_parts, n_parts)
    bounds = proof.bounds()
    value = np.where(bounds.proves(EXACT_TOL), bounds.value, np.nan)
    return np.asarray(roots(value, p, units))


def _in_units(measures: Measures, p: float) -> tuple[Measures, IntArray]:
    """Return pairs on the line in the unit 2**k of length that each needs, and k."""
    x, y, a, b, (of_x, of_y, of_a, of_b), _ = measures
    size = _size((x[of_x, 0], x[of_x, -1]), (y[of_y, 0], y[of_y, -1]))
    if not exponents(size, p).any():
        return measures, np.zeros(len(of_x), np.int64)
    # Points without mass, wherever they are, do not decide the unit.
    k = exponents(_size(_ends(x, a, of_x, of_a), _ends(y, b, of_y, of_b)), p)
    x, y = x[of_x], y[of_y]
    if k.max() > FAR:
        for points in (x, y):
            k[(k > FAR) & ~keeps_digits(points, k[:, None]).all(axis=1)] = 0
    own = np.arange(len(k))
    which = np.stack([own, own, of_a, of_b])
    with np.errstate(over="ignore"):  # the pairs are refused
        x, y = in_unit(x, k[:, None]), in_unit(y, k[:, None])
    return measures._replace(x=x, y=y, which=which), k


def _without_tiny(measures: Measures, p: float, period: float) -> Measures:
    """Refuse pairs on so small a part of the circle that they need a unit of their own."""
    from otdist.batch.kernels.circle import FEWEST_DIGITS

    x, y, _, _, (of_x, of_y, _, _), factor = measures
    size = _size((x[of_x, 0], x[of_x, -1]), (y[of_y, 0], y[of_y, -1]))
    # The same around the other way, from the middle of the turn on.
    (below_x, above_x), (below_y, above_y) = (_at_zero(side, period) for side in (x, y))
    above = np.minimum(above_x[of_x], above_y[of_y])
    below = np.maximum(below_x[of_x], below_y[of_y])
    size = np.minimum(size, (0.5 * period - above) + (below + 0.5 * period))
    is_tiny = (size > 0) & (np.frexp(size)[1] * max(p, 2.0) < FEWEST_DIGITS)
    return measures._replace(factor=np.where(is_tiny, np.nan, factor))


def _at_zero(points: FloatArray, period: float) -> tuple[FloatArray, FloatArray]:
    """Return the last position below 0 and the first from 0 on, else half a turn away."""
    below, above = np.where(points < 0, points, -np.inf), np.where(points < 0, np.inf, points)
    half = 0.5 * period
    return np.maximum(below.max(axis=1), -half), np.minimum(above.min(axis=1), half)


def _size(x: tuple[FloatArray, FloatArray], y: tuple[FloatArray, FloatArray]) -> FloatArray:
    """Return the largest differences of points, given the ends of both sides."""
    with np.errstate(over="ignore"):
        return np.maximum(x[1], y[1]) - np.minimum(x[0], y[0])


def _ends(
    points: FloatArray, masses: FloatArray, of_points: IntArray, of_masses: IntArray
) -> tuple[FloatArray, FloatArray]:
    """Return the first and the last point with mass of each pair, of sorted points."""
    carries = masses > 0
    first, last = carries.argmax(axis=1), -1 - carries[:, ::-1].argmax(axis=1)
    return points[of_points, first[of_masses]], points[of_points, last[of_masses]]


def _measures(
    first: tuple[Sorted, IntArray, IntArray],
    second: tuple[Sorted, IntArray, IntArray],
    tolerance: float,
) -> Measures:
    """Join two sides; the weights of the second are scaled to the sums of the first.

    The factor is 1 for sums that differ by rounding, and NaN for sums that differ by more
    than `tolerance`.
    """
    (x, of_x, of_a), (y, of_y, of_b) = first, second
    total_a, total_b = x.total[of_a], y.total[of_b]
    with np.errstate(all="ignore"):
        apart = np.abs(total_a - total_b)
        factor = np.where(apart > 4 * _EPS * total_a, total_a / total_b, 1.0)
        factor[~(apart <= tolerance * np.maximum(total_a, total_b))] = np.nan
    which = np.stack([of_x, of_y, of_a, of_b])
    return Measures(x.points, y.points, x.masses, y.masses, which, factor)


class _Buffers(NamedTuple):
    """The arrays that a thread writes claims to."""

    claims: Claims
    levels: Levels
    # For the circle.
    ahead: IntArray
    spare: FloatArray

    @classmethod
    def of(cls, n: int, m: int, length: int) -> _Buffers:
        from otdist.solvers.circle.kernels.cut import PARTS
        from otdist.solvers.circle.kernels.levels import Levels

        claims = Claims(
            np.empty((length, n + m), np.int32),
            np.empty((length, n + m), np.int32),
            np.empty((length, n + m)),
            np.empty(length, np.int64),
            np.zeros((length, n)),
        )
        return cls(
            claims,
            Levels(*(np.empty(size, np.int64) for size in (n, m, n, m))),
            np.empty((2, n + m), np.int64),
            np.empty(5 * n + m + PARTS),
        )


def _claims(measures: Measures, cost: tuple[float, float], buffers: _Buffers) -> Claims:
    """Couple pairs; `cost` is the order and the period."""
    claims, (p, period) = buffers.claims.first(len(measures.factor)), cost
    with np.errstate(all="ignore"):  # for where compilation is off
        if period == 0:
            from otdist.batch.kernels.line import couple

            couple(*measures[2:], buffers.levels, *claims[:4])
        else:
            from otdist.solvers.circle.kernels.cut import couple_around

            scratch = buffers.levels, buffers.ahead, buffers.spare
            couple_around(*measures, p, period, *scratch, *claims)
    return claims
