"""Floats as whole numbers of one power of two, and back, rounded once."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from otdist.typing import FloatArray


def unit_of(values: FloatArray) -> int:
    """Return the exponent of the largest power of two that divides all finite values."""
    mantissa, exponent = np.frexp(values[np.isfinite(values) & (values != 0)])
    if len(mantissa) == 0:
        return 0
    digits = np.ldexp(mantissa, 53).astype(np.int64)
    zeros = np.frexp((digits & -digits).astype(np.float64))[1] - 1
    return int((exponent - 53 + zeros).min())


def as_whole(values: FloatArray, unit: int) -> list[int]:
    """Return finite values as multiples of ``2 ** unit``, which divides them."""
    mantissa, exponent = np.frexp(values)
    digits = np.ldexp(mantissa, 53).astype(np.int64).tolist()
    shifts = (exponent - 53 - unit).tolist()
    return [x << k if k >= 0 else x >> -k for x, k in zip(digits, shifts, strict=True)]


def rounded(values: Iterable[int], unit: int, divisor: int = 1) -> FloatArray:
    """Return ``values * 2 ** unit / divisor``, each rounded once."""
    factor, divisor = (1 << unit, divisor) if unit >= 0 else (1, divisor << -unit)
    return np.array([x * factor / divisor for x in values], np.float64)
