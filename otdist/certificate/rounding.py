"""How far sums, products and computed costs are off, and bounds rounded outward by it.

docs/development/how-certificates.md has the proofs. u is 2**-53, b stands for weights scaled to
the sum of a.

* Costs of points are computed to a part r and an amount t: ``c`` is at least ``(1 - r) C - t``
  for the computed C. Potentials feasible for C, times ``1 - r``, are feasible for c.
* A c-transform is rounded by u of itself; sums of products by a few u of their terms' sizes.
* A plan with marginals off by e in all can be changed into a coupling by taking away no more
  than e and adding no more than e, at no more than the largest cost.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from otdist.plans.plans import Arcs
from otdist.typing import FloatArray

if TYPE_CHECKING:
    from otdist.geometry.protocol import Geometry
    from otdist.problem.problem import Problem

EPS = float(np.finfo(float).eps)
# Unit roundoff of float64.
U = EPS / 2
# Products with a c-transform and their sum are rounded some six times, a term's size each; a sum
# in extended precision by less than the rest, where the machine has it.
ROUNDING = 8 * U + 64 * float(np.finfo(np.longdouble).eps)
#: What errors of marginals are charged: they are taken away and added, and a little more covers
#: the rounding of their sums.
SPARE = 2 * (1 + 2.0**-30)
# Numbers up to which they are summed exactly, one by one.
_SHORT = 500
# Below this products and powers may have lost digits, or be 0 where they should not; a billion
# of them lose no more than the second number.
TINY, UNDERFLOW = 2.0**-960, 2.0**-1040


class Primal(NamedTuple):
    """The cost of a coupling."""

    value: float
    upper: float  # rounded up
    size: float  # sum of the absolute terms
    error: float  # of the marginals of the plan as given, in mass
    is_coupling: bool  # as given

    def or_better(self, other: Primal | None) -> Primal:
        """Return the lower cost, with what is known of the plan as given."""
        if other is None or not other.upper < self.upper:
            return self
        return self._replace(value=other.value, upper=other.upper)


class Dual(NamedTuple):
    """A lower bound, rounded down."""

    value: float
    rounding: float  # by how much it was rounded down
    violation: float = 0.0  # of the potentials as given

    def or_better(self, other: Dual | None) -> Dual:
        """Return the larger bound, with what is known of the potentials as given."""
        if other is None or not other.value > self.value:
            return self
        return other._replace(violation=self.violation)


def charged(
    problem: Problem, value: float, size: float, error: float, *, is_tiny: bool = True
) -> float:
    """Return the cost of a plan rounded up, with the most that its marginal errors may add.

    `is_tiny` says whether some terms may have underflowed. Where some arcs are forbidden, mass
    that is missing by rounding goes along paths of at most n + m arcs.
    """
    facts = problem.geometry.facts
    upper = value + (ROUNDING + facts.roundings * EPS) * size
    if is_tiny:
        upper += facts.least * problem.mass + UNDERFLOW
    if error > 0:
        dearest = problem.geometry.largest
        if facts.has_forbidden:
            n_atoms = sum(problem.shape)
            moved = getattr(problem.marginals, "mass", problem.mass)
            is_rounding = error <= 4 * n_atoms * EPS * moved
            dearest = n_atoms * dearest if is_rounding else math.inf
        # Sums of errors, and of this with the cost, are rounded themselves.
        upper += SPARE * error * dearest
    # Masses and costs whose products overflow bound nothing.
    return upper if abs(upper) < math.inf else math.inf


def paid(geometry: Geometry, arcs: Arcs) -> tuple[float, float, bool]:
    """Return cost, absolute terms, and whether some of them may have underflowed."""
    rows, columns, mass = arcs
    cost = geometry.pairs(rows, columns)
    terms = times(mass, cost)
    small = np.flatnonzero((np.abs(terms) < TINY) & (mass > 0))
    is_tiny = len(small) > 0 and not geometry.coincide(rows[small], columns[small]).all()
    return total(terms), float(np.abs(terms).sum()), is_tiny


def times(mass: FloatArray, cost: FloatArray) -> FloatArray:
    """Multiply, where a forbidden arc that carries nothing costs nothing."""
    terms = np.zeros(len(mass))
    np.multiply(mass, cost, out=terms, where=mass > 0)
    return terms


def total(terms: FloatArray) -> float:
    """Sum exactly, or in extended precision where there are many terms."""
    if len(terms) <= 2000 and np.isfinite(terms).all():
        return math.fsum(terms.tolist())
    with np.errstate(invalid="ignore"):
        return float(np.sum(terms, dtype=np.longdouble))


def balance(problem: Problem) -> tuple[float, float]:
    """Return the part by which b has to grow for the sum of a, and how well it is known.

    In the parts of a problem that forbidden arcs separate it may be another one.
    """
    n_atoms = sum(problem.shape)
    noise = 0.0
    if n_atoms <= _SHORT:
        apart = math.fsum(problem.a.tolist() + (-problem.b).tolist()) / problem.mass
    else:
        signed = np.concatenate([problem.a, -problem.b])
        high, low = split(signed, unit_shift(2 * problem.mass))
        apart = (float(high.sum()) + float(low.sum())) / problem.mass
        noise = n_atoms * 2.0**-100 if low.any() else 0.0
    noise += (2 * U + abs(apart)) * abs(apart)
    if problem.geometry.facts.has_forbidden:
        noise += n_atoms * EPS
    return apart, noise


def unit_shift(total: float) -> float:
    """Return a number that, added and subtracted, leaves multiples of 2**-52 of a total."""
    return math.ldexp(1.5, math.frexp(total)[1]) if 0 < total < math.inf else 0.0


def split(values: FloatArray, shift: float) -> tuple[FloatArray, FloatArray]:
    """Return multiples of one unit, which add up exactly, and what is left."""
    high = (values + shift) - shift
    return high, values - high


def marginal_errors(problem: Problem, arcs: Arcs) -> tuple[FloatArray, float]:
    """Return by how much row and column sums exceed a and b (n + m,), and how well it is known."""
    n, m = problem.shape
    shift = unit_shift(max(float(arcs.mass.sum()), float(problem.a.sum() + problem.b.sum())))
    index = np.concatenate([arcs.rows, arcs.columns + n])
    values = np.concatenate([arcs.mass, arcs.mass, problem.a, problem.b])
    high, low = split(values, shift)
    ends = len(index)
    off = np.bincount(index, high[:ends], n + m) - high[ends:]
    off += np.bincount(index, low[:ends], n + m) - low[ends:]
    # What is left adds up exactly too: it is a multiple of 2**-53 of the smallest number.
    smallest = float(np.min(values, where=values > 0, initial=math.inf))
    is_exact = smallest >= len(values) * shift * 2.0**-53 or not low.any()
    return off, 0.0 if is_exact else len(high) ** 2 * 2.0**-105 * shift
