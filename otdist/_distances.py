"""Distances as plain numbers: the friendly layer over `solve`."""

from __future__ import annotations

from otdist._errors import NotCertifiedError
from otdist._problem import Problem
from otdist._result import Result
from otdist._solve import EXACT_TOL, solve
from otdist._typing import ArrayLike, Metric


def wasserstein_distance(
    x: ArrayLike,
    y: ArrayLike,
    a: ArrayLike | None = None,
    b: ArrayLike | None = None,
    *,
    p: float = 1,
    metric: Metric = "euclidean",
    method: str = "auto",
    normalize: bool = False,
    progress: bool = False,
) -> float:
    r"""Return the Wasserstein distance W_p of two weighted point clouds.

    .. math:: W_p = \Big(\min_{P \in \Pi(a, b)} \sum_{ij} P_{ij}\,
              d(x_i, y_j)^p \Big)^{1/p}

    Parameters
    ----------
    x : array_like (n, d) or (n,)
        Points of the first measure; a 1-D array is points on the line, not a
        histogram (for that, see `emd`).
    y : array_like (m, d) or (m,)
        Points of the second measure.
    a, b : array_like (n,), (m,), optional
        Masses, >= 0 and of one sum; uniform probabilities by default.
    p : float, default 1
        Order, 1 <= p <= inf (p = inf on the line only).
    metric : str or callable, default "euclidean"
        See `Problem`.
    method : str, default "auto"
        See `solve`.
    normalize : bool, default False
        Divide each side's masses by their sum first.
    progress : bool, default False
        Show a progress bar (needs tqdm).

    Returns
    -------
    float
        In units of distance (times mass ** (1 / p) where the mass is not 1),
        the p-th root taken, proved to a relative gap of 1e-9 in the cost.

    Raises
    ------
    InputError
        See `Problem`.
    NotCertifiedError
        If the method cannot prove its answer; `solve` returns it with a bracket.

    Notes
    -----
    On the line O(n log n) time and O(n) memory; else the network simplex
    method, with O(n + m) memory, or the (n, m) matrix for points of 24
    coordinates or more and for a metric given as a function.

    Examples
    --------
    >>> from otdist import wasserstein_distance
    >>> wasserstein_distance([0, 1, 3], [5, 6, 8])
    5.0
    >>> wasserstein_distance([[0, 0], [0, 1]], [[3, 4], [3, 5]], p=2)
    5.0
    >>> wasserstein_distance([0, 1], [0, 1], [3, 1], [2, 2], normalize=True)
    0.25
    """
    problem = Problem(x, y, a, b, metric=metric, p=p, normalize=normalize)
    return _proved(solve(problem, method=method, progress=progress)).distance


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
    return _proved(solve(Problem.from_cost(cost, a, b))).value


def _proved(result: Result) -> Result:
    """Return the result if it is proved; a bare number must not be less."""
    if not result.certificate.proves(EXACT_TOL):
        raise NotCertifiedError(
            f"{result.method} did not prove its value to {EXACT_TOL:g}:"
            f" {result.message}. The exception's .result has it all.",
            result,
        )
    return result


def sinkhorn_divergence(
    x: ArrayLike,
    y: ArrayLike,
    a: ArrayLike | None = None,
    b: ArrayLike | None = None,
    *,
    epsilon: float,
    p: float = 1,
    metric: Metric = "euclidean",
    tol: float = 1e-6,
) -> float:
    r"""Return the debiased Sinkhorn divergence of two weighted point clouds.

    .. math:: S_\epsilon(a, b) = \mathrm{OT}_\epsilon(a, b)
              - \tfrac12 \mathrm{OT}_\epsilon(a, a)
              - \tfrac12 \mathrm{OT}_\epsilon(b, b)

    with :math:`\mathrm{OT}_\epsilon = \min_P \langle P, c\rangle + \epsilon\,
    \mathrm{KL}(P \,|\, a b^T / \text{mass})` and :math:`c = d^p`.

    Parameters
    ----------
    x, y, a, b, metric, p
        See `wasserstein_distance`.
    epsilon : float
        Entropic weight in cost units.
    tol : float, default 1e-6
        Marginal error of each term, as a part of the mass.

    Returns
    -------
    float
        In cost × mass, not rooted; exactly 0 for identical arguments, and
        ``W_p ** p`` in the limit of small epsilon.

    Raises
    ------
    InputError
        See `Problem`; an epsilon that is not positive.
    NotCertifiedError
        If a term does not reach its marginal error.

    References
    ----------
    Feydy et al., "Interpolating between optimal transport and MMD using
    Sinkhorn divergences", AISTATS 2019.

    Examples
    --------
    >>> from otdist import sinkhorn_divergence
    >>> sinkhorn_divergence([0.0], [3.0], epsilon=0.1)
    3.0
    """
    cross = Problem(x, y, a, b, metric=metric, p=p)
    terms = []
    for first, second, u, v in (
        (x, y, cross.a, cross.b),
        (x, x, cross.a, cross.a),
        (y, y, cross.b, cross.b),
    ):
        problem = Problem(first, second, u, v, metric=metric, p=p)
        result = solve(problem, method="sinkhorn", epsilon=epsilon, tol=tol)
        if not result.success:
            raise NotCertifiedError(
                f"a term of the divergence did not converge: {result.message}", result
            )
        terms.append(result.regularized_value)
    return terms[0] - 0.5 * terms[1] - 0.5 * terms[2]
