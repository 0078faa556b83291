"""Exact W1 and W2 of images: the route of pixels against points, HiGHS, closed forms."""

from __future__ import annotations

import math
import tracemalloc

import knobs
import numpy as np
import oracles
import pytest
from checks import assert_agrees_with_highs, assert_brackets, assert_proved, cost_of
from conftest import JIT_OFF
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from otdist import Problem, Status, certify, solve
from otdist.certificate.checkers import PixelsChecker, minimum_near, norm_of
from otdist.geometry.grid_metric import Pixels, pixels_of
from otdist.geometry.grid_separable import Grid
from otdist.geometry.points import Points
from otdist.solvers.network_simplex import column_generation as columns
from otdist.solvers.network_simplex import pooled_images as pooling
from otdist.solvers.network_simplex import solver
from otdist.solvers.registry import Options

EPS = float(np.finfo(float).eps)
METRICS = ("euclidean", "chebyshev")
SIDES = [(1, 1), (1, 7), (5, 1), (3, 4), (6, 5), (2, 3, 4), (1, 3, 1, 2)]
SIDE = 8 if JIT_OFF else 20


@pytest.fixture(params=["small", "large"])
def size(request, monkeypatch):
    """Take small problems as they are, or as large ones are taken."""
    if request.param == "large":
        monkeypatch.setattr(knobs.POOLING_SMALL, 0)
        monkeypatch.setattr(knobs.POOLING_ALL_PAIRS, 0)
        monkeypatch.setattr(knobs.POOLING_COARSEST, 4)
        monkeypatch.setattr(knobs.SIMPLEX_SMALL, 0)
        monkeypatch.setattr(knobs.COLUMNS_ROW_WIDTH, 3)
        monkeypatch.setattr(knobs.COLUMNS_COLUMN_WIDTH, 2)
    else:
        monkeypatch.setattr(knobs.POOLING_COARSEST, 4)
    return request.param


@st.composite
def pairs(draw, sides=SIDES):
    """Two images of one sum: counts with many ties and zeros, or any numbers."""
    shape = draw(st.sampled_from(sides))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    if draw(st.booleans()):
        total = draw(st.integers(1, 40))
        size = math.prod(shape)
        A, B = (
            np.bincount(rng.integers(0, size, total), minlength=size).astype(float)
            for _ in range(2)
        )
    else:
        A, B = rng.random((2, *shape)) * (rng.random((2, *shape)) < 0.7) + 1e-3
        A, B = A / math.fsum(A.ravel()), B / math.fsum(B.ravel())
    return A.reshape(shape), B.reshape(shape)


def noise(side, seed=0, d=2):
    rng = np.random.default_rng([seed, side])
    A, B = rng.random((2, *(side,) * d))
    return A / math.fsum(A.ravel()), B / math.fsum(B.ravel())


def blobs(side):
    """Two smooth images, whose mass moves far."""
    x, y = np.meshgrid(*[np.linspace(-1, 1, side)] * 2, indexing="ij")
    A = np.exp(-20 * ((x + 0.3) ** 2 + (y + 0.2) ** 2))
    B = np.exp(-15 * ((x - 0.3) ** 2 + y**2)) + 0.5 * np.exp(-40 * (x**2 + y**2))
    return A / A.sum(), B / B.sum()


def discs(side):
    """A disc and a ring, 0 elsewhere, of one grey each: as many ties as there can be."""
    x, y = np.meshgrid(*[np.linspace(-1, 1, side)] * 2, indexing="ij")
    r = np.hypot(x, y)
    A, B = (r < 0.5).astype(float), ((r > 0.4) & (r < 0.9)).astype(float)
    return A * B.sum(), B * A.sum()


IMAGES = {"noise": noise, "blobs": blobs, "discs": discs}


def as_points(A, B, spacing=1.0, **options):
    """Return the problem on the points that the pixels are, made here from scratch."""
    x = np.argwhere(np.ones(A.shape)) * spacing
    return Problem(x, x, A.ravel(), B.ravel(), **options)


def same(value, rel=1e-12):
    return pytest.approx(value, rel=rel, abs=1e-15)


