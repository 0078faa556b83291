"""Blocks of small pairs: what the compiled solver claims, proved again in NumPy."""

from __future__ import annotations

import math
import warnings

import numpy as np
import oracles
import pytest
from conftest import JIT_OFF
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from otdist import FailedPairsWarning, emd, pairwise, wasserstein_distance
from otdist.batch import pack as _measures
from otdist.batch import solve as _solve_pairs
from otdist.batch.pairs import Pairs
from otdist.certificate import many as certify_many
from otdist.certificate.many import Clouds, packed

EPS = float(np.finfo(float).eps)
METRICS = ["euclidean", "cityblock", "chebyshev", "sqeuclidean"]
NAMES = {"euclidean": "euclidean", "cityblock": "cityblock", "chebyshev": "chebyshev"}


def histograms(rng, count, n, *, kind="dense"):
    masses = rng.random((count, n)) + 1e-3
    if kind == "sparse":
        masses *= rng.random((count, n)) < 0.5
        masses[:, 0] += 0.1
    if kind == "counts":
        masses = rng.multinomial(16, np.full(n, 1 / n), size=count).astype(float)
    return masses


def clouds(rng, count, d, *, most=12):
    found = []
    for k in range(count):
        n = int(rng.integers(1, most + 1))
        x = rng.normal(size=(n, d))
        if k % 3 == 1:
            x = rng.integers(0, 3, size=(n, d)).astype(float)  # ties and duplicates
        weights = rng.random(n) * (rng.random(n) < 0.8)
        weights[0] += 0.1
        found.append(x if k % 2 else (x, weights / math.fsum(weights)))
    return found


def frozen(family):
    return packed(type(family), *family)


def costs_of(family, i, j):
    """Return the cost matrix of a pair and its masses, by SciPy."""
    if not isinstance(family, Clouds):
        return family.cost, family.a[i], family.b[j]
    (x, a), (y, b) = family.cloud(i), family.cloud(j + family.offset)
    return cdist(x, y, family.metric) ** family.p, a, b


def claims_of(family, first, second):
    n, m = family.most
    claims = _solve_pairs.claims_for(family, len(first), n, m)
    _solve_pairs.solve_pairs(family, first, second, _solve_pairs.work_for(n, m), claims)
    return claims


def assert_claims_prove(family, claims, first, second):
    """Prove each claim optimal from the data alone: coupling, potentials, gap."""
    assert (claims.code == 0).all()
    for q, (i, j) in enumerate(zip(first, second, strict=True)):
        cost, a, b = costs_of(family, i, j)
        plan, k = np.zeros(cost.shape), claims.n_arcs[q]
        np.add.at(plan, (claims.row[q, :k], claims.column[q, :k]), claims.mass[q, :k])
        g, mass, scale = claims.g[q, : len(b)], math.fsum(a), np.abs(cost).max()
        if not isinstance(family, Clouds) and family.is_metric:
            plan[np.arange(len(a)), np.arange(len(a))] += np.minimum(a, b)
            gains = b > a
        else:
            gains = b > 0
        assert (plan >= 0).all()
        assert np.abs(plan.sum(axis=1) - a).max() <= 1e-13 * mass
        assert np.abs(plan.sum(axis=0) - b).max() <= 1e-13 * mass
        value = math.fsum((plan * cost).ravel())
        if not gains.any():
            assert value <= 1e-15 * mass * scale
            continue
        # f is a c-transform: of all bins, and 1-Lipschitz, if the cost is a metric.
        f = (cost[:, gains] - g[gains]).min(axis=1)
        if isinstance(family, Clouds) or not family.is_metric:
            lower = math.fsum(np.concatenate([a * f, (b * g)[gains]]))
        else:
            assert (f[:, None] - f <= cost + 8 * EPS * scale).all()
            lower = math.fsum((a - b) * f)
        size = scale + np.abs(g[gains]).max() + np.abs(f).max()
        assert value - lower <= 1e-9 * value + 1e-14 * mass * size


