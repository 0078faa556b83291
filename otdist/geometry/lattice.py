"""Steps between pixels: the edges of a flow on a grid."""

from __future__ import annotations

import itertools
import math

import numpy as np

from otdist.typing import FloatArray, IntArray


def unit_offsets(n_axes: int) -> list[tuple[int, ...]]:
    """Return the steps along each axis, for the L1 metric."""
    return [tuple(int(i == k) for i in range(n_axes)) for k in range(n_axes)]


def king_offsets(n_axes: int) -> list[tuple[int, ...]]:
    """Return the steps to all touching pixels, one of each two opposite ones."""
    every = itertools.product((-1, 0, 1), repeat=n_axes)
    return [offset for offset in every if offset > (0,) * n_axes]


def coprime_offsets(reach: int) -> list[tuple[int, ...]]:
    """Return the steps in the plane that are no multiple of a shorter one."""
    every = itertools.product(range(-reach, reach + 1), repeat=2)
    return [o for o in every if o > (0, 0) and math.gcd(*o) == 1]


def detour(reach: int, spacing: tuple[float, float]) -> float:
    """Return the largest ratio of a path of coprime steps to the straight line.

    Between two neighbouring directions the shortest path takes steps along both. It is longest,
    compared with the straight line, halfway between them: by 1 / cos(half their angle).
    """
    steps = [(abs(i), abs(j)) for i, j in coprime_offsets(reach)]
    angles = sorted({math.atan2(j * spacing[1], i * spacing[0]) for i, j in steps})
    widest = max(high - low for low, high in itertools.pairwise(angles))
    return 1 / math.cos(widest / 2)


def lattice(
    axes: tuple[FloatArray, ...], offsets: list[tuple[int, ...]]
) -> tuple[IntArray, IntArray]:
    """Return tails and heads of all steps that stay on the grid, in order of tails."""
    sides = [len(axis) for axis in axes]
    pixel = np.arange(math.prod(sides)).reshape(sides)
    tails, heads = [], []
    for offset in offsets:
        here = tuple(slice(max(-o, 0), min(-o, 0) or None) for o in offset)
        there = tuple(slice(max(o, 0), min(o, 0) or None) for o in offset)
        tails.append(pixel[here].ravel())
        heads.append(pixel[there].ravel())
    return np.concatenate(tails), np.concatenate(heads)
