"""Derivatives of the optimal value, by the envelope theorem."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from otdist.errors import InputError
from otdist.geometry.protocol import Geometry
from otdist.plans.plans import Arcs, Flow, LazyPlan
from otdist.runtime.blocks import row_blocks
from otdist.runtime.show import brief
from otdist.typing import FloatArray

if TYPE_CHECKING:
    from otdist.problem.result import Result


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Gradients:
    """Derivatives of a value (envelope theorem); None where undefined.

    Attributes
    ----------
    value : float
        The value itself, cost × mass.
    a, b : ndarray (n,), (m,)
        In cost units, along changes that keep the two sums equal; each is
        determined up to a constant and is centred to mean 0. Of a partial problem
        they are plain partial derivatives.
    x, y : ndarray (n, d), (m, d) or None
        In value per unit of coordinate; None for a cost matrix.
    cost : sparse or dense (n, m)
        The plan, in mass.

    Notes
    -----
    They are computed from one optimal plan and one pair of optimal potentials, and nothing
    about them is proved beyond the value. Where the optimum is not unique, the value has a
    kink, and they are one slope between those on its two sides:

    * `a`, `b`: where the arcs of the plan do not connect all atoms, as in an assignment of n
      to n points of equal weights. The potentials of parts may move against each other.
    * `x`, `y` and `cost`: where several plans are optimal, as for points on a lattice.
    * `x`, `y`: where the distance itself has a kink. Points that coincide pull with slope 0
      for p = 1; of equally large coordinates of "chebyshev" the first one counts.

    Entropic plans and potentials are unique, the latter up to a constant.
    """

    value: float
    a: FloatArray
    b: FloatArray
    x: FloatArray | None
    y: FloatArray | None
    cost: Any

    def __repr__(self) -> str:
        return brief(self)


def gradients(result: Result) -> Gradients:
    """Return the derivatives of ``result.value``; see `Result.gradients`."""
    problem = result.problem
    if problem.is_bottleneck:
        raise InputError("p=inf has no gradient: the longest arc changes abruptly")
    x = y = None
    if problem.geometry.facts.has_positions:
        x, y = point_gradients(problem.geometry, arcs_of(result))
    if problem.is_partial:
        # Weights may change one by one.
        a, b = result.potentials
    else:
        f, g = _mass_gradients(result)
        a, b = f - f.mean(), g - g.mean()
    return Gradients(value=result.value, a=a, b=b, x=x, y=y, cost=result.plan)


def arcs_of(result: Result) -> Arcs | LazyPlan:
    """Return the coupling of a result; a flow is split into one."""
    coupling, problem = result.coupling, result.problem
    if isinstance(coupling, Flow):
        return coupling.arcs(problem.a, problem.b)
    return coupling


def point_gradients(geometry: Geometry, plan: Arcs | LazyPlan) -> tuple[FloatArray, FloatArray]:
    """Return the derivatives (n, d) and (m, d) of the plan's cost in the points."""
    n, m = geometry.shape
    if isinstance(plan, Arcs):
        return geometry.arc_slopes(0, n, *plan)
    by_x, by_y = [], np.zeros(1)
    for start, stop in row_blocks(n, m):
        of_x, of_y = geometry.slopes(start, stop, plan.rows(start, stop))
        by_x.append(of_x)
        by_y = by_y + of_y
    return np.concatenate(by_x), by_y


def _mass_gradients(result: Result) -> tuple[FloatArray, FloatArray]:
    """Return the potentials; of atoms without mass, what a first bit of it costs.

    Those of a certificate may be lower, since they go with one another everywhere.
    """
    problem, plan = result.problem, result.coupling
    epsilon = None if isinstance(plan, Arcs | Flow) else plan.epsilon
    a, b = problem.a / problem.mass, problem.b / problem.mass
    return filled(problem.geometry, a, b, *result.potentials, epsilon)


def filled(
    geometry: Geometry,
    a: FloatArray,
    b: FloatArray,
    f: FloatArray,
    g: FloatArray,
    epsilon: float | None,
    damping: float = 1.0,
) -> tuple[FloatArray, FloatArray]:
    """Return potentials that are transforms of each other where there is no mass.

    Of the other side's potentials only those of atoms with mass count. Soft
    transforms for an epsilon, times `damping`.
    """
    has_a, has_b = a > 0, b > 0
    if has_a.all() and has_b.all():
        return f, g
    rows, columns = np.flatnonzero(has_a), np.flatnonzero(has_b)
    new_rows, new_columns = np.flatnonzero(~has_a), np.flatnonzero(~has_b)
    from_g = geometry.restrict(new_rows, columns)
    from_f = geometry.restrict(rows, new_columns)
    if epsilon is None:
        new_f = from_g.row_minimum(g[columns])
        new_g = from_f.column_minimum(f[rows])
    else:
        with_b = g[columns] + epsilon * np.log(b[columns])
        new_f = damping * soft_row_minimum(from_g, with_b, epsilon)
        with_a = f[rows] + epsilon * np.log(a[rows])
        new_g = damping * soft_column_minimum(from_f, with_a, epsilon)
    f, g = f.copy(), g.copy()
    f[new_rows] = np.where(np.isfinite(new_f), new_f, f[new_rows])
    g[new_columns] = np.where(np.isfinite(new_g), new_g, g[new_columns])
    return f, g


def soft_column_minimum(geometry: Geometry, f: FloatArray, epsilon: float) -> FloatArray:
    """Return ``-epsilon log sum_i exp((f[i] - c[i, j]) / epsilon)``, shape (m,)."""
    n, m = geometry.shape
    least = _or_zero(geometry.column_minimum(f))
    total = np.zeros(m)
    for start, stop in row_blocks(n, m):
        slack = geometry.rows(start, stop) - f[start:stop, None]
        total += np.exp((least - slack) / epsilon).sum(axis=0)
    with np.errstate(divide="ignore"):
        return least - epsilon * np.log(total)


def soft_row_minimum(geometry: Geometry, g: FloatArray, epsilon: float) -> FloatArray:
    """Return ``-epsilon log sum_j exp((g[j] - c[i, j]) / epsilon)``, shape (n,)."""
    n, m = geometry.shape
    least = _or_zero(geometry.row_minimum(g))
    total = np.empty(n)
    for start, stop in row_blocks(n, m):
        slack = geometry.rows(start, stop) - g
        total[start:stop] = np.exp((least[start:stop, None] - slack) / epsilon).sum(1)
    with np.errstate(divide="ignore"):
        return least - epsilon * np.log(total)


def _or_zero(least: FloatArray) -> FloatArray:
    """Return 0 for atoms without any allowed arc, whose soft minimum is inf as well."""
    return np.where(np.isfinite(least), least, 0.0)
