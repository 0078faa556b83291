"""Distances as plain numbers: the friendly layer over `solve`."""

from __future__ import annotations

from typing import Literal, overload

from otdist.batch.on_line import (
    Lanes,
    distances_along,
    is_worth_compiling,
    require_lanes,
)
from otdist.distances.sinkhorn_divergence import Options, divergence
from otdist.distances.uniform_on_circle import distances_to_uniform, require_arcs
from otdist.errors import NotCertifiedError
from otdist.pipeline import outcome_for, solve
from otdist.problem.gradients import Gradients
from otdist.problem.problem import Problem
from otdist.problem.result import EXACT_TOL, Result
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
        Points of the second measure. With a period, ``"uniform"`` is the uniform law
        on the circle, with the mass of the first.
    a, b : array_like (n,), (m,), optional
        Masses, >= 0 and of one sum; uniform probabilities by default.
    p : float, default 1
        Order, 1 <= p <= inf; for p = inf the largest distance moved.
    metric : str or callable, default "euclidean"
        See `Problem`.
    method : str, default "auto"
        See `solve`.
    normalize : bool, default False
        Divide each side's masses by their sum first.
    concave : bool, default False
        Take 0 < p < 1, on the line only: the least cost of ``|x - y| ** p``, of which
        no root is taken. In units of distance ** p, and a metric between measures.
    period : float, optional
        Circumference of a circle that x and y are positions on, see
        `Problem.on_circle`.
    axis : int, optional
        Many pairs on the line or the circle at once: the points of a measure lie along this axis
        of x and of y, their masses along that of a and b, and the other axes are
        pairs, which broadcast as in NumPy.
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

    Notes
    -----
    On the line O(n log n) time and O(n) memory, about 2 microseconds for a pair of 50
    points along an axis; else the network simplex method, with O(n + m) memory, or
    the (n, m) matrix for points of 24 coordinates or more and for a metric given as
    a function.

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
        return distances_to_uniform(x, y, a, b, axis, p, period, normalize)

    def one(x: ArrayLike, y: ArrayLike, a: ArrayLike | None, b: ArrayLike | None) -> float:
        if period is None:
            problem = Problem(x, y, a, b, metric=metric, p=p, normalize=normalize, concave=concave)
        else:
            problem = Problem.on_circle(x, y, a, b, period=period, p=p, normalize=normalize)
        result = solve(problem, method=method, n_jobs=n_jobs, progress=progress)
        return proved(result, frozenset({"method"})).distance

    lanes = Lanes(p, n_jobs, normalize, concave, period)
    if axis is not None:
        require_lanes(metric, method, period)
        return distances_along(x, y, a, b, axis, lanes, one)
    if is_worth_compiling((x, y), (a, b), metric, method, period):
        return float(distances_along(x, y, a, b, 0, lanes, one))
    return one(x, y, a, b)


def emd(a: ArrayLike, b: ArrayLike, cost: ArrayLike) -> float:
    """Return the least cost of turning histogram a into histogram b.

    Parameters
    ----------
    a : array_like (n,)
        Masses of the first histogram, >= 0.
    b : array_like (m,)
        Masses of the second, of the same sum.
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
        NaN costs, negative masses, masses that differ, shapes that do not fit.
    InfeasibleError
        Forbidden arcs leave mass with nowhere to go.

    Notes
    -----
    Network simplex, O(n + m) memory; a float64 C-contiguous cost is not copied.

    Examples
    --------
    >>> from otdist import emd
    >>> emd([0.5, 0.5], [0.25, 0.75], [[0, 1], [1, 0]])
    0.25
    """
    return proved(solve(Problem.from_cost(cost, a, b))).value


def proved(result: Result, options: frozenset[str] = frozenset()) -> Result:
    """Return the result if it is proved; a bare number must not be less.

    `options` are those of `solve` that the function called has as well.
    """
    if not result.certificate.proves(EXACT_TOL):
        raise NotCertifiedError(
            f"{result.method} did not prove its value to {EXACT_TOL:g}:"
            f" {outcome_for(result, options)}. The exception's .result has plan, potentials"
            " and bracket; solve takes limits and tolerances.",
            result,
        )
    return result


@overload
def sinkhorn_divergence(
    x: ArrayLike,
    y: ArrayLike,
    a: ArrayLike | None = None,
    b: ArrayLike | None = None,
    *,
    epsilon: float,
    reach: float | None = None,
    p: float = 1,
    metric: Metric = "euclidean",
    tol: float = 1e-6,
    gradients: Literal[False] = False,
    n_jobs: int = 1,
) -> float: ...


@overload
def sinkhorn_divergence(
    x: ArrayLike,
    y: ArrayLike,
    a: ArrayLike | None = None,
    b: ArrayLike | None = None,
    *,
    epsilon: float,
    reach: float | None = None,
    p: float = 1,
    metric: Metric = "euclidean",
    tol: float = 1e-6,
    gradients: Literal[True],
    n_jobs: int = 1,
) -> tuple[float, Gradients]: ...


