"""What a user waits for in a fresh process, NumPy's import included.

Wanted: import < 0.2 s; import and first distance < 3 s where nothing is compiled
yet, < 0.6 s once the cache on disk is warm.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile

_CHILD = """
import time
start = time.perf_counter()
import otdist
{then}
print(time.perf_counter() - start)
"""
_POINTS = {
    "plane": "[[0.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [1.0, 1.0]]",
    "line": "[0.0, 1.0, 3.0], [5.0, 6.0, 8.0]",
}


def seconds_in_fresh_process(then: str, cache: str) -> float:
    """Return the time to import otdist and then do something."""
    child = subprocess.run(
        [sys.executable, "-c", _CHILD.format(then=then)],
        env={**os.environ, "NUMBA_CACHE_DIR": cache},
        capture_output=True,
        text=True,
        check=False,
    )
    if child.returncode:
        raise RuntimeError(child.stderr)
    return float(child.stdout)


def first_distance(points: str, cache: str) -> float:
    then = f"otdist.wasserstein_distance({_POINTS[points]})"
    return seconds_in_fresh_process(then, cache)


class Import:
    unit = "seconds"
    repeats = 5

    def track_import(self):
        with tempfile.TemporaryDirectory() as cache:
            return statistics.median(
                seconds_in_fresh_process("", cache) for _ in range(self.repeats)
            )


class FirstDistance:
    params = (tuple(_POINTS),)
    param_names = ("points",)
    timeout = 300
    unit = "seconds"
    repeats = 5

    def track_cold(self, points):
        seconds = []
        for _ in range(self.repeats):
            with tempfile.TemporaryDirectory() as cache:
                seconds.append(first_distance(points, cache))
        return statistics.median(seconds)

    def track_warm(self, points):
        with tempfile.TemporaryDirectory() as cache:
            first_distance(points, cache)
            return statistics.median(first_distance(points, cache) for _ in range(self.repeats))