@pytest.mark.parametrize("kind", ["dense", "sparse", "counts"])
@pytest.mark.parametrize("metric, p", [*((m, 1) for m in METRICS), ("euclidean", 2)])
def test_claims_on_bins_are_proved_again_in_numpy(metric, p, kind):
    rng = np.random.default_rng([3, p, len(metric)])
    bins = np.indices((3, 3)).reshape(2, -1).T * 1.5
    a = histograms(rng, 5, 9, kind=kind)
    other = histograms(rng, 3, 9, kind=kind)
    pack = _measures.pack_histograms
    for rows in (None, other):
        family = frozen(pack(a, rows, bins, None, metric, p, True))
        assert family.is_metric == (metric != "sqeuclidean" and p == 1)
        pairs = Pairs(5, 5 if rows is None else 3, rows is None)
        first, second = pairs.between(0, pairs.number)
        claims = claims_of(family, first, second)
        assert_claims_prove(family, claims, first, second)


@pytest.mark.parametrize("d", [1, 2, 4])
@pytest.mark.parametrize(
    "metric, p", [*((m, 1) for m in METRICS), ("euclidean", 2), ("cityblock", 1.5)]
)
def test_claims_on_clouds_are_proved_again_in_numpy(metric, p, d):
    rng = np.random.default_rng([4, d, len(metric)])
    measures, other = clouds(rng, 6, d), clouds(rng, 3, d)
    for rows in (None, other):
        family = frozen(_measures.pack_clouds(measures, rows, metric, p, False))
        pairs = Pairs(6, 6 if rows is None else 3, rows is None)
        first, second = pairs.between(0, pairs.number)
        bounds = family.largest_of(first, second)
        for bound, i, j in zip(bounds, first, second, strict=True):
            assert costs_of(family, i, j)[0].max() <= bound * (1 + 1e-15)
        claims = claims_of(family, first, second)
        assert_claims_prove(family, claims, first, second)


@pytest.mark.parametrize("exact_masses", [True, False])
def test_values_are_the_exact_rationals(exact_masses):
    rng = np.random.default_rng(5)
    bins = np.array([[0, 0], [0, 1], [2, 0], [3, 4]])
    a = histograms(rng, 4, 4, kind="counts" if exact_masses else "dense")
    if not exact_masses:
        a /= a.sum(axis=1, keepdims=True)
    cost = cdist(bins, bins)
    matrix = pairwise(a, support=bins)
    for i in range(4):
        for j in range(i):
            truth = oracles.exact(cost, a[j], a[i])
            assert abs(matrix[j, i] - float(truth)) <= 1e-14 * 5 * a[0].sum()


def test_values_are_those_of_highs_and_pot():
    rng = np.random.default_rng(6)
    a = histograms(rng, 4, 12, kind="sparse")
    a /= a.sum(axis=1, keepdims=True)
    bins = rng.normal(size=(12, 3))
    for p in (1, 2):
        cost = cdist(bins, bins) ** p
        matrix = pairwise(a, support=bins, p=p) ** p
        again = pairwise(a, cost=cost)
        for i in range(4):
            for j in range(i):
                truth = oracles.by_linprog(cost, a[i], a[j])
                assert matrix[i, j] == pytest.approx(truth, rel=1e-9)
                assert matrix[i, j] == pytest.approx(oracles.by_pot(cost, a[i], a[j]), rel=1e-12)
                assert again[i, j] == pytest.approx(matrix[i, j], rel=1e-12)


# ------------------------------------------------------------------ the certificate


