"""Critics that are 1-Lipschitz by construction, their fits, and held-out values."""

from __future__ import annotations

import math

import numpy as np
import pytest
import strategies
from conftest import JIT_OFF
from hypothesis import given
from hypothesis import strategies as st

from otdist import InputError, datasets, kr_dual, lipschitz_lower, wasserstein_distance
from otdist.critics import fit
from otdist.critics import fit_funnels as funnel
from otdist.critics.functions import (
    Funnel,
    Lattice,
    Linear,
    Profile,
    Radial,
    Ridge,
    best_profile,
    steepest,
)
from otdist.critics.kr_dual import _exact_duals as exact_duals
from otdist.critics.sample import Sample

ORDER = {"euclidean": 2, "cityblock": 1, "chebyshev": np.inf}
DUAL = {"euclidean": 2, "cityblock": np.inf, "chebyshev": 1}
METRICS = pytest.mark.parametrize("metric", ORDER)


def profile(rng):
    knots = np.sort(rng.uniform(0.0, 4.0, size=7))
    return Profile(knots, np.array([1.0, -1.0, 0.0, 1.0, -1.0, 1.0]))


def potentials(metric, d=3):
    """One function of every family, with random numbers in it."""
    rng = np.random.default_rng([d, len(metric)])
    made = {
        "linear": Linear(steepest(rng.normal(size=d), metric)),
        "radial": Radial(rng.normal(size=d), profile(rng), metric),
        "min": Funnel(rng.normal(size=(5, d)), rng.normal(size=5), 1.0, metric),
        "max": Funnel(rng.normal(size=(5, d)), rng.normal(size=5), -1.0, metric),
    }
    if metric == "euclidean":
        made["ridge"] = Ridge(steepest(rng.normal(size=d), metric), profile(rng))
    made["lattice min"] = Lattice(made["radial"], made["min"], 0.1, 1.0)
    made["lattice max"] = Lattice(made["linear"], made["radial"], -0.2, -1.0)
    return made


EVERY = [
    pytest.param(potential, metric, id=f"{name} {metric}")
    for metric in ORDER
    for name, potential in potentials(metric).items()
]


# -------------------------------------------------------------------------- the families


@pytest.mark.parametrize("potential, metric", EVERY)
def test_families_are_1_lipschitz(potential, metric):
    rng = np.random.default_rng(3)
    near = rng.normal(size=(80, 3))
    z = np.vstack([near, near + 1e-7, 1e3 * near, near[:5]])
    values = potential(z)
    steps = np.abs(values[:, None] - values)
    lengths = np.stack([np.linalg.norm(z - w, ord=ORDER[metric], axis=1) for w in z])
    assert (steps <= lengths + 1e-12).all()
    assert (steps > 0.5 * lengths).any(), "a flat function would pass as well"


@pytest.mark.parametrize("potential, metric", EVERY)
def test_gradients_of_families(potential, metric):
    rng = np.random.default_rng(4)
    z = rng.normal(size=(60, 3))
    slope = potential.gradient(z)
    assert (np.linalg.norm(slope, ord=DUAL[metric], axis=1) <= 1 + 1e-15).all()
    for k in range(3):
        step = 1e-6 * np.eye(3)[k]
        expected = (potential(z + step) - potential(z - step)) / 2e-6
        # No kink lies within 1e-6 of any of these points.
        np.testing.assert_allclose(slope[:, k], expected, atol=1e-8)


