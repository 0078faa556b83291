"""Distances and divergences of two measures while one of them moves away."""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np

from otdist.critics.kr_dual import critic_of
from otdist.divergences.align import align
from otdist.divergences.shannon import js_divergence, kl_divergence, total_variation
from otdist.errors import InputError, InputWarning
from otdist.inputs import validate as _validate
from otdist.inputs.labels import matched
from otdist.pipeline import solve
from otdist.problem.problem import Problem
from otdist.typing import ArrayLike, FloatArray


class Separation(NamedTuple):
    """Distances and divergences at one offset `theta`; `lower` and `upper` prove `w1`."""

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
    normalize: bool = False,
) -> list[Separation]:
    """Compare two measures while the second moves along the line between their means.

    Parameters
    ----------
    x, y, a, b
        See `wasserstein_distance`; Euclidean points, in units of distance.
    offsets : array_like (k,), optional
        Lengths by which y is moved away from x. By default 21 values from -2 s to 2 s,
        where s is the distance of the means or, if larger, the spread of x.
    normalize : bool, default False
        Whether to divide the weights by their sums.

    Returns
    -------
    list of Separation
        For each offset: W1 and its bracket, JS and both KL in nats, TV, and the mean norm
        of the critic's gradient over the first measure (`slope`).

    Raises
    ------
    InputError
        For invalid input as in `Problem`, or offsets that are not finite numbers (k,).

    Notes
    -----
    One exact solve per offset.

    Examples
    --------
    >>> from otdist.comparison import separations
    >>> rows = separations([[0.0, 0.0]], [[1.0, 0.0]], offsets=[-1.0, 0.0, 2.0])
    >>> [row.w1 for row in rows], [round(row.js, 3) for row in rows]
    ([0.0, 1.0, 3.0], [0.0, 0.693, 0.693])
    """
    x, y, a, b = matched(x, y, a, b)
    problem = Problem(x, y, a, b, normalize=normalize)
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
        moves = _validate.as_float64("offsets", offsets)
        moves = _validate.as_finite_vector("offsets", moves, moves.size)
        if not len(moves):
            raise InputError("offsets must not be empty; leave them out for 21 default values")
    return [_separation(float(t), points_x, points_y + t * along, a, b) for t in moves]


def demo_separations(
    n: int = 100, n_theta: int = 21, *, thetas: ArrayLike | None = None
) -> list[Separation]:
    """Compare the parallel lines (0, Z) and (theta, Z) for theta from -1 to 1, or for `thetas`.

    Z runs over the midpoints of n equal parts of [0, 1]. An odd number of values of theta
    includes 0. Source: Arjovsky, Chintala, Bottou, "Wasserstein GAN", 2017, example 1.
    """
    if n < 1:
        raise InputError(f"the number of points must be >= 1, got {n}")
    if n_theta < 2:
        raise InputError(f"n_theta must be >= 2, got {n_theta}")
    line = np.column_stack([np.zeros(n), (np.arange(n) + 0.5) / n])
    if thetas is None:
        # Integers divided once give theta = 0 and 0.1 k exactly.
        thetas = np.arange(1 - n_theta, n_theta, 2) / (n_theta - 1)
    return separations(line, line, offsets=thetas)


def _separation(
    theta: float, x: FloatArray, y: FloatArray, a: FloatArray, b: FloatArray
) -> Separation:
    """Compare two measures; the second one is already moved by `theta`."""
    result = solve(Problem(x, y, a, b))
    with warnings.catch_warnings():
        # Disjoint supports are intended here.
        warnings.simplefilter("ignore", InputWarning)
        both = align(x, y, a / a.sum(), b / b.sum())
    critic = critic_of(result, x, y)
    steepness = np.linalg.norm(critic.gradient(x), axis=1)
    return Separation(
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
