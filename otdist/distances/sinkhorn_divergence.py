"""Debiased entropic divergences: a cross term, minus half of each symmetric term.

The entropic blur of the cross term cancels with that of the symmetric terms, so that the
divergence of a measure and itself is 0.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from otdist.errors import InputError, NotCertifiedError
from otdist.inputs.calls import answers
from otdist.inputs.labels import matched
from otdist.inputs.validate import (
    as_epsilon,
    as_float64,
    as_jobs,
    as_number,
    as_order,
    as_points,
    as_tolerance,
)
from otdist.pipeline import outcome_for, solve
from otdist.plans.plans import EntropicPlan
from otdist.problem.gradients import Gradients, filled, point_gradients
from otdist.problem.problem import Problem
from otdist.typing import ArrayLike, FloatArray, Metric

# Sums of weights and prices whose products fit float64.
_SMALLEST, _LARGEST = 1e-100, 1e100
_LONGEST_LOG = 600.0
_TINY = float(np.finfo(float).tiny)

_Slopes = tuple[FloatArray, FloatArray, FloatArray, FloatArray]


class _Options(NamedTuple):
    """The options that all terms share."""

    metric: Metric
    p: float
    epsilon: float
    reach: float | None
    tol: float
    n_jobs: int
    gradients: bool
    normalize: bool


class _Measure(NamedTuple):
    """Points and their weights."""

    points: FloatArray
    masses: FloatArray

    def in_order(self) -> _Measure:
        """Return the atoms with mass in an order that does not depend on this one."""
        kept = self.masses > 0
        points, masses = self.points[kept], self.masses[kept]
        order = np.lexsort((masses, *points.T))
        return _Measure(points[order], masses[order])

    def is_same(self, other: _Measure) -> bool:
        """Whether both have the same atoms, in whatever order."""
        pairs = zip(self.in_order(), other.in_order(), strict=True)
        return all(np.array_equal(mine, others) for mine, others in pairs)

    def key(self) -> tuple[int, bytes, bytes]:
        """Return a key to sort two measures by: both orders of a pair are solved alike."""
        return len(self.points), self.points.tobytes(), self.masses.tobytes()


class _Term(NamedTuple):
    """A regularized value and, if asked for, its derivatives in x, a, y and b."""

    value: float
    slopes: _Slopes | None


@answers
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
    normalize: bool = False,
    tol: float = 1e-6,
    n_jobs: int = 1,
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
        See `wasserstein_distance`; p = inf has no divergence. With `reach` the sums of
        the weights may differ.
    epsilon : float
        Entropic weight in cost units.
    reach : float, optional
        How far mass is worth moving, in units of distance. The marginals of P need not
        be a and b then: missing them costs as in the notes, with ``rho = reach ** p``
        (``reach ** 2`` for ``"sqeuclidean"``). By default all mass is moved.
    normalize : bool, default False
        Whether to divide the weights by their sums.
    tol : float, default 1e-6
        Marginal error of each term, as a part of the mass.
    n_jobs : int, default 1
        Threads, see `solve`.

    Returns
    -------
    float
        In cost × mass, not rooted; exactly 0 for measures with the same atoms, in
        whatever order, the same to the last bit if the measures are exchanged, and
        ``W_p ** p`` in the limit of small epsilon.

    Raises
    ------
    InputError
        See `Problem`; an epsilon or a reach that is not positive.
    NotCertifiedError
        If a term does not reach its tolerance.

    Notes
    -----
    Each term is the value of dual potentials, and a lower bound. Balanced terms are at
    most ``2 * tol * mass * C`` below their optimum, with C the largest cost, which
    bounds the error of the divergence either way; it mostly falls with the square of
    `tol`. A value may be below 0 by no more than that, where theory excludes it
    (Euclidean costs with p <= 2, cityblock with p = 1).

    With `reach`, terms are

    .. math:: \mathrm{OT}(a, b) = \min_P \langle P, c\rangle
              + \epsilon\,\mathrm{KL}(P | a \otimes b)
              + \rho\,\mathrm{KL}(P 1 | a) + \rho\,\mathrm{KL}(P^T 1 | b),

    with :math:`\mathrm{KL}(P | Q) = \sum P \log(P / Q) - P + Q`, and the divergence has
    :math:`\tfrac\epsilon2 (m(a) - m(b))^2` added. Primal and dual value of each
    term are then also closer than ``tol`` times the value, which bounds the error.

    GeomLoss halves the cost for p = 2: with ``epsilon = 2 * blur ** 2`` and ``2 ** 0.5``
    times its reach the value here is twice its loss.

    A power of two is taken out of the points first: results are exact multiples at any
    scale, or an `InputError` where costs or epsilon leave float64.

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
    >>> round(sinkhorn_divergence([0.0], [3.0], epsilon=0.1, reach=1), 6)
    1.596733
    """
    options = _Options(metric, p, epsilon, reach, tol, n_jobs, False, normalize)
    return _divergence(x, y, a, b, options)[0]