# --------------------------------------------------------------------------- the route


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("sides", SIDES, ids=str)
def test_the_geometry_is_that_of_the_points(sides, metric):
    rng = np.random.default_rng(sides)
    A, B = rng.integers(1, 9, (2, *sides))
    spacing = [0.5, 2.0, 3.0, 1.0][: len(sides)]
    problem = Problem.on_grid(A, B, spacing=spacing, metric=metric, normalize=True)
    points = as_points(A, B, spacing, metric=metric, normalize=True).geometry
    grid = problem.geometry
    assert isinstance(grid, Pixels)
    assert (grid.x == points.x).all()
    assert grid.x is grid.y
    assert grid.largest == points.largest
    assert (grid.dense() == points.dense()).all()
    assert not any(array.flags.writeable for array in (grid.x, *grid.axes))
    assert [len(axis) for axis in grid.axes] == list(sides)
    assert type(grid.restrict(np.arange(1), np.arange(1))) is Points


@given(pairs(), st.sampled_from(METRICS))
def test_random_images_are_solved_exactly(images, metric):
    problem = Problem.on_grid(*images, metric=metric)
    result = solve(problem)
    assert_proved(result)
    assert_agrees_with_highs(assert_proved(result), problem)


@given(pairs(), st.sampled_from(METRICS))
def test_large_problems_take_their_own_way(images, metric):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(knobs.POOLING_SMALL, 0)
        patch.setattr(knobs.POOLING_ALL_PAIRS, 0)
        patch.setattr(knobs.POOLING_COARSEST, 2)
        patch.setattr(knobs.SIMPLEX_SMALL, 0)
        result = solve(Problem.on_grid(*images, metric=metric))
    assert_proved(result)
    assert result.value == same(solve(as_points(*images, metric=metric)).value)


@pytest.mark.parametrize("family", IMAGES)
def test_images_have_the_value_of_their_points(family, size):
    A, B = IMAGES[family](SIDE)
    problem = Problem.on_grid(A, B)
    result = solve(problem)
    assert_proved(result)
    assert result.method == "network_simplex"
    assert result.value == same(solve(as_points(A, B)).value)
    f, g = result.potentials
    assert (f == -g).all(), "W1 has one potential, of slope 1"
    slopes = np.abs(np.subtract.outer(f, f)) - cost_of(problem)
    assert slopes.max() <= 8 * EPS * problem.geometry.largest


@pytest.mark.skipif(JIT_OFF, reason="takes long")
@pytest.mark.parametrize("family", IMAGES)
@pytest.mark.parametrize("metric", METRICS)
def test_pot_agrees(family, metric):
    pytest.importorskip("ot")
    A, B = IMAGES[family](16)
    A, B = A / A.sum(), B / B.sum()
    problem = Problem.on_grid(A, B, metric=metric)
    value = assert_proved(solve(problem))
    assert value == same(oracles.by_pot(cost_of(problem), problem.a, problem.b), 1e-9)


@pytest.mark.parametrize("sides", [(3, 4, 5), (2, 1, 6)] + [(8, 8, 8)] * (not JIT_OFF))
def test_volumes(sides, size):
    rng = np.random.default_rng(sides)
    A, B = rng.random((2, *sides))
    problem = Problem.on_grid(A, B, spacing=(1.0, 0.7, 2.0), normalize=True)
    result = solve(problem)
    assert_proved(result)
    points = as_points(A, B, (1.0, 0.7, 2.0), normalize=True)
    assert result.value == same(solve(points).value)


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_volume_of_many_pixels(jobs):
    A, B = noise(4 if JIT_OFF else 11, d=3)
    result = solve(Problem.on_grid(A, B), n_jobs=jobs)
    assert_proved(result)


# --------------------------------------------------------------------- closed forms


@given(st.integers(0, 3), st.integers(0, 3), st.integers(0, 2**32 - 1))
def test_an_image_that_moves_pays_the_way(down, right, seed):
    rng = np.random.default_rng(seed)
    A, B = np.zeros((2, 9, 9))
    A[:5, :5] = rng.integers(0, 4, (5, 5))
    A[2, 2] += 1
    B[down : down + 5, right : right + 5] = A[:5, :5]
    for p, way in ((1, math.hypot(down, right)), (2, down**2 + right**2)):
        result = solve(Problem.on_grid(A, B, p=p))
        assert_proved(result)
        assert result.value == same(way * A.sum())


def test_one_spot_becomes_many():
    A, B = np.zeros((2, 7, 7))
    A[3, 3] = 1.0
    B[:] = 1 / 49
    result = solve(Problem.on_grid(A, B))
    assert_proved(result)
    rows, columns = np.indices((7, 7)) - 3
    assert result.value == same(np.hypot(rows, columns).mean())


