"""Matrices of distances: input, failures, workers, disk, and who takes the matrices."""

from __future__ import annotations

import ctypes
import importlib.util
import json
import math
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import warnings

import knobs
import numpy as np
import pytest
from conftest import JIT_OFF

import otdist
from otdist import (
    FailedPairsWarning,
    InputError,
    InputWarning,
    emd,
    pairwise,
    sinkhorn_divergence,
    wasserstein_distance,
)
from otdist.batch import checkpoint as _checkpoint
from otdist.batch import solve as _solve_pairs
from otdist.distances import pairwise as _pairwise

joblib = pytest.importorskip("joblib", reason="joblib is not installed")


def with_failures(measures, **options):
    with pytest.warns(FailedPairsWarning) as caught:
        matrix = pairwise(measures, **options)
    return matrix, caught[0].message.failures


def some_clouds(seed=0, count=6, d=2):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(int(rng.integers(1, 8)), d)) for _ in range(count)]


def some_histograms(seed=0, count=6, n=5):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 9, size=(count, n)) + np.eye(count, n), np.arange(n) ** 1.5


# --------------------------------------------------------------------- single pairs


def test_a_matrix_holds_single_distances():
    rng = np.random.default_rng(45)
    measures = [rng.normal(size=(n, 2)) for n in (3, 1, 5)]
    weighted = (rng.normal(size=(4, 2)), np.array([0.5, 0.25, 0.0, 0.25]))
    everything = [*measures, weighted]
    matrix = pairwise(everything, p=2)
    assert (matrix == matrix.T).all()
    assert (np.diag(matrix) == 0).all()
    for i, x in enumerate(measures):
        for j, y in enumerate(measures[:i]):
            single = wasserstein_distance(y, x, p=2)
            assert matrix[j, i] == pytest.approx(single, rel=1e-14)
        single = wasserstein_distance(x, weighted[0], None, weighted[1], p=2)
        assert matrix[i, 3] == pytest.approx(single, rel=1e-14)
    other = pairwise(measures, everything, p=2)
    assert other.shape == (3, 4)
    np.testing.assert_allclose(other, matrix[:3], rtol=1e-14, atol=1e-14)
    for p in (1.5, 3):
        single = wasserstein_distance(measures[0], measures[2], p=p)
        assert pairwise(everything, p=p)[0, 2] == pytest.approx(single, rel=1e-13)
    condensed = pairwise(everything, p=2, condensed=True)
    assert (condensed == matrix[np.triu_indices(4, 1)]).all()


def test_histograms_are_measures_on_their_bins():
    rows, bins = some_histograms()
    matrix = pairwise(rows, support=bins, normalize=True)
    for i in range(6):
        for j in range(i):
            single = wasserstein_distance(bins, bins, rows[i], rows[j], normalize=True)
            assert matrix[i, j] == pytest.approx(single, rel=1e-13)
    cost = np.abs(bins[:, None] - bins) ** 2
    parts = rows / rows.sum(axis=1, keepdims=True)
    costs = pairwise(parts, cost=cost)
    assert costs[0, 1] == pytest.approx(emd(parts[0], parts[1], cost), rel=1e-13)
    wide = pairwise(parts[:, :3] + 0.1, parts[:2] + 0.06, cost=cost[:3], normalize=True)
    assert wide.shape == (6, 2)
    by_function = pairwise(parts, support=bins, metric=lambda x, y: abs(x - y)[0])
    np.testing.assert_allclose(by_function, matrix, rtol=1e-12, atol=1e-15)


def test_many_bins_become_clouds(monkeypatch):

    rows, bins = some_histograms()
    for options in ({}, {"p": 2}, {"other": rows[:2] * 1.0}):
        matrix = pairwise(rows, support=bins, normalize=True, **options)
        with monkeypatch.context() as patch:
            patch.setattr(knobs.PACK_MOST_BINS, 3)
            again = pairwise(rows, support=bins, normalize=True, **options)
        np.testing.assert_allclose(again, matrix, rtol=1e-12, atol=1e-8)


def on_one_support(seed=31, count=6, n=7):
    """Points with two equal ones, and weights with zeros."""
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(n, 2))
    points[3], points[5] = points[1], (0.0, -0.0)
    rows = rng.dirichlet(np.ones(n), count)
    rows[0, 4] = rows[1, 1] = 0.0
    return points, rows / rows.sum(axis=1, keepdims=True)


