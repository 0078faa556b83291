"""Powers of two, many at a time: the inner loop of everything entropic.

``2**t`` is ``2**n`` times a polynomial in ``t - n``, n being the integer nearest to t;
``2**n`` is added to the exponent bits of the result. The polynomials are minimax on
[-0.5, 0.5] for the relative error (Remez), of degree 10 in double and 5 in single
precision. Written in LLVM's own language, as what numba makes of ``exp`` stays scalar.
Each function has a twin in NumPy, which says what it does and runs where compilation
is off.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic

#: Places of a block: what a vector of single precision holds.
WIDTH = 16

_POLYNOMIALS = {
    64: (
        1.0,
        0.6931471805599497,
        0.24022650695908768,
        0.05550410866445883,
        0.009618129108034496,
        0.0013333558228562003,
        0.0001540352996125226,
        1.5252658116249664e-05,
        1.3215662775158453e-06,
        1.0208537966142946e-07,
        7.037289001761944e-09,
    ),
    32: (
        1.0000000716552557,
        0.6931469670600305,
        0.24022119718539744,
        0.05550713278161229,
        0.009675541622184043,
        0.0013276471288547421,
    ),
}
_LOWEST = {64: -1022.0, 32: -126.0}  # exponents of the smallest normal numbers
_AT_ONCE = {64: 32, 32: 32}  # numbers in a step of a loop, by bits of each
_FRACTION = {64: 52, 32: 23}  # bits below the exponent
_DOUBLE, _SINGLE = ir.DoubleType(), ir.FloatType()
_INT, _SHORT = ir.IntType(64), ir.IntType(32)
_ORDERED = ("nnan", "nsz")  # infinities are legal, NaN is not


def _plain_soft_row(
    costs: np.ndarray, g: np.ndarray, f: float, scale: float, out: np.ndarray
) -> float:
    """Write ``2 ** (scale * (f + g - costs))`` and return its sum."""
    lowest = _LOWEST[8 * out.itemsize]
    t = (f + g - costs) * scale
    powers = np.exp2(np.clip(t, lowest, 1 - lowest).astype(out.dtype))
    out[:] = np.where(t > lowest, powers, 0.0)
    with np.errstate(over="ignore"):
        return out.sum()


def _plain_soft_points(
    x: np.ndarray,
    i: int,
    y: np.ndarray,
    first: int,
    has_root: int,
    g: np.ndarray,
    f: float,
    scale: float,
    out: np.ndarray,
) -> float:
    """Do the same for distances from point i of x to those of y, or their squares.

    To as many as `out` has places, from the `first` on.
    """
    costs = ((x[:, i, None] - y[:, first : first + out.size]) ** 2).sum(axis=0)
    return _plain_soft_row(np.sqrt(costs) if has_root else costs, g, f, scale, out)


def _plain_keep_blocks(
    row: np.ndarray,
    level: float,
    weight: float,
    index: np.ndarray,
    values: np.ndarray,
    top: int,
) -> tuple[int, float]:
    """Append, times `weight`, the blocks of a row in which an entry reaches `level`.

    `row` has a multiple of `WIDTH` places. Returns where the next block goes, and the
    sum of the entries left out, times `weight`.
    """
    blocks = row.reshape(-1, WIDTH)
    kept = blocks.max(axis=1) >= level
    stop = top + int(kept.sum())
    index[top:stop] = np.flatnonzero(kept)
    values[top:stop] = weight * blocks[kept]
    return stop, float(weight * blocks[~kept].sum())


def _plain_block_dot(
    index: np.ndarray, values: np.ndarray, start: int, stop: int, x: np.ndarray
) -> float:
    """Return the product of the blocks of a row and x."""
    return float((values[start:stop] * x.reshape(-1, WIDTH)[index[start:stop]]).sum())


def _plain_block_add(
    index: np.ndarray,
    values: np.ndarray,
    start: int,
    stop: int,
    weight: float,
    y: np.ndarray,
) -> None:
    """Add the blocks of a row, times `weight`, to y."""
    y.reshape(-1, WIDTH)[index[start:stop]] += weight * values[start:stop]


def _bits(kind: Any) -> int:
    return 64 if isinstance(kind, ir.DoubleType) else 32


def _vector(kind: Any, width: int) -> Any:
    return kind if width == 1 else ir.VectorType(kind, width)


def _constant(kind: Any, width: int, number: float) -> Any:
    one = ir.Constant(kind, number)
    return one if width == 1 else ir.Constant(ir.VectorType(kind, width), [one] * width)


def _everywhere(builder: Any, number: Any, width: int) -> Any:
    """Return a vector that holds a number in every lane."""
    if width == 1:
        return number
    nothing = ir.Constant(ir.VectorType(number.type, width), ir.Undefined)
    one = builder.insert_element(nothing, number, ir.Constant(_SHORT, 0))
    lanes = ir.Constant(ir.VectorType(_SHORT, width), [ir.Constant(_SHORT, 0)] * width)
    return builder.shuffle_vector(one, nothing, lanes)


def _address(builder: Any, data: Any, place: Any, kind: Any, width: int) -> Any:
    address = builder.gep(data, [place])
    if width == 1:
        return address
    return builder.bitcast(address, ir.VectorType(kind, width).as_pointer())


def _load(builder: Any, data: Any, place: Any, kind: Any, width: int) -> Any:
    address = _address(builder, data, place, kind, width)
    return builder.load(address, align=_bits(kind) // 8)


def _store(builder: Any, value: Any, data: Any, place: Any, kind: Any, width: int) -> None:
    address = _address(builder, data, place, kind, width)
    builder.store(value, address, align=_bits(kind) // 8)


def _times_plus(builder: Any, x: Any, y: Any, z: Any) -> Any:
    """Return ``x * y + z``, in one instruction where there is one."""
    product = builder.fmul(x, y, flags=("contract",))
    return builder.fadd(product, z, flags=("contract",))


def _sum_of_lanes(builder: Any, vector: Any) -> Any:
    """Add up the lanes, halves upon halves."""
    width = vector.type.count
    while width > 1:
        width //= 2
        lower, upper = (
            builder.shuffle_vector(
                vector,
                vector,
                ir.Constant(
                    ir.VectorType(_SHORT, width),
                    [ir.Constant(_SHORT, k + start) for k in range(width)],
                ),
            )
            for start in (0, width)
        )
        vector = builder.fadd(lower, upper)
    return builder.extract_element(vector, ir.Constant(_SHORT, 0))


def _power_of_two(builder: Any, t: Any, kind: Any, width: int) -> Any:
    """Return ``2**t`` for a number or a vector: 0 if it is too small, else clamped."""
    bits, vector = _bits(kind), _vector(kind, width)
    lowest = _constant(kind, width, _LOWEST[bits])
    highest = _constant(kind, width, 1 - _LOWEST[bits])
    is_normal = builder.fcmp_ordered(">", t, lowest, flags=_ORDERED)
    t = builder.select(is_normal, t, lowest)
    is_less = builder.fcmp_ordered("<", t, highest, flags=_ORDERED)
    t = builder.select(is_less, t, highest)
    suffix = f"{'' if width == 1 else f'v{width}'}f{bits}"
    nearest = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(vector, [vector]), f"llvm.nearbyint.{suffix}"
    )
    whole = builder.call(nearest, [t])
    rest = builder.fsub(t, whole)
    *lower, leading = _POLYNOMIALS[bits]
    value = _constant(kind, width, leading)
    for coefficient in reversed(lower):
        value = _times_plus(builder, value, rest, _constant(kind, width, coefficient))
    integer = ir.IntType(bits)
    exponent = builder.fptosi(whole, _vector(_SHORT, width))
    if bits == 64:
        exponent = builder.sext(exponent, _vector(integer, width))
    shift = _constant(integer, width, _FRACTION[bits])
    raised = builder.add(
        builder.bitcast(value, _vector(integer, width)), builder.shl(exponent, shift)
    )
    nothing = _constant(kind, width, 0.0)
    return builder.select(is_normal, builder.bitcast(raised, vector), nothing)


def _data_of(context: Any, builder: Any, kind: Any, value: Any) -> Any:
    return context.make_array(kind)(context, builder, value)


def _llvm_kind(kind: Any) -> Any:
    return _DOUBLE if kind.dtype == types.float64 else _SINGLE


@intrinsic
def _simd_soft_row(typing_context: Any, costs: Any, g: Any, f: Any, scale: Any, out: Any) -> Any:
    """Write ``2 ** (scale * (f + g - costs))`` and return its sum.

    Exponents are computed in the precision of the costs, powers in that of `out`,
    which may be the array of costs itself.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = _llvm_kind(signature.args[0])
        costs = _data_of(context, builder, signature.args[0], args[0]).data

        def cost_at(place: Any, width: int) -> Any:
            return _load(builder, costs, place, kind, width)

        return _soft_loop(context, builder, signature, args, 1, cost_at)

    total = types.float64 if out.dtype == types.float64 else types.float32
    return total(costs, g, f, scale, out), generate