@pytest.mark.parametrize("potential, metric", EVERY)
def test_the_search_finds_slopes_but_none_above_1(potential, metric):
    corners = np.array([[-2.0] * 3, [2.0] * 3])
    found = lipschitz_lower(potential, corners, metric=metric, rng=0)
    assert 0.95 < found <= 1.0
    steeper = lipschitz_lower(lambda z: 1.05 * potential(z), corners, metric=metric, rng=0)
    assert steeper > 1.0


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e6])
def test_products_rule_out_only_what_is_not_lowest(size):
    """The slow twin looks at every funnel, from differences of coordinates."""
    rng = np.random.default_rng(18)
    centres = 50 + rng.normal(size=(40, 9))
    centres[7] = centres[3]
    offsets = rng.normal(size=40) / 5
    offsets[7] = offsets[3]
    z = np.vstack([50 + size * rng.normal(size=(300, 9)), centres])
    exact = np.sqrt(((z[:, None] - centres) ** 2).sum(axis=2)) + offsets
    each = Funnel(centres, offsets, -1.0, "euclidean")
    np.testing.assert_allclose(each(z), -exact.min(axis=1), rtol=1e-15, atol=1e-14)
    slope = each.gradient(z)
    ray = centres[exact.argmin(axis=1)] - z
    lengths = np.linalg.norm(ray, axis=1)
    expected = ray / np.where(lengths > 0, lengths, 1)[:, None]
    np.testing.assert_allclose(slope, expected, atol=1e-13)


def test_a_lattice_is_the_smaller_or_the_larger_of_two():
    rng = np.random.default_rng(5)
    one, two = potentials("euclidean")["min"], potentials("euclidean")["linear"]
    z = rng.normal(size=(50, 3))
    both = np.stack([one(z), two(z) + 0.3])
    assert (Lattice(one, two, 0.3, 1.0)(z) == both.min(axis=0)).all()
    assert (Lattice(one, two, 0.3, -1.0)(z) == both.max(axis=0)).all()


@METRICS
@given(st.data())
def test_the_steepest_slope_attains_the_norm(metric, data):
    moment = data.draw(strategies.points(1, data.draw(st.integers(1, 5))))[0]
    slope = steepest(moment, metric)
    assert np.linalg.norm(slope, ord=DUAL[metric]) <= 1.0
    length = np.linalg.norm(moment, ord=ORDER[metric])
    assert slope @ moment == pytest.approx(length, rel=1e-13, abs=1e-15)


def test_the_steepest_slope_of_tiny_and_huge_differences():
    for size in (1e-300, 1e300):
        slope = steepest(np.array([3.0, 4.0]) * size, "euclidean")
        np.testing.assert_allclose(slope, [0.6, 0.8], rtol=1e-14)


# ------------------------------------------------------------------------------ the fits


@st.composite
def samples(draw, d=None):
    d = draw(st.integers(1, 3)) if d is None else d
    (x, a), (y, b) = (draw(strategies.measures(d)) for _ in range(2))
    return Sample.of(x, y, a, b)


@given(samples(d=1))
def test_the_best_profile_attains_w1_on_the_line(sample):
    s, t = sample.x[:, 0], sample.y[:, 0]
    best = best_profile(s, t, sample.a, sample.b)
    w1 = wasserstein_distance(s, t, sample.a, sample.b)
    assert sample.difference(best(s), best(t)) == pytest.approx(w1, rel=1e-9, abs=1e-12)
    assert (np.abs(best.slopes) <= 1).all()
    assert (np.diff(best.knots) >= 0).all()


@METRICS
@given(samples())
def test_exact_duals_attain_w1(metric, sample):
    w1 = wasserstein_distance(sample.x, sample.y, sample.a, sample.b, metric=metric)
    both = exact_duals(sample, metric)
    assert [dual.sign for dual in both] == [1.0, -1.0]
    for dual in both:
        value = sample.difference(dual(sample.x), dual(sample.y))
        assert value == pytest.approx(w1, rel=1e-11, abs=1e-12)
        assert value <= w1 * (1 + 1e-12) + 1e-12