@pytest.fixture
def families(monkeypatch):
    """Names of the families that pairs were solved as."""
    seen = []
    solve_block = _solve_pairs.solve_block

    def spy(pairs, start, stop, p, kind, *fields):
        seen.append(kind.__name__)
        return solve_block(pairs, start, stop, p, kind, *fields)

    spy.__module__, spy.__qualname__ = "otdist", "solve_block"
    monkeypatch.setattr(_solve_pairs, "solve_block", spy)
    return seen


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"p": 2},
        {"p": 1.5, "metric": "cityblock"},
        {"metric": "sqeuclidean"},
        {"metric": "chebyshev", "condensed": True},
        {"normalize": True},
        {"n_jobs": 2},
    ],
    ids=str,
)
def test_one_support_is_seen(options, families, monkeypatch):
    monkeypatch.setattr(_solve_pairs, "attempt", None)  # no pair is left to a single solve
    points, rows = on_one_support()
    rows *= 1 + np.arange(6)[:, None] * ("normalize" in options)
    on_bins = pairwise(rows, support=points, **options)
    cross = {key: value for key, value in options.items() if key != "condensed"}
    on_bins_cross = pairwise(rows[:4], rows[3:], support=points, **cross)
    signed = np.where(points == 0, -points, points)
    assert (np.signbit(signed) != np.signbit(points)).sum() == 2
    for same in (points, points.copy(), points.tolist(), signed):
        measures = [(points, rows[0]), *((same, row) for row in rows[1:])]
        assert (pairwise(measures, **options) == on_bins).all()
        assert (pairwise(measures[:4], measures[3:], **cross) == on_bins_cross).all()
    assert set(families) == {"Histograms"}


def test_one_support_on_the_line_and_without_weights(families):
    line, rows = np.array([0.0, 3.0, 3.0, -1.0, 0.5]), np.eye(5)[:4] / 2 + 0.1
    measures = [(line, row) for row in rows]
    assert (pairwise(measures, p=2) == pairwise(rows, support=line, p=2)).all()
    measures[1] = line[:, None]  # uniform
    rows[1] = 0.2
    assert (pairwise(measures) == pairwise(rows, support=line)).all()
    assert set(families) == {"Histograms"}


def test_one_point_that_differs_is_another_support(families):
    points, rows = on_one_support()
    on_bins = pairwise(rows, support=points)
    families.clear()
    for k in (0, 3, 5):
        moved = points.copy()
        moved[2, 1] = np.nextafter(moved[2, 1], 9.0)
        measures = [(moved if i == k else points, row) for i, row in enumerate(rows)]
        np.testing.assert_allclose(pairwise(measures), on_bins, rtol=1e-13, atol=1e-15)
        moved[2, 1] += 1.0
        found, other = pairwise(measures), (k + 1) % 6
        single = wasserstein_distance(moved, points, rows[k], rows[other])
        assert found[k, other] == pytest.approx(single, rel=1e-13)
        assert found[k, other] != pytest.approx(on_bins[k, other], rel=1e-3)
    reordered = [(points[::-1], rows[0, ::-1]), *((points, row) for row in rows[1:])]
    np.testing.assert_allclose(pairwise(reordered), on_bins, rtol=1e-13, atol=1e-15)
    crossed = pairwise([(points, row) for row in rows], [(points + 1.0, row) for row in rows])
    single = wasserstein_distance(points, points + 1.0, rows[2], rows[1])
    assert crossed[2, 1] == pytest.approx(single, rel=1e-13)
    fewer = pairwise([(points[:1], [1.0]), *((points, row) for row in rows)])
    single = wasserstein_distance(points[:1], points, None, rows[0])
    assert fewer[0, 1] == pytest.approx(single, rel=1e-13)
    assert set(families) == {"Clouds"}


def test_one_support_of_many_points_makes_no_matrix_for_few_pairs(families):
    points, _ = on_one_support()
    few = [(points, np.eye(7)[k]) for k in range(6)]  # 15 costs in all, not 49
    assert pairwise(few)[0, 1] == np.linalg.norm(points[0] - points[1])
    line = np.arange(600.0)  # needs no matrix
    measures = [(line, weights) for weights in (np.full(600, 1 / 600), np.eye(600)[0])] * 2
    assert pairwise(measures)[0, 1] == pytest.approx(299.5, rel=1e-13)
    assert set(families) == {"Clouds"}


def test_other_distances_are_called_on_one_support_too():
    points, rows = on_one_support(count=3)
    measures = [(points, row) for row in rows]
    for options in (
        {"distance": sinkhorn_divergence, "epsilon": 0.5},
        {"metric": lambda x, y: float(np.abs(x - y).sum())},
        {"p": math.inf},
    ):
        found = pairwise(measures, **options)
        expected = pairwise(rows, support=points, **options)
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)

    def number(x, y, a, b):
        assert x is y is points
        return float(a @ b)

    assert pairwise(measures, distance=number)[0, 2] == rows[0] @ rows[2]


def test_one_support_is_recorded_as_its_histograms(tmp_path):
    points, rows = on_one_support()
    rows *= 3.0
    path = tmp_path / "matrix.npy"
    matrix = pairwise([(points, row) for row in rows], out=path)
    assert (matrix == pairwise(rows, support=points)).all()
    assert (pairwise(rows, support=points, out=path) == matrix).all()
    with pytest.raises(InputError, match="data or options"):
        pairwise([(points + 1e-3, row) for row in rows], out=path)


