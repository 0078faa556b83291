"""How many times longer POT takes than otdist: what those benchmarks have in common.

A benchmark measures in its own `setup_cache`, since asv tells caches apart by the
line they are written on.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable
from typing import Any

from benchmarks import peers

#: Seconds for all sizes and families together.
TIMEOUT = 24 * 3600

Ratios = dict[tuple[int, str], float]


def measure(
    sizes: Iterable[int],
    families: Iterable[str],
    make: Callable[[str, int], Any],
    peer: Callable[[Any], object],
    repeats: int | None,
) -> Ratios:
    """Return POT / otdist for each size and family that can be made here."""
    families = tuple(families)
    peers.warm_up()
    ratios = {}
    for n in sizes:
        for family in families:
            try:
                instance = make(family, n)
                compared = peers.compare(instance, repeats or peers.rounds(n), peer)
            except NotImplementedError:
                continue
            ratios[n, family] = compared.ratio
    return ratios


class _PerFamily:
    """In the same process, one thread each."""

    param_names = ("n", "family")

    def setup(self, ratios, n, family):
        if (n, family) not in ratios:
            raise NotImplementedError

    def track_ratio_to_pot(self, ratios, n, family):
        return ratios[n, family]

    track_ratio_to_pot.unit = "POT / otdist"


class _OverFamilies:
    param_names = ("n",)

    def setup(self, ratios, n):
        self.ratios = [ratio for (size, _), ratio in ratios.items() if size == n]
        if not self.ratios:
            raise NotImplementedError

    def track_worst(self, ratios, n):
        return min(self.ratios)

    def track_geometric_mean(self, ratios, n):
        return statistics.geometric_mean(self.ratios)

    track_worst.unit = track_geometric_mean.unit = "POT / otdist"
