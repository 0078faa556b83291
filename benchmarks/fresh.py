"""One solve in a process of its own, where memory can be told apart from the past.

The child compiles or loads every kernel on a smaller problem of the same family, makes
its input, and only then are time and memory counted. It does not import the peers.
"""

from __future__ import annotations

import ctypes
import gc
import json
import math
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.instances import Clouds, Instance, make, make_points
from otdist import Result, solve

_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")
_MAKERS = {"matrix": make, "points": make_points}
_WARM_UP = 1100  # enough for column generation, a coarse start and a compiled check
# The root comes last on the path, so that an installed otdist is the one measured.
_CHILD = """
import sys
sys.path.append({root!r})
from benchmarks import fresh
fresh.report({kind!r}, {family!r}, {n}, {options!r})
"""


class Measured(NamedTuple):
    """Shape, seconds, gap proved, bytes of memory held before and at most during.

    Memory is nan where the system does not tell: Linux does.
    """

    shape: tuple[int, int]
    seconds: float
    gap: float
    before: float
    peak: float


def measure(kind: str, family: str, n: int, **options: Any) -> Measured:
    """Solve a family's matrix or points, validation and certificate included.

    Options are those of `solve`; the method is network_simplex unless they say so.
    """
    root = str(Path(__file__).resolve().parents[1])
    program = _CHILD.format(root=root, kind=kind, family=family, n=n, options=options)
    child = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    if child.returncode:
        raise RuntimeError(child.stderr)
    return Measured(*json.loads(child.stdout))


def report(kind: str, family: str, n: int, options: dict[str, Any]) -> None:
    """Do it, and print what was measured: the child's part."""
    make_instance = _MAKERS[kind]
    _solve(make_instance(family, min(n, _WARM_UP)), options)
    instance = make_instance(family, n)
    _forget_the_past()
    before = _memory("VmRSS")
    start = time.perf_counter()
    result = _solve(instance, options)
    seconds = time.perf_counter() - start
    peak = _memory("VmHWM")
    measured = Measured(instance.shape, seconds, result.relative_gap, before, peak)
    sys.stdout.write(json.dumps(measured))


def _solve(instance: Instance | Clouds, options: dict[str, Any]) -> Result:
    return solve(instance.problem(), **{"method": "network_simplex", **options})


def _forget_the_past() -> None:
    """Give free memory back, and begin the record of the peak anew."""
    if _CLEAR_REFS.exists():
        gc.collect()
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
        _CLEAR_REFS.write_text("5")


def _memory(name: str) -> float:
    if _STATUS.exists():
        for line in _STATUS.read_text().splitlines():
            if line.startswith(name + ":"):
                return 1024.0 * int(line.split()[1])
    return math.nan
