"""Networks as critics where W1 is known: ``python -m benchmarks.torch_critics``.

Pairs of the W1 benchmark (Korotin, Kolesov, Burnaev, 2022), as fresh draws of centres
and samples. The critics of the two WGAN papers, a network whose Lipschitz constant is
proved, and the exact dual of 2000 points beside them. Estimates are from 16384 points of
either distribution that no training saw; seconds are processor time on one thread, drawing
included. Needs ``pip install "otdist[torch]"``.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from typing import NamedTuple

import numpy as np

from benchmarks.critics import SEED, cosine
from otdist import datasets, kr_dual
from otdist.critics.sample import Sample

DIMENSIONS = (2, 16)
FUNNELS = (4, 16)
KINDS = ("clip", "gp", "orthonormal", "mcshane")
N_EXACT = 2000  # points of either distribution that the exact dual sees
N_HELD_OUT = 1 << 14


class Outcome(NamedTuple):
    """One critic beside the truth; value and error relative to W1."""

    value: float
    error: float
    cosine: float
    lipschitz: float
    seconds: float
    w1: float


def on_rays(d: int, n_funnels: int, kind: str, steps: int | None = None) -> Outcome:
    pair = datasets.ray_pair(d, n_funnels, rng=[SEED, d, n_funnels])
    start = time.process_time()
    if kind == "mcshane":
        x, y = pair.sample(N_EXACT, rng=[d, n_funnels])
        critic = kr_dual(x, y, critic="mcshane")
    else:
        from otdist.torch import train_critic

        critic = train_critic(pair.first, pair.second, kind=kind, steps=steps, rng=[d, n_funnels])
    seconds = time.process_time() - start
    held_out = pair.sample(N_HELD_OUT, rng=[SEED, 2])
    sample = Sample.of(*held_out, *np.ones((2, N_HELD_OUT)))
    values = [critic(points) for points in held_out]
    return Outcome(
        sample.difference(*values) / pair.w1,
        math.hypot(sample.standard_error(*values), pair.w1_error) / pair.w1,
        cosine(pair, critic),
        critic.lipschitz,
        seconds,
        pair.w1,
    )


HEAD = (
    f"{'d':>3} {'N':>3} {'W1':>7} {'critic':>12} {'% of W1':>8} {'± se':>5}"
    f" {'cos':>6} {'proved L':>10} {'s':>6}"
)


def main() -> None:
    import torch

    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, help="of each training")
    steps = parser.parse_args().steps
    sys.stdout.write(HEAD + "\n")
    for d in DIMENSIONS:
        for n_funnels in FUNNELS:
            for kind in KINDS:
                found = on_rays(d, n_funnels, kind, steps)
                sys.stdout.write(
                    f"{d:3} {n_funnels:3} {found.w1:7.4f} {kind:>12}"
                    f" {100 * found.value:8.1f} {100 * found.error:5.1f}"
                    f" {found.cosine:6.3f} {found.lipschitz:10.4g}"
                    f" {found.seconds:6.1f}\n"
                )
                sys.stdout.flush()


if __name__ == "__main__":
    main()
