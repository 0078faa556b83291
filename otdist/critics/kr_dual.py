"""Kantorovich-Rubinstein duality: critics on the whole space, and intervals for W1."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, replace

import numpy as np

from otdist.certificate.units import from_unit as certificate_from_unit
from otdist.critics.concentration import deviation, spread_of_points, w1_by_bands
from otdist.critics.fit import EUCLIDEAN, FAMILIES, Candidate, choose, split
from otdist.critics.functions import Funnel, InUnit, Potential, distances
from otdist.critics.sample import Sample
from otdist.errors import InputError, NotCertifiedError, short
from otdist.geometry.metrics import true_metric
from otdist.geometry.points import box
from otdist.inputs import validate as _validate
from otdist.inputs.calls import answers
from otdist.inputs.labels import matched
from otdist.inputs.scale import exponent, from_unit, in_unit, largest_difference
from otdist.pipeline import outcome_for, solve
from otdist.problem.problem import Problem
from otdist.problem.result import EXACT_TOL, Certificate, Result
from otdist.runtime.interrupts import interruptible
from otdist.runtime.show import brief, table
from otdist.typing import ArrayLike, FloatArray, Metric, Sampler, Seed

_EXACT = ("mcshane", "whitney")
# Limits of the exact dual that "auto" fits: atoms, and coordinates of one sample.
_MOST_ATOMS, _MOST_NUMBERS = 4096, 1 << 17
_ROUNDING = 1e-12  # relative to a diameter
_INDEPENDENT = (
    "all points are independent, those of x from one distribution and those of y from another"
)
_BY_MEANS = "W1 of the samples plus the deviation of a mean by Hoeffding or by Bernstein"
_BY_CRITIC = (
    "a critic's mean on held-out points, less its deviation by Hoeffding or by Bernstein",
    _BY_MEANS,
)
_BY_BANDS = (
    "the bands of both distribution functions by Dvoretzky, Kiefer, Wolfowitz and Massart",
    f"these bands, or {_BY_MEANS}",
)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Critic:
    """A 1-Lipschitz function, high on the first measure and low on the second.

    Attributes
    ----------
    value : float
        Mean of the critic under the first measure minus its mean under the second, in
        distance × mass. On held-out points it is an unbiased estimate of a number
        that is at most W1 of the two distributions. For the families "mcshane" and
        "whitney" it is W1 of the given measures, which `certificate` proves.
    standard_error : float
        Estimated standard error of `value`; NaN if no points are held out.
    n_held_out : (int, int)
        Numbers of points of the two measures that are used for `value` only, not for
        fitting or choosing; (0, 0) if no points are held out.
    lipschitz : float
        Lipschitz constant in `metric`: 1.0, proved by construction, up to the rounding of
        the function's values.
    metric : str
    family : str
        "linear", "radial", "ridge", "mcshane", "whitney", "funnel" or "lattice".
    potential : object
        The function, with the numbers that define it as attributes: a linear function;
        a function of slope at most 1 of a projection or of a distance; ``sign * min_k
        (d(z, centres[k]) + offsets[k])``; or the minimum or maximum of two of these.
    candidates : tuple
        All fitted functions, best first, with their `family`, `potential` and `value` on
        the validation part.
    certificate : Certificate or None
        The certificate of W1 of the measures, if they were solved exactly.
    dimension : int
        Number of coordinates of the points.
    """

    value: float
    standard_error: float
    n_held_out: tuple[int, int]
    lipschitz: float
    metric: str
    family: str
    potential: Potential
    candidates: tuple[Candidate, ...]
    certificate: Certificate | None
    dimension: int

    def __call__(self, points: ArrayLike) -> FloatArray:
        """Return the critic's values (k,) at points (k, d), or (k,) on the line."""
        return self.potential(self._points(points))

    def gradient(self, points: ArrayLike) -> FloatArray:
        """Return a gradient (k, d) at each point, of dual norm at most 1.

        Where two pieces of the function tie, it is the gradient of one of them. At a
        centre it is 0.
        """
        return self.potential.gradient(self._points(points))

    def __repr__(self) -> str:
        return brief(self)

    def _repr_html_(self) -> str:
        n, m = self.n_held_out
        return table(
            "Critic",
            [
                ("value", f"{self.value:.9g}"),
                ("standard error", f"{self.standard_error:.3g}" if n else "no points held out"),
                ("held-out points", f"{n} and {m}"),
                ("family", self.family),
                ("Lipschitz constant", f"{self.lipschitz:g} in {self.metric}"),
            ],
        )

    def __str__(self) -> str:
        n, m = self.n_held_out
        held_out = (
            f"{self.value:.6g} ± {self.standard_error:.2g} on {n} + {m} held-out points"
            if n
            else f"{self.value:.6g} on the measures themselves"
        )
        return (
            f"{self.family} critic, {self.lipschitz:g}-Lipschitz in {self.metric!r},"
            f" high on the first measure: {held_out}"
        )

    def _points(self, points: ArrayLike) -> FloatArray:
        return _validate.as_points_in("points", points, self.dimension)


