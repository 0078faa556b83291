"""Every function at 2**k times the input: the same digits, or a refusal that says so.

A power of two changes no digit of a float, so a result has to be the exact multiple, of the
degree of the function. What cannot be represented is an `InputError`, never 0, inf or NaN.
"""

from __future__ import annotations

import contextlib
import functools
import math
import warnings

import numpy as np
import pytest
from conftest import JIT_OFF
from scipy.sparse import csr_array

import otdist as od
from otdist import InputError, NotCertifiedError, Problem, gaussian, samples, sliced, solve

rng = np.random.default_rng(2024)
X, Y = rng.normal(size=(7, 3)), rng.normal(size=(6, 3)) + np.eye(3)[0]
A, B = rng.dirichlet(np.ones(7)), rng.dirichlet(np.ones(6))
COST = rng.random((7, 6))
MANY = rng.normal(size=(4, 7)), rng.normal(size=(4, 6)) + 1.0
TWO = np.concatenate([rng.random((40, 2)), rng.random((40, 2)) + np.eye(2)[0]])
ROOT = rng.normal(size=(2, 3, 3))
C1, C2 = ROOT @ ROOT.transpose(0, 2, 1)
IMAGE = rng.dirichlet(np.ones(12), size=2).reshape(2, 3, 4)
RING = np.array([[0, 1, 0, 2.5], [1, 0, 3, 0], [0, 3, 0, 1], [2.5, 0, 1, 0]])

#: Sizes of the input, as powers of two.
SIZES = (-900, -530, -100, 100, 530, 900)


def distance(d, p, **options):
    """Return a call of `wasserstein_distance` in d coordinates."""

    def call(s):
        yield od.wasserstein_distance(X[:, :d] * s, Y[:, :d] * s, A, B, p=p, **options), 1

    return call


def numbers(x, y, p, **options):
    """Return a call of `wasserstein_distance` of numbers along an axis, or on the line."""

    def call(s):
        period = options.pop("period", None)
        more = options if period is None else options | {"period": period * s}
        yield od.wasserstein_distance(x * s, y if isinstance(y, str) else y * s, p=p, **more), 1
        if period is not None:
            options["period"] = period

    return call


def solved(make, p=1, **options):
    """Return a call of `solve` on a problem made for a size, whose costs have the degree p."""

    def call(s):
        problem = make(s)
        more = {name: option(s) for name, option in options.items() if callable(option)}
        result = solve(problem, **{**options, **more})
        assert result.success, result.message
        yield [result.value, result.lower, result.upper], p
        yield result.distance, p if problem.p == math.inf else round(p / problem.p)
        for potential in result.potentials:
            yield potential, 0 if problem.is_bottleneck else p
        yield result.plan.toarray(), 0
        is_flow = isinstance(result.coupling, od.plans.Flow)
        plan = result.coupling if is_flow else result.plan
        certificate = od.certify(problem, plan, *result.potentials)
        yield [certificate.lower, certificate.upper], p
        if problem.geometry.facts.has_positions and not problem.is_bottleneck:
            gradients = result.gradients()
            yield gradients.x, p - 1
            yield gradients.y, p - 1

    return call


def points(d, p, **options):
    return lambda s: Problem(X[:, :d] * s, Y[:, :d] * s, A, B, p=p, **options)


def clouds(s, d):
    return [X[:, :d] * s, (Y[:, :d] * s, B), X[2:5, :d] * s]


def pairwise(d, p, **options):
    def call(s):
        yield od.pairwise(clouds(s, d), p=p, **options), 1

    return call


def bins(p, **options):
    def call(s):
        rows = np.stack([A, A[::-1], np.roll(A, 2)])
        yield od.pairwise(rows, support=X * s, p=p, **options), 1

    return call


def slices(function, p):
    def call(s):
        found = function(X * s, Y * s, A, B, p=p, rng=0)
        if isinstance(found, float):
            yield found, 1
            return
        yield found.value, 1
        yield (found.standard_error if hasattr(found, "standard_error") else found.upper), 1
        if hasattr(found, "direction"):
            yield found.direction, 0

    return call


