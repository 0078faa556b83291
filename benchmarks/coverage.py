"""How often `w1_interval` covers W1: ``python -m benchmarks.coverage``.

Each row repeats samples of n points; ends that miss are counted on either side, and so
are held-out values more than 1.645 standard errors above W1, which 5 % may be.
"""

from __future__ import annotations

import argparse
import sys
from typing import NamedTuple

import numpy as np

from otdist import datasets, w1_interval


class Case(NamedTuple):
    """A pair on a bounded support, and how it is estimated."""

    pair: datasets.Pair
    options: dict
    critic: str


def _atoms(p: float) -> datasets.Pair:
    """An atom at 0, and a part p of it moved to 1: the most that a mean can vary."""
    return datasets.Pair(
        dimension=1,
        first=lambda n, rng: (rng.random((n, 1)) < p).astype(float),
        second=lambda n, rng: np.zeros((n, 1)),
        w1=p,
    )


CASES = {
    "atoms": Case(_atoms(0.5), {"diameter": 1.0}, "linear"),
    "bands": Case(_atoms(0.5), {"diameter": 1.0}, "auto"),
    "lines": Case(datasets.parallel_lines(0.5), {"box": (0.0, 1.0)}, "linear"),
    "ball": Case(datasets.ball_funnel(3), {"diameter": 2.0}, "radial"),
    "spheres": Case(datasets.concentric_spheres(3), {"diameter": 4.0}, "radial"),
    "segments": Case(datasets.crossing_segments(), {"diameter": 1.0}, "ridge"),
    "ring": Case(datasets.ring_of_modes(), {"diameter": 4.0}, "auto"),
    "rays": Case(datasets.ray_pair(4, 4, rng=1), {"box": (-2.5, 2.5)}, "auto"),
}


class Counts(NamedTuple):
    """Parts of the repeats."""

    covered: float
    lower_above: float
    upper_below: float
    value_above: float


def counts(case: Case, n: int, repeats: int, confidence: float) -> Counts:
    found = []
    for repeat in range(repeats):
        x, y = case.pair.sample(n, rng=repeat)
        interval = w1_interval(
            x, y, confidence=confidence, critic=case.critic, rng=repeat, **case.options
        )
        critic, w1 = interval.critic, case.pair.w1
        found.append(
            (
                interval.lower <= w1 <= interval.upper,
                interval.lower > w1,
                interval.upper < w1,
                critic is not None and critic.value - 1.645 * critic.standard_error > w1 + 1e-12,
            )
        )
    return Counts(*np.mean(found, axis=0).tolist())


class Coverage:
    params = (tuple(CASES),)
    param_names = ("pair",)
    repeats = 50
    number = 1

    def track_covered(self, pair):
        return counts(CASES[pair], 40, self.repeats, 0.95).covered

    track_covered.unit = "part of the repeats"


def main(argv=None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pair", choices=CASES, nargs="*", default=list(CASES))
    parser.add_argument("--repeats", type=int, default=1000)
    parser.add_argument("--n", type=int, default=40)
    parser.add_argument("--confidence", type=float, default=0.95)
    options = parser.parse_args(argv)
    write = sys.stdout.write
    write(f"{'pair':>9} {'critic':>7}  covered  lower>W1  upper<W1  value>W1+1.645se\n")
    for name in options.pair:
        case = CASES[name]
        found = counts(case, options.n, options.repeats, options.confidence)
        write(
            f"{name:>9} {case.critic:>7}  {found.covered:7.3f} {found.lower_above:9.3f}"
            f" {found.upper_below:9.3f} {found.value_above:16.3f}\n"
        )
        sys.stdout.flush()


if __name__ == "__main__":
    main()
