"""The line: many pairs along an axis, large pairs, and the compiled checks of both."""

from __future__ import annotations

import math
from fractions import Fraction

import knobs
import numpy as np
import oracles
import pytest
from checks import assert_brackets, assert_proved, cost_of
from conftest import JIT_OFF
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import permutation_test
from strategies import weights

from otdist import (
    FailedPairsWarning,
    InputError,
    InputWarning,
    NotCertifiedError,
    Problem,
    certify,
    pairwise,
    solve,
    wasserstein_distance,
)
from otdist.batch import line as along
from otdist.batch import single
from otdist.batch.kernels import line as kernel
from otdist.certificate.many import LineBounds, Measures
from otdist.plans.plans import Arcs

ORDERS = [1, 1.5, 2, 3, math.inf]


def test_scipy_permutes_labels_of_distances_along_an_axis():
    x, y = np.arange(5.0), np.arange(5.0) + 10

    def statistic(x, y, axis):
        return wasserstein_distance(x, y, axis=axis)

    test = permutation_test((x, y), statistic, vectorized=True, alternative="greater")
    assert test.statistic == 10 == wasserstein_distance(x, y)
    assert test.pvalue == 2 / math.comb(10, 5)


@pytest.mark.parametrize("period", [None, 100.0])
def test_a_number_has_a_dtype_if_an_axis_was_given(period):
    x, y = np.arange(5.0), np.arange(5.0) + 10
    for other in (y, "uniform") if period else (y,):
        assert type(wasserstein_distance(x, other, axis=0, period=period)) is np.float64
        assert type(wasserstein_distance(x, other, period=period)) is float


def truth(x, y, a, b, p):
    value = oracles.on_line(x, y, a, b, p)
    return value if p == math.inf else value ** (1 / p)


def random_pairs(rng, k, n, m):
    x, y = rng.integers(-5, 6, (k, n)) / 4, rng.standard_normal((k, m))
    a, b = rng.random((k, n)), rng.random((k, m))
    a[:, 0], b[rng.random((k, m)) < 0.2] = 0.0, 0.0
    b[:, -1] += 0.1
    return x, y, a / a.sum(1, keepdims=True), b / b.sum(1, keepdims=True)


@pytest.mark.parametrize("p", ORDERS)
def test_pairs_along_an_axis_are_those_of_exact_arithmetic(p):
    x, y, a, b = random_pairs(np.random.default_rng(0), 7, 5, 4)
    found = wasserstein_distance(x, y, a, b, p=p, axis=-1)
    wanted = [truth(*pair, p) for pair in zip(x, y, a, b, strict=True)]
    np.testing.assert_allclose(found, wanted, rtol=1e-13)
    plain = wasserstein_distance(x, y, p=p, axis=1)
    fifth, fourth = np.full(5, 0.2), np.full(4, 0.25)
    wanted = [truth(*pair, fifth, fourth, p) for pair in zip(x, y, strict=True)]
    np.testing.assert_allclose(plain, wanted, rtol=1e-13)


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -3])
def test_any_axis_and_threads(axis):
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((2, 3, 4, 5))
    x = np.moveaxis(x, -1, axis)
    y = np.moveaxis(y[..., :3], -1, axis)
    found = wasserstein_distance(x, y, axis=axis)
    assert found.shape == (3, 4)
    again = wasserstein_distance(x, y, axis=axis, n_jobs=2)
    assert np.array_equal(found, again)
    first = np.moveaxis(x, axis, -1)[2, 1], np.moveaxis(y, axis, -1)[2, 1]
    assert found[2, 1] == pytest.approx(wasserstein_distance(*first), rel=1e-14)


def test_pairs_and_masses_broadcast():
    rng = np.random.default_rng(2)
    x, y = rng.standard_normal((4, 1, 6)), rng.standard_normal((3, 5))
    a, b = rng.random((4, 1, 6)), rng.random(5)
    a, b = a / a.sum(-1, keepdims=True), b / b.sum()
    found = wasserstein_distance(x, y, a, b, p=2, axis=-1)
    assert found.shape == (4, 3)
    for i in range(4):
        for j in range(3):
            wanted = wasserstein_distance(x[i, 0], y[j], a[i, 0], b, p=2)
            assert found[i, j] == pytest.approx(wanted, rel=1e-13)
    # Many histograms on common bins, against one of them.
    bins, histograms = np.arange(6.0), rng.random((4, 6))
    histograms /= histograms.sum(-1, keepdims=True)
    found = wasserstein_distance(bins, bins, histograms, histograms[0], axis=-1)
    cumulative = np.cumsum(histograms - histograms[0], axis=1)
    np.testing.assert_allclose(found, np.abs(cumulative).sum(1), atol=1e-15)


