"""Kantorovich-Rubinstein duality: potentials as functions on the whole space."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import numpy as np

from otdist import _validate
from otdist._errors import InputError, NotCertifiedError
from otdist._geometry import blocks
from otdist._geometry.points import METRICS, Points, distance_gradient
from otdist._problem import Problem
from otdist._result import Certificate, Result
from otdist._solve import EXACT_TOL, solve
from otdist._typing import ArrayLike, FloatArray, IntArray, Metric


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Critic:
    """A 1-Lipschitz function ``z -> sign * min_k (d(z, centres[k]) + offsets[k])``.

    It is high on the first measure and low on the second. A minimum of
    1-Lipschitz functions is 1-Lipschitz, so `lipschitz` needs no estimate.

    Attributes
    ----------
    centres : ndarray (k, d)
    offsets : ndarray (k,)
        In units of distance.
    sign : float
        1 for a McShane extension, -1 for a Whitney extension.
    metric : str
        The metric in which the function is 1-Lipschitz.
    value : float
        ``sum a critic(x) - sum b critic(y)`` on the data it was made from, in
        distance × mass: a lower bound of W1 of these two measures.
    standard_error : float
        NaN: the value is on the training data, nothing is held out.
    lipschitz : float
        1.0, proved by construction.
    certificate : Certificate
        The bracket of W1 that the solve ended with.
    """

    centres: FloatArray
    offsets: FloatArray
    sign: float
    metric: str
    value: float
    standard_error: float
    lipschitz: float
    certificate: Certificate

    def __call__(self, points: ArrayLike) -> FloatArray:
        """Return the critic's values (k,) at points (k, d), or (k,) on the line."""
        return self._at(self._points(points))[0]

    def gradient(self, points: ArrayLike) -> FloatArray:
        """Return a gradient (k, d) at each point, of norm at most 1.

        The norm is the metric's dual norm. Where two centres tie, the gradient
        of the first; 0 at a centre.
        """
        z = self._points(points)
        nearest = self._at(z)[1]
        return self.sign * distance_gradient(z - self.centres[nearest], self.metric)

    def _points(self, points: ArrayLike) -> FloatArray:
        z = _validate.as_points("points", points)
        if z.shape[1] != self.centres.shape[1]:
            raise InputError(
                f"points must have {self.centres.shape[1]} coordinates, got"
                f" {z.shape[1]}"
            )
        return z

    def _at(self, z: FloatArray) -> tuple[FloatArray, IntArray]:
        return _evaluate(self.centres, self.offsets, self.sign, self.metric, z)


def kr_dual(
    x: ArrayLike,
    y: ArrayLike,
    a: ArrayLike | None = None,
    b: ArrayLike | None = None,
    *,
    critic: str = "mcshane",
    metric: str = "euclidean",
) -> Critic:
    r"""Return a best 1-Lipschitz critic: the Kantorovich-Rubinstein dual of W1.

    .. math:: W_1 = \max_{f \text{ 1-Lipschitz}} \sum_i a_i f(x_i)
              - \sum_j b_j f(y_j)

    Parameters
    ----------
    x, y, a, b
        The two measures; see `wasserstein_distance`.
    critic : {"mcshane", "whitney"}, default "mcshane"
        How the optimal potential is extended from the data to the whole space:
        the largest 1-Lipschitz function that has the potential's values on y,
        or the smallest that has them on x. Both attain W1 on the data.
    metric : str, default "euclidean"
        A metric known by name: "euclidean", "cityblock" or "chebyshev".

    Returns
    -------
    Critic
        Callable on new points, high on the first measure.

    Raises
    ------
    InputError
        See `Problem`; a metric that is none, an unknown critic.
    NotCertifiedError
        If the exact solve behind it could not be proved.

    Notes
    -----
    One exact solve; an evaluation costs O(k m d) for k points. The value is on
    the data itself: on fresh data from the same laws the critic does worse.

    References
    ----------
    E. J. McShane, "Extension of range of functions", 1934; Sriperumbudur et
    al., "On the empirical estimation of integral probability metrics", 2012.

    Examples
    --------
    >>> from otdist import kr_dual
    >>> critic = kr_dual([[0.0, 0.0], [0.0, 1.0]], [[2.0, 0.0], [2.0, 1.0]])
    >>> critic.value
    2.0
    >>> float(critic([[0.0, 0.5]])[0] - critic([[2.0, 0.5]])[0]) <= 2.0
    True
    """
    if critic not in ("mcshane", "whitney"):
        raise InputError(f"critic must be 'mcshane' or 'whitney', got {critic!r}")
    if not isinstance(metric, str) or not METRICS.get(metric, False):
        known = ", ".join(
            repr(name) for name, is_metric in METRICS.items() if is_metric
        )
        raise InputError(
            f"kr_dual needs a metric known by name, one of {known}; got {metric!r}"
        )
    result = solve(Problem(x, y, a, b, metric=metric))
    return critic_of(
        result, _validate.as_points("x", x), _validate.as_points("y", y), critic
    )


