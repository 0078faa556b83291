"""Vector instructions that the compiler does not find by itself.

Each is written in LLVM's own language, which turns it into the widest vectors that the
processor has. Each has a twin in NumPy, which documents it and runs where compilation is off.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic

from otdist.compiled import llvm
from otdist.compiled.llvm import DOUBLE, INT, ORDERED, SHORT

_WIDTH = 16  # numbers compared at a time
_HALVES = (8, 4, 2, 1)


def _plain_smaller(x: float, y: float) -> float:
    """Return the smaller of two numbers."""
    return min(y, x)


def _plain_least_difference(u: np.ndarray, v: np.ndarray) -> tuple[float, int]:
    """Return the least ``u[k] - v[k]`` and the first k that attains it."""
    difference = u - v
    k = int(np.argmin(difference))
    return float(difference[k]), k


def _plain_product_error(a: float, b: float, product: float) -> float:
    """Return a * b - product exactly, for the product as it was rounded (Dekker)."""
    split = 2.0**27 + 1.0
    a_high, b_high = split * a - (split * a - a), split * b - (split * b - b)
    a_low, b_low = a - a_high, b - b_high
    error = a_high * b_high - product
    return ((error + a_high * b_low) + a_low * b_high) + a_low * b_low


@intrinsic
def _simd_product_error(typing_context: Any, a: Any, b: Any, product: Any) -> Any:
    # One fused instruction.
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.fma(args[0], args[1], builder.fneg(args[2]))

    return types.float64(types.float64, types.float64, types.float64), generate


@intrinsic
def _simd_smaller(typing_context: Any, x: Any, y: Any) -> Any:
    """Return the smaller of two numbers, in a loop of many at a time.

    A comparison written in Python stays scalar, five times slower.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        is_less = builder.fcmp_ordered("<", args[0], args[1], flags=ORDERED)
        return builder.select(is_less, args[0], args[1], flags=ORDERED)

    return x(x, x), generate


@intrinsic
def _simd_least_difference(typing_context: Any, u: Any, v: Any) -> Any:
    """Return the least ``u[k] - v[k]`` and the first k that attains it, for k >= 1.

    Two contiguous arrays of float64. Every lane keeps its least difference and where
    its vector began; the last vector ends with the arrays and overlaps the one before.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        first, second = (
            llvm.array(context, builder, kind, value)
            for kind, value in zip(signature.args, args, strict=True)
        )
        size = builder.extract_value(first.shape, 0)
        least = cgutils.alloca_once_value(builder, ir.Constant(DOUBLE, float("inf")))
        place = cgutils.alloca_once_value(builder, ir.Constant(INT, 0))
        is_long = builder.icmp_signed(">=", size, ir.Constant(INT, _WIDTH))
        with builder.if_else(is_long) as (long, short):
            with long:
                value, index = _vector_loop(builder, first.data, second.data, size)
                builder.store(value, least)
                builder.store(index, place)
            with short:
                _scalar_loop(builder, first.data, second.data, size, least, place)
        found = [builder.load(least), builder.load(place)]
        return context.make_tuple(builder, signature.return_type, found)

    return types.Tuple((types.float64, types.int64))(u, v), generate


def _scalar_loop(builder: Any, first: Any, second: Any, size: Any, least: Any, place: Any) -> None:
    """Compare one by one, for arrays shorter than a vector."""
    with cgutils.for_range(builder, size) as loop:
        x, y = (builder.load(builder.gep(data, [loop.index])) for data in (first, second))
        difference, old = builder.fsub(x, y), builder.load(least)
        is_less = builder.fcmp_ordered("<", difference, old, flags=ORDERED)
        builder.store(builder.select(is_less, difference, old), least)
        kept = builder.select(is_less, loop.index, builder.load(place))
        builder.store(kept, place)


def _vector_loop(builder: Any, first: Any, second: Any, size: Any) -> Any:
    """Compare whole vectors, and at the end their lanes."""
    width = ir.Constant(INT, _WIDTH)
    infinite = llvm.constant(DOUBLE, _WIDTH, float("inf"))
    values = cgutils.alloca_once_value(builder, infinite)
    starts = cgutils.alloca_once_value(builder, llvm.constant(INT, _WIDTH, 0))

    def look_at(start: Any) -> None:
        x, y = (llvm.load(builder, data, start, DOUBLE, _WIDTH) for data in (first, second))
        difference, old = builder.fsub(x, y), builder.load(values)
        is_less = builder.fcmp_ordered("<", difference, old, flags=ORDERED)
        builder.store(builder.select(is_less, difference, old), values)
        start = llvm.everywhere(builder, start, _WIDTH)
        builder.store(builder.select(is_less, start, builder.load(starts)), starts)

    with cgutils.for_range(builder, builder.sdiv(size, width)) as loop:
        look_at(builder.mul(loop.index, width))
    look_at(builder.sub(size, width))
    places = builder.add(builder.load(starts), llvm.integers(INT, range(_WIDTH)))
    return _least_lane(builder, builder.load(values), places)


def _least_lane(builder: Any, values: Any, places: Any) -> Any:
    """Return the least value and its place; of equal ones the first place."""
    for half in _HALVES:
        turned = llvm.integers(SHORT, [(k + half) % _WIDTH for k in range(_WIDTH)])
        other = builder.shuffle_vector(values, values, turned)
        other_place = builder.shuffle_vector(places, places, turned)
        is_less = builder.fcmp_ordered("<", other, values, flags=ORDERED)
        is_equal = builder.fcmp_ordered("==", other, values, flags=ORDERED)
        is_first = builder.icmp_signed("<", other_place, places)
        takes = builder.or_(is_less, builder.and_(is_equal, is_first))
        values = builder.select(takes, other, values)
        places = builder.select(takes, other_place, places)
    return llvm.first_lane(builder, values), llvm.first_lane(builder, places)


_jit_is_off = getattr(config, "DISABLE_JIT", False)
smaller: Any = _plain_smaller if _jit_is_off else _simd_smaller
product_error: Any = _plain_product_error if _jit_is_off else _simd_product_error
least_difference: Any = _plain_least_difference if _jit_is_off else _simd_least_difference
