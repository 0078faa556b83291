"""What is timed, otdist and others, and how two of them are timed side by side."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numba  # noqa: F401 - loaded here, once, before asv forks
from scipy.optimize import linear_sum_assignment

from benchmarks.instances import Clouds, FloatArray, Instance, make_points
from otdist import Certificate, Result, certify, emd, solve

try:
    import ot
except ImportError:
    ot = None

# POT's default, 100000, ends with a warning and a wrong value from about n = 2000 on.
_TO_THE_END = 10**9


class Comparison(NamedTuple):
    """Medians in seconds on one instance, and the gap that otdist proved."""

    otdist: float
    peer: float
    gap: float

    @property
    def ratio(self) -> float:
        return self.peer / self.otdist


def warm_up() -> None:
    """Compile the kernels, or load them from the cache."""
    # The larger one is beyond the sizes that are priced whole, or certified by NumPy.
    small, points = make_points("gaussian_2", 3), make_points("gaussian_2", 1100)
    for instance in (small.matrix(), points.matrix(), points):
        exact(instance)


def exact(instance: Instance | Clouds, method: str = "network_simplex") -> Result:
    """Do the whole job: validate, solve, certify."""
    return solve(instance.problem(), method=method)


def otdist_emd(instance: Instance) -> float:
    """Do the whole job in the call that most users make."""
    return emd(instance.a, instance.b, instance.cost)


def load_pot() -> Any:
    """Return POT, or skip the benchmark."""
    if ot is None:
        raise NotImplementedError("POT is not installed")
    return ot


def pot_emd2(instance: Instance, keep_plan: bool = False) -> tuple[float, dict]:
    """Return POT's value and log of a cost matrix."""
    return _emd2(instance, instance.cost, keep_plan)


def pot_dist_emd2(clouds: Clouds, keep_plan: bool = False) -> tuple[float, dict]:
    """Do the same with the matrix that POT itself makes of points."""
    cost = load_pot().dist(clouds.x, clouds.y, metric=clouds.cost_name)
    return _emd2(clouds, cost, keep_plan)


def pot_emd2_lazy(clouds: Clouds, keep_plan: bool = False) -> tuple[float, dict]:
    """Return POT's value and log of points, of which it makes no matrix."""
    value, log = load_pot().lp.emd2_lazy(
        clouds.x,
        clouds.y,
        clouds.a,
        clouds.b,
        metric=clouds.cost_name,
        numItermax=_TO_THE_END,
        log=True,
        return_matrix=keep_plan,
    )
    _require_optimum(log)
    return value, log


def _emd2(instance: Instance | Clouds, cost: FloatArray, keep_plan: bool) -> tuple[float, dict]:
    value, log = load_pot().emd2(
        instance.a,
        instance.b,
        cost,
        numItermax=_TO_THE_END,
        numThreads=1,
        log=True,
        return_matrix=keep_plan,
    )
    _require_optimum(log)
    return value, log


def _require_optimum(log: dict) -> None:
    if log["warning"] is not None:
        raise RuntimeError(f"POT, code {log['result_code']}: {log['warning']}")


def assignment(instance: Instance) -> object:
    """Solve with SciPy, for uniform weights and n = m only; there is no certificate."""
    return linear_sum_assignment(instance.cost)


def pot_certificate(
    instance: Instance | Clouds, peer: Callable[..., tuple[float, dict]] = pot_emd2
) -> Certificate:
    """Prove POT's answer, as any other."""
    _, log = peer(instance, keep_plan=True)
    return certify(instance.problem(), log["G"], log["u"], log["v"])


def medians(calls: list[Callable[[], object]], repeats: int, number: int = 1) -> list[float]:
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


def compare(
    instance: Any,
    repeats: int,
    peer: Callable[[Any], object] = pot_emd2,
    ours: Callable[[Any], object] = exact,
) -> Comparison:
    """Time otdist, certificate included, and a peer, both to the optimum.

    `ours` may stop before it, at a gap of its own.
    """
    result = ours(instance)
    proved = result if isinstance(result, Result) else exact(instance)
    gap = proved.relative_gap
    calls = [lambda: ours(instance), lambda: peer(instance)]
    return Comparison(*medians(calls, repeats), gap)


def threads() -> str:
    """Return how many threads the libraries were told to use."""
    return os.environ.get("OMP_NUM_THREADS", "all")
