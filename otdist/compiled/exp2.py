"""Powers of two, many at a time: the inner loop of entropic transport.

``2**t`` is ``2**n`` times a polynomial in ``t - n``, n being the integer nearest to t;
``2**n`` is added to the exponent bits of the result. The polynomials are minimax on
[-0.5, 0.5] for the relative error (Remez), of degree 10 in double and 5 in single
precision. They are written in LLVM's own language, since numba's ``exp`` stays scalar; blocks
of a row are too, since numba's loops over them take 4 times as long. Each function has a twin
in NumPy, which documents it and runs where compilation is off.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic

from otdist.compiled import llvm
from otdist.compiled.llvm import DOUBLE, INT, ORDERED, SHORT, SINGLE

#: Places of a block, as many as the widest vectors of single precision have.
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


def _plain_soft_row(
    costs: np.ndarray, g: np.ndarray, f: float, scale: float, out: np.ndarray
) -> float:
    """Write ``2 ** (scale * (f + g - costs))`` and return its sum.

    Exponents are computed in the precision of the costs, powers in that of `out`, which may
    be the array of costs itself.
    """
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
    """Write the powers of `soft_row` for costs that are distances, or their squares.

    The distances are from point i of x (d, n) to points of y (d, m) from the `first` on, as many
    as `out` has places. Both arrays have one precision.
    """
    costs = ((x[:, i, None] - y[:, first : first + out.size]) ** 2).sum(axis=0)
    return _plain_soft_row(np.sqrt(costs) if has_root else costs, g, f, scale, out)


def _plain_keep_blocks(
    row: np.ndarray, level: float, weight: float, index: np.ndarray, values: np.ndarray, top: int
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
    index: np.ndarray, values: np.ndarray, start: int, stop: int, weight: float, y: np.ndarray
) -> None:
    """Add the blocks of a row, times `weight`, to y."""
    y.reshape(-1, WIDTH)[index[start:stop]] += weight * values[start:stop]


def _power_of_two(builder: Any, t: Any, kind: Any, width: int) -> Any:
    """Return ``2**t`` for a number or a vector: 0 if it is too small, else clamped."""
    bits, vector = llvm.bits_of(kind), llvm.vector_of(kind, width)
    lowest = llvm.constant(kind, width, _LOWEST[bits])
    highest = llvm.constant(kind, width, 1 - _LOWEST[bits])
    is_normal = builder.fcmp_ordered(">", t, lowest, flags=ORDERED)
    t = builder.select(is_normal, t, lowest)
    is_less = builder.fcmp_ordered("<", t, highest, flags=ORDERED)
    t = builder.select(is_less, t, highest)
    whole = llvm.call(builder, "nearbyint", t, kind, width)
    rest = builder.fsub(t, whole)
    *lower, leading = _POLYNOMIALS[bits]
    value = llvm.constant(kind, width, leading)
    for coefficient in reversed(lower):
        value = llvm.times_plus(builder, value, rest, llvm.constant(kind, width, coefficient))
    integer = ir.IntType(bits)
    exponent = builder.fptosi(whole, llvm.vector_of(SHORT, width))
    if bits == 64:
        exponent = builder.sext(exponent, llvm.vector_of(integer, width))
    shift = llvm.constant(integer, width, _FRACTION[bits])
    raised = builder.add(
        builder.bitcast(value, llvm.vector_of(integer, width)), builder.shl(exponent, shift)
    )
    nothing = llvm.constant(kind, width, 0.0)
    return builder.select(is_normal, builder.bitcast(raised, vector), nothing)


def _llvm_kind(kind: Any) -> Any:
    return DOUBLE if kind.dtype == types.float64 else SINGLE


@intrinsic
def _simd_soft_row(typing_context: Any, costs: Any, g: Any, f: Any, scale: Any, out: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = _llvm_kind(signature.args[0])
        costs = llvm.array(context, builder, signature.args[0], args[0]).data

        def cost_at(place: Any, width: int) -> Any:
            return llvm.load(builder, costs, place, kind, width)

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
    # Costs stay in registers, so that only the powers are written to memory.
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = _llvm_kind(signature.args[0])
        points, others = (llvm.array(context, builder, signature.args[k], args[k]) for k in (0, 2))
        d, n = (builder.extract_value(points.shape, k) for k in range(2))
        m = builder.extract_value(others.shape, 1)
        is_rooted = builder.icmp_signed("!=", args[4], ir.Constant(args[4].type, 0))
        point = builder.gep(points.data, [args[1]])
        first = builder.gep(others.data, [args[3]])

        def cost_at(place: Any, width: int) -> Any:
            square = cgutils.alloca_once(builder, llvm.vector_of(kind, width))
            builder.store(llvm.constant(kind, width, 0.0), square)
            with cgutils.for_range(builder, d) as axis:
                own = builder.load(builder.gep(point, [builder.mul(axis.index, n)]))
                start = builder.add(builder.mul(axis.index, m), place)
                other = llvm.load(builder, first, start, kind, width)
                apart = builder.fsub(llvm.everywhere(builder, own, width), other)
                old = builder.load(square)
                builder.store(llvm.times_plus(builder, apart, apart, old), square)
            with builder.if_then(is_rooted):
                root = llvm.call(builder, "sqrt", builder.load(square), kind, width)
                builder.store(root, square)
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
        llvm.array(context, builder, signature.args[k], args[k]) for k in (first, first + 3)
    )
    f, scale = args[first + 1], args[first + 2]
    source, target = (_llvm_kind(signature.args[k]) for k in (first, first + 3))
    size = builder.extract_value(result.shape, 0)

    def look_at(place: Any, width: int, total: Any) -> None:
        potential = llvm.load(builder, columns.data, place, source, width)
        t = builder.fadd(llvm.everywhere(builder, f, width), potential)
        t = builder.fsub(t, cost_at(place, width))
        t = builder.fmul(t, llvm.everywhere(builder, scale, width))
        if source is not target:
            t = builder.fptrunc(t, llvm.vector_of(target, width))
        power = _power_of_two(builder, t, target, width)
        llvm.store(builder, power, result.data, place, target, width)
        builder.store(builder.fadd(builder.load(total), power), total)

    # Several vectors at a time, so that one need not wait for another.
    width = _AT_ONCE[llvm.bits_of(source)]
    total = cgutils.alloca_once_value(builder, llvm.constant(target, width, 0.0))
    tail = cgutils.alloca_once_value(builder, llvm.constant(target, 1, 0.0))
    step = ir.Constant(INT, width)
    n_steps = builder.sdiv(size, step)
    with cgutils.for_range(builder, n_steps) as loop:
        look_at(builder.mul(loop.index, step), width, total)
    done = builder.mul(n_steps, step)
    with cgutils.for_range(builder, builder.sub(size, done)) as loop:
        look_at(builder.add(done, loop.index), 1, tail)
    lanes = llvm.sum_of_lanes(builder, builder.load(total))
    return builder.fadd(lanes, builder.load(tail))


@intrinsic
def _simd_keep_blocks(
    typing_context: Any, row: Any, level: Any, weight: Any, index: Any, values: Any, top: Any
) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        entries, places, kept = (
            llvm.array(context, builder, signature.args[k], args[k]) for k in (0, 3, 4)
        )
        level = llvm.everywhere(builder, args[1], WIDTH)
        weight = llvm.everywhere(builder, args[2], WIDTH)
        top = cgutils.alloca_once_value(builder, args[5])
        rest = cgutils.alloca_once_value(builder, llvm.constant(SINGLE, WIDTH, 0.0))
        width = ir.Constant(INT, WIDTH)
        n_blocks = builder.sdiv(builder.extract_value(entries.shape, 0), width)
        with cgutils.for_range(builder, n_blocks) as loop:
            place = builder.mul(loop.index, width)
            block = llvm.load(builder, entries.data, place, SINGLE, WIDTH)
            reaches = builder.fcmp_ordered(">=", block, level, flags=ORDERED)
            any_lane = builder.bitcast(reaches, ir.IntType(WIDTH))
            is_kept = builder.icmp_unsigned("!=", any_lane, ir.Constant(any_lane.type, 0))
            scaled = builder.fmul(block, weight)
            with builder.if_else(is_kept) as (keep, leave):
                with keep:
                    end = builder.load(top)
                    number = builder.trunc(loop.index, SHORT)
                    builder.store(number, builder.gep(places.data, [end]))
                    goes_to = builder.mul(end, width)
                    llvm.store(builder, scaled, kept.data, goes_to, SINGLE, WIDTH)
                    builder.store(builder.add(end, ir.Constant(INT, 1)), top)
                with leave:
                    builder.store(builder.fadd(builder.load(rest), scaled), rest)
        left = llvm.sum_of_lanes(builder, builder.load(rest))
        found = [builder.load(top), builder.fpext(left, DOUBLE)]
        return context.make_tuple(builder, signature.return_type, found)

    found = types.Tuple((types.int64, types.float64))
    return found(row, level, weight, index, values, top), generate


def _block_at(builder: Any, index: Any, values: Any, number: Any) -> tuple[Any, Any]:
    """Return where a block stands in its row, and its entries in double precision."""
    width = ir.Constant(INT, WIDTH)
    block = builder.sext(builder.load(builder.gep(index, [number])), INT)
    entries = llvm.load(builder, values, builder.mul(number, width), SINGLE, WIDTH)
    wide = builder.fpext(entries, ir.VectorType(DOUBLE, WIDTH))
    return builder.mul(block, width), wide


@intrinsic
def _simd_block_dot(
    typing_context: Any, index: Any, values: Any, start: Any, stop: Any, x: Any
) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        places, kept, vector = (
            llvm.array(context, builder, signature.args[k], args[k]).data for k in (0, 1, 4)
        )
        total = cgutils.alloca_once_value(builder, llvm.constant(DOUBLE, WIDTH, 0.0))
        with cgutils.for_range(builder, builder.sub(args[3], args[2])) as loop:
            number = builder.add(args[2], loop.index)
            place, entries = _block_at(builder, places, kept, number)
            factor = llvm.load(builder, vector, place, DOUBLE, WIDTH)
            new = llvm.times_plus(builder, entries, factor, builder.load(total))
            builder.store(new, total)
        return llvm.sum_of_lanes(builder, builder.load(total))

    return types.float64(index, values, start, stop, x), generate


@intrinsic
def _simd_block_add(
    typing_context: Any, index: Any, values: Any, start: Any, stop: Any, weight: Any, y: Any
) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        places, kept, vector = (
            llvm.array(context, builder, signature.args[k], args[k]).data for k in (0, 1, 5)
        )
        weight = llvm.everywhere(builder, args[4], WIDTH)
        with cgutils.for_range(builder, builder.sub(args[3], args[2])) as loop:
            number = builder.add(args[2], loop.index)
            place, entries = _block_at(builder, places, kept, number)
            old = llvm.load(builder, vector, place, DOUBLE, WIDTH)
            new = llvm.times_plus(builder, entries, weight, old)
            llvm.store(builder, new, vector, place, DOUBLE, WIDTH)
        return context.get_dummy_value()

    return types.void(index, values, start, stop, weight, y), generate


_jit_is_off = getattr(config, "DISABLE_JIT", False)
soft_row: Any = _plain_soft_row if _jit_is_off else _simd_soft_row
soft_points: Any = _plain_soft_points if _jit_is_off else _simd_soft_points
keep_blocks: Any = _plain_keep_blocks if _jit_is_off else _simd_keep_blocks
block_dot: Any = _plain_block_dot if _jit_is_off else _simd_block_dot
block_add: Any = _plain_block_add if _jit_is_off else _simd_block_add
