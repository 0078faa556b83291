"""The ways through the library: each draws cases, and checks all that is said of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from . import certify_path, families, sinkhorn_path, truth
from .families import Random, chance, pick, size
from .judge import (
    Answer,
    Case,
    Units,
    ask,
    ask_many,
    check_agreement,
    check_number,
    check_result,
    stated,
)
from .truth import Truth


class Path(NamedTuple):
    """Draw a case; check it and return the outcome of each problem in it."""

    draw: Callable[[Random], Case]
    check: Callable[[Case], list[str]]


# ------------------------------------------------------------- one problem, every way

_MATRIX = {"cost": "nm", "a": "n", "b": "m"}
_POINTS = {"x": "nd", "y": "md", "a": "n", "b": "m"}
# A part of the cases is also given to a slow method, and a part has many atoms.
_SLOW = 0.02
_MANY = 0.0005


def draw_one(rng: Random) -> Case:
    return draw_points(rng) if chance(rng, 0.5) else draw_matrix(rng)


def _sides(rng: Random) -> tuple[int, int]:
    """Draw two numbers of atoms: a few, now and then many."""
    if chance(rng, _MANY):
        n = int(rng.integers(50, 101))
        return (n, n) if chance(rng, 0.5) else (n, int(rng.integers(10, 60)))
    n = size(rng)
    return (n, n) if chance(rng, 0.4) else (n, size(rng))


def draw_matrix(rng: Random) -> Case:
    n, m = _sides(rng)
    kind, a, b = families.weights(rng, n, m)
    is_scaled = chance(rng, 0.05)  # sums are off by more than rounding, and still accepted
    if is_scaled:
        kind, b = f"{kind}, sums 1e-10 apart", b * (1 + 1e-10 * rng.random())
    costs, cost = families.costs(rng, n, m)
    data = {"cost": cost, "a": a, "b": b, "is_slow": chance(rng, _SLOW), "is_scaled": is_scaled}
    return Case("one", f"costs {costs}, weights {kind}", data, _MATRIX)


def draw_points(rng: Random) -> Case:
    n, m = _sides(rng)
    d, p, concave = pick(rng, (1, 1, 2, 2, 3, 16)), pick(rng, families.ORDERS), False
    metric = pick(rng, families.METRICS)
    if chance(rng, 0.1):
        metric, p = "sqeuclidean", 1.0
    elif d == 1 and chance(rng, 0.2):
        p = pick(rng, (math.inf, 0.5))
        concave = p < 1
    kind, a, b = families.weights(rng, n, m)
    points, (x, y) = families.points(rng, (n, m), d, p)
    options = {"p": p, "metric": metric, "concave": concave}
    data = {"x": x, "y": y, "a": a, "b": b, **options, "is_slow": chance(rng, _SLOW)}
    return Case("one", f"points {points}, weights {kind}", data, _POINTS)


def check_one(case: Case) -> list[str]:
    return [_check_points(case) if "x" in case.data else _check_matrix(case)]


def _check_matrix(case: Case) -> str:
    problem = "Problem.from_cost(cost, a, b)"
    weights = truth.both_weights(*stated(case, problem))
    right = truth.optimum(weights, *truth.matrix_costs(case.cost.tolist()))
    units = Units.of_matrix(right)
    numbers = [ask(case, "emd(a, b, cost)")]
    if not case.is_scaled:  # it need not scale the same side
        numbers += ask_many(case, "pairwise([a], [b], cost=cost)")[0]
    _check_numbers(numbers, right, units)
    return _check_solves(case, problem, right, units, ["highs"] if case.is_slow else [])


def _check_numbers(numbers: list[Answer], right: Truth, units: Units) -> None:
    for answer in numbers:
        check_number(answer, right, units)
    if not (right.is_undecided or units.order == math.inf):
        check_agreement(numbers, units)


def _check_solves(case: Case, problem: str, right: Truth, units: Units, methods: list[str]) -> str:
    """Solve by the default method and by others; return the outcome of the first."""
    outcome = check_result(ask(case, f"solve({problem})"), right, units)
    for method in methods:
        check_result(ask(case, f"solve({problem}, method={method!r})"), right, units)
    return outcome


def _check_points(case: Case) -> str:
    options = "p=p, metric=metric"
    if case.p < 1:
        options += ", concave=True"
    problem = f"Problem(x, y, a, b, {options})"
    a, b = stated(case, problem)
    x, y = case.x.tolist(), case.y.tolist()
    if math.isinf(case.p):
        right = truth.longest_on_line([u for (u,) in x], [v for (v,) in y], a, b)
    else:
        costs = truth.point_costs(x, y, case.metric, case.p)
        right = truth.optimum(truth.both_weights(a, b), *costs)
    d = case.x.shape[1]
    largest = float(max(abs(case.x).max(), abs(case.y).max()))
    units = Units.of_points(largest, math.fsum(case.a), d, case.p, case.metric)
    numbers = [ask(case, f"wasserstein_distance(x, y, a, b, {options})")]
    numbers += ask_many(case, f"pairwise([(x, a)], [(y, b)], {options})")[0]
    if d == 1 and case.metric != "sqeuclidean":
        call = f"wasserstein_distance(x[:, 0], y[:, 0], a, b, {options}, axis=0)"
        numbers.append(ask(case, call))
    _check_numbers(numbers, right, units)
    methods = ["highs"] if case.is_slow and case.p < math.inf else []
    if d == 1:
        methods.append("bottleneck" if math.isinf(case.p) else "network_simplex")
    return _check_solves(case, problem, right, units, methods)


# ---------------------------------------------------------------------------- batches


def draw_axis(rng: Random) -> Case:
    k, n, m = 16, size(rng), size(rng)
    if chance(rng, 10 * _MANY):
        k, n, m = 4, int(rng.integers(50, 201)), int(rng.integers(50, 201))
    p = pick(rng, families.ORDERS if k == 4 else (*families.ORDERS, math.inf))
    drawn = [families.weights(rng, n, m) for _ in range(k)]
    a, b = np.array([each[1] for each in drawn]), np.array([each[2] for each in drawn])
    x, y = np.empty((k, n)), np.empty((k, m))
    for row in range(k):
        _, (u, v) = families.points(rng, (n, m), 1, p)
        x[row], y[row] = u[:, 0], v[:, 0]
    data = {"x": x, "y": y, "a": a, "b": b, "p": p}
    axes = {"x": "kn", "y": "km", "a": "kn", "b": "km"}
    return Case("axis", "mixed", data, axes)


def check_axis(case: Case) -> list[str]:
    found, outcomes = _along(case, "wasserstein_distance(x, y, a, b, p=p, axis=-1)"), []
    for k, answer in enumerate(found):
        x, y, a, b = (case.data[name][k].tolist() for name in "xyab")
        right = _on_line(x, y, a, b, case.p)
        units = Units.of_points(max(map(abs, x + y)), math.fsum(a), 1, case.p)
        outcomes.append(check_number(answer, right, units))
    return outcomes


def _on_line(x: list[float], y: list[float], a: list[float], b: list[float], p: float) -> Truth:
    return truth.longest_on_line(x, y, a, b) if math.isinf(p) else truth.on_line(x, y, a, b, p)


def _along(case: Case, call: str) -> list[Answer]:
    """Return the answers for all rows; where an error is raised, one row after the other."""
    (found,) = ask_many(case, call)
    if len(found) == len(case.x):
        return found
    rows = []
    for k in range(len(case.x)):
        one = case.with_data(**{name: case.data[name][k : k + 1] for name in "xyab"})
        rows += ask_many(one, call)[0]
    return rows


def draw_pairwise(rng: Random) -> Case:
    k, l, n, m = 4, 4, size(rng), size(rng)
    kind, a, b = families.many_weights(rng, n, m, k, l)
    if chance(rng, 0.4):
        costs, cost = families.costs(rng, n, m)
        data = {"a": a, "b": b, "cost": cost}
        axes = {"a": "kn", "b": "lm", "cost": "nm"}
        return Case("pairwise", f"costs {costs}, weights {kind}", data, axes)
    d, p, metric = pick(rng, (1, 2, 2, 3)), pick(rng, families.ORDERS), pick(rng, families.METRICS)
    if chance(rng, 0.1):
        metric, p = "sqeuclidean", 1.0
    points, both = families.points(rng, (n,) * k + (m,) * l, d, p)
    data = {"x": np.array(both[:k]), "y": np.array(both[k:]), "a": a, "b": b}
    axes = {"x": "knd", "y": "lmd", "a": "kn", "b": "lm"}
    data |= {"p": p, "metric": metric}
    return Case("pairwise", f"points {points}, weights {kind}", data, axes)


def check_pairwise(case: Case) -> list[str]:
    if "cost" in case.data:
        call, one = "pairwise(a, b, cost=cost)", "emd(a[{0}], b[{1}], cost)"
        costs = truth.matrix_costs(case.cost.tolist())
    else:
        options = "p=p, metric=metric"
        call = f"pairwise(list(zip(x, a)), list(zip(y, b)), {options})"
        one = f"wasserstein_distance(x[{{0}}], y[{{1}}], a[{{0}}], b[{{1}}], {options})"
    found, outcomes = _pairs(case, call), []
    again = len(case.a) * len(case.b) // 2  # the pair that is also asked by itself
    for i, a in enumerate(case.a.tolist()):
        for j, b in enumerate(case.b.tolist()):
            if "cost" not in case.data:
                u, v = case.x[i], case.y[j]
                costs = truth.point_costs(u.tolist(), v.tolist(), case.metric, case.p)
            right = truth.optimum(truth.both_weights(a, b), *costs)
            if "cost" in case.data:
                units = Units.of_matrix(right)
            else:
                largest = float(max(abs(u).max(), abs(v).max()))
                units = Units.of_points(largest, math.fsum(a), u.shape[1], case.p, case.metric)
            answer = found[i][j]
            outcomes.append(check_number(answer, right, units))
            if i * len(case.b) + j == again and not right.is_undecided:
                single = ask(case, one.format(i, j))
                check_number(single, right, units)
                check_agreement([answer, single], units)
    return outcomes


def _pairs(case: Case, call: str) -> list[list[Answer]]:
    """Return the answers for all pairs; where an error is raised, one after the other."""
    found = ask_many(case, call)
    if not found[0][0].refusal or len(case.a) == len(case.b) == 1:
        return found

    def alone(i: int, j: int) -> Answer:
        rows = {"x": i, "a": i, "y": j, "b": j}
        data = {name: case.data[name][k : k + 1] for name, k in rows.items() if name in case.data}
        return ask_many(case.with_data(**data), call)[0][0]

    return [[alone(i, j) for j in range(len(case.b))] for i in range(len(case.a))]


# -------------------------------------------------------------------- partial problems


def draw_partial(rng: Random) -> Case:
    n, m = size(rng, 5), size(rng, 5)
    kind, a, b = families.weights(rng, n, m)
    if chance(rng, 0.7):  # unequal sums
        other, _, b = families.weights(rng, n, m)
        kind = f"{kind} and {other}"
    data: dict[str, Any] = {"a": a, "b": b}
    if chance(rng, 0.5):
        name, data["cost"] = families.costs(rng, n, m)
        finite, axes = data["cost"][np.isfinite(data["cost"])], _MATRIX
        level = float(pick(rng, abs(finite))) if finite.size else 1.0
    else:
        p, axes = pick(rng, families.ORDERS), _POINTS
        name, (x, y) = families.points(rng, (n, m), pick(rng, (1, 2, 3)), p)
        data |= {"x": x, "y": y, "p": p, "metric": pick(rng, families.METRICS)}
        level = float(np.float64(abs(x[0] - y[0]).max()) ** p)
        level = level if 0 < level < 1e300 else 1.0
    least = min(float(a.sum()), float(b.sum()))
    if chance(rng, 0.5):
        data["price"] = (level or 1.0) * float(2.0 ** rng.integers(-3, 4))
    else:
        share = pick(rng, (1.0, 0.5, float(rng.random()), 1e-12))
        data["mass"] = share * least * (1 - 2.0**-50)
    return Case("partial", f"{name}, weights {kind}", data, axes)


def check_partial(case: Case) -> list[str]:
    how = "price=price" if "price" in case.data else "mass=mass"
    if "cost" in case.data:
        problem, exact = f"Problem.from_cost(cost, a, b, {how})", True
        costs, exponent = truth.matrix_costs(case.cost.tolist())
    else:
        problem = f"Problem.partial(x, y, a, b, p=p, metric=metric, {how})"
        x, y = case.x.tolist(), case.y.tolist()
        costs, exponent, exact = truth.point_costs(x, y, case.metric, case.p)
    price, mass = case.data.get("price"), case.data.get("mass")
    if mass is not None and not 0 < mass <= min(math.fsum(case.a), math.fsum(case.b)):
        return ["InputError"]  # after shrinking
    whole = truth.with_outside(case.a.tolist(), case.b.tolist(), costs, exponent, price, mass)
    if min(whole[0][0][-1], whole[0][1][-1]) < 0:
        return ["InputError"]
    right = truth.optimum(*whole, exact)
    # The last digits of all weights may be left, at the price.
    toll = 0.0 if price is None else price * (math.fsum(case.a) + math.fsum(case.b))
    units = Units.of_matrix(right._replace(paid=right.paid + toll))
    if "cost" not in case.data:
        largest = float(max(abs(case.x).max(), abs(case.y).max()))
        total = math.fsum(case.a) + math.fsum(case.b)
        units = Units.of_points(largest, total, len(x[0]), case.p, case.metric)
    return [_check_solves(case, problem, right, units, [])]


# --------------------------------------------------------------- grids, graphs, circles


def draw_grid(rng: Random) -> Case:
    shape = pick(rng, ((2,), (5,), (2, 2), (3, 2), (3, 3), (1, 4), (4, 2), (2, 2, 2)))
    count = math.prod(shape)
    kind, a, b = families.weights(rng, count, count)
    p, metric = pick(rng, families.ORDERS), pick(rng, (*families.METRICS, "sqeuclidean"))
    p = 1.0 if metric == "sqeuclidean" or chance(rng, 0.4) else p
    most = int(250 / p)
    scale = pick(rng, (1.0, 1.0, 0.1, 2.0 ** int(rng.integers(-most, most + 1))))
    spacing = scale * (np.ones(len(shape)) if chance(rng, 0.6) else rng.random(len(shape)) + 0.1)
    data = {"A": a.reshape(shape), "B": b.reshape(shape), "spacing": spacing}
    methods = ("network_simplex",) * 4 + ("flow",) * 4 + ("coprime", "coprime", "sinkhorn")
    data |= {"p": p, "metric": metric, "method": pick(rng, methods)}
    axes = {"A": "ijk"[: len(shape)], "B": "ijk"[: len(shape)]}
    return Case("grid", f"weights {kind}", data, axes)


def check_grid(case: Case) -> list[str]:
    steps = zip(case.spacing.tolist(), case.A.shape, strict=True)
    axes = [step * np.arange(side) for step, side in steps]
    pixels = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(axes))
    costs = truth.point_costs(pixels.tolist(), pixels.tolist(), case.metric, case.p)
    problem = "Problem.on_grid(A, B, spacing=spacing, p=p, metric=metric)"
    weights = stated(case, problem, "AB")
    right = truth.optimum(truth.both_weights(*weights), *costs)
    units = Units.of_points(
        float(pixels.max()), math.fsum(weights[0]), len(axes), case.p, case.metric
    )
    outcome = check_result(ask(case, f"solve({problem})"), right, units)
    limit = ", max_iter=50" if case.method == "sinkhorn" else ""
    check_result(ask(case, f"solve({problem}, method=method{limit})"), right, units)
    return [outcome]


_LENGTHS = (
    lambda rng, e: rng.integers(0, 4, e).astype(float),
    lambda rng, e: rng.random(e),
    lambda rng, e: 10.0 ** rng.uniform(-5, 5, e),
    lambda rng, e: 10.0 ** rng.uniform(-100, 100, e),
)


def draw_graph(rng: Random) -> Case:
    n = size(rng, 7)
    edges = {(int(rng.integers(node)), node) for node in range(1, n)}
    kind = "tree"
    for _ in range(int(rng.integers(0, 4)) * (n > 2)):
        u, v = sorted(rng.permutation(n)[:2].tolist())
        edges.add((u, v))
        kind = "connected"
    if chance(rng, 0.3):
        edges = {edge for edge in edges if chance(rng, 0.7)}
        kind = "parts"
    pairs = np.array(sorted(edges), dtype=int).reshape(-1, 2)
    w = pick(rng, _LENGTHS)(rng, len(pairs))
    name, a, b = families.weights(rng, n, n)
    if kind == "parts" and chance(rng, 0.8):
        for nodes in _components(n, pairs):  # as much of b as of a
            _, a[nodes], b[nodes] = families.weights(rng, len(nodes), len(nodes))
        name = "balanced"
    data = {"u": pairs[:, 0], "v": pairs[:, 1], "w": w, "a": a, "b": b, "n": n}
    axes = {"u": "e", "v": "e", "w": "e"}
    return Case("graph", f"{kind}, weights {name}", data, axes)


def _components(n: int, pairs: Any) -> list[list[int]]:
    of = list(range(n))
    for u, v in pairs.tolist():
        of = [of[u] if part == of[v] else part for part in of]
    return [[k for k in range(n) if of[k] == part] for part in sorted(set(of))]


def check_graph(case: Case) -> list[str]:
    """Check a graph; b is scaled to the sum of a in each of its parts."""
    n = case.n
    (flat,), exponent = truth.integers(case.w.tolist())
    lengths: list[list[int | None]] = [[None] * n for _ in range(n)]
    for u, v, length in zip(case.u.tolist(), case.v.tolist(), flat, strict=True):
        lengths[u][v] = lengths[v][u] = length
    between = truth.shortest_paths(lengths)
    problem = (
        "Problem.on_graph(coo_array((array([*w, *w]), ([*u, *v], [*v, *u])), shape=(n, n)), a, b)"
    )
    parts, held, total = [], stated(case, problem), math.fsum(case.a)
    for nodes in _components(n, np.column_stack([case.u, case.v])):
        a, b = ([side[k] for k in nodes] for side in held)
        apart = abs(math.fsum(a) - math.fsum(b))
        if apart > 1e-9 * math.fsum(a):
            # More than the sums of all weights may be off by, or less.
            parts.append(Truth(0, 0, 1, 1.0 if apart > 1e-14 * total else 1e-20))
        elif any(a):
            inner = [[between[i][j] for j in nodes] for i in nodes]
            parts.append(truth.optimum(truth.both_weights(a, b), inner, exponent))
    right = truth.added(parts)
    methods = ["network_simplex", "flow"] if len(case.w) % 2 else []
    return [_check_solves(case, problem, right, Units.of_matrix(right), methods)]


def draw_circle(rng: Random) -> Case:
    n, m = size(rng), size(rng)
    p = pick(rng, families.ORDERS)
    kind, a, b = families.weights(rng, n, m)
    period = pick(rng, (1.0, 24.0, 360.0, 2 * math.pi, 0.1, 1e-8))
    if chance(rng, 0.4):
        name, (x, y) = families.points(rng, (n, m), 1, p)
        x, y = x[:, 0], y[:, 0]
    elif chance(rng, 0.5):
        name, x, y = "anywhere", period * rng.random(n), period * rng.random(m)
    else:
        name = "lattice"
        x, y = (period * (rng.integers(0, 9, k) / 8) for k in (n, m))
    data = {"x": x, "y": y, "a": a, "b": b, "p": p, "period": period}
    return Case("circle", f"{name}, weights {kind}", data, {"x": "n", "y": "m", "a": "n", "b": "m"})


def check_circle(case: Case) -> list[str]:
    options = "p=p, period=period"
    problem = f"Problem.on_circle(x, y, a, b, {options})"
    x, y = case.x.tolist(), case.y.tolist()
    costs = truth.arc_costs(x, y, case.period, case.p)
    right = truth.optimum(truth.both_weights(*stated(case, problem)), *costs)
    largest = max(*map(abs, x + y), case.period)
    units = Units.of_points(largest, math.fsum(case.a), 1, case.p)
    numbers = [ask(case, f"wasserstein_distance(x, y, a, b, {options})")]
    call = f"wasserstein_distance(x[None], y[None], a[None], b[None], {options}, axis=-1)"
    numbers += ask_many(case, call)[0]
    _check_numbers(numbers, right, units)
    return [_check_solves(case, problem, right, units, ["network_simplex"])]


PATHS = {
    "one": Path(draw_one, check_one),
    "axis": Path(draw_axis, check_axis),
    "pairwise": Path(draw_pairwise, check_pairwise),
    "partial": Path(draw_partial, check_partial),
    "grid": Path(draw_grid, check_grid),
    "graph": Path(draw_graph, check_graph),
    "circle": Path(draw_circle, check_circle),
    "sinkhorn": Path(sinkhorn_path.draw, sinkhorn_path.check),
    "certify": Path(certify_path.draw, certify_path.check),
}
