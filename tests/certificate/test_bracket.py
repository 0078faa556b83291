"""One rule for what is proved: by one certificate, by lines and by pairs of measures."""

from __future__ import annotations

import math

import numpy as np
import pytest

from otdist import Certificate
from otdist.certificate import many_pairs
from otdist.certificate.many_on_line import LineBounds
from otdist.geometry.packed import Clouds, Histograms
from otdist.problem.result import (
    EXACT_TOL,
    LARGEST_ROUNDING,
    Bracket,
    coupling_tolerance,
    root,
    roots,
)

N = M = 3
MASS, LARGEST = 2.0, 4.0
MOST_ERROR = coupling_tolerance(N + M) * MASS
MOST_ROUNDING = LARGEST_ROUNDING * MASS * LARGEST

#: lower, upper, marginal error, rounding, and the verdict.
PLANTED = {
    "equal": (3.0, 3.0, 0.0, 0.0, True),
    "zero": (0.0, 0.0, 0.0, 0.0, True),
    "within the tolerance": (3.0 - 2e-9, 3.0, 0.0, 0.0, True),
    "beyond the tolerance": (3.0 - 4e-9, 3.0, 0.0, 0.0, False),
    "hidden by rounding": (-1e-14, 1e-14, 0.0, 4e-14, True),
    "not hidden by rounding": (-1e-13, 1e-13, 0.0, 4e-14, False),
    "crossing by rounding": (3.0, 3.0 - 1e-14, 0.0, 4e-14, True),
    "crossing": (3.0, 3.0 - 1e-10, 0.0, 4e-14, False),
    "crossing far": (3.0, 1.0, 0.0, 4e-14, False),
    "wide": (1.0, 3.0, 0.0, 0.0, False),
    "nothing below": (-math.inf, 3.0, 0.0, 0.0, False),
    "nothing above": (1.0, math.inf, 0.0, 0.0, False),
    "infinite": (math.inf, math.inf, 0.0, 0.0, False),
    "lower is NaN": (math.nan, 3.0, 0.0, 0.0, False),
    "upper is NaN": (3.0, math.nan, 0.0, 0.0, False),
    "error is NaN": (3.0, 3.0, math.nan, 0.0, False),
    "error is infinite": (3.0, 3.0, math.inf, 0.0, False),
    "rounding is NaN": (3.0, 3.0, 0.0, math.nan, False),
    "rounding is infinite": (3.0, 3.0, 0.0, math.inf, False),
    "a coupling": (3.0, 3.0, 0.9 * MOST_ERROR, 0.0, True),
    "no coupling": (3.0, 3.0, 1.1 * MOST_ERROR, 0.0, False),
    "little rounding": (3.0, 3.0, 0.0, 0.9 * MOST_ROUNDING, True),
    "too much rounding": (3.0, 3.0, 0.0, 1.1 * MOST_ROUNDING, False),
}
ROWS = np.array([row[:4] for row in PLANTED.values()])
VERDICTS = [row[4] for row in PLANTED.values()]


def of_one_problem(lower, upper, error, rounding):
    """The verdict on the certificate of one problem."""
    certificate = Certificate(
        lower=lower, upper=upper, marginal_error=error, dual_violation=0.0, rounding=rounding
    )
    return certificate.bracket(MOST_ERROR, MOST_ROUNDING).proves(EXACT_TOL)


def of_lines(rows):
    """The verdicts on a batch along an axis, planted where the compiled pass writes."""
    proof = LineBounds(N, M, 1.0, len(rows))
    lower, upper, error, rounding = rows.T
    proof._found[:] = np.stack(
        [lower, upper, rounding, error, np.full(len(rows), MASS), np.full(len(rows), LARGEST)]
    ).T
    return proof.bounds().proves(EXACT_TOL)


def of_pairs(rows, family):
    """The verdicts on a block of pairs, planted where the compiled pass writes."""
    lower, upper, error, rounding = rows.T
    nothing = np.zeros(len(rows))
    out = np.stack([lower, upper, nothing, error, rounding, nothing]).T
    which = np.zeros(len(rows), np.int64)
    largest = family.largest_of(which, which)
    assert (largest == LARGEST).all()
    return many_pairs._bracket(family, largest, *out.T).proves(EXACT_TOL)


def families():
    masses = np.array([[0.5, 0.5, 1.0]])
    cost = np.full((N, M), LARGEST)
    histograms = Histograms(
        cost, cost, masses, masses, LARGEST, MASS, False, excess=0.0, most=(N, M)
    )
    points = np.array([0.0, 0, 4, 0, 0, 4])
    boxes = np.array([[[0.0], [0.0]], [[4.0], [4.0]]])
    starts = np.array([0, 3, 6])
    weights = np.tile(masses[0], 2)
    clouds = Clouds(points, weights, starts, boxes, 1, 1, "cityblock", 1.0, MASS, most=(N, M))
    return histograms, clouds


@pytest.mark.filterwarnings("error")
def test_all_paths_agree_on_planted_brackets():
    one_by_one = [bool(of_one_problem(*row)) for row in ROWS.tolist()]
    assert dict(zip(PLANTED, one_by_one, strict=True)) == dict(zip(PLANTED, VERDICTS, strict=True))
    assert of_lines(ROWS).tolist() == VERDICTS
    for family in families():
        assert of_pairs(ROWS, family).tolist() == VERDICTS


def test_a_repaired_plan_may_miss_marginals():
    """Upper bounds of certificates are costs of couplings, whatever the plan was."""
    lost = Certificate(lower=3.0, upper=3.0, marginal_error=0.5, dual_violation=0.0, rounding=0.0)
    assert lost.proves(0.0)
    assert not lost.bracket(0.4).proves(0.0)


def test_infinite_errors_prove_nothing_where_any_is_accepted():
    assert Bracket(3.0, 3.0, 1e300, 1e300).proves(0.0)
    assert not Bracket(3.0, 3.0, math.inf, 0.0).proves(1.0)
    assert not Bracket(3.0, 3.0, 0.0, math.inf).proves(1.0)


def test_the_tolerance_is_relative_to_either_sign():
    assert Bracket(-3.0 - 2e-9, -3.0, 0.0, 0.0).proves(1e-9)
    assert not Bracket(-3.0 - 4e-9, -3.0, 0.0, 0.0).proves(1e-9)


def test_roots():
    values = np.array([0.0, -1e-18, 9.0, np.nan])
    assert [root(value, 2) for value in values.tolist()[:3]] == [0.0, 0.0, 3.0]
    np.testing.assert_array_equal(roots(values, 2), [0.0, 0.0, 3.0, np.nan])
    for p in (0.5, 1, math.inf):
        assert root(9.0, p) == 9.0
        assert roots(values, p) is values
