"""Time this checkout against another commit, call by call, in one run.

    python -m benchmarks.against c30795b [exact points sinkhorn pairwise line other startup]

Each commit has a process of its own. The two processes take turns call by call, so that a
machine that becomes slower makes both slower. A row is the median time of the other commit,
that of this checkout, and the median of the ratios of neighbouring calls: below 1 this
checkout is faster. Both call the public functions only, with one thread.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
#: Seconds that the calls of one case take on each side, and how many there are at least.
BUDGET, FEWEST, MOST = 2.0, 7, 60
#: Calls below this many seconds are timed several at a time.
SHORTEST = 2e-3

Case = tuple[str, Callable[[], Any]]


def exact(od: Any, np: Any) -> Iterator[Case]:
    """Cost matrices: uniform and random weights, ties, rectangles."""
    for n in (10, 50, 200, 500, 1500):
        for family in ("plane", "random", "integers", "rectangle"):
            rng = np.random.default_rng(n)
            m = n * 3 // 5 if family == "rectangle" else n
            x, y = rng.normal(size=(n, 2)), rng.normal(size=(m, 2)) + 0.5
            cost = np.sqrt(((x[:, None] - y) ** 2).sum(axis=2))
            if family == "random":
                cost = rng.random((n, m))
            if family == "integers":
                cost = rng.integers(0, 10, (n, m)).astype(float)
            a = np.full(n, 1 / n) if family == "plane" else rng.dirichlet(np.ones(n))
            b = np.full(m, 1 / m) if family == "plane" else rng.dirichlet(np.ones(m))
            yield f"emd {family} n={n}", lambda a=a, b=b, cost=cost: od.emd(a, b, cost)


def points(od: Any, np: Any) -> Iterator[Case]:
    """Point clouds in several dimensions."""
    for n in (10, 50, 200, 500, 1000, 3000):
        for d in (2, 3, 16, 64):
            rng = np.random.default_rng(n + d)
            x, y = rng.normal(size=(n, d)), rng.normal(size=(n, d)) + 0.3
            a = rng.dirichlet(np.ones(n))
            yield f"points W1 n={n} d={d}", lambda x=x, y=y: od.wasserstein_distance(x, y)
            if d in (2, 16) and n <= 1000:
                yield (
                    f"points W2 weighted n={n} d={d}",
                    lambda x=x, y=y, a=a: od.wasserstein_distance(x, y, a, p=2),
                )
    x, y = (np.random.default_rng(k).normal(size=(1000, 2)) for k in (1, 2))
    problem = od.Problem(x, y)
    yield "solve n=1000 d=2", lambda: od.solve(problem)
    result = od.solve(problem)
    yield "certify n=1000 d=2", lambda: od.certify(problem, result.plan, *result.potentials)


def sinkhorn(od: Any, np: Any) -> Iterator[Case]:
    """Entropic problems from points, matrices and grids."""
    for n in (50, 500, 2000):
        for d in (2, 16):
            rng = np.random.default_rng(n + d)
            x, y = rng.normal(size=(n, d)), rng.normal(size=(n, d)) + 0.3
            problem = od.Problem(x, y)
            yield (
                f"sinkhorn points n={n} d={d}",
                lambda problem=problem: od.solve(problem, method="sinkhorn"),
            )
        cost = rng.random((n, n))
        matrix = od.Problem.from_cost(cost)
        yield (
            f"sinkhorn matrix n={n}",
            lambda matrix=matrix: od.solve(matrix, method="sinkhorn", epsilon=0.01),
        )
        yield (
            f"sinkhorn divergence n={n}",
            lambda x=x, y=y: od.sinkhorn_divergence(x[:, :2], y[:, :2], epsilon=0.1),
        )
    a, b = np.random.default_rng(3).random((2, 64, 64))
    grid = od.Problem.on_grid(a, b, p=2, normalize=True)
    yield "sinkhorn grid 64x64", lambda: od.solve(grid, method="sinkhorn", epsilon=2.0)


def pairwise(od: Any, np: Any) -> Iterator[Case]:
    """Matrices of distances."""
    rng = np.random.default_rng(0)
    bins = np.stack(np.meshgrid(np.arange(8.0), np.arange(8.0)), axis=-1).reshape(-1, 2)
    images = rng.dirichlet(np.full(64, 0.3), size=60)
    yield "pairwise 60 images", lambda: od.pairwise(images, support=bins)
    for d in (2, 16):
        clouds = [rng.normal(size=(int(rng.integers(50, 100)), d)) for _ in range(20)]
        yield f"pairwise 20 clouds d={d}", lambda clouds=clouds: od.pairwise(clouds)
    lines = [rng.normal(size=100) for _ in range(40)]
    yield "pairwise 40 samples on the line", lambda: od.pairwise(lines)


def line(od: Any, np: Any) -> Iterator[Case]:
    """Numbers: one pair of every size, and many pairs."""
    rng = np.random.default_rng(0)
    for n in (10, 100, 1000, 10_000, 100_000, 1_000_000):
        x, y, a = rng.normal(size=n), rng.normal(size=n) + 0.1, rng.dirichlet(np.ones(n))
        yield f"line W1 n={n}", lambda x=x, y=y: od.wasserstein_distance(x, y)
        yield (
            f"line W2 weighted n={n}",
            lambda x=x, y=y, a=a: od.wasserstein_distance(x, y, a, p=2),
        )
    x, y = rng.normal(size=(2, 10_000, 50))
    yield "line 10000 pairs of 50", lambda: od.wasserstein_distance(x, y, axis=-1)
    u, v = rng.random((2, 100_000))
    yield "circle n=100000", lambda: od.wasserstein_distance(u, v, period=1.0)
    yield "circle n=100", lambda: od.wasserstein_distance(u[:100], v[:100], period=1.0)


def other(od: Any, np: Any) -> Iterator[Case]:
    """Grids, graphs, W_inf, partial transport, slices, divergences."""
    rng = np.random.default_rng(0)
    a, b = rng.random((2, 64, 64))
    for metric in ("euclidean", "cityblock", "chebyshev"):
        problem = od.Problem.on_grid(a, b, metric=metric, normalize=True)
        yield f"grid W1 {metric} 64x64", lambda problem=problem: od.solve(problem)
    from scipy.sparse import coo_array

    n = 5000
    i, j = rng.integers(0, n, (2, 4 * n))
    i, j = np.concatenate([np.arange(n - 1), i]), np.concatenate([np.arange(1, n), j])
    keep = np.unique(np.minimum(i, j) * n + np.maximum(i, j))
    i, j = keep // n, keep % n
    i, j = i[i != j], j[i != j]
    lengths = rng.random(len(i)) + 0.1
    graph = coo_array(
        (np.tile(lengths, 2), (np.concatenate([i, j]), np.concatenate([j, i]))), shape=(n, n)
    ).tocsr()
    p, q = rng.dirichlet(np.ones(n), size=2)
    on_graph = od.Problem.on_graph(graph, p, q)
    yield "graph 5000 nodes", lambda: od.solve(on_graph)
    x, y = rng.normal(size=(2, 500, 2))
    yield "W_inf n=500 d=2", lambda: od.wasserstein_distance(x, y, p=np.inf)
    partial = od.Problem.partial(x, y, price=0.5)
    yield "partial n=500 d=2", lambda: od.solve(partial)
    yield "sliced n=500 d=2", lambda: od.sliced_wasserstein_distance(x, y, rng=0)
    p, q = rng.dirichlet(np.ones(10), size=2)
    yield "JS of ten bins", lambda: od.js_divergence(p, q)
    p, q = rng.dirichlet(np.ones(100), size=(2, 10_000))
    yield "KL 10000 x 100", lambda: od.kl_divergence(p, q, axis=1)
    yield "compare n=500", lambda: od.compare(x, y)


SUITES = {suite.__name__: suite for suite in (exact, points, sinkhorn, pairwise, line, other)}


def serve(suite: str) -> None:
    """Answer each line of stdin, the number of calls to time, by seconds for one call."""
    import warnings

    import numpy as np

    import otdist as od

    warnings.simplefilter("ignore")
    for name, call in SUITES[suite](od, np):
        call()
        print(name, flush=True)
        for request in sys.stdin:
            n_calls = int(request)
            if n_calls == 0:
                break
            start = time.perf_counter()
            for _ in range(n_calls):
                call()
            print((time.perf_counter() - start) / n_calls, flush=True)
    print(flush=True)


class Worker:
    """A process that runs the cases of a suite with the otdist of one checkout."""

    def __init__(self, checkout: Path, suite: str) -> None:
        code = f"import runpy, sys; sys.argv = ['against', '--serve', {suite!r}]\n"
        code += f"runpy.run_path({str(Path(__file__))!r}, run_name='__main__')"
        self._process = subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=checkout,
            env=environment(checkout),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def answer(self) -> str:
        """Return the next line that the process prints."""
        return self._process.stdout.readline().strip()

    def ask(self, n_calls: int) -> None:
        """Send the number of calls to time, 0 for the next case."""
        self._process.stdin.write(f"{n_calls}\n")
        self._process.stdin.flush()

    def seconds(self, n_calls: int) -> float:
        """Return the mean time of some calls, in seconds."""
        self.ask(n_calls)
        return float(self.answer())


def environment(checkout: Path) -> dict[str, str]:
    """Return the environment of a process with one thread that imports that checkout."""
    single = dict.fromkeys(("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
    return os.environ | single | {"PYTHONPATH": str(checkout)}


def compare(suite: str, checkout: Path) -> None:
    """Print a row for each case of a suite."""
    workers = Worker(checkout, suite), Worker(ROOT, suite)
    while True:
        names = [worker.answer() for worker in workers]
        assert names[0] == names[1], names
        if not names[0]:
            return
        first = max(worker.seconds(1) for worker in workers)
        n_calls = max(1, int(SHORTEST / first))
        rounds = int(min(max(BUDGET / (first * n_calls), FEWEST), MOST))
        times = [[worker.seconds(n_calls) for worker in workers] for _ in range(rounds)]
        show(names[0], times)
        for worker in workers:
            worker.ask(0)


def startup(checkout: Path) -> None:
    """Print rows for fresh processes: import alone, and a first distance with a warm cache."""
    for name, statement in (
        ("import otdist", "import otdist"),
        ("first W1 on the line", "import otdist; otdist.wasserstein_distance([0, 1], [1, 3])"),
        (
            "first W1 in the plane",
            "import otdist; otdist.wasserstein_distance([[0, 1], [2, 3]], [[1, 3], [2, 2]])",
        ),
    ):
        times = []
        for _ in range(FEWEST + 1):
            row = []
            for root in (checkout, ROOT):
                start = time.perf_counter()
                subprocess.run(
                    [sys.executable, "-c", statement], cwd=root, env=environment(root), check=True
                )
                row.append(time.perf_counter() - start)
            times.append(row)
        show(f"fresh process: {name}", times[1:])


def show(name: str, times: list[list[float]]) -> None:
    """Print both medians and the median ratio."""
    theirs, ours = (statistics.median(column) * 1e3 for column in zip(*times, strict=True))
    ratio = statistics.median(b / a for a, b in times)
    print(f"{name:36s} {theirs:10.3f} ms {ours:10.3f} ms   {ratio:5.2f}", flush=True)


def main() -> None:
    """Check the other commit out and run the suites."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("commit", nargs="?", default="HEAD")
    parser.add_argument("suites", nargs="*", help=", ".join([*SUITES, "startup"]))
    parser.add_argument("--serve", metavar="SUITE", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve)
        return
    with tempfile.TemporaryDirectory() as folder:
        checkout = Path(folder) / "other"
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run(
            [*git, "add", "--quiet", "--detach", str(checkout), options.commit], check=True
        )
        try:
            for suite in options.suites or [*SUITES, "startup"]:
                startup(checkout) if suite == "startup" else compare(suite, checkout)
        finally:
            subprocess.run([*git, "remove", "--force", str(checkout)], check=True)


if __name__ == "__main__":
    main()
