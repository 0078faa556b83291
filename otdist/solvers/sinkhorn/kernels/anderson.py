"""Anderson's acceleration of a fixed-point iteration (Walker and Ni, 2011)."""

from typing import NamedTuple

import numpy as np

from otdist.runtime.kernel_cache import njit

_FLAGS = {"cache": True, "error_model": "numpy", "nogil": True, "_nrt": False}
reordering_kernel = njit(**_FLAGS, fastmath={"contract", "nsz", "reassoc"})
reordering_inner = njit(
    **_FLAGS,
    no_cpython_wrapper=True,
    no_cfunc_wrapper=True,
    fastmath={"contract", "nsz", "reassoc"},
)

#: Iterates that are combined.
N_KEPT = 12
# Part of a change of residuals that must be new beside later changes for it to be used.
_LEAST_NEW = 1e-10
# The iteration restarts where the error is this many times the least error.
_GROWTH = 2.0


class Memory(NamedTuple):
    """The last iterates, and the best one; k stands for `N_KEPT`."""

    images: np.ndarray  # (k, m)
    residuals: np.ndarray  # (k, m), image minus iterate
    basis: np.ndarray  # (k, m), scratch
    triangle: np.ndarray  # (k + 1, k), scratch
    best: np.ndarray  # (m,), image of the iterate with the least error
    numbers: np.ndarray  # (2,), number of iterates since a restart, and the least error


def new_memory(m: int) -> Memory:
    """Return the memory of an iteration of m numbers that has not begun."""
    images, residuals, basis = np.empty((3, N_KEPT, m))
    numbers = np.array([0.0, np.inf])
    return Memory(images, residuals, basis, np.empty((N_KEPT + 1, N_KEPT)), np.empty(m), numbers)


@reordering_kernel
def next_iterate(
    memory: Memory,
    point: np.ndarray,
    image: np.ndarray,
    error: float,
    weight: np.ndarray,
    out: np.ndarray,
) -> None:
    """Write the next iterate, from an iterate, its image and its error; `out` may be either."""
    n_before, least = int(memory.numbers[0]), memory.numbers[1]
    if error > _GROWTH * least:
        memory.numbers[0], memory.numbers[1] = 0.0, _GROWTH * least
        for j in range(out.size):
            out[j] = memory.best[j]
        return
    if error < least:
        memory.numbers[1] = error
        for j in range(out.size):
            memory.best[j] = image[j]
    newest = n_before % N_KEPT
    for j in range(out.size):
        memory.images[newest, j] = image[j]
        memory.residuals[newest, j] = image[j] - point[j]
        out[j] = image[j]
    memory.numbers[0] = n_before + 1.0
    _combine(memory, newest, min(n_before, N_KEPT - 1), weight, out)


@reordering_inner
def _combine(memory: Memory, newest: int, n: int, weight: np.ndarray, out: np.ndarray) -> None:
    """Subtract from `out` the changes of images whose residuals cancel the newest one best.

    Least squares by Gram and Schmidt's method, the latest of the n changes first.
    """
    residuals, basis, triangle = memory.residuals, memory.basis, memory.triangle
    rest, parts = basis[N_KEPT - 1], triangle[N_KEPT]
    for j in range(out.size):
        rest[j] = residuals[newest, j] * weight[j]
    for k in range(n):
        column = basis[k]
        later, earlier = (newest - k) % N_KEPT, (newest - k - 1) % N_KEPT
        size = 0.0
        for j in range(out.size):
            column[j] = (residuals[later, j] - residuals[earlier, j]) * weight[j]
            size += column[j] * column[j]
        for q in range(k):
            triangle[q, k] = _take_away(basis[q], column)
        new = 0.0
        for j in range(out.size):
            new += column[j] * column[j]
        is_new = new > _LEAST_NEW * _LEAST_NEW * size
        triangle[k, k] = np.sqrt(new) if is_new else 0.0
        for j in range(out.size):
            column[j] = column[j] / triangle[k, k] if is_new else 0.0
        parts[k] = _take_away(column, rest)
    for k in range(n - 1, -1, -1):
        for q in range(k + 1, n):
            parts[k] -= triangle[k, q] * parts[q]
        parts[k] = parts[k] / triangle[k, k] if triangle[k, k] > 0.0 else 0.0
        later, earlier = (newest - k) % N_KEPT, (newest - k - 1) % N_KEPT
        for j in range(out.size):
            out[j] -= parts[k] * (memory.images[later, j] - memory.images[earlier, j])


@reordering_inner
def _take_away(unit: np.ndarray, vector: np.ndarray) -> float:
    """Make a vector orthogonal to a unit vector, and return the product of both."""
    product = 0.0
    for j in range(vector.size):
        product += unit[j] * vector[j]
    for j in range(vector.size):
        vector[j] -= product * unit[j]
    return product
