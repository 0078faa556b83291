"""Check a small problem, and pack it as `certificate.many.Clouds` has it.

The checks only say yes: where anything is unusual, other code decides, and words the error.
"""

import math

import numpy as np

from otdist.certificate.kernels.brackets import add_exactly
from otdist.certificate.kernels.points import point_costs
from otdist.runtime.kernel_cache import njit

_FLAGS = {"cache": True, "error_model": "numpy", "nogil": True, "_nrt": False}
_INNER = {**_FLAGS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
inner = njit(**_INNER)

# All bits of a number but its sign.
_SIZE = np.int64(2**63 - 1)
#: Sums of weights that differ by no more than this part differ by rounding.
ROUNDING = 4 * 2.0**-52


@inner
def weigh(weights: np.ndarray) -> tuple[float, int, bool]:
    """Return the sum of weights, how many are positive, and whether all is valid."""
    total, lost, count, n_bad = 0.0, 0.0, 0, 0
    # A loop of its own, which has vector instructions.
    for i in range(weights.size):
        n_bad += not ((weights[i] >= 0.0) & (weights[i] < np.inf))
        count += weights[i] > 0.0
    for i in range(weights.size):
        total, error = add_exactly(total, weights[i])
        lost += error
    return total + lost, count, n_bad == 0 and 0.0 < total < np.inf


@inner
def _weigh_atoms(a: np.ndarray, n: int, kept: np.ndarray) -> tuple[float, int, bool]:
    """Write which atoms have mass, and return what `weigh` does; no weights are uniform ones."""
    if a.size == 0:
        for i in range(n):
            kept[i] = i
        return 1.0, n, True
    count = 0
    for i in range(n):
        kept[count] = i
        count += a[i] > 0.0
    return weigh(a)


@inner
def unit_of_length(size: float, room: int, far: int) -> int:
    """Return the exponent of the unit of lengths up to `size`.

    The largest are ``2 ** room`` in it. With a negative `room` it is 0, unless they are not from
    ``2 ** -far`` to ``2 ** far``.
    """
    if not 0.0 < size < np.inf:
        return 0
    length = math.frexp(size)[1]
    if room >= 0:
        return length - room
    return length if abs(length) > far else 0


@inner
def keeps_in_unit(array: np.ndarray, unit: int) -> bool:
    """Divide numbers by ``2 ** unit``; return whether all keep their digits."""
    n_changed = 0
    for i in range(array.size):
        given = array[i]
        array[i] = math.ldexp(given, -unit)
        n_changed += math.ldexp(array[i], unit) != given
    return n_changed == 0


@inner
def _pack(
    x: np.ndarray,
    a: np.ndarray,
    kept: np.ndarray,
    points: np.ndarray,
    weights: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
) -> bool:
    """Write atoms with mass, points (d, n), and their box; return whether all are finite."""
    n, d = weights.size, x.shape[1]
    n_bad = 0
    for i in range(n):
        weights[i] = a[kept[i]] if a.size > 0 else 1.0 / n
    for k in range(d):
        least, most = np.inf, -np.inf
        for i in range(n):
            value = x[kept[i], k]
            points[k * n + i] = value
            n_bad += not (abs(value) < np.inf)
            least, most = min(least, value), max(most, value)
        low[k], high[k] = least, most
    return n_bad == 0


@inner
def pack_two(
    x: np.ndarray,
    y: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    norm: int,
    p: float,
    room: int,
    far: int,
    points: np.ndarray,
    weights: np.ndarray,
    starts: np.ndarray,
    kept: np.ndarray,
    boxes: np.ndarray,
    fixed_boxes: np.ndarray,
) -> tuple[bool, float, float, int]:
    """Pack points x (n, d) and y (m, d), with weights or none, without the atoms of no mass.

    Returns whether the input is valid and ordinary, the mass, a bound on the costs of `norm` and p
    as in `point_costs`, and the exponent of the unit of length, in which differences are at most
    ``2 ** room``. With a negative `room` it is 0 for differences from ``2 ** -far`` to
    ``2 ** far``, and the largest of others are about 1 in the unit. `points`, `weights` and
    `starts` are those of `Clouds`; `kept` (at least n or m) and `boxes` (6, d) are scratch, and
    `fixed_boxes` the same, read-only.
    """
    refused = False, 0.0, 0.0, 0
    d = x.shape[1]
    low, high, apart, nothing = boxes[0:2], boxes[2:4], boxes[4], boxes[5]
    mass, n, is_valid = _weigh_atoms(a, x.shape[0], kept)
    if not is_valid or not _pack(x, a, kept, points[: d * n], weights[:n], low[0], high[0]):
        return refused
    other, m, is_valid = _weigh_atoms(b, y.shape[0], kept)
    if not is_valid or not abs(mass - other) <= ROUNDING * mass:
        return refused
    to = slice(d * n, d * (n + m))
    if not _pack(y, b, kept, points[to], weights[n : n + m], low[1], high[1]):
        return refused
    starts[0], starts[1], starts[2] = 0, n, n + m
    longest = 0.0
    for k in range(d):
        apart[k], nothing[k] = max(high[0, k] - low[1, k], high[1, k] - low[0, k]), 0.0
        longest = max(longest, max(high[0, k], high[1, k]) - min(low[0, k], low[1, k]))
    unit = unit_of_length(longest, room, far)
    if unit != 0:
        for k in range(d):
            apart[k] = math.ldexp(apart[k], -unit)
        if not keeps_in_unit(points[: d * (n + m)], unit):
            return refused
    largest = boxes[0, :1]
    diagonal, origin = fixed_boxes[4].reshape(d, 1), fixed_boxes[5].reshape(d, 1)
    point_costs(diagonal, np.int64(0), origin, np.int64(0), norm, p, largest)
    return True, mass, largest[0], unit


@inner
def weigh_two(a: np.ndarray, b: np.ndarray) -> tuple[bool, float, int, int]:
    """Return whether weights are valid and have one sum, the sum, and how many are positive."""
    mass, n, is_valid = weigh(a)
    other, m, is_valid_b = weigh(b)
    is_one = abs(mass - other) <= ROUNDING * mass
    return is_valid and is_valid_b and is_one, mass, n, m


@inner
def largest_of(cost: np.ndarray, out: np.ndarray) -> float:
    """Write the largest absolute value of a matrix to `out` (1,), and return it; NaN if one is.

    Numbers without sign are in the order of their bits, and NaN above all. A search among integers
    is compiled to vectors.
    """
    bits, largest = cost.reshape(cost.size).view(np.int64), np.int64(0)
    for k in range(bits.size):
        size = bits[k] & _SIZE
        largest = max(largest, size)
    out.view(np.int64)[0] = largest
    return out[0]
