"""A two-sided interval for W1 of the laws that two samples are from."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from otdist.critics.kr_dual import Critic, kr_dual, require_metric
from otdist.errors import InputError, NotCertifiedError
from otdist.geometry.points import Points
from otdist.inputs import validate as _validate
from otdist.pipeline import outcome_for, solve
from otdist.problem.bracket import EXACT_TOL
from otdist.problem.problem import Problem
from otdist.typing import ArrayLike, FloatArray, Metric, Seed

_ROUNDING = 1e-12  # of a diameter
_INDEPENDENT = "all points are independent, those of x and of y each from one law"


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Interval:
    """What `w1_interval` returns: print it for the assumptions it rests on.

    Attributes
    ----------
    lower, upper : float
        Ends, in units of distance.
    confidence : float
        Probability, over the samples, of at least which W1 of the two laws is
        between the ends, if the assumptions are true.
    assumptions : tuple of str
        What was assumed and cannot be checked.
    critic : Critic
        Whose value on held-out points the lower end is from.
    plug_in : float
        W1 between the two samples, where the upper end is from; biased upwards.
    """

    lower: float
    upper: float
    confidence: float
    assumptions: tuple[str, ...]
    critic: Critic
    plug_in: float

    def __str__(self) -> str:
        head = (
            f"W1 of the laws is in [{self.lower:.6g}, {self.upper:.6g}] with confidence"
            f" {self.confidence:g}, assuming:"
        )
        return "\n".join([head, *(f"- {each}" for each in self.assumptions)])


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
    r"""Return an interval that contains W1 of the laws behind two samples.

    With :math:`\alpha = (1 - confidence) / 2` on either side:

    * lower end: the mean difference of a critic on :math:`n', m'` held-out points,
      minus :math:`D \sqrt{(1/n' + 1/m') \ln(1/\alpha) / 2}` (Hoeffding), at least 0;
    * upper end: W1 of the samples of n and m points, whose mean is at least W1 of the
      laws, plus :math:`D \sqrt{(1/n + 1/m) \ln(1/\alpha) / 2}` (McDiarmid).

    Parameters
    ----------
    x, y : array_like (n, d) and (m, d), or (n,) and (m,)
        At least 10 points each.
    confidence : float, default 0.95
        In (0, 1).
    diameter : float, optional
        A distance D that no two points of the supports exceed, of both laws together.
        It must be known: estimated from the data it voids the guarantee.
    box : (low, high), optional
        Instead: corners (d,) or numbers of a box that both laws are in.
    independent : bool, default True
        Whether all points are drawn independently, those of x from one law and those
        of y from another. Without that there is no interval.
    metric, critic, rng
        See `kr_dual`; critics that hold nothing out give no lower end.

    Returns
    -------
    Interval
        Printed, it states what was assumed.

    Raises
    ------
    InputError
        Without a diameter or box, or with both; for points that contradict it; if the
        points are not independent; see `kr_dual`.
    NotCertifiedError
        If W1 of the samples could not be proved.

    Notes
    -----
    Both ends hold for every sample size and dimension. How far apart they are is
    another matter: W1 of the samples is above W1 of the laws by some n**(-1/d), and
    the critic is as good as it is. Time: one exact solve and one `kr_dual`.

    References
    ----------
    C. McDiarmid, "On the method of bounded differences", 1989; for the mean of W1 of
    samples: its convexity and Jensen's inequality.

    Examples
    --------
    >>> from otdist import datasets, w1_interval
    >>> x, y = datasets.parallel_lines(1.0).sample(400, rng=0)
    >>> interval = w1_interval(x, y, box=([0, 0], [1, 1]), critic="linear", rng=0)
    >>> interval.lower < 1.0 < interval.upper
    True
    >>> interval.assumptions[1]
    'both laws are in the box from [0. 0.] to [1. 1.], of diameter 1.41421'
    """
    metric = require_metric("w1_interval", metric)
    level = _validate.as_inside("confidence", confidence, 0, 1, "in (0, 1)")
    if not independent:
        raise InputError(
            "w1_interval needs independent points; thin a time series or a chain until"
            " its points are, and pass one point of each group that belongs together"
        )
    if critic in ("mcshane", "whitney"):
        raise InputError(
            f"critic={critic!r} holds nothing out, so that its value bounds nothing"
            " about the laws; take critic='auto'"
        )
    points_x, points_y = _validate.as_points("x", x), _validate.as_points("y", y)
    problem = Problem(points_x, points_y, metric=metric)
    span, support = _support(points_x, points_y, diameter, box, metric)
    result = solve(problem)
    if not result.certificate.proves(EXACT_TOL):
        raise NotCertifiedError(f"no upper end: {outcome_for(result)}", result)
    fitted = kr_dual(points_x, points_y, critic=critic, metric=metric, rng=rng)
    log = math.log(2 / (1 - level))
    lower = fitted.value - _deviation(span, fitted.n_held_out, log)
    upper = result.upper + _deviation(span, problem.shape, log)
    return Interval(
        lower=max(lower, 0.0),
        upper=min(upper, span),
        confidence=level,
        assumptions=(_INDEPENDENT, support),
        critic=fitted,
        plug_in=result.value,
    )


def _deviation(span: float, sizes: tuple[int, int], log: float) -> float:
    """Return what a mean over samples exceeds with probability exp(-log) only."""
    return span * math.sqrt((1 / sizes[0] + 1 / sizes[1]) * log / 2)


def _support(
    x: FloatArray,
    y: FloatArray,
    diameter: float | None,
    box: tuple[ArrayLike, ArrayLike] | None,
    metric: str,
) -> tuple[float, str]:
    """Return the diameter of the supports, and the assumption in words."""
    if (diameter is None) == (box is None):
        raise InputError(
            "w1_interval needs a diameter that no two points of the supports exceed, or"
            " a box=(low, high) that they are in, and not both; it must be known, the"
            " largest distance in the samples is not one. Without it no interval holds"
        )
    points = np.concatenate([x, y])
    if box is not None:
        return _of_box(points, box, metric)
    span = _validate.as_inside("diameter", diameter, 0, math.inf, "a positive number")
    # The farthest point from any point is at least half of the diameter away; the
    # farthest from that one is more often than not the diameter.
    far = points[_from(points[0], points, metric).argmax()]
    found = float(_from(far, points, metric).max())
    if found > span * (1 + _ROUNDING):
        raise InputError(
            f"diameter={span:.6g}, but two of the points are {found:.6g} apart; pass a"
            " bound that is known to hold for all points there could be"
        )
    return span, f"no two points of the supports are farther apart than {span:.6g}"


def _of_box(points: FloatArray, box: tuple[ArrayLike, ArrayLike], metric: str) -> tuple[float, str]:
    """Return the diameter of a box, and the assumption in words."""
    if not isinstance(box, tuple | list) or len(box) != 2:
        raise InputError(f"box must be a pair (low, high) of corners, got {box!r}")
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
            f"the box from {low} to {high} must have a positive size and hold all"
            f" points, got points from {points.min(axis=0)} to {points.max(axis=0)}"
        )
    span = float(_from(low, high[None], metric)[0])
    return (
        span,
        f"both laws are in the box from {low} to {high}, of diameter {span:.6g}",
    )


def _from(point: FloatArray, points: FloatArray, metric: str) -> FloatArray:
    """Return distances (n,) of points from one."""
    return Points(points, point[None], metric, 1.0, 0.0).rows(0, len(points))[:, 0]