def test_errors_of_measures_on_one_support_name_what_was_given():
    points, rows = on_one_support()
    bad_points, bad_row = points.copy(), rows[0].copy()
    bad_points[4, 1], bad_row[4] = math.nan, -0.5
    for measures, words in (
        ([(bad_points, row) for row in rows], r"^measures\[0\]\[0\]\[4, 1\] is nan"),
        ([(points, rows[0]), (bad_points, rows[1])], r"^measures\[1\]\[0\]\[4, 1\] is nan"),
        ([(points, rows[0]), (points, bad_row)], r"^measures\[1\]\[1\]\[4\] is -0.5"),
        ([(points, rows[0]), (points, rows[1, 1:])], r"^measures\[1\]\[1\] must have shape \(7,\)"),
        ([(points, rows[0]), (points, 2 * rows[1])], r"^the masses differ: measures\[1\] sums"),
    ):
        with pytest.raises(InputError, match=words):
            pairwise(measures)


def test_few_or_no_measures():
    assert pairwise([]).shape == (0, 0)
    assert pairwise([], condensed=True).shape == (0,)
    assert pairwise([[1.0]]).tolist() == [[0.0]]
    assert pairwise([[1.0]], []).shape == (1, 0)
    assert pairwise([[1.0]], [[1.0], [4.0]]).tolist() == [[0.0, 3.0]]


def test_other_distances_are_called():
    measures = some_clouds(46, 3)
    matrix = pairwise(measures, distance=sinkhorn_divergence, epsilon=0.5)
    expected = sinkhorn_divergence(measures[0], measures[2], epsilon=0.5)
    assert matrix[0, 2] == matrix[2, 0] == expected
    same = pairwise(measures, metric=lambda x, y: np.abs(x - y).sum())
    np.testing.assert_allclose(same, pairwise(measures, metric="cityblock"), rtol=1e-13)
    lines = [cloud[:, 0] for cloud in measures]
    furthest = pairwise(lines, p=math.inf)
    assert furthest[0, 1] == wasserstein_distance(lines[0], lines[1], p=math.inf)
    highs = pairwise(measures, method="highs")
    np.testing.assert_allclose(highs, pairwise(measures), rtol=1e-9)
    rows, bins = some_histograms()

    def total(x, y, a, b, scale=1):
        return scale * float(np.abs(a - b).sum())

    matrix = pairwise(rows, distance=total, support=bins, scale=2)
    assert matrix[0, 1] == 2 * np.abs(rows[0] - rows[1]).sum()


def test_sums_that_differ_by_rounding_are_balanced():
    rows, bins = some_histograms()
    rows = (rows / rows.sum(axis=1, keepdims=True)).astype(np.float32)
    assert len({math.fsum(row) for row in rows}) > 1
    found = pairwise(rows, support=bins)
    exact = rows.astype(float) / rows.astype(float).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found, pairwise(exact, support=bins), rtol=1e-6)
    listed = [(bins, row) for row in rows]
    np.testing.assert_allclose(pairwise(listed), found, rtol=1e-6)


