"""Wasserstein distances and transport costs as plain numbers, each proved."""

from __future__ import annotations

import contextlib
import functools
import itertools
import math
import sys
from typing import Any, Literal, overload

import numpy as np

from otdist.batch.line import (
    LineOptions,
    distances_along,
    require_line_options,
)
from otdist.batch.pairs import LARGEST
from otdist.batch.stack import Stacked, distances_of_stack
from otdist.distances.uniform_on_circle import distances_to_uniform, require_arcs
from otdist.errors import NotCertifiedError
from otdist.geometry.metrics import line_power
from otdist.inputs.calls import answers
from otdist.inputs.convert import as_seconds
from otdist.inputs.labels import matched, matched_cost
from otdist.inputs.validate import as_flag, as_jobs
from otdist.pipeline import outcome_for, solve
from otdist.problem.problem import Problem, unit_problem
from otdist.problem.result import EXACT_TOL, Result, root
from otdist.solvers.registry import permits
from otdist.typing import ArrayLike, FloatArray, Metric, Period

# Points of a line that do not pay for loading compiled code, if there is no second one.
_SHORT = 1 << 12
_short_lines = itertools.count()
# Pairs of points that do not pay for compiling, if there is no second distance.
_FEW_PAIRS = 1 << 16
_small_clouds = itertools.count()


@overload
def wasserstein_distance(
    x: ArrayLike,
    y: ArrayLike | Literal["uniform"],
    a: ArrayLike | None = None,
    b: ArrayLike | None = None,
    *,
    p: float = 1,
    metric: Metric = "euclidean",
    method: str = "auto",
    normalize: bool = False,
    concave: bool = False,
    period: Period | None = None,
    axis: None = None,
    n_jobs: int = 1,
    progress: bool = False,
) -> Any: ...


@overload
def wasserstein_distance(
    x: ArrayLike,
    y: ArrayLike | Literal["uniform"],
    a: ArrayLike | None = None,
    b: ArrayLike | None = None,
    *,
    p: float = 1,
    metric: Metric = "euclidean",
    method: str = "auto",
    normalize: bool = False,
    concave: bool = False,
    period: Period | None = None,
    axis: int,
    n_jobs: int = 1,
    progress: bool = False,
) -> float | FloatArray: ...