# ------------------------------------------------------------------------ degenerate


def _checkerboard(side):
    return (np.indices((side, side)).sum(0) % 2).astype(float)


def _bordered(image):
    return np.pad(image, 2)


DEGENERATE = {
    "one pixel": (np.ones((1, 1)), np.ones((1, 1))),
    "two pixels": (np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])),
    "constant": (np.full((6, 6), 2.0), np.full((6, 6), 2.0)),
    "checkerboards": (_checkerboard(8), 1 - _checkerboard(8)),
    "a checkerboard and a constant": (_checkerboard(8), np.full((8, 8), 0.5)),
    "empty rows": (np.diag([1.0, 0, 0, 2, 0]), np.diag([0, 0, 3.0, 0, 0])),
    "a border of zeros": (_bordered(np.eye(4)), _bordered(np.eye(4)[::-1])),
    "one row": (np.array([[3.0, 0, 0, 1]]), np.array([[0, 1.0, 1, 2]])),
    "one spot": (np.eye(5) * [0, 0, 4, 0, 0], np.full((5, 5), 0.16)),
    "disjoint halves": (np.repeat([[1.0], [0]], 6, 1), np.repeat([[0.0], [1]], 6, 1)),
}


@pytest.mark.parametrize("name", DEGENERATE)
def test_degenerate_images(name, size):
    A, B = DEGENERATE[name]
    problem = Problem.on_grid(A, B)
    result = solve(problem)
    assert_proved(result)
    assert_agrees_with_highs(assert_proved(result), problem)


def test_equal_images_cost_nothing():
    A, _ = noise(SIDE)
    result = solve(Problem.on_grid(A, A))
    assert_proved(result)
    assert result.value == result.lower == 0
    assert (result.plan.row == result.plan.col).all()
    assert all((potential == 0).all() for potential in result.potentials)


@pytest.mark.parametrize("border", [0, 1])
@pytest.mark.parametrize("part", [1e-6, 1e-9, 1e-10, 1e-13])
def test_nearly_equal_images(part, border):
    """So little is left that it may be less than what sums round."""
    A, _ = noise(6)
    A = np.pad(A, ((0, border), (0, border)))
    B = A.copy()
    B[0, 0] -= part * A[0, 0]
    B[5, 5] += part * A[0, 0]
    problem = Problem.on_grid(A, B)
    rest = solver.cancel(problem).problem
    assert min(rest.a.min(), rest.b.min()) > 0
    result = solve(problem)
    assert_proved(result, as_exact_as_input=True)
    wanted = part * A[0, 0] * math.hypot(5, 5)
    assert abs(result.value - wanted) <= 1e-9 * wanted + 64 * EPS


@pytest.mark.parametrize("exponent", [-200, 30, 200])
def test_units_change_the_exponent_only(exponent):
    A, B = discs(SIDE)
    unit = 2.0**exponent
    result = solve(Problem.on_grid(A, B))
    for other in (
        solve(Problem.on_grid(A * unit, B * unit)),
        solve(Problem.on_grid(A, B, spacing=unit)),
    ):
        assert_proved(other)
        assert other.value == result.value * unit


@given(pairs([(4, 5), (6, 3)]))
def test_symmetries_keep_the_value(images):
    A, B = images
    value = solve(Problem.on_grid(A, B)).value
    turned = [(B, A), (A[::-1], B[::-1]), (A.T, B.T), (A[:, ::-1], B[:, ::-1])]
    padded = [np.pad(image, ((1, 2), (0, 3))) for image in images]
    # Common mass changes nothing, but for the rounding of its sums.
    for first, second in (*turned, padded, (A + 0.25, B + 0.25)):
        other = solve(Problem.on_grid(first, second))
        assert_proved(other)
        assert other.value == pytest.approx(value, rel=1e-10, abs=1e-13 * A.sum())


# --------------------------------------------------------------------------- options


def test_limits_leave_a_bracket(size):
    A, B = blobs(SIDE)
    truth = solve(Problem.on_grid(A, B)).value
    for options in ({"max_iter": 0}, {"max_iter": 20}, {"time_limit": 0.0}):
        result = solve(Problem.on_grid(A, B), **options)
        assert_brackets(result, truth)
        if options != {"time_limit": 0.0} or size == "large":
            assert result.status in (next(iter(options)), Status.OPTIMAL)


