"""Convert arguments to read-only float64 arrays and numbers, or raise `InputError`.

Nothing is clipped, renormalised or cast with loss. Messages name the argument, the index, the
wanted and the actual value, and a remedy.
"""

from __future__ import annotations

import math
import os
from collections.abc import Collection
from typing import Any, NamedTuple, NoReturn

import numpy as np

from otdist.errors import InputError, short, warn
from otdist.inputs.convert import as_array, first_index
from otdist.runtime.blocks import exact_sum
from otdist.typing import FloatArray

# Relative tolerance of sums of weights, by the bytes of their floating-point type.
_MASS_TOLERANCE = {2: 1e-2, 4: 1e-5, 8: 1e-9}
# Entries of a block of a matrix: 1 MB, the second-level cache.
_BLOCK_ENTRIES = 1 << 17
_EPS = float(np.finfo(float).eps)
# Compared in half the time of its type.
_FLOAT64 = np.dtype(np.float64)
_REAL = (int, float, np.integer, np.floating)
# Its product with the logarithm of a weight must not overflow.
_LARGEST_EPSILON = 1e300
_MOST_JOBS = 1024
# Entries that an array may have.
_MOST_ENTRIES = 2**40


def as_float64(name: str, value: Any) -> FloatArray:
    """Return a float64 array that holds the given numbers exactly."""
    if type(value) is np.ndarray and value.dtype == _FLOAT64:
        return value
    array = as_array(name, value)
    if array.dtype.kind in "iu" and (large := (array > 2**53) | (array < -(2**53))).any():
        raise InputError(
            f"{name}{first_index(large)} is {array[large][0]}, and float64 holds integers above"
            " 2**53 only rounded; subtract an offset or convert with .astype(float)"
        )
    return np.asarray(array, dtype=np.float64)


def frozen(array: FloatArray) -> FloatArray:
    """Return a read-only C-contiguous view, or a copy if the layout is another."""
    result = (array if array.flags.c_contiguous else np.ascontiguousarray(array)).view()
    result.setflags(write=False)
    return result


def require_finite(name: str, array: FloatArray) -> None:
    """Raise for the first NaN or infinite entry."""
    finite = np.isfinite(array)
    if np.count_nonzero(finite) < array.size:
        where = first_index(~finite)
        value = array[~finite][0]
        raise InputError(
            f"{name}{where} is {value}; {name} must be finite: drop or impute such entries first"
        )


def as_points(name: str, value: Any) -> FloatArray:
    """Return finite points (n, d), n >= 1 and d >= 1; 1-D input is points on the line."""
    array = as_float64(name, value)
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2:
        raise InputError(
            f"{name} must have shape (n,) for points on the line or (n, d), got {array.shape}"
        )
    if array.size == 0:
        raise InputError(
            f"{name} is empty, shape {np.shape(value)}; a measure needs at least one"
            " point of at least one coordinate"
        )
    require_finite(name, array if np.ndim(value) != 1 else array[:, 0])
    return frozen(array.copy())


def as_positions(name: str, value: Any) -> FloatArray:
    """Return finite positions (n,), n >= 1."""
    array = as_float64(name, value)
    if array.ndim != 1 or array.size == 0:
        raise InputError(
            f"{name} must have shape (n,), positions on the circle with n >= 1, got {array.shape}"
        )
    require_finite(name, array)
    return array


def as_points_in(name: str, value: Any, d: int) -> FloatArray:
    """Return points of d coordinates."""
    points = as_points(name, value)
    if points.shape[1] != d:
        raise InputError(f"{name} must have {d} coordinates, got {points.shape[1]}")
    return points


def require_same_space(x: FloatArray, y: FloatArray) -> None:
    """Raise if points x and y have different numbers of coordinates."""
    if x.shape[1] != y.shape[1]:
        raise InputError(
            f"x and y must have the same number of coordinates, got {x.shape[1]} and {y.shape[1]}"
        )


def warn_if_histograms(x: FloatArray, y: FloatArray) -> None:
    """Warn when two histograms, or images, are given as points."""
    if x.shape == y.shape and look_like_histograms([x, y]):
        warn(
            "x and y look like histograms (they are >= 0 and have one sum) but are read as"
            " points on the line; for histograms on common bins write"
            " wasserstein_distance(bins, bins, x, y) or emd(x, y, cost)"
        )


