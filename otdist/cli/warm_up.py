"""Compile all kernels before they are needed, for images of containers and for CI."""

from __future__ import annotations

import functools
import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from otdist.inputs.validate import as_jobs
from otdist.runtime.kernel_cache import compiles, folder_in_use


def _points(od: Any, rng: np.random.Generator) -> None:
    for d in (2, 3):
        x, y = rng.random((2, 10, d))
        # A first small distance may be found without compiled code.
        for _ in range(2):
            od.wasserstein_distance(x, y)
            od.emd(np.full(10, 0.1), np.full(10, 0.1), rng.random((10, 10)))
    od.solve(od.Problem(x, y, rng.dirichlet(np.ones(10))))


def _many_pairs(od: Any, rng: np.random.Generator) -> None:
    clouds, histograms = list(rng.random((4, 6, 2))), rng.random((4, 6))
    od.pairwise(clouds)
    od.pairwise(list(rng.normal(size=(3, 6))))
    od.pairwise(histograms, support=clouds[0], normalize=True)
    od.pairwise(histograms, cost=np.ones((6, 6)) - np.eye(6), normalize=True)


def _matrices(od: Any, rng: np.random.Generator) -> None:
    for n, m in ((60, 60), (300, 300), (700, 700), (1100, 1100), (2900, 2900), (5, 3000)):
        cost = np.abs(rng.random((n, 1)) - rng.random(m)) + 0.01 * rng.random((n, m))
        od.emd(rng.dirichlet(np.ones(n)), np.full(m, 1 / m), cost)
    od.emd(np.full(1100, 1 / 1100), np.full(1100, 1 / 1100), rng.random((1100, 1100)))


def _large_clouds(od: Any, rng: np.random.Generator) -> None:
    for n, d in ((1100, 2), (1100, 16), (4000, 2)):
        x, y = rng.random((2, n, d))
        od.wasserstein_distance(x, y)
    od.wasserstein_distance(x, y, rng.dirichlet(np.ones(n)))


def _line_and_circle(od: Any, rng: np.random.Generator) -> None:
    x, y = rng.random((2, 40_000))
    for n in (10, 40_000):
        a = rng.dirichlet(np.ones(n))
        od.wasserstein_distance(x[:n], y[:n], a, a)
        od.wasserstein_distance(x[:n], y[:n])
        od.wasserstein_distance(x[:n], y[:n], period=1.0)
        od.solve(od.Problem(x[:n], y[:n], a, p=2))
        od.c_transform(x[:n], y[:n], np.zeros(n))
    od.wasserstein_distance(x.reshape(2, -1), y.reshape(2, -1), axis=1)
    od.wasserstein_distance(x.reshape(2, -1), y.reshape(2, -1), axis=1, period=1.0)
    od.wasserstein_distance(x[:9], "uniform", period=1.0)
    od.solve(od.Problem.on_circle(x[:900], y[:900]))
    od.sliced_wasserstein_distance(x.reshape(-1, 2), y.reshape(-1, 2), rng=rng)


def _grids_and_graphs(od: Any, rng: np.random.Generator) -> None:
    from scipy.sparse import coo_array

    image, other = rng.random((2, 12, 12))
    for options in ({"metric": "chebyshev"}, {}, {"p": 2}):
        od.solve(od.Problem.on_grid(image, other, normalize=True, **options))
    od.solve(od.Problem.on_grid(image, other, normalize=True), method="coprime")
    image, other = rng.random((2, 48, 48))
    od.solve(od.Problem.on_grid(image, other, normalize=True))
    od.solve(od.Problem.on_grid(image, other, metric="cityblock", normalize=True))
    n = 2500
    a, b = rng.dirichlet(np.ones(n), 2)
    od.solve(od.Problem.on_tree(np.arange(-1, n - 1), np.ones(n), a, b))
    ends = np.tile(np.arange(n), 3), rng.permuted(np.tile(np.arange(n), (3, 1)), axis=1).ravel()
    graph = coo_array((rng.random(3 * n) + 0.1, ends), shape=(n, n)).tocsr()
    graph.setdiag(0)
    flow = od.solve(od.Problem.on_graph(graph.maximum(graph.T), a, b))
    flow.coupling.arcs(a, b)