def critic(family, **options):
    def call(s):
        found = od.kr_dual(TWO[:40] * s, TWO[40:] * s, critic=family, rng=0, **options)
        yield [found.value, found.standard_error], 1
        yield found(TWO * s), 1
        yield found.gradient(TWO * s), 0

    return call


def interval(s):
    found = od.w1_interval(
        TWO[:40] * s, TWO[40:] * s, box=([0, 0], [2 * s, s]), critic="linear", rng=0
    )
    yield [found.lower, found.upper, found.plug_in], 1


def interval_of_diameter(s):
    found = od.w1_interval(TWO[:40] * s, TWO[40:] * s, diameter=3 * s, critic="radial", rng=0)
    yield [found.lower, found.upper, found.plug_in], 1


def slope(metric):
    def call(s):
        yield od.lipschitz_lower(lambda z: z[:, 0], X[:, :2] * s, metric=metric, rng=0), 0

    return call


def transform(p, metric):
    def call(s):
        yield od.c_transform(X * s, Y * s, B * power(s, p), p=p, metric=metric), p

    return call


def bures(s):
    yield od.bures_wasserstein_distance(X[0] * s, C1 * power(s, 2), X[1] * s, C2 * power(s, 2)), 1


def normal_distance(p):
    def call(s):
        yield (
            gaussian.wasserstein_distance(
                X[0, 0] * s, power(s, 2), X[1, 0] * s, 3 * power(s, 2), p=p
            ),
            1,
        )

    return call


def table(s):
    found = od.compare(X * s, Y * s, A, B)
    for row in found.rows:
        is_length = row.name in ("W_1", "cost", "KR dual", "Sinkhorn")
        yield [row.value, row.lower, row.upper], int(is_length)


def neighbours(s):
    found = samples.knn_divergence(TWO[:40] * s, TWO[40:] * s)
    yield [found.value, found.standard_error], 0


def partial(p, d, s, **options):
    more = {"price": 0.3 * power(s, p)} if "price" in options else options
    return Problem.partial(X[:, :d] * s, Y[:, :d] * s, A, 2 * B, p=p, **more)


