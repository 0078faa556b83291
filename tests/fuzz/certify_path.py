"""Certificates of plans and potentials from anywhere, right ones and hostile ones."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from . import families, truth
from .families import Array, Random, chance, pick, size
from .judge import Case, Violation, ask, check_bracket, check_feasible, stated

_LARGEST = 1.7e308
#: What `certify` is given.
CLAIMS = ("plan, f, g", "plan, f", "plan")


def draw(rng: Random) -> Case:
    """Draw a problem, a plan and potentials that may have nothing to do with it."""
    n, m = size(rng, 5), size(rng, 5)
    kind, a, b = families.weights(rng, n, m)
    data: dict[str, Any] = {"a": a, "b": b}
    axes = {"plan": "nm", "f": "n", "g": "m", "a": "n", "b": "m"}
    if chance(rng, 0.6):
        name, data["cost"] = families.costs(rng, n, m)
        axes["cost"] = "nm"
    else:
        p = pick(rng, families.ORDERS)
        name, (x, y) = families.points(rng, (n, m), pick(rng, (1, 2, 3)), p)
        data |= {"x": x, "y": y, "p": p, "metric": pick(rng, families.METRICS)}
        axes |= {"x": "nd", "y": "md"}
    case = Case("certify", "", data, axes)
    claim, plan, f, g = _claim(rng, case)
    case = case.with_data(plan=plan, f=f, g=g)
    return Case("certify", f"{name}, weights {kind}, {claim}", case.data, axes)


def _claim(rng: Random, case: Case) -> tuple[str, Array, Array, Array]:
    """Return the optimal plan and potentials, rounded, or others made from them."""
    supply, demand, unit, divisor = truth.both_weights(case.a.tolist(), case.b.tolist())
    costs, exponent, _ = _costs(case)
    moved = truth.transport(supply, demand, costs)

    def as_floats(values: Any, exponent: int, divisor: int = 1) -> Array:
        up, down = 1 << max(exponent, 0), divisor << max(-exponent, 0)
        found = np.array([truth.ratio(v * up, down) for v in values])
        return np.clip(found, -_LARGEST, _LARGEST)

    plan = np.array([as_floats(row, unit, divisor) for row in moved.flow])
    f, g = as_floats(moved.f, exponent), as_floats(moved.g, exponent)
    what, (plan, used) = families.choose(rng, _PLANS, plan, case)
    which, (f, g) = families.choose(rng, _POTENTIALS, f, g)
    return f"plan {what}, potentials {which}", plan * used, f, g


def _any_size(rng: Random, values: Array) -> Array:
    return values * 10.0 ** rng.uniform(-300, 307, values.shape)


def _lost_atom(rng: Random, plan: Array, case: Case) -> tuple[Array, Array]:
    used = np.ones_like(plan)
    used[int(rng.integers(len(plan)))] = 0
    return plan, used


def _swapped(rng: Random, plan: Array, case: Case) -> tuple[Array, float]:
    return plan[rng.permutation(len(plan))], 1.0


_PLANS: dict[str, families.Draw] = {
    "optimal": lambda rng, plan, case: (plan, 1.0),
    "perturbed": lambda rng, plan, case: (
        plan,
        1 + 10.0 ** rng.uniform(-16, -3) * rng.random(plan.shape),
    ),
    "with a lost atom": _lost_atom,
    "with swapped rows": _swapped,
    "independent": lambda rng, plan, case: (np.outer(case.a / case.a.sum(), case.b), 1.0),
    "zero": lambda rng, plan, case: (plan, 0.0),
    "twice": lambda rng, plan, case: (plan, 2.0),
    "random": lambda rng, plan, case: (rng.random(plan.shape), rng.random(plan.shape) < 0.5),
    "of any size": lambda rng, plan, case: (_any_size(rng, rng.random(plan.shape)), 1.0),
}
_POTENTIALS: dict[str, families.Draw] = {
    "optimal": lambda rng, f, g: (f, g),
    "next to optimal": lambda rng, f, g: (
        f * (1 + 1e-12 * rng.normal(size=f.shape)),
        g * (1 + 1e-12 * rng.normal(size=g.shape)),
    ),
    "zero": lambda rng, f, g: (0 * f, 0 * g),
    "random": lambda rng, f, g: (rng.normal(size=f.shape), rng.normal(size=g.shape)),
    "of any size": lambda rng, f, g: (
        _any_size(rng, rng.normal(size=f.shape)),
        _any_size(rng, rng.normal(size=g.shape)),
    ),
    "largest": lambda rng, f, g: (
        pick(rng, (-_LARGEST, _LARGEST)) * rng.integers(-1, 2, f.shape),
        1e308 * rng.integers(-1, 2, g.shape),
    ),
    "shifted": lambda rng, f, g: (f + 1e8, g - 1e8),
}


def _costs(case: Case) -> tuple[truth.Costs, int, bool]:
    if "cost" in case.data:
        return *truth.matrix_costs(case.cost.tolist()), True
    return truth.point_costs(case.x.tolist(), case.y.tolist(), case.metric, case.p)


def check(case: Case) -> list[str]:
    problem = "Problem.from_cost(cost, a, b)"
    if "cost" not in case.data:
        problem = "Problem(x, y, a, b, p=p, metric=metric)"
    weights = truth.both_weights(*stated(case, problem))
    right = truth.optimum(weights, *_costs(case))
    is_coupling = _is_coupling(case, weights)
    outcomes = []
    for claim in CLAIMS:
        answer = ask(case, f"certify({problem}, {claim})")
        if answer.refusal:
            check_feasible(answer, right)
            outcomes.append(answer.refusal)
            continue
        certificate = answer.value
        check_bracket(answer.call, certificate.lower, certificate.upper, right)
        if is_coupling is not None and certificate.is_coupling != is_coupling:
            text = f"is_coupling is {certificate.is_coupling}"
            raise Violation("coupling", answer.call, text)
        outcomes.append("bracket")
    return outcomes[:1]


def _is_coupling(case: Case, weights: tuple[list[int], list[int], int, int]) -> bool | None:
    """Whether the plan has the marginals of the problem; None where that may be rounding."""
    supply, demand, unit, divisor = weights
    scale = Fraction(2) ** unit / divisor
    total = sum(supply) * scale
    rows = [[Fraction(v) for v in row] for row in case.plan.tolist()]
    sums = [*map(sum, rows), *map(sum, zip(*rows, strict=True))]
    wanted = [w * scale for w in (*supply, *demand)]
    off = [abs(got - want) for got, want in zip(sums, wanted, strict=True)]
    if not any(off):
        return True
    # Of each atom a part of its own weight, so that a light one that is lost counts, unless it
    # is a speck of all mass.
    least, speck = Fraction(1, 10**8), total / 2**99
    if any(error > max(least * want, speck) for error, want in zip(off, wanted, strict=True)):
        return False
    return None
