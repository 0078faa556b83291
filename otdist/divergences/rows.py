"""Divergences of arrays of histograms: rows in compiled code, what that leaves in NumPy."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from otdist.divergences.histograms import Pair, as_pair, matched, pair_of_rows, row_numbers
from otdist.errors import InputError
from otdist.inputs import validate as _validate
from otdist.inputs.scale import FAR, in_unit, keeps_digits
from otdist.runtime.interrupts import interruptible
from otdist.typing import ArrayLike, FloatArray, IntArray

#: Numbers of the divergences in compiled code; `JS_DISTANCE` is the root of `JS`.
KL, JS, JS_DISTANCE, TOTAL_VARIATION, HELLINGER, CHI2 = range(6)

#: The divergence of each lane, by NumPy.
Plain = Callable[[Pair], float | FloatArray]

# Number of bins from which blocks are worth it where nothing is compiled.
_LARGE = 1 << 18
# Bins of one compiled call: Ctrl-C is handled between calls.
_CHUNK = 1 << 22
# Bins of a NumPy block, so that temporary arrays stay in the cache.
_BLOCK = 1 << 14


class Rows(NamedTuple):
    """Histograms ``(rows, k)``, read-only, and what compiled code needs to know of each."""

    values: FloatArray
    tolerance: float  # of sums; inf if any sum will do
    sums: FloatArray  # (rows, 4), see `kernels.sum_rows`; empty if nothing is compiled


def by_lanes(
    plain: Plain, p: ArrayLike, q: ArrayLike, axis: int, normalize: bool, kind: int | None = None
) -> float | FloatArray:
    """Return a divergence of each lane: that of arrays compiled, if it has a number.

    Sequences of numbers go to NumPy alone: a first call then loads no compiler.
    """
    normalize = _validate.as_flag("normalize", normalize)
    value: float | FloatArray = interruptible(
        size_of(p), _by_lanes, plain, p, q, axis, normalize, kind
    )
    return value


def _by_lanes(
    plain: Plain, p: ArrayLike, q: ArrayLike, axis: int, normalize: bool, kind: int | None
) -> float | FloatArray:
    """Return a divergence of each lane, with a valid flag."""
    if type(p) is np.ndarray and type(q) is np.ndarray and p.size and q.size:
        if p.ndim == q.ndim == 1 and kind is not None and type(axis) is int and axis in (0, -1):
            value = _of_one(p, q, normalize, kind)
            if not math.isnan(value):
                return value
        elif kind is not None or max(p.size, q.size) >= _LARGE:
            values = _of_lanes(plain, p, q, axis, normalize, kind)
            if values is not None:
                return values
    return plain(as_pair(p, q, axis, normalize))


def size_of(p: ArrayLike) -> int:
    """Return how many numbers an array has; 0 for lists, which are no arrays yet."""
    return p.size if isinstance(p, np.ndarray) else 0


def _of_one(p: NDArray[Any], q: NDArray[Any], normalize: bool, kind: int) -> float:
    """Return the divergence of two histograms, NaN if it is left to NumPy."""
    if len(p) != len(q):
        return math.nan
    from otdist.divergences import kernels  # loads the compiler

    first = _validate.frozen(_validate.as_float64("p", p))
    second = _validate.frozen(_validate.as_float64("q", q))
    if normalize:
        first, second = _near_one(first), _near_one(second)
    tolerances = _tolerance(p, normalize), _tolerance(q, normalize)
    with np.errstate(all="ignore"):  # for runs without compilation
        return float(kernels.of_one(kind, first, tolerances[0], second, tolerances[1]))


def _of_lanes(
    plain: Plain,
    p: NDArray[Any],
    q: NDArray[Any],
    axis: int,
    normalize: bool,
    kind: int | None,
) -> float | FloatArray | None:
    """Return the divergence of each lane; None for what `as_pair` refuses."""
    try:
        first, second, lead = matched(p, q, axis)
        rows = as_rows("p", first, normalize, kind), as_rows("q", second, normalize, kind)
        numbers = (row_numbers(side.shape[:-1], lead) for side in (first, second))
        values = of_pairs(plain, kind, *rows, *numbers)
    except InputError:
        return None  # as_pair raises it again with the index in the input
    return values.reshape(lead) if lead else float(values[0])


def of_pairs(
    plain: Plain, kind: int | None, p: Rows, q: Rows, first: IntArray, second: IntArray
) -> FloatArray:
    """Return the divergences of rows ``p[first[k]]`` and ``q[second[k]]``."""
    values = np.full(len(first), math.nan)
    if kind is not None:
        from otdist.divergences import kernels

        rows = p.values, p.sums, q.values, q.sums
        step = max(1, _CHUNK // p.values.shape[1])
        with np.errstate(all="ignore"):  # for runs without compilation
            for start in range(0, len(values), step):
                part = slice(start, start + step)
                kernels.of_pairs(kind, *rows, first[part], second[part], values[part])
    return _finished(values, plain, p, q, first, second)


def _finished(
    values: FloatArray, plain: Plain, p: Rows, q: Rows, first: IntArray, second: IntArray
) -> FloatArray:
    """Compute the values that are NaN by NumPy, in blocks."""
    left = np.flatnonzero(np.isnan(values))
    step = max(1, _BLOCK // p.values.shape[1])
    for start in range(0, left.size, step):
        part = left[start : start + step]
        pair = pair_of_rows(
            (p.values[first[part]], p.tolerance), (q.values[second[part]], q.tolerance)
        )
        values[part] = plain(pair)
    return values


def as_rows(
    name: str,
    values: NDArray[Any],
    normalize: bool,
    kind: int | None,
    *,
    is_for_all_pairs: bool = False,
) -> Rows:
    """Return the rows of an array along its last axis, in the layout that kernels take."""
    array = np.ascontiguousarray(_validate.as_float64(name, values))
    rows = _validate.frozen(array.reshape(-1, values.shape[-1]))
    rows = _near_one(rows) if normalize else rows
    tolerance = _tolerance(values, normalize)
    if kind is None:
        return Rows(rows, tolerance, np.empty((0, 4)))
    from otdist.divergences import kernels  # loads the compiler

    sums = np.empty((len(rows), 4))
    with np.errstate(all="ignore"):  # for runs without compilation
        kernels.sum_rows(rows, tolerance, is_for_all_pairs and kind in (JS, JS_DISTANCE), sums)
    return Rows(rows, tolerance, sums)


def _near_one(weights: FloatArray) -> FloatArray:
    """Return weights far from 1 times a power of two, if all keep their digits."""
    largest = float(weights.max())
    k = math.frexp(largest)[1] if 0 < largest < math.inf else 0
    if abs(k) <= FAR or not keeps_digits(weights, k).all():
        return weights
    return _validate.frozen(in_unit(weights, k))


def _tolerance(given: NDArray[Any], normalize: bool) -> float:
    return math.inf if normalize else _validate.sum_tolerance(given.dtype)