@METRICS
def test_closed_fits_find_what_they_are_for(metric):
    rng = np.random.default_rng(6)
    x = rng.normal(size=(300, 4))
    uniform = np.full(300, 1 / 300)
    moved = Sample.of(x, x + np.array([0.0, 2.0, 0.0, 1.0]), uniform, uniform)
    best = fit.linear(moved, metric)
    length = np.linalg.norm([2.0, 1.0], ord=ORDER[metric])
    assert moved.difference(best(moved.x), best(moved.y)) == pytest.approx(length)
    shrunk = Sample.of(x, 3 * x, uniform, uniform)
    best = fit.radial(shrunk, metric)
    lengths = np.linalg.norm(x, ord=ORDER[metric], axis=1)
    value = shrunk.difference(best(shrunk.x), best(shrunk.y))
    # The centre is a mean of the sample, off by 0.1, not 0.
    assert value == pytest.approx(2 * lengths.mean(), rel=0.01)


def test_a_ridge_finds_the_one_direction_that_differs():
    rng = np.random.default_rng(7)
    x, y = rng.normal(size=(2, 600, 10))
    y[:, 3] = 2 * rng.choice([-1.0, 1.0], 600)  # no mean, and no scale, tells them apart
    sample = Sample.of(x, y, np.full(600, 1 / 600), np.full(600, 1 / 600))
    best = fit.ridge(sample, rng)
    assert abs(best.direction[3]) > 0.97
    w1 = wasserstein_distance(x[:, 3], y[:, 3])
    assert sample.difference(best(x), best(y)) == pytest.approx(w1, rel=0.1)


@given(samples(), st.sampled_from([1.0, -1.0]))
def test_the_best_shift_is_the_best_of_all(sample, sign):
    rng = np.random.default_rng(8)
    first, second = (
        (rng.normal(size=len(sample.x)), rng.normal(size=len(sample.y))) for _ in range(2)
    )

    def value(shift):
        pairs = zip(first, second, strict=True)
        joined = [sign * np.minimum(sign * f, sign * (g + shift)) for f, g in pairs]
        return sample.difference(*joined)

    found = fit.best_shift(first, second, sample, sign)
    others = np.concatenate([f - g for f, g in zip(first, second, strict=True)])
    best = max(value(shift) for shift in [*others, -1e3, 1e3])
    assert value(found) == pytest.approx(best, abs=1e-12)


# ------------------------------------------------------------------------------- funnels


def clouds(rng, n=200, d=3):
    points = rng.normal(size=(2, n, d))
    weights = rng.random((2, n))
    weights /= weights.sum(axis=1)[:, None]
    return [funnel._Cloud.of(*each) for each in zip(points, weights, strict=True)]


def test_the_gradient_of_the_ascent():
    rng = np.random.default_rng(9)
    pair = clouds(rng)
    centres = rng.normal(size=(6, 3)).astype(np.float32)
    offsets = rng.normal(size=6).astype(np.float32) / 4
    on_centres, on_offsets = funnel._gradient(pair, centres, offsets)
    for k in range(6):
        up, down = offsets.copy(), offsets.copy()
        up[k] += 1e-2
        down[k] -= 1e-2
        rise = funnel._value(pair, centres, up) - funnel._value(pair, centres, down)
        assert on_offsets[k] == pytest.approx(rise / 2e-2, abs=0.02)
        for j in range(3):
            up, down = centres.copy(), centres.copy()
            up[k, j] += 1e-2
            down[k, j] -= 1e-2
            rise = funnel._value(pair, up, offsets) - funnel._value(pair, down, offsets)
            assert on_centres[k, j] == pytest.approx(rise / 2e-2, abs=0.01)


def test_balanced_offsets_give_every_funnel_a_share():
    rng = np.random.default_rng(10)
    pair = clouds(rng, 1000, 100)
    centres = pair[1].points[:50]

    def largest_share(offsets):
        every = np.concatenate([funnel._heights(each, centres) for each in pair])
        counts = np.bincount((every + offsets).argmin(axis=1), minlength=50)
        return counts.max() / counts.mean()

    assert largest_share(np.zeros(50, np.float32)) > 4
    assert largest_share(funnel._balanced(pair, centres)) < 2


