"""Grids by flows: the L1 and L∞ metrics exactly, Euclidean distances within a part."""

from __future__ import annotations

import math

import numpy as np
import pytest
from checks import assert_brackets, assert_narrow, assert_proved, cost_of
from conftest import JIT_OFF
from hypothesis import given
from hypothesis import strategies as st

from otdist import InputError, Problem, Status, certify, solve
from otdist.certificate.checkers import checker_of
from otdist.geometry.grid_metric import Pixels
from otdist.geometry.lattice import coprime_offsets, detour
from otdist.plans.plans import Flow

METRICS = ("cityblock", "chebyshev")
SIDES = [(5, 4), (1, 6), (4, 1), (1, 1), (2, 3, 4), (3, 1, 1, 2)]
if not JIT_OFF:
    SIDES += [(14, 11), (4, 5, 6)]


def images(sides, seed=0, *, zeros=False):
    rng = np.random.default_rng([seed, *sides])
    A, B = rng.random((2, *sides)) + 0.1
    if zeros:
        A, B = A * (rng.random(sides) < 0.4), B * (rng.random(sides) < 0.4)
        A.flat[0] += 1
        B.flat[-1] += 1
    return A / math.fsum(A.ravel()), B / math.fsum(B.ravel())


def as_matrix(problem):
    """Return the same problem as a matrix of costs."""
    return Problem.from_cost(cost_of(problem), problem.a, problem.b)


# ---------------------------------------------------------------------- L1 and L infinity


@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("sides", SIDES, ids=str)
def test_values_are_those_of_the_matrix(sides, metric, zeros):
    A, B = images(sides, zeros=zeros)
    spacing = 0.3
    if metric == "cityblock":
        spacing = [0.5, 2.0, 0.3, 7.0][: len(sides)]
    problem = Problem.on_grid(A, B, metric=metric, spacing=spacing)
    result = solve(problem)
    assert result.method == "flow"
    assert_proved(result)
    assert isinstance(result.coupling, Flow)
    truth = solve(as_matrix(problem)).value
    assert result.value == pytest.approx(truth, rel=1e-11, abs=1e-15)


def edge_cases(side=6):
    """Images with many ties, or next to nothing on them."""
    one, other = np.zeros((2, side, side))
    one[0, 0] = other[-1, 2] = 1.0
    stripes = np.zeros((side, side))
    stripes[:, ::2] = 1.0
    board = np.indices((side, side)).sum(axis=0) % 2
    flat = np.ones((side, side))
    counts = np.random.default_rng(0).integers(0, 4, (2, side, side))
    yield "pixels", one, other
    yield "equal", flat, flat
    yield "stripes", stripes, stripes[:, ::-1]
    yield "stripes turned", stripes, stripes.T
    yield "board", board, 1 - board
    yield "flat and pixel", flat / flat.sum(), one
    yield "counts", counts[0], counts[0].T
    yield "counts of one sum", *(c / c.sum() for c in counts.astype(float))


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("case", list(edge_cases()), ids=lambda case: case[0])
def test_degenerate_images(case, metric):
    _, A, B = case
    problem = Problem.on_grid(A, B, metric=metric)
    result = solve(problem)
    assert_proved(result)
    truth = solve(as_matrix(problem)).value
    assert result.value == pytest.approx(truth, rel=1e-12, abs=1e-15)


def test_whole_numbers_are_exact():
    counts = np.random.default_rng(3).integers(0, 9, (9, 9)).astype(float)
    for metric in METRICS:
        result = solve(Problem.on_grid(counts, counts[::-1], metric=metric))
        assert_narrow(result, int(result.value), tol=1e-13)
        assert result.value == int(result.value)


def test_rows_of_one_pixel_are_the_line():
    A, B = images((1, 30))
    line = solve(Problem.on_grid(A[0], B[0])).value
    for metric in METRICS:
        assert solve(Problem.on_grid(A, B, metric=metric)).value == pytest.approx(line)


@pytest.mark.parametrize("method", ["network_simplex", "highs"])
@pytest.mark.parametrize("metric", METRICS)
def test_other_methods_agree(metric, method):
    problem = Problem.on_grid(*images((5, 6), zeros=True), metric=metric)
    value = solve(problem, method=method).value
    assert value == pytest.approx(solve(problem).value, rel=1e-9)