def look_like_histograms(vectors: list[FloatArray]) -> bool:
    """Whether vectors (n, 1) of numbers >= 0 sum to 1, to 100 percent, or have one sum as counts.

    Of the last, sorted ones are samples, and equal ones have distance 0 either way.
    """
    first = vectors[0]
    if first.shape[1] != 1 or len(first) < 2 or min(each.min() for each in vectors) < 0:
        return False
    sums = np.array([each.sum() for each in vectors])
    if (np.abs(sums - 1) <= 1e-6).all() or (np.abs(sums - 100) <= 1).all():
        return True
    # Beside the spread: any samples that are far from 0 have sums of about one size.
    spread = max(each.max() for each in vectors) - min(each.min() for each in vectors)
    is_one = len(first) > 2 and sums.max() > 0 and sums.max() - sums.min() <= 1e-6 * spread
    are_sorted = all((np.diff(each, axis=0) >= 0).all() for each in vectors)
    return is_one and not are_sorted and not all((each == first).all() for each in vectors)


def look_like_images(x: Any, y: Any) -> bool:
    """Whether two arrays are grey images of one shape.

    Arrays of 8 bits are images, and so are squares of many numbers >= 0.
    """
    if not (hasattr(x, "dtype") and hasattr(y, "dtype")):
        return False
    x, y = np.asarray(x), np.asarray(y)
    if x.ndim != 2 or x.shape != y.shape or min(x.shape) < 8:
        return False
    if x.dtype == y.dtype == np.uint8:
        return True
    return x.shape[0] == x.shape[1] >= 16 and bool(min(x.min(), y.min()) >= 0)


def warn_if_images(x: Any, y: Any) -> None:
    """Warn when two grey images of one shape are given as points."""
    if look_like_images(x, y):
        rows, columns = np.shape(x)
        warn(
            f"x and y look like grey images of {rows} x {columns} pixels but are read as {rows}"
            f" points of {columns} coordinates; for images write"
            " solve(Problem.on_grid(x, y, normalize=True))"
        )


def as_masses(
    a: Any,
    b: Any,
    shape: tuple[Any, Any],
    of: tuple[str, str],
    normalize: bool,
    names: tuple[str, str] = ("a", "b"),
) -> tuple[FloatArray, FloatArray, float]:
    """Return weights (n,) and (m,) >= 0 of equal positive sum, and this sum.

    ``None`` stands for equal weights of sum 1. Weights are copied. They are rescaled only if
    their sums differ by rounding, or if `normalize`. `shape` is (n, m), or holds the sides of two
    images; `of` names the atoms in messages.
    """
    first, second = _both_weights(a, b, shape, of, names)
    return _balanced(first, second, names, normalize)


def as_unequal_masses(
    a: Any,
    b: Any,
    shape: tuple[Any, Any],
    of: tuple[str, str],
    mass: Any,
    names: tuple[str, str] = ("a", "b"),
) -> tuple[FloatArray, FloatArray, float]:
    """Return weights (n,) and (m,) >= 0, and the larger of their sums.

    Both sums are at least `mass`; for ``mass=None`` the weights may be zero everywhere.
    """
    first, second = _both_weights(a, b, shape, of, names, mass is None)
    if mass is not None:
        value = as_number("mass", mass, "a positive number")
        tolerance = max(first.tolerance, second.tolerance)
        if not 0 < value <= min(first.total, second.total) * (1 + tolerance):
            raise InputError(
                f"mass is {value:.17g}; it must be positive and no more than either side"
                f" has: {names[0]} sums to {first.total:.17g} and {names[1]} to"
                f" {second.total:.17g}"
            )
    return first.mass, second.mass, max(first.total, second.total)


def _both_weights(
    a: Any,
    b: Any,
    shape: tuple[Any, Any],
    of: tuple[str, str],
    names: tuple[str, str],
    may_be_zero: bool = False,
) -> tuple[Weights, Weights]:
    """Return the weights of both sides, flattened; ``None`` is the uniform probability."""
    n, m = shape
    if not isinstance(n, tuple):
        n, m = (n,), (m,)
    a = np.full(n, 1.0 / math.prod(n)) if a is None else a
    b = np.full(m, 1.0 / math.prod(m)) if b is None else b
    first = as_weights(names[0], a, n, of[0], may_be_zero)
    return first, as_weights(names[1], b, m, of[1], may_be_zero)


def as_sides(A: Any) -> tuple[int, ...]:
    """Return the numbers of pixels of an image along its axes."""
    sides = as_float64("A", A).shape
    if not math.prod(sides) or not sides:
        raise InputError(
            f"A must be an array of pixels with at least one axis and one pixel, got shape {sides}"
        )
    return sides


