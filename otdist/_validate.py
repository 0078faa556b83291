"""Turn what a caller passes into read-only float64 arrays, or say what is wrong.

Nothing is clipped, renormalised or cast with loss. Messages name the argument,
the index, what was wanted, what was got and what to do.
"""

from __future__ import annotations

import math
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otdist._errors import InputError
from otdist._typing import FloatArray

# Sums of masses agree up to the rounding of the coarsest type they came in.
_MASS_TOLERANCE = {2: 1e-2, 4: 1e-5, 8: 1e-9}


def as_float64(name: str, value: Any) -> FloatArray:
    """Return an array of float64 that holds exactly the given numbers."""
    if type(value) is np.ndarray and value.dtype == np.float64:
        return value
    if np.ma.isMaskedArray(value) and np.ma.getmaskarray(value).any():
        raise InputError(
            f"{name} is a masked array with masked entries; drop or fill them first, for"
            f" points with {name}.compressed()"
        )
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise InputError(
            f"{name} must be an array of numbers with rows of one length: {error}"
        ) from None
    if array.dtype.kind not in "fiu" or array.dtype.itemsize > 8:
        raise InputError(
            f"{name} must hold real numbers of at most 64 bits, got dtype"
            f" {array.dtype}; convert it with {name}.astype(float) if that is meant"
        )
    if array.dtype.kind in "iu" and array.size and np.abs(array).max() > 2**53:
        raise InputError(
            f"{name} has integers above 2**53, which float64 cannot hold exactly;"
            " subtract an offset or convert with .astype(float)"
        )
    return np.asarray(array, dtype=np.float64)


def frozen(array: FloatArray) -> FloatArray:
    """Return a read-only C-contiguous view, copied only if it has another layout."""
    result = np.ascontiguousarray(array).view()
    result.flags.writeable = False
    return result


def first_index(bad: NDArray[np.bool_]) -> str:
    """Write the index of the first True entry as ``[i]`` or ``[i, j]``."""
    index = np.unravel_index(int(np.argmax(bad)), bad.shape)
    return "[" + ", ".join(str(int(k)) for k in index) + "]"


def require_finite(name: str, array: FloatArray) -> None:
    """Raise for the first NaN or infinite entry."""
    finite = np.isfinite(array)
    if np.count_nonzero(finite) < array.size:
        where = first_index(~finite)
        value = array[~finite][0]
        raise InputError(
            f"{name}{where} is {value}; {name} must be finite: drop or impute such"
            " entries first"
        )


def as_points(name: str, value: Any) -> FloatArray:
    """Return finite points (n, d), n >= 1 and d >= 1; 1-D input is a line."""
    array = as_float64(name, value)
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2:
        raise InputError(
            f"{name} must have shape (n,) for points on the line or (n, d), got"
            f" {array.shape}"
        )
    if array.size == 0:
        raise InputError(
            f"{name} is empty, shape {np.shape(value)}; a measure needs at least one"
            " point of at least one coordinate"
        )
    require_finite(name, array if np.ndim(value) != 1 else array[:, 0])
    return frozen(array.copy())


def as_weights(name: str, value: Any, n: int, of: str) -> tuple[FloatArray, float]:
    """Return masses (n,) >= 0 with a positive sum, and how exact that sum is.

    ``None`` is the uniform probability. `of` names what the masses belong to.
    """
    if value is None:
        return np.full(n, 1.0 / n), _MASS_TOLERANCE[8]
    array = as_float64(name, value)
    if array.shape != (n,):
        raise InputError(
            f"{name} must have shape ({n},), one weight for each {of}, got"
            f" {array.shape}"
        )
    require_finite(name, array)
    if np.count_nonzero(array < 0):
        where = first_index(array < 0)
        raise InputError(
            f"{name}{where} is {array[array < 0][0]}; weights must be >= 0: transport"
            " the positive and the negative part separately if masses are signed"
        )
    if not np.count_nonzero(array):
        raise InputError(f"{name} is zero everywhere; a measure needs a positive mass")
    given = np.asarray(value).dtype
    tolerance = _MASS_TOLERANCE[given.itemsize if given.kind == "f" else 8]
    return array.copy(), tolerance


