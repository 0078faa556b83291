"""What each distance sees while one of two measures moves away."""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np

from otdist.critics.kr_dual import critic_of
from otdist.divergences.align import align
from otdist.divergences.shannon import js_divergence, kl_divergence, total_variation
from otdist.errors import InputError, InputWarning
from otdist.inputs import validate as _validate
from otdist.pipeline import solve
from otdist.problem.problem import Problem
from otdist.typing import ArrayLike, FloatArray


class Row(NamedTuple):
    """The distances at one offset; `lower` and `upper` prove `w1`."""

    theta: float
    w1: float
    lower: float
    upper: float
    js: float
    kl: float
    kl_reversed: float
    tv: float
    slope: float  # mean norm of the critic's gradient over the first measure


def separations(
    x: ArrayLike,
    y: ArrayLike,
    a: ArrayLike | None = None,
    b: ArrayLike | None = None,
    *,
    offsets: ArrayLike | None = None,
) -> list[Row]:
    """Compare two measures while the second moves along the line between their means.

    Parameters
    ----------
    x, y, a, b
        See `wasserstein_distance`; Euclidean points, in units of distance.
    offsets : array_like (k,), optional
        How far y is moved, away from x; 0 is where it is. By default 21 values from
        twice as near to twice as far as the means are, at least the spread of x.

    Returns
    -------
    list of Row
        One for each offset: W1 and its bracket, JS, KL both ways and TV in nats, and
        the mean norm of the critic's gradient on x.

    Raises
    ------
    InputError
        See `Problem`; offsets that are not finite numbers (k,).

    Notes
    -----
    An exact solve for each offset.

    Examples
    --------
    >>> from otdist.plot import separations
    >>> rows = separations([[0.0, 0.0]], [[1.0, 0.0]], offsets=[-1.0, 0.0, 2.0])
    >>> [row.w1 for row in rows], [round(row.js, 3) for row in rows]
    ([0.0, 1.0, 3.0], [0.0, 0.693, 0.693])
    """
    problem = Problem(x, y, a, b)
    points_x, points_y = _validate.as_points("x", x), _validate.as_points("y", y)
    a, b = problem.a, problem.b
    apart = b @ points_y / problem.mass - a @ points_x / problem.mass
    distance = float(np.linalg.norm(apart))
    along = apart / distance if distance else np.eye(1, points_x.shape[1])[0]
    if offsets is None:
        spread = float(np.std(points_x, axis=0).max()) or 1.0
        scale = max(distance, spread)
        moves = np.linspace(-2 * scale, 2 * scale, 21)
    else:
        moves = _validate.as_finite_vector("offsets", offsets, np.size(offsets))
        if not len(moves):
            raise InputError("offsets must not be empty; leave them out for 21 of them")
    return [distances(float(t), points_x, points_y + t * along, a, b) for t in moves]


def distances(theta: float, x: FloatArray, y: FloatArray, a: FloatArray, b: FloatArray) -> Row:
    """Return all distances of two measures on points, as the row of an offset."""
    result = solve(Problem(x, y, a, b))
    with warnings.catch_warnings():
        # Disjoint supports are the point here.
        warnings.simplefilter("ignore", InputWarning)
        both = align(x, y, a / a.sum(), b / b.sum())
    critic = critic_of(result, x, y)
    steepness = np.linalg.norm(critic.gradient(x), axis=1)
    return Row(
        theta=theta,
        w1=result.distance,
        lower=result.lower,
        upper=result.upper,
        js=float(js_divergence(both.p, both.q)),
        kl=float(kl_divergence(both.p, both.q)),
        kl_reversed=float(kl_divergence(both.q, both.p)),
        tv=float(total_variation(both.p, both.q)),
        slope=float(a @ steepness / a.sum()),
    )
