"""Check and pack many measures: a list of clouds, or histograms on bins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from otdist.batch.pairs import LARGEST
from otdist.certificate.many import Clouds, Family, Histograms, triangle_excess
from otdist.errors import InputError, warn
from otdist.geometry.build import unit_geometry
from otdist.geometry.metrics import known, line_power
from otdist.inputs import validate as _validate
from otdist.inputs.labels import matched_columns, matched_weights
from otdist.inputs.scale import in_unit
from otdist.inputs.validate import Weights
from otdist.typing import ArrayLike, FloatArray, Metric

# Bins up to which a matrix of costs is made, and looked at whether it is a metric.
_MOST_BINS = 2048
# Part of the largest cost by which rounding may break the triangle inequality.
_EXCESS = 2.0**-48
_EPS = float(np.finfo(float).eps)


def split(measure: Any) -> tuple[Any, Any]:
    """Return points and weights of a measure as given; None for uniform weights."""
    if isinstance(measure, tuple) and len(measure) == 2:
        return measure
    return measure, None


def _matched(name: str, x: Any, a: Any, first: tuple[str, Any]) -> tuple[Any, Any]:
    """Return points and weights, matched by name with each other and with the first measure."""
    if isinstance(x, tuple) and isinstance(a, tuple) and len(x) == len(a) == np.size(x):
        raise InputError(
            f"{name} is a pair of tuples of {len(x)} numbers, which may be two points or points"
            f" and their weights; for two points pass a list, list({name}), for weights an array"
        )
    x = matched_columns(split(first[1])[0], x, (first[0], name))
    return x, matched_weights(x, a, name)


def pack_clouds(
    measures: Sequence[Any],
    other: Sequence[Any] | None,
    metric: str,
    p: float,
    normalize: bool,
) -> Family:
    """Return weighted clouds of points; those of `other` follow those of `measures`.

    They are histograms if all have the same points, and one matrix of costs is less work.
    """
    named = [(f"measures[{k}]", measure) for k, measure in enumerate(measures)]
    if other is not None:
        named += [(f"other[{k}]", measure) for k, measure in enumerate(other)]
    points: list[FloatArray] = []
    weights: list[FloatArray] = []
    same = _SameMass(named[0][0], normalize)
    for k, (name, measure) in enumerate(named):
        given, a = split(measure)
        if k > 0 and given is split(named[0][1])[0]:
            x = points[0]
        else:
            given, a = _matched(name, given, a, named[0])
            x = _validate.as_points(name if a is None else f"{name}[0]", given)
        if k > 0:
            _require_space(name, x, named[0][0], points[0])
        points.append(x)
        weights.append(same.fitted(name, _masses_of(name, a, len(x))))
    _warn_if_histograms(measures, points)
    offset = 0 if other is None else len(measures)
    if _is_shared(points, weights, offset):
        a = np.stack(weights[: offset or None])
        b = np.stack(weights[offset:]) if offset else a
        return _on_bins(points[0], a, b, metric, p, same.mass)
    return _clouds(points, weights, offset, metric, p, same.mass)


def _is_shared(points: list[FloatArray], weights: list[FloatArray], offset: int) -> bool:
    """Whether all measures have the same points, and the matrix of their costs is worth it.

    It is if it has fewer entries than the matrices of all pairs of points with weight. On the
    line, measures of many points need no matrix.
    """
    n, d = points[0].shape
    if n > (LARGEST if d == 1 else _MOST_BINS):
        return False
    if not all(x is points[0] or np.array_equal(x, points[0]) for x in points[1:]):
        return False
    sizes = np.array([np.count_nonzero(a) for a in weights])
    entries = sizes[: offset or None].sum() * sizes[offset:].sum()
    if offset == 0:  # each pair once
        entries = (entries - sizes @ sizes) // 2
    return bool(n * n < entries)


def _clouds(
    points: list[FloatArray],
    weights: list[FloatArray],
    offset: int,
    metric: str,
    p: float,
    mass: float,
) -> Clouds:
    """Pack points and weights, in a unit of length in which values fit float64."""
    r = line_power(metric) if points[0].shape[1] == 1 else None
    # On the line the costs are powers of |x - y|; this metric takes no squares.
    of_costs = (metric, p) if r is None else ("cityblock", p * r)
    clouds = Clouds.of(points, weights, offset, *of_costs, mass)
    corners = np.stack([clouds.boxes[0].min(axis=0), clouds.boxes[1].max(axis=0)])
    # The unit is one of lengths, and squares have none.
    geometry, k = unit_geometry(corners, corners, metric, p)
    _validate.require_product(mass, geometry.largest)
    if k == 0:
        return clouds
    flat, boxes = in_unit(clouds.points, k), in_unit(clouds.boxes, k)
    return clouds._replace(points=flat, boxes=boxes, unit=k)


class _SameMass:
    """Scales measures, one after the other, to the mass of the first."""

    def __init__(self, first_name: str, normalize: bool) -> None:
        self.mass = self.tolerance = 0.0
        self._first_name, self._normalize = first_name, normalize

    def fitted(self, name: str, weights: Weights) -> FloatArray:
        """Return the weights, scaled where sums differ by rounding."""
        masses, mass, exact = weights
        if self._normalize:
            masses, mass = masses / mass, 1.0
        first = self.mass = self.mass or mass
        self.tolerance = max(self.tolerance, exact)
        _validate.require_same_mass(name, mass, self._first_name, first, self.tolerance)
        apart = abs(mass - first) > 4 * _EPS * first
        return masses * (first / mass) if apart else masses


def _masses_of(name: str, a: Any, n: int) -> Weights:
    """Return weights, their sum, and how exact that is."""
    if a is None:
        return Weights(np.full(n, 1.0 / n), 1.0, 0.0)
    return _validate.as_weights(f"{name}[1]", a, (n,), "point")


def _require_space(name: str, x: FloatArray, first_name: str, first: FloatArray) -> None:
    if x.shape[1] != first.shape[1]:
        raise InputError(
            f"{name} has points of {x.shape[1]} coordinates and {first_name} of"
            f" {first.shape[1]}; distances need measures in one space"
        )


def _warn_if_histograms(measures: Sequence[Any], points: list[FloatArray]) -> None:
    """Warn when histograms are given as points on the line."""
    vectors = points[: len(measures)]
    if len(measures) > 1 and split(measures[0])[1] is None:
        _validate.warn_if_images(measures[0], measures[1])
    for x, measure in zip(vectors, measures, strict=True):
        given = np.shape(measure) if split(measure)[1] is None else ()
        if given != (len(points[0]),) or x.shape != points[0].shape:
            return
    if len(measures) > 1 and _validate.look_like_histograms(vectors):
        warn(
            "the measures look like histograms (they are >= 0 and have one sum) but are"
            " read as points on the line; for histograms on common bins pass"
            " support=bins, or cost="
        )


def pack_histograms(
    measures: ArrayLike,
    other: ArrayLike | None,
    support: ArrayLike | None,
    cost: ArrayLike | None,
    metric: Metric,
    p: float,
    normalize: bool,
) -> Family:
    """Return histograms on common bins, given by their points or a matrix of costs."""
    if cost is not None:
        return _on_matrix(measures, other, cost, support, p, normalize)
    bins = _validate.as_points("support", support)
    n = len(bins)
    a, b, mass = _both_masses(measures, other, (n, n), normalize)
    if isinstance(metric, str) and n > _MOST_BINS:
        # Each histogram is the cloud of its bins that carry mass.
        rows, offset = (a, 0) if other is None else (np.vstack([a, b]), len(a))
        return _clouds([bins] * len(rows), list(rows), offset, metric, p, mass)
    return _on_bins(bins, a, b, metric, p, mass)


def _on_bins(
    bins: FloatArray, a: FloatArray, b: FloatArray, metric: Metric, p: float, mass: float
) -> Histograms:
    """Return histograms on bins with points, in a unit of length in which costs fit float64."""
    geometry, k = unit_geometry(bins, bins, metric, p)
    bins = in_unit(bins, k)
    _validate.require_product(mass, geometry.largest)
    matrix = geometry.dense()
    is_metric, excess = _metric_of(bins, matrix, metric, p, geometry.largest)
    largest = geometry.largest
    return Histograms.of(matrix, a, b, largest, mass, is_metric=is_metric, excess=excess)._replace(
        unit=k
    )


def _metric_of(
    bins: FloatArray, matrix: FloatArray, metric: Metric, p: float, largest: float
) -> tuple[bool, float]:
    """Return whether costs are a metric, and the excess that rounding may cause."""
    if p != 1:
        return False, 0.0
    if isinstance(metric, str):
        return known(metric).is_metric, (bins.shape[1] + 4) * _EPS * largest
    return _looks_metric(matrix, largest)


def _looks_metric(matrix: FloatArray, largest: float) -> tuple[bool, float]:
    """Test whether a matrix is a metric, unless it is too large to test."""
    n = len(matrix)
    if n > _MOST_BINS or not _is_dissimilarity(matrix):
        return False, 0.0
    excess = triangle_excess(matrix)
    return excess <= _EXCESS * largest, excess


def _is_dissimilarity(matrix: FloatArray) -> bool:
    """Whether a matrix is symmetric, with a diagonal of zeros."""
    is_square = matrix.shape[0] == matrix.shape[1]
    return is_square and not matrix.diagonal().any() and bool((matrix == matrix.T).all())


def _on_matrix(
    measures: ArrayLike,
    other: ArrayLike | None,
    cost: ArrayLike,
    support: ArrayLike | None,
    p: float,
    normalize: bool,
) -> Histograms:
    """Return histograms on bins with a matrix of costs."""
    if support is not None:
        raise InputError("support and cost both give the costs between bins; leave one out")
    if p != 1:
        how = "cost=distance**p, and take the root of the result"
        if np.isinf(p):
            how = "the points of the bins as support= in place of cost="
        raise InputError(
            f"p={p:g} is for points; with cost= the matrix holds the costs themselves: pass {how}"
        )
    matrix, largest, has_forbidden = _validate.as_cost(cost)
    if other is None and not _is_dissimilarity(matrix):
        raise InputError(
            "cost must be symmetric with zeros on the diagonal, so that one triangle of"
            " the matrix says all; pass other=measures to compute both"
        )
    a, b, mass = _both_masses(measures, other, matrix.shape, normalize)
    _validate.require_product(mass, largest)
    is_metric, excess = (False, 0.0)
    if not has_forbidden:
        is_metric, excess = _looks_metric(matrix, largest)
    return Histograms.of(
        matrix,
        a,
        b,
        largest,
        mass,
        is_metric=is_metric,
        excess=excess,
        has_forbidden=has_forbidden,
    )


def _both_masses(
    measures: ArrayLike,
    other: ArrayLike | None,
    shape: tuple[int, ...],
    normalize: bool,
) -> tuple[FloatArray, FloatArray, float]:
    """Return the masses of rows and of columns, all of one sum, and that sum."""
    same = _SameMass("measures[0]", normalize)
    a = _masses("measures", measures, shape[0], same)
    b = a if other is None else _masses("other", other, shape[1], same)
    return a, b, same.mass


def _masses(name: str, value: ArrayLike, n: int, same: _SameMass) -> FloatArray:
    """Return masses (K, n), scaled to the mass of the first histogram."""
    array = _validate.as_float64(name, value)
    if array.ndim != 2 or array.shape[1] != n or len(array) == 0:
        raise InputError(
            f"{name} must have shape (K, {n}), a row of masses for each histogram on"
            f" the {n} bins, got {array.shape}"
        )
    out = np.empty(array.shape)
    # As given: how exact a sum is depends on the type it came in.
    for k, row in enumerate(np.asarray(value)):
        weights = _validate.as_weights(f"{name}[{k}]", row, (n,), "bin")
        out[k] = same.fitted(f"{name}[{k}]", weights)
    return out


def _try_metric(points: FloatArray, metric: Metric, p: float) -> None:
    """Raise for a metric that does not go with some points."""
    try:
        unit_geometry(points, points, metric, p)
    except InputError:
        raise
    except Exception:
        if not callable(metric):
            raise
        # A function that fails does so for pairs too, where the failure is told.


def require_valid(
    measures: Any,
    other: Any,
    support: ArrayLike | None,
    metric: Metric,
    p: float,
    normalize: bool,
) -> None:
    """Raise for a measure that is not valid, or does not go with the first one."""
    if support is not None:
        bins = _validate.as_points("support", support)
        _try_metric(bins, metric, p)
        _both_masses(measures, other, (len(bins), len(bins)), normalize)
        return
    first: FloatArray | None = None
    same = _SameMass("measures[0]", normalize)
    for side, rows in (("measures", measures), ("other", [] if other is None else other)):
        for k, measure in enumerate(rows):
            name = f"{side}[{k}]"
            given, a = _matched(name, *split(measure), ("measures[0]", measures[0]))
            points = _validate.as_points(name if a is None else f"{name}[0]", given)
            if first is None:
                first = points
                _try_metric(first, metric, p)
            _require_space(name, points, "measures[0]", first)
            same.fitted(name, _masses_of(name, a, len(points)))