@pytest.mark.parametrize("metric", METRICS)
def test_sinkhorn_goes_on_working(metric):
    problem = Problem.on_grid(*images((6, 6)), metric=metric)
    result = solve(problem, method="sinkhorn", epsilon=0.1)
    assert result.success
    assert result.lower <= solve(problem).value <= result.upper


def test_other_costs_go_elsewhere():
    A, B = images((4, 4))
    for options in (
        {"metric": "cityblock", "p": 2},
        {"metric": "chebyshev", "p": 2},
        {"metric": "chebyshev", "spacing": (1, 2)},
        {"metric": "euclidean"},
        {"metric": "euclidean", "p": 2},
    ):
        problem = Problem.on_grid(A, B, **options)
        assert_proved(solve(problem))
        with pytest.raises(InputError, match="method='flow' needs"):
            solve(problem, method="flow")


@given(st.integers(0, 2**32 - 1), st.integers(-200, 200), st.sampled_from(METRICS))
def test_shifts_turns_and_units(seed, k, metric):
    A, B = images((4, 5), seed, zeros=True)
    value = solve(Problem.on_grid(A, B, metric=metric)).value
    scaled = Problem.on_grid(A, B, metric=metric, spacing=2.0**k)
    assert solve(scaled).value == value * 2.0**k
    for C, D in ((B, A), (A.T, B.T), (A[::-1], B[::-1])):
        other = solve(Problem.on_grid(C, D, metric=metric)).value
        assert other == pytest.approx(value, rel=1e-12)
    wide = [np.pad(image, 2) for image in (A, B)]
    framed = solve(Problem.on_grid(*wide, metric=metric))
    assert_proved(framed)
    assert framed.value == pytest.approx(value, rel=1e-12)
    common = np.ones((4, 5))
    more = solve(Problem.on_grid(A + common, B + common, metric=metric)).value
    assert more == pytest.approx(value, rel=1e-10)


def test_gradients_in_the_pixels():
    problem = Problem.on_grid(*images((4, 4)), metric="cityblock")
    found = solve(problem).gradients()
    assert found.x.shape == found.y.shape == (16, 2)
    f, g = solve(problem).potentials
    np.testing.assert_allclose(found.a, f - f.mean(), atol=1e-12)
    np.testing.assert_allclose(found.b, g - g.mean(), atol=1e-12)


# ------------------------------------------------------------------------ within a part


@pytest.mark.parametrize("tol", [None, 0.09, 0.03, 0.005])
@pytest.mark.parametrize("spacing", [1.0, (0.7, 1.3)])
def test_bracket_is_as_narrow_as_promised(tol, spacing):
    for seed, zeros in ((0, False), (1, True)):
        A, B = images((9, 8), seed, zeros=zeros)
        problem = Problem.on_grid(A, B, spacing=spacing)
        result = solve(problem, method="coprime", tol=tol)
        assert result.status is Status.CONVERGED
        assert "within tol" in result.message
        assert result.relative_gap <= (0.013 if tol is None else tol)
        truth = solve(as_matrix(problem)).value
        assert_brackets(result, truth)
        f, g = result.potentials
        assert (f[:, None] + g - cost_of(problem)).max() <= 1e-14 * f.max()
        again = certify(problem, result.plan, f, g)
        assert_brackets(again, truth)
        assert again.upper <= result.upper * (1 + 1e-12)


def test_detours_are_those_of_the_literature():
    for reach, percent in ((1, 8.24), (2, 2.75), (3, 1.31), (10, 0.124)):
        assert 100 * (detour(reach, (1, 1)) - 1) == pytest.approx(percent, abs=0.005)
    assert len(coprime_offsets(1)) == 4
    assert len(coprime_offsets(3)) == 16


def test_one_direction_is_exact():
    A, B = np.zeros((2, 9, 9))
    A[0, 0] = B[8, 4] = 1.0
    result = solve(Problem.on_grid(A, B), method="coprime")
    assert result.value == pytest.approx(math.hypot(8, 4), rel=1e-15)
    equal = solve(Problem.on_grid(A, A), method="coprime")
    assert equal.status is Status.OPTIMAL
    assert equal.value == 0


def test_bracket_wider_than_promised_is_no_success(monkeypatch):
    from otdist.solvers.flow import solver

    monkeypatch.setattr(solver, "_reach", lambda spacing, tol: 1)
    problem = Problem.on_grid(*images((6, 6)))
    result = solve(problem, method="coprime", tol=0.01)
    assert (result.status, result.success) == (Status.NOT_PROVED, False)
    assert solve(problem, method="coprime", tol=0.08).status is Status.CONVERGED