@intrinsic
def _simd_soft_points(
    typing_context: Any,
    x: Any,
    i: Any,
    y: Any,
    first: Any,
    has_root: Any,
    g: Any,
    f: Any,
    scale: Any,
    out: Any,
) -> Any:
    """Do the same for distances from point i of x to those of y, or their squares.

    To as many as `out` has places, from the `first` on. Points are (d, n) and (d, m), of
    one precision. Costs stay in registers: no memory is written but for the powers.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = _llvm_kind(signature.args[0])
        bits = _bits(kind)
        points, others = (_data_of(context, builder, signature.args[k], args[k]) for k in (0, 2))
        d, n = (builder.extract_value(points.shape, k) for k in range(2))
        m = builder.extract_value(others.shape, 1)
        is_rooted = builder.icmp_signed("!=", args[4], ir.Constant(args[4].type, 0))
        point = builder.gep(points.data, [args[1]])
        first = builder.gep(others.data, [args[3]])

        def cost_at(place: Any, width: int) -> Any:
            square = cgutils.alloca_once(builder, _vector(kind, width))
            builder.store(_constant(kind, width, 0.0), square)
            with cgutils.for_range(builder, d) as axis:
                own = builder.load(builder.gep(point, [builder.mul(axis.index, n)]))
                start = builder.add(builder.mul(axis.index, m), place)
                other = _load(builder, first, start, kind, width)
                apart = builder.fsub(_everywhere(builder, own, width), other)
                old = builder.load(square)
                builder.store(_times_plus(builder, apart, apart, old), square)
            suffix = f"{'' if width == 1 else f'v{width}'}f{bits}"
            vector = _vector(kind, width)
            root = cgutils.get_or_insert_function(
                builder.module, ir.FunctionType(vector, [vector]), f"llvm.sqrt.{suffix}"
            )
            with builder.if_then(is_rooted):
                builder.store(builder.call(root, [builder.load(square)]), square)
            return builder.load(square)

        return _soft_loop(context, builder, signature, args, 5, cost_at)

    total = types.float64 if out.dtype == types.float64 else types.float32
    return total(x, i, y, first, has_root, g, f, scale, out), generate


def _soft_loop(
    context: Any, builder: Any, signature: Any, args: Any, first: int, cost_at: Any
) -> Any:
    """Write powers of ``scale * (f + g - cost)`` and return their sum.

    Arguments from the `first` on are g, f, scale and the array to write to.
    """
    columns, result = (
        _data_of(context, builder, signature.args[k], args[k]) for k in (first, first + 3)
    )
    f, scale = args[first + 1], args[first + 2]
    source, target = (_llvm_kind(signature.args[k]) for k in (first, first + 3))
    size = builder.extract_value(result.shape, 0)

    def look_at(place: Any, width: int, total: Any) -> None:
        potential = _load(builder, columns.data, place, source, width)
        t = builder.fadd(_everywhere(builder, f, width), potential)
        t = builder.fsub(t, cost_at(place, width))
        t = builder.fmul(t, _everywhere(builder, scale, width))
        if source is not target:
            t = builder.fptrunc(t, _vector(target, width))
        power = _power_of_two(builder, t, target, width)
        _store(builder, power, result.data, place, target, width)
        builder.store(builder.fadd(builder.load(total), power), total)

    # Several vectors at a time, so that one need not wait for another.
    width = _AT_ONCE[_bits(source)]
    total = cgutils.alloca_once_value(builder, _constant(target, width, 0.0))
    tail = cgutils.alloca_once_value(builder, _constant(target, 1, 0.0))
    step = ir.Constant(_INT, width)
    n_steps = builder.sdiv(size, step)
    with cgutils.for_range(builder, n_steps) as loop:
        look_at(builder.mul(loop.index, step), width, total)
    done = builder.mul(n_steps, step)
    with cgutils.for_range(builder, builder.sub(size, done)) as loop:
        look_at(builder.add(done, loop.index), 1, tail)
    lanes = _sum_of_lanes(builder, builder.load(total))
    return builder.fadd(lanes, builder.load(tail))


@intrinsic
def _simd_keep_blocks(
    typing_context: Any,
    row: Any,
    level: Any,
    weight: Any,
    index: Any,
    values: Any,
    top: Any,
) -> Any:
    """Append, times `weight`, the blocks of a row in which an entry reaches `level`."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        entries, places, kept = (
            _data_of(context, builder, signature.args[k], args[k]) for k in (0, 3, 4)
        )
        level = _everywhere(builder, args[1], WIDTH)
        weight = _everywhere(builder, args[2], WIDTH)
        top = cgutils.alloca_once_value(builder, args[5])
        rest = cgutils.alloca_once_value(builder, _constant(_SINGLE, WIDTH, 0.0))
        width = ir.Constant(_INT, WIDTH)
        n_blocks = builder.sdiv(builder.extract_value(entries.shape, 0), width)
        with cgutils.for_range(builder, n_blocks) as loop:
            place = builder.mul(loop.index, width)
            block = _load(builder, entries.data, place, _SINGLE, WIDTH)
            reaches = builder.fcmp_ordered(">=", block, level, flags=_ORDERED)
            any_lane = builder.bitcast(reaches, ir.IntType(WIDTH))
            is_kept = builder.icmp_unsigned("!=", any_lane, ir.Constant(any_lane.type, 0))
            scaled = builder.fmul(block, weight)
            with builder.if_else(is_kept) as (keep, leave):
                with keep:
                    end = builder.load(top)
                    number = builder.trunc(loop.index, _SHORT)
                    builder.store(number, builder.gep(places.data, [end]))
                    goes_to = builder.mul(end, width)
                    _store(builder, scaled, kept.data, goes_to, _SINGLE, WIDTH)
                    builder.store(builder.add(end, ir.Constant(_INT, 1)), top)
                with leave:
                    builder.store(builder.fadd(builder.load(rest), scaled), rest)
        left = _sum_of_lanes(builder, builder.load(rest))
        found = [builder.load(top), builder.fpext(left, _DOUBLE)]
        return context.make_tuple(builder, signature.return_type, found)

    found = types.Tuple((types.int64, types.float64))
    return found(row, level, weight, index, values, top), generate