CALLS = {
    **{f"{d}-D, p={p}": distance(d, p) for d in (1, 2, 3) for p in (1, 2, 2.5, 3, 50, math.inf)},
    **{
        f"{metric}, p={p}": distance(2, p, metric=metric)
        for metric in ("cityblock", "chebyshev")
        for p in (1, 2, 7, math.inf)
    },
    "normalize": lambda s: distance(2, 3, normalize=True)(s),
    "not small": lambda s: distance(2, 2, method="network_simplex")(s),
    "highs": lambda s: distance(2, 1, method="highs")(s),
    **{f"axis, p={p}": numbers(*MANY, p, axis=1) for p in (1, 1.5, 2, 3, 50, math.inf)},
    **{f"axis, shared, p={p}": numbers(MANY[0][0], MANY[1], p, axis=-1) for p in (1, 2, 3, 50)},
    **{f"circle, p={p}": numbers(X[:, 0], Y[:, 0], p, period=2.5) for p in (1, 2, 3, 50)},
    **{f"circle, axis, p={p}": numbers(*MANY, p, period=2.5, axis=1) for p in (1, 2, 3, 50)},
    **{
        f"uniform, p={p}": numbers(X[:, 0], "uniform", p, period=2.5)
        for p in (1, 2, 3, 50, math.inf)
    },
    "uniform, axis": numbers(MANY[0], "uniform", 3, period=2.5, axis=1),
    **{f"pairwise, {d}-D, p={p}": pairwise(d, p) for d in (1, 2) for p in (1, 2, 3, 50)},
    "pairwise, p=inf": pairwise(2, math.inf),
    "pairwise, cityblock": pairwise(2, 3, metric="cityblock"),
    **{f"pairwise, bins, p={p}": bins(p) for p in (1, 2, 3, 50)},
    "pairwise, bins, p=inf": bins(math.inf),
    **{f"sliced, p={p}": slices(od.sliced_wasserstein_distance, p) for p in (1, 2, 3, 50)},
    "sliced estimate": slices(sliced.sliced_wasserstein_estimate, 2),
    **{
        f"max sliced, p={p}": slices(sliced.max_sliced_wasserstein_distance, p)
        for p in ((1, 3) if JIT_OFF else (1, 2, 3, 50))  # the search takes long
    },
    **{f"solve, {d}-D, p={p}": solved(points(d, p), p) for d in (1, 2, 3) for p in (1, 2)},
    "solve, p=inf": solved(points(2, math.inf)),
    "solve, cityblock": solved(points(2, 1, metric="cityblock")),
    "solve, chebyshev": solved(points(2, 2, metric="chebyshev"), 2),
    "solve, sqeuclidean": solved(points(2, 1, metric="sqeuclidean"), 2),
    "solve, highs": solved(points(2, 1), method="highs"),
    "solve, sinkhorn": solved(points(2, 1), method="sinkhorn", epsilon=lambda s: 0.1 * s),
    "solve, sinkhorn, tol": solved(points(2, 1), method="sinkhorn", tol=0.01),
    "circle": solved(lambda s: Problem.on_circle(X[:, 0] * s, Y[:, 0] * s, A, B, period=2 * s)),
    "grid": solved(lambda s: Problem.on_grid(*IMAGE, spacing=s)),
    "grid, cityblock": solved(lambda s: Problem.on_grid(*IMAGE, spacing=s, metric="cityblock")),
    "grid, p=2": solved(lambda s: Problem.on_grid(*IMAGE, spacing=s, p=2), 2),
    "graph": solved(lambda s: Problem.on_graph(csr_array(RING * s), A[:4], B[:4], mass=0.1)),
    "price": solved(lambda s: partial(1, 2, s, price=True)),
    "mass": solved(lambda s: partial(1, 2, s, mass=0.7)),
    "price, p=2": solved(lambda s: partial(2, 1, s, price=True), 2),
    "matrix": solved(lambda s: Problem.from_cost(COST * s, A, B)),
    "emd": lambda s: [(od.emd(A, B, COST * s), 1)],
    **{f"critic, {name}": critic(name) for name in ("linear", "radial", "ridge", "mcshane")},
    "critic, whitney, cityblock": critic("whitney", metric="cityblock"),
    "interval, box": interval,
    "interval, diameter": interval_of_diameter,
    **{f"lipschitz_lower, {m}": slope(m) for m in ("euclidean", "cityblock", "chebyshev")},
    **{f"c_transform, {m}": transform(1, m) for m in ("euclidean", "cityblock", "chebyshev")},
    "c_transform, p=2": transform(2, "euclidean"),
    "bures": bures,
    "normal, p=1": normal_distance(1),
    "normal, p=2": normal_distance(2),
    "compare": table,
    "knn_divergence": neighbours,
}


def power(s, p):
    """Return s ** p, a power of two, or skip where float64 has no such number."""
    exponent = p * (math.frexp(s)[1] - 1)
    if not -1000 < exponent < 1000:
        pytest.skip("the input itself leaves float64")
    return math.ldexp(1.0, exponent)


def at(call, k):
    """Return the results of a call at the size 2**k, as arrays with degrees."""
    with warnings.catch_warnings(), np.errstate(all="raise", under="ignore"):
        warnings.simplefilter("ignore")
        return [(np.asarray(found, float), degree) for found, degree in call(2.0**k)]


@functools.cache
def at_one(name):
    """Return the results of a call at the size 1."""
    return at(CALLS[name], 0)


#: Calls that may refuse a size with an `InputError`, and why.
MAY_REFUSE = {
    "solve, ": "the value or the costs leave float64, or an entropic plan needs squares",
    "grid, p=2": "the costs leave float64",
    "price, p=2": "the costs leave float64",
    "c_transform, p=2": "the costs leave float64",
    "compare": "it has an entropic row",
}