# ------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    "words, arguments, options",
    [
        (["measures[2]", "3 coordinates", "measures[0]", "2"], "d", {}),
        (["measures[1][0, 0] is nan"], "nan", {}),
        (["measures[1][1][0] is -1.0"], "negative", {}),
        (["measures[1] sums to 2", "measures[0] to 1", "normalize=True"], "mass", {}),
        (["metric 'far' is unknown"], "good", {"metric": "far"}),
        (["p must be >= 1"], "good", {"p": 0.5}),
        (["cannot be called", "reach"], "good", {"reach": 3}),
        (["n_jobs"], "good", {"n_jobs": 0}),
        (["leave other out"], "good", {"condensed": True, "other": [[[0.0, 0.0]]]}),
        (["out", ".npy"], "good", {"out": "matrix.txt"}),
        (["out", "folder"], "good", {"out": "nowhere/matrix.npy"}),
        (["other[0]", "1 coordinates"], "good", {"other": [[1.0]]}),
    ],
)
def test_bad_clouds_are_named(words, arguments, options, monkeypatch):
    good = some_clouds(1, 3)
    measures = {
        "good": good,
        "d": [*good[:2], np.zeros((2, 3))],
        "nan": [good[0], np.array([[math.nan, 0.0]])],
        "negative": [good[0], (np.zeros((2, 2)), [-1.0, 2.0])],
        "mass": [good[0], (np.zeros((2, 2)), [1.0, 1.0])],
    }[arguments]
    monkeypatch.setattr(_pairwise, "_blocks", None)  # before any work
    with pytest.raises(InputError) as caught:
        pairwise(measures, **options)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    "words, rows, options",
    [
        (["measures[1][2] is -1.0"], [[1, 0, 0], [1, 1, -1]], {"support": [0, 1, 2]}),
        (["measures[1][0] is nan"], [[1, 0], [math.nan, 1]], {"support": [0, 1]}),
        (["measures[1] is zero"], [[1, 0], [0, 0]], {"support": [0, 1]}),
        (["measures[1] sums to 2"], [[1, 0], [1, 1]], {"support": [0, 1]}),
        (["(K, 3)", "(2, 2)"], [[1, 0], [0, 1]], {"support": [0, 1, 2]}),
        (["leave one out"], [[1, 0], [0, 1]], {"support": [0, 1], "cost": np.eye(2)}),
        (["symmetric", "other="], [[1, 0], [0, 1]], {"cost": [[0, 1], [2, 0]]}),
        (["symmetric", "zeros"], [[1, 0], [0, 1]], {"cost": [[1, 1], [1, 1]]}),
        (["p=2", "cost=distance**p"], [[1, 0], [0, 1]], {"cost": np.eye(2), "p": 2}),
        (["cost[0, 1] is nan"], [[1, 0], [0, 1]], {"cost": [[0, math.nan], [1, 0]]}),
        (["other[0] sums to 3"], [[1, 0]], {"support": [0, 1], "other": [[1, 2]]}),
        (["support[1] is inf"], [[1, 0]], {"support": [0, math.inf]}),
        (
            ["default distance"],
            [[1, 0], [0, 1]],
            {"cost": np.eye(2), "distance": sinkhorn_divergence},
        ),
    ],
)
def test_bad_histograms_are_named(words, rows, options):
    with pytest.raises(InputError) as caught:
        pairwise(rows, **options)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [
        {"method": "network_simplex"},
        {"method": "highs"},
        {"method": "line"},
        {"method": "nope"},
        {"period": 2.0},
        {"axis": 0},
        {"concave": True},
        {"metric": "cityblock"},
        {"metric": lambda x, y: 1.0},
        {"p": math.inf},
        {"support": [0.0, 1.0, 5.0]},
        {"support": [0.0, 1.0, 5.0], "p": math.inf},
        {"distance": sinkhorn_divergence, "epsilon": 0.1},
    ],
    ids=str,
)
@pytest.mark.parametrize("other", [None, np.eye(3)])
@pytest.mark.parametrize("cost", [1.0 - np.eye(3)])
def test_costs_and_options_of_points_do_not_go_together(options, other, cost):
    """Any further option dropped the costs, and histograms were read as points."""
    with pytest.raises(InputError, match="cost") as caught:
        pairwise(np.eye(3), other, cost=cost, **options)
    assert next(iter(options)) in str(caught.value)


def test_options_at_their_defaults_change_nothing():
    rows, bins = some_histograms()
    rows = rows / rows.sum(axis=1, keepdims=True)
    cost = np.abs(bins[:, None] - bins) ** 2
    usual = {"method": "auto", "period": None, "axis": None, "concave": False}
    for given in ({"cost": cost}, {"cost": cost, "other": rows[:2]}, {"support": bins}):
        assert (pairwise(rows, **given, **usual) == pairwise(rows, **given)).all()
    measures = some_clouds(14, 3)
    assert (pairwise(measures, **usual) == pairwise(measures)).all()


def test_options_go_with_the_bins():
    rows, bins = some_histograms(count=3)
    parts = rows / rows.sum(axis=1, keepdims=True)
    for options in (
        {"p": math.inf},
        {"method": "highs"},
        {"method": "line", "p": 2},
        {"period": 3.0},
        {"concave": True, "p": 0.5},
        {"metric": lambda x, y: float(abs(x - y)[0]), "method": "network_simplex"},
    ):
        single = wasserstein_distance(bins, bins, parts[0], parts[1], **options)
        for other in (None, parts):
            matrix = pairwise(rows, other, support=bins, normalize=True, **options)
            assert matrix[0, 1] == pytest.approx(single, rel=1e-9)


@pytest.mark.parametrize(
    "words, options",
    [
        (["method 'nope' is unknown", "'network_simplex'"], {"method": "nope"}),
        (["method='flow' needs"], {"method": "flow"}),
        (["method='line' needs"], {"method": "line"}),
        (["method='bottleneck' needs"], {"method": "bottleneck"}),
        (["leave axis out"], {"axis": 0}),
        (["positions on the circle"], {"period": 1.0}),
        (["concave=True"], {"concave": True, "p": 0.5}),
        (["reach"], {"reach": 3}),
        (["epsilon"], {"distance": sinkhorn_divergence, "epsilon": -1.0}),
        (["n_projections"], {"distance": otdist.sliced_wasserstein_distance, "n_projections": 0}),
        (["distance"], {"distance": "euclidean"}),
    ],
)
def test_a_mistake_in_the_options_is_no_failure_of_pairs(words, options, monkeypatch):
    """The matrix was NaN, with a warning."""
    monkeypatch.setattr(_pairwise, "_blocks", None)  # before any work
    with pytest.raises(InputError) as caught:
        pairwise(some_clouds(15, 2), **options)
    for word in words:
        assert word in str(caught.value)


def test_checking_options_draws_no_random_numbers():
    x, y = some_clouds(16, 2)
    options = {"distance": otdist.sliced_wasserstein_distance, "n_projections": 3}
    found = pairwise([x, y], rng=np.random.default_rng(0), **options)[0, 1]
    rng = np.random.default_rng(0)
    assert found == otdist.sliced_wasserstein_distance(x, y, n_projections=3, rng=rng)


