"""Estimates and lower bounds of divergences from samples."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from otdist.divergences.shannon import (
    hellinger_distance,
    js_divergence,
    kl_divergence,
    total_variation,
)
from otdist.errors import InputError, short
from otdist.geometry.points import box
from otdist.inputs import validate as _validate
from otdist.inputs.labels import matched
from otdist.inputs.scale import in_unit, largest_difference
from otdist.typing import ArrayLike, FloatArray, IntArray

#: Maps points ``(k, d)`` to the probabilities ``(k,)`` that they come from x, for equal
#: prior probabilities of x and y.
Discriminator: TypeAlias = Callable[[FloatArray], ArrayLike]
#: Maps two training samples to a discriminator.
Classifier: TypeAlias = Callable[[FloatArray, FloatArray], Discriminator]

_KINDS: dict[str, Callable[..., float | FloatArray]] = {
    "tv": total_variation,
    "js": js_divergence,
    "kl": kl_divergence,
    "hellinger": hellinger_distance,
}
_MOST_PRODUCTS = 30  # coordinates up to which all products, not only squares, are features


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """An estimate, its standard error, and the assumptions of both. Nothing is proved.

    Attributes
    ----------
    value : float
        The estimate, in nats. It may be on either side of the true value.
    standard_error : float
        Estimated standard deviation of `value`, which says nothing about its bias.
    assumptions : str
        Assumptions that the samples cannot verify, and how `value` is biased.
    """

    value: float
    standard_error: float
    assumptions: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LowerBound:
    """A lower bound, proved to hold with some confidence. Nothing is estimated.

    Attributes
    ----------
    kind : str
        The divergence: "tv", "js", "kl" or "hellinger".
    lower : float
        At most the true divergence with a probability of at least `confidence`.
    confidence : float
        Lower bound of that probability, over samples and their division, if the
        assumptions are true.
    assumptions : str
        Assumptions that the samples cannot verify.
    """

    kind: str
    lower: float
    confidence: float
    assumptions: str


def knn_divergence(x: ArrayLike, y: ArrayLike, k: int = 5) -> Estimate:
    r"""Estimate KL(P || Q) in nats from samples x of P and y of Q, by neighbours.

    .. math:: \frac{d}{n} \sum_{i=1}^n \log \frac{\nu_k(i)}{\rho_k(i)}
              + \log \frac{m}{n - 1}

    Here rho is the distance to the k-th nearest other point of x, and nu to the k-th
    nearest point of y. The estimate is consistent for densities, but biased for finite
    samples, more so in high dimension, and may be negative. For distributions on disjoint
    sets of lower dimension, where KL is inf, it grows like log n.

    Parameters
    ----------
    x, y : array_like (n, d), (m, d), or (n,), (m,)
        Samples of at least k + 2 independent points; 1-D input is points on the line.
    k : int, default 5
        Number of the neighbour. A larger k has less variance and more bias.

    Returns
    -------
    Estimate
        ``value`` and its ``standard_error``, by the jackknife over both samples. The
        standard error does not include the bias. On average it is at least the true one
        (Efron and Stein), for normal distributions 1.1 to 1.8 times.

    Raises
    ------
    InputError
        For wrong types or shapes, input that is not finite, too few points, and equal
        points within x or between x and y, as distributions with densities have none.

    Notes
    -----
    O((n + m) log m) time for a small d, O((n + m) (k + d)) memory.

    References
    ----------
    Wang, Kulkarni and Verdu, "Divergence estimation for multidimensional densities via
    k-nearest-neighbor distances", 2009; Efron and Stein, "The jackknife estimate of
    variance", 1981.

    Examples
    --------
    >>> import numpy as np
    >>> from otdist import samples
    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.normal(0, 1, 2000), rng.normal(1, 1, 2000)
    >>> estimate = samples.knn_divergence(x, y)  # of KL = 0.5
    >>> abs(estimate.value - 0.5) < 3 * estimate.standard_error
    True
    """
    from scipy.spatial import cKDTree

    points_x, points_y = _as_samples(x, y)
    (n, d), m = points_x.shape, len(points_y)
    k = _validate.as_count("k", k)
    if min(n, m) < k + 2:
        raise InputError(f"x and y need at least k + 2 = {k + 2} points, got {n} and {m}")
    # Ratios of distances count, in any unit; their logarithms and squares need one near 1.
    unit = math.frexp(largest_difference(*box(points_x, points_y)))[1]
    points_x, points_y = in_unit(points_x, unit), in_unit(points_y, unit)
    own, near_own = cKDTree(points_x).query(points_x, k + 2)
    other, near_other = cKDTree(points_y).query(points_x, k + 1)
    _refuse_duplicates(own[:, 1], other[:, 0])
    rho, nu = d * np.log(own[:, k : k + 2]), d * np.log(other[:, k - 1 : k + 1])
    # Without one of the k neighbours, the k-th nearest is the next one.
    without_x = _sums_by(near_own[:, 1 : k + 1], rho[:, 1] - rho[:, 0], n)
    without_y = _sums_by(near_other[:, :k], nu[:, 1] - nu[:, 0], m)
    terms = nu[:, 0] - rho[:, 0]
    left_x = (terms.sum() - terms - without_x) / (n - 1)
    left_y = without_y / n
    spread = (n - 1) * np.var(left_x) + (m - 1) * np.var(left_y)
    return Estimate(
        value=math.fsum(terms) / n + math.log(m / (n - 1)),
        standard_error=math.sqrt(float(spread)),
        assumptions=(
            "x and y are independent samples of distributions with densities; the estimate"
            " is biased, and its standard error does not include the bias"
        ),
    )


def classifier_divergence(
    x: ArrayLike,
    y: ArrayLike,
    classifier: Classifier | None = None,
    *,
    held_out: float = 0.5,
    rng: Any = None,
) -> Estimate:
    r"""Estimate JS(P, Q) from below, in nats, by a classifier's loss on held-out data.

    .. math:: JS(P, Q) \ge \log 2 + \tfrac12 E_P \log D + \tfrac12 E_Q \log(1 - D)

    This holds for every D with values in (0, 1), with equality for p / (p + q). D is fitted
    to one part of the samples and the means are taken over the other, so that the
    expectation of the estimate is a lower bound. It is the loss of a generative adversarial
    network.

    Parameters
    ----------
    x, y : array_like (n, d), (m, d), or (n,), (m,)
        Samples of at least 4 independent points; 1-D input is points on the line.
    classifier : callable, optional
        ``classifier(x, y)`` takes two arrays of training points and returns a function
        that maps points ``(k, d)`` to the probabilities ``(k,)`` that they come from x, for
        equal prior probabilities. By default a logistic regression on coordinates and
        their products (for d > 30, squares only), penalised by the inverse sample size.
    held_out : float, default 0.5
        Share of both samples that is held out from the classifier.
    rng : numpy.random.Generator, int, or None
        Random numbers for dividing the samples (SPEC 7).

    Returns
    -------
    Estimate
        ``value``, at most log 2 and negative for a poor classifier, and its
        ``standard_error`` for the classifier as fitted.

    Raises
    ------
    InputError
        For wrong types or shapes, input that is not finite, too few points, and
        probabilities that are NaN, outside of [0, 1] or of a wrong shape.

    Notes
    -----
    Probabilities are clipped to [h, 1 - h] with h = 1/(2 + training points), as otherwise a
    single mistake with probability 1 would make the estimate -inf.

    References
    ----------
    Goodfellow et al., "Generative adversarial nets", 2014; Arjovsky, Chintala and
    Bottou, "Wasserstein GAN", 2017, Figure 4.

    Examples
    --------
    >>> import numpy as np
    >>> from otdist import samples
    >>> draw = np.random.default_rng(0).normal
    >>> estimate = samples.classifier_divergence(draw(0, 1, 5000), draw(2, 1, 5000), rng=0)
    >>> abs(estimate.value - 0.3368) < 3 * estimate.standard_error
    True
    """
    parts = _divided(x, y, held_out, rng)
    probabilities = _discriminated(parts, classifier)
    clip = 1.0 / (2.0 + len(parts[0]) + len(parts[1]))
    from_x, from_y = (np.clip(each, clip, 1.0 - clip) for each in probabilities)
    gain_x, gain_y = np.log(from_x), np.log1p(-from_y)
    spread = np.var(gain_x, ddof=1) / len(gain_x) + np.var(gain_y, ddof=1) / len(gain_y)
    return Estimate(
        value=math.log(2.0) + 0.5 * float(gain_x.mean() + gain_y.mean()),
        standard_error=0.5 * math.sqrt(float(spread)),
        assumptions=(
            "x and y are independent samples; the expected value is a lower bound of JS,"
            " attained by the best classifier; the standard error is asymptotic"
        ),
    )


def divergence_lower(
    x: ArrayLike,
    y: ArrayLike,
    kind: str = "tv",
    *,
    confidence: float = 0.95,
    classifier: Classifier | None = None,
    held_out: float = 0.5,
    rng: Any = None,
) -> LowerBound:
    r"""Bound a divergence of two distributions from below, with exact confidence.

    A classifier is fitted to one part of the samples. Let A be the event that it assigns a
    point to x. On the other part, P(A) and Q(A) are bounded by Clopper and Pearson. Reducing
    points to "A or not A" never increases a divergence: if p <= P(A) and q >= Q(A), it is
    at least that of (p, 1 - p) and (q, 1 - q). This holds for finite samples of any
    distributions in any dimension; a poor classifier only makes the bound less tight.

    Parameters
    ----------
    x, y, classifier, held_out, rng
        See `classifier_divergence`.
    kind : {"tv", "js", "kl", "hellinger"}, default "tv"
        Total variation, Jensen-Shannon divergence, KL(P || Q) (both in nats), or
        Hellinger distance, as the functions of `otdist` define them.
    confidence : float, default 0.95
        In (0, 1); half of the risk is used for each of P(A) and Q(A).

    Returns
    -------
    LowerBound
        ``lower`` is at most the true value with a probability of at least `confidence`. It
        is 0 if the samples prove nothing.

    Raises
    ------
    InputError
        As for `classifier_divergence`, and for an unknown kind or a confidence outside of
        (0, 1).

    Notes
    -----
    The confidence is that of one bound; several bounds from the same samples must share
    the risk. 1000 held-out points of each of two perfectly separated samples prove
    TV >= 0.9926, JS >= 0.6688 and KL >= 5.559 at 95 %.

    References
    ----------
    Clopper and Pearson, "The use of confidence or fiducial limits illustrated in the
    case of the binomial", 1934; Lopez-Paz and Oquab, "Revisiting classifier two-sample
    tests", 2017.

    Examples
    --------
    >>> import numpy as np
    >>> from otdist import samples
    >>> draw = np.random.default_rng(0).normal
    >>> bound = samples.divergence_lower(draw(0, 1, 5000), draw(2, 1, 5000), rng=0)
    >>> 0.6 < bound.lower < 0.6827  # the true value
    True
    """
    _validate.as_choice("kind", kind, _KINDS)
    level = _validate.as_inside("confidence", confidence, 0, 1, "a number in (0, 1)")
    from_x, from_y = _discriminated(_divided(x, y, held_out, rng), classifier)
    risk = 0.5 * (1.0 - level)
    hits_x = int(np.count_nonzero(from_x > 0.5))
    hits_y = int(np.count_nonzero(from_y > 0.5))
    p = _binomial_lower(hits_x, len(from_x), risk)
    q = 1.0 - _binomial_lower(len(from_y) - hits_y, len(from_y), risk)
    lower = float(_KINDS[kind]([p, 1.0 - p], [q, 1.0 - q])) if p > q else 0.0
    return LowerBound(
        kind=kind,
        lower=lower,
        confidence=level,
        assumptions="x and y are independent samples of any distributions",
    )


# ---------------------------------------------------------------------------- samples


def _as_samples(x: ArrayLike, y: ArrayLike) -> tuple[FloatArray, FloatArray]:
    x, y, _, _ = matched(x, y)
    points_x, points_y = _validate.as_points("x", x), _validate.as_points("y", y)
    _validate.require_same_space(points_x, points_y)
    return points_x, points_y


def _refuse_duplicates(own: FloatArray, other: FloatArray) -> None:
    for nearest, where in ((own, "x"), (other, "y")):
        if not nearest.all():
            i = int(np.argmin(nearest))
            raise InputError(
                f"x[{i}] equals another point of {where}; samples of distributions with"
                " densities have no equal points. Compare atoms with align() and"
                " kl_divergence; add noise of the size of the rounding to rounded points"
            )


def _sums_by(neighbours: IntArray, changes: FloatArray, size: int) -> FloatArray:
    """Return for each point the sum of the changes of the points it is a neighbour of."""
    repeated = np.repeat(changes, neighbours.shape[1])
    sums = np.bincount(neighbours.reshape(-1), repeated, minlength=size)
    return sums.astype(np.float64)


def _divided(
    x: ArrayLike, y: ArrayLike, held_out: float, rng: Any
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return training points of both samples, and held-out points of both."""
    points_x, points_y = _as_samples(x, y)
    part = _validate.as_inside("held_out", held_out, 0, 1, "a number in (0, 1)")
    generator = _validate.as_generator(rng)
    training, held = [], []
    for name, points in (("x", points_x), ("y", points_y)):
        cut = len(points) - round(part * len(points))
        if min(cut, len(points) - cut) < 2:
            raise InputError(
                f"{name} has {len(points)} points; held_out={part:g} must leave at least two"
                " for the fit and two held out"
            )
        mixed = points[generator.permutation(len(points))]
        training.append(mixed[:cut])
        held.append(mixed[cut:])
    return training[0], training[1], held[0], held[1]