def test_one_pair_is_a_number_and_no_pairs_are_an_empty_array():
    value = wasserstein_distance([0.0, 1, 3], [5.0, 6, 8], axis=0)
    assert value == 5.0
    assert isinstance(value, float)
    assert wasserstein_distance(np.ones((3, 0, 4)), np.ones(2), axis=-1).shape == (3, 0)
    found = wasserstein_distance(np.ones((3, 4)), np.ones(4), axis=-1)
    assert np.array_equal(found, np.zeros(3))


def test_masses_are_normalised_by_pair():
    rng = np.random.default_rng(3)
    x, y, a, b = random_pairs(rng, 3, 5, 4)
    scale = np.array([1.0, 7.0, 1e-3])[:, None]
    found = wasserstein_distance(x, y, a * scale, b, axis=-1, normalize=True)
    np.testing.assert_allclose(found, wasserstein_distance(x, y, a, b, axis=-1), rtol=1e-13)
    # Without it every pair has a mass of its own, and W_p scales with its root.
    found = wasserstein_distance(x, y, a * scale, b * scale, p=2, axis=-1)
    wanted = wasserstein_distance(x, y, a, b, p=2, axis=-1) * np.sqrt(scale[:, 0])
    np.testing.assert_allclose(found, wanted, rtol=1e-13)


def test_masses_of_single_precision_may_differ_by_its_rounding(monkeypatch):
    rng = np.random.default_rng(4)
    a, b = rng.random((2, 3, 6)).astype(np.float32)
    a, b = a / a.sum(-1, keepdims=True), b / b.sum(-1, keepdims=True)
    x = rng.random((3, 6))
    found = wasserstein_distance(x, x, a, b, axis=-1)
    for k in range(3):
        wanted = wasserstein_distance(x[k], x[k], a[k], b[k])
        assert found[k] == pytest.approx(wanted, rel=1e-13)
    with pytest.raises(InputError, match=r"pair \[0\]: the masses differ"):
        wasserstein_distance(x, x, a.astype(float), b.astype(float), axis=-1)
    # So may those of a pair that takes the other path, for its scale.
    tiny = wasserstein_distance(x * 1e-260, x * 1e-260, a, b, axis=-1)
    np.testing.assert_allclose(tiny * 1e260, found, rtol=1e-12)
    monkeypatch.setattr("otdist.distances.wasserstein.solve", None)  # the compiled path does it
    again = wasserstein_distance(x, x, a, b, axis=-1)
    assert np.array_equal(again, found)


@pytest.mark.parametrize(
    "spoil, message",
    [
        (("x", (1, 2), np.nan), r"pair \[1\]: x\[2\] is nan"),
        (("y", (2, 0), np.inf), r"pair \[2\]: y\[0\] is inf"),
        (("a", (1, 3), -0.1), r"pair \[1\]: a\[3\] is -0.1; weights must be >= 0"),
        (("b", (0, 1), np.nan), r"pair \[0\]: b\[1\] is nan"),
        (("a", (2, slice(None)), 0.0), r"pair \[2\]: a is zero everywhere"),
        (("b", (1, 0), 5.0), r"pair \[1\]: the masses differ"),
        (("b", (1, slice(None)), 1e308), r"pair \[1\]: the sum of b overflows"),
        (("x", (1, [0, 1]), [-1e308, 1e308]), r"pair \[1\]: distances to the power 1 reach"),
    ],
)
def test_bad_input_names_the_pair(spoil, message):
    x, y, a, b = random_pairs(np.random.default_rng(5), 3, 5, 4)
    arrays = {"x": x, "y": y, "a": a, "b": b}
    name, where, value = spoil
    arrays[name][where] = value
    with pytest.raises(InputError, match=message):
        wasserstein_distance(**arrays, axis=-1)
    pair = {key: array[1] for key, array in arrays.items()}
    if where[0] == 1:  # one pair needs no name
        with pytest.raises(InputError, match="^" + message.split(": ", 1)[1]):
            wasserstein_distance(**pair, axis=-1)


def test_a_bad_pair_is_found_before_any_is_solved(monkeypatch):
    x = np.zeros((1000, 3))
    x[999, 1] = np.nan

    def refuse(*arguments, **options):
        raise AssertionError("solved")

    monkeypatch.setattr("otdist.distances.wasserstein.solve", refuse)
    with pytest.raises(InputError, match=r"pair \[999, 0\]: x\[1\] is nan"):
        wasserstein_distance(x[:, None], np.ones((2, 3)) * [[1], [2]], axis=-1)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"axis": 2}, r"axis must be an integer in \[-2, 2\), as x.ndim is 2, got 2"),
        ({"axis": 0.5}, "axis must be an integer .*, got 0.5"),
        ({"axis": True}, "axis must be an integer .*, got True"),
        ({"a": np.ones((3, 4)) / 4}, "a must have 5 entries along axis=-1"),
        ({"a": 1.0}, "axis must be an integer .* a.ndim is 0, got -1"),
        ({"y": np.ones((2, 5))}, r"must broadcast, got shapes \(3, 5\), \(2, 5\)"),
        ({"y": np.ones((3, 0))}, r"y is empty, shape \(3, 0\)"),
        ({"x": [["a"]]}, "x must hold real numbers"),
        ({"p": 0.5}, "p must be >= 1"),
        ({"metric": "sqeuclidean"}, "on the line, where the cost is"),
        ({"metric": "taxi"}, "metric 'taxi' is unknown"),
        ({"method": "highs"}, "with axis= the method is 'line', got 'highs'"),
        ({"n_jobs": 0}, "n_jobs must be a positive integer"),
    ],
)
def test_options_that_do_not_fit_are_refused(arguments, message):
    x = np.arange(15.0).reshape(3, 5)
    with pytest.raises(InputError, match=message):
        wasserstein_distance(**{"x": x, "y": x, "axis": -1, **arguments})