def test_weights_are_checked_whatever_the_options():
    """Pairs with bad weights were NaN where the distance is called pair by pair."""
    points = [[0.0], [1.0]]
    for weights, words in (([1.0, 1.0], "measures[1] sums to 2"), ([2.0, -1.0], "is -1.0")):
        for options in ({}, {"method": "highs"}, {"p": math.inf}):
            with pytest.raises(InputError) as caught:
                pairwise([points, (points, weights)], **options)
            assert "measures[1]" in str(caught.value)
            assert words in str(caught.value)
            with pytest.raises(InputError, match=r"measures\[1\]"):
                pairwise([[0.5, 0.5], weights], support=points, **options)


def test_histograms_without_bins_are_warned_of():
    rows = [[0.5, 0.5], [0.25, 0.75]]
    with pytest.warns(InputWarning, match="look like histograms"):
        pairwise(rows)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pairwise([[0.5, 0.5], [0.25, 0.9]])


# -------------------------------------------------------------------------- failures


def test_a_pair_that_fails_is_nan_and_the_rest_is_kept():
    measures = some_clouds(2, 5)

    def picky(x, y, a, b):
        if len(x) * len(y) == len(measures[1]) * len(measures[3]):
            raise RuntimeError("not these two")
        return wasserstein_distance(x, y, a, b)

    matrix, failures = with_failures(measures, distance=picky)
    bad = np.isnan(matrix)
    assert (1, 3, "RuntimeError: not these two") in failures
    assert bad.sum() == 2 * len(failures)
    assert (matrix[~bad] == pairwise(measures, distance=wasserstein_distance)[~bad]).all()
    with pytest.warns(InputWarning, match=r"\(1, 3\): RuntimeError: not these two") as caught:
        pairwise(measures, distance=picky)
    assert caught[0].filename == __file__
    copy = pickle.loads(pickle.dumps(caught[0].message))
    assert copy.failures == caught[0].message.failures == failures
    assert str(copy) == str(caught[0].message)


def test_forbidden_arcs_fail_where_no_plan_is_left():
    cost = np.array([[0, 1, math.inf], [1, 0, math.inf], [math.inf, math.inf, 0]])
    rows = np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [0.5, 0.5, 0]])
    matrix, failures = with_failures(rows, cost=cost)
    assert [(i, j) for i, j, _ in failures] == [(0, 2), (1, 2), (2, 3)]
    assert all("InfeasibleError" in reason for *_, reason in failures)
    assert matrix[0, 1] == 1
    assert matrix[0, 3] == matrix[1, 3] == 0.5


def test_what_is_not_proved_is_no_answer(monkeypatch):
    """A pair that neither the block nor `solve` proves is NaN, and says so."""
    honest = _solve_pairs.bracket
    monkeypatch.setattr(
        _solve_pairs, "bracket", lambda *claims: honest(*claims)._replace(is_coupling=False)
    )
    measures = some_clouds(3, 3)
    assert np.isfinite(pairwise(measures)).all()
    monkeypatch.setattr(otdist.Certificate, "proves", lambda certificate, tol: False)
    matrix, failures = with_failures(measures)
    assert np.isnan(matrix[np.triu_indices(3, 1)]).sum() == len(failures) == 3
    assert all("not proved" in reason for *_, reason in failures)


# --------------------------------------------------------------------------- workers


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(knobs.PAIRWISE_BLOCK_ENTRIES, 64)


@pytest.mark.parametrize("n_jobs", [2, -1])
def test_threads_change_nothing(n_jobs, small_blocks):
    measures = some_clouds(4, 8)
    rows, bins = some_histograms()
    for arguments in ({}, {"p": 2}, {"other": measures[:3]}, {"condensed": True}):
        alone = pairwise(measures, n_jobs=1, **arguments)
        assert (pairwise(measures, n_jobs=n_jobs, **arguments) == alone).all()
    alone = pairwise(rows, support=bins, normalize=True)
    both = pairwise(rows, support=bins, normalize=True, n_jobs=n_jobs)
    assert (both == alone).all()


def test_the_backend_of_joblib_is_used(small_blocks):
    measures = some_clouds(5, 6)
    alone = pairwise(measures, n_jobs=1)
    with joblib.parallel_config(backend="threading", n_jobs=2):
        assert (pairwise(measures, n_jobs=None) == alone).all()


@pytest.mark.skipif(JIT_OFF, reason="as with compiled kernels, and slow")
def test_processes_call_other_distances():
    measures = some_clouds(6, 5)

    def where(x, y, a, b):
        return float(os.getpid())

    found = pairwise(measures, distance=where, n_jobs=2, condensed=True)
    assert os.getpid() not in found


def test_joblib_is_needed_for_more_than_one(monkeypatch):
    monkeypatch.setitem(sys.modules, "joblib", None)
    with pytest.raises(InputError, match=r"otdist\[parallel\]"):
        pairwise([[0.0], [1.0]], n_jobs=2)
    monkeypatch.delitem(sys.modules, "joblib")
    assert pairwise([[0.0], [1.0]])[0, 1] == 1


