"""How far means and distribution functions of samples may be from those of distributions."""

from __future__ import annotations

import math

import numpy as np

from otdist.inputs.scale import from_unit, in_unit
from otdist.typing import FloatArray


def deviation(span: float, sizes: tuple[int, int], standard_error: float, risk: float) -> float:
    """Bound how far a difference of two sample means is to one side of its expectation.

    The means are of one fixed function, whose values on the supports are in an interval of
    length `span`, over independent points, `sizes` of them. `standard_error` is that of the
    difference, or an upper bound of it. The bound is exceeded with a probability of at most
    `risk`: half of it is spent on Hoeffding's bound, which needs no standard error, and half
    on Bernstein's, which is narrower if most values are close to each other.
    """
    # Both are valid together, so that the smaller one may be chosen after looking.
    return min(_hoeffding(span, sizes, risk / 2), _bernstein(span, sizes, standard_error, risk / 2))


def _hoeffding(span: float, sizes: tuple[int, int], risk: float) -> float:
    n, m = sizes
    return span * math.sqrt((1 / n + 1 / m) * math.log(1 / risk) / 2)


def _bernstein(span: float, sizes: tuple[int, int], standard_error: float, risk: float) -> float:
    """Bernstein's bound, with standard deviations bounded by those of the samples.

    Each of two standard deviations is above that of its sample by more than ``span *
    sqrt(2 log / (n - 1))`` with probability ``exp(-log)`` (Maurer and Pontil, 2009, theorem
    10), and so is the mean beyond Bernstein's bound (Boucheron, Lugosi and Massart, 2013,
    theorem 2.10): three events that share the risk.
    """
    n, m = sizes
    if min(sizes) < 2:
        return math.inf
    log = math.log(3 / risk)
    missed = span * math.sqrt(2 * log * (1 / (n * (n - 1)) + 1 / (m * (m - 1))))
    # No standard deviation exceeds half of the span.
    true_error = min(standard_error + missed, 0.5 * span * math.sqrt(1 / n + 1 / m))
    return true_error * math.sqrt(2 * log) + span * log / (3 * min(sizes))


def spread_of_points(from_centre_x: FloatArray, from_centre_y: FloatArray) -> float:
    """Bound the standard error of the mean difference of every 1-Lipschitz function.

    Its values vary no more than the distances from any centre, which are given.
    """
    # Squares of distances may leave float64, in a unit of their own they do not.
    k = math.frexp(max(float(from_centre_x.max()), float(from_centre_y.max())))[1]
    variances = []
    for from_centre in (in_unit(from_centre_x, k), in_unit(from_centre_y, k)):
        n = len(from_centre)
        variances.append(float(from_centre @ from_centre) / (max(n - 1, 1) * n))
    return from_unit(math.sqrt(sum(variances)), k)


def w1_by_bands(x: FloatArray, y: FloatArray, span: float, risk: float) -> tuple[float, float]:
    """Bound W1 of two distributions on the line by their distribution functions.

    Each distribution function is within ``sqrt(log(4 / risk) / (2 n))`` of that of its sample,
    everywhere, except with probability ``risk / 2`` (Dvoretzky, Kiefer and Wolfowitz, with
    Massart's constant), and W1 is the integral of their distance. `span` is the length of an
    interval that holds both supports: the part of it without points counts for the upper
    bound only.
    """
    ordered = np.sort(np.concatenate([x, y]))
    lengths, at = np.diff(ordered), ordered[:-1]
    F, G = (np.searchsorted(np.sort(z), at, side="right") / len(z) for z in (x, y))
    band_F, band_G = (math.sqrt(math.log(4 / risk) / (2 * len(z))) for z in (x, y))
    least = np.maximum(np.abs(F - G) - (band_F + band_G), 0.0)
    F_first = np.minimum(F + band_F, 1.0) - np.maximum(G - band_G, 0.0)
    G_first = np.minimum(G + band_G, 1.0) - np.maximum(F - band_F, 0.0)
    empty = max(span - float(ordered[-1] - ordered[0]), 0.0)
    most = float(np.maximum(F_first, G_first) @ lengths)
    return float(least @ lengths), most + empty * min(max(band_F, band_G), 1.0)