def test_rows_that_look_like_histograms_warn():
    rows = np.full((2, 4), 0.25)
    with pytest.warns(InputWarning, match="look like histograms"):
        wasserstein_distance(rows, rows, axis=-1)


def test_a_pair_that_is_not_proved_is_nan_and_named(monkeypatch):
    x, y, a, b = random_pairs(np.random.default_rng(6), 4, 5, 4)
    asked = []

    def one(x, y, a, b):
        asked.append(x)
        result = solve(Problem(x, y, a, b))
        if len(asked) == 2:
            raise NotCertifiedError("line did not prove its value", result)
        return result.distance

    good = along._claims

    def spoilt(measures, cost, buffers):
        claims = good(measures, cost, buffers)
        claims.mass[[1, 2], 0] *= 1.001
        return claims

    monkeypatch.setattr(along, "_claims", spoilt)
    with pytest.warns(FailedPairsWarning, match="1 of 4 pairs have no answer") as raised:
        values = along.distances_along(x, y, a, b, -1, along.LineOptions(1, 1, False), one)
    assert len(asked) == 2
    assert np.array_equal(asked[0], x[1])
    assert np.isnan(values).tolist() == [False, False, True, False]
    [(k, reason)] = raised[0].message.failures
    assert (k, reason) == (2, "NotCertifiedError: line did not prove its value")
    # A single pair raises.
    asked[:] = [None]
    options = along.LineOptions(1, 1, False)
    with monkeypatch.context() as patch:
        patch.setattr(along, "_certified", lambda *_: np.array([np.nan]))
        with pytest.raises(NotCertifiedError, match="line did not"):
            along.distances_along(x[1], y[1], a[1], b[1], -1, options, one)
    # What compiled passes cannot prove another path does.
    found = wasserstein_distance(x, y, a, b, axis=-1)
    monkeypatch.undo()
    np.testing.assert_allclose(found, wasserstein_distance(x, y, a, b, axis=-1), rtol=1e-14)


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_pairs_of_extreme_scale_take_the_other_path(scale):
    x, y, a, b = random_pairs(np.random.default_rng(7), 3, 5, 4)
    small = wasserstein_distance(x, y, a, b, axis=-1)
    found = wasserstein_distance(x * scale, y * scale, a, b, axis=-1)
    np.testing.assert_allclose(found, small * scale, rtol=1e-13)


# ------------------------------------------------------------------------- one large pair


N = 300 if JIT_OFF else 12_000


@pytest.mark.parametrize("p", [1, 2, math.inf])
@pytest.mark.parametrize("kind", ["plain", "weights", "ties", "offset", "outlier"])
def test_a_large_pair_is_that_of_the_other_path(p, kind, monkeypatch):
    monkeypatch.setattr(knobs.LINE_LONG, 64)
    rng = np.random.default_rng(8)
    x, y = rng.standard_normal(N), rng.standard_normal(N + 7) + 0.5
    a = b = None
    if kind != "plain":
        a, b = rng.random(N), rng.random(N + 7)
        a[:3], b[-3:] = 0.0, 0.0
        a, b = a / math.fsum(a), b / math.fsum(b)
    if kind == "ties":
        x, y = np.round(x, 1), np.round(y, 1)
    if kind == "offset":
        x, y = x + 1e6, y + 1e6
    if kind == "outlier":
        x[5] = 1e12
    wanted = solve(Problem(x, y, a, b, p=p)).distance

    def refuse(*arguments, **options):
        raise AssertionError("the compiled path gave up")

    monkeypatch.setattr("otdist.distances.wasserstein.solve", refuse)
    for n_jobs in (1, 2):
        found = wasserstein_distance(x, y, a, b, p=p, n_jobs=n_jobs)
        assert found == pytest.approx(wanted, rel=1e-12)


def test_sums_of_many_equal_masses_lose_nothing(monkeypatch):
    """Added up one by one, they all round the same way."""
    n = 2000 if JIT_OFF else 50_000
    rng = np.random.default_rng(16)
    x, y = rng.random(n), rng.random(3)
    result = solve(Problem(x, y))
    assert result.certificate.marginal_error < 1e-15
    assert result.gap <= 1e-13 * result.value
    monkeypatch.setattr("otdist.distances.wasserstein.solve", None)
    assert wasserstein_distance(x, y) == pytest.approx(result.value, rel=1e-14)