@answers
def wasserstein_distance(
    x: ArrayLike,
    y: ArrayLike | Literal["uniform"],
    a: ArrayLike | None = None,
    b: ArrayLike | None = None,
    *,
    p: float = 1,
    metric: Metric = "euclidean",
    method: str = "auto",
    normalize: bool = False,
    concave: bool = False,
    period: Period | None = None,
    axis: int | None = None,
    n_jobs: int = 1,
    progress: bool = False,
) -> float | FloatArray:
    r"""Return the Wasserstein distance W_p of two weighted point clouds.

    .. math:: W_p = \Big(\min_{P \in \Pi(a, b)} \sum_{ij} P_{ij}\,
              d(x_i, y_j)^p \Big)^{1/p}

    Parameters
    ----------
    x : array_like (..., n, d) or (n,)
        Points of the first measure; a 1-D array is points on the line, not a
        histogram (for that, see `emd`). Leading axes are several measures; they broadcast with
        those of y, a and b.
    y : array_like (..., m, d) or (m,), or "uniform"
        Points of the second measure. With a period, ``"uniform"`` is the uniform
        distribution on the circle, with the mass of the first.
    a, b : array_like (..., n), (..., m), optional
        Weights, >= 0 and of one sum; uniform probabilities by default.
    p : float, default 1
        Order, 1 <= p <= inf; for p = inf the largest distance moved.
    metric : str or callable, default "euclidean"
        See `Problem`.
    method : str, default "auto"
        See `solve`.
    normalize : bool, default False
        Divide the weights of each side by their sum first.
    concave : bool, default False
        Take 0 < p < 1, on the line only: the least cost of ``|x - y| ** p``, without a
        root. In units of distance ** p, and a metric between measures.
    period : float, optional
        Circumference of a circle that x and y are positions on, see
        `Problem.on_circle`. Where they are times, a time: ``np.timedelta64(1, "D")``.
    axis : int, optional
        Compute many pairs on the line or the circle: the points of a measure lie along
        this axis of x and y, their weights along the same axis of a and b, and the other
        axes, which broadcast as in NumPy, are pairs.
    n_jobs : int, default 1
        Threads; -1 for one on each processor. The result does not depend on it.
    progress : bool, default False
        Show a progress bar (needs tqdm).

    Returns
    -------
    float, or ndarray for several pairs
        In units of distance (times mass ** (1 / p) where the mass is not 1),
        the p-th root taken, each proved to a relative gap of 1e-9 in the cost. With
        `axis`, of the shape of the other axes; a NumPy float if there are none. Else of the
        shape of the leading axes.

    Raises
    ------
    InputError
        See `Problem`; the message names the pair of several.
    NotCertifiedError
        If the method cannot prove its answer; `solve` returns it with a bracket.

    Warns
    -----
    FailedPairsWarning
        If several pairs are asked for and some are not proved: they are NaN.

    Notes
    -----
    On the line O(n log n) time and O(n) memory, about 2 microseconds for a pair of 50
    points along an axis; else the network simplex method, with the (n, m) matrix for up
    to 512 points on either side, for points of 24 coordinates or more and for a metric
    given as a function, and with O(n + m) memory for others.

    Computed in a unit of length near the size of the points, a power of two: powers of
    small and large distances are no limit, and points times 2**k are at exactly 2**k times
    the distance.

    Examples
    --------
    >>> import numpy as np
    >>> from otdist import wasserstein_distance
    >>> wasserstein_distance([0, 1, 3], [5, 6, 8])
    5.0
    >>> wasserstein_distance([[0, 0], [0, 1]], [[3, 4], [3, 5]], p=2)
    5.0
    >>> wasserstein_distance([0, 1], [0, 1], [3, 1], [2, 2], normalize=True)
    0.25

    Half an hour from a quarter to midnight to a quarter past:

    >>> wasserstein_distance([23.75], [0.25], period=24)
    0.5

    A measure against each of three others:

    >>> wasserstein_distance([0, 2], [[0, 2], [0, 4], [5, 7]], axis=-1)
    array([0., 1., 5.])

    A cloud of two points, and the same moved by one and by two:

    >>> x = np.array([[0.0, 0.0], [0.0, 1.0]])
    >>> wasserstein_distance(x, [x, x + [1, 0], x + [2, 0]])
    array([0., 1., 2.])
    """
    normalize, concave = as_flag("normalize", normalize), as_flag("concave", concave)
    progress, _ = as_flag("progress", progress), as_jobs(n_jobs)
    length = None if period is None else _length_of(period, x, y, metric, concave)
    if isinstance(y, str):
        return distances_to_uniform(x, y, a, b, axis, p, length, normalize, method)
    x, y, a, b = matched(x, y, a, b)

    def one(x: ArrayLike, y: ArrayLike, a: ArrayLike | None, b: ArrayLike | None) -> float:
        problem, k = unit_problem(
            x, y, a, b, metric=metric, p=p, normalize=normalize, concave=concave, period=length
        )
        # A small part of a circle is a line.
        way = "line" if problem.is_line and permits(method, "circle") else method
        result = solve(problem, method=way, n_jobs=n_jobs, progress=progress)
        return root(proved(result, frozenset({"method"}), k).value, problem.p, k)

    if axis is None and isinstance(metric, str) and not (concave or progress):
        value = _at_once(x, y, a, b, metric, p, normalize, method, n_jobs, length)
        if value is not None:
            return value
    is_circle = axis is None and period is not None and permits(method, "circle")
    is_circle = is_circle and _are_vectors(x, a) and _are_vectors(y, b)
    if axis is not None or is_circle:
        require_line_options(metric, method, length)
        options = LineOptions(p, n_jobs, normalize, concave, length)
        found = distances_along(x, y, a, b, 0 if axis is None else axis, options, one)
        # With an axis a number has a dtype, as functions of SciPy that pass one expect.
        return float(found) if is_circle else found
    if period is None and _are_stacks(x, y, a, b):
        again = functools.partial(
            wasserstein_distance,
            p=p,
            metric=metric,
            method=method,
            normalize=normalize,
            concave=concave,
            progress=progress,
        )
        clouds = Stacked("x", x, 2), Stacked("y", y, 2)
        weights = Stacked("a", a, 1), Stacked("b", b, 1)
        return distances_of_stack(again, *clouds, *weights, n_jobs=n_jobs)
    return one(x, y, a, b)