@answers
def kr_dual(
    x: ArrayLike | Sampler,
    y: ArrayLike | Sampler,
    a: ArrayLike | None = None,
    b: ArrayLike | None = None,
    *,
    critic: str = "auto",
    metric: str = "euclidean",
    normalize: bool = False,
    n_samples: int = 1 << 17,
    rng: Seed = None,
) -> Critic:
    r"""Fit a 1-Lipschitz critic: the Kantorovich-Rubinstein dual of W1.

    .. math:: W_1 = \max_{f \text{ 1-Lipschitz}} E_P f - E_Q f

    Parameters
    ----------
    x, y : array_like (n, d) and (m, d), or callable
        Independent samples of the two distributions P and Q, or samplers: ``x(n, rng)``
        draws n new points (n, d) with a `numpy.random.Generator`.
    a, b : array_like (n,) and (m,), optional
        Weights; see `wasserstein_distance`. If x and y are all atoms of two measures
        rather than samples, use "mcshane".
    critic : str, default "auto"
        ``"auto"`` splits the points at random into training, validation and test parts.
        Every family is fitted to the training part, the validation part chooses one, and
        the test part gives `value`. ``"linear"``, ``"radial"``, ``"ridge"`` and
        ``"funnel"`` fit one family in this way. ``"mcshane"`` and ``"whitney"`` hold no
        points out: they extend the exact potential of the measures to the whole space, as
        the largest 1-Lipschitz function with its values on y, or the smallest with its
        values on x. Both attain W1 of the measures.
    metric : str, default "euclidean"
        "euclidean", "cityblock" or "chebyshev". Ridges and funnels exist for "euclidean"
        only.
    normalize : bool, default False
        Whether to divide the weights by their sums.
    n_samples : int, default 131072
        Number of points to draw from a sampler.
    rng : numpy.random.Generator, int or None
        Random numbers for drawing, splitting and fitting (SPEC 7).

    Returns
    -------
    Critic
        Callable on new points, high on the first measure.

    Raises
    ------
    InputError
        For invalid input as in `Problem`, a cost that is not a metric, an unknown critic,
        fewer than 10 points of positive weight to split, or a sampler that does not
        return n points.
    NotCertifiedError
        If the exact solve for "mcshane" or "whitney" could not be proved.

    Notes
    -----
    Every family is 1-Lipschitz by construction. The expectation of `value` is therefore
    at most W1 of the distributions; `w1_interval` bounds the sampling error. How far
    `value` is below W1 depends on the fit and is not certified.

    Evaluating the critic costs O(k d) per point, for k funnels or atoms. A fit takes about
    1 s for 2000 points in the plane, and up to a minute for 2**19 points in 128
    dimensions. "mcshane" and "whitney" take one exact solve.

    References
    ----------
    E. J. McShane, "Extension of range of functions", 1934; Sriperumbudur et
    al., "On the empirical estimation of integral probability metrics", 2012;
    funnels: Korotin, Kolesov, Burnaev, "Kantorovich strikes back!", 2022.

    Examples
    --------
    >>> from otdist import datasets, kr_dual
    >>> x, y = datasets.concentric_spheres(3, 1.0, 2.0).sample(400, rng=0)
    >>> critic = kr_dual(x, y, critic="radial", rng=0)
    >>> 0.9 < critic.value <= 1.0
    True
    >>> bool(critic([[1.0, 0.0, 0.0]])[0] > critic([[2.0, 0.0, 0.0]])[0])
    True
    """
    _validate.as_choice("critic", critic, ("auto", *FAMILIES, *_EXACT))
    true_metric("kr_dual", metric)
    if metric != "euclidean" and critic in EUCLIDEAN:
        raise InputError(
            f"critic={critic!r} needs metric='euclidean', got {metric!r}; use"
            " critic='auto', 'linear' or 'radial'"
        )
    generator = _validate.as_generator(rng, apart=True)
    if critic in _EXACT and (callable(x) or callable(y)):
        raise InputError(
            f"critic={critic!r} needs arrays of points, got a sampler; draw points from it"
            " first, or use critic='auto'"
        )
    x, y, a, b = matched(x, y, a, b)
    points_x = _draw("x", x, n_samples, generator)
    points_y = _draw("y", y, n_samples, generator)
    _validate.require_same_space(points_x, points_y)
    k = exponent(largest_difference(*box(points_x, points_y)), 1.0)
    if k == 0:
        return _fitted(points_x, points_y, a, b, critic, metric, normalize, generator)
    points_x, points_y = in_unit(points_x, k), in_unit(points_y, k)
    return _from_unit(_fitted(points_x, points_y, a, b, critic, metric, normalize, generator), k)


