"""Many bins at once: a compiled pass, or by blocks, where NumPy would wait for memory."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from otdist.divergences.double_double import log_table
from otdist.divergences.histograms import SUM_TOLERANCE, Pair, as_pair
from otdist.errors import InputError
from otdist.typing import FloatArray

# From here on a pass is worth the time to load the compiler.
_LARGE = 1 << 18
# Bins of one compiled call, between two of which Ctrl-C is heard.
_CHUNK = 1 << 22
# Bins that NumPy takes at a time: its temporary arrays stay in the cache.
_BLOCK = 1 << 14


def by_lanes(
    plain: Callable[..., float | FloatArray],
    p: ArrayLike,
    q: ArrayLike,
    axis: int,
    normalize: bool,
    *,
    log_base: float = 1.0,
    kernel: str = "",
    root: bool = False,
) -> float | FloatArray:
    """Return a divergence, or its root, in units of a base's logarithm.

    `plain` makes it of a pair, and of `log_base` where that is not 1. Many bins are
    taken by parts, or compiled where there is a kernel.
    """
    many = _many_lanes(plain, p, q, axis, normalize, kernel=kernel, root=root)
    if many is not None:
        return many / (math.sqrt(log_base) if root else log_base)
    pair = as_pair(p, q, axis, normalize)
    return plain(pair) if log_base == 1.0 else plain(pair, log_base)


def _many_lanes(
    plain: Callable[[Pair], float | FloatArray],
    p: ArrayLike,
    q: ArrayLike,
    axis: int,
    normalize: bool,
    *,
    kernel: str,
    root: bool,
) -> float | FloatArray | None:
    """Return a divergence of many bins, or its root; None if they are not many.

    None as well for types that need conversion, and all that is to be refused. A
    kernel is run where there is one; `plain` does the lanes that it does not take.
    """
    if not (isinstance(p, np.ndarray) and isinstance(q, np.ndarray)):
        return None
    if p.dtype != q.dtype or p.dtype.char not in "efd" or p.shape != q.shape:
        return None
    valid_axis = isinstance(axis, (int, np.integer)) and -p.ndim <= axis < p.ndim
    if p.size < _LARGE or not valid_axis:
        return None
    first, second = _as_lanes(p, axis), _as_lanes(q, axis)
    values = np.full(len(first), np.nan)
    if kernel:
        tolerance = math.inf if normalize else SUM_TOLERANCE[p.dtype.char]
        _run(kernel, first, second, tolerance, values)
        values = np.sqrt(values) if root else values
    left = np.flatnonzero(np.isnan(values))
    step = max(1, _BLOCK // first.shape[1])
    try:
        for start in range(0, left.size, step):
            part = left[start : start + step]
            values[part] = plain(as_pair(first[part], second[part], -1, normalize))
    except InputError:
        return None  # refused again, by the index it has in the input
    shape = np.moveaxis(p, axis, -1).shape[:-1]
    return values.reshape(shape) if shape else float(values[0])


def _as_lanes(values: Any, axis: int) -> NDArray[Any]:
    lanes = np.moveaxis(values, axis, -1)
    return np.ascontiguousarray(lanes.reshape(-1, lanes.shape[-1]))


def _run(
    kernel: str,
    p: NDArray[Any],
    q: NDArray[Any],
    tolerance: float,
    out: FloatArray,
) -> None:
    from otdist.divergences import kernels as divergences

    run = getattr(divergences, kernel)
    p, q = _frozen(p), _frozen(q)
    step = max(1, _CHUNK // p.shape[1])
    with np.errstate(all="ignore"):  # for where compilation is off
        for start in range(0, len(p), step):
            part = slice(start, start + step)
            run(p[part], q[part], tolerance, log_table(), out[part])


def _frozen(rows: NDArray[Any]) -> FloatArray:
    """Return them read-only whatever came in: a kernel is compiled for one kind."""
    view = rows.astype(np.float64, copy=False).view()
    view.flags.writeable = False
    return view
