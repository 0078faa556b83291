"""Vectors in LLVM's own language: constants, loads and stores, sums of lanes.

A vector of width 1 is a plain number, so that one builder serves a loop over vectors and the
loop over the numbers that remain at its end.
"""

from typing import Any

from llvmlite import ir
from numba.core import cgutils

DOUBLE, SINGLE = ir.DoubleType(), ir.FloatType()
INT, SHORT = ir.IntType(64), ir.IntType(32)
#: Flags of comparisons: infinities are legal, NaN is not.
ORDERED = ("nnan", "nsz")


def bits_of(kind: Any) -> int:
    """Return how many bits a floating-point number has."""
    return 64 if isinstance(kind, ir.DoubleType) else 32


def vector_of(kind: Any, width: int) -> Any:
    """Return the type of a vector."""
    return kind if width == 1 else ir.VectorType(kind, width)


def constant(kind: Any, width: int, number: float) -> Any:
    """Return a vector of equal numbers."""
    one = ir.Constant(kind, number)
    return one if width == 1 else ir.Constant(ir.VectorType(kind, width), [one] * width)


def integers(kind: Any, numbers: Any) -> Any:
    """Return a vector of integers, which may also name the lanes of a shuffle."""
    lanes = [ir.Constant(kind, k) for k in numbers]
    return ir.Constant(ir.VectorType(kind, len(lanes)), lanes)


def everywhere(builder: Any, number: Any, width: int) -> Any:
    """Return a vector that holds a number in every lane."""
    if width == 1:
        return number
    nothing = ir.Constant(ir.VectorType(number.type, width), ir.Undefined)
    one = builder.insert_element(nothing, number, ir.Constant(SHORT, 0))
    return builder.shuffle_vector(one, nothing, integers(SHORT, [0] * width))


def first_lane(builder: Any, vector: Any) -> Any:
    """Return the first number of a vector."""
    return builder.extract_element(vector, ir.Constant(SHORT, 0))


def sum_of_lanes(builder: Any, vector: Any) -> Any:
    """Add up the lanes, halves upon halves."""
    width = vector.type.count
    while width > 1:
        width //= 2
        lower, upper = (
            builder.shuffle_vector(vector, vector, integers(SHORT, range(start, start + width)))
            for start in (0, width)
        )
        vector = builder.fadd(lower, upper)
    return first_lane(builder, vector)


def array(context: Any, builder: Any, kind: Any, value: Any) -> Any:
    """Return an array argument, with its `data` and `shape`."""
    return context.make_array(kind)(context, builder, value)


def load(builder: Any, data: Any, place: Any, kind: Any, width: int) -> Any:
    """Read a vector, which need not be aligned."""
    return builder.load(_address(builder, data, place, kind, width), align=bits_of(kind) // 8)


def store(builder: Any, value: Any, data: Any, place: Any, kind: Any, width: int) -> None:
    """Write a vector, which need not be aligned."""
    address = _address(builder, data, place, kind, width)
    builder.store(value, address, align=bits_of(kind) // 8)


def _address(builder: Any, data: Any, place: Any, kind: Any, width: int) -> Any:
    address = builder.gep(data, [place])
    return address if width == 1 else builder.bitcast(address, vector_of(kind, width).as_pointer())


def times_plus(builder: Any, x: Any, y: Any, z: Any) -> Any:
    """Return ``x * y + z``, in one instruction where there is one."""
    product = builder.fmul(x, y, flags=("contract",))
    return builder.fadd(product, z, flags=("contract",))


def call(builder: Any, name: str, x: Any, kind: Any, width: int) -> Any:
    """Call one of LLVM's functions of a vector, such as ``sqrt``."""
    vector = vector_of(kind, width)
    suffix = f"{'' if width == 1 else f'v{width}'}f{bits_of(kind)}"
    function = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(vector, [vector]), f"llvm.{name}.{suffix}"
    )
    return builder.call(function, [x])
