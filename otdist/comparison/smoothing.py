"""What noise on both measures says of W1: the bound of Arjovsky and Bottou.

Noise e gives two measures densities, so that their JS and total variation see how far
apart they are, as far as the noise reaches: with C the diameter of what carries mass
after it, ``W1(P, Q) <= 2 E|e| + C TV(P * e, Q * e) <= 2 E|e| + C sqrt(2 JS)``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from otdist.divergences.shannon import js_divergence, total_variation
from otdist.errors import InputError
from otdist.typing import FloatArray

# Atoms of both measures together, up to which all cells are listed: 2000 by 2000.
_MOST_ATOMS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Smoothed:
    """Two measures after box noise, and the bounds of their W1 before it.

    Attributes
    ----------
    js, tv : float
        Of the measures with noise, up to rounding: densities are constant on cells.
    mean_noise : float
        ``E|e|``, distance.
    diameter : float
        Of a box that holds all mass after the noise, distance.
    """

    js: float
    tv: float
    mean_noise: float
    diameter: float

    @property
    def js_bound(self) -> float:
        """``2 E|e| + C sqrt(2 JS)``, at least W1, distance."""
        return 2 * self.mean_noise + self.diameter * math.sqrt(2 * self.js)

    @property
    def tv_bound(self) -> float:
        """``2 E|e| + C TV``, at least W1 and never larger, distance."""
        return 2 * self.mean_noise + self.diameter * self.tv


def smoothed(
    x: FloatArray, y: FloatArray, a: FloatArray, b: FloatArray, half_width: float
) -> Smoothed:
    """Add noise, uniform on ``[-half_width, half_width]^d``, to probabilities on points.

    x (n, d) and y (m, d) with d = 1 or 2; O((n + m)**d n) time, O((n + m)**d) memory.

    References
    ----------
    Arjovsky and Bottou, "Towards principled methods for training generative adversarial
    networks", 2017, Theorem 3.3; here with E|e| for its root mean square, and without
    its factor sqrt(2) (docs/disjoint-supports.md).
    """
    d = x.shape[1]
    if d > 2:
        raise InputError(
            f"noise is for points on the line and in the plane, got {d} coordinates:"
            " take some of them, or project the points"
        )
    if len(x) + len(y) > _MOST_ATOMS:
        raise InputError(
            f"noise is for at most {_MOST_ATOMS} atoms together, got {len(x)} and"
            f" {len(y)}; take fewer points"
        )
    sizes, inside = [], []
    for k in range(d):
        ends = [z[:, k] + s for z in (x, y) for s in (-half_width, half_width)]
        edges = np.unique(np.concatenate(ends))
        sizes.append(np.diff(edges))
        inside.append([_cells(edges, z[:, k], half_width) for z in (x, y)])
    areas = sizes[0] if d == 1 else np.outer(*sizes)
    p, q = (
        np.ravel(_density(mass, [each[side] for each in inside]) * areas)
        for side, mass in enumerate((a, b))
    )
    used = p + q > 0
    both = np.concatenate([x, y])
    return Smoothed(
        js=float(js_divergence(p[used], q[used], normalize=True)),
        tv=float(total_variation(p[used], q[used], normalize=True)),
        mean_noise=half_width * (0.5, (math.sqrt(2) + math.asinh(1)) / 3)[d - 1],
        diameter=math.hypot(*(np.ptp(both, axis=0) + 2 * half_width)),
    )


def _cells(edges: FloatArray, centres: FloatArray, half_width: float) -> FloatArray:
    """Return which cells between edges the interval about each centre covers, as 0, 1."""
    first = np.searchsorted(edges, centres - half_width)
    last = np.searchsorted(edges, centres + half_width)
    cell = np.arange(len(edges) - 1)
    covered = (first[:, None] <= cell) & (cell < last[:, None])
    return covered.astype(np.float64)


def _density(mass: FloatArray, inside: list[FloatArray]) -> FloatArray:
    """Return the sum of the masses over each cell, up to a constant factor."""
    if len(inside) == 1:
        return mass @ inside[0]
    rows, columns = inside
    density: FloatArray = (rows * mass[:, None]).T @ columns
    return density
