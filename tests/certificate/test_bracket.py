"""One rule for what is proved: by one certificate, by lines and by pairs of measures."""

from __future__ import annotations

import math

import numpy as np
import pytest

from otdist import Certificate
from otdist.certificate import many
from otdist.certificate.kernels import brackets
from otdist.certificate.many import Clouds, Histograms, LineBounds
from otdist.problem.result import COUPLING, EXACT_TOL, SPECK, Bracket, root, roots

N = M = 3
MASS, FARTHEST = 2.0, 4.0
#: What a unit in the last place of the farthest coordinate moves, for p = 1 on the line.
RESOLUTION = 2 * np.finfo(float).eps * FARTHEST * MASS

#: lower, upper, whether the plan is a coupling, and the verdict with coordinates and without.
PLANTED = {
    "equal": (3.0, 3.0, True, True, True),
    "zero": (0.0, 0.0, True, True, True),
    "within the tolerance": (3.0 - 2e-9, 3.0, True, True, True),
    "beyond the tolerance": (3.0 - 4e-9, 3.0, True, False, False),
    "within the last digits": (0.0, 0.9 * RESOLUTION, True, True, False),
    "beyond the last digits": (0.0, 1.1 * RESOLUTION, True, False, False),
    "crossing by rounding": (3.0, 3.0 - 1e-14, True, False, False),
    "crossing far": (3.0, 1.0, True, False, False),
    "wide": (1.0, 3.0, True, False, False),
    "nothing below": (-math.inf, 3.0, True, False, False),
    "nothing above": (1.0, math.inf, True, False, False),
    "infinite": (math.inf, math.inf, True, False, False),
    "lower is NaN": (math.nan, 3.0, True, False, False),
    "upper is NaN": (3.0, math.nan, True, False, False),
    "no coupling": (3.0, 3.0, False, False, False),
    "no coupling, and zero": (0.0, 0.0, False, False, False),
}
ROWS = np.array([row[:3] for row in PLANTED.values()])
WITH_COORDINATES = [row[3] for row in PLANTED.values()]
WITHOUT = [row[4] for row in PLANTED.values()]


def of_one_problem(lower, upper, is_coupling, resolution):
    """The verdict on the certificate of one problem."""
    return Certificate(
        lower=lower,
        upper=upper,
        value=upper,
        is_coupling=bool(is_coupling),
        marginal_error=0.0,
        dual_violation=0.0,
        resolution=resolution,
    ).proves(EXACT_TOL)


def of_lines(rows):
    """The verdicts on a batch along an axis, planted where the compiled pass writes."""
    proof = LineBounds(N, M, 1.0, len(rows))
    lower, upper, is_coupling = rows.T
    mass, farthest = np.full((2, len(rows)), [[MASS], [FARTHEST]])
    proof._found[:] = np.stack([lower, upper, upper, is_coupling, mass, farthest]).T
    return proof.bounds().proves(EXACT_TOL)


def of_pairs(rows, family, monkeypatch):
    """The verdicts on a block of pairs, planted where the compiled pass writes."""
    lower, upper, is_coupling = rows.T
    monkeypatch.setattr(many, "_sums", lambda *_: np.stack([lower, upper, upper, is_coupling]).T)
    which = np.zeros(len(rows), np.int64)
    claims = [None] * 5
    return many.bracket(family, which, which, *claims).proves(EXACT_TOL)


def families():
    masses = np.array([[0.5, 0.5, 1.0]])
    cost = np.full((N, M), FARTHEST)
    histograms = Histograms(
        cost, cost, masses, masses, FARTHEST, MASS, False, excess=0.0, most=(N, M)
    )
    points = np.array([0.0, 0, 4, 0, 0, 4])
    boxes = np.array([[[0.0], [0.0]], [[4.0], [4.0]]])
    starts = np.array([0, 3, 6])
    weights = np.tile(masses[0], 2)
    clouds = Clouds(points, weights, starts, boxes, 1, 1, "cityblock", 1.0, MASS, most=(N, M))
    return histograms, clouds


@pytest.mark.filterwarnings("error")
def test_all_paths_agree_on_planted_brackets(monkeypatch):
    one_by_one = [of_one_problem(*row, RESOLUTION) for row in ROWS.tolist()]
    assert dict(zip(PLANTED, one_by_one, strict=True)) == dict(
        zip(PLANTED, WITH_COORDINATES, strict=True)
    )
    assert [of_one_problem(*row, 0.0) for row in ROWS.tolist()] == WITHOUT
    assert of_lines(ROWS).tolist() == WITH_COORDINATES
    histograms, clouds = families()
    assert of_pairs(ROWS, histograms, monkeypatch).tolist() == WITHOUT
    assert of_pairs(ROWS, clouds, monkeypatch).tolist() == WITH_COORDINATES


def test_the_last_digits_are_those_of_distances():
    """Costs of 1e-20 within 1e-14 of 0 are distances of 1e-10, which no coordinate decides."""
    assert Bracket(0.0, 1e-14, 0.0, True, 1e-14).proves(0.0)
    assert not Bracket(0.0, 1e-14, 0.0, True, 1e-14, order=2.0).proves(0.0)
    assert Bracket(0.0, 1e-28, 0.0, True, 1e-14, order=2.0).proves(0.0)


def test_the_tolerance_is_relative_to_either_sign():
    assert Bracket(-3.0 - 2e-9, -3.0, -3.0, True).proves(1e-9)
    assert not Bracket(-3.0 - 4e-9, -3.0, -3.0, True).proves(1e-9)


def test_kernels_have_the_same_idea_of_a_coupling():
    assert (brackets.COUPLING, brackets.SPECK) == (COUPLING, SPECK)


def test_roots():
    values = np.array([0.0, -1e-18, 9.0, np.nan])
    assert [root(value, 2) for value in values.tolist()[:3]] == [0.0, 0.0, 3.0]
    np.testing.assert_array_equal(roots(values, 2), [0.0, 0.0, 3.0, np.nan])
    for p in (0.5, 1, math.inf):
        assert root(9.0, p) == 9.0
        assert roots(values, p) is values


def test_a_certificate_is_neither_true_nor_false():
    proof = Certificate(
        lower=0.0, upper=0.0, value=0.0, is_coupling=True, marginal_error=0.0, dual_violation=0.0
    )
    with pytest.raises(TypeError, match="ask is_coupling, is_optimal or proves"):
        bool(proof)