def test_a_warm_start_is_taken(size):
    A, B = noise(SIDE)
    first = solve(Problem.on_grid(A, B))
    again = solve(Problem.on_grid(A, B), warm_start=first)
    assert_proved(again)
    assert again.value == same(first.value)
    wild = np.full(A.size, 1e3)
    assert solve(Problem.on_grid(A, B), warm_start=(wild, -wild)).value == same(first.value)


@pytest.mark.parametrize("method", ["network_simplex", "highs"])
def test_other_methods_agree(method):
    A, B = noise(6)
    result = solve(Problem.on_grid(A, B), method=method)
    assert_proved(result)
    assert result.value == same(solve(as_points(A, B)).value, 1e-9)


def test_sinkhorn_still_takes_images():
    A, B = discs(7)
    problem = Problem.on_grid(A, B)
    assert_brackets(solve(problem, method="sinkhorn"), solve(problem).value)


@pytest.mark.parametrize("metric, p", [("euclidean", 1.5), ("chebyshev", 3)])
def test_other_powers_are_points(metric, p):
    A, B = noise(5)
    problem = Problem.on_grid(A, B, metric=metric, p=p)
    assert type(problem.geometry) is Points
    assert_agrees_with_highs(assert_proved(solve(problem)), problem)


@given(pairs([(4, 4), (2, 3, 2)]))
def test_squared_costs_on_images(images):
    problem = Problem.on_grid(*images, p=2)
    assert isinstance(problem.geometry, Grid)
    result = solve(problem)
    assert_proved(result)
    assert_agrees_with_highs(result.value, problem)


def test_memory_is_that_of_the_pixels():
    A, B = noise(8 if JIT_OFF else 64)
    problem = Problem.on_grid(A, B)
    solve(Problem.on_grid(*noise(8)))
    tracemalloc.start()
    solve(problem)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1e6 + 4000 * A.size


# ------------------------------------------------------------------------ its parts


@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 2**32 - 1))
def test_the_compiled_transform_has_a_twin(n, m, seed):
    rng = np.random.default_rng(seed)
    x, y, f = rng.random((n, 2)), rng.random((m, 2)), rng.normal(size=n)
    sources = pooling.Sources(x, f)
    like = Points(x, y, "euclidean", 1.0, 2.0)
    wanted = (cdist(x, y) - f[:, None]).min(axis=0)
    for most in (0, 2**62):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(knobs.POOLING_ALL_PAIRS, most)
            assert pooling.least_from(sources, y, like) == pytest.approx(
                wanted, rel=1e-12, abs=1e-14
            )


@pytest.mark.parametrize("sides", [(9, 12), (16, 16), (1, 130), (5, 5, 5)], ids=str)
def test_pooling_keeps_mass_and_centres(sides):
    rng = np.random.default_rng(sides)
    net = rng.normal(size=math.prod(sides))
    grid = Problem.on_grid(
        np.ones(sides), np.ones(sides), spacing=(0.5, 2, 1)[: len(sides)]
    ).geometry
    images = pooling._pooled_images(grid.axes, net)
    fine = (grid.x, net)
    for axes, masses in reversed(images):
        points = pixels_of(axes)
        assert len(points) == len(masses) < len(fine[1])
        assert masses.sum() == pytest.approx(net.sum(), rel=1e-12, abs=1e-12)
        # Every pixel is in the block whose centre is the nearest.
        home = cdist(fine[0], points).argmin(axis=1)
        assert np.bincount(home, fine[1], len(points)) == pytest.approx(masses)
        for k in range(len(sides)):
            middle = np.bincount(home, fine[0][:, k]) / np.bincount(home)
            assert middle == pytest.approx(points[:, k])
        fine = (points, masses)
    assert len(fine[1]) <= pooling._COARSEST


def test_starts_are_centred():
    """White noise of 256 by 256 was searched twice, since a constant hid its digits."""
    A, B = noise(8 if JIT_OFF else 40)
    for p in (1.0, 2.0):
        problem = Problem.on_grid(A, B, p=p).support()[0]
        x, a, b = problem.geometry.x, problem.a, problem.b
        options = Options()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(knobs.COARSEST, 8)
            points = Points(x + 100.0, x + 100.0, "euclidean", p, 1e4)
            g = columns.potentials(points, a, b, options)
        assert abs(g.mean()) <= 1e-12 * p * np.abs(g).max()
        assert np.abs(g).max() > 0


