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
from scipy.sparse import csr_array

import otdist as od
from otdist import InputError, Problem, gaussian, samples, sliced, solve

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
        for p in (1, 2, 3, 50)
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