def critic_of(
    result: Result, x: FloatArray, y: FloatArray, critic: str = "mcshane"
) -> Critic:
    """Extend the potentials of a proved W1 result between points x and y."""
    problem = result.problem
    if not result.certificate.proves(EXACT_TOL):
        raise NotCertifiedError(
            f"no critic without an optimum: {result.message}", result
        )
    a, b, (f, g) = problem.a, problem.b, result.potentials
    if critic == "mcshane":
        centres, offsets, sign = y[b > 0], -g[b > 0], 1.0
    else:
        centres, offsets, sign = x[a > 0], -f[a > 0], -1.0
    assert isinstance(problem.metric, str)
    height = partial(_evaluate, centres, offsets, sign, problem.metric)
    terms = np.concatenate([a * height(x)[0], -b * height(y)[0]])
    return Critic(
        centres=centres,
        offsets=offsets,
        sign=sign,
        metric=problem.metric,
        value=math.fsum(terms),
        standard_error=math.nan,
        lipschitz=1.0,
        certificate=result.certificate,
    )


def _evaluate(
    centres: FloatArray, offsets: FloatArray, sign: float, metric: str, z: FloatArray
) -> tuple[FloatArray, IntArray]:
    """Return the critic at z and the centre that decides it, in O(k) memory."""
    geometry = Points(z, centres, metric, 1.0, 0.0)
    nearest = np.empty(len(z), dtype=np.int64)
    values = np.empty(len(z))
    for start, stop in blocks.row_blocks(*geometry.shape):
        height = geometry.rows(start, stop) + offsets
        nearest[start:stop] = height.argmin(axis=1)
        values[start:stop] = sign * height.min(axis=1)
    return values, nearest


def c_transform(
    x: ArrayLike,
    y: ArrayLike,
    g: ArrayLike,
    *,
    p: float = 1,
    metric: Metric = "euclidean",
) -> FloatArray:
    """Return the c-transform ``f[i] = min_j metric(x[i], y[j]) ** p - g[j]``.

    Parameters
    ----------
    x : array_like (n, d) or (n,)
        Where to evaluate the transform.
    y : array_like (m, d) or (m,)
        Where g is given.
    g : array_like (m,)
        Any finite numbers, in cost units.
    p : float, default 1
        Order, finite.
    metric : str or callable, default "euclidean"
        See `Problem`.

    Returns
    -------
    ndarray (n,)
        The largest f such that ``f[i] + g[j] <= cost[i, j]``, cost units; for
        p = 1 a 1-Lipschitz function of x. With any masses a on x and b on y,
        ``a @ f + b @ g`` is a lower bound of the optimal value.

    Raises
    ------
    InputError
        See `Problem`; a g of the wrong shape or not finite.

    Notes
    -----
    O(nmd) time (O((n + m) log m) on the line), O(n + m) memory.

    Examples
    --------
    >>> from otdist import c_transform
    >>> c_transform([0.0, 4.0], [1.0, 2.0], [0.0, 1.0])
    array([1., 1.])
    """
    import warnings

    with warnings.catch_warnings():
        # Points are meant here, whatever they look like.
        warnings.simplefilter("ignore")
        problem = Problem(x, y, p=p, metric=metric)
    if math.isinf(problem.p):
        raise InputError("c_transform needs a finite p")
    potential = _validate.as_potential("g", g, problem.shape[1])
    return problem.geometry.row_minimum(potential)
