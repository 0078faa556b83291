"""Search for two points between which a function is steep."""

from __future__ import annotations

import numpy as np

from otdist.errors import InputError, short
from otdist.geometry.metrics import true_metric
from otdist.geometry.points import Points
from otdist.inputs import validate as _validate
from otdist.inputs.calls import answers
from otdist.typing import ArrayLike, FloatArray, Function, Seed

_N_PAIRS = 256  # moved together
_N_ROUNDS = 60
_SHRINK = 0.8  # factor of the step size after every round
_EPS = float(np.finfo(float).eps)


@answers
def lipschitz_lower(
    function: Function,
    points: ArrayLike,
    *,
    metric: str = "euclidean",
    rng: Seed = None,
) -> float:
    """Return a lower bound of a function's Lipschitz constant, by search.

    A value above 1 disproves that the function is 1-Lipschitz, and every bound of W1 that
    assumes it. A value below 1 proves nothing: only the construction of a function
    (`kr_dual`) proves an upper bound, not a search.

    Parameters
    ----------
    function : callable
        Takes float64 points (k, d) and returns finite values (k,).
    points : array_like (n, d) or (n,)
        At least two different points. The search stays inside their bounding box: pass
        two opposite corners to search a box.
    metric : str, default "euclidean"
        "euclidean", "cityblock" or "chebyshev".
    rng : numpy.random.Generator, int or None
        Random numbers for the search (SPEC 7).

    Returns
    -------
    float
        The largest ``|f(u) - f(v)| / metric(u, v)`` found, reduced by a bound of its
        rounding error: 16 + d units in the last place of the largest value or coordinate.

    Raises
    ------
    InputError
        For points of a wrong shape, not finite or all equal; for values of a wrong shape
        or not finite; for an unknown metric.

    Notes
    -----
    256 pairs of points take 60 random steps each, and keep those that make the slope
    larger: about 31000 evaluations.

    Examples
    --------
    >>> import numpy as np
    >>> from otdist import lipschitz_lower
    >>> def wave(z):
    ...     return np.sin(3 * z[:, 0])
    >>> 2.99 < lipschitz_lower(wave, [[0.0, 0.0], [1.0, 1.0]], rng=0) <= 3.0
    True
    """
    if not callable(function):
        raise InputError(
            "function must be a function of points (n, d) that returns n numbers, got"
            f" {short(function)}"
        )
    true_metric("lipschitz_lower", metric)
    generator = _validate.as_generator(rng, apart=True)
    given = _validate.as_points("points", points)
    low, high = given.min(axis=0), given.max(axis=0)
    if not (low < high).any():
        raise InputError(
            f"points must contain at least two different points, got {len(given)} equal"
            " ones; pass two opposite corners to search a box"
        )
    width = high - low
    u = given[generator.integers(len(given), size=_N_PAIRS)]
    v = low + width * generator.random(u.shape)
    best = _slopes(function, u, v, metric)
    size = 0.5
    for _ in range(_N_ROUNDS):
        moved_u, moved_v = _moved(u, v, size, width, generator)
        moved_u, moved_v = (np.clip(z, low, high) for z in (moved_u, moved_v))
        slopes = _slopes(function, moved_u, moved_v, metric)
        is_better = slopes > best
        u, v = (np.where(is_better[:, None], new, old) for new, old in ((moved_u, u), (moved_v, v)))
        best = np.maximum(best, slopes)
        size *= _SHRINK
    return float(best.max())


def _moved(
    u: FloatArray,
    v: FloatArray,
    size: float,
    width: FloatArray,
    rng: np.random.Generator,
) -> tuple[FloatArray, FloatArray]:
    """Shift half of the pairs; turn and shorten the others."""
    step = size * width * rng.normal(size=u.shape)
    turned = v - u + size * np.abs(v - u).max(axis=1)[:, None] * rng.normal(size=u.shape)
    turned *= rng.uniform(0.3, 1.0, len(u))[:, None]
    is_shift = (rng.random(len(u)) < 0.5)[:, None]
    moved_u = np.where(is_shift, u + step, u)
    return moved_u, np.where(is_shift, v + step, u + turned)


def _slopes(function: Function, u: FloatArray, v: FloatArray, metric: str) -> FloatArray:
    """Return slopes between pairs, less their rounding error; 0 for equal points."""
    values = []
    for z in (u, v):
        value = function(z.copy())
        values.append(_validate.as_finite_vector("the values of function", value, len(z)))
    # A bound of the rounding error of a sum over the coordinates.
    largest = max(float(np.abs(each).max()) for each in (*values, u, v))
    rounding = (16 + u.shape[1]) * _EPS * largest
    rise = np.abs(values[0] - values[1]) - rounding
    rows = np.arange(len(u))
    length = Points(u, v, metric, 1.0, 0.0).pairs(rows, rows)
    return np.asarray(np.maximum(rise, 0.0) / np.where(length > 0, length, np.inf))
