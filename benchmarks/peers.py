"""What is timed, otdist and others, and how two of them are timed side by side."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numba  # noqa: F401 - loaded here, once, before asv forks
import numpy as np

from benchmarks.instances import Instance
from otdist import Certificate, Problem, Result, certify, solve

try:
    import ot
except ImportError:
    ot = None


class Comparison(NamedTuple):
    """Medians in seconds on one instance, and the gap that otdist proved."""

    otdist: float
    pot: float
    gap: float

    @property
    def ratio(self) -> float:
        return self.pot / self.otdist


def warm_up() -> None:
    """Compile the kernels, or load them from the cache."""
    solve(Problem.from_cost(np.eye(3)))


def exact(instance: Instance, method: str = "network_simplex") -> Result:
    """Do the whole job: validate, solve, certify."""
    problem = Problem.from_cost(instance.cost, instance.a, instance.b)
    return solve(problem, method=method)


def load_pot() -> Any:
    """Return POT, or skip the benchmark."""
    if ot is None:
        raise NotImplementedError("POT is not installed")
    return ot


def pot_emd2(instance: Instance, keep_plan: bool = False) -> tuple[float, dict]:
    """Return POT's value and log, after making sure that it ran to the end.

    Its default, numItermax=100000, ends with a warning and a wrong value from about
    n = 2000 on.
    """
    value, log = load_pot().emd2(
        instance.a,
        instance.b,
        instance.cost,
        numItermax=10**9,
        numThreads=1,
        log=True,
        return_matrix=keep_plan,
    )
    if log["warning"] is not None:
        raise RuntimeError(f"POT, code {log['result_code']}: {log['warning']}")
    return value, log


def pot_certificate(instance: Instance) -> Certificate:
    """Prove POT's answer, as any other."""
    _, log = pot_emd2(instance, keep_plan=True)
    problem = Problem.from_cost(instance.cost, instance.a, instance.b)
    return certify(problem, log["G"], log["u"], log["v"])


def medians(
    calls: list[Callable[[], object]], repeats: int, number: int = 1
) -> list[float]:
    """Time calls in turn, so that a slow moment of the machine meets all of them.

    Every other round runs in reverse. `number` calls make one timing.
    """
    seconds: list[list[float]] = [[] for _ in calls]
    order = list(range(len(calls)))
    for _ in range(repeats):
        for k in order:
            start = time.perf_counter()
            for _ in range(number):
                calls[k]()
            seconds[k].append((time.perf_counter() - start) / number)
        order.reverse()
    return [statistics.median(each) for each in seconds]


def rounds(n: int) -> int:
    """Return how many timings a median takes: 5, but 3 above n = 2000."""
    return 5 if n <= 2000 else 3


def compare(instance: Instance, repeats: int) -> Comparison:
    """Time otdist, certificate included, and POT, both to the optimum."""
    gap = exact(instance).relative_gap
    calls = [lambda: exact(instance), lambda: pot_emd2(instance)]
    ours, theirs = medians(calls, repeats)
    return Comparison(ours, theirs, gap)


def threads() -> str:
    """Return how many threads the libraries were told to use."""
    return os.environ.get("OMP_NUM_THREADS", "all")