def brackets_in_numpy(family, first, second, claims):
    """The twin of the kernels: bounds of claims, however bad, by sums of NumPy."""
    found = []
    for q, (i, j) in enumerate(zip(first, second, strict=True)):
        cost, a, b = costs_of(family, i, j)
        k, g = claims.n_arcs[q], claims.g[q, : len(b)]
        if not isinstance(family, Clouds) and family.is_metric:
            a, b = np.maximum(a - b, 0), np.maximum(b - a, 0)
        row, column, mass = claims.row[q, :k], claims.column[q, :k], claims.mass[q, :k]
        gains = b > 0
        f = (cost[:, gains] - g[gains]).min(axis=1)
        lower = a[a > 0] @ f[a > 0] + b[gains] @ g[gains]
        upper = mass @ cost[row, column]
        error = np.abs(np.bincount(row, mass, len(a)) - a).sum()
        error += np.abs(np.bincount(column, mass, len(b)) - b).sum()
        found.append((lower, upper, error))
    return np.array(found).T


def both_families(seed=7):
    rng = np.random.default_rng(seed)
    bins = rng.normal(size=(8, 2))
    a = histograms(rng, 4, 8)
    pack = _measures.pack_histograms
    return [
        frozen(pack(a, None, bins, None, "euclidean", 1.0, True)),
        frozen(pack(a, None, bins, None, "euclidean", 2.0, True)),
        frozen(_measures.pack_clouds(clouds(rng, 4, 3), None, "euclidean", 1.0, True)),
    ]


@pytest.mark.parametrize("which", range(3))
def test_the_certificate_is_its_twin_in_numpy(which):
    family = both_families()[which]
    first, second = Pairs(4, 4, True).between(0, 6)
    claims = claims_of(family, first, second)
    rng = np.random.default_rng(8)
    for noise in (0.0, 0.1):
        claims.g[:] += noise * rng.normal(size=claims.g.shape)
        for q in range(6):
            claims.mass[q, : claims.n_arcs[q]] *= 1 + noise
        found = certify_many.bracket(family, first, second, *claims[1:])
        lower, value, error = brackets_in_numpy(family, first, second, claims)
        assert found.proves(1e-9).all() == (noise == 0.0)
        largest = family.largest_of(first, second)
        lower = np.maximum(lower, 0.0)
        np.testing.assert_allclose(found.lower, lower, rtol=1e-12)
        np.testing.assert_allclose(found.value, np.maximum(value, lower), rtol=1e-13)
        # Mass that is missing may have to go anywhere, and mass too much comes from anywhere;
        # a little more is charged for the rounding of these sums.
        charge = (2 + 2.0**-30) * error * largest
        np.testing.assert_allclose(found.upper, value + charge, rtol=1e-12)
        assert (error < 1e-13).all() == (noise == 0.0) == found.is_coupling.all()


def spoil_potentials(claims):
    claims.g[0] += np.linspace(0, 1e-3, claims.g.shape[1])


def lose_mass(claims):
    claims.mass[0, 0] *= 0.5


def gain_mass(claims):
    claims.mass[0, 0] += 1e-6


def swap_arcs(claims):
    k = claims.n_arcs[0]
    claims.column[0, :k] = np.roll(claims.column[0, :k], 1)


def swap_rows(claims):
    k = claims.n_arcs[0]
    claims.row[0, :k] = np.roll(claims.row[0, :k], 1)


def drop_an_arc(claims):
    claims.n_arcs[0] -= 1


def nan_potentials(claims):
    claims.g[0] = np.nan


def infinite_potentials(claims):
    claims.g[0] = np.inf


def huge_potentials(claims):
    claims.g[0] = 1e18


def negative_mass(claims):
    claims.mass[0, 0] *= -1


def nan_mass(claims):
    claims.mass[0, 0] = np.nan


def no_such_atom(claims):
    claims.row[0, 0] = 10**9


def negative_atom(claims):
    claims.column[0, 0] = -1


LIES = [
    spoil_potentials,
    lose_mass,
    gain_mass,
    swap_arcs,
    swap_rows,
    drop_an_arc,
    nan_potentials,
    infinite_potentials,
    huge_potentials,
    negative_mass,
    nan_mass,
    no_such_atom,
    negative_atom,
]