def test_a_large_pair_of_bad_input_is_refused_in_the_same_words():
    x = np.arange(30_000.0)
    x[17] = np.nan
    with pytest.raises(InputError, match=r"^x\[17\] is nan; x must be finite"):
        wasserstein_distance(x, x)
    with pytest.raises(InputError, match=r"^a must have shape \(30000,\)"):
        wasserstein_distance(np.arange(30_000.0), np.ones(2), np.ones(3))


# ------------------------------------------------------------------------------ sorting


@pytest.mark.parametrize(
    "values",
    [
        np.random.default_rng(0).standard_normal(500),
        np.random.default_rng(0).integers(0, 9, 500).astype(float),
        1e9 + np.random.default_rng(0).random(500),
        np.full(50, 3.0),
        np.array([2.0]),
        np.arange(300.0)[::-1],
        np.array([0.0, -0.0, 0.0, -1.0]),
        np.concatenate([[0.0, 5e-324], [1.0], [1e-300] * 4]),
    ],
    ids=["normal", "ties", "offset", "equal", "one", "reversed", "zeros", "tiny"],
)
def test_a_sort_by_keys_is_stable_argsort(values):
    order, ordered = along._by_keys(values[None])
    assert np.array_equal(order[0], np.argsort(values, kind="stable"))
    assert np.array_equal(ordered[0], np.sort(values))


def test_a_sort_by_keys_gives_up_where_keys_say_nothing():
    rng = np.random.default_rng(1)
    values = np.concatenate([rng.random(400), [1e250]])
    (keys, order), ordered = np.empty((2, 401), np.int64), np.empty(401)
    kernel.write_keys(values, 0.0, 1e250, keys)
    keys.sort()
    assert not kernel.read_keys(keys, values, order, ordered)
    order, ordered = along._by_keys(values[None])
    assert np.array_equal(ordered[0], np.sort(values))
    assert np.array_equal(order[0], np.argsort(values, kind="stable"))


def test_numbers_that_only_begin_sorted_are_sorted(monkeypatch):
    monkeypatch.setattr(knobs.SINGLE_SHORT, 100)
    rng = np.random.default_rng(23)
    x = np.concatenate([np.linspace(0, 1, 80), rng.random(70)])
    y, a, b = rng.random(150), *rng.dirichlet(np.ones(150), 2)
    wanted = solve(Problem(x, y, a, b)).value
    monkeypatch.setattr("otdist.distances.wasserstein.solve", None)
    assert wasserstein_distance(x, y, a, b) == pytest.approx(wanted, rel=1e-13)


def test_arrays_of_the_caller_are_left_alone(monkeypatch):
    """Sorted ones are not copied by sorting, and units are changed in place."""
    monkeypatch.setattr(knobs.SINGLE_SHORT, 100)
    rng = np.random.default_rng(24)
    x, a = np.sort(rng.random(150)) * 2.0**300, rng.dirichlet(np.ones(150)) * 2.0**300
    given = x, x + 2.0**290, a, a
    kept = [each.copy() for each in given]
    wasserstein_distance(*given, p=2)
    wasserstein_distance(*given, p=2, period=2.0**299)
    for before, after in zip(kept, given, strict=True):
        assert np.array_equal(before, after)


def test_far_points_without_mass_do_not_decide_the_unit(monkeypatch):
    x, y, a = np.array([0.0, 3.0, 1e30]), np.array([1.0, 5.0, 6.0]), np.array([0.5, 0.5, 0.0])
    assert single.distance_on_line(x, y, a, a, 3, False, 1) is None
    assert wasserstein_distance(x, y, a, a, p=3) == wasserstein_distance(x[:2], y[:2], p=3)


@pytest.mark.parametrize("values", [[-1e308, 1e308, 0.0], [2e-320, 0.0, 1e-320]])
def test_numbers_whose_range_has_no_keys_are_sorted_too(values):
    order, ordered = along._by_keys(np.array([values]))
    assert np.array_equal(order[0], np.argsort(values, kind="stable"))
    assert np.array_equal(ordered[0], np.sort(values))


# ---------------------------------------------------------------------------- the checker


def one_pair(rng, n, m, p):
    """Return a pair, and a true claim for it."""
    x, y = np.sort(rng.standard_normal(n)), np.sort(rng.standard_normal(m))
    a, b = rng.random(n), rng.random(m)
    a[0] = 0.0
    a, b = a / math.fsum(a), b / math.fsum(b)
    measures = Measures(x[None], y[None], a[None], b[None], np.zeros((4, 1), np.int64), np.ones(1))
    claims = along._claims(measures, (p, 0.0), along._Buffers.of(n, m, 1))
    return measures, claims


def bounds_of(measures, claims, p):
    proof = LineBounds(measures.x.shape[1], measures.y.shape[1], p, 1)
    proof.add(0, measures, claims, proof.scratch())
    return proof.bounds()


