"""Wasserstein distances and transport costs as plain numbers, each proved."""

from __future__ import annotations

from typing import Literal, overload

import numpy as np

from otdist.batch.line import (
    LineOptions,
    distances_along,
    require_line_options,
)
from otdist.batch.pairs import LARGEST
from otdist.distances.uniform_on_circle import distances_to_uniform, require_arcs
from otdist.errors import NotCertifiedError
from otdist.geometry.metrics import line_power
from otdist.inputs.validate import as_jobs
from otdist.pipeline import outcome_for, solve
from otdist.problem.problem import Problem, unit_problem
from otdist.problem.result import EXACT_TOL, Result, root
from otdist.solvers.registry import permits
from otdist.typing import ArrayLike, FloatArray, Metric


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
    period: float | None = None,
    axis: None = None,
    n_jobs: int = 1,
    progress: bool = False,
) -> float: ...


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
    period: float | None = None,
    axis: int,
    n_jobs: int = 1,
    progress: bool = False,
) -> float | FloatArray: ...


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
    period: float | None = None,
    axis: int | None = None,
    n_jobs: int = 1,
    progress: bool = False,
) -> float | FloatArray:
    r"""Return the Wasserstein distance W_p of two weighted point clouds.

    .. math:: W_p = \Big(\min_{P \in \Pi(a, b)} \sum_{ij} P_{ij}\,
              d(x_i, y_j)^p \Big)^{1/p}

    Parameters
    ----------
    x : array_like (n, d) or (n,)
        Points of the first measure; a 1-D array is points on the line, not a
        histogram (for that, see `emd`).
    y : array_like (m, d) or (m,), or "uniform"
        Points of the second measure. With a period, ``"uniform"`` is the uniform
        distribution on the circle, with the mass of the first.
    a, b : array_like (n,), (m,), optional
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
        `Problem.on_circle`.
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
    float, or ndarray with an axis
        In units of distance (times mass ** (1 / p) where the mass is not 1),
        the p-th root taken, each proved to a relative gap of 1e-9 in the cost. With
        `axis`, of the shape of the other axes; a float if there are none.

    Raises
    ------
    InputError
        See `Problem`; with `axis` the message names the pair.
    NotCertifiedError
        If the method cannot prove its answer; `solve` returns it with a bracket.

    Warns
    -----
    FailedPairsWarning
        With `axis`, if several pairs are asked for and some are not proved: they are NaN.

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
    """
    if period is not None:
        require_arcs(metric, concave)
    if isinstance(y, str):
        as_jobs(n_jobs)
        return distances_to_uniform(x, y, a, b, axis, p, period, normalize, method)

    def one(x: ArrayLike, y: ArrayLike, a: ArrayLike | None, b: ArrayLike | None) -> float:
        problem, k = unit_problem(
            x, y, a, b, metric=metric, p=p, normalize=normalize, concave=concave, period=period
        )
        as_jobs(n_jobs)
        value = _small_value(problem) if permits(method) and not progress else None
        if value is not None:
            return root(value, problem.p, k)
        # A small part of a circle is a line.
        way = "line" if problem.is_line and permits(method, "circle") else method
        result = solve(problem, method=way, n_jobs=n_jobs, progress=progress)
        return root(proved(result, frozenset({"method"}), k).value, problem.p, k)

    if axis is None:
        is_plain = not (normalize or concave or progress) and period is None
        value = _at_once(x, y, a, b, metric, p, method, n_jobs) if is_plain else None
        return one(x, y, a, b) if value is None else value
    require_line_options(metric, method, period)
    options = LineOptions(p, n_jobs, normalize, concave, period)
    return distances_along(x, y, a, b, axis, options, one)


def _at_once(
    x: ArrayLike,
    y: ArrayLike,
    a: ArrayLike | None,
    b: ArrayLike | None,
    metric: Metric,
    p: float,
    method: str,
    n_jobs: int,
) -> float | None:
    """Return the distance in a few compiled calls; None where the long way has to be taken."""
    if not isinstance(metric, str):
        return None
    from otdist.batch.single import distance_of_points, distance_on_line

    shape = np.shape(x)
    if len(shape) == 1 or shape[1:] == (1,):
        if not (permits(method, "line") and line_power(metric) == 1):
            return None
        return distance_on_line(x, y, a, b, p, as_jobs(n_jobs))
    as_jobs(n_jobs)
    return distance_of_points(x, y, a, b, metric, p) if permits(method) else None


def emd(a: ArrayLike, b: ArrayLike, cost: ArrayLike) -> float:
    """Return the least cost of turning histogram a into histogram b.

    Parameters
    ----------
    a : array_like (n,)
        Weights of the first histogram, >= 0.
    b : array_like (m,)
        Weights of the second, of the same sum.
    cost : array_like (n, m)
        Cost of moving a unit of mass from bin i to bin j; ``inf`` forbids it.

    Returns
    -------
    float
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

    Notes
    -----
    Network simplex method, O(n + m) memory; a matrix of more than 32768 entries is not
    copied if it is float64 and C-contiguous.

    Examples
    --------
    >>> from otdist import emd
    >>> emd([0.5, 0.5], [0.25, 0.75], [[0, 1], [1, 0]])
    0.25
    """
    problem = Problem.from_cost(cost, a, b, normalize=None)
    if problem.geometry.facts.has_forbidden:
        # Forbidden arcs of atoms without mass forbid nothing.
        part = problem.support()[0]
        problem = problem if part.geometry.facts.has_forbidden else part
    value = _small_value(problem)
    return proved(solve(problem)).value if value is None else value


def _small_value(problem: Problem) -> float | None:
    """Return the proved value of a small problem, None where `solve` has to be asked.

    A small line takes NumPy alone, without the time to load compiled code.
    """
    if problem.is_line or max(problem.shape) > LARGEST:
        return None
    from otdist.batch.solve import value_of

    return value_of(problem)


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
