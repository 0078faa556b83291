"""Time clouds that are not in general position against uniform ones of the same size.

    python -m benchmarks.degenerate [--n 4000] [family …]

Ties, points on lines, copies and coordinates over many orders of magnitude must not fool the
exact solver. A row is the median time of a family, with its certificate, and the median of its
ratios to the uniform clouds: both take turns, so that a busy machine makes both slower. Ends
with exit code 1 if a ratio exceeds `LIMIT`.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np

from otdist import Problem, solve
from otdist.typing import FloatArray

#: Times of a family may be this many times those of uniform clouds.
LIMIT = 10.0
ROUNDS = 3
#: Atoms on the side that has few.
FEW = 3

_Cloud = Callable[[np.random.Generator, int], FloatArray]


def _on_line(t: FloatArray) -> FloatArray:
    return np.outer(t, [0.6, 0.8])


def _lattice(rng: np.random.Generator, n: int) -> FloatArray:
    side = int(np.ceil(np.sqrt(n)))
    points = np.stack(np.meshgrid(np.arange(side), np.arange(side)), axis=-1).reshape(-1, 2)
    return rng.permutation(points.astype(float))[:n]


def _two_lines(rng: np.random.Generator, n: int) -> FloatArray:
    points = np.zeros((n, 2))
    points[np.arange(n), rng.integers(0, 2, n)] = rng.uniform(-1, 1, n)
    return points


def _circle(rng: np.random.Generator, n: int) -> FloatArray:
    t = rng.uniform(0, 2 * np.pi, n)
    return np.stack([np.cos(t), np.sin(t)], axis=1)


def _one_far(rng: np.random.Generator, n: int) -> FloatArray:
    points = rng.random((n, 2))
    points[0] = rng.uniform(-1e6, 1e6, 2)
    return points


#: Clouds of n points; both sides of a problem are drawn from one family.
CLOUDS: dict[str, _Cloud] = {
    "axis": lambda rng, n: np.stack([rng.random(n), np.zeros(n)], axis=1),
    "line": lambda rng, n: _on_line(rng.random(n)),
    "line_in_space": lambda rng, n: np.outer(rng.random(n), [0.3, 0.5, 0.9]),
    "nearly_a_line": lambda rng, n: _on_line(rng.random(n)) + 1e-9 * rng.random((n, 2)),
    "clusters_on_a_line": lambda rng, n: _on_line(rng.integers(0, 20, n) + 1e-3 * rng.random(n)),
    "two_lines": _two_lines,
    "circle": _circle,
    "powers_of_two_on_a_line": lambda rng, n: _on_line(2.0 ** rng.uniform(-50, 50, n)),
    "powers_of_two": lambda rng, n: 2.0 ** rng.uniform(-50, 50, (n, 2)),
    "whole_powers_of_two": lambda rng, n: 2.0 ** rng.integers(-30, 31, (n, 2)),
    "lattice": _lattice,
    "lattice_shifted": lambda rng, n: _lattice(rng, n) + rng.integers(0, 9, 2),
    "integers": lambda rng, n: rng.integers(0, 1000, (n, 2)).astype(float),
    "few_integers": lambda rng, n: rng.integers(0, 30, (n, 2)).astype(float),
    "tight_clusters": lambda rng, n: rng.integers(0, 5, (n, 2)) + 1e-6 * rng.random((n, 2)),
    "one_far_point": _one_far,
    "copies": lambda rng, n: rng.random((n // 4, 2))[rng.integers(0, n // 4, n)],
}


def problems(n: int, p: float, weighted: bool) -> dict[str, Problem]:
    """Return a problem of each family, `uniform` first."""
    found = {}
    makers: dict[str, tuple[_Cloud, _Cloud]] = {
        "uniform": (_uniform, _uniform),
        **{name: (cloud, cloud) for name, cloud in CLOUDS.items()},
        "crossing_lines": (CLOUDS["axis"], lambda rng, n: CLOUDS["axis"](rng, n)[:, ::-1]),
        "copies_of_one": (lambda rng, n: np.tile(rng.random(2), (n, 1)), _uniform),
        "few_points": (_uniform, lambda rng, n: rng.random((FEW, 2))),
    }
    for name, (first, second) in makers.items():
        rng = np.random.default_rng([n, len(name)])
        x, y = first(rng, n), second(rng, n)
        a, b = (rng.dirichlet(np.ones(len(each))) if weighted else None for each in (x, y))
        found[name] = Problem(x, y, a, b, p=p, normalize=weighted)
    return found


def _uniform(rng: np.random.Generator, n: int) -> FloatArray:
    return rng.random((n, 2))


def seconds(problem: Problem) -> float:
    """Return the time of a solve, which has to be proved."""
    start = time.perf_counter()
    result = solve(problem)
    assert result.certificate.relative_gap < 1e-9, result.message
    return time.perf_counter() - start


def ratio(problem: Problem, uniform: Problem) -> tuple[float, float]:
    """Return the median time of a problem, and the median of its ratios to the uniform one."""
    times = [(seconds(uniform), seconds(problem)) for _ in range(ROUNDS)]
    return statistics.median(t for _, t in times), statistics.median(t / u for u, t in times)


def main() -> int:
    """Print a row for each family; return 1 if one is too slow."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("families", nargs="*", help="all by default")
    parser.add_argument("--n", type=int, default=4000)
    arguments = parser.parse_args()
    worst = 0.0
    for p in (1.0, 2.0):
        for weighted in (False, True):
            every = problems(arguments.n, p, weighted)
            uniform = every.pop("uniform")
            seconds(uniform)  # compiles
            for name, problem in every.items():
                if arguments.families and name not in arguments.families:
                    continue
                seconds(problem)
                median, times = ratio(problem, uniform)
                worst = max(worst, times)
                weights = "random" if weighted else "uniform"
                mark = "  too slow" if times > LIMIT else ""
                row = f"{name:24} p={p:g} {weights:8} {median:8.3f} s {times:6.1f} x{mark}"
                print(row, flush=True)
    print(f"worst {worst:.1f} x, at most {LIMIT:g} x")
    return int(worst > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
