"""The entropic engine: annealing, passes over all pairs, Newton steps on large entries.

``scaling`` iterates without logarithms where exponents fit in float64. Elsewhere ``sweeps``
passes over all pairs, ``newton`` solves on the larger entries of the plan, ``annealing`` lowers
epsilon and chooses between them, and ``coarsen`` finds a start. Two images are solved in
``grid`` instead, which sums over one axis after the other.
"""

from __future__ import annotations

import numpy as np

from otdist.geometry.protocol import Geometry
from otdist.solvers.registry import start_from
from otdist.typing import FloatArray


def part_of_mean(gap: float | None) -> float:
    """Return epsilon as a part of the mean cost: 1 %, or less for a smaller gap."""
    return 0.01 if gap is None else max(min(0.01, 0.3 * gap), 1e-8)


def start_of_size(geometry: Geometry, warm_start: tuple[FloatArray, FloatArray]) -> FloatArray:
    """Return g of a warm start as it is, or c-concave where it is much larger than the costs."""
    g = warm_start[1]
    return start_from(geometry, warm_start) if np.ptp(g) > 2 * geometry.largest else g
