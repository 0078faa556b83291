"""Arithmetic and logarithms of numbers ``high + low``, with twice the digits of a float."""

from __future__ import annotations

from decimal import Context, Decimal
from functools import cache
from typing import TypeAlias

import numpy as np

from otdist.typing import FloatArray, IntArray

DoubleDouble: TypeAlias = tuple[FloatArray, FloatArray]

# log(2) as high + low; the product of an exponent and the first part is exact.
LOG_2 = float.fromhex("0x1.62e42fefa38p-1")
LOG_2_LOW = float.fromhex("0x1.ef35793c7673p-45")
_LOG1P_SERIES = [(-1) ** (k + 1) / k for k in range(9, 1, -1)]


def sum_last(terms: FloatArray, low: FloatArray | None = None) -> DoubleDouble:
    """Sum over the last axis of ``(lanes, k)`` by halves, with an error of about 2**-100."""
    high, low = terms, np.zeros_like(terms) if low is None else low
    while (size := high.shape[-1]) > 1:
        half, rest = (size + 1) // 2, size // 2
        head, error = two_sum(high[:, :rest], high[:, half:])
        tail = low[:, :rest] + low[:, half:] + error
        high = np.concatenate([head, high[:, rest:half]], axis=1)
        low = np.concatenate([tail, low[:, rest:half]], axis=1)
    return two_sum(high[:, 0], low[:, 0])


def sum_exactly(parts: list[FloatArray]) -> DoubleDouble:
    """Sum arrays to the last place of the result despite cancellation (Ogita et al.)."""
    for _ in range(2):
        for k in range(1, len(parts)):
            parts[k], parts[k - 1] = two_sum(parts[k - 1], parts[k])
    return two_sum(parts[-1], np.sum(parts[:-1], axis=0))


def two_sum(a: FloatArray, b: FloatArray) -> DoubleDouble:
    """Return a + b exactly (Knuth)."""
    high = a + b
    part = high - a
    return high, (a - (high - part)) + (b - part)


def two_product(a: FloatArray, b: FloatArray) -> DoubleDouble:
    """Return a * b exactly (Dekker)."""
    (left, left_low), (right, right_low) = _split(a), _split(b)
    product = a * b
    error = left * right - product + left * right_low + left_low * right
    return product, error + left_low * right_low


def add(a: DoubleDouble, b: DoubleDouble) -> DoubleDouble:
    """Return a + b."""
    high, low = two_sum(a[0], b[0])
    return two_sum(high, low + (a[1] + b[1]))


def negative(a: DoubleDouble) -> DoubleDouble:
    """Return -a."""
    return -a[0], -a[1]


def multiply(a: DoubleDouble, b: DoubleDouble) -> DoubleDouble:
    """Return a * b."""
    high, low = two_product(a[0], b[0])
    return two_sum(high, low + (a[0] * b[1] + a[1] * b[0]))


def divide(a: DoubleDouble, b: DoubleDouble) -> DoubleDouble:
    """Return a / b."""
    quotient = a[0] / b[0]
    product, error = two_product(quotient, b[0])
    low = ((a[0] - product) - error - quotient * b[1] + a[1]) / b[0]
    return two_sum(quotient, low)


def log(a: DoubleDouble, shift: IntArray | int = 0) -> DoubleDouble:
    """Return the logarithm of ``a * 2**shift`` for a > 0, with an error below 2**-68.

    A table gives it for the seven leading binary digits, a series for the rest (Tang).
    """
    mantissa, exponent = np.frexp(a[0])
    inverse, table, table_low = log_table()[:, np.rint(256.0 * mantissa).astype(int)]
    product, error = two_product(mantissa, inverse)
    rest = product - 1.0
    series = rest * rest * np.polyval(_LOG1P_SERIES, rest)
    near = two_sum(table, rest)
    exponent = exponent + shift
    far = exponent * LOG_2, exponent * LOG_2_LOW + a[1] / a[0]
    return add(far, (near[0], near[1] + (table_low + error + series)))


@cache
def log_table() -> FloatArray:
    """Return x = 256/k and -log(x) as high + low, for k from 128 to 256."""
    inverse = 256.0 / np.maximum(np.arange(257), 128)
    logs = [-Decimal(x).ln(Context(prec=50)) for x in inverse]
    high = np.array([float(x) for x in logs])
    low = [float(x - Decimal(y)) for x, y in zip(logs, high, strict=True)]
    return np.array([inverse, high, low])


def _split(a: FloatArray) -> DoubleDouble:
    """Split `a` into a sum of two numbers of 26 bits (Veltkamp)."""
    shifted = (2.0**27 + 1.0) * a
    high = shifted - (shifted - a)
    return high, a - high
