"""The parallel lines of the Wasserstein GAN paper: what each distance sees."""

from __future__ import annotations

import numpy as np

from otdist.comparison.separation import Row, distances
from otdist.errors import InputError
from otdist.typing import FloatArray


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
    mass = np.full(len(heights), 1 / len(heights))
    return distances(theta, x, y, mass, mass)
