"""Families of weights, costs and points, each with a name; the seed draws one.

They have in common what breaks float64: many orders of magnitude, ties, sums that differ by
rounding, zeros, numbers next to each other.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

Random = np.random.Generator
Array = np.ndarray[Any, np.dtype[np.float64]]
Draw = Callable[..., Any]

METRICS = ("euclidean", "cityblock", "chebyshev")
ORDERS = (1.0, 1.0, 1.5, 2.0, 2.0, 3.0, 5.0, 10.0, 15.0, 50.0, 100.0)


def choose(rng: Random, families: dict[str, Draw], *arguments: Any) -> tuple[str, Any]:
    """Draw a family, and from it."""
    name = pick(rng, tuple(families))
    return name, families[name](rng, *arguments)


def pick(rng: Random, values: Any) -> Any:
    """Draw one of some values."""
    return values[int(rng.integers(len(values)))]


def chance(rng: Random, part: float) -> bool:
    return bool(rng.random() < part)


# ---------------------------------------------------------------------------- weights


def _uniform(rng: Random, n: int, m: int) -> tuple[Array, Array]:
    return np.full(n, 1.0 / n), np.full(m, 1.0 / m)


def _counts(rng: Random, n: int, m: int) -> tuple[Array, Array]:
    total = int(rng.integers(1, 40))
    a, b = (rng.multinomial(total, np.full(k, 1.0 / k)).astype(float) for k in (n, m))
    return a, b


def _normalised(rng: Random, n: int, m: int) -> tuple[Array, Array]:
    a, b = rng.random(n), rng.random(m)
    return a / a.sum(), b / b.sum()


def _over_orders(orders: float) -> Draw:
    def draw(rng: Random, n: int, m: int) -> tuple[Array, Array]:
        a, b = (rng.random(k) * 10.0 ** rng.uniform(-orders, 0, k) for k in (n, m))
        return a, b * (a.sum() / b.sum())

    return draw


def _permuted_orders(orders: float) -> Draw:
    def draw(rng: Random, n: int, m: int) -> tuple[Array, Array]:
        k = min(n, m)
        a, b = np.zeros(n), np.zeros(m)
        a[:k] = rng.random(k) * 10.0 ** rng.uniform(-orders, 0, k)
        b[:k] = rng.permutation(a[:k])
        return rng.permutation(a), rng.permutation(b)

    return draw


def _powers_of_two(rng: Random, n: int, m: int) -> tuple[Array, Array]:
    """Halve atoms of one side until the other has as many: the sums are equal."""
    few, many = sorted((n, m))
    a = 2.0 ** rng.integers(-60, 3, few).astype(float)
    b = list(a)
    while len(b) < many:
        half = b.pop(int(rng.integers(len(b)))) / 2
        b += [half, half]
    pair = a, rng.permutation(b)
    return pair if n <= m else pair[::-1]


WEIGHTS: dict[str, Draw] = {
    "uniform": _uniform,
    "counts": _counts,
    "normalised": _normalised,
    "permuted": _permuted_orders(0),
    "over 12 orders": _over_orders(12),
    "over 20 orders": _over_orders(20),
    "over 60 orders": _over_orders(60),
    "permuted over 12 orders": _permuted_orders(12),
    "permuted over 20 orders": _permuted_orders(20),
    "permuted over 60 orders": _permuted_orders(60),
    "powers of two": _powers_of_two,
}
#: Their sums are equal without rounding.
EXACT = {name for name in WEIGHTS if name.startswith(("counts", "permuted", "powers"))}


def weights(rng: Random, n: int, m: int, *, exact: bool = False) -> tuple[str, Array, Array]:
    """Draw weights (n,) and (m,) whose sums are equal, at least up to rounding."""
    families = {name: WEIGHTS[name] for name in WEIGHTS if not exact or name in EXACT}
    few, less = n, m
    if chance(rng, 0.1):  # atoms of weight 0 among the others
        few, less = (int(rng.integers(1, k + 1)) for k in (n, m))
    name, (a, b) = choose(rng, families, few, less)
    a, b = _spread(rng, a, n), _spread(rng, b, m)
    if chance(rng, 0.1):
        scale = 2.0 ** int(rng.integers(-300, 301))
        name, a, b = f"{name} × 2^k", a * scale, b * scale
    return name, a, b


def _spread(rng: Random, values: Array, n: int) -> Array:
    """Return n numbers: the values, in their order, and zeros between them."""
    if len(values) == n:
        return values
    whole = np.zeros(n)
    whole[np.sort(rng.permutation(n)[: len(values)])] = values
    return whole


def many_weights(rng: Random, n: int, m: int, k: int, l: int) -> tuple[str, Array, Array]:
    """Draw weights (k, n) and (l, m), all of one sum without rounding."""
    kind = pick(rng, ("counts", "permuted", "over 12 orders", "over 60 orders"))
    if kind == "counts":
        total = int(rng.integers(1, 40))
        a, b = (
            rng.multinomial(total, np.full(size, 1.0 / size), rows).astype(float)
            for size, rows in ((n, k), (m, l))
        )
        return kind, a, b
    orders = {"permuted": 0, "over 12 orders": 12, "over 60 orders": 60}[kind]
    few = min(n, m)
    values = rng.random(few) * 10.0 ** rng.uniform(-orders, 0, few)
    if chance(rng, 0.1):
        values *= 2.0 ** int(rng.integers(-300, 301))
    a, b = np.zeros((k, n)), np.zeros((l, m))
    a[:, :few], b[:, :few] = values, values
    return kind, rng.permuted(a, axis=1), rng.permuted(b, axis=1)


# ------------------------------------------------------------------------------ costs


def _forbidden(rng: Random, n: int, m: int) -> Array:
    return np.where(rng.random((n, m)) < 0.3, math.inf, rng.random((n, m)))


def _huge(rng: Random, n: int, m: int) -> Array:
    huge = 10.0 ** int(rng.integers(10, 299))
    return np.where(rng.random((n, m)) < 0.3, huge, rng.random((n, m)))


def _forbidden_and_huge(rng: Random, n: int, m: int) -> Array:
    return np.where(rng.random((n, m)) < 0.2, math.inf, _huge(rng, n, m))


def _offsets(rng: Random, n: int, m: int) -> Array:
    offsets = rng.normal(size=(n, 1)) + rng.normal(size=(1, m))
    return offsets * 10.0 ** int(rng.integers(3, 17)) + rng.random((n, m))


COSTS: dict[str, Draw] = {
    "ties": lambda rng, n, m: rng.integers(-3, 4, (n, m)).astype(float),
    "uniform": lambda rng, n, m: rng.random((n, m)),
    "signed": lambda rng, n, m: rng.normal(size=(n, m)) * 10.0 ** rng.integers(-12, 12, (n, m)),
    "over 60 orders": lambda rng, n, m: 10.0 ** rng.uniform(-30, 30, (n, m)),
    "over 580 orders": lambda rng, n, m: 10.0 ** rng.uniform(-290, 290, (n, m)),
    "1 + k ulp": lambda rng, n, m: 1 + rng.integers(0, 3, (n, m)) * 2.0**-52,
    "forbidden": _forbidden,
    "huge": _huge,
    "forbidden and huge": _forbidden_and_huge,
    "offsets": _offsets,
    "zeros": lambda rng, n, m: np.where(
        rng.random((n, m)) < 0.5, 0.0, 10.0 ** rng.uniform(-20, 20, (n, m))
    ),
}


def costs(rng: Random, n: int, m: int) -> tuple[str, Array]:
    """Draw a matrix of costs."""
    name, cost = choose(rng, COSTS, n, m)
    if chance(rng, 0.1):
        name, cost = f"{name} × 2^k", cost * 2.0 ** int(rng.integers(-200, 201))
    return name, np.where(np.isfinite(cost), np.clip(cost, -1e300, 1e300), math.inf)


# ----------------------------------------------------------------------------- points


def _gaussian(rng: Random, sides: tuple[int, ...], d: int) -> list[Array]:
    return [rng.normal(size=(n, d)) for n in sides]


def _clusters(rng: Random, sides: tuple[int, ...], d: int) -> list[Array]:
    apart = 10.0 ** rng.uniform(0, 6)
    return [k * apart + rng.random((n, d)) for k, n in enumerate(sides)]


def _two_clusters(rng: Random, sides: tuple[int, ...], d: int) -> list[Array]:
    apart = 10.0 ** rng.uniform(0, 6)
    return [rng.random((n, d)) + apart * rng.integers(0, 2, (n, 1)) for n in sides]


def _lattice(rng: Random, sides: tuple[int, ...], d: int) -> list[Array]:
    return [rng.integers(0, 3, (n, d)).astype(float) for n in sides]


def _far_off(rng: Random, sides: tuple[int, ...], d: int) -> list[Array]:
    offset = 10.0 ** int(rng.integers(3, 10))
    return [offset + rng.normal(size=(n, d)) for n in sides]


def _over_exponents(rng: Random, sides: tuple[int, ...], d: int) -> list[Array]:
    return [rng.normal(size=(n, d)) * 10.0 ** rng.integers(-5, 6, (n, 1)) for n in sides]


def _duplicates(rng: Random, sides: tuple[int, ...], d: int) -> list[Array]:
    base = rng.normal(size=(3, d))
    return [base[rng.integers(0, 3, n)] for n in sides]


def _neighbours(rng: Random, sides: tuple[int, ...], d: int) -> list[Array]:
    return [1 + rng.integers(0, 4, (n, d)) * 2.0**-52 for n in sides]


POINTS: dict[str, Draw] = {
    "Gaussian": _gaussian,
    "clusters": _clusters,
    "two clusters": _two_clusters,
    "lattice": _lattice,
    "far off": _far_off,
    "over 10 orders": _over_exponents,
    "duplicates": _duplicates,
    "neighbours": _neighbours,
}


def points(rng: Random, sides: tuple[int, ...], d: int, p: float) -> tuple[str, list[Array]]:
    """Draw points (n, d) for each n in `sides`; costs of the order p are mostly in range."""
    name, found = choose(rng, POINTS, sides, d)
    if chance(rng, 0.1):
        most = int(250 / max(p if math.isfinite(p) else 1.0, 1.0))
        scale = 2.0 ** int(rng.integers(-most, most + 1))
        name, found = f"{name} × 2^k", [side * scale for side in found]
    return name, found


def size(rng: Random, most: int = 6) -> int:
    """Draw a number of atoms, mostly a few."""
    return int(rng.integers(1, most + 1))