def _length_of(period: Period, x: Any, y: Any, metric: Metric, concave: bool) -> float:
    """Return the length of a circle, in the unit of the points."""
    require_arcs(metric, concave)
    length: float = as_seconds(period, x, y)
    return length


def _are_stacks(x: ArrayLike, y: ArrayLike, a: ArrayLike | None, b: ArrayLike | None) -> bool:
    """Whether there are several clouds (…, n, d), or weights (…, n) for them."""
    n_axes = [len(_shape(each)) for each in (x, y, a, b)]
    return min(n_axes[:2]) >= 2 and (max(n_axes[:2]) > 2 or max(n_axes[2:]) > 1)


def _is_worth_loading(x: ArrayLike, y: ArrayLike) -> bool:
    """Whether compiled code is worth loading: not for the first short line of a process."""
    return np.size(x) + np.size(y) > _SHORT or next(_short_lines) > 0


def _is_worth_compiling(of_x: tuple[int, ...], of_y: tuple[int, ...], p: Any) -> bool:
    """Whether kernels are worth compiling: not for the first small distance of a process.

    HiGHS finds that in a second, where compiling takes ten. Programs that want no second one are
    many, and for others it makes no difference.
    """
    is_small = len(of_x) == len(of_y) == 2 and of_x[0] * of_y[0] <= _FEW_PAIRS
    is_ordinary = type(p) in (int, float) and 1 <= p < math.inf
    return not (is_small and is_ordinary) or next(_small_clouds) > 0


@functools.cache
def _single() -> Any:
    """Return the module of single small problems, which loads numba."""
    from otdist.batch import single

    return single


def _shape(value: Any) -> tuple[int, ...]:
    """Return the shape of an array; lists that are no array have the shape ()."""
    if isinstance(value, np.ndarray):
        shape: tuple[int, ...] = value.shape
        return shape
    try:
        return np.shape(value)
    except ValueError:
        return ()


def _are_vectors(x: ArrayLike, a: ArrayLike | None) -> bool:
    """Whether x is an array of numbers, and a, if given, has a weight for each."""
    is_vector = isinstance(x, np.ndarray) and x.ndim == 1 and x.size > 0
    return is_vector and (a is None or np.shape(a) == np.shape(x))


def _at_once(
    x: ArrayLike,
    y: ArrayLike,
    a: ArrayLike | None,
    b: ArrayLike | None,
    metric: str,
    p: float,
    normalize: bool,
    method: str,
    n_jobs: int,
    period: float | None,
) -> float | None:
    """Return the distance in a few compiled calls; None where the long way has to be taken."""
    n_jobs, shape = as_jobs(n_jobs), _shape(x)
    if period is not None:
        if not permits(method, "circle"):
            return None
        around: float | None = _single().distance_on_line(x, y, a, b, p, normalize, n_jobs, period)
        return around
    if len(shape) == 1 or shape[1:] == (1,):
        is_line = permits(method, "line") and line_power(metric) == 1
        if not (is_line and ("numba" in sys.modules or _is_worth_loading(x, y))):
            return None
        on_line: float | None = _single().distance_on_line(x, y, a, b, p, normalize, n_jobs)
        return on_line
    of_y = _shape(y)
    if not permits(method) or max(shape[:1] + of_y[:1], default=0) > LARGEST:
        return None
    single = _single()
    if not (_is_worth_compiling(shape, of_y, p) or single.is_compiled()):
        with contextlib.suppress(NotCertifiedError):
            value: float = wasserstein_distance(
                x, y, a, b, p=p, metric=metric, method="highs", normalize=normalize
            )
            return value
    found: float | None = single.distance_of_points(x, y, a, b, metric, p, normalize)
    return found