def as_grid(A: Any, spacing: Any) -> tuple[tuple[int, ...], FloatArray]:
    """Return the sides of an image, and the distance of pixels along each."""
    sides = as_sides(A)
    steps = as_spacing(spacing, len(sides))
    if np.ndim(spacing) == 0:
        refuse_colours("A", sides)
    return sides, steps


def refuse_colours(name: str, sides: tuple[int, ...]) -> None:
    """Raise for an image with colours, whose channels are no axis of space."""
    if len(sides) == 3 and sides[2] in (3, 4) and min(sides[:2]) >= 8:
        raise InputError(
            f"{name} has shape {sides}: its last axis looks like the channels of colours. Pass grey"
            f" values, such as {name}.mean(axis=2), or a channel, {name}[:, :, 0]; for a volume"
            " pass spacing with a number for each of the three axes"
        )


def as_spacing(value: Any, n_axes: int) -> FloatArray:
    """Return the distance of neighbouring pixels along each axis."""
    array = as_float64("spacing", value)
    if array.shape not in ((), (n_axes,)):
        raise InputError(
            f"spacing must be a number, or one for each of the {n_axes} axes of A, got"
            f" shape {array.shape}"
        )
    spacing = np.broadcast_to(array, n_axes)
    good = (spacing > 0) & (spacing < np.inf)
    if not good.all():
        k = int(np.argmin(good))
        raise InputError(
            f"spacing along axis {k} is {spacing[k]}; it must be a positive number, the"
            " distance of neighbouring pixels"
        )
    return spacing


class Weights(NamedTuple):
    """Weights, their sum, and the relative tolerance of the sum."""

    mass: FloatArray
    total: float
    tolerance: float


def _balanced(
    first: Weights, second: Weights, names: tuple[str, str], normalize: bool
) -> tuple[FloatArray, FloatArray, float]:
    """Return weights of equal sum, and this sum."""
    (a, sum_a, tolerance_a), (b, sum_b, tolerance_b) = first, second
    if as_flag("normalize", normalize):
        a, b = a / sum_a, b / sum_b
        return a, b, _sum(a)
    tolerance = max(tolerance_a, tolerance_b)
    require_same_mass(names[0], sum_a, names[1], sum_b, tolerance)
    if abs(sum_a - sum_b) > 4 * _EPS * sum_a:
        b = b * (sum_a / sum_b)
    return a, b, sum_a


def as_weights(
    name: str, value: Any, shape: tuple[int, ...], of: str, may_be_zero: bool = False
) -> Weights:
    """Return weights >= 0 of the given shape, flattened."""
    array = as_float64(name, value)
    if array.shape != shape:
        by_name = "" if array.ndim else "; other arguments, such as p, are passed by name"
        raise InputError(
            f"{name} must have shape {shape}, one weight for each {of}, got {array.shape}{by_name}"
        )
    total = _sum(array)
    is_size = 0 < total < math.inf or (may_be_zero and total == 0)
    if not is_size or array.item(array.argmin()) < 0:
        _refuse_weights(name, array)
    given = array.dtype if array is value else np.asarray(value).dtype
    return Weights(array.flatten(), total, sum_tolerance(given))


def require_same_mass(
    name: str, mass: float, other_name: str, other: float, tolerance: float
) -> None:
    """Raise if two sums of weights differ by more than rounding."""
    if abs(mass - other) > tolerance * max(mass, other):
        raise InputError(
            f"the masses differ: {name} sums to {mass:.17g} and {other_name} to"
            f" {other:.17g}; pass normalize=True, or divide each side's weights by their sum, to"
            " compare them as probabilities"
        )


def _sum(weights: FloatArray) -> float:
    """Return the correctly rounded sum; not finite if it or an entry is not."""
    try:
        return exact_sum(weights)
    except (OverflowError, ValueError):  # too large, or inf and -inf
        return math.inf


def _refuse_weights(name: str, array: FloatArray) -> NoReturn:
    """Raise the error for invalid weights."""
    require_finite(name, array)
    if np.count_nonzero(array < 0):
        where = first_index(array < 0)
        raise InputError(
            f"{name}{where} is {array[array < 0][0]}; weights must be >= 0: for signed"
            " weights pass the positive and the negated negative part as two measures"
        )
    if not np.count_nonzero(array):
        raise InputError(f"{name} is zero everywhere; a measure needs a positive mass")
    raise InputError(f"the sum of {name} overflows; divide the weights by a constant")


