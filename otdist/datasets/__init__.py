"""Pairs of measures whose distance is known, to test estimates against.

Every constructor returns a `Pair`: two samplers, the exact W1 between their laws,
and KL, JS (factor 1/2, in nats) and total variation where they are known.
"""

from otdist.datasets.families import (
    Pair,
    ball_funnel,
    concentric_spheres,
    crossing_segments,
    parallel_lines,
    ray_pair,
    ring_of_modes,
    translation,
)

__all__ = [
    "Pair",
    "ball_funnel",
    "concentric_spheres",
    "crossing_segments",
    "parallel_lines",
    "ray_pair",
    "ring_of_modes",
    "translation",
]