@pytest.mark.parametrize("p", [1.0, 1.5, 2.0])
def test_bounds_are_those_of_certify(p):
    rng = np.random.default_rng(9)
    for size in (3, 8, 150):
        measures, claims = one_pair(rng, size, size + 2, p)
        claims.f[0] = 0.1 * rng.standard_normal(size)  # read by `certify` only, for p > 1
        found = bounds_of(measures, claims, p)
        x, y, a, b = (each[0] for each in measures[:4])
        k = claims.n_arcs[0]
        arcs = Arcs(
            claims.rows[0, :k].astype(np.int64),
            claims.columns[0, :k].astype(np.int64),
            claims.mass[0, :k],
        )
        problem = Problem(x, y, a, b, p=p)
        wanted = certify(problem, arcs, claims.f[0])
        # Both are rounded down, by different amounts: compare `certify` with the dual value.
        best = (cost_of(problem) - claims.f[0][:, None])[a > 0].min(axis=0)
        dual = max(a @ claims.f[0] + b @ best, 0.0) if p > 1 else wanted.value
        assert dual - 1e-12 <= wanted.lower <= dual + 1e-15
        assert wanted.lower - 1e-14 <= found.lower[0] < found.value[0] < found.upper[0]
        assert found.value[0] == pytest.approx(wanted.value, rel=1e-14)
        assert found.is_coupling[0]
        assert found.proves(1e-12)[0]
        assert found.upper[0] - found.value[0] <= 1e-12 * found.value[0]


def test_bounds_hold_for_any_claim():
    """Whatever is claimed, what is accepted is no lie."""
    rng = np.random.default_rng(10)
    for p in (1.0, 2.0, math.inf):
        for _ in range(10):
            measures, claims = one_pair(rng, 5, 4, p)
            claims.f[0] = rng.standard_normal(5)
            k = int(claims.n_arcs[0])
            # Another coupling: two arcs exchange a part of their ends.
            i, j = rng.integers(0, k, 2)
            moved = 0.5 * min(claims.mass[0, i], claims.mass[0, j])
            claims.rows[0, k : k + 2] = claims.rows[0, i], claims.rows[0, j]
            claims.columns[0, k : k + 2] = claims.columns[0, j], claims.columns[0, i]
            claims.mass[0, k : k + 2] = moved
            claims.mass[0, i] -= moved
            claims.mass[0, j] -= moved
            claims.n_arcs[0] += 2
            found = bounds_of(measures, claims, p)
            value = oracles.exact_on_line(*(each[0] for each in measures[:4]), p)
            if p == math.inf:
                value = float(value)  # of distances, which are rounded one way or another
            assert found.lower[0] <= value <= found.upper[0]


@pytest.mark.parametrize("p", [1.0, 2.0, math.inf])
@pytest.mark.parametrize(
    "spoil",
    [
        lambda m, c: c.mass.__setitem__((0, 1), c.mass[0, 1] * (1 + 1e-8)),
        lambda m, c: c.mass.__setitem__((0, 1), -c.mass[0, 1]),
        lambda m, c: c.mass.__setitem__((0, 1), np.nan),
        lambda m, c: c.rows.__setitem__((0, 1), 10**6),
        lambda m, c: c.columns.__setitem__((0, 1), -1),
        lambda m, c: c.rows.__setitem__((0, 0), c.rows[0, 0] + 1),
        lambda m, c: c.n_arcs.__setitem__(0, c.n_arcs[0] - 1),
        lambda m, c: c.n_arcs.__setitem__(0, 0),
        lambda m, c: c.n_arcs.__setitem__(0, 99),
        lambda m, c: m.x.__setitem__((0, 3), m.x[0, 3] + 10),
        lambda m, c: m.y.__setitem__((0, 0), np.nan),
        lambda m, c: m.b.__setitem__((0, 0), m.b[0, 0] + 1e-9),
        lambda m, c: m.factor.__setitem__(0, 1 + 1e-9),
    ],
)
def test_what_is_no_coupling_proves_nothing(spoil, p):
    measures, claims = one_pair(np.random.default_rng(11), 6, 5, p)
    assert bounds_of(measures, claims, p).proves(1e-9)[0]
    spoil(measures, claims)
    assert not bounds_of(measures, claims, p).proves(1e-9)[0]


@pytest.mark.parametrize("p", [1.0, 2.0, math.inf])
def test_an_arc_of_negative_mass_proves_nothing_whatever_the_marginals(p):
    measures, claims = one_pair(np.random.default_rng(17), 6, 5, p)
    k = claims.n_arcs[0]
    for part in (claims.rows, claims.columns):
        part[0, k] = part[0, 0]
    claims.mass[0, k] = -claims.mass[0, 0]
    claims.mass[0, 0] *= 2
    claims.n_arcs[0] += 1
    found = bounds_of(measures, claims, p)
    assert np.isnan(found.lower[0])
    assert np.isnan(found.upper[0])