@pytest.mark.parametrize("k", SIZES)
@pytest.mark.parametrize("name", CALLS)
def test_results_are_exact_multiples(name, k):
    if name.startswith(tuple(MAY_REFUSE)):
        with contextlib.suppress(InputError):
            check(at(CALLS[name], k), name, k)
        return
    check(at(CALLS[name], k), name, k)


def check(found, name, k):
    for (value, degree), (near, _) in zip(found, at_one(name), strict=True):
        assert np.isfinite(value).all() or not np.isfinite(near).all()
        np.testing.assert_array_equal(value, np.ldexp(near, degree * k))


# ------------------------------------------------------------------------------ weights


def weighed(*degrees, x=X[:, :2], y=Y[:, :2], **options):
    """Return a call of `wasserstein_distance` whose weights have the size s."""

    def call(s):
        yield od.wasserstein_distance(x, y, A * s, B * s, **options), degrees[0]

    return call


def uniform_weighed(p, degree):
    def call(s):
        yield od.wasserstein_distance(X[:, 0], "uniform", A * s, period=2.5, p=p), degree

    return call


def heavy(make):
    """Return a call of `solve` on a problem whose weights have the size s."""

    def call(s):
        result = solve(make(s))
        assert result.success, result.message
        yield [result.value, result.lower, result.upper], 1
        yield result.potentials[0], 0
        yield result.plan.toarray(), 1

    return call


def heavy_clouds(s):
    yield od.pairwise([(X[:, :2], A * s), (Y[:, :2], B * s), (X[2:5, :2], A[:3] * s / 2)][:2]), 1


def divergence(function, *more):
    return lambda s: [(function(A * s, np.roll(A, 2) * s, *more, normalize=True), 0)]


#: Calls whose weights have the size s, with the degree of the results in it.
WEIGHTS = {
    "emd": lambda s: [(od.emd(A * s, B * s, COST), 1)],
    "2-D": weighed(1),
    "2-D, p=2": weighed(0.5, p=2),
    "2-D, p=inf": weighed(0, p=math.inf),
    "1-D": weighed(1, x=X[:, 0], y=Y[:, 0]),
    "1-D, p=2": weighed(0.5, x=X[:, 0], y=Y[:, 0], p=2),
    "axis": weighed(1, x=X[:, 0], y=Y[:, 0], axis=0),
    "axis, p=2": weighed(0.5, x=X[:, 0], y=Y[:, 0], p=2, axis=0),
    "circle": weighed(1, x=X[:, 0], y=Y[:, 0], period=2.5),
    **{f"normalize, p={p}": weighed(0, p=p, normalize=True) for p in (1, 2, 3, math.inf)},
    "normalize, axis": weighed(0, x=X[:, 0], y=Y[:, 0], p=3, axis=0, normalize=True),
    "uniform": uniform_weighed(1, 1),
    "uniform, p=2": uniform_weighed(2, 0.5),
    "uniform, p=inf": uniform_weighed(math.inf, 0),
    "pairwise": heavy_clouds,
    "pairwise, bins": lambda s: [(od.pairwise(np.stack([A, A[::-1]]) * s, support=X), 1)],
    "solve": heavy(lambda s: Problem(X, Y, A * s, B * s)),
    "solve, matrix": heavy(lambda s: Problem.from_cost(COST, A * s, B * s)),
    "solve, grid": heavy(lambda s: Problem.on_grid(*IMAGE * s)),
    "price": heavy(lambda s: Problem.partial(X, Y, A * s, 2 * B * s, price=0.7)),
    "mass": heavy(lambda s: Problem.partial(X, Y, A * s, 2 * B * s, mass=0.7 * s)),
    "sliced": lambda s: [(od.sliced_wasserstein_distance(X, Y, A * s, B * s, rng=0), 1)],
    "mcshane": lambda s: [(od.kr_dual(X, Y, A * s, B * s, critic="mcshane").value, 1)],
    "kl": divergence(od.kl_divergence),
    "js": divergence(od.js_divergence),
    "tv": divergence(od.total_variation),
    "hellinger": divergence(od.hellinger_distance),
    "chi2": divergence(od.chi2_divergence),
    "renyi": divergence(od.renyi_divergence, 0.5),
}


