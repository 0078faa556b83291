"""Names for the array types that pass between modules."""

import datetime
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]

#: Source of randomness (SPEC 7).
Seed: TypeAlias = np.random.Generator | int | None

#: ``sampler(n, rng)`` draws n fresh points (n, d).
Sampler: TypeAlias = Callable[[int, np.random.Generator], FloatArray]

#: A function of points (n, d), or (n,) on the line, with n values.
Function: TypeAlias = Callable[[FloatArray], ArrayLike]

#: A metric is the name of one, or a function of two points ``(d,)`` and ``(d,)``.
Metric: TypeAlias = str | Callable[[FloatArray, FloatArray], float]

#: The circumference of a circle; a time where the points are times.
Period: TypeAlias = float | np.timedelta64 | datetime.timedelta

__all__ = [
    "Any",
    "ArrayLike",
    "FloatArray",
    "Function",
    "IntArray",
    "Metric",
    "NDArray",
    "Period",
    "Sampler",
    "Seed",
]