def sinkhorn_divergence(
    x: ArrayLike,
    y: ArrayLike,
    a: ArrayLike | None = None,
    b: ArrayLike | None = None,
    *,
    epsilon: float,
    reach: float | None = None,
    p: float = 1,
    metric: Metric = "euclidean",
    tol: float = 1e-6,
    gradients: bool = False,
    n_jobs: int = 1,
) -> float | tuple[float, Gradients]:
    r"""Return the debiased Sinkhorn divergence of two weighted point clouds.

    .. math:: S_\epsilon(a, b) = \mathrm{OT}_\epsilon(a, b)
              - \tfrac12 \mathrm{OT}_\epsilon(a, a)
              - \tfrac12 \mathrm{OT}_\epsilon(b, b)

    with :math:`\mathrm{OT}_\epsilon = \min_P \langle P, c\rangle + \epsilon\,
    \mathrm{KL}(P \,|\, a b^T / \text{mass})` and :math:`c = d^p`.

    Parameters
    ----------
    x, y, a, b, metric, p
        See `wasserstein_distance`; p = inf has no divergence. With `reach` the two
        masses may differ.
    epsilon : float
        Entropic weight in cost units.
    reach : float, optional
        How far mass is worth moving, in units of distance. The marginals of P then
        need not be a and b: missing them costs :math:`\rho\,\mathrm{KL}(P 1 | a) +
        \rho\,\mathrm{KL}(P^T 1 | b)`, with ``rho = reach ** p`` in cost units
        (``reach ** 2`` for ``"sqeuclidean"``). By default all mass is moved.
    tol : float, default 1e-6
        Marginal error of each term, as a part of the mass.
    gradients : bool, default False
        Also return the derivatives.
    n_jobs : int, default 1
        Threads, see `solve`.

    Returns
    -------
    value : float
        In cost × mass, not rooted; exactly 0 for measures with the same atoms, in
        whatever order, the same to the last bit if the measures are exchanged, and
        ``W_p ** p`` in the limit of small epsilon.
    gradients : Gradients
        With ``gradients=True``: derivatives of the value in the masses a and b
        (cost units), and in the points x and y (value per unit of coordinate),
        exactly 0 where the value is; ``cost`` is None. Those in the masses are
        centred, as in `Gradients`; with `reach` they are plain partial derivatives.

    Raises
    ------
    InputError
        See `Problem`; an epsilon or a reach that is not positive; derivatives for a
        metric given as a function.
    NotCertifiedError
        If a term does not reach its tolerance.

    Notes
    -----
    Each term is the value of dual potentials, and a lower bound. Balanced terms are at
    most ``2 * tol * mass * C`` below their optimum, with C the largest cost, which
    bounds the error of the divergence either way; it mostly falls with the square of
    `tol`. By no more than that a value may be below 0, where it cannot be in
    theory (Euclidean costs with p <= 2, cityblock with p = 1). Derivatives are as
    exact as potentials and plan, which are off by about ``tol``, relative.

    With `reach`, terms are

    .. math:: \mathrm{OT}(a, b) = \min_P \langle P, c\rangle
              + \epsilon\,\mathrm{KL}(P | a \otimes b)
              + \rho\,\mathrm{KL}(P 1 | a) + \rho\,\mathrm{KL}(P^T 1 | b),

    with :math:`\mathrm{KL}(P | Q) = \sum P \log(P / Q) - P + Q`, and the divergence has
    :math:`\tfrac\epsilon2 (m(a) - m(b))^2` added. Primal and dual value of each
    term are then also closer than ``tol`` times the value, which bounds the error.

    GeomLoss halves the cost for p = 2: with ``epsilon = 2 * blur ** 2`` and ``2 ** 0.5``
    times its reach the value here is twice its loss.

    Balanced problems go through ``solve(method="sinkhorn")``; O(n + m) memory, and as
    many passes over all pairs as iterations.

    References
    ----------
    Feydy et al., "Interpolating between optimal transport and MMD using
    Sinkhorn divergences", AISTATS 2019.

    Séjourné, Feydy, Vialard, Trouvé, Peyré, "Sinkhorn divergences for unbalanced
    optimal transport", 2019.

    Séjourné, Vialard, Peyré, "Faster unbalanced optimal transport: translation
    invariant Sinkhorn and 1-D Frank-Wolfe", AISTATS 2022.

    Examples
    --------
    >>> from otdist import sinkhorn_divergence
    >>> sinkhorn_divergence([0.0], [3.0], epsilon=0.1)
    3.0
    >>> value, slopes = sinkhorn_divergence([0.0], [3.0], epsilon=0.1, gradients=True)
    >>> slopes.x
    array([[-1.]])
    >>> round(sinkhorn_divergence([0.0], [3.0], epsilon=0.1, reach=1), 6)
    1.596733
    """
    options = Options(metric, p, epsilon, reach, tol, n_jobs, gradients)
    value, found = divergence(x, y, a, b, options)
    return value if found is None else (value, found)