@functools.cache
def light(name):
    """Return the results of a call with weights of the size 1."""
    return at(WEIGHTS[name], 0)


@pytest.mark.parametrize("k", SIZES)
@pytest.mark.parametrize("name", WEIGHTS)
def test_weights_times_a_power_of_two(name, k):
    for (value, degree), (near, _) in zip(at(WEIGHTS[name], k), light(name), strict=True):
        np.testing.assert_array_equal(value, np.ldexp(near, int(degree * k)))


# ----------------------------------------------------------------------- found by attack


def mean_power(lengths, p):
    """Return ``mean(lengths ** p) ** (1 / p)`` without powers that leave float64."""
    longest = max(lengths)
    return longest * np.mean((np.asarray(lengths) / longest) ** p) ** (1 / p)


@pytest.mark.parametrize("p", [3, 15, 50, 100])
@pytest.mark.parametrize("size", [1e-300, 1e-120, 1e-8, 1.0, 1e200])
def test_powers_of_small_and_large_numbers(p, size):
    """Coordinates of 1e-8 and p = 50 gave 0, and so did a period of 1e-120 and slices."""
    x, y = np.sort(rng.random((2, 6)) * size)
    y += 0.25 * size
    wanted = pytest.approx(mean_power(np.abs(x - y), p), rel=1e-12, abs=0)
    plane = [np.stack([each, 0 * each], axis=1) for each in (x, y)]
    found = {
        "one": od.wasserstein_distance(x, y, p=p),
        "axis": od.wasserstein_distance(x, y, p=p, axis=0),
        "plane": od.wasserstein_distance(*plane, p=p),
        "circle": od.wasserstein_distance(x, y, p=p, period=4 * size),
        "pairwise": od.pairwise([x, y], p=p)[0, 1],
        "pairwise in the plane": od.pairwise(plane, p=p)[0, 1],
        "sliced": od.sliced_wasserstein_distance(x, y, p=p),
    }
    assert {name for name, value in found.items() if value != wanted} == set()


@pytest.mark.parametrize("p", [1, 2, 3, 50, 100])
@pytest.mark.parametrize("period", [1e-120, 1e-10, 1.0, 2.0**900])
def test_one_atom_and_the_uniform_distribution(p, period):
    """A period of 1e-10 and p = 50 gave 0, and 2**900 and p = 1 gave inf."""
    wanted = 0.5 * period * (p + 1) ** (-1 / p)
    for x in (0.0, 0.3 * period):
        value = od.wasserstein_distance([x], "uniform", p=p, period=period)
        assert value == pytest.approx(wanted, rel=1e-12, abs=0)
    n = 1000
    value = od.wasserstein_distance(np.arange(n) * period / n, "uniform", p=p, period=period)
    assert value == pytest.approx(wanted / n, rel=1e-9, abs=0)


@pytest.mark.parametrize("p", [1, 2, 3, 50])
def test_pairs_of_different_sizes_have_units_of_their_own(p):
    sizes = np.array([[1e-250], [1e-100], [1.0], [1e100], [1e250]])
    x, y = np.sort(rng.random((2, 5, 6))) * sizes
    wanted = [mean_power(pair, p) for pair in np.abs(x - y)]
    found = od.wasserstein_distance(x, y, p=p, axis=1)
    np.testing.assert_allclose(found, wanted, rtol=1e-12)
    # Pairs of clouds share a unit, and those too small for it get another.
    for shape in ((6,), (6, 1), (3, 2)):
        clouds = [each.reshape(shape) for each in (x[0], y[0], x[2], y[2])]
        matrix = od.pairwise(clouds, p=p, metric="cityblock")
        alone = [
            od.wasserstein_distance(*pair, p=p, metric="cityblock")
            for pair in (clouds[:2], clouds[2:])
        ]
        np.testing.assert_allclose([matrix[0, 1], matrix[2, 3]], alone, rtol=1e-12)
        assert matrix[0, 1] > 0