@answers
def sinkhorn_divergence_gradients(
    x: ArrayLike,
    y: ArrayLike,
    a: ArrayLike | None = None,
    b: ArrayLike | None = None,
    *,
    epsilon: float,
    reach: float | None = None,
    p: float = 1,
    metric: Metric = "euclidean",
    normalize: bool = False,
    tol: float = 1e-6,
    n_jobs: int = 1,
) -> Gradients:
    """Return the derivatives of the Sinkhorn divergence of two weighted point clouds.

    Parameters
    ----------
    x, y, a, b, epsilon, reach, p, metric, normalize, tol, n_jobs
        See `sinkhorn_divergence`.

    Returns
    -------
    Gradients
        The ``value``, and its derivatives in the weights a and b (cost units) and in the
        points x and y (value per unit of coordinate), exactly 0 where the value is;
        ``cost`` is None. Those in the weights are centred to mean 0; with `reach`, or with
        `normalize`, they are plain partial derivatives.

    Raises
    ------
    InputError
        See `sinkhorn_divergence`; a metric given as a function.
    NotCertifiedError
        If a term does not reach its tolerance.

    Notes
    -----
    Derivatives are as exact as potentials and plan. Rows and columns of the plan are right
    to ``10 * tol`` of their own weight; rarely, those with less than `tol` of the mass are
    not, see "What epsilon does" in the documentation.

    Examples
    --------
    >>> from otdist import sinkhorn_divergence_gradients
    >>> found = sinkhorn_divergence_gradients([0.0], [3.0], epsilon=0.1)
    >>> found.value, found.x, found.y
    (3.0, array([[-1.]]), array([[1.]]))
    """
    options = _Options(metric, p, epsilon, reach, tol, n_jobs, True, normalize)
    value, slopes = _divergence(x, y, a, b, options)
    assert slopes is not None
    by_x, by_a, by_y, by_b = slopes
    if normalize:
        by_a, by_b = _of_sums(by_a, a), _of_sums(by_b, b)
    return Gradients(value=value, a=by_a, b=by_b, x=by_x, y=by_y, cost=None)


def _of_sums(slopes: FloatArray, weights: ArrayLike | None) -> FloatArray:
    """Return the slopes in weights, from those in the weights over their sum."""
    if weights is None:
        return slopes
    given = as_float64("weights", weights)
    total = given.sum()
    plain: FloatArray = (slopes - slopes @ given / total) / total
    return plain


def _divergence(
    x: ArrayLike, y: ArrayLike, a: ArrayLike | None, b: ArrayLike | None, options: _Options
) -> tuple[float, _Slopes | None]:
    """Return the divergence and, if asked for, its derivatives."""
    first, second, options, k = _validated(x, y, a, b, options)
    if first.is_same(second):
        x, a, y, b = (np.zeros_like(each) for each in (*first, *second))
        return 0.0, (x, a, y, b) if options.gradients else None
    if first.key() <= second.key():
        value, slopes = _combined(first, second, options)
    else:
        value, slopes = _combined(second, first, options)
        slopes = None if slopes is None else (*slopes[2:], *slopes[:2])
    return _in_costs(value, slopes, k, _power(options))