def test_batches_go_through_all_points():
    rng = np.random.default_rng(11)
    cloud = clouds(rng, 64)[0]
    batches = funnel._batches(cloud, 16, rng)
    passes = [np.concatenate([next(batches).squares for _ in range(4)]) for _ in "ab"]
    for each in passes:
        assert (np.sort(each) == np.sort(cloud.squares)).all()
    assert (passes[0] != passes[1]).any()


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_three_cones(sign):
    """[Anil et al., 2019]: three atoms, and circles of radius 1 about them: W1 = 1."""
    rng = np.random.default_rng(12)
    centres = np.array([[-2.0, 0], [0, 0], [2, 0]])[rng.integers(3, size=(2, 3000))]
    turn = rng.uniform(0, 2 * math.pi, 3000)
    circles = centres[0] + np.column_stack([np.cos(turn), np.sin(turn)])
    uniform = np.full(3000, 1 / 3000)
    pair = (circles, centres[1]) if sign > 0 else (centres[1], circles)
    sample = Sample.of(*pair, uniform, uniform)
    made = funnel.fit_funnel(funnel.Scene.of(sample, sample), 16, sign, rng)
    assert len(made.centres) == len(made.offsets) <= 16
    value = sample.difference(made(sample.x), made(sample.y))
    # The shares of the atoms differ in the two samples by 0.02, 2 apart.
    assert value == pytest.approx(1.0, abs=0.05)
    exact = Funnel(np.array([[-2.0, 0], [0, 0], [2, 0]]), np.zeros(3), sign, "euclidean")
    assert sample.difference(exact(sample.x), exact(sample.y)) == pytest.approx(1.0)


def test_functions_are_joined_where_that_is_better_by_more_than_noise():
    """Two atoms and circles about them: one cone for each, and the larger of both."""
    rng = np.random.default_rng(19)
    atoms = np.array([[-3.0, 0], [3, 0]])[np.arange(400) % 2]
    turn = rng.uniform(0, 2 * math.pi, 400)
    circles = atoms + np.column_stack([np.cos(turn), np.sin(turn)])
    sample = Sample.of(atoms, circles, np.ones(400), np.ones(400))
    cones = [Funnel(atoms[[k]], np.zeros(1), -1.0, "euclidean") for k in range(2)]
    made = [fit._judged("funnel", cone, sample) for cone in cones]
    joined = list(fit._joined(made, sample, sample))
    assert [each.potential.sign for each in joined] == [-1.0]
    assert joined[0].value == pytest.approx(1.0)
    judged = fit._judged("lattice", joined[0].potential, sample)
    assert joined[0].value == pytest.approx(judged.value)
    assert list(fit._joined([judged, *made], sample, sample)) == []


# ------------------------------------------------------------------------ held-out values


def small(d=2, n=60 if JIT_OFF else 120, seed=13):
    return datasets.translation(d).sample(n, rng=seed)


def test_parts_are_disjoint_and_leave_out_what_has_no_mass():
    rng = np.random.default_rng(14)
    a = np.ones(40)
    a[:10] = 0
    sample = Sample.of(np.arange(40.0)[:, None], np.arange(20.0)[:, None], a, np.ones(20))
    parts = fit.split(sample, rng)
    assert [len(part.x) for part in parts] == [15, 6, 9]
    assert [len(part.y) for part in parts] == [10, 4, 6]
    assert sorted(np.concatenate([part.x[:, 0] for part in parts])) == [*range(10, 40)]
    assert sorted(np.concatenate([part.y[:, 0] for part in parts])) == [*range(20)]
    for part in parts:
        assert part.a.sum() == pytest.approx(1)
    huge = Sample.of(np.zeros((200_000, 1)), np.zeros((20, 1)), np.ones(200_000), np.ones(20))
    assert len(fit.split(huge, rng)[2].x) == 1 << 15