def test_a_progress_bar_shows_the_time_left(capsys, small_blocks):
    measures = some_clouds(7, 6)
    assert (pairwise(measures, progress=True) == pairwise(measures)).all()
    shown = capsys.readouterr().err
    assert "15/15" in shown
    assert "pairs/s" in shown


@pytest.mark.skipif(importlib.util.find_spec("distributed") is None, reason="dask is not installed")
@pytest.mark.filterwarnings("ignore")
def test_a_dask_cluster_survives_the_death_of_a_worker(tmp_path):
    import dask
    from distributed import Client, LocalCluster

    measures = some_clouds(8, 9)
    calls = tmp_path / "calls"

    def slow(x, y, a, b):
        with calls.open("a") as log:
            log.write(f"{os.getpid()}\n")
        time.sleep(0.05)
        return otdist.wasserstein_distance(x, y, a, b)

    def kill(pid):
        while not calls.exists() or str(pid) not in calls.read_text():
            time.sleep(0.02)
        os.kill(pid, signal.SIGKILL)

    timeouts = {"distributed.comm.timeouts.connect": "0.5s"}
    with (
        dask.config.set(timeouts),
        LocalCluster(
            n_workers=2, processes=True, threads_per_worker=1, dashboard_address=None
        ) as cluster,
        Client(cluster) as client,
    ):
        victim = next(iter(client.run(os.getpid).values()))
        killer = threading.Thread(target=kill, args=(victim,))
        killer.start()
        with joblib.parallel_config(backend="dask"):
            matrix = pairwise(measures, distance=slow, n_jobs=None)
            killer.join()
            compiled = pairwise(measures, n_jobs=None)
        assert victim not in client.run(os.getpid).values()
    assert str(victim) in calls.read_text()
    np.testing.assert_allclose(matrix, pairwise(measures), rtol=1e-13)
    assert (compiled == pairwise(measures)).all()


# ------------------------------------------------------------------------------ disk


def blocks_in(record):
    lines = record.read_text().splitlines()
    return [json.loads(line)["block"] for line in lines[1:] if line.endswith("}")]


def test_a_matrix_on_disk_is_the_same(tmp_path, small_blocks):
    measures = some_clouds(9, 7)
    for name, options in (
        ("square", {}),
        ("condensed", {"condensed": True}),
        ("other", {"other": measures[:2]}),
        ("root", {"p": 2}),
    ):
        path = tmp_path / f"{name}.npy"
        found = pairwise(measures, out=path, **options)
        assert (found == pairwise(measures, **options)).all()
        assert (np.load(path) == found).all()
        assert not found.flags.writeable


def test_a_stopped_run_goes_on(tmp_path, monkeypatch, small_blocks):
    """What is done is not done again, with failures too."""
    path, record = tmp_path / "m.npy", tmp_path / "m.npy.checkpoint"
    cost = 1.0 - np.eye(4)
    cost[0, 3] = cost[3, 0] = math.inf
    rows = np.eye(4)[[0, 3, 1, 2, 0, 1]]
    solve_block, starts = _solve_pairs.solve_block, []

    def stopping(pairs, start, stop, *rest):
        starts.append(start)
        if len(starts) == 3:
            raise KeyboardInterrupt
        return solve_block(pairs, start, stop, *rest)

    monkeypatch.setattr(_solve_pairs, "solve_block", stopping)
    stopping.__module__, stopping.__qualname__ = "otdist", "solve_block"
    with pytest.raises(KeyboardInterrupt):
        pairwise(rows, cost=cost, out=path)
    assert blocks_in(record) == [0, 1]
    with record.open("a") as file:
        file.write('{"block": 5, "fail')  # a line that a kill cut short
    found, failures = with_failures(rows, cost=cost, out=path)
    assert len(set(starts)) == len(starts) - 1  # only the block that was stopped
    assert [(i, j) for i, j, _ in failures] == [(0, 1), (1, 4)]
    expected, _ = with_failures(rows, cost=cost)
    np.testing.assert_array_equal(found, expected)
    starts.clear()
    repeated, again = with_failures(rows, cost=cost, out=path)
    np.testing.assert_array_equal(repeated, expected)
    assert starts == []
    assert again == failures


def test_another_call_is_refused(tmp_path):
    path, measures = tmp_path / "m.npy", some_clouds(10, 4)
    pairwise(measures, out=path)
    changed = [measures[0] + 1e-9, *measures[1:]]
    for call in (
        lambda: pairwise(changed, out=path),
        lambda: pairwise(measures, p=2, out=path),
        lambda: pairwise(measures, metric="cityblock", out=path),
        lambda: pairwise(measures, distance=sinkhorn_divergence, epsilon=1, out=path),
    ):
        with pytest.raises(InputError, match=r"another call \(other data or options"):
            call()
    with pytest.raises(InputError, match=r"another call .*shape"):
        pairwise(measures, condensed=True, out=path)
    (tmp_path / "m.npy.checkpoint").unlink()
    with pytest.raises(InputError, match="no record"):
        pairwise(measures, out=path)
    (tmp_path / "k.npy.checkpoint").write_text("")
    pairwise(measures, out=tmp_path / "k.npy")