def _validated(
    x: Any, y: Any, a: Any, b: Any, options: _Options
) -> tuple[_Measure, _Measure, _Options, int]:
    """Return measures and options in a unit of length 2**k near the size of the points, and k.

    Raises for any argument that is not usable. Powers of two change no digit, and powers of
    lengths near 1 stay inside of float64.
    """
    is_relaxed = options.reach is not None
    order, normalize = as_order(options.p), is_relaxed or options.normalize
    if order == math.inf:
        raise InputError("p=inf has no entropic divergence; use a large finite p")
    x, y, a, b = matched(x, y, a, b)
    points_x, points_y = as_points("x", x), as_points("y", y)
    k = 0 if callable(options.metric) else _exponent(points_x, points_y, _power(options))
    points_x, points_y = np.ldexp(points_x, -k), np.ldexp(points_y, -k)
    problem = Problem(points_x, points_y, a, b, metric=options.metric, p=order, normalize=normalize)
    # Costs and epsilon are validated, and named in messages, in the caller's own unit.
    power = k * _power(options)
    as_epsilon(options.epsilon, _times_power(problem.geometry.largest, power, "the costs"))
    epsilon = _times_power(float(options.epsilon), -power, "epsilon, beside points of this size,")
    as_tolerance(options.tol)
    as_jobs(options.n_jobs)
    reach = None
    if is_relaxed:
        reach = _reach(options, k)
    masses = []
    for name, given, own in (("a", a, problem.a), ("b", b, problem.b)):
        if is_relaxed and given is not None and not options.normalize:
            # Not normalised, as those of the problem are.
            own = as_float64(name, given)
            if not _SMALLEST < own.sum() < _LARGEST:
                raise InputError(
                    f"{name} sums to {own.sum():.3g}, too near the limits of float64;"
                    " divide all weights by a constant"
                )
        masses.append(own)
    first, second = _Measure(points_x, masses[0]), _Measure(points_y, masses[1])
    return first, second, options._replace(epsilon=epsilon, reach=reach), k


def _exponent(x: FloatArray, y: FloatArray, power: float) -> int:
    """Return k, so that no coordinate is more than 2**k; for powers of 1/2, an even one."""
    k = math.frexp(max(float(np.abs(x).max()), float(np.abs(y).max())))[1]
    return k + k % 2 if (2 * power) % 2 == 1 else k


def _times_power(value: float, exponent: float, what: str) -> float:
    """Return ``value * 2**exponent``; `InputError` where float64 cannot hold it."""
    whole = math.floor(exponent)
    try:
        scaled = math.ldexp(value * 2.0 ** (exponent - whole), whole)
    except OverflowError:
        scaled = math.inf
    if value != 0 and not _TINY <= abs(scaled) < math.inf:
        raise InputError(
            f"{what} would be {value:.3g} * 2**{exponent:.6g}, which leaves float64; multiply"
            " the points by a constant, and epsilon by its power p"
        )
    return scaled


def _in_costs(
    value: float, slopes: _Slopes | None, k: int, power: float
) -> tuple[float, _Slopes | None]:
    """Return a divergence and its derivatives in costs, given those in the unit 2**k."""
    value = _times_power(value, k * power, "the divergence")
    if slopes is None:
        return value, None
    x, a, y, b = slopes
    of_masses = _times_power(1.0, k * power, "its derivatives by weights")
    of_points = _times_power(1.0, k * (power - 1), "its derivatives by points")
    return value, (x * of_points, a * of_masses, y * of_points, b * of_masses)


def _reach(options: _Options, k: int) -> float:
    """Return the reach in the unit 2**k; `InputError` where it is not usable."""
    given = as_number("reach", options.reach, "a positive length, or None")
    if not 0 < given < math.inf:
        raise InputError(
            f"reach must be a positive length, got {options.reach!r}; None is for"
            " measures of one mass, and all of it is moved"
        )
    mantissa, exponent = math.frexp(given)
    log = math.log(mantissa) + (exponent - k) * math.log(2)
    if not abs(log) * _power(options) < _LONGEST_LOG:
        raise InputError(
            f"reach={given:g} to the power {_power(options):g} leaves float64, beside the costs;"
            " pass a reach nearer to the distances of the points"
        )
    return math.ldexp(mantissa, exponent - k)


def _combined(first: _Measure, second: _Measure, options: _Options) -> tuple[float, _Slopes | None]:
    term = _balanced if options.reach is None else _unbalanced
    cross = term(first, second, options)
    own_a, own_b = term(first, first, options), term(second, second, options)
    value = cross.value - 0.5 * own_a.value - 0.5 * own_b.value
    if cross.slopes is None or own_a.slopes is None or own_b.slopes is None:
        return value, None
    x, a, y, b = cross.slopes
    own_x, own_mass = _of_both_sides(own_a.slopes)
    x, a = x - own_x, a - own_mass
    own_y, own_mass = _of_both_sides(own_b.slopes)
    return value, (x, a, y - own_y, b - own_mass)


