"""An upper bound of W1 from noise on both measures, by Arjovsky and Bottou.

With noise e two measures have densities, and within the reach of the noise their JS and
total variation depend on the distance of their supports. With the diameter C of the
supports after adding noise,
``W1(P, Q) <= 2 E|e| + C TV(P * e, Q * e) <= 2 E|e| + C sqrt(2 JS(P * e, Q * e))``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from otdist.divergences.shannon import js_divergence, total_variation
from otdist.errors import InputError
from otdist.typing import FloatArray

# Largest number of atoms of both measures together: they make up to 2000 by 2000 cells.
_MOST_ATOMS = 1000
# Areas of cells are numbers below this.
_FARTHEST = 1e150


@dataclass(frozen=True, slots=True, kw_only=True)
class Smoothed:
    """Divergences of two measures with box noise, and bounds of W1 of the measures.

    Attributes
    ----------
    js, tv : float
        JS and total variation with noise; exact up to rounding, as the densities are
        constant on cells.
    mean_noise : float
        ``E|e|``, in units of distance.
    diameter : float
        Diameter of a box that contains both supports with noise, in units of distance.
    """

    js: float
    tv: float
    mean_noise: float
    diameter: float

    @property
    def js_bound(self) -> float:
        """``2 E|e| + C sqrt(2 JS)``, an upper bound of W1."""
        return 2 * self.mean_noise + self.diameter * math.sqrt(2 * self.js)

    @property
    def tv_bound(self) -> float:
        """``2 E|e| + C TV``, an upper bound of W1 and at most `js_bound`."""
        return 2 * self.mean_noise + self.diameter * self.tv


def smoothed(
    x: FloatArray, y: FloatArray, a: FloatArray, b: FloatArray, half_width: float
) -> Smoothed:
    """Add noise that is uniform on ``[-half_width, half_width]^d`` to two measures.

    x (n, d) and y (m, d) are points with d = 1 or 2, a and b their probabilities.
    O((n + m)**d n) time, O((n + m)**d) memory.

    References
    ----------
    Arjovsky and Bottou, "Towards principled methods for training generative adversarial
    networks", 2017, Theorem 3.3; here with E|e| instead of its root mean square, and without
    the factor sqrt(2) (docs/guide/disjoint-supports.md).
    """
    d = x.shape[1]
    if d > 2:
        raise InputError(
            f"noise needs points of 1 or 2 coordinates, got {d}; select some of them, or"
            " project the points"
        )
    if len(x) + len(y) > _MOST_ATOMS:
        raise InputError(
            f"noise needs at most {_MOST_ATOMS} points in x and y together, got {len(x)} and"
            f" {len(y)}; pass a subsample"
        )
    if not np.abs(np.concatenate([x, y])).max() + half_width < _FARTHEST:
        raise InputError(f"noise and points must stay below {_FARTHEST:.0e}; divide all by a scale")
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
    """Return 1 for each centre and each cell that its interval covers, else 0."""
    first = np.searchsorted(edges, centres - half_width)
    last = np.searchsorted(edges, centres + half_width)
    cell = np.arange(len(edges) - 1)
    covered = (first[:, None] <= cell) & (cell < last[:, None])
    return covered.astype(np.float64)


def _density(mass: FloatArray, inside: list[FloatArray]) -> FloatArray:
    """Return the density on each cell, up to a constant factor."""
    if len(inside) == 1:
        return mass @ inside[0]
    rows, columns = inside
    density: FloatArray = (rows * mass[:, None]).T @ columns
    return density