@pytest.mark.parametrize("middle", [0.0, 0.3, 0.5, -0.5])
@pytest.mark.parametrize("p", [1, 2, 3, 50])
def test_small_parts_of_a_circle_have_units_of_their_own(p, middle):
    step = 2.0**-50 if middle else 2.0**-200
    x = np.array([[middle, middle + step], [0.1, 0.3]])
    y = x + np.array([[-step], [0.1]])
    found = od.wasserstein_distance(x, y, p=p, period=1.0, axis=1)
    np.testing.assert_allclose(found, [step, 0.1], rtol=1e-12)
    for k in range(2):
        for method in ("auto", "circle"):
            pair = x[k].tolist(), y[k].tolist()
            value = od.wasserstein_distance(*pair, p=p, period=1.0, method=method)
            assert value == pytest.approx(found[k], rel=1e-12, abs=0)
    assert (od.wasserstein_distance(x, x, p=p, period=1.0, axis=1) == 0).all()


@pytest.mark.parametrize("axis", [None, 0])
def test_points_without_mass_do_not_decide_the_unit(axis):
    x, a = np.array([0.0, 1.0, 1e301]), np.array([0.5, 0.5, 0.0])
    y, b = np.array([3.0, -1e200, 0.0]), np.array([0.5, 0.0, 0.5])
    for p in (1, 2, 3, 50):
        value = od.wasserstein_distance(x, y, a, b, p=p, axis=axis)
        assert value == pytest.approx(2 * 0.5 ** (1 / p), rel=1e-12)


@pytest.mark.parametrize("axis", [None, 0])
def test_numbers_that_no_unit_holds_are_refused(axis):
    for x, message in (
        ([-1.7e308, 1.7e308], "distances to the power 1 reach inf"),
        ([1e300, 1e-300], "beside coordinates of about 2"),
    ):
        x = np.array(x)
        if axis == 0 and x[1] < x[0]:
            # In line, no unit is needed for p = 1.
            assert od.wasserstein_distance(x, 0.5 * x, axis=axis) == 0.25 * x[0]
            continue
        with pytest.raises(InputError, match=message):
            od.wasserstein_distance(x, 0.5 * x, axis=axis)


def test_a_price_that_is_too_far_from_the_costs_is_refused():
    problem = Problem.partial(X * 2.0**900, Y * 2.0**900, A, B, price=2.0**-100)
    with pytest.raises(InputError, match=r"price is .* too far from the costs"):
        solve(problem)


def test_the_bracket_of_an_unproved_distance_names_its_unit(monkeypatch):
    monkeypatch.setattr("otdist.distances.wasserstein._at_once", lambda *_: None)
    monkeypatch.setattr(od.Certificate, "proves", lambda self, tol: False)
    with pytest.raises(NotCertifiedError, match=r"of the points divided by 2\*\*"):
        od.wasserstein_distance(X * 2.0**700, Y * 2.0**700, A, B, p=2)


@pytest.mark.parametrize("k", [-900, 900])
@pytest.mark.parametrize("size", [1e308, -1e308, 1e-308])
def test_potentials_of_any_size_bound_a_problem_in_a_unit(k, size):
    problem = Problem(X * 2.0**k, Y * 2.0**k, A, B)
    result = solve(problem)
    with np.errstate(all="ignore"):
        found = od.certify(problem, result.plan, np.full(7, size), np.full(6, size))
        assert not found.lower > result.upper
        assert found.lower <= result.upper <= found.upper * (1 + 1e-12)
        started = solve(problem, warm_start=(np.full(7, size), np.full(6, size)))
    assert started.value == pytest.approx(result.value, rel=1e-14, abs=0)


def test_a_value_that_leaves_float64_is_refused_and_its_root_is_not():
    x, y = [0.0, 400.0], [1.0]
    with pytest.raises(InputError, match="distances to the power 400 reach inf"):
        Problem.on_circle(x, y, period=1e3, p=400)
    value = od.wasserstein_distance(x, y, period=1e3, p=400)
    assert value == pytest.approx(399 * 0.5 ** (1 / 400), rel=1e-12)