def test_standard_errors_are_those_of_means():
    rng = np.random.default_rng(15)
    f, g = rng.normal(size=50), rng.normal(size=30)
    sample = Sample.of(np.zeros((50, 1)), np.zeros((30, 1)), np.ones(50), np.ones(30))
    expected = math.hypot(f.std(ddof=1) / 50**0.5, g.std(ddof=1) / 30**0.5)
    assert sample.standard_error(f, g) == pytest.approx(expected)
    assert sample.difference(f, g) == pytest.approx(f.mean() - g.mean())


@pytest.mark.parametrize("critic", ["auto", "linear", "radial", "ridge", "funnel"])
def test_the_test_part_changes_the_value_only(critic, monkeypatch):
    """No fit and no choice has seen it: with other points the critic is the same."""
    x, y = small()
    first = kr_dual(x, y, critic=critic, rng=0)
    splits = fit.split

    def spoiled(sample, rng):
        train, check, test = splits(sample, rng)
        return train, check, Sample(test.x + 100, test.y - 5, test.a, test.b)

    monkeypatch.setattr("otdist.critics.kr_dual.split", spoiled)
    second = kr_dual(x, y, critic=critic, rng=0)
    assert second.family == first.family
    assert (second(x) == first(x)).all()
    assert second.value != first.value
    assert [each.value for each in second.candidates] == [each.value for each in first.candidates]


def test_the_validation_part_only_chooses(monkeypatch):
    x, y = small()
    first = kr_dual(x, y, rng=0)
    splits = fit.split

    def spoiled(sample, rng):
        train, check, test = splits(sample, rng)
        return train, Sample(check.x + 9, check.y[::-1] * 2, check.a, check.b), test

    monkeypatch.setattr("otdist.critics.kr_dual.split", spoiled)
    second = kr_dual(x, y, rng=0)
    for family in ("linear", "radial", "ridge", "mcshane", "whitney"):
        fits = [
            next(each.potential(x) for each in critic.candidates if each.family == family)
            for critic in (first, second)
        ]
        assert (fits[0] == fits[1]).all(), family


def test_the_value_is_that_of_the_test_part(monkeypatch):
    x, y = small()
    parts = []
    splits = fit.split

    def watched(sample, rng):
        parts.extend(splits(sample, rng))
        return parts

    monkeypatch.setattr("otdist.critics.kr_dual.split", watched)
    critic = kr_dual(x, y, rng=0)
    test = parts[2]
    on_x, on_y = critic(test.x), critic(test.y)
    assert critic.value == pytest.approx(on_x.mean() - on_y.mean(), rel=1e-13)
    assert critic.standard_error == pytest.approx(test.standard_error(on_x, on_y))
    assert critic.n_held_out == (len(test.x), len(test.y))
    assert len(test.x) == len(test.y) == 3 * len(x) // 10
    check = parts[1]
    best = critic.candidates[0]
    assert best.family == critic.family
    assert best.value == max(each.value for each in critic.candidates)
    assert best.value == pytest.approx(
        check.difference(critic(check.x), critic(check.y)), rel=1e-12
    )
    families = {each.family for each in critic.candidates}
    assert families >= {"linear", "radial", "ridge", "funnel", "mcshane", "whitney"}


@pytest.mark.parametrize(
    "pair, families",
    [
        (datasets.translation(5), {"linear", "ridge", "lattice"}),
        (datasets.concentric_spheres(5), {"radial", "lattice"}),
        (datasets.ball_funnel(5), {"radial", "funnel", "lattice", "whitney"}),
        (datasets.parallel_lines(-0.7), {"linear", "ridge", "lattice"}),
        (datasets.ring_of_modes(), {"mcshane", "whitney", "funnel"}),
    ],
    ids=["translation", "spheres", "ball", "lines", "ring"],
)
def test_auto_finds_the_family(pair, families):
    x, y = pair.sample(100 if JIT_OFF else 800, rng=16)
    critic = kr_dual(x, y, rng=1)
    assert critic.family in families or JIT_OFF
    assert critic.value >= (0.8 if JIT_OFF else 0.95) * pair.w1 - 4 * critic.standard_error
    assert critic.value <= pair.w1 + 4 * critic.standard_error + 1e-12
    assert critic.lipschitz == 1.0
    assert lipschitz_lower(critic, np.vstack([x, y]), rng=0) <= 1.0
    assert critic(x).mean() > critic(y).mean(), "high on the first measure"


