"""One small problem in one compiled call: checked, packed, solved and bracketed.

Handing over an array takes longer than solving two points. All scratch therefore comes from three
arrays. Points and weights are copied into them, and read from read-only views of the same, since
the kernels of many problems take read-only arrays.
"""

import math
from typing import NamedTuple

import numpy as np

from otdist.batch.kernels.small_problems import (
    Claims,
    Scratch,
    Work,
    claims_in,
    cut,
    fill_costs,
    number_atoms,
    of_python_too,
    solve_matrix,
    take,
    work_in,
)
from otdist.certificate.kernels.brackets import bracket_points, dense_bounds
from otdist.certificate.kernels.packing import largest_of, pack_two, weigh_two
from otdist.runtime.kernel_cache import njit

_FLAGS = {"cache": True, "error_model": "numpy", "nogil": True, "_nrt": False}
kernel = njit(**_FLAGS)

#: What a call found.
BRACKET = 0
UNUSUAL = 1  # input that is not valid, or not ordinary
SPARSE = 2  # atoms without mass
UNSOLVED = 3


class Room(NamedTuple):
    """Parts of the scratch for one problem of n and m atoms."""

    points: np.ndarray  # ((n + m) * d,), the first of the numbers
    weights: np.ndarray  # (n + m,), the next
    starts: np.ndarray  # (3,), the first of the integers
    kept: np.ndarray  # (max(n, m),), scratch, as what follows
    boxes: np.ndarray  # (6, d)
    sums: np.ndarray  # (7 * (n + m),)
    found: np.ndarray  # (4,)
    work: Work
    claims: Claims


@of_python_too
def room_in(scratch: Scratch, n: int, m: int, d: int) -> tuple[Room, Scratch]:
    """Return all arrays for a problem of at most n and m atoms, and the rest of the scratch."""
    ids, integers, floats = scratch
    points, floats = cut(floats, (n + m) * d)
    weights, floats = cut(floats, n + m)
    boxes, floats = take(floats, 6, d)
    sums, floats = cut(floats, 7 * (n + m))
    found, floats = cut(floats, 4)
    starts, integers = cut(integers, 3)
    kept, integers = cut(integers, max(n, m))
    work, scratch = work_in(Scratch(ids, integers, floats), n, m)
    claims, scratch = claims_in(scratch, 1, n + m, m)
    return Room(points, weights, starts, kept, boxes, sums, found, work, claims), scratch


@kernel
def cost_of_clouds(
    x: np.ndarray,
    y: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    norm: int,
    p: float,
    unit_room: int,
    far: int,
    most: float,
    relative: float,
    underflow: float,
    ids: np.ndarray,
    integers: np.ndarray,
    floats: np.ndarray,
    fixed: np.ndarray,
) -> tuple[int, int, float, float, float, float]:
    """Bracket the cost of points x (n, d) and y (m, d), with weights or none.

    Norm, p, `unit_room` and `far` are those of `pack_two`; costs up to `most`, and masses and costs
    from ``2 ** -far`` on, are ordinary. `relative` and `underflow` bound their rounding. The last
    four are `Scratch`, and its numbers once more, read-only. Returns what was found, the exponent
    of the unit of length, lower and upper bound, the cost of the arcs, and 1 for a coupling.
    """
    d = x.shape[1]
    room = room_in(Scratch(ids, integers, floats), x.shape[0], y.shape[0], d)[0]
    starts, work, claims, found = room.starts, room.work, room.claims, room.found
    begin = room.points.size + room.weights.size
    fixed_boxes = fixed[begin : begin + room.boxes.size].reshape(6, d)
    packed = room.points, room.weights, starts, room.kept, room.boxes, fixed_boxes
    is_ordinary, mass, largest, unit = pack_two(x, y, a, b, norm, p, unit_room, far, *packed)
    least = math.ldexp(1.0, -far)
    if not (is_ordinary and least < largest < most and least < mass < 1.0 / least):
        return UNUSUAL, unit, 0.0, 0.0, 0.0, 0.0
    # Atoms without mass are gone.
    n, m, weights = starts[1], starts[2] - starts[1], fixed[room.points.size :]
    u, v = fixed[: d * n].reshape(d, n), fixed[d * n : d * (n + m)].reshape(d, m)
    of_u, of_v = weights[:n], weights[n : n + m]
    number_atoms(work, n, m)
    matrix = work.matrix[: n * m].reshape(n, m)
    fill_costs(u, v, norm, p, work.floats[2], matrix)
    solve_matrix(matrix, of_u, of_v, work, claims, 0)
    if claims.code[0] != 0:
        return UNSOLVED, unit, 0.0, 0.0, 0.0, 0.0
    arcs = claims.n_arcs[0]
    bracket_points(
        u,
        v,
        of_u,
        of_v,
        norm,
        p,
        relative,
        underflow,
        largest,
        claims.row[0, :arcs],
        claims.column[0, :arcs],
        claims.mass[0, :arcs],
        claims.g[0, :m],
        room.sums.reshape(7, room.weights.size),
        found,
    )
    return BRACKET, unit, found[0], found[1], found[2], found[3]


@kernel
def cost_of_matrix(
    a: np.ndarray,
    b: np.ndarray,
    cost: np.ndarray,
    far: int,
    is_large: bool,
    ids: np.ndarray,
    integers: np.ndarray,
    floats: np.ndarray,
    fixed: np.ndarray,
) -> tuple[int, float, float, float, float]:
    """Bracket the cost of weights a (n,) and b (m,), as `cost_of_clouds` does for points.

    Costs times masses from ``2 ** -far`` to ``2 ** far`` are ordinary. A large matrix is checked
    only: its mass and its largest absolute cost are returned in place of bounds.
    """
    n, m = cost.shape
    room = room_in(Scratch(ids, integers, floats), n, m, 0)[0]
    work, claims, sums = room.work, room.claims, room.sums
    is_ordinary, mass, n_a, n_b = weigh_two(a, b)
    largest, least = largest_of(cost, room.found[:1]), math.ldexp(1.0, -far)
    if not (is_ordinary and least < mass * largest < 1.0 / least):
        return UNUSUAL, 0.0, 0.0, 0.0, 0.0
    if n_a + n_b < n + m:
        return SPARSE, 0.0, 0.0, 0.0, 0.0
    if is_large:
        return UNSOLVED, mass, largest, 0.0, 0.0
    matrix = work.matrix[: n * m].reshape(n, m)
    for i in range(n):
        room.weights[i] = a[i]
        for j in range(m):
            matrix[i, j] = cost[i, j]
    for j in range(m):
        room.weights[n + j] = b[j]
    of_a, of_b = fixed[:n], fixed[n : n + m]
    number_atoms(work, n, m)
    solve_matrix(matrix, of_a, of_b, work, claims, 0)
    if claims.code[0] != 0:
        return UNSOLVED, 0.0, 0.0, 0.0, 0.0
    arcs = claims.n_arcs[0]
    lower, upper, value, _, is_coupling, _ = dense_bounds(
        cost,
        of_a,
        of_b,
        work.potential[:n],
        work.potential[n : n + m],
        claims.row[0, :arcs],
        claims.column[0, :arcs],
        claims.mass[0, :arcs],
        largest,
        sums[:m],
        sums[m : 2 * n + 3 * m + arcs],
    )
    return BRACKET, lower, upper, value, 1.0 if is_coupling else 0.0