@pytest.mark.parametrize("lie", LIES)
def test_the_certificate_is_not_fooled(lie):
    for family in both_families():
        first, second = Pairs(4, 4, True).between(0, 6)
        claims = claims_of(family, first, second)
        lie(claims)
        found = certify_many.bracket(family, first, second, *claims[1:])
        assert not found.proves(1e-9)[0], lie.__name__
        assert found.proves(1e-9)[1:].all()


def test_a_gap_of_zero_is_no_proof_without_a_coupling():
    """Where arcs and potentials are 0, so are both bounds, whatever the plan."""
    one = np.zeros((1, 2))
    family = frozen(_measures.pack_clouds([one, one], None, "euclidean", 1.0, False))
    pair = np.array([0]), np.array([1])
    claims = claims_of(family, *pair)
    assert certify_many.bracket(family, *pair, *claims[1:]).proves(1e-9)[0]
    claims.mass[0, 0] = 0.5
    found = certify_many.bracket(family, *pair, *claims[1:])
    assert found.lower[0] == found.upper[0] == 0
    assert not found.is_coupling[0]
    assert not found.proves(1e-9)[0]


def test_an_unproved_pair_is_solved_again(monkeypatch):
    family = both_families()[2]
    honest = _solve_pairs.solve_pairs
    block = _solve_pairs.solve_block((4, 4, True), 0, 6, 1.0, type(family), *family)

    def liar(family, first, second, work, claims):
        honest(family, first, second, work, claims)
        swap_arcs(claims)
        claims.code[1] = 1

    monkeypatch.setattr(_solve_pairs, "solve_pairs", liar)
    again = _solve_pairs.solve_block((4, 4, True), 0, 6, 1.0, type(family), *family)
    assert again.failures == []
    np.testing.assert_allclose(again.values, block.values, rtol=1e-12)


def test_small_pairs_are_all_proved_at_once(monkeypatch):
    """No pair goes the slow way, whatever its masses, unless what differs is their rounding."""
    solved, slow = _solve_pairs._solved, set()

    def noted(family, i, j, p):
        slow.add((i, j))
        return solved(family, i, j, p)

    monkeypatch.setattr(_solve_pairs, "_solved", noted)
    rng = np.random.default_rng(9)
    bins = np.indices((4, 4)).reshape(2, -1).T
    rows = histograms(rng, 8, 16)
    rows[1] = rows[0]
    rows[2] = np.eye(16)[4]
    rows[3] = np.eye(16)[6]
    rows[4] = rows[0] * (1 + 1e-15 * rng.normal(size=16))
    rows[5] = rows[0] + 1e-9 * rng.random(16)
    rows[6] = 10.0 ** -rng.integers(0, 25, 16)
    rows /= rows.sum(axis=1, keepdims=True)
    alike = {(0, 1), (0, 4), (0, 5), (1, 4), (1, 5), (4, 5)}
    for p in (1, 2):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", FailedPairsWarning)
            matrix = pairwise(rows, support=bins, p=p)
        assert matrix[0, 1] == 0
        assert matrix[2, 3] == 2
        refused = {failure[:2] for each in caught for failure in each.message.failures}
        assert refused <= {(0, 4), (1, 4)}
        cost = cdist(bins, bins) ** p
        for i, j in slow - refused:
            truth = float(oracles.exact(cost, rows[i], rows[j]))
            assert matrix[i, j] ** p == pytest.approx(truth, rel=1e-9)
    assert slow <= alike
    slow.clear()
    points = [rng.normal(size=(n, 2)) * 10.0**k for k, n in enumerate((5, 7, 1, 9))]
    assert np.isfinite(pairwise(points)).all()
    assert not slow


def test_masses_below_the_unit_of_integers_keep_their_digits():
    """2**-61 of the total is 4e-19: what is rounded to that is fitted again."""
    rows = np.array([[1, 7.3e-18, 0], [1, 0, 7.3e-18]])
    matrix = pairwise(rows, support=[0.0, 1.0, 1e3], p=2) ** 2
    truth = oracles.exact(np.subtract.outer([0, 1, 1e3], [0, 1, 1e3]) ** 2, *rows)
    assert matrix[0, 1] == pytest.approx(float(truth), rel=1e-9)


