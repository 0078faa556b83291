"""Hypothesis strategies: weights, points, costs, and problems whose answer is known.

Numbers are chosen so that oracles in exact fractions stay fast and so that what
usually breaks is common: zeros, ties, duplicates, one atom, very unlike scales.
"""

from __future__ import annotations

import math

import numpy as np
from hypothesis import strategies as st

from otdist import Problem

MAX_ATOMS = 5
SIZES = st.integers(1, MAX_ATOMS)
ORDERS = st.sampled_from([1, 1.5, 2, 3, 7])
METRICS = st.sampled_from(["euclidean", "cityblock", "chebyshev"])


@st.composite
def counts(draw, n, total):
    """n integers >= 0, some of them 0, that add up to `total` exactly."""
    cuts = sorted(draw(st.lists(st.integers(0, total), min_size=n - 1, max_size=n - 1)))
    return np.diff([0, *cuts, total]).astype(float)


@st.composite
def weights(draw, n, *, zeros=True):
    """Probabilities (n,): uniform, dyadic or arbitrary floats, with zeros."""
    kind = draw(st.sampled_from(["uniform", "dyadic", "float"]))
    if kind == "uniform":
        return np.full(n, 1.0 / n)
    if kind == "dyadic":
        masses = draw(counts(n, 64)) / 64
        return masses if zeros or masses.all() else np.full(n, 1.0 / n)
    low = 0.0 if zeros else 1e-3
    one = st.floats(low, 1, allow_subnormal=False).map(lambda v: v if v > 1e-6 else low)
    masses = np.array(draw(st.lists(one, min_size=n, max_size=n)))
    masses[draw(st.integers(0, n - 1))] += 1.0
    return masses / math.fsum(masses)


@st.composite
def points(draw, n, d):
    """Points (n, d) on a small grid or anywhere, with duplicates."""
    grid = st.integers(-3, 3).map(float)
    anywhere = st.floats(-10, 10, allow_subnormal=False).map(lambda v: round(v, 6))
    coordinate = grid if draw(st.booleans()) else anywhere
    rows = st.lists(coordinate, min_size=d, max_size=d)
    cloud = draw(st.lists(rows, min_size=n, max_size=n))
    if n > 1 and draw(st.booleans()):
        cloud[-1] = cloud[0]
    return np.array(cloud)


@st.composite
def costs(draw, n, m):
    """Costs (n, m): integers with ties, all equal, signed, or of one scale 2**k."""
    kind = draw(st.sampled_from(["ties", "equal", "signed", "scaled"]))
    if kind == "equal":
        return np.full((n, m), draw(st.sampled_from([0.0, 1.5, -2.0])))
    entry = {
        "ties": st.integers(0, 3).map(float),
        # Rounded, since a matrix of nothing but 1e-308 is refused.
        "signed": st.floats(-1, 1, allow_subnormal=False).map(lambda v: round(v, 9)),
        "scaled": st.floats(0.001, 1),
    }[kind]
    matrix = draw(st.lists(entry, min_size=n * m, max_size=n * m))
    matrix = np.array(matrix).reshape(n, m)
    if kind == "scaled":
        matrix = np.ldexp(matrix, draw(st.integers(-900, 900)))
    return matrix


@st.composite
def dense_problems(draw, *, zeros=True):
    """A problem from a cost matrix of at most MAX_ATOMS by MAX_ATOMS."""
    n, m = draw(SIZES), draw(SIZES)
    a, b = draw(weights(n, zeros=zeros)), draw(weights(m, zeros=zeros))
    return Problem.from_cost(draw(costs(n, m)), a, b)


@st.composite
def forbidding_problems(draw):
    """A feasible problem with forbidden arcs; integer masses, so exactly feasible.

    The arcs of one coupling are allowed, any others may be forbidden.
    """
    n, m = draw(SIZES), draw(SIZES)
    a, b = draw(counts(n, 12)), draw(counts(m, 12))
    cost = draw(st.lists(st.integers(0, 4), min_size=n * m, max_size=n * m))
    cost = np.array(cost, float).reshape(n, m)
    forbidden = draw(st.lists(st.booleans(), min_size=n * m, max_size=n * m))
    forbidden = np.array(forbidden).reshape(n, m)
    left_a, left_b, i, j = a.copy(), b.copy(), 0, 0
    while i < n and j < m:
        moved = min(left_a[i], left_b[j])
        if moved > 0:
            forbidden[i, j] = False
        left_a[i] -= moved
        left_b[j] -= moved
        i, j = (i + 1, j) if left_a[i] == 0 else (i, j + 1)
    return Problem.from_cost(np.where(forbidden, np.inf, cost), a, b)