def _sinkhorn(od: Any, rng: np.random.Generator) -> None:
    for n, d in ((30, 2), (150, 32)):
        x, y = rng.random((2, n, d))
        for epsilon in (0.1, 0.001):
            for p in (1, 2):
                found = od.solve(od.Problem(x, y, p=p), method="sinkhorn", epsilon=epsilon)
        od.solve(od.Problem(x, y), method="sinkhorn")
        od.sinkhorn_divergence(x, y, epsilon=0.1)
        od.sinkhorn_divergence(x, y, epsilon=0.1, reach=1.0)
        np.asarray(found.plan)
    matrix = od.Problem.from_cost(rng.random((90, 90)))
    od.certify(matrix, od.solve(matrix, method="sinkhorn", epsilon=0.1).plan)
    for n, p, epsilon in ((9, 1, 0.1), (9, 2, 0.1), (9, 2, 0.001), (130, 2, 500.0)):
        problem = od.Problem.on_grid(*rng.random((2, n, n)), p=p, normalize=True)
        od.solve(problem, method="sinkhorn", epsilon=epsilon, max_iter=20)
    corner, other = np.zeros((2, 30, 30))
    corner[0, 0] = other[-1, -1] = 1.0
    apart = od.Problem.on_grid(corner, other, p=2)
    od.solve(apart, method="sinkhorn", epsilon=0.001, max_iter=20)


def _other_problems(od: Any, rng: np.random.Generator) -> None:
    x, y = rng.random((2, 40, 2))
    od.wasserstein_distance(x, y, p=np.inf)
    od.solve(od.Problem(rng.random((600, 2)), rng.random((600, 2)), p=np.inf))
    od.solve(od.Problem.partial(x, y, price=0.1))
    od.solve(od.Problem.partial(x, y, mass=0.5))
    od.kr_dual(x, y)


def _divergences(od: Any, rng: np.random.Generator) -> None:
    many = rng.dirichlet(np.ones(10), 5)
    for divergence in (od.kl_divergence, od.js_distance):
        divergence(many[0], many[1])
        divergence(many, many[0])
    od.pairwise(many, distance="js")
    od.pairwise(many, distance="kl")


#: How a process makes the calls of a family.
CALL = "warm_up.{}(otdist, numpy.random.default_rng(0))"
#: Calls that share few kernels with those of other families, long ones first.
FAMILIES: tuple[Callable[[Any, np.random.Generator], None], ...] = (
    _sinkhorn,
    _large_clouds,
    _matrices,
    _points,
    _line_and_circle,
    _grids_and_graphs,
    _other_problems,
    _many_pairs,
    _divergences,
)


def warmup(*, n_jobs: int = 2) -> Path:
    """Compile all kernels, so that no later call waits for the compiler.

    Kernels are otherwise compiled when a call first needs them, which takes some seconds for each
    kind of input. They are kept between processes. Where tqdm is installed and stderr is a
    terminal, a bar shows the progress.

    Parameters
    ----------
    n_jobs : int, default 2
        Processes; -1 for one on each processor.

    Returns
    -------
    pathlib.Path
        The folder that keeps the kernels; to choose it, set ``NUMBA_CACHE_DIR`` before otdist is
        imported.

    Raises
    ------
    RuntimeError
        If no folder can keep kernels, nothing is compiled (``NUMBA_DISABLE_JIT``), or a call fails.

    Examples
    --------
    >>> import otdist
    >>> otdist.warmup()  # doctest: +SKIP
    PosixPath('/home/me/.cache/otdist/395281688c601b8a')
    """
    n_jobs, folder = as_jobs(n_jobs), folder_in_use()
    if not compiles():
        raise RuntimeError("NUMBA_DISABLE_JIT is set, so that nothing is compiled; unset it")
    if not folder:
        raise RuntimeError(
            "compiled kernels cannot be kept; set NUMBA_CACHE_DIR to a folder that can be written"
        )
    with ThreadPoolExecutor(n_jobs) as pool:
        names = [family.__name__ for family in FAMILIES]
        done = pool.map(functools.partial(_in_process, folder=folder), names)
        if importlib.util.find_spec("tqdm"):
            from otdist.runtime.progress import progress_bar

            # With disable=None tqdm is silent where stderr is no terminal.
            done = progress_bar(iterable=done, total=len(names), desc="compiling", disable=None)
        for _ in done:
            pass
    return Path(folder)


def _in_process(name: str, folder: str) -> None:
    """Make the calls of a family in a process of its own."""
    program = f"import numpy, otdist; from otdist.cli import warm_up; {CALL.format(name)}"
    paths = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {
        "NUMBA_CACHE_DIR": folder,
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
    }
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"the calls of {name} failed: {done.stderr.strip()}")