def test_what_coprime_does_not_take():
    A, B = images((3, 3, 2))
    for problem in (
        Problem.on_grid(A, B),
        Problem.on_grid(A[0], B[0], normalize=True, metric="cityblock"),
        Problem.on_grid(A[0], B[0], normalize=True, p=2),
        Problem.on_grid(A[0, 0], B[0, 0], normalize=True),
        Problem([[0.0, 1]], [[1.0, 1]]),
    ):
        with pytest.raises(InputError, match="method='coprime' needs"):
            solve(problem, method="coprime")
    with pytest.raises(InputError, match="promise no tol below"):
        solve(Problem.on_grid(A[0], A[0]), method="coprime", tol=1e-5)


# --------------------------------------------------------------------- the certificate


@pytest.mark.parametrize("metric", ["euclidean", *METRICS])
@pytest.mark.parametrize("sides", [(4, 5), (1, 6), (2, 3, 2)], ids=str)
def test_steepness_is_never_too_small(sides, metric):
    spacing = 1.5 if metric == "chebyshev" else [0.5, 2.0, 1.0][: len(sides)]
    problem = Problem.on_grid(*images(sides), metric=metric, spacing=spacing)
    cost = cost_of(problem)
    rng = np.random.default_rng(0)
    functions = [rng.random(len(cost)), cost[1].copy()]
    functions += [np.arange(len(cost)) * 1.0, np.zeros(len(cost))]
    if len(sides) == 2 and metric == "euclidean":
        # By steps along the axes and diagonals: these alone do not show how steep it is.
        i, j = np.indices(sides).reshape(2, -1)
        both = np.minimum(i, j)
        straight = (i - both) * spacing[0] + (j - both) * spacing[1]
        functions.append(both * math.hypot(*spacing) + straight)
    np.fill_diagonal(cost, np.inf)
    for f in functions:
        truth = float((np.abs(f[:, None] - f) / cost).max())
        found = checker_of(problem.geometry).steepness(f)
        assert found >= truth * (1 - 1e-14)
        if metric != "euclidean":
            assert found == pytest.approx(truth, rel=1e-13)
        elif len(sides) == 2:
            assert found <= 1.09 * truth or max(spacing) != min(spacing)
    assert checker_of(problem.geometry).steepness(np.full(len(cost), np.nan)) == math.inf


def test_steepness_where_neighbours_do_not_tell():
    A, B = images((3, 4))
    f = np.zeros(12)
    for options in (
        {"metric": "cityblock", "p": 2},
        {"metric": "chebyshev", "spacing": (1, 2)},
    ):
        problem = Problem.on_grid(A, B, **options)
        assert checker_of(problem.geometry).steepness(f) == math.inf


@pytest.mark.parametrize("metric", ["euclidean", *METRICS])
def test_planted_errors_are_found_out(metric):
    problem = Problem.on_grid(*images((6, 6)), metric=metric)
    assert metric == "cityblock" or isinstance(problem.geometry, Pixels)
    method = "coprime" if metric == "euclidean" else "flow"
    result = solve(problem, method=method)
    truth = solve(as_matrix(problem)).value
    flow, f = result.coupling, result.potentials[0]
    assert_brackets(certify(problem, flow, 2 * f, -2 * f), truth)
    for bent in (-f, np.roll(f, 1), f + 1e-3 * (np.arange(36) % 7)):
        certificate = certify(problem, flow, bent, -bent)
        assert_brackets(certificate, truth)
        assert not certificate.proves(1e-9)
    lost = Flow(flow.tails[1:], flow.heads[1:], flow.units[1:], flow.unit, 36)
    certificate = certify(problem, lost, f)
    assert certificate.marginal_error > 0
    assert_brackets(certificate, truth)


@pytest.mark.skipif(JIT_OFF, reason="many pivots")
@pytest.mark.parametrize("metric", METRICS)
def test_larger_images(metric):
    A, B = images((64, 48))
    problem = Problem.on_grid(A, B, metric=metric)
    result = solve(problem)
    assert result.status is Status.OPTIMAL
    assert result.relative_gap <= 1e-12
    again = certify(problem, result.plan, *result.potentials)
    assert again.proves(1e-9)