def test_blocks_of_flat_pixels_become_square():
    axes = (np.arange(64) * 100.0, np.arange(64) * 1.0)
    images = pooling._pooled_images(axes, np.ones(64 * 64))
    shapes = [tuple(map(len, axes)) for axes, _ in reversed(images)]
    assert shapes == [(64, 32), (64, 16), (64, 8), (64, 4), (64, 2), (64, 1)]
    _, *coarser = reversed(pooling._pooled_images((axes[0], axes[1] * 20), np.ones(64**2)))
    assert [tuple(map(len, axes)) for axes, _ in coarser][:2] == [(64, 16), (32, 8)]


def test_what_pixels_have_in_common_stays():
    A, B = noise(6)
    problem = Problem.on_grid(A, B)
    rest = solver.cancel(problem)
    i, j, mass = rest.kept
    assert (i == j).all()
    assert (mass == np.minimum(problem.a, problem.b)[i]).all()
    assert set(rest.rows) == set(np.flatnonzero(problem.a > problem.b))
    assert set(rest.columns) == set(np.flatnonzero(problem.a < problem.b))
    assert (rest.problem.a == (problem.a - problem.b)[rest.rows]).all()


# -------------------------------------------------------------------- the certificate


@given(pairs(), st.integers(0, 2**32 - 1), st.sampled_from(METRICS))
def test_any_potentials_give_a_valid_and_no_worse_bound(images, seed, metric):
    rng = np.random.default_rng(seed)
    problem = Problem.on_grid(*images, metric=metric)
    optimal = solve(problem)
    on_points = Problem(problem.geometry.x, problem.geometry.x, problem.a, problem.b, metric=metric)
    n = len(problem.a)
    # Old and new bound take the better one of what f and g prove.
    noisy = optimal.potentials[0] + 0.1 * rng.normal(size=n)
    for f, g in (
        (rng.normal(size=n), rng.normal(size=n)),
        (noisy, -noisy),
        (noisy, None),
        (np.zeros(n), np.zeros(n)),
        (optimal.potentials[0] + 1e3, optimal.potentials[1] - 1e3),
    ):
        proof = certify(problem, optimal.plan, f, g)
        assert_brackets(proof, optimal.value)
        other = certify(on_points, optimal.plan, f, g)
        # Both are rounded down, each by some units in the last place of its potentials.
        size = problem.geometry.largest + float(np.abs(f).max())
        assert proof.lower >= other.lower - 256 * EPS * size * problem.mass
        assert abs(proof.dual_violation - other.dual_violation) <= 64 * EPS * (
            problem.geometry.largest + float(np.abs(f).max())
        )


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("off", [0.0, 0.3, -0.3])
def test_claims_only_save_time(metric, off):
    """Right, too high or too low, at some places or at all: the minima are the same."""
    rng = np.random.default_rng(3)
    x, y, f = rng.random((40, 2)), rng.random((300, 2)), rng.normal(size=40)
    points = Points(x, y, metric, 1.0, 2.0)
    wanted = points.column_minimum(f)
    for some in (rng.random(300) < 0.5, np.ones(300, bool)):
        claimed = wanted + off * some
        found = minimum_near(points, norm_of(metric), f, claimed, 1)
        assert found == pytest.approx(wanted, rel=1e-14, abs=1e-14)


def test_a_lie_about_one_pixel_is_seen():
    A, B = noise(SIDE)
    problem = Problem.on_grid(A, B)
    result = solve(problem)
    f, g = (potential.copy() for potential in result.potentials)
    for k in (0, 17, len(f) - 1):
        raised = g.copy()
        raised[k] += 0.5
        proof = certify(problem, result.coupling, f, raised)
        assert proof.dual_violation == pytest.approx(0.5, rel=1e-9)
        assert_brackets(proof, result.value)
        checker = PixelsChecker(problem.geometry)
        h = checker.slope_one(problem, f, raised, 1)
        assert checker.violation_of(f, raised, h, 1) == pytest.approx(0.5, rel=1e-9)


def test_the_function_of_slope_one_is_feasible():
    A, B = discs(9)
    problem = Problem.on_grid(A, B)
    cost = cost_of(problem)
    rng = np.random.default_rng(0)
    for _ in range(10):
        f, g = rng.normal(size=(2, len(problem.a)))
        for given_g in (g, None):
            h = PixelsChecker(problem.geometry).slope_one(problem, f, given_g, 1)
            assert (np.abs(np.subtract.outer(h, h)) - cost).max() <= 16 * EPS * 30