def balance(
    a: FloatArray, b: FloatArray, tolerance: float, normalize: bool
) -> tuple[FloatArray, FloatArray]:
    """Return masses of one sum, rescaling only within `tolerance` or on request."""
    sum_a, sum_b = _sum("a", a), _sum("b", b)
    if normalize:
        return a / sum_a, b / sum_b
    if abs(sum_a - sum_b) > tolerance * max(sum_a, sum_b):
        raise InputError(
            f"the masses differ: a sums to {sum_a:.17g} and b to {sum_b:.17g}; pass"
            " normalize=True to compare them as probabilities, or rescale one"
        )
    if abs(sum_a - sum_b) > 4 * np.finfo(float).eps * sum_a:
        b = b * (sum_a / sum_b)
    return a, b


def _sum(name: str, weights: FloatArray) -> float:
    try:
        total = math.fsum(weights.tolist())
    except OverflowError:
        total = math.inf
    if not math.isfinite(total):
        raise InputError(
            f"the sum of {name} overflows; divide the weights by a constant"
        )
    return total


def as_cost(value: Any) -> tuple[FloatArray, float, bool]:
    """Return a cost matrix, its largest finite |entry|, whether some are infinite.

    A float64 C-contiguous matrix is not copied. ``inf`` is a forbidden arc.
    """
    cost = as_float64("cost", value)
    if cost.ndim != 2 or cost.size == 0:
        raise InputError(
            f"cost must have shape (n, m) with n, m >= 1, got {cost.shape}"
        )
    high, low = float(cost.max()), float(cost.min())
    if math.isnan(high):
        where = first_index(np.isnan(cost))
        raise InputError(
            f"cost{where} is nan; every cost must be a number, or inf for an arc that"
            " must not be used"
        )
    if low == -math.inf:
        where = first_index(np.isneginf(cost))
        raise InputError(f"cost{where} is -inf; costs must be numbers, or +inf")
    has_forbidden = high == math.inf
    if has_forbidden:
        finite = cost[np.isfinite(cost)]
        high = float(finite.max()) if finite.size else 0.0
        low = float(finite.min()) if finite.size else 0.0
    largest = max(abs(high), abs(low))
    if largest > 1e300:
        raise InputError(
            f"the largest cost is {largest:.3g}, too near the overflow of float64;"
            " divide all costs by a constant, and mark forbidden arcs with inf"
        )
    return frozen(cost), largest, has_forbidden


def as_number(name: str, value: Any, wanted: str) -> float:
    """Return a real number as a float; NaN and inf pass."""
    if isinstance(value, bool) or not isinstance(
        value, int | float | np.integer | np.floating
    ):
        raise InputError(f"{name} must be {wanted}, got {value!r}")
    return float(value)


def as_order(p: Any) -> float:
    """Return the order p as a float, 1 <= p <= inf."""
    if not as_number("p", p, "a real number >= 1 or inf") >= 1:
        raise InputError(
            f"p must be >= 1, got {p}; for p < 1 the cost is concave and W_p is no"
            " distance: pass the matrix distance**p to emd"
        )
    return float(p)


def as_vector(name: str, value: Any, n: int) -> FloatArray:
    """Return numbers (n,); NaN and inf pass."""
    array = as_float64(name, value)
    if array.shape != (n,):
        raise InputError(f"{name} must have shape ({n},), got {array.shape}")
    return array


def as_potential(name: str, value: Any, n: int) -> FloatArray:
    """Return a finite dual potential (n,)."""
    array = as_vector(name, value, n)
    require_finite(name, array)
    return array


def as_jobs(n_jobs: Any) -> int:
    """Return a number of threads; -1 stands for one on each processor."""
    value = as_number("n_jobs", n_jobs, "a positive integer, or -1")
    if value == -1:
        return os.cpu_count() or 1
    if not (value >= 1 and value == int(value)):
        raise InputError(f"n_jobs must be a positive integer, or -1, got {n_jobs!r}")
    return int(value)