@answers
def emd(
    a: ArrayLike, b: ArrayLike, cost: ArrayLike, *, normalize: bool = False, n_jobs: int = 1
) -> Any:
    """Return the least cost of turning histogram a into histogram b.

    Parameters
    ----------
    a : array_like (..., n)
        Weights of the first histogram, >= 0. Leading axes are several problems; they broadcast
        with those of b and cost.
    b : array_like (..., m)
        Weights of the second, of the same sum.
    cost : array_like (..., n, m)
        Cost of moving a unit of mass from bin i to bin j; ``inf`` forbids it.
    normalize : bool, default False
        Whether to divide the weights by their sums.
    n_jobs : int, default 1
        Threads that several problems are divided among; -1 for one on each processor.

    Returns
    -------
    float, or ndarray of the shape of the leading axes
        ``sum(plan * cost)`` in cost × mass, proved to a relative gap of 1e-9.
        No root is taken.

    Raises
    ------
    InputError
        NaN costs, negative weights, sums that differ, shapes that do not fit.
    InfeasibleError
        Forbidden arcs leave mass with nowhere to go.
    NotCertifiedError
        If the value cannot be proved; `solve` returns it with a bracket.

    Warns
    -----
    FailedPairsWarning
        If some of several problems have no coupling, or are not proved: they are NaN.

    Notes
    -----
    Network simplex method, O(n + m) memory; a matrix of more than 32768 entries is not
    copied if it is float64 and C-contiguous.

    Examples
    --------
    >>> from otdist import emd
    >>> emd([0.5, 0.5], [0.25, 0.75], [[0, 1], [1, 0]])
    0.25
    >>> emd([[0.5, 0.5], [1, 0]], [[0.25, 0.75], [0, 1]], [[0, 1], [1, 0]])
    array([0.25, 1.  ])
    """
    as_jobs(n_jobs)
    normalize = as_flag("normalize", normalize)
    cost = matched_cost(a, b, cost)
    value = _single().least_cost(a, b, cost, normalize)
    if value is not None:
        return value
    n_axes = [len(_shape(each)) for each in (a, b, cost)]
    if min(n_axes) >= 1 and n_axes[2] >= 2 and max(*n_axes[:2], n_axes[2] - 1) > 1:
        stack = Stacked("a", a, 1), Stacked("b", b, 1), Stacked("cost", cost, 2)
        one = functools.partial(emd, normalize=normalize)
        return distances_of_stack(one, *stack, n_jobs=n_jobs)
    problem = Problem.from_cost(cost, a, b, normalize=normalize)
    if problem.geometry.facts.has_forbidden:
        # Forbidden arcs of atoms without mass forbid nothing.
        part = problem.support()[0]
        problem = problem if part.geometry.facts.has_forbidden else part
    return proved(solve(problem)).value


def proved(result: Result, options: frozenset[str] = frozenset(), k: int = 0) -> Result:
    """Return the result, in the unit 2**k of length, if its value is proved; else raise.

    `options` are those of `solve` that the function called has as well.
    """
    if not result.certificate.proves(EXACT_TOL):
        unit = f", here of the points divided by 2**{k}" if k else ""
        raise NotCertifiedError(
            f"{result.method} did not prove its value to {EXACT_TOL:g}:"
            f" {outcome_for(result, options)}{unit}. `solve` returns plan, potentials and bracket,"
            " and takes limits and tolerances",
            result,
        )
    return result