def _of_both_sides(slopes: _Slopes) -> tuple[FloatArray, FloatArray]:
    """Return the derivatives of half a symmetric term, whose sides move together."""
    x, a, y, b = slopes
    return 0.5 * (x + y), 0.5 * (a + b)


def _balanced(first: _Measure, second: _Measure, options: _Options) -> _Term:
    """Solve with exact masses; the value is the dual one, a lower bound.

    It is at most ``|column sums - b|_1`` times the mean of the ranges of g and of the
    optimal g below the optimum; the latter range is no larger than that of the costs.
    """
    problem = _problem(first, second, options)
    result = solve(
        problem,
        method="sinkhorn",
        epsilon=options.epsilon,
        tol=options.tol,
        n_jobs=options.n_jobs,
    )
    value = result.regularized_value
    spread = np.ptp(result.potentials[1][problem.b > 0])
    is_bounded = math.isfinite(value) and spread <= 3 * problem.geometry.largest
    if not (result.success and is_bounded):
        raise NotCertifiedError(
            "a term of the divergence did not converge:"
            f" {outcome_for(result, frozenset({'tol', 'epsilon'}))}",
            result,
        )
    if not options.gradients:
        return _Term(value, None)
    found = result.gradients()
    assert found.x is not None
    assert found.y is not None
    return _Term(value, (found.x, found.a, found.y, found.b))


def _unbalanced(first: _Measure, second: _Measure, options: _Options) -> _Term:
    """Solve with relaxed masses; the value is the dual one, less ``ε m(a) m(b)``.

    Over all three terms that product cancels with the term of the masses in the
    divergence of Séjourné et al. (2019).
    """
    from otdist.solvers.sinkhorn.unbalanced import Relaxed

    assert options.reach is not None
    epsilon, rho = options.epsilon, float(options.reach ** _power(options))
    rows, columns = np.flatnonzero(first.masses), np.flatnonzero(second.masses)
    geometry = _problem(first, second, options).geometry
    there, back = geometry.restrict(rows, columns), None
    if first is not second:
        turned = _problem(second, first, options).geometry
        back = turned.restrict(columns, rows)
    a, b = first.masses[rows], second.masses[columns]
    relaxed = Relaxed(there, back, a, b, rho, as_jobs(options.n_jobs))
    state, is_proved = relaxed.solve(epsilon, options.tol)
    if not is_proved:
        raise NotCertifiedError(
            f"a term of the divergence did not converge: its gap is {state.gap:.3g} and"
            f" its marginal error {state.error:.3g}; raise tol or epsilon",
            None,
        )
    if not options.gradients:
        return _Term(state.value, None)
    f, g = np.zeros(len(first.masses)), np.zeros(len(second.masses))
    f[rows], g[columns] = state.f, state.g
    damping = rho / (rho + epsilon)
    f, g = filled(geometry, first.masses, second.masses, f, g, epsilon, damping)
    # Constants that cancel in the divergence are left out here as well.
    by_a, by_b = (-(rho + epsilon) * np.expm1(-each / rho) for each in (f, g))
    by_x, by_y = np.zeros_like(first.points), np.zeros_like(second.points)
    f, g = state.f + epsilon * np.log(a), state.g + epsilon * np.log(b)
    plan = EntropicPlan(there, f, g, epsilon, 0 * f + 1, 0 * g + 1, 0 * f, 0 * g)
    by_x[rows], by_y[columns] = point_gradients(there, plan)
    return _Term(state.value, (by_x, by_a, by_y, by_b))


def _problem(first: _Measure, second: _Measure, options: _Options) -> Problem:
    return Problem(
        *(first.points, second.points, first.masses, second.masses),
        metric=options.metric,
        p=options.p,
        normalize=options.reach is not None,
    )


def _power(options: _Options) -> float:
    """Return the power of lengths that costs are."""
    is_squared = isinstance(options.metric, str) and options.metric == "sqeuclidean"
    return 2.0 if is_squared else float(options.p)