def _discriminated(
    parts: tuple[FloatArray, FloatArray, FloatArray, FloatArray],
    classifier: Classifier | None,
) -> tuple[FloatArray, FloatArray]:
    """Return the probabilities that held-out points come from x."""
    train_x, train_y, held_x, held_y = parts
    if classifier is not None and not callable(classifier):
        raise InputError(f"classifier must be a function of x and y, got {short(classifier)}")
    discriminator = (classifier or _logistic)(train_x, train_y)
    if not callable(discriminator):
        raise InputError(
            "classifier must return a function of points to probabilities, got"
            f" {short(discriminator)}"
        )
    every = np.concatenate([held_x, held_y])
    probabilities = _validate.as_vector("the classifier's result", discriminator(every), len(every))
    bad = ~((probabilities >= 0.0) & (probabilities <= 1.0))
    if bad.any():
        raise InputError(
            f"the classifier must return probabilities in [0, 1], got {probabilities[bad][0]}"
        )
    return probabilities[: len(held_x)], probabilities[len(held_x) :]


def _binomial_lower(hits: int, trials: int, risk: float) -> float:
    """Return the Clopper-Pearson lower bound of a probability."""
    from scipy.special import betaincinv

    return float(betaincinv(hits, trials - hits + 1, risk)) if hits else 0.0