def test_a_function_is_known_again_by_its_code(tmp_path):
    measures, path = some_clouds(13, 3), tmp_path / "m.npy"

    def scaled(x, y, a, b, by=1.0):
        return by * float(abs(x.mean() - y.mean()))

    found = pairwise(measures, distance=lambda x, y, a, b: 1.0, out=path)
    assert (pairwise(measures, distance=lambda x, y, a, b: 1.0, out=path) == found).all()
    with pytest.raises(InputError, match="another call"):
        pairwise(measures, distance=lambda x, y, a, b: 2.0, out=path)
    other = tmp_path / "n.npy"
    pairwise(measures, distance=scaled, by=2.0, out=other)
    with pytest.raises(InputError, match="another call"):
        pairwise(measures, distance=scaled, by=3.0, out=other)
    metric = tmp_path / "k.npy"
    pairwise(measures, metric=lambda x, y: 1.0, out=metric)
    with pytest.raises(InputError, match="another call"):
        pairwise(measures, metric=lambda x, y: 2.0, out=metric)
    with pytest.raises(InputError, match="can be imported"):
        pairwise(measures, distance=ctypes.CDLL(None).hypot, out=tmp_path / "c.npy")


KILLED = """
import sys, time
sys.path.insert(0, {folder!r})
from slow import measures, slow
from otdist import pairwise
pairwise(measures(), distance=slow, out={out!r}, condensed=True)
"""
SLOW = """
import os, time
import numpy as np
def measures():
    rng = np.random.default_rng(3)
    return [rng.normal(size=(4, 1)) for _ in range(12)]
def slow(x, y, a, b):
    with open({log!r}, "a") as log:
        log.write(f"{{os.getpid()}} {{float(x[0, 0])}} {{float(y[0, 0])}}\\n")
    time.sleep(0.02)
    return float(abs(x.mean() - y.mean()))
"""