@pytest.mark.parametrize("p", [1.0, 1.5, 2.0])
def test_no_potential_is_read_on_a_line(p):
    measures, claims = one_pair(np.random.default_rng(20), 6, 5, p)
    wanted = bounds_of(measures, claims, p)
    assert wanted.proves(1e-13)[0]
    for value in (1e6, np.nan, np.inf):
        claims.f[:] = value
        found = bounds_of(measures, claims, p)
        assert (found.lower[0], found.upper[0]) == (wanted.lower[0], wanted.upper[0])


def test_masses_that_are_rounding_have_no_longest_way():
    measures, claims = one_pair(np.random.default_rng(18), 6, 5, math.inf)
    wanted = bounds_of(measures, claims, math.inf)
    k = claims.n_arcs[0]
    claims.rows[0, k], claims.columns[0, k], claims.mass[0, k] = 0, 4, 1e-15
    claims.n_arcs[0] += 1
    found = bounds_of(measures, claims, math.inf)
    assert found.upper[0] == wanted.upper[0] < measures.y[0, 4] - measures.x[0, 0]


@pytest.mark.parametrize("p", [1.0, 1.5, 2.0])
def test_another_coupling_than_that_in_order_is_not_proved(p):
    """It is a coupling, but what it says of the order is wrong, for half of the mass twice."""
    x, half = np.array([[0.0, 1.0]]), np.array([[0.5, 0.5]])
    pair = Measures(x, x + 0.25, half, half, np.zeros((4, 1), np.int64), np.ones(1))
    claims = along._claims(pair, (p, 0.0), along._Buffers.of(2, 2, 1))
    claims.columns[0, :2] = 1, 0
    found = bounds_of(pair, claims, p)
    assert found.lower[0] <= 0.25**p <= found.upper[0]
    assert not found.is_coupling[0]
    assert not found.proves(1e-9)[0]


@pytest.mark.parametrize("p", [1.0, 2.0])
def test_arcs_in_any_order_and_number_bound_the_optimum(p):
    """Arcs left out, twice, in another order, or between other points; the bounds hold."""
    rng = np.random.default_rng(22)
    for _ in range(400):
        n, m = (int(size) for size in rng.integers(1, 5, 2))
        x, y = np.sort(rng.normal(size=n)), np.sort(rng.normal(size=m))
        # Eighths, so that other arcs may have the same masses.
        a, b = rng.multinomial(8, np.ones(n) / n) / 8, rng.multinomial(8, np.ones(m) / m) / 8
        rows = [each[None] for each in (x, y, a, b)]
        measures = Measures(*rows, np.zeros((4, 1), np.int64), np.ones(1))
        claims = along._claims(measures, (p, 0.0), along._Buffers.of(n, m, 1))
        k = int(claims.n_arcs[0])
        order = np.arange(k)
        kind = rng.integers(4)
        if kind == 0:
            order = rng.permutation(k)
        elif kind == 1:
            order = np.sort(rng.integers(0, k, k))
        for each in (claims.rows, claims.columns, claims.mass):
            each[0, :k] = each[0, order]
        if kind == 2:
            claims.n_arcs[0] = rng.integers(1, k + 1)
        elif kind == 3:
            claims.rows[0, rng.integers(0, k)] = rng.integers(0, n)
        found = bounds_of(measures, claims, p)
        value = oracles.exact_on_line(x, y, a, b, p)
        assert Fraction(found.lower[0]) <= value <= Fraction(found.upper[0])
        used = slice(0, claims.n_arcs[0])
        sums = np.zeros(n), np.zeros(m)
        np.add.at(sums[0], claims.rows[0, used], claims.mass[0, used])
        np.add.at(sums[1], claims.columns[0, used], claims.mass[0, used])
        if found.is_coupling[0]:
            assert (sums[0] == a).all()
            assert (sums[1] == b).all()
            assert found.proves(1e-12)[0]


@pytest.mark.parametrize("p", [1.0, 2.0, 3.5])
@pytest.mark.parametrize("kind", ["uniform", "rounding", "ratio", "tiny", "near"])
def test_bounds_on_a_line_hold_in_exact_arithmetic_and_are_narrow(p, kind):
    """Weights whose sums differ by rounding or a factor, some of 1e-18, and points that stay."""
    rng = np.random.default_rng(21)
    for n, m in ((1, 1), (1, 4), (7, 3), (12, 12)):
        x, y = np.sort(rng.normal(size=n)), np.sort(rng.normal(size=m) + 0.1)
        a, b = rng.dirichlet(np.ones(n)), rng.dirichlet(np.ones(m))
        if kind == "uniform":
            a, b = np.full(n, 1 / n), np.full(m, 1 / m)
        elif kind == "rounding":
            b[-1] *= 1 + 1e-15
        elif kind == "tiny":
            a[0] = b[-1] = 1e-18
            b *= math.fsum(a) / math.fsum(b)
        factor = 1.0
        if kind == "near" and n == m:
            # The cost is some 1e-4 ** p, and a digit of the mass moves over lengths of 1.
            y, b = np.sort(x + 1e-4 * rng.random(n)), a.copy()
        if kind in ("ratio", "near"):
            b *= 1 + 1e-10
            factor = math.fsum(a) / math.fsum(b)
        pair = (x, y, a, b)
        rows = [each[None] for each in pair]
        given = Measures(*rows, np.zeros((4, 1), np.int64), np.array([factor]))
        claims = along._claims(given, (p, 0.0), along._Buffers.of(n, m, 1))
        found = bounds_of(given, claims, p)
        if p == 3.5:
            value = oracles.on_line(*pair, p)
            assert found.lower[0] * (1 - 1e-13) <= value <= found.upper[0] * (1 + 1e-13)
        else:
            value = oracles.exact_on_line(*pair, p)
            assert Fraction(found.lower[0]) <= value <= Fraction(found.upper[0])
        assert found.proves(1e-13)[0]