def test_samplers_are_drawn_from():
    pair = datasets.ray_pair(2, 3, rng=0, n_samples=1 << 14)
    critic = kr_dual(pair.first, pair.second, critic="funnel", n_samples=6000, rng=0)
    assert critic.n_held_out == (1800, 1800)
    assert critic.value == pytest.approx(pair.w1, rel=0.15)
    x, _ = pair.sample(500, rng=1)
    cosines = np.einsum("kd,kd->k", critic.gradient(x), pair.gradient(x))
    assert cosines.mean() > 0.8
    mixed = kr_dual(x, pair.second, critic="radial", n_samples=700, rng=0)
    assert mixed.n_held_out == (150, 210)


def test_the_same_seed_gives_the_same_critic_and_another_another():
    x, y = small()
    values = [kr_dual(x, y, rng=seed).value for seed in (0, 0, 1)]
    assert values[0] == values[1] != values[2]
    generator = np.random.default_rng(0)
    twice = [kr_dual(x, y, critic="linear", rng=generator).value for _ in range(2)]
    assert twice[0] != twice[1]


@pytest.mark.parametrize("k", [-300, -3, 20])
def test_units_change_nothing(k):
    x, y = small()
    critic = kr_dual(x, y, critic="funnel", rng=0)
    other = kr_dual(np.ldexp(x, k), np.ldexp(y, k), critic="funnel", rng=0)
    assert other.value == pytest.approx(math.ldexp(critic.value, k), rel=1e-13)
    moved = kr_dual(x + 1e6, y + 1e6, critic="funnel", rng=0)
    assert moved.value == pytest.approx(critic.value, rel=1e-3)


@METRICS
def test_other_metrics(metric):
    x, y = small(3)
    critic = kr_dual(x, y, metric=metric, rng=0)
    assert critic.metric == metric
    families = {each.family for each in critic.candidates}
    assert ("ridge" in families) == ("funnel" in families) == (metric == "euclidean")
    corners = np.array([[-3.0] * 3, [3.0] * 3])
    assert lipschitz_lower(critic, corners, metric=metric, rng=0) <= 1.0


def test_weights_and_mass():
    x, y = small(n=300)
    a = np.random.default_rng(17).random(300)
    b = np.full(300, a.sum() / 300)
    critic = kr_dual(x, y, a, b, critic="linear", rng=0)
    twice = kr_dual(x, y, 2 * a, 2 * b, critic="linear", rng=0)
    assert twice.value == pytest.approx(2 * critic.value, rel=1e-14)
    assert twice.standard_error == pytest.approx(2 * critic.standard_error, rel=1e-14)
    # Points with more mass count as more points.
    left = np.where(x[:, 0] < 0, 1.0, 0.1)
    farther = kr_dual(x, y, left, np.full(300, left.mean()), critic="linear", rng=0)
    plain = kr_dual(x, y, critic="linear", rng=0)
    assert farther.value / left.sum() > plain.value + 0.1


def test_equal_points_have_a_critic_of_value_0():
    zeros = np.zeros((30, 2))
    critic = kr_dual(zeros, zeros, rng=0)
    assert critic.value == critic.standard_error == 0


def test_a_critic_says_what_it_is():
    x, y = small()
    text = str(kr_dual(x, y, critic="linear", rng=0))
    assert text.startswith("linear critic, 1-Lipschitz in 'euclidean', high on the first")
    assert text.endswith("+ 18 held-out points" if JIT_OFF else "+ 36 held-out points")
    assert str(kr_dual(x, y, critic="mcshane")).endswith("on the measures themselves")


