"""Directions for slices: unit vectors, in blocks that are independent of each other."""

from __future__ import annotations

import importlib
from typing import Literal

import numpy as np

from otdist.runtime.interrupts import unbroken
from otdist.typing import FloatArray

Directions = Literal["orthogonal", "random", "quasi"]

DIRECTIONS = ("orthogonal", "random", "quasi")
# Blocks, at least, where there are directions enough: their means tell the error.
_FEWEST = 8


def blocks_of(
    n: int, d: int, directions: Directions, generator: np.random.Generator
) -> list[FloatArray]:
    """Return independent blocks of directions; each alone is distributed alike."""
    if directions == "random":
        return np.split(on_sphere(generator.standard_normal((n, d))), n)
    n_blocks = min(_FEWEST, max(n // 2, 1))
    if directions == "orthogonal":
        n_blocks = max(n_blocks, -(-n // d))
    make = _frames if directions == "orthogonal" else _sobol
    size, n_larger = divmod(n, n_blocks)
    return [
        *make(n_larger, size + 1, d, generator),
        *make(n_blocks - n_larger, size, d, generator),
    ]


def on_sphere(points: FloatArray) -> FloatArray:
    """Return the points divided by their norms."""
    return np.asarray(points / np.linalg.norm(points, axis=1, keepdims=True))


def _frames(n: int, size: int, d: int, generator: np.random.Generator) -> FloatArray:
    """Return n sets of vectors at right angles: normal ones made orthogonal in turn."""
    columns = np.linalg.qr(generator.standard_normal((n, d, size)))[0]
    # Their signs are not random, and do not matter: u and -u see the same.
    return np.swapaxes(columns, 1, 2)


def _sobol(n: int, size: int, d: int, generator: np.random.Generator) -> list[FloatArray]:
    """Return n scrambles of Sobol points on the sphere."""
    return [_scramble(size, d, generator) for _ in range(n)]


def _scramble(size: int, d: int, generator: np.random.Generator) -> FloatArray:
    """Return scrambled Sobol points, brought to the sphere without loss of evenness."""
    unbroken(importlib.import_module, "scipy.stats.qmc")
    from scipy.special import ndtri
    from scipy.stats.qmc import Sobol

    sequence = Sobol(d - 1 if d <= 3 else d, seed=generator)
    unit = sequence.random_base2(max(size - 1, 0).bit_length())[:size]
    if d > 3:
        # A scrambled point may be 0.
        return on_sphere(ndtri(np.clip(unit, 1e-16, 1 - 1e-16)))
    # Half a turn is enough, since u and -u are one; heights in space are uniform.
    angle = np.pi * unit[:, 0] * (1 if d == 2 else 2)
    circle = np.column_stack([np.cos(angle), np.sin(angle)])
    if d == 2:
        return circle
    height = unit[:, 1:]
    return np.hstack([circle * np.sqrt(1 - height**2), height])