def _fitted(
    points_x: FloatArray,
    points_y: FloatArray,
    a: ArrayLike | None,
    b: ArrayLike | None,
    critic: str,
    metric: str,
    normalize: bool,
    generator: np.random.Generator,
) -> Critic:
    """Fit a critic to points that are not far from 1."""
    problem = Problem(points_x, points_y, a, b, metric=metric, normalize=normalize)
    if critic in _EXACT:
        return critic_of(solve(problem), points_x, points_y, critic)
    sample = Sample.of(points_x, points_y, problem.a, problem.b)
    mass = problem.mass
    del problem  # it has copies of the points
    train, check, test = split(sample, generator)
    del sample, points_x, points_y
    exact = _exact_duals(train, metric) if critic == "auto" else []
    candidates = choose(train, check, critic, metric, generator, exact)
    return _held_out(candidates, test, metric, mass)


def _from_unit(critic: Critic, k: int) -> Critic:
    """Return a critic of points given in the unit 2**k of length."""

    def potential(candidate: Candidate) -> Candidate:
        function = InUnit(candidate.potential, k)
        return replace(candidate, potential=function, value=from_unit(candidate.value, k))

    certificate = critic.certificate
    return replace(
        critic,
        value=from_unit(critic.value, k),
        standard_error=from_unit(critic.standard_error, k),
        potential=InUnit(critic.potential, k),
        candidates=tuple(map(potential, critic.candidates)),
        certificate=None if certificate is None else certificate_from_unit(certificate, k),
    )


def _held_out(candidates: tuple[Candidate, ...], test: Sample, metric: str, mass: float) -> Critic:
    """Evaluate the chosen candidate on the test part."""
    chosen = candidates[0]
    on_x, on_y = chosen.potential(test.x), chosen.potential(test.y)
    return Critic(
        value=mass * test.difference(on_x, on_y),
        standard_error=mass * test.standard_error(on_x, on_y),
        n_held_out=(len(test.x), len(test.y)),
        lipschitz=1.0,
        metric=metric,
        family=chosen.family,
        potential=chosen.potential,
        candidates=candidates,
        certificate=None,
        dimension=test.x.shape[1],
    )