@pytest.mark.parametrize(
    "arguments, options, message",
    [
        (([0.0, 1], [1.0, 2]), {}, "x must have at least 10 points of positive weight .*, got 2"),
        (
            (np.arange(20.0), [1.0, 2]),
            {},
            "y must have at least 10 points .*, got 2; .* critic='mcshane'",
        ),
        (
            (np.arange(20.0), np.arange(20.0)),
            {"critic": "mlp"},
            "critic must be one of",
        ),
        ((np.arange(20.0), np.arange(20.0)), {"rng": "seed"}, "rng must be a numpy"),
        ((np.arange(20.0), np.arange(20.0)), {"rng": -1}, "rng must be a numpy"),
        (
            (np.arange(20.0), np.arange(20.0)),
            {"critic": "ridge", "metric": "cityblock"},
            "critic='ridge' needs metric='euclidean', got 'cityblock'",
        ),
        ((lambda n, rng: np.zeros((3, 1)), [1.0]), {}, "the sampler x must return n="),
        (([1.0], lambda n, rng: [math.nan] * n), {}, r"y\(n, rng\)\[0\] is nan"),
        ((lambda n, rng: 0, [1.0]), {"n_samples": 0}, "n_samples must be a positive"),
        ((lambda n, rng: 0, [1.0]), {"critic": "mcshane"}, "needs arrays of points, got a sampler"),
    ],
)
def test_bad_arguments(arguments, options, message):
    with pytest.raises(InputError, match=message):
        kr_dual(*arguments, **options)


# --------------------------------------------------------------- looking for steep places


def test_the_search_finds_the_constant_of_known_functions():
    box = [[-1.0, -1.0], [1.0, 1.0]]
    for function, constant, metric in [
        (lambda z: 3 * z[:, 0] - 4 * z[:, 1], 5.0, "euclidean"),
        (lambda z: 3 * z[:, 0] - 4 * z[:, 1], 4.0, "cityblock"),
        (lambda z: 3 * z[:, 0] - 4 * z[:, 1], 7.0, "chebyshev"),
        (lambda z: np.abs(z[:, 0] - 0.3), 1.0, "euclidean"),
        (lambda z: np.exp(2 * z[:, 1]), 2 * math.exp(2), "euclidean"),
    ]:
        found = lipschitz_lower(function, box, metric=metric, rng=0)
        assert 0.97 * constant < found <= constant
    assert lipschitz_lower(lambda z: np.ones(len(z)), box) == 0.0


def test_the_search_stays_in_the_box_and_changes_nothing():
    seen = []

    def function(z):
        seen.append(z.copy())
        z[:] = 7  # not the search's own array
        return seen[-1].sum(axis=1)

    points = np.array([[0.0, 2.0], [1.0, 3.0]])
    kept = points.copy()
    found = lipschitz_lower(function, points, rng=0)
    assert found == lipschitz_lower(function, points, rng=0)
    assert (points == kept).all()
    every = np.concatenate(seen)
    assert (every >= [0, 2]).all()
    assert (every <= [1, 3]).all()


@pytest.mark.parametrize(
    "function, points, message",
    [
        (lambda z: z, [[0.0], [1.0]], "the values of function must have shape"),
        (lambda z: z[:, 0] * math.nan, [0.0, 1.0], "the values of function.* is nan"),
        (lambda z: z[:, 0], [[1.0], [1.0]], "at least two different points, got 2 equal ones"),
        (lambda z: z[:, 0], [[math.inf], [1.0]], "points.* is inf"),
    ],
)
def test_what_the_search_refuses(function, points, message):
    with pytest.raises(InputError, match=message):
        lipschitz_lower(function, points)


def test_the_search_refuses_what_is_no_metric():
    with pytest.raises(InputError, match="metric of lipschitz_lower must be one of 'euclidean'"):
        lipschitz_lower(len, [[0.0], [1.0]], metric="sqeuclidean")
