"""Sums and quotients as ``high + low``, to about twice the digits of a float64."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from otdist._typing import FloatArray

DoubleDouble: TypeAlias = tuple[FloatArray, FloatArray]


def sum_last(terms: FloatArray) -> DoubleDouble:
    """Sum over the last axis of ``(lanes, k)``, by halves, to about 2**-100."""
    high, low = terms, np.zeros_like(terms)
    while (size := high.shape[-1]) > 1:
        half, rest = (size + 1) // 2, size // 2
        head, error = two_sum(high[:, :rest], high[:, half:])
        tail = low[:, :rest] + low[:, half:] + error
        high = np.concatenate([head, high[:, rest:half]], axis=1)
        low = np.concatenate([tail, low[:, rest:half]], axis=1)
    return two_sum(high[:, 0], low[:, 0])


def two_sum(a: FloatArray, b: FloatArray) -> DoubleDouble:
    """Return a + b exactly (Knuth)."""
    high = a + b
    part = high - a
    return high, (a - (high - part)) + (b - part)


def divide(a: FloatArray, mass: FloatArray, mass_low: FloatArray) -> DoubleDouble:
    """Return a / (mass + mass_low), from Dekker's exact product."""
    quotient = a / mass
    (left, left_low), (right, right_low) = _split(quotient), _split(mass)
    product = quotient * mass
    error = left * right - product + left * right_low + left_low * right
    error += left_low * right_low
    low = ((a - product) - error - quotient * mass_low) / mass
    return two_sum(quotient, low)


def _split(a: FloatArray) -> DoubleDouble:
    """Return two halves of 26 bits, with the sum `a` (Veltkamp)."""
    shifted = (2.0**27 + 1.0) * a
    high = shifted - (shifted - a)
    return high, a - high