def _exact_duals(sample: Sample, metric: str) -> list[Funnel]:
    """Return both extensions of the exact potential of a part of the sample."""
    d = sample.x.shape[1]
    part = sample.first(max(1, min(_MOST_ATOMS, _MOST_NUMBERS // d)))
    result = solve(Problem(part.x, part.y, part.a, part.b, metric=metric))
    return [_extended(result, part.x, part.y, critic) for critic in _EXACT]


def _extended(result: Result, x: FloatArray, y: FloatArray, critic: str) -> Funnel:
    """Extend the potentials of W1 by McShane's or Whitney's formula; both attain W1."""
    (f, g), metric = result.potentials, result.problem.metric
    assert isinstance(metric, str)
    if critic == "mcshane":
        used = result.problem.b > 0
        return Funnel(y[used], -g[used], 1.0, metric)
    used = result.problem.a > 0
    return Funnel(x[used], -f[used], -1.0, metric)


def _draw(name: str, source: ArrayLike | Sampler, n: int, rng: np.random.Generator) -> FloatArray:
    """Return the given points, or n points drawn from a sampler."""
    if not callable(source):
        return _validate.as_points(name, source)
    n = _validate.as_size("n_samples", n)
    points = _validate.as_points(f"{name}(n, rng)", source(n, rng))
    if len(points) != n:
        raise InputError(
            f"the sampler {name} must return n={n} points, got {len(points)}; its"
            " arguments are n and a numpy.random.Generator"
        )
    return points


def critic_of(result: Result, x: FloatArray, y: FloatArray, critic: str = "mcshane") -> Critic:
    """Return the critic that extends the potentials of a proved W1 between x and y."""
    problem = result.problem
    if not result.certificate.proves(EXACT_TOL):
        raise NotCertifiedError(f"a critic needs a proved optimum: {outcome_for(result)}", result)
    potential = _extended(result, x, y, critic)
    terms = np.concatenate([problem.a * potential(x), -problem.b * potential(y)])
    return Critic(
        value=math.fsum(terms),
        standard_error=math.nan,
        n_held_out=(0, 0),
        lipschitz=1.0,
        metric=potential.metric,
        family=critic,
        potential=potential,
        candidates=(),
        certificate=result.certificate,
        dimension=x.shape[1],
    )


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Interval:
    """A confidence interval for W1 of two distributions; printing it shows its assumptions.

    Attributes
    ----------
    lower, upper : float
        Ends, in units of distance.
    confidence : float
        Lower bound of the probability, over the samples, that W1 of the two distributions
        is between the ends, if the assumptions are true.
    assumptions : tuple of str
        Assumptions that the samples cannot verify.
    proof : (str, str)
        How the lower and the upper end are proved.
    critic : Critic or None
        The critic whose value on held-out points gives the lower end; None where
        distribution functions on the line give it.
    plug_in : float
        W1 of the two samples: an estimate that is too large on average.
    """

    lower: float
    upper: float
    confidence: float
    assumptions: tuple[str, ...]
    proof: tuple[str, str]
    critic: Critic | None
    plug_in: float

    def __repr__(self) -> str:
        return brief(self)

    def _repr_html_(self) -> str:
        return table(
            "W1 of the distributions",
            [
                ("interval", f"[{self.lower:.9g}, {self.upper:.9g}]"),
                ("confidence", f"{self.confidence:g}"),
                ("W1 of the samples", f"{self.plug_in:.9g}"),
                *(("assumed", each) for each in self.assumptions),
                ("lower end", self.proof[0]),
                ("upper end", self.proof[1]),
            ],
        )

    def __str__(self) -> str:
        head = (
            f"W1 of the distributions is in [{self.lower:.6g}, {self.upper:.6g}] with confidence"
            f" {self.confidence:g}, assuming:"
        )
        ends = zip(("lower", "upper"), self.proof, strict=True)
        return "\n".join(
            [
                head,
                *(f"- {each}" for each in self.assumptions),
                *(f"{end} end: {how}" for end, how in ends),
            ]
        )


@answers
def w1_interval(
    x: ArrayLike,
    y: ArrayLike,
    *,
    confidence: float = 0.95,
    diameter: float | None = None,
    box: tuple[ArrayLike, ArrayLike] | None = None,
    independent: bool = True,
    metric: Metric = "euclidean",
    critic: str = "auto",
    rng: Seed = None,
) -> Interval:
    r"""Return a confidence interval for W1 of the distributions of two samples.

    On the line both ends come from bands around the distribution functions of the samples
    (Dvoretzky, Kiefer, Wolfowitz and Massart): W1 is the integral of the distance of the two
    functions. In general:

    * lower end: the mean difference of a critic on held-out points, minus its largest
      deviation from the expectation, which is at most W1;
    * upper end: W1 of the samples, plus that deviation for the best critic of the two
      distributions, whose mean difference on the samples is at most W1 of the samples.

    Deviations are bounded by Hoeffding and, from the spread of the values, by Bernstein with
    the constants of Maurer and Pontil. Each bound has its own share of the error probability
    :math:`\alpha = 1 - confidence`, fixed beforehand: :math:`\alpha/2` for the bands or for
    the lower end, and :math:`\alpha/2` for the upper end, half of it for each inequality.

    Parameters
    ----------
    x, y : array_like (n, d) and (m, d), or (n,) and (m,)
        Samples of at least 10 points each; on the line any number.
    confidence : float, default 0.95
        In (0, 1).
    diameter : float, optional
        An upper bound D of the distance between any two points of the supports of both
        distributions. It must be known beforehand: an estimate from the data voids the
        guarantee.
    box : (low, high), optional
        Corners (d,), or numbers, of a box that contains both supports; an alternative to
        `diameter`.
    independent : bool, default True
        Whether all points are drawn independently, those of x from one distribution and
        those of y from another. Otherwise there is no interval.
    metric, rng
        See `kr_dual`.
    critic : str, default "auto"
        Critic of the lower end, see `kr_dual`; "mcshane" and "whitney" hold no points out
        and are refused. On the line "auto" takes the distribution functions instead.

    Returns
    -------
    Interval
        Printing it shows the assumptions, and how each end is proved.

    Raises
    ------
    InputError
        Without a diameter or box, or with both; for points that contradict it; if the
        points are not independent; for other invalid input as in `kr_dual`.
    NotCertifiedError
        If W1 of the samples could not be proved.

    Notes
    -----
    Both ends hold for every sample size and dimension, with a probability of at least
    `confidence` that covers the rounding of the sums too. Proved is the interval, estimated
    are ``plug_in`` and ``critic.value``. In more dimensions the ends may be far apart: W1 of
    the samples exceeds W1 of the distributions by about n**(-1/d), and the lower end depends
    on the quality of the critic. The time is that of one exact solve and one `kr_dual`.

    References
    ----------
    P. Massart, "The tight constant in the Dvoretzky-Kiefer-Wolfowitz inequality", 1990;
    W. Hoeffding, "Probability inequalities for sums of bounded random variables", 1963;
    Maurer and Pontil, "Empirical Bernstein bounds and sample variance penalization", 2009;
    Boucheron, Lugosi and Massart, "Concentration inequalities", 2013.

    Examples
    --------
    >>> from otdist import datasets, w1_interval
    >>> x, y = datasets.parallel_lines(1.0).sample(400, rng=0)
    >>> interval = w1_interval(x, y, box=([0, 0], [1, 1]), critic="linear", rng=0)
    >>> interval.lower < 1.0 < interval.upper
    True
    >>> interval.assumptions[1]
    'both distributions are in the box from [0. 0.] to [1. 1.], of diameter 1.41421'

    On the line, with a shift of 10 in a box that is much wider than the samples:

    >>> import numpy as np
    >>> draw = np.random.default_rng(0).normal
    >>> interval = w1_interval(draw(45, 10, 2000), draw(55, 10, 2000), box=(-20, 120))
    >>> 6 < interval.lower < 10 < interval.upper < 14
    True
    """
    metric = true_metric("w1_interval", metric).name
    level = _validate.as_inside("confidence", confidence, 0, 1, "in (0, 1)")
    if not _validate.as_flag("independent", independent):
        raise InputError(
            "w1_interval needs independent points, got independent=False; thin a time"
            " series until its points are independent, and pass one point per group"
        )
    _require_held_out(critic)
    x, y, _, _ = matched(x, y)
    points_x, points_y = _validate.as_points("x", x), _validate.as_points("y", y)
    problem = Problem(points_x, points_y, metric=metric)
    span, support = _support(points_x, points_y, diameter, box, metric)
    result = solve(problem)
    if not result.certificate.proves(EXACT_TOL):
        raise NotCertifiedError(f"the upper end is not proved: {outcome_for(result)}", result)
    risk = (1 - level) / 2
    centre_x, centre_y = points_x.mean(axis=0), points_y.mean(axis=0)
    spread = spread_of_points(
        distances(points_x, centre_x, metric), distances(points_y, centre_y, metric)
    )
    upper = result.upper + deviation(span, problem.shape, spread, risk)
    fitted, proof = None, _BY_BANDS
    if critic == "auto" and points_x.shape[1] == 1:
        _validate.as_generator(rng)
        on_line = points_x[:, 0], points_y[:, 0]
        lower, by_bands = interruptible(sum(problem.shape), w1_by_bands, *on_line, span, risk)
        upper = min(upper, by_bands)
    else:
        fitted, proof = (
            kr_dual(points_x, points_y, critic=critic, metric=metric, rng=rng),
            _BY_CRITIC,
        )
        lower = fitted.value - deviation(span, fitted.n_held_out, fitted.standard_error, risk)
    # Rounding of sums, and of products of coordinates with directions.
    largest = max(float(np.abs(points_x).max()), float(np.abs(points_y).max()))
    margin = _ROUNDING * span + 8 * math.ulp(1.0) * points_x.shape[1] * largest
    return Interval(
        lower=max(lower - margin, 0.0),
        upper=min(upper + margin, span),
        confidence=level,
        assumptions=(_INDEPENDENT, support),
        proof=proof,
        critic=fitted,
        plug_in=result.distance,
    )


def _require_held_out(critic: str) -> None:
    """Raise for a critic that is no family fitted to a part of the points."""
    _validate.as_choice("critic", critic, ("auto", *FAMILIES, *_EXACT))
    if critic in ("mcshane", "whitney"):
        raise InputError(
            f"critic={critic!r} holds no points out, and gives no lower bound for the"
            " distributions; use critic='auto'"
        )


def _support(
    x: FloatArray,
    y: FloatArray,
    diameter: float | None,
    box: tuple[ArrayLike, ArrayLike] | None,
    metric: str,
) -> tuple[float, str]:
    """Return a bound of the diameter of the supports, and the assumption in words."""
    if (diameter is None) == (box is None):
        raise InputError(
            "w1_interval needs either diameter=, an upper bound of the distance between any"
            " two points of the supports, or box=(low, high), which contains them; it must be"
            " known beforehand, not computed from the samples"
        )
    points = np.concatenate([x, y])
    if box is not None:
        return _of_box(points, box, metric)
    span = _validate.as_inside("diameter", diameter, 0, math.inf, "a positive number")
    # Two sweeps find at least half of the largest distance, and mostly all of it.
    far = points[distances(points, points[0], metric).argmax()]
    found = float(distances(points, far, metric).max())
    if found > span * (1 + _ROUNDING):
        raise InputError(
            f"diameter={span:.6g} is too small: two of the points are {found:.6g} apart; pass"
            " a bound for all points that the distributions can produce"
        )
    return span, f"no two points of the supports are farther apart than {span:.6g}"


def _of_box(points: FloatArray, box: tuple[ArrayLike, ArrayLike], metric: str) -> tuple[float, str]:
    """Return the diameter of a box, and the assumption in words."""
    if not isinstance(box, tuple | list) or len(box) != 2:
        raise InputError(f"box must be a pair (low, high) of corners, got {short(box)}")
    d = points.shape[1]
    corners = []
    for name, value in zip(("box[0]", "box[1]"), box, strict=True):
        corner = _validate.as_float64(name, value)
        if corner.shape not in ((), (d,)):
            raise InputError(f"{name} must be a number or have shape ({d},), got {corner.shape}")
        _validate.require_finite(name, np.atleast_1d(corner))
        corners.append(np.broadcast_to(corner, d))
    low, high = corners
    outside = (points < low) | (points > high)
    if not (low < high).any() or (low > high).any() or outside.any():
        raise InputError(
            f"the box from {low} to {high} must have a positive size and contain all"
            f" points, got points from {points.min(axis=0)} to {points.max(axis=0)}"
        )
    span = float(distances(high[None], low, metric)[0])
    return span, f"both distributions are in the box from {low} to {high}, of diameter {span:.6g}"


@answers
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
        Points at which the transform is evaluated.
    y : array_like (m, d) or (m,)
        Points at which g is given.
    g : array_like (m,)
        Finite values, in cost units.
    p : float, default 1
        Order, finite.
    metric : str or callable, default "euclidean"
        See `Problem`.

    Returns
    -------
    ndarray (n,)
        The largest f with ``f[i] + g[j] <= cost[i, j]``, in cost units. For p = 1 it is
        a 1-Lipschitz function of x. For any weights a on x and b on y of equal sum,
        ``a @ f + b @ g`` is a lower bound of the optimal value.

    Raises
    ------
    InputError
        For invalid input as in `Problem`, or a g of the wrong shape or not finite.

    Notes
    -----
    O(nmd) time (O((n + m) log m) on the line), O(n + m) memory.

    Examples
    --------
    >>> from otdist import c_transform
    >>> c_transform([0.0, 4.0], [1.0, 2.0], [0.0, 1.0])
    array([1., 1.])
    """
    with warnings.catch_warnings():
        # Histograms passed as points would draw a warning; here only points make sense.
        warnings.simplefilter("ignore")
        problem = Problem(x, y, p=_validate.as_order(p), metric=metric)
    if math.isinf(problem.p):
        raise InputError("c_transform needs a finite p, got inf")
    potential = _validate.as_finite_vector("g", g, problem.shape[1])
    transform: FloatArray = interruptible(
        sum(problem.shape), problem.geometry.row_minimum, potential
    )
    return transform