# -------------------------------------------------------------------------- classifier


def _logistic(x: FloatArray, y: FloatArray) -> Discriminator:
    """Fit a logistic regression on quadratic features, with equal weights of both samples."""
    from scipy.optimize import minimize
    from scipy.special import expit

    points = np.concatenate([x, y])
    centre, spread = points.mean(axis=0), points.std(axis=0)
    spread[spread == 0.0] = 1.0

    def features(z: FloatArray) -> FloatArray:
        return _quadratic((z - centre) / spread)

    design = features(points)
    # Labels are 1 for x and -1 for y; weights sum to 1/2 for each.
    label = np.repeat([1.0, -1.0], [len(x), len(y)])
    weight = np.repeat([0.5 / len(x), 0.5 / len(y)], [len(x), len(y)])
    penalty = np.full(design.shape[1], 1.0 / len(points))
    penalty[0] = 0.0

    def loss(slope: FloatArray) -> tuple[float, FloatArray]:
        margin = label * (design @ slope)
        value = weight @ np.logaddexp(0.0, -margin) + 0.5 * (penalty * slope) @ slope
        gradient = penalty * slope - design.T @ (weight * label * expit(-margin))
        return float(value), gradient

    start = np.zeros(design.shape[1])
    slope = minimize(loss, start, jac=True, method="L-BFGS-B").x
    return lambda z: expit(features(z) @ slope)


def _quadratic(z: FloatArray) -> FloatArray:
    """Return 1, the coordinates, and their products (squares in high dimension)."""
    d = z.shape[1]
    if d > _MOST_PRODUCTS:
        products = z * z
    else:
        rows, columns = np.triu_indices(d)
        products = z[:, rows] * z[:, columns]
    return np.concatenate([np.ones((len(z), 1)), z, products], axis=1)
