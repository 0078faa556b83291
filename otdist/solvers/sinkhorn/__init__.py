"""The entropic engine: annealing, passes over all pairs, Newton steps on a part.

``passes`` goes over all pairs, ``balance`` solves on the entries that matter, ``anneal``
lowers epsilon and decides what to do next, and ``coarse`` finds where to start. Two
images go through ``grid`` instead, which sums over one axis after the other.
"""

from __future__ import annotations


def part_of_mean(gap: float | None) -> float:
    """Return the part of the mean cost to take for epsilon: 1 %, or less for a gap."""
    return 0.01 if gap is None else max(min(0.01, 0.3 * gap), 1e-8)
