"""Arrays for small problems, which compiled code does not make itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from otdist.batch.kernels import small_problems as kernel

_KINDS: tuple[Any, ...] = (np.uint32, np.int64, np.float64)
_ENDLESS = 1 << 40


def scratch_for(takes: Callable[..., Any], *sizes: int) -> kernel.Scratch:
    """Return as much scratch as a function takes; it returns what is left of it last."""
    endless = (np.broadcast_to(np.zeros((), kind), _ENDLESS) for kind in _KINDS)
    left = takes(kernel.Scratch(*endless), *sizes)[-1]
    return kernel.Scratch(*(np.zeros(_ENDLESS - each.size, each.dtype) for each in left))


def claims_of(n_pairs: int, n_arcs: int, n_potentials: int) -> kernel.Claims:
    """Return room for claims of so many arcs and potentials."""
    sizes = n_pairs, n_arcs, n_potentials
    return kernel.claims_in(scratch_for(kernel.claims_in, *sizes), *sizes)[0]


def work_for(n: int, m: int) -> kernel.Work:
    """Return arrays for problems of at most n sources and m sinks."""
    return kernel.work_in(scratch_for(kernel.work_in, n, m), n, m)[0]