def _block_at(builder: Any, index: Any, values: Any, number: Any) -> tuple[Any, Any]:
    """Return where a block stands in its row, and its entries in double precision."""
    width = ir.Constant(_INT, WIDTH)
    block = builder.sext(builder.load(builder.gep(index, [number])), _INT)
    entries = _load(builder, values, builder.mul(number, width), _SINGLE, WIDTH)
    wide = builder.fpext(entries, ir.VectorType(_DOUBLE, WIDTH))
    return builder.mul(block, width), wide


@intrinsic
def _simd_block_dot(
    typing_context: Any, index: Any, values: Any, start: Any, stop: Any, x: Any
) -> Any:
    """Return the product of the blocks of a row and x."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        places, kept, vector = (
            _data_of(context, builder, signature.args[k], args[k]).data for k in (0, 1, 4)
        )
        total = cgutils.alloca_once_value(builder, _constant(_DOUBLE, WIDTH, 0.0))
        with cgutils.for_range(builder, builder.sub(args[3], args[2])) as loop:
            number = builder.add(args[2], loop.index)
            place, entries = _block_at(builder, places, kept, number)
            factor = _load(builder, vector, place, _DOUBLE, WIDTH)
            new = _times_plus(builder, entries, factor, builder.load(total))
            builder.store(new, total)
        return _sum_of_lanes(builder, builder.load(total))

    return types.float64(index, values, start, stop, x), generate


@intrinsic
def _simd_block_add(
    typing_context: Any,
    index: Any,
    values: Any,
    start: Any,
    stop: Any,
    weight: Any,
    y: Any,
) -> Any:
    """Add the blocks of a row, times `weight`, to y."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        places, kept, vector = (
            _data_of(context, builder, signature.args[k], args[k]).data for k in (0, 1, 5)
        )
        weight = _everywhere(builder, args[4], WIDTH)
        with cgutils.for_range(builder, builder.sub(args[3], args[2])) as loop:
            number = builder.add(args[2], loop.index)
            place, entries = _block_at(builder, places, kept, number)
            old = _load(builder, vector, place, _DOUBLE, WIDTH)
            new = _times_plus(builder, entries, weight, old)
            _store(builder, new, vector, place, _DOUBLE, WIDTH)
        return context.get_dummy_value()

    return types.void(index, values, start, stop, weight, y), generate


_jit_is_off = getattr(config, "DISABLE_JIT", False)
soft_row: Any = _plain_soft_row if _jit_is_off else _simd_soft_row
soft_points: Any = _plain_soft_points if _jit_is_off else _simd_soft_points
keep_blocks: Any = _plain_keep_blocks if _jit_is_off else _simd_keep_blocks
block_dot: Any = _plain_block_dot if _jit_is_off else _simd_block_dot
block_add: Any = _plain_block_add if _jit_is_off else _simd_block_add
