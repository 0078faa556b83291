"""Weighted point clouds as histograms on a common support."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from otdist.errors import warn
from otdist.inputs import validate as _validate
from otdist.inputs.calls import answers
from otdist.inputs.labels import matched
from otdist.typing import ArrayLike, FloatArray, IntArray


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Aligned:
    """Two measures on one support: arrays ``(k, d)``, ``(k,)``, ``(k,)``, read-only.

    The atoms are distinct and in lexicographic order; each has p > 0 or q > 0.
    """

    support: FloatArray
    p: FloatArray
    q: FloatArray

    @property
    def overlap_p(self) -> float:
        """Mass of the first measure on atoms of the second, P(supp Q)."""
        return math.fsum(self.p[self.q > 0.0].tolist())

    @property
    def overlap_q(self) -> float:
        """Mass of the second measure on atoms of the first, Q(supp P)."""
        return math.fsum(self.q[self.p > 0.0].tolist())

    @property
    def n_common(self) -> int:
        """Number of atoms of both measures."""
        return int(np.count_nonzero((self.p > 0.0) & (self.q > 0.0)))


@answers
def align(
    x: ArrayLike,
    y: ArrayLike,
    a: ArrayLike | None = None,
    b: ArrayLike | None = None,
    *,
    normalize: bool = False,
) -> Aligned:
    """Write two weighted point clouds as histograms on the union of their atoms.

    Atoms match if all coordinates are equal as numbers. -0.0 equals 0.0, but there is no
    rounding: ``np.float32(0.1)`` and ``0.1`` are two atoms. The weights of repeated atoms
    are summed; atoms of weight 0 are then dropped. There is a warning if x and y are
    samples without weights that share no point, and if more than half of the atoms of x or
    y equal an atom of the other in single precision only. O((n + m) log(n + m)) time for
    fixed d, O((n + m) d) memory.

    Parameters
    ----------
    x, y : array_like (n, d), (m, d), or (n,), (m,)
        Points; 1-D input is points on the line.
    a, b : array_like (n,), (m,), optional
        Weights >= 0; 1/n and 1/m by default.
    normalize : bool, default False
        Whether to divide the weights by their sums. If False, both sums must agree within
        a relative tolerance of 1e-9 (float32: 1e-5, float16: 1e-2).

    Returns
    -------
    Aligned
        The common ``support`` (k, d) and the weights ``p``, ``q`` (k,) on it.

    Raises
    ------
    InputError
        For a wrong type, shape or sum, and for empty, non-finite or negative input.

    Examples
    --------
    >>> both = align([0.0, 1.0, 1.0], [1.0, 2.0])
    >>> both.support.ravel(), both.q, both.n_common
    (array([0., 1., 2.]), array([0. , 0.5, 0.5]), 1)
    """
    x, y, a, b = matched(x, y, a, b)
    points_x, points_y = _points("x", x), _points("y", y)
    _validate.require_same_space(points_x, points_y)
    shape = (len(points_x), len(points_y))
    of = ("point of x", "point of y")
    weights_a, weights_b, _ = _validate.as_masses(a, b, shape, of, normalize)
    support, starts, order = _merge(np.concatenate([points_x, points_y]))
    p = _merged(weights_a, a is None, order, starts, 0)
    q = _merged(weights_b, b is None, order, starts, len(points_x))
    all_distinct = len(support) == len(order) and min(shape) > 1
    if (near := _near_misses(support, p, q)) > 0.5 * min(shape):
        warn(
            f"{near} atoms of x and y are equal in single precision, but not in double,"
            " and count as different; if they should be equal, round both alike, for example"
            " to np.float32"
        )
    elif a is None and b is None and all_distinct:
        warn(
            "x and y are samples that share no atom. Samples of continuous distributions"
            " never do, so that KL = inf and JS = log 2 for any two of them: use"
            " otdist.samples to estimate and bound divergences from samples, or a Wasserstein"
            " distance"
        )
    kept = (p > 0.0) | (q > 0.0)
    support, p, q = support[kept], p[kept], q[kept]
    for array in (support, p, q):
        array.setflags(write=False)
    return Aligned(support=support, p=p, q=q)


def _merged(
    weights: FloatArray, uniform: bool, order: IntArray, starts: IntArray, first: int
) -> FloatArray:
    """Sum the weights of equal atoms; uniform weights are counted and divided once."""
    every = np.zeros(len(order))
    every[first : first + len(weights)] = 1.0 if uniform else weights
    sums = np.add.reduceat(every[order], starts)
    return sums / len(weights) if uniform else sums


def _near_misses(support: FloatArray, p: FloatArray, q: FloatArray) -> int:
    """Count atoms of one measure that equal an atom of the other in single precision only."""
    alone = (p > 0.0) != (q > 0.0)
    if np.count_nonzero(alone) < 2:
        return 0
    with np.errstate(over="ignore", under="ignore"):
        rounded = support[alone].astype(np.float32).astype(np.float64)
    _, starts, order = _merge(rounded + 0.0)
    first = (p[alone] > 0.0)[order]
    both = np.logical_or.reduceat(first, starts) & np.logical_or.reduceat(~first, starts)
    return int(np.count_nonzero(both))


def _points(name: str, values: ArrayLike) -> FloatArray:
    return _validate.as_points(name, values) + 0.0  # -0.0 becomes 0.0


def _merge(points: FloatArray) -> tuple[FloatArray, IntArray, IntArray]:
    """Return distinct rows, the start of each in the sorted order, and that order."""
    order = np.lexsort(points.T[::-1])
    ordered = points[order]
    changes = np.any(ordered[1:] != ordered[:-1], axis=1)
    starts = np.flatnonzero(np.concatenate([[True], changes]))
    return ordered[starts], starts, order