def sum_tolerance(given: np.dtype[Any]) -> float:
    """Return the relative tolerance of sums of weights of a type."""
    return _MASS_TOLERANCE[given.itemsize if given.kind == "f" else 8]


def as_axis(name: str, axis: Any, ndim: int) -> int:
    """Return a nonnegative axis of an array."""
    is_integer = isinstance(axis, int | np.integer) and not isinstance(axis, bool)
    if not (is_integer and -ndim <= axis < ndim):
        raise InputError(
            f"axis must be an integer in [{-ndim}, {ndim}), as {name}.ndim is {ndim}, got"
            f" {short(axis)}"
        )
    return int(axis) % ndim


def as_cost(value: Any) -> tuple[FloatArray, float, bool]:
    """Return a cost matrix, its largest finite |entry|, and whether it has infinite entries.

    A C-contiguous float64 matrix is not copied. ``inf`` marks a forbidden arc.
    """
    cost = _stored(value) if hasattr(value, "tocoo") else as_float64("cost", value)
    if cost.ndim != 2 or cost.size == 0:
        raise InputError(f"cost must have shape (n, m) with n, m >= 1, got {cost.shape}")
    cost = frozen(cost)
    high, low = _extremes(cost)
    if math.isnan(high):
        where = first_index(np.isnan(cost))
        raise InputError(
            f"cost{where} is nan; every cost must be a number, or inf for a forbidden arc"
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
    return cost, largest, has_forbidden


def _stored(cost: Any) -> FloatArray:
    """Return a sparse matrix of costs, in which only what is stored is allowed."""
    arcs = cost.tocoo()
    if len(arcs.shape) != 2:
        raise InputError(f"cost must have shape (n, m) with n, m >= 1, got {tuple(arcs.shape)}")
    arcs.sum_duplicates()
    dense = np.full(arcs.shape, np.inf)
    dense[arcs.coords] = as_float64("cost", arcs.data)
    return dense


def _extremes(matrix: FloatArray) -> tuple[float, float]:
    """Return the largest and the smallest entry; NaN if an entry is NaN."""
    if matrix.size <= _BLOCK_ENTRIES:
        # argmax and argmin avoid the wrappers of max and min, which take most of the time.
        return matrix.item(matrix.argmax()), matrix.item(matrix.argmin())
    # Block by block, so that each entry is read from memory once.
    height = max(1, _BLOCK_ENTRIES // matrix.shape[1])
    blocks = [matrix[start : start + height] for start in range(0, len(matrix), height)]
    high, low = np.transpose([(block.max(), block.min()) for block in blocks])
    return float(high.max()), float(low.min())


def require_product(mass: float, largest: float) -> None:
    """Raise if values, cost times mass, would leave float64."""
    size = math.log2(mass) + math.log2(largest) if largest > 0 else 0.0
    if not -970 < size < 1000:
        raise InputError(
            f"costs up to {largest:.3g} times a mass of {mass:.3g} leave what float64"
            " holds well; multiply the costs or the masses by a constant"
        )


def as_number(name: str, value: Any, wanted: str) -> float:
    """Return a real number as a float, which may be NaN or inf."""
    if isinstance(value, bool) or not isinstance(value, _REAL):
        raise InputError(f"{name} must be {wanted}, got {short(value)}")
    try:
        return float(value)
    except OverflowError:
        raise InputError(f"{name} must be {wanted}, got {short(value)}, beyond float64") from None


def as_flag(name: str, value: Any) -> bool:
    """Return True or False; nothing else counts as either."""
    if isinstance(value, bool | np.bool_):
        return bool(value)
    raise InputError(f"{name} must be True or False, got {short(value)}")


def as_choice(name: str, value: Any, known: Collection[str]) -> str:
    """Return one of the known names."""
    if isinstance(value, str) and value in known:
        return value
    raise InputError(f"{name} must be one of {', '.join(map(repr, known))}; got {short(value)}")


def as_count(name: str, value: Any, least: int = 1) -> int:
    """Return an integer that is at least `least`."""
    wanted = "a positive integer" if least == 1 else f"an integer of at least {least}"
    is_whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not is_whole or value < least:
        raise InputError(f"{name} must be {wanted}, got {short(value)}")
    return int(value)


def as_size(name: str, value: Any, least: int = 1) -> int:
    """Return a number of things that arrays hold."""
    size = as_count(name, value, least)
    if size > _MOST_ENTRIES:
        raise InputError(f"{name} is {short(size)}, more than any memory holds")
    return size


def as_inside(name: str, value: Any, least: float, most: float, wanted: str) -> float:
    """Return a number in the open interval (least, most)."""
    number = as_number(name, value, wanted)
    if not least < number < most:
        raise InputError(f"{name} must be {wanted}, got {short(value)}")
    return number


def as_order(p: Any, concave: Any = None) -> float:
    """Return the order p as a float, 1 <= p <= inf; if `concave`, 0 < p < 1.

    `concave` is None for a function without this option.
    """
    order = as_number("p", p, "a real number >= 1 or inf")
    concave = None if concave is None else as_flag("concave", concave)
    if concave and not 0 < order < 1:
        raise InputError(
            f"with concave=True p must be between 0 and 1, got {p}; omit concave for p >= 1"
        )
    if not concave and not order >= 1:
        option = "" if concave is None else "for points on the line pass concave=True; elsewhere "
        raise InputError(
            f"p must be >= 1, got {p}; for p < 1 the p-th root of the cost is no distance:"
            f" {option}pass the matrix distance**p to Problem.from_cost, which takes no root"
        )
    return order


def as_period(period: Any) -> float:
    """Return the circumference of a circle."""
    return as_inside("period", period, 0, math.inf, "a positive length")


def as_vector(name: str, value: Any, n: int) -> FloatArray:
    """Return numbers (n,), which may be NaN or inf."""
    array = as_float64(name, value)
    if array.shape != (n,):
        raise InputError(f"{name} must have shape ({n},), got {array.shape}")
    return array


def as_values(name: str, value: Any, n: int, points: FloatArray | None) -> FloatArray:
    """Return a vector (n,), or the values of a function at n points."""
    if callable(value):
        if points is None:
            raise InputError(
                f"{name} is a function, but the problem has no points to evaluate it at;"
                " pass its values"
            )
        value = value(points)
    return as_vector(name, value, n)


def as_finite_vector(name: str, value: Any, n: int) -> FloatArray:
    """Return finite numbers (n,)."""
    array = as_vector(name, value, n)
    require_finite(name, array)
    return array


def as_epsilon(epsilon: Any, largest: float) -> float:
    """Return an entropic weight that is positive and not too far from the costs."""
    value = as_number("epsilon", epsilon, "a positive number")
    if not 0 < value <= _LARGEST_EPSILON:
        raise InputError(
            f"epsilon must be a positive number, at most {_LARGEST_EPSILON:g}, got {short(epsilon)}"
        )
    # Advised numbers are a percent inside the limits, so that rounding keeps them there.
    floor = 1e-13 * largest
    if value < floor:
        raise InputError(
            f"epsilon={value:.3g} is below the rounding of the costs, which reach"
            f" {largest:.3g}; epsilon is in cost units: pass at least {1.01 * floor:.3g}"
        )
    ceiling = 1e9 * largest
    if value > ceiling > 0:
        raise InputError(
            f"epsilon={value:.3g} is so far above the costs, which reach {largest:.3g},"
            " that they have no effect, and the plan is the product of the marginals;"
            f" epsilon is in cost units: pass at most {0.99 * ceiling:.3g}"
        )
    return value


def as_tolerance(tol: Any) -> float:
    """Return a tolerance, a finite number >= 0."""
    value = as_number("tol", tol, "a number >= 0")
    if not 0 <= value < math.inf:
        raise InputError(f"tol must be a number >= 0, got {short(tol)}")
    return value


def as_jobs(n_jobs: Any) -> int:
    """Return a number of threads; -1 stands for the number of processors."""
    if type(n_jobs) is int and 1 <= n_jobs <= _MOST_JOBS:
        return n_jobs
    value = as_number("n_jobs", n_jobs, "a positive integer or -1")
    if value == -1:
        return os.cpu_count() or 1
    if not (1 <= value <= _MOST_JOBS and value == int(value)):
        raise InputError(
            f"n_jobs must be a positive integer up to {_MOST_JOBS}, or -1, got {short(n_jobs)}"
        )
    return int(value)


def as_generator(rng: Any, *, apart: bool = False) -> np.random.Generator:
    """Return a random generator (SPEC 7).

    If `apart`, it is a child of `rng`, independent of data drawn with the same seed.
    """
    try:
        generator = np.random.default_rng(rng)
        return generator.spawn(1)[0] if apart else generator
    except (TypeError, ValueError) as error:
        raise InputError(
            f"rng must be a numpy Generator, a seed, or None, got {short(rng)}"
        ) from error