@st.composite
def measures(draw):
    def points(n):
        number = st.one_of(st.integers(-3, 3).map(float), st.floats(-10, 10))
        values = np.array(draw(st.lists(number, min_size=n, max_size=n)))
        return np.where(np.abs(values) < 1e-9, 0.0, values)

    n, m = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    return points(n), points(m), draw(weights(n)), draw(weights(m))


@given(measures(), st.sampled_from(ORDERS), st.integers(-60, 60))
def test_metamorphic(pair, p, k):
    x, y, a, b = pair

    def distance(x, y, a, b):
        return wasserstein_distance(x[None], y[None], a[None], b[None], p=p, axis=-1)[0]

    found = distance(x, y, a, b)
    same = pytest.approx(found, rel=1e-11, abs=1e-14 if p == 1 else 1e-6)
    exact = truth(x, y, a, b, p)
    if p != math.inf:  # where masses below 1e-12 of the total do not count
        assert exact == same
    assert distance(y, x, b, a) == same
    assert distance(-x, -y, a, b) == same
    assert distance(x[::-1], y, a[::-1], b) == same
    assert np.ldexp(distance(np.ldexp(x, k), np.ldexp(y, k), a, b), -k) == same
    halves = np.concatenate([a, a]) / 2
    assert distance(np.concatenate([x, x]), y, halves, b) == same
    with_nothing = np.append(x, 100.0), y, np.append(a, 0.0), b
    assert distance(*with_nothing) == same
    result = solve(Problem(x, y, a, b, p=p))
    assert found == pytest.approx(result.distance, rel=1e-12, abs=1e-15)
    if p != math.inf:
        assert_brackets(result, oracles.on_line(x, y, a, b, p))


# -------------------------------------------------------------------------- concave costs


@given(measures(), st.sampled_from([0.1, 0.5, 0.9]))
def test_concave_costs_are_those_of_exact_arithmetic(pair, p):
    problem = Problem(*pair, p=p, concave=True)
    result = solve(problem)
    assert_proved(result)
    exact = oracles.exact(cost_of(problem), problem.a, problem.b)
    assert result.distance == result.value
    # Compiled code and NumPy may round a power differently.
    for value in (result.value, wasserstein_distance(*pair, p=p, concave=True)):
        assert abs(Fraction(value) - exact) <= 1e-12 * max(1, float(exact))


@pytest.mark.parametrize("p", [0.2, 0.5])
def test_arcs_of_concave_costs_do_not_cross(p):
    rng = np.random.default_rng(13)
    n = 12 if JIT_OFF else 60
    x, y = rng.standard_normal(n), rng.standard_normal(n) + 0.3
    result = solve(Problem(x, y, p=p, concave=True))
    assert_proved(result)
    ends = [
        (min(x[i], y[j]), max(x[i], y[j]))
        for i, j in zip(result.plan.row, result.plan.col, strict=True)
    ]
    for s, t in ends:
        assert not any(s < low < t < high for low, high in ends)
    line = wasserstein_distance(x, y)
    assert result.value < line**p  # Jensen: that of the mean way
    assert result.value == pytest.approx(oracles.by_assignment(cost_of(result.problem)), rel=1e-12)


def test_common_mass_stays_where_the_cost_is_concave():
    x, y = np.arange(5.0), np.arange(1.0, 6)
    assert wasserstein_distance(x, y, p=0.5, concave=True) == pytest.approx(5**0.5 / 5)
    plan = solve(Problem(x, y, p=0.5, concave=True)).plan.toarray()
    assert plan[0, 4] == 0.2
    assert np.array_equal(np.diag(plan, -1), np.full(4, 0.2))


def test_concave_costs_are_a_metric_of_measures():
    rng = np.random.default_rng(14)
    x, (a, b, c) = rng.random(6), rng.dirichlet(np.ones(6), 3)

    def distance(a, b):
        return wasserstein_distance(x, x, a, b, p=0.3, concave=True, normalize=True)

    assert distance(a, c) <= distance(a, b) + distance(b, c) + 1e-12
    assert distance(a, b) == pytest.approx(distance(b, a), rel=1e-12)
    assert distance(a, a) == 0
    scaled = wasserstein_distance(8 * x, 8 * x, a, b, p=0.3, concave=True, normalize=True)
    assert scaled == pytest.approx(8**0.3 * distance(a, b), rel=1e-12)


