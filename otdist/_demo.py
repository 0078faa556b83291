"""The parallel lines of the Wasserstein GAN paper: what each distance sees."""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np

from otdist._align import align
from otdist._divergences import js_divergence, kl_divergence, total_variation
from otdist._errors import InputError, InputWarning
from otdist._problem import Problem
from otdist._solve import solve
from otdist._typing import FloatArray


class Row(NamedTuple):
    """The distances of P_0 and P_theta; `lower` and `upper` prove `w1`."""

    theta: float
    w1: float
    lower: float
    upper: float
    js: float
    kl: float
    kl_reversed: float
    tv: float


def sweep(n: int = 100, n_theta: int = 21) -> list[Row]:
    """Compare P_0 = (0, Z) and P_theta = (theta, Z) for theta from -1 to 1.

    Parameters
    ----------
    n : int, default 100
        Number of points Z, the midpoints of n equal parts of [0, 1].
    n_theta : int, default 21
        Number of values of theta; an odd one includes 0.

    Returns
    -------
    list of Row
        Every number computed by the library's own functions.

    Raises
    ------
    InputError
        If n is below 1 or n_theta below 2.
    """
    if n < 1:
        raise InputError(f"the number of points must be >= 1, got {n}")
    if n_theta < 2:
        raise InputError(f"n_theta must be >= 2, got {n_theta}")
    heights = (np.arange(n) + 0.5) / n
    # Integers divided once: theta = 0 and 0.1 k are hit exactly.
    steps = np.arange(1 - n_theta, n_theta, 2) / (n_theta - 1)
    return [_row(float(theta), heights) for theta in steps]


def _row(theta: float, heights: FloatArray) -> Row:
    x = np.column_stack([np.zeros_like(heights), heights])
    y = np.column_stack([np.full_like(heights, theta), heights])
    result = solve(Problem(x, y))
    with warnings.catch_warnings():
        # Disjoint supports are the point of the demonstration.
        warnings.simplefilter("ignore", InputWarning)
        both = align(x, y)
    return Row(
        theta=theta,
        w1=result.distance,
        lower=result.lower,
        upper=result.upper,
        js=float(js_divergence(both.p, both.q)),
        kl=float(kl_divergence(both.p, both.q)),
        kl_reversed=float(kl_divergence(both.q, both.p)),
        tv=float(total_variation(both.p, both.q)),
    )