def test_a_killed_process_loses_one_block(tmp_path, monkeypatch):
    out, log = tmp_path / "m.npy", tmp_path / "log"
    (tmp_path / "slow.py").write_text(SLOW.format(log=str(log)))
    code = KILLED.format(folder=str(tmp_path), out=str(out))
    record = tmp_path / "m.npy.checkpoint"
    process = subprocess.Popen([sys.executable, "-c", code])
    try:
        limit = time.monotonic() + 60
        while not (record.exists() and len(blocks_in(record)) >= 4):
            assert process.poll() is None, "it ended before it was killed"
            assert time.monotonic() < limit
            time.sleep(0.005)
    finally:
        process.kill()
        process.wait()
    done = len(blocks_in(record))
    first = log.read_text().splitlines()
    monkeypatch.syspath_prepend(str(tmp_path))
    import slow

    log.write_text("")
    found = pairwise(slow.measures(), distance=slow.slow, out=out, condensed=True)
    second = log.read_text().splitlines()
    size = -(-66 // _pairwise._FEWEST_BLOCKS)
    assert len(second) == 66 - done * size  # what was done is not done again
    assert len(first) + len(second) <= 66 + size
    means = np.array([cloud.mean() for cloud in slow.measures()])
    rows, columns = np.triu_indices(12, 1)
    assert (found == np.abs(means[rows] - means[columns])).all()
    sys.modules.pop("slow")


def test_the_lower_triangle_is_the_upper_one(monkeypatch):
    monkeypatch.setattr(knobs.CHECKPOINT_TILE, 3)
    for n in (0, 1, 3, 7):
        whole = np.random.default_rng(n).random((n, n))
        expected = np.triu(whole, 1) + np.triu(whole, 1).T
        matrix = np.triu(whole, 1)
        _checkpoint.mirror(matrix)
        assert (matrix == expected).all()


# ------------------------------------------------------------------------ who takes it


def test_scipy_clusters_a_condensed_matrix():
    from scipy.cluster.hierarchy import fcluster, linkage

    rng = np.random.default_rng(11)
    measures = [rng.normal(size=(6, 2)) + 10 * (k % 3) for k in range(9)]
    tree = linkage(pairwise(measures, condensed=True), "average")
    labels = fcluster(tree, 3, "maxclust")
    assert len({(int(labels[k]), k % 3) for k in range(9)}) == 3


def test_scikit_learn_takes_precomputed_matrices():
    reason = "scikit-learn is not installed"
    neighbors = pytest.importorskip("sklearn.neighbors", reason=reason)
    cluster = pytest.importorskip("sklearn.cluster", reason=reason)
    rng = np.random.default_rng(12)
    measures = [rng.normal(size=(5, 2)) + 10 * (k % 2) for k in range(10)]
    labels = np.arange(10) % 2
    new = [rng.normal(size=(7, 2)), rng.normal(size=(3, 2)) + 10]
    knn = neighbors.KNeighborsClassifier(3, metric="precomputed")
    knn.fit(pairwise(measures), labels)
    assert knn.predict(pairwise(new, measures)).tolist() == [0, 1]
    dbscan = cluster.DBSCAN(eps=4, min_samples=2, metric="precomputed")
    found = dbscan.fit_predict(pairwise(measures))
    assert len({(int(a), int(b)) for a, b in zip(found, labels, strict=True)}) == 2


# ------------------------------------------------------------------ divergences by name

NAMED = {
    "kl": otdist.kl_divergence,
    "js": otdist.js_divergence,
    "js_distance": otdist.js_distance,
    "total_variation": otdist.total_variation,
    "hellinger": otdist.hellinger_distance,
    "chi2": otdist.chi2_divergence,
}
SYMMETRIC = [name for name in NAMED if name not in ("kl", "chi2")]


@pytest.mark.parametrize("name", NAMED)
def test_a_divergence_by_name_is_that_of_each_pair(name):
    p = np.random.default_rng(0).dirichlet(np.ones(9), 7)
    p[2] = p[1] * (1 + 1e-15 * np.arange(9))  # left to NumPy
    p[3] = np.eye(9)[0]
    p[4] = 0.9 * p[5] + 0.1 * p[6]  # JS by terms, that of others by logarithms
    q = np.random.default_rng(1).dirichlet(np.ones(9), 4)
    options = {"normalize": True}
    square = pairwise(p, distance=name, **options)
    assert square.tolist() == [[NAMED[name](a, b, **options) for b in p] for a in p]
    cross = pairwise(p, q.tolist(), distance=name, n_jobs=2, **options)
    assert cross.tolist() == [[NAMED[name](a, b, **options) for b in q] for a in p]
    if name in SYMMETRIC:
        condensed = pairwise(p, distance=name, condensed=True, **options)
        assert condensed.tolist() == square[np.triu_indices(7, 1)].tolist()
    if name in ("kl", "js", "js_distance"):
        bits = pairwise(p, distance=name, base=2, **options)
        assert bits[3, 0] == NAMED[name](p[3], p[0], base=2, **options)


def test_divergences_of_float32_have_its_tolerance():
    p = np.array([[1 / 3] * 3, [np.float32(1 / 3) * np.float32(1 + 1e-6)] * 3], np.float32)
    for name in NAMED:
        assert pairwise(p, distance=name).tolist() == [[0.0, 0.0], [0.0, 0.0]]
        with pytest.raises(InputError, match="measures must sum to 1 within 1e-09"):
            pairwise(p.astype(float), distance=name)


def test_a_divergence_by_name_is_resumed_from_disk(tmp_path, monkeypatch):
    p = np.random.default_rng(0).dirichlet(np.ones(9), 20)
    path = tmp_path / "js.npy"
    matrix = pairwise(p, distance="js", out=path)
    assert matrix.tolist() == pairwise(p, distance="js").tolist()
    monkeypatch.setattr(_pairwise, "between", None)  # nothing is left to do
    assert pairwise(p, distance="js", out=path).tolist() == matrix.tolist()
    with pytest.raises(InputError, match=r"another call|data or options"):
        pairwise(p, distance="hellinger", out=path)


P = np.full((2, 4), 0.25)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"distance": "jsd"}, "distance must be a function or one of kl, js, js_distance, total"),
        ({"distance": "jsd", "other": P}, "distance must be a function or one of kl"),
        ({"distance": "kl", "condensed": True}, "and kl is not; leave condensed out"),
        ({"distance": "js", "metric": "cityblock"}, "metric does not go with distance='js'"),
        ({"distance": "js", "p": 2}, "p does not go with distance='js'"),
        ({"distance": "js", "support": [0, 1, 2, 3]}, "support does not go with distance='js'"),
        ({"distance": "js", "cost": np.eye(4)}, "cost does not go with distance='js'"),
        ({"distance": "js", "alpha": 2}, "alpha does not go with distance='js'"),
        ({"distance": "chi2", "base": 2}, "distance='chi2' has no logarithm; leave base out"),
        ({"distance": "js", "base": 1}, "base must be a finite number above 1"),
        ({"distance": "js", "other": P[:, :3] / 0.75}, "equally many bins, got 4 and 3"),
        ({"distance": "js", "other": P[0]}, r"other must have shape \(K, n\), .* got \(4,\)"),
        ({"distance": "js", "measures": 2 * P}, r"measures must sum to 1 .* index \(0,\)"),
        ({"distance": "js", "measures": -P}, r"measures\[0, 0\] must be nonnegative"),
        ({"distance": "js", "measures": P[:, :0]}, "measures must not be empty"),
        ({"distance": "js", "other": [[1, 0, math.nan, 0]]}, r"other\[0, 2\] is nan"),
    ],
)
def test_bad_calls_of_divergences_by_name_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        pairwise(**{"measures": P, **arguments})
