"""Distances between all pairs of many measures, on many cores or many machines."""

from __future__ import annotations

import copy
import inspect
import os
import pickle
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple

import numpy as np

from otdist.batch import pack as _measures
from otdist.batch.checkpoint import Checkpoint, mirror
from otdist.batch.identity import UnknownObjectError, fingerprint
from otdist.batch.pairs import LARGEST, Block, Failure, Pairs
from otdist.distances.wasserstein import wasserstein_distance
from otdist.divergences.by_name import NAMED, between, unit_of, valid_rows
from otdist.divergences.rows import Rows
from otdist.errors import InputError, short, warn_of_failures
from otdist.geometry.build import require_metric
from otdist.inputs.calls import answers
from otdist.inputs.validate import as_flag, as_jobs, as_order
from otdist.runtime.progress import progress_bar
from otdist.typing import ArrayLike, FloatArray, Metric

Measure = Any  # points, or a tuple (points, weights)

# Work of a block, in entries of cost matrices: a tenth of a second to a second.
_BLOCK_ENTRIES = 1 << 24
# The fewest blocks, so that every worker has one until the end, and the most, so that
# handing them out takes no time.
_FEWEST_BLOCKS = 32
_MOST_BLOCKS = 1 << 16
# The most calls of a function in a block.
_MOST_CALLS = 64
# Options that are passed on to another distance only if they differ from these.
_USUAL: dict[str, Any] = {"metric": "euclidean", "p": 1, "normalize": False}


@answers
def pairwise(
    measures: Sequence[Measure] | ArrayLike,
    other: Sequence[Measure] | ArrayLike | None = None,
    *,
    distance: Callable[..., float] | str = wasserstein_distance,
    metric: Metric = "euclidean",
    p: float = 1,
    support: ArrayLike | None = None,
    cost: ArrayLike | None = None,
    normalize: bool = False,
    condensed: bool = False,
    n_jobs: int | None = 1,
    progress: bool = False,
    out: str | os.PathLike[str] | None = None,
    **options: Any,
) -> FloatArray:
    """Return the matrix of distances between measures.

    Parameters
    ----------
    measures : sequence of K measures
        Each an array of points, (n,) or (n, d), or a tuple (points, weights); the
        numbers of points may differ. With `support` or `cost`: array_like (K, n), a
        row of weights on the n bins for each histogram. Measures whose points are all
        equal, in one order, are histograms on this support, and take as little time.
    other : sequence of L measures, optional
        Measures of the columns. Without it the matrix is symmetric, each pair
        is computed once and the diagonal is 0.
    distance : callable, default `wasserstein_distance`
        Called as ``distance(x, y, a, b, **options)``, one pair after the other. The
        default is not called: pairs of at most 512 atoms on either side are solved by
        compiled code, many in one call. Or the name of a divergence, computed in compiled
        code too: "kl", "js", "js_distance", "total_variation", "hellinger" or "chi2".
        Measures are then array_like (K, n), a histogram in each row, entry (i, j) is
        ``kl_divergence(measures[i], other[j])``, and of the options `normalize` goes
        with it, and `base` where there is a logarithm.
    metric, p
        As for `wasserstein_distance`; another `distance` gets those that are not the
        default.
    support : array_like (n, d) or (n,), optional
        Points of the bins of all histograms. The costs between bins are computed once.
    cost : array_like (n, m), optional
        Costs between the bins instead; values are then ``emd(a, b, cost)``, and of the
        options only `normalize` goes with it. Without `other` it must be symmetric with
        a diagonal of zeros.
    normalize : bool, default False
        Divide the weights of each measure by their sum. Otherwise all must have one sum
        (up to the rounding of their type; they are scaled to the sum of the first).
    condensed : bool, default False
        Return the K (K - 1) / 2 entries above the diagonal, row by row, as
        ``scipy.cluster.hierarchy.linkage`` takes them. Only without `other`.
    n_jobs : int or None, default 1
        Threads for the compiled pairs, processes for calls of another `distance`; -1
        for one on each processor. More than one needs joblib. None leaves it to
        ``joblib.parallel_config``, for a cluster. The result does not depend on it.
    progress : bool, default False
        Show a progress bar with the time left (needs tqdm).
    out : path, optional
        Write the matrix to this ``.npy`` file, and return it mapped into memory,
        read-only. A file beside it records the finished blocks: after a crash the same
        call goes on from there, and loses one block of pairs for each worker. Damaged blocks
        are computed anew. Functions are recognised by their code and all that they read.
    **options
        Passed on to `distance`.

    Returns
    -------
    ndarray (K, K), (K, L) or (K (K - 1) / 2,) float64
        In the units of `distance`. NaN for a pair without an answer, such as one for which
        `distance` raises an exception or returns no number; all others are kept. Every entry
        of `wasserstein_distance` is proved to a relative gap of 1e-9 in the cost, by code that
        shares nothing with the solver.

    Raises
    ------
    InputError
        If a measure is not valid, or does not go with the first one: the message names
        its index. If options do not go together, or no pair can be computed with them.
        If `out` holds the result of another call, is damaged beyond its blocks, or is being
        written by another process.
    OSError
        If there is no room for `out`.

    Warns
    -----
    FailedPairsWarning
        If there are pairs without an answer: its ``failures`` lists (i, j, reason).

    Notes
    -----
    Network simplex for each pair, from a plan that compares costs with their means. For
    histograms with a true metric and p = 1, mass that both have in a bin stays there.
    Time grows with the number of pairs: 14 µs for images of 8 by 8 pixels, 0.8 ms for
    clouds of 200 points, on one core. O(n²) memory for histograms, beside the result.

    References
    ----------
    Peyré and Cuturi, "Computational optimal transport", 2019, section 3.5.

    Examples
    --------
    >>> from otdist import pairwise
    >>> pairwise([[0.0, 1.0], [2.0, 3.0], ([5.0], [1.0])])
    array([[0. , 2. , 4.5],
           [2. , 0. , 2.5],
           [4.5, 2.5, 0. ]])

    Histograms on three common bins:

    >>> pairwise([[1, 0, 0], [0, 1, 0], [0, 0, 1]], support=[0, 1, 5], condensed=True)
    array([1., 5., 4.])
    >>> pairwise([[1, 0], [0, 1], [0.5, 0.5]], distance="total_variation")
    array([[0. , 1. , 0.5],
           [1. , 0. , 0.5],
           [0.5, 0.5, 0. ]])
    """
    count = _length("measures", measures), _length("other", measures if other is None else other)
    for name, flag in (
        ("condensed", condensed),
        ("normalize", normalize),
        ("progress", progress),
    ):
        as_flag(name, flag)
    if condensed and other is not None:
        raise InputError("condensed=True is for a symmetric matrix; leave other out")
    if n_jobs is not None:
        as_jobs(n_jobs)
    settings = {"metric": metric, "p": p, "normalize": normalize, **options}
    is_symmetric = other is None
    if isinstance(distance, str):
        settings |= {"support": support, "cost": cost}
        is_symmetric = _is_symmetric(distance, condensed) and is_symmetric
        job = _job_of_divergence(distance, measures, other, settings)
    else:
        job = _job(measures, other, distance, support, cost, settings)
    pairs = Pairs(*count, is_symmetric)
    matrix, failures = _solved(job, pairs, condensed, n_jobs, progress, out)
    if failures:
        warn_of_failures(failures, pairs.number)
    return matrix


