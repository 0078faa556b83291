"""Pairs of distributions with exact distances, for testing estimates.

Every function returns a `Pair`: two samplers, their exact W1, and KL, JS (factor 1/2, in nats)
and total variation where they are known.
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
