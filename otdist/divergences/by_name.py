"""Divergences by name, for matrices of all pairs of histograms."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from otdist.divergences import f_divergences, rows, shannon
from otdist.divergences.histograms import log_of_base, validated
from otdist.divergences.rows import Plain, Rows
from otdist.errors import InputError
from otdist.inputs.convert import as_array
from otdist.typing import FloatArray, IntArray


class Named(NamedTuple):
    """A divergence: its number in compiled code, NumPy's way, and what may be said of it."""

    kind: int
    plain: Plain
    is_symmetric: bool
    power_of_unit: float | None  # of the logarithm of a base; None if it takes no base


#: The names that `pairwise` takes, each of the function that starts with it.
NAMED = {
    "kl": Named(rows.KL, shannon.plain_kl, False, 1.0),
    "js": Named(rows.JS, shannon.plain_js, True, 1.0),
    "js_distance": Named(rows.JS_DISTANCE, shannon.plain_js_distance, True, 0.5),
    "total_variation": Named(rows.TOTAL_VARIATION, shannon.plain_total_variation, True, None),
    "hellinger": Named(rows.HELLINGER, shannon.plain_hellinger, True, None),
    "chi2": Named(rows.CHI2, f_divergences.plain_chi2, False, None),
}


def unit_of(name: str, base: float | None) -> float:
    """Return what values in nats are divided by."""
    power = NAMED[name].power_of_unit
    if base is not None and power is None:
        raise InputError(f"distance={name!r} has no logarithm; leave base out")
    return 1.0 if power is None else log_of_base(base) ** power


def valid_rows(name: str, values: Any, normalize: bool, kind: int) -> Rows:
    """Return validated histograms (K, n), to be compared with many others."""
    array = as_array(name, values)
    if array.ndim != 2:
        raise InputError(
            f"{name} must have shape (K, n), a histogram in each row, got {array.shape}"
        )
    if array.size > 0:
        found = rows.as_rows(name, array, normalize, kind, is_for_all_pairs=True)
        if not np.isnan(found.sums[:, 0]).any():
            return found
    validated(name, array, normalize)  # words the error; extreme weights are valid
    return found


def between(name: str, p: Rows, q: Rows, first: IntArray, second: IntArray) -> FloatArray:
    """Return the divergences, in nats, of the rows ``p[first[k]]`` and ``q[second[k]]``."""
    divergence = NAMED[name]
    return rows.of_pairs(divergence.plain, divergence.kind, p, q, first, second)
