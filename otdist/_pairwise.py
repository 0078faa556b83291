"""Distances between all pairs of many measures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from otdist._distances import wasserstein_distance
from otdist._errors import InputError
from otdist._typing import FloatArray

Measure = Any  # points, or a tuple (points, weights)


def pairwise(
    measures: Sequence[Measure],
    other: Sequence[Measure] | None = None,
    *,
    distance: Callable[..., float] = wasserstein_distance,
    progress: bool = False,
    **options: Any,
) -> FloatArray:
    """Return the matrix of distances between measures.

    Parameters
    ----------
    measures : sequence of K measures
        Each an array of points, (n,) or (n, d), or a tuple (points, weights).
        The measures may have different numbers of points.
    other : sequence of L measures, optional
        Measures of the columns. Without it the matrix is symmetric, each pair
        is computed once and the diagonal is 0.
    distance : callable, default `wasserstein_distance`
        Called as ``distance(x, y, a, b, **options)``.
    progress : bool, default False
        Show a progress bar (needs tqdm).
    **options
        Passed on to `distance`, such as ``p`` and ``metric``.

    Returns
    -------
    ndarray (K, K) or (K, L) float64
        In the units of `distance`.

    Raises
    ------
    InputError
        If a pair is not valid; the message names its indices.

    Examples
    --------
    >>> from otdist import pairwise
    >>> pairwise([[0.0, 1.0], [2.0, 3.0], ([5.0], [1.0])])
    array([[0. , 2. , 4.5],
           [2. , 0. , 2.5],
           [4.5, 2.5, 0. ]])
    """
    columns = measures if other is None else other
    matrix = np.zeros((len(measures), len(columns)))
    cells = [
        (i, j)
        for i in range(len(measures))
        for j in range(len(columns))
        if other is not None or i < j
    ]
    for i, j in _shown(cells, progress):
        x, a = _points_and_weights(measures[i])
        y, b = _points_and_weights(columns[j])
        try:
            matrix[i, j] = distance(x, y, a, b, **options)
        except InputError as error:
            raise type(error)(f"pair ({i}, {j}): {error}") from error
    if other is None:
        matrix += matrix.T
    return matrix


def _points_and_weights(measure: Measure) -> tuple[Any, Any]:
    if isinstance(measure, tuple) and len(measure) == 2:
        return measure
    return measure, None


def _shown(cells: list[tuple[int, int]], progress: bool) -> Iterable[tuple[int, int]]:
    if not progress:
        return cells
    try:
        from tqdm.auto import tqdm
    except ImportError:
        raise InputError(
            "progress=True needs tqdm: pip install 'otdist[progress]'"
        ) from None
    shown: Iterable[tuple[int, int]] = tqdm(cells, desc="pairwise", unit=" pairs")
    return shown