# ------------------------------------------------------------- properties of matrices


@st.composite
def problems(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = draw(st.sampled_from(["dense", "sparse", "counts"]))
    n, count = draw(st.integers(1, 7)), draw(st.integers(2, 4))
    bins = rng.integers(0, 4, size=(n, 2)).astype(float)
    masses = histograms(rng, count, n, kind=kind)
    return bins, masses / masses.sum(axis=1, keepdims=True)


@given(problems(), st.integers(-60, 60), st.sampled_from([1, 2]))
def test_matrices_do_not_depend_on_units_order_or_zeros(problem, power, p):
    bins, masses = problem
    options = {"metric": "euclidean", "p": p}
    matrix = pairwise(masses, support=bins, **options)
    slack = 1e-12 * (matrix.max() + 1e-300) if p == 1 else 1e-7
    scaled = pairwise(masses * 2.0**power, support=bins * 2.0**-power, **options)
    unit = 2.0 ** (power / p - power)
    np.testing.assert_allclose(scaled / unit, matrix, rtol=1e-9, atol=slack)
    # Bins in another order, one bin twice, and a bin where no mass is.
    order = np.roll(np.arange(len(bins)), 1)
    half = masses[:, order].copy()
    half[:, 0] /= 2
    wider = np.column_stack([half, half[:, 0], np.zeros(len(half))])
    places = np.concatenate([bins[order], bins[order][:1], [[50.0, 50.0]]])
    again = pairwise(wider, support=places, **options)
    np.testing.assert_allclose(again, matrix, rtol=1e-9, atol=slack)
    # The same measures as clouds, moved.
    listed = [(bins + 3, row) for row in masses]
    by_clouds = pairwise(listed, **options)
    np.testing.assert_allclose(by_clouds, matrix, rtol=1e-9, atol=slack)
    # A metric: symmetric by construction; the triangle inequality is not.
    for i in range(len(masses)):
        assert (matrix <= matrix[:, [i]] + matrix[i] + slack).all()


@given(st.integers(0, 2**32 - 1), st.integers(1, 3))
def test_a_matrix_of_costs_is_seen_to_be_a_metric_or_not(seed, d):
    rng = np.random.default_rng(seed)
    cost = cdist(*[rng.integers(0, 5, size=(6, d)).astype(float)] * 2, "cityblock")
    assert certify_many.triangle_excess(cost) == 0
    i, j = 0, 5
    best = min(cost[i, k] + cost[k, j] for k in range(1, 5))
    cost[i, j] = cost[j, i] = best + 0.5
    assert certify_many.triangle_excess(cost) == pytest.approx(0.5)
    cost[i, j] = np.nan
    assert certify_many.triangle_excess(cost) == math.inf


def test_pairs_are_counted_row_by_row():
    for n in (0, 1, 2, 7):
        pairs = Pairs(n, n, True)
        rows, columns = np.triu_indices(n, 1)
        found = pairs.between(0, pairs.number)
        assert (found[0] == rows).all()
        assert (found[1] == columns).all()
    whole = Pairs(3, 4, False)
    assert whole.number == 12
    assert (whole.between(5, 7)[0] == [1, 1]).all()
    assert (whole.between(5, 7)[1] == [1, 2]).all()
    large = Pairs(44_722, 44_722, True)  # 10⁹ pairs
    i, j = large.between(large.number - 2, large.number)
    assert (i == [44_719, 44_720]).all()
    assert (j == [44_721, 44_721]).all()


@pytest.mark.skipif(JIT_OFF, reason="too many atoms for plain Python")
def test_pairs_too_large_for_one_call_are_solved_one_by_one():
    rng = np.random.default_rng(10)
    large = [rng.normal(size=(600, 2)), rng.normal(size=(520, 2)) + 1]
    measures = [*large, *clouds(rng, 2, 2)]
    matrix = pairwise(measures)
    assert matrix[0, 1] == pytest.approx(
        oracles.by_pot(cdist(*large), np.full(600, 1 / 600), np.full(520, 1 / 520)),
        rel=1e-10,
    )


def test_masses_over_many_orders_are_as_exact_in_pairs_as_alone():
    """Masses in whole units of 2**-61 of the sum were scaled to fit; 3e-13 apart for p = 100."""
    x, y = np.array([[0.0], [-1], [0], [-1]]), np.array([[1.0], [0], [1]])
    a = np.array([1.1641532182693481e-10, 1.1641532182693481e-09, 0.5, 1.5552621334791183e-05])
    b = np.array([0.5, 1.5552717592510284e-05, 1.2193598908361025e-09])
    alone = wasserstein_distance(x, y, a, b, p=100, metric="cityblock")
    pair = pairwise([(x, a)], [(y, b)], p=100, metric="cityblock")[0, 0]
    plane = wasserstein_distance(np.c_[x, x], np.c_[y, y], a, b, p=100, metric="chebyshev")
    assert pair == pytest.approx(alone, rel=1e-15, abs=0)
    assert plane == pytest.approx(alone, rel=1e-15, abs=0)


@pytest.mark.parametrize("exponent", [-214, 0, 300])
def test_squares_on_the_line_keep_their_unit(exponent):
    """A pair left to the exact way came back in a unit of length, and squares have none."""
    x, y = np.array([[0.9982579], [1.0], [0.0]]), np.array([[0.9983141], [1.0]])
    a, b = [1.0, 1.0, 1.0371672934557374e-09], [1.0, 1.0]
    near = wasserstein_distance(x, y, a, b, metric="sqeuclidean")
    x, y = np.ldexp(x, exponent), np.ldexp(y, exponent)
    pair = pairwise([(x, a)], [(y, b)], metric="sqeuclidean")[0, 0]
    assert pair == pytest.approx(math.ldexp(near, 2 * exponent), rel=1e-9, abs=0)


def test_pairs_on_the_line_are_as_exact_as_one():
    """The largest cost, 3 ** 50, made a tolerance that hid the last digits of 2 ** 50 / 256."""
    x, y = np.array([[-1.0], [0], [0], [1]]), np.array([[0.0], [0], [1], [-2]])
    a, b = [0.63671875, 1.0, 0.640625, 1.0], [1.0, 0.63671875, 1.0, 0.640625]
    right = (2.0**42 + 0.63671875) ** (1 / 50)
    pair = pairwise([(x, a)], [(y, b)], p=50)[0, 0]
    assert pair == pytest.approx(right, rel=1e-15, abs=0)


def test_the_largest_costs_do_not_overflow_in_whole_masses():
    """A mean cost was inf, and so the tolerance: 9e-10 above the optimum passed as proved."""
    largest, part = 1.559250241824e290, 9.313225746154785e-10
    cost = np.array([[0.0, largest], [0.0, 0.0]])
    a, b = [1.0, part], [part, 1.0]
    right = largest * (1 - part)
    assert emd(a, b, cost) == pytest.approx(right, rel=1e-15, abs=0)
    pair = pairwise([a], [b], cost=cost)[0, 0]
    assert pair == pytest.approx(right, rel=1e-15, abs=0)


def test_what_sums_differ_by_is_not_given_to_one_mass():
    """It counted as rounding of the largest one, and went there at a cost of 1."""
    a, b = np.array([1.0, 1.0, 0.0, 2.0**-53]), np.array([1.0, 1.0])
    cost = np.array([[1.0, 0.0], [0.00146484375, 1.0], [0.0, 8192.0], [0.0, 0.0]])
    assert emd(a, b, cost) == pytest.approx(0.00146484375, rel=1e-15, abs=0)
    assert pairwise([a], [b], cost=cost)[0, 0] == pytest.approx(0.00146484375, rel=1e-15, abs=0)
