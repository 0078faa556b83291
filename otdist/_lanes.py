"""Many bins at once: a compiled pass, where NumPy would wait for memory."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from otdist._errors import InputError
from otdist._histograms import SUM_TOLERANCE, Pair, as_pair
from otdist._typing import FloatArray

# From here on the pass is worth the time to load the compiler.
_LARGE = 1 << 18
# Bins of one call, between two of which Ctrl-C is heard.
_CHUNK = 1 << 22


def compiled(
    kernel: str,
    plain: Callable[[Pair], float | FloatArray],
    p: ArrayLike,
    q: ArrayLike,
    axis: int,
    normalize: bool,
    *,
    root: bool = False,
) -> float | FloatArray | None:
    """Return a divergence of many bins, or its root; None where it is left to NumPy.

    So are few bins, types that need conversion, and all that is to be refused; lanes
    that the kernel does not take are handed to `plain` and put in their place.
    """
    if not (isinstance(p, np.ndarray) and isinstance(q, np.ndarray)):
        return None
    if p.dtype != q.dtype or p.dtype.char not in "efd" or p.shape != q.shape:
        return None
    valid_axis = isinstance(axis, (int, np.integer)) and -p.ndim <= axis < p.ndim
    if p.size < _LARGE or not valid_axis:
        return None
    tolerance = math.inf if normalize else SUM_TOLERANCE[p.dtype.char]
    first, second = _as_lanes(p, axis), _as_lanes(q, axis)
    values = _run(kernel, first, second, tolerance)
    values = np.sqrt(values) if root else values
    left = np.isnan(values)
    if left.any():
        try:
            values[left] = plain(as_pair(first[left], second[left], -1, normalize))
        except InputError:
            return None  # refused again, by the index it has in the input
    shape = np.moveaxis(p, axis, -1).shape[:-1]
    return values.reshape(shape) if shape else float(values[0])


def _as_lanes(values: Any, axis: int) -> FloatArray:
    """Return rows, read-only whatever came in: a kernel is compiled for one kind."""
    lanes = np.moveaxis(values, axis, -1)
    rows = np.ascontiguousarray(lanes, dtype=np.float64).reshape(-1, lanes.shape[-1])
    rows = rows.view()
    rows.flags.writeable = False
    return rows


def _run(kernel: str, p: FloatArray, q: FloatArray, tolerance: float) -> FloatArray:
    from otdist._kernels import divergences

    run = getattr(divergences, kernel)
    values = np.empty(len(p))
    step = max(1, _CHUNK // p.shape[1])
    with np.errstate(all="ignore"):  # for where compilation is off
        for start in range(0, len(p), step):
            part = slice(start, start + step)
            run(p[part], q[part], tolerance, values[part])
    return values
