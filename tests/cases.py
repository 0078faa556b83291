"""Problems with published or closed-form answers, by name.

Values are costs (not rooted, cost x mass); `distance` is its p-th root.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from otdist import Problem


@dataclass(frozen=True)
class Case:
    """A problem to be made anew by each test, and its exact value."""

    name: str
    make: Callable[[], Problem]
    value: float

    def __str__(self):
        return self.name


def _case(name, value, *args, **options):
    return Case(name, lambda: Problem(*args, **options), value)


def _cost_case(name, value, *args, **options):
    return Case(name, lambda: Problem.from_cost(*args, **options), value)


def _diracs():
    """The distance of two Diracs is the distance of their points."""
    for p in (1, 1.5, 2, 7):
        yield _case(f"diracs, p={p}", 2.5**p, [1.0], [3.5], p=p)
    yield _case("diracs, p=inf", 2.5, [1.0], [3.5], p=math.inf)
    yield _case("diracs in the plane", 5.0, [[0.0, 0.0]], [[3.0, 4.0]])
    yield _case("diracs, L1", 7.0, [[0, 0]], [[3, 4]], metric="cityblock")
    yield _case("diracs, Linf", 4.0, [[0, 0]], [[3, 4]], metric="chebyshev")
    yield _case("diracs, sqeuclidean", 25.0, [[0, 0]], [[3, 4]], metric="sqeuclidean")


def _scipy():
    """Examples of SciPy's documentation and tests of its 1-D and n-D distance."""
    yield _case("scipy doc 1", 5.0, [0, 1, 3], [5, 6, 8])
    yield _case("scipy doc 2", 0.25, [0, 1], [0, 1], [3, 1], [2, 2], normalize=True)
    u, v = [3.4, 3.9, 7.5, 7.8], [4.5, 1.4]
    weights = [1.4, 0.9, 3.1, 7.2], [3.2, 3.5]
    value = 4.0781331438047861
    yield _case("scipy doc 3", value, u, v, *weights, normalize=True)
    u, v = [4.5, 6.7, 2.1], [4.6, 7, 9.2]
    weights = [3, 1, 1], [1, 3, 1]
    yield _case("scipy test, normalised", 2.5, u, v, *weights, normalize=True)
    yield _case("scipy test, cost x mass", 12.5, u, v, *weights)
    u, v = [[0, 2, 3], [1, 2, 5]], [[3, 2, 3], [4, 2, 5]]
    yield _case("scipy doc n-D 1", 3.0, u, v)
    u, v = [[0, 2.75], [2, 209.3], [0, 0]], [[0.2, 0.322], [4.5, 25.1808]]
    weights = [0.4, 5.2, 0.114], [0.8, 1.5]
    value = 174.15840245217169
    yield _case("scipy doc n-D 2", value, u, v, *weights, normalize=True)
    u = [(1, 1)] * 10 + [(4, 2), (6, 1), (6, 1)]
    v = [(2, 1)] * 2 + [(3, 2)] * 3 + [(5, 1)] * 7 + [(7, 1)]
    yield _case("McCaffrey", (24 + 3 * 5**0.5 + 2**0.5) / 13, u, v)


def _line():
    """Small measures on the line."""
    for p, value in ((1, 1 / 3), (2, 1 / 3), (math.inf, 1.0)):
        yield _case(f"three to two, p={p}", value, [0, 1, 2], [0, 2], p=p)
    for p in (1, 2, 5):
        bins, a, b = [0, 1], [0.8, 0.2], [0.3, 0.7]
        yield _case(f"Bernoulli, p={p}", 0.5, bins, bins, a, b, p=p)
    i = np.arange(10)
    yield _case("scaled grid", 1.14, i / 10, 3 * i / 10, p=2)
    bins = np.arange(4)
    a, b = [3, 2, 1, 4], [1, 2, 4, 3]
    yield _case("histograms", 5.0, bins, bins, a, b)
    yield _case("histograms, normalised", 0.5, bins, bins, a, b, normalize=True)
    # Symmetric samples z: W2^2 = (m - m')^2 + (s - s')^2 mean z^2, W1 = 2 mean |z|.
    z = np.array([-1.5, -0.5, 0.5, 1.5])
    yield _case("affine on the line, p=2", 16.0 + 4 * 1.25, 1 + z, 5 + 3 * z, p=2)
    yield _case("affine on the line, p=1", 2.0, z, 3 * z)


def _plane():
    """Point clouds whose optimal coupling is known."""
    x = np.array([[1.0, 2], [-2, 0.5], [0, -3], [1, 2]])
    a = np.array([0.125, 0.25, 0.5, 0.125])
    for p in (1, 2, 3):
        value = float(a @ np.linalg.norm(x, axis=1) ** p)
        yield _case(f"collapse, p={p}", value, x, [[0.0, 0.0]], a, p=p)
    z = np.linspace(0, 1, 7)
    line = np.column_stack([np.zeros(7), z])
    for p in (1, 2, 3.5):
        shifted = line + np.array([0.3, 0])
        yield _case(f"parallel lines, p={p}", 0.3**p, line, shifted, p=p)
    yield _case("parallel lines, theta=0", 0.0, line, line[::-1])
    matrix, shift = np.array([[2.0, 0.5], [0.5, 1.0]]), np.array([3.0, -1.0])
    y = x @ matrix + shift
    value = float(a @ ((x - y) ** 2).sum(axis=1))
    yield _case("affine map, W2", value, x, y, a, a, p=2)
    yield _case("affine map, sqeuclidean", value, x, y, a, a, metric="sqeuclidean")
    yield _case("far translation", 5.0, x + 1e7, x + 1e7 + np.array([3.0, 4.0]))


def _matrices():
    """Cost matrices."""
    swap = [[0, 1], [1, 0]]
    yield _cost_case("2 by 2", 0.0, swap)
    yield _cost_case("2 by 2, moved", 1.0, swap, [1, 0], [0, 1])
    metric = 1 - np.eye(3)
    tv = [0.2, 0.5, 0.3], [0.4, 0.4, 0.2]
    yield _cost_case("0/1 metric is TV", 0.2, metric, *tv)
    yield _cost_case("one atom each", 7.5, [[2.5]], [3], [3])
    yield _cost_case("all costs equal", 1.5, np.full((4, 3), 1.5))
    yield _cost_case("negative costs", -2.0, [[-2, 5], [5, -2]])
    forbidden = [[np.inf, 1], [2, np.inf]]
    yield _cost_case("only one coupling", 1.5, forbidden)


CASES = [*_diracs(), *_scipy(), *_line(), *_plane(), *_matrices()]


def measures(seed, n=5, m=4, d=2):
    """Points apart from each other, and masses of which one is 0."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(n, d)), 0.3 + rng.normal(size=(m, d))
    a, b = 0.1 + rng.random(n), 0.1 + rng.random(m)
    a[1] = 0.0
    return x, y, a / a.sum(), b / b.sum()


def differences(function, arguments, which, steps, h):
    """Return central differences of the function, moving one argument along steps."""
    found = []
    for step in steps:
        ends = []
        for sign in (h, -h):
            moved = list(arguments)
            moved[which] = arguments[which] + sign * step
            ends.append(function(*moved))
        found.append((ends[0] - ends[1]) / (2 * h))
    return np.array(found)
