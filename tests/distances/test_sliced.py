"""Sliced distances: closed forms, POT, coverage of the standard error, invariance."""

from __future__ import annotations

import math

import knobs
import numpy as np
import oracles
import pytest
import strategies
from conftest import JIT_OFF
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import t as student

from otdist import (
    InputError,
    NotCertifiedError,
    sliced_wasserstein_distance,
    wasserstein_distance,
)
from otdist.batch import line
from otdist.sliced import max_sliced_wasserstein_distance, sliced_wasserstein_estimate
from otdist.sliced import projections as sliced
from otdist.sliced.directions import blocks_of, on_sphere

MODES = ("orthogonal", "random", "quasi")
INF = math.inf


def dirac_pair(d):
    """Return two atoms, 1.5 apart."""
    h = np.zeros(d)
    h[0] = 1.5
    return np.zeros((1, d)), h[None]


def truth_of_translation(d, p):
    """Return SW_p of a translation by 1: the p-th moment of a coordinate of u."""
    moment = math.gamma((p + 1) / 2) * math.gamma(d / 2)
    moment /= math.sqrt(math.pi) * math.gamma((d + p) / 2)
    return moment ** (1 / p)


# -------------------------------------------------------------------- closed forms


def test_the_moments_are_those_published():
    for d in (2, 3, 10):
        assert truth_of_translation(d, 2) == pytest.approx(1 / math.sqrt(d))
        first = math.gamma(d / 2) / (math.sqrt(math.pi) * math.gamma((d + 1) / 2))
        assert truth_of_translation(d, 1) == pytest.approx(first)


@pytest.mark.parametrize("d", [2, 3, 7])
def test_whole_frames_see_all_of_a_translation(d):
    rng = np.random.default_rng(d)
    x, h, a = rng.standard_normal((20, d)), rng.standard_normal(d), rng.random(20)
    value = sliced_wasserstein_distance(
        x, x + h, a / a.sum(), a / a.sum(), p=2, n_projections=16 * d, rng=1
    )
    truth = np.linalg.norm(h) / math.sqrt(d)
    assert value == pytest.approx(truth, rel=1e-14)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("d, p", [(2, 1), (3, 1), (3, 2), (6, 3)])
def test_translations(mode, d, p):
    x, y = dirac_pair(d)
    options = {"p": p, "n_projections": 2048, "directions": mode, "rng": d}
    value, error = sliced_wasserstein_estimate(x, y, **options)
    assert sliced_wasserstein_distance(x, y, **options) == value
    truth = 1.5 * truth_of_translation(d, p)
    assert abs(value - truth) <= 5 * error + 1e-14
    assert error <= 0.05 * truth
    if mode == "quasi" and d == 2:
        assert abs(value - truth) <= 1e-4


def test_even_angles_in_the_plane():
    """Of 1024 angles a smooth function of theirs is known to many digits."""
    x, y = dirac_pair(2)
    value = sliced_wasserstein_distance(x, y, p=2, n_projections=1024, directions="quasi", rng=0)
    assert value == pytest.approx(1.5 / math.sqrt(2), rel=1e-4)


@pytest.mark.parametrize("p", [1, 1.5, 2])
def test_on_the_line_it_is_the_distance(p):
    rng = np.random.default_rng(3)
    x, y, a = rng.random(9), rng.random(7), rng.random(9)
    options = {"p": p, "normalize": True}
    exact = wasserstein_distance(x, y, a, **options)
    value = sliced_wasserstein_distance(x, y, a, **options)
    assert value == pytest.approx(exact, rel=1e-14)
    assert sliced_wasserstein_estimate(x, y, a, **options) == (value, 0.0)
    found = max_sliced_wasserstein_distance(x, y, a, **options)
    assert found.value == found.upper == value
    assert found.direction.tolist() == [1.0]