@st.composite
def line_problems(draw, orders=ORDERS):
    """A problem on the line, with ties, zero weights and any order."""
    n, m = draw(SIZES), draw(SIZES)
    x, y = draw(points(n, 1))[:, 0], draw(points(m, 1))[:, 0]
    return Problem(x, y, draw(weights(n)), draw(weights(m)), p=draw(orders))


@st.composite
def measures(draw, d=2):
    """Points (n, d) and probabilities (n,)."""
    n = draw(SIZES)
    return draw(points(n, d)), draw(weights(n))


@st.composite
def potentials(draw, n):
    """Any finite numbers (n,), of the size of costs or not."""
    size = draw(st.sampled_from([0.0, 1.0, 1e3]))
    unit = st.floats(-1, 1, allow_subnormal=False)
    return size * np.array(draw(st.lists(unit, min_size=n, max_size=n)))


@st.composite
def histograms(draw, count=2):
    """Draw `count` histograms on one support, with zeros, and with equal bins."""
    n = draw(st.integers(1, 8))
    mass = st.one_of(st.just(0.0), st.integers(0, 5).map(float), st.floats(1e-300, 1e3))
    masses = st.lists(mass, min_size=n, max_size=n).filter(lambda m: sum(m) > 0)
    return [np.array(draw(masses)) for _ in range(count)]


def at_most(smaller, larger):
    """Compare two divergences, up to their rounding."""
    return smaller <= larger * (1 + 1e-14) + 1e-300


# ------------------------------------------------ problems with known answers: value


def _dirac(draw):
    d, p, metric = draw(st.integers(1, 3)), draw(ORDERS), draw(METRICS)
    x, y = draw(points(1, d)), draw(points(1, d))
    difference = np.abs(x - y)[0]
    length = {
        "euclidean": math.hypot(*difference),
        "cityblock": math.fsum(difference),
        "chebyshev": max(difference),
    }[metric]
    return Problem(x, y, metric=metric, p=p), length**p


def _translation(draw):
    d, p = draw(st.integers(1, 3)), draw(ORDERS)
    n = draw(SIZES)
    x, a = draw(points(n, d)), draw(weights(n))
    shift = draw(points(1, d))
    order = np.array(draw(st.permutations(range(n))))
    return (
        Problem(x, (x + shift)[order], a, a[order], p=p),
        math.hypot(*shift[0]) ** p,
    )


def _identity(draw):
    d, p, metric, n = draw(st.integers(1, 3)), draw(ORDERS), draw(METRICS), draw(SIZES)
    x, a = draw(points(n, d)), draw(weights(n))
    order = np.array(draw(st.permutations(range(n))))
    return Problem(x, x[order], a, a[order], metric=metric, p=p), 0.0


def _affine(draw):
    """x -> A x + b with A symmetric >= 0 is a gradient of a convex function."""
    n, d = draw(SIZES), draw(st.integers(1, 3))
    x, root = draw(points(n, d)), draw(points(d, d)) / 10
    y = x @ (root @ root.T) + draw(points(1, d))
    a = draw(weights(n))
    return Problem(x, y, a, a, p=2), math.fsum(a * ((x - y) ** 2).sum(axis=1))


def _zero_one(draw):
    n = draw(SIZES)
    a, b = draw(weights(n)), draw(weights(n))
    problem = Problem.from_cost(1.0 - np.eye(n), a, b)
    return problem, 0.5 * math.fsum(np.abs(a - b))


def _collapse(draw):
    n, d, p = draw(SIZES), draw(st.integers(1, 3)), draw(ORDERS)
    x, a = draw(points(n, d)), draw(weights(n))
    target = draw(points(1, d))
    lengths = [math.hypot(*row) ** p for row in x - target]
    return Problem(x, target, a, p=p), math.fsum(a * lengths)


def _scaled_grid(draw):
    n, s = draw(st.integers(1, 12)), draw(st.integers(2, 5))
    i = np.arange(n)
    value = (s - 1) ** 2 * (n - 1) * (2 * n - 1) / (6 * n**2)
    # Not a histogram: points beyond 1 would do, but a weight says so for any n.
    a = np.full(n, 1.0 / n)
    return Problem(i / n, s * i / n, a, a, p=2), value


_FAMILIES = (
    _dirac,
    _translation,
    _identity,
    _affine,
    _zero_one,
    _collapse,
    _scaled_grid,
)


@st.composite
def known_problems(draw):
    """A problem and its exact value, from seven families."""
    return draw(st.sampled_from(_FAMILIES))(draw)


def random_weights(rng, n):
    weights = rng.random(n) + 0.01
    return weights / math.fsum(weights)