class _Job(NamedTuple):
    """A function of blocks of pairs, and its arguments.

    ``function(pairs, start, stop, *arguments)`` returns a `Block`; `size` is about the
    work of a pair, in entries of a cost matrix.
    """

    function: Callable[..., Block]
    arguments: tuple[Any, ...]
    size: float
    is_compiled: bool

    def block_size(self, n_pairs: int) -> int:
        """Return how many pairs make a block; it depends on the job alone."""
        size = int(_BLOCK_ENTRIES // max(self.size, 1.0))
        size = max(size, -(-n_pairs // _MOST_BLOCKS))
        return max(1, min(size, -(-n_pairs // _FEWEST_BLOCKS)))

    def fingerprint(self) -> str:
        """Return a name of the function and all data."""
        where = f"{self.function.__module__}.{self.function.__qualname__}"
        try:
            return fingerprint(where, *self.arguments)
        except UnknownObjectError as error:
            raise InputError(
                "out= must recognise the call when it is repeated, and cannot recognise"
                f" {error}; pass functions that can be imported or are written in Python, with"
                " arguments that can be pickled, or leave out out"
            ) from None


def _job(
    measures: Any,
    other: Any,
    distance: Callable[..., float],
    support: Any,
    cost: Any,
    settings: dict[str, Any],
) -> _Job:
    """Choose how pairs are computed, and check options and measures."""
    from otdist.batch import solve as _solve_pairs

    metric, p, normalize = settings["metric"], settings["p"], settings["normalize"]
    is_default = distance is wasserstein_distance
    if cost is not None and not is_default:
        raise InputError("cost= goes with the default distance; leave one out")
    options = _options(distance, settings)
    if cost is not None:
        _require_matrix_options(options)
    if is_default:
        if "axis" in options:
            raise InputError("pairwise takes each measure by itself; leave axis out")
        p = as_order(p, options.get("concave", False))
        require_metric(metric, p)
    if len(measures) == 0 or (other is not None and len(other) == 0):
        return _Job(_solve_pairs.call_block, (distance,), 1.0, is_compiled=False)
    is_known = is_default and options.keys() <= _USUAL.keys()
    if is_known and (cost is not None or (support is not None and not np.isinf(p))):
        family: Any = _measures.pack_histograms(
            measures, other, support, cost, metric, p, normalize
        )
    elif is_known and isinstance(metric, str) and not np.isinf(p):
        family = _measures.pack_clouds(measures, other, metric, p, normalize)
    else:
        if is_default:
            _measures.require_valid(measures, other, support, metric, p, normalize)
        return _calls(measures, other, distance, support, options)
    size = float(np.prod(np.minimum(family.most, LARGEST)))
    arguments = (p, type(family), *family)
    return _Job(_solve_pairs.solve_block, arguments, size, is_compiled=True)


def _length(name: str, measures: Any) -> int:
    """Return how many measures there are."""
    is_sequence = hasattr(measures, "__getitem__") and hasattr(measures, "__len__")
    is_many = is_sequence and not isinstance(measures, str | bytes | Mapping)
    if not is_many or getattr(measures, "shape", (1,)) == () or hasattr(measures, "nnz"):
        raise InputError(
            f"{name} must be a sequence of measures, or an array with one in each row, got"
            f" {short(measures)}"
        )
    return len(measures)


def _is_symmetric(name: str, condensed: bool) -> bool:
    """Return whether a divergence with a name is symmetric, as half of a matrix must be."""
    if name not in NAMED:
        raise InputError(
            f"distance must be a function or one of {', '.join(NAMED)}, got {short(name)}"
        )
    if condensed and not NAMED[name].is_symmetric:
        raise InputError(
            f"condensed=True is for a symmetric matrix, and {name} is not; leave condensed out"
        )
    return NAMED[name].is_symmetric


def _job_of_divergence(name: str, measures: Any, other: Any, settings: dict[str, Any]) -> _Job:
    """Compute pairs of histograms in the rows of arrays."""
    usual = {**_USUAL, "support": None, "cost": None}
    for option, value in settings.items():
        if option not in ("normalize", "base") and not _is_equal(value, usual.get(option, ...)):
            raise InputError(
                f"{option} does not go with distance={short(name)}, which compares the weights of"
                f" equal bins; leave {option} out"
            )
    normalize, unit = settings["normalize"], unit_of(name, settings.get("base"))
    kind = NAMED[name].kind
    first = valid_rows("measures", measures, normalize, kind)
    second = first if other is None else valid_rows("other", other, normalize, kind)
    n, m = first.values.shape[1], second.values.shape[1]
    if n != m:
        raise InputError(f"measures and other must have equally many bins, got {n} and {m}")
    arguments = (name, unit, *first, *second)
    return _Job(_divergence_block, arguments, float(n), is_compiled=True)


def _is_equal(value: Any, usual: Any) -> bool:
    return value is usual or (isinstance(value, str | int | float) and value == usual)


def _divergence_block(
    pairs: tuple[int, int, bool], start: int, stop: int, name: str, unit: float, *rows: Any
) -> Block:
    """Compute the divergences of the pairs from `start` to `stop`, of two lots of rows."""
    first, second = Pairs(*pairs).between(start, stop)
    return Block(between(name, Rows(*rows[:3]), Rows(*rows[3:]), first, second) / unit, [])


def _options(distance: Callable[..., float], settings: dict[str, Any]) -> dict[str, Any]:
    """Return the options that are not at their defaults, once the function takes them."""
    usual: dict[str, Any] = _USUAL
    if distance is wasserstein_distance:
        usual = {
            name: parameter.default
            for name, parameter in inspect.signature(wasserstein_distance).parameters.items()
            if parameter.kind is parameter.KEYWORD_ONLY
        }

    def is_usual(name: str, value: Any) -> bool:
        is_scalar = isinstance(value, str | int | float | np.generic | None)
        return name in usual and is_scalar and bool(value == usual[name])

    options = {name: value for name, value in settings.items() if not is_usual(name, value)}
    if not callable(distance):
        raise InputError(f"distance must be a function or a name, got {short(distance)}")
    try:
        inspect.signature(distance).bind(None, None, None, None, **options)
    except TypeError as error:
        raise InputError(f"distance cannot be called like this: {error}") from None
    except ValueError:
        pass  # no signature is known, as of compiled functions
    return options


def _require_matrix_options(options: dict[str, Any]) -> None:
    """Raise for options that do not go with a matrix of costs."""
    for name, value in options.items():
        if name not in ("p", "normalize"):
            raise InputError(
                f"{name}={short(value)} does not go with cost=, where values are emd(a, b, cost);"
                f" leave {name} out, or pass the points of the bins as support= in place of cost="
            )


def _calls(
    measures: Any,
    other: Any,
    distance: Callable[..., float],
    support: Any,
    options: dict[str, Any],
) -> _Job:
    """Compute pairs by calls of a function of two measures."""
    from otdist.batch.solve import call_block

    both = [measures, measures if other is None else other]
    if support is None:
        sides = [[_measures.split(measure) for measure in side] for side in both]
    else:
        sides = [[(support, masses) for masses in side] for side in both]
    _try_options(distance, sides[0][0][0], options)
    size = _BLOCK_ENTRIES / _MOST_CALLS
    arguments = (distance, *sides, options)
    return _Job(call_block, arguments, size, is_compiled=False)


def _try_options(distance: Callable[..., float], points: Any, options: dict[str, Any]) -> None:
    """Raise for options that a function of this package refuses for all pairs.

    It is called for one point and itself, with a copy of a random generator. Other
    functions may take long, or leave traces.
    """
    if not getattr(distance, "__module__", "").startswith("otdist."):
        return
    point = np.atleast_1d(points)[:1]
    try:
        distance(point, point, **copy.deepcopy(options))
    except InputError as error:
        raise InputError(f"distance cannot be called like this: {error}") from None
    except Exception:  # noqa: BLE001, S110 (the pairs that fail tell of it)
        pass


def _solved(
    job: _Job,
    pairs: Pairs,
    condensed: bool,
    n_jobs: int | None,
    progress: bool,
    out: str | os.PathLike[str] | None,
) -> tuple[FloatArray, list[Failure]]:
    """Solve all pairs; return the matrix, and the pairs without an answer."""
    shape = (pairs.number,) if condensed else (pairs.n_rows, pairs.n_columns)
    size = job.block_size(pairs.number)
    starts = range(0, pairs.number, size)

    def place(block: int) -> Any:
        start, stop = starts[block], min(starts[block] + size, pairs.number)
        return slice(start, stop) if condensed else pairs.between(start, stop)

    record = None
    if out is not None:
        record = Checkpoint(out, shape, {"data or options": job.fingerprint(), "block": size})
    matrix: Any = np.zeros(shape) if record is None else record.matrix
    with record or nullcontext():
        done = set() if record is None else record.verify(place)
        todo = [block for block in range(len(starts)) if block not in done]
        n_done = pairs.number - sum(min(size, pairs.number - starts[k]) for k in todo)
        failures = [] if record is None else [each for k in done for each in record.failures[k]]
        shown: Any = nullcontext()
        if progress:
            shown = progress_bar(total=pairs.number, initial=n_done, desc="pairwise", unit=" pairs")
        with shown as bar:
            for block, (values, failed) in _blocks(job, pairs, starts, todo, n_jobs):
                matrix[place(block)] = values
                failures += failed
                if record is not None:
                    record.finish(block, values, failed)
                if bar is not None:
                    bar.update(len(values))
        if pairs.is_symmetric and not condensed:
            mirror(matrix)
        if record is not None:
            matrix.flush()
            matrix = np.load(record.path, mmap_mode="r")
    return matrix, sorted(failures)


def _blocks(
    job: _Job, pairs: Pairs, starts: range, todo: list[int], n_jobs: int | None
) -> Iterator[tuple[int, Block]]:
    """Yield blocks as they are solved, here or by the workers of joblib."""
    tasks = [
        (block, job.function, tuple(pairs), starts[block], stop)
        for block in todo
        for stop in [min(starts[block] + starts.step, pairs.number)]
    ]
    if n_jobs == 1 or (n_jobs is None and "joblib" not in sys.modules):
        for task in tasks:
            yield _solve(*task, *job.arguments)
        return
    try:
        from joblib import Parallel, delayed
    except ImportError:
        raise InputError(
            "n_jobs other than 1 needs joblib: pip install 'otdist[parallel]'"
        ) from None
    prefer = "threads" if job.is_compiled else None
    workers = Parallel(n_jobs, prefer=prefer, return_as="generator_unordered")
    try:
        yield from workers(delayed(_solve)(*task, *job.arguments) for task in tasks)
    except pickle.PicklingError as error:
        raise InputError(
            f"n_jobs={n_jobs} sends the call to other processes, which takes a distance and"
            f" arguments that can be pickled: {error.__cause__ or error}; pass n_jobs=1, or a"
            " function that can be imported"
        ) from error


def _solve(block: int, function: Callable[..., Block], *arguments: Any) -> tuple[int, Block]:
    """Solve a block, here or in a worker; return its number, since they come in any order."""
    return block, function(*arguments)