# --------------------------------------------------------------------- directions


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("d", [2, 3, 4, 30])
def test_directions_are_uniform_on_the_sphere(mode, d):
    rng = np.random.default_rng(d)
    blocks = blocks_of(64 * d, d, mode, rng)
    u = np.concatenate(blocks)
    assert u.shape == (64 * d, d)
    assert np.linalg.norm(u, axis=1) == pytest.approx(np.ones(64 * d), rel=1e-14)
    n = len(u)
    assert u.T @ u / n == pytest.approx(np.eye(d) / d, abs=5 / math.sqrt(n * d))
    fourth = 3 / (d * (d + 2))
    assert (u**4).mean(axis=0) == pytest.approx(
        np.full(d, fourth), abs=5 * math.sqrt(105 / n) / d**2
    )
    if mode == "orthogonal":
        for block in blocks:
            assert block @ block.T == pytest.approx(np.eye(len(block)), abs=1e-14)


@pytest.mark.parametrize("n", [1, 2, 3, 15, 16, 100])
def test_blocks_have_all_directions(n):
    for mode in MODES:
        blocks = blocks_of(n, 5, mode, np.random.default_rng(0))
        assert sum(map(len, blocks)) == n
        assert len(blocks) >= min(8, n // 2)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("p", [1, 2])
def test_the_standard_error_covers(mode, p):
    """Of 95 % intervals some 95 % hold the truth, whatever the directions."""
    d, repeats = 4, 100
    x, y = dirac_pair(d)
    n = 32 if mode == "random" else 128
    n_blocks = {"random": n, "orthogonal": n // d, "quasi": 8}[mode]
    if (mode, p) == ("orthogonal", 2):
        # Whole frames have no error here: eight blocks of four vectors in five.
        d, n, n_blocks = 5, 32, 8
        x, y = dirac_pair(d)
    width, truth = student.ppf(0.975, n_blocks - 1), 1.5 * truth_of_translation(d, p)
    covered = 0
    for seed in range(repeats):
        value, error = sliced_wasserstein_estimate(
            x, y, p=p, n_projections=n, directions=mode, rng=seed
        )
        covered += abs(value - truth) <= width * error
    assert 0.87 <= covered / repeats <= 0.995


def test_the_error_of_equal_blocks_is_that_of_their_means():
    values = np.random.default_rng(0).random(24)
    means = values.reshape(6, 4).mean(axis=1)
    error = sliced._error_of_mean(values, [4] * 6)
    assert math.isnan(sliced._error_of_mean(values, [24]))
    assert error == pytest.approx(means.std(ddof=1) / math.sqrt(6), rel=1e-14)


# -------------------------------------------------------------------- second opinion


@pytest.mark.parametrize("p", [1, 2])
def test_the_same_directions_beside_pot(p):
    ot = pytest.importorskip("ot")
    rng = np.random.default_rng(p)
    x, y = rng.standard_normal((30, 4)), rng.standard_normal((25, 4)) + 1
    a, b = rng.random(30), rng.random(25)
    a, b = a / a.sum(), b / b.sum()
    value = sliced_wasserstein_distance(
        x, y, a, b, p=p, n_projections=40, directions="random", rng=9
    )
    u = np.concatenate(blocks_of(40, 4, "random", np.random.default_rng(9)))
    truth = ot.sliced_wasserstein_distance(x, y, a, b, projections=u.T, p=p)
    assert value == pytest.approx(truth, rel=1e-12)


def test_each_direction_is_an_exact_distance():
    rng = np.random.default_rng(4)
    x, y = rng.integers(0, 4, (6, 3)), rng.integers(0, 4, (5, 3))
    a, b = np.full(6, 1 / 6), np.full(5, 1 / 5)
    value = sliced_wasserstein_distance(x, y, p=3, n_projections=10, rng=2)
    u = np.concatenate(blocks_of(10, 3, "orthogonal", np.random.default_rng(2)))
    powers = [oracles.on_line(x @ each, y @ each, a, b, 3) for each in u]
    assert value == pytest.approx(np.mean(powers) ** (1 / 3), rel=1e-12)


def test_many_directions_go_in_parts(monkeypatch):
    rng = np.random.default_rng(5)
    x, y = rng.random((10, 3)), rng.random((12, 3))
    whole = sliced_wasserstein_distance(x, y, rng=1)
    monkeypatch.setattr(knobs.SLICED_HELD, 100)
    assert sliced_wasserstein_distance(x, y, rng=1) == whole
    assert sliced_wasserstein_distance(x, y, rng=1, n_jobs=2) == whole


# ------------------------------------------------------------------ unproved slices


@pytest.mark.parametrize("held", [1 << 22, 100])
def test_a_slice_that_is_not_proved_is_named(monkeypatch, held):
    """In parts of 4 directions, too, slice 6 is the seventh of all."""
    rng = np.random.default_rng(6)
    x, y = rng.random((10, 3)), rng.random((12, 3))
    bad = np.concatenate(blocks_of(9, 3, "orthogonal", np.random.default_rng(1)))[6]

    def distance(on_x, on_y, *args, **options):
        refused = np.abs(on_x[..., 0] - bad @ measures.x[0]) < 1e-12
        if refused.any() and options["axis"] is None:
            raise NotCertifiedError("no proof", None)
        values = wasserstein_distance(on_x, on_y, *args, **options)
        return np.where(refused, math.nan, values)

    measures = sliced._measures(x, y, None, None, 1, False, 1)
    monkeypatch.setattr(knobs.SLICED_HELD, held)
    monkeypatch.setattr(sliced, "wasserstein_distance", distance)
    for function in (sliced_wasserstein_distance, sliced_wasserstein_estimate):
        with pytest.raises(
            NotCertifiedError, match=r"slice 6, along \[.*, is not proved: no proof"
        ):
            function(x, y, n_projections=9, rng=1)


def test_a_slice_that_compiled_passes_refuse_is_solved_alone(monkeypatch):
    rng = np.random.default_rng(7)
    x, y = rng.random((10, 3)), rng.random((12, 3))
    value = sliced_wasserstein_distance(x, y, n_projections=9, rng=1)
    certified, refused = line._certified, []

    def without_the_fifth(*args):
        values = certified(*args)
        values[4] = math.nan
        refused.append(4)
        return values

    monkeypatch.setattr(line, "_certified", without_the_fifth)
    again = sliced_wasserstein_distance(x, y, n_projections=9, rng=1)
    assert again == pytest.approx(value, rel=1e-15)
    assert refused == [4]


# --------------------------------------------------------------------- metamorphic


@given(
    strategies.measures(3),
    strategies.measures(3),
    st.integers(-60, 60),
    st.sampled_from([1, 2]),
)
def test_scales_offsets_order_and_splitting(one, other, k, p):
    (x, a), (y, b) = one, other

    def distance(x, y, a, b, **options):
        return sliced_wasserstein_distance(x, y, a, b, p=p, n_projections=20, rng=3, **options)

    value = distance(x, y, a, b)
    near = pytest.approx(value, rel=1e-12, abs=1e-12)
    # Where mass is rounded, some of it may move: its root, for p = 2.
    rounded = pytest.approx(value, rel=1e-9, abs=1e-6)
    assert distance(y, x, b, a) == near
    assert distance(x + 64.0, y + 64.0, a, b) == pytest.approx(value, abs=1e-12)
    assert math.ldexp(distance(np.ldexp(x, k), np.ldexp(y, k), a, b), -k) == near
    assert distance(x[::-1], y, a[::-1], b) == rounded
    assert distance(x, y, 3 * a, 3 * b) / 3 ** (1 / p) == rounded
    assert distance(x, y, 3 * a, b, normalize=True) == rounded
    split, halves = np.vstack([x, x[:1], [[99.0] * 3]]), np.append(a, [0.0, 0.0])
    halves[0] = halves[-2] = a[0] / 2
    assert distance(split, y, halves, b) == rounded
    assert value <= wasserstein_distance(x, y, a, b, p=p) * (1 + 1e-12) + 1e-12


@given(strategies.measures(2), strategies.measures(2), strategies.measures(2))
def test_the_triangle_inequality_for_the_same_directions(first, second, third):
    def distance(one, other):
        (x, a), (y, b) = one, other
        return sliced_wasserstein_distance(x, y, a, b, p=2, n_projections=9, rng=0)

    assert distance(first, first) == 0
    through = distance(first, second) + distance(second, third)
    assert distance(first, third) <= through * (1 + 1e-12) + 1e-12


def test_no_difference_has_no_error():
    x = np.eye(3)
    assert sliced_wasserstein_estimate(x, x) == (0.0, 0.0)


def test_randomness_is_the_callers():
    rng = np.random.default_rng(0)
    x, y = rng.random((5, 3)), rng.random((5, 3))
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    for mode in MODES:
        first = sliced_wasserstein_distance(x, y, directions=mode, rng=7)
        again = sliced_wasserstein_distance(x, y, directions=mode, rng=np.random.default_rng(7))
        other = sliced_wasserstein_distance(x, y, directions=mode, rng=8)
        assert first == again != other
    max_sliced_wasserstein_distance(x, y)
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002


# --------------------------------------------------------------------- max-sliced


@pytest.mark.parametrize("p", [1, 2, 3])
@pytest.mark.parametrize("d", [2, 5])
def test_a_translation_is_seen_along_itself(p, d):
    rng = np.random.default_rng(d)
    x, h = rng.standard_normal((15, d)), rng.standard_normal(d)
    found = max_sliced_wasserstein_distance(x, x + h, p=p, rng=0, n_starts=2)
    length = float(np.linalg.norm(h))
    assert found.value == pytest.approx(length, rel=1e-12)
    assert found.direction == pytest.approx(h / length, abs=1e-6)
    assert found.upper == pytest.approx(length, rel=1e-9)


@pytest.mark.parametrize("p", [1, 2])
def test_a_difference_along_one_axis(p):
    """Stretched along the third axis: the means and all other coordinates agree."""
    rng = np.random.default_rng(1)
    n = 12 if JIT_OFF else 40
    x = rng.standard_normal((n, 4))
    y = x * [1, 1, 3, 1]
    a = np.full(n, 1 / n)
    found = max_sliced_wasserstein_distance(x, y, p=p, rng=0, n_starts=2 if JIT_OFF else 8)
    along = oracles.on_line(x[:, 2], y[:, 2], a, a, p) ** (1 / p)
    assert found.value >= along * (1 - 1e-12)
    assert abs(found.direction[2]) >= 0.95


@pytest.mark.parametrize("p", [1, 2])
def test_it_beats_ten_thousand_random_directions(p):
    n, k = (8, 200) if JIT_OFF else (60, 10_000)
    rng = np.random.default_rng(p)
    x, y = rng.standard_normal((n, 5)), rng.standard_normal((n + 7, 5))
    y[:, 0] *= 2
    found = max_sliced_wasserstein_distance(x, y, p=p, rng=0, n_starts=2 if JIT_OFF else 8)
    u = rng.standard_normal((k, 5))
    u /= np.linalg.norm(u, axis=1, keepdims=True)
    best = wasserstein_distance(u @ x.T, u @ y.T, p=p, axis=1).max()
    assert found.value > best
    assert found.value <= found.upper
    assert found.upper <= wasserstein_distance(x, y, p=p) * 2


@given(strategies.measures(2), strategies.measures(2), st.sampled_from([1, 2, 3]))
@settings(max_examples=4 if JIT_OFF else 10)
def test_what_is_found_is_proved_and_between_the_bounds(one, other, p):
    (x, a), (y, b) = one, other
    found = max_sliced_wasserstein_distance(x, y, a, b, p=p, rng=0, n_starts=3)
    assert np.linalg.norm(found.direction) == pytest.approx(1, rel=1e-14)
    u = found.direction
    along = oracles.on_line(x @ u, y @ u, a, b, p) ** (1 / p)
    assert found.value == pytest.approx(along, rel=1e-9, abs=1e-12)
    assert found.value <= found.upper * (1 + 1e-12)
    assert found.value <= wasserstein_distance(x, y, a, b, p=p) * (1 + 1e-11)
    # All angles of the plane, to a tenth of a degree.
    angle = np.linspace(0, np.pi, 180 if JIT_OFF else 1800)
    circle = np.column_stack([np.cos(angle), np.sin(angle)])
    values = wasserstein_distance(circle @ x.T, circle @ y.T, a, b, p=p, axis=-1)
    assert found.upper >= values.max() * (1 - 1e-12)
    assert found.value >= values.max() * (1 - 1e-4) - 1e-12


@pytest.mark.parametrize("p", [1, 2, 3])
def test_slopes_are_those_of_differences(p):
    rng = np.random.default_rng(p)
    x, y = rng.standard_normal((6, 3)), rng.standard_normal((5, 3)) + 1
    measures = sliced._measures(x, y, None, None, p, False, 1)
    u, h = on_sphere(rng.standard_normal((1, 3)))[0], 1e-6
    ascent = sliced._slope(measures, u).ascent
    for k in range(3):
        ends = np.stack([u + h * np.eye(3)[k], u - h * np.eye(3)[k]])
        up, down = measures.along(ends) ** p
        assert ascent[k] == pytest.approx((up - down) / (2 * h), rel=1e-6)


@given(strategies.measures(2), strategies.measures(2), st.sampled_from([1, 2, 3]))
@settings(max_examples=5 if JIT_OFF else 20)
def test_every_coupling_bounds_all_directions(one, other, p):
    (x, a), (y, b) = one, other
    measures = sliced._measures(x, y, a, b, p, False, 1)
    angle = np.linspace(0, np.pi, 60)
    circle = np.column_stack([np.cos(angle), np.sin(angle)])
    largest = measures.along(circle).max()
    # Projections are rounded, so that equal points may seem a little apart.
    rounding = 4 * np.finfo(float).eps * max(np.abs(measures.x).max(), np.abs(measures.y).max())
    for u in circle[::20]:
        assert sliced._slope(measures, u).upper >= largest * (1 - 1e-12) - rounding


def test_a_little_mass_far_away_is_bounded_for_large_p():
    """The largest eigenvalue bounds p <= 2 only."""
    measures = sliced._measures([[0.0, 0]], [[0.0, 0], [1, 0]], [1], [0.9, 0.1], 3, False, 1)
    upper = math.ldexp(sliced._slope(measures, np.array([1.0, 0])).upper, measures.k)
    assert upper >= 0.1 ** (1 / 3) * (1 - 1e-14)


def test_points_without_mass_have_no_part_in_slices():
    x, y = np.eye(3), np.eye(3)[:2] + 2.0
    a, b = [0.5, 0.5, 0.0], [0.0, 1.0]
    options = {"p": 3, "rng": 0}
    for function in (sliced_wasserstein_estimate, max_sliced_wasserstein_distance):
        found = function(x, y, a, b, **options)
        wanted = function(x[:2], y[1:], a[:2], b[1:], **options)
        for one, other in zip(found, wanted, strict=True):
            np.testing.assert_array_equal(one, other)


# ------------------------------------------------------------------------ bad input

X, Y = np.eye(2), np.ones((3, 2))


@pytest.mark.parametrize(
    "options, message",
    [
        ({"p": INF}, r"p must be finite for slices"),
        ({"p": 0.5}, r"p must be >= 1"),
        ({"n_projections": 0}, r"n_projections must be a positive integer, got 0"),
        ({"n_projections": 2.5}, r"n_projections must be a positive integer, got 2.5"),
        ({"n_projections": True}, r"n_projections must be a positive integer"),
        ({"directions": "even"}, r"directions must be one of 'orthogonal', 'random'"),
        ({"rng": "seed"}, r"rng must be a numpy Generator"),
        ({"n_jobs": 0}, r"n_jobs must be a positive integer"),
        ({"a": [1, -1]}, r"a\[1\] is -1"),
        ({"a": [1, 1]}, r"the masses differ: a sums to 2 and b to"),
        ({"x": [[0.0, math.nan]]}, r"x\[0, 1\] is nan"),
        ({"y": [[0.0]]}, r"same number of coordinates, got 2 and 1"),
        ({"x": np.empty((0, 2))}, r"x is empty"),
    ],
)
def test_bad_input_is_refused(options, message):
    options = {"x": X, "y": Y} | options
    with pytest.raises(InputError, match=message):
        sliced_wasserstein_distance(**options)


def test_an_error_needs_two_directions():
    with pytest.raises(InputError, match=r"n_projections must be an integer of at least 2, got 1"):
        sliced_wasserstein_estimate(X, Y, n_projections=1)
    assert sliced_wasserstein_distance(X, Y, n_projections=1, rng=0) > 0


def test_bad_input_of_the_search_is_refused():
    with pytest.raises(InputError, match=r"n_starts must be a positive integer"):
        max_sliced_wasserstein_distance(X, Y, n_starts=0)
    with pytest.raises(InputError, match=r"p must be finite for slices"):
        max_sliced_wasserstein_distance(X, Y, p=INF)