def test_concave_costs_along_an_axis_by_other_methods_and_their_slopes():
    rng = np.random.default_rng(15)
    x, y = rng.random((3, 4)), rng.random((3, 5))
    found = wasserstein_distance(x, y, p=0.5, concave=True, axis=1)
    for k in range(3):
        problem = Problem(x[k], y[k], p=0.5, concave=True)
        assert found[k] == pytest.approx(solve(problem, method="highs").value)
    entropic = solve(problem, method="sinkhorn", tol=1e-2)
    assert entropic.lower <= found[2] * (1 + 1e-12) <= entropic.upper * (1 + 2e-12)
    result, h = solve(problem), 1e-7
    moved = Problem(x[2] + np.array([h, 0, 0, 0]), y[2], p=0.5, concave=True)
    rise = (solve(moved).value - result.value) / h
    assert result.gradients().x[0, 0] == pytest.approx(rise, rel=1e-4)


def test_slopes_of_concave_costs_are_finite_where_mass_stays():
    result = solve(Problem([0.0, 1.0], [1.0, 2.0], p=0.5, concave=True))
    slopes = result.gradients().x[:, 0]
    assert slopes == pytest.approx([-0.25 / 2**0.5, 0.0])


@pytest.mark.skipif(JIT_OFF, reason="takes long")
def test_concave_costs_of_many_points():
    rng = np.random.default_rng(21)
    x, y = rng.standard_normal(600), rng.standard_normal(600) + 1
    result = solve(Problem(x, y, p=0.5, concave=True))
    assert_proved(result)
    wanted = oracles.by_assignment(cost_of(result.problem))
    assert result.value == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"p": 0.5}, "for points on the line pass concave=True; elsewhere pass the matrix"),
        ({"p": 0.0, "concave": True}, "p must be between 0 and 1, got 0.0"),
        ({"p": 1, "concave": True}, "p must be between 0 and 1, got 1"),
        ({"p": math.nan, "concave": True}, "p must be between 0 and 1, got nan"),
        ({"p": 0.5, "concave": "yes"}, "concave must be True or False, got 'yes'"),
        ({"p": 0.5, "concave": True, "method": "line"}, "method='line' needs points"),
    ],
)
def test_concave_orders_that_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        wasserstein_distance([0.0, 1], [2.0], **options)


@pytest.mark.parametrize("x", [[[0.0, 1]], [[0.0]]])
def test_concave_costs_are_for_the_line(x):
    metric = "euclidean" if len(x[0]) == 2 else (lambda u, v: abs(u - v)[0])
    with pytest.raises(InputError, match="with concave=True is for points on the line"):
        Problem(x, x, p=0.5, metric=metric, concave=True)


@pytest.mark.skipif(JIT_OFF, reason="takes long without compilation")
@pytest.mark.parametrize("seed", range(5))
def test_weights_of_many_points_beside_equal_ones_are_proved_at_once(seed):
    """A plain sum of many weights is off by more than the ratio of the sums may be."""
    rng = np.random.default_rng(seed)
    n = 100_000
    x, y, a = rng.normal(size=n), rng.normal(size=n), rng.dirichlet(np.ones(n))
    for p in (1, 2):
        assert single.distance_on_line(x, y, a, None, p, False, 1) is not None
        assert single.distance_on_line(x, y, None, a, p, False, 1) is not None


@pytest.mark.parametrize(
    "p, metric", [*((p, "euclidean") for p in (1, 2, 2.5, 3)), (1, "sqeuclidean")]
)
@pytest.mark.parametrize("scale", [0, 40, -300])
def test_pairs_of_different_sizes_are_those_of_one_pair(p, metric, scale, monkeypatch):
    rng = np.random.default_rng(31)
    sizes = (1, 5, 40, 41, 17)
    x = [np.ldexp(rng.normal(size=n), scale) for n in sizes]
    a = [rng.dirichlet(np.ones(n)) * (rng.random(n) > 0.2) + 1e-9 for n in sizes]
    measures = [(points, weights / weights.sum()) for points, weights in zip(x, a, strict=True)]

    def one(first, second):
        (x, a), (y, b) = first, second
        return wasserstein_distance(x, y, a, b, p=p, metric=metric)

    wanted = [[one(first, second) for second in measures] for first in measures]
    monkeypatch.setattr("otdist.batch.solve.solve", None)  # for pairs that are not proved at once
    found = pairwise(measures, p=p, metric=metric)
    np.testing.assert_allclose(found, wanted, rtol=1e-13, atol=0)
    across = pairwise(measures[:2], other=measures[2:], p=p, metric=metric)
    np.testing.assert_allclose(across, np.array(wanted)[:2, 2:], rtol=1e-13, atol=0)
