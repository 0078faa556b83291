"""Sinkhorn's iteration without logarithms, for problems whose exponents fit in float64.

The plan is ``a u K v b`` with ``K = exp(-c / epsilon)``, which is computed once. An iteration is
two products of K with a vector, row by row, so that K is read once. While costs are at most
`_LARGEST` epsilon, entries of K and the scalings u and v stay in range: scalings vary no more than
K does. Anderson's acceleration takes few iterations where Sinkhorn's iteration converges well;
elsewhere the problem is left to the log domain, with annealing.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from otdist.plans.integer_masses import shrink
from otdist.plans.plans import EntropicPlan
from otdist.problem.problem import Problem
from otdist.runtime.blocks import BLOCK_ENTRIES, share_rows
from otdist.solvers.registry import Options
from otdist.solvers.sinkhorn.annealing import ROUNDING, State
from otdist.solvers.sinkhorn.kernels.anderson import new_memory
from otdist.solvers.sinkhorn.kernels.scaling import gibbs_rows, iterate
from otdist.typing import FloatArray

# Largest cost, in units of epsilon: K is then at least exp(-400), about 1e-174.
_LARGEST = 400.0
# Costs of points may be known to be at most this many times the largest one: where that leaves
# no room, K is not computed.
_LOOSE = 8.0
# Entries of K that are kept: 80 MB.
_MOST_ENTRIES = 10_000_000
# Pairs up to which the plan is summed once more, in order to round it.
_FEW_PAIRS = 1 << 12
# Iterations between two looks at their rate, and the most that are worth their time: in general,
# and where K fits in the processor's cache.
_OBSERVED = 10
_MOST_ITERATIONS, _MOST_IN_CACHE = 60, 300
# A column may be off by this many times the tolerance, as a part of its own weight. Its entries may
# be off by several times as much where the iteration is slow.
_EVEN = 3.0
# A tolerance is at least this many times the rounding of sums.
_CLEAR = 10.0


class Scaled(NamedTuple):
    """A solution: the state of the iteration, and its plan rounded to the marginals.

    Of few pairs there is no plan: it is rounded by its own sums, to the last digit.
    """

    state: State
    plan: EntropicPlan | None


def scale(problem: Problem, epsilon: float, options: Options) -> tuple[Scaled | None, int]:
    """Return the solution and a number of iterations; None for a problem that is not easy."""
    if not _fits(problem, epsilon, options):
        return None, 0
    gibbs = _gibbs(problem, epsilon, options.n_jobs)
    if gibbs is None:
        return None, 0
    a, b = problem.a, problem.b
    u, log_v, weight = np.empty(len(a)), np.zeros(len(b)), np.sqrt(b)
    scaled_b, columns, image = np.empty((3, len(b)))
    memory, wanted = new_memory(len(b)), (options.tol * problem.mass, _EVEN * options.tol)
    most_in_all = _MOST_IN_CACHE if gibbs.size <= BLOCK_ENTRIES else _MOST_ITERATIONS
    n_iter = 0
    while True:
        most = max(1, min(_OBSERVED, options.max_iter - n_iter))
        with np.errstate(all="ignore"):  # for where compilation is off
            n_more, error, worst = iterate(
                gibbs, a, b, wanted, most, log_v, u, scaled_b, columns, image, weight, memory
            )
        n_iter += n_more
        error /= problem.mass
        if options.report is not None:
            options.report(n_iter, np.inf)
        if not worst < np.inf:
            return None, n_iter  # a number has left the range of float64
        is_solved = error <= options.tol and worst <= _EVEN * options.tol
        if is_solved or options.limit_met(n_iter) is not None:
            f, g = epsilon * np.log(u), epsilon * np.log(scaled_b / b)
            state = State(f, g, epsilon, columns, error, worst, is_solved)
            is_small = gibbs.size <= _FEW_PAIRS
            plan = None if is_small else _rounded(problem, state, gibbs, a * u, scaled_b)
            return Scaled(state, plan), n_iter
        if _expected(error, options.tol, n_iter) > most_in_all:
            return None, n_iter


def _fits(problem: Problem, epsilon: float, options: Options) -> bool:
    """Whether K fits in memory and float64, and float64 has the digits of the tolerance."""
    ratio = problem.geometry.largest / epsilon
    return (
        options.warm_start is None
        and math.prod(problem.shape) <= _MOST_ENTRIES
        and ratio <= _LOOSE * _LARGEST
        and options.tol >= _CLEAR * ROUNDING * (1 + ratio)
        # Both potentials are equal there, which averaging keeps.
        and not problem.is_symmetric
    )


def _gibbs(problem: Problem, epsilon: float, n_jobs: int) -> FloatArray | None:
    """Return ``K = exp(-c / epsilon)``; None where an entry is out of range."""
    n, m = problem.shape
    costs, gibbs, nothing = problem.geometry.tabulated().costs(), np.empty((n, m)), np.zeros(m)
    scale, ranges = 1 / (epsilon * math.log(2)), list[tuple[float, float]]()

    def fill(part: int, start: int, stop: int) -> None:
        del part
        ranges.append(gibbs_rows(costs, start, scale, nothing, gibbs[start:stop]))

    share_rows(n, m, fill, n_jobs)
    least, most = min(low for low, _ in ranges), max(high for _, high in ranges)
    return gibbs if math.exp(-_LARGEST) <= least <= most <= math.exp(_LARGEST) else None


def _rounded(
    problem: Problem, state: State, gibbs: FloatArray, scaled_a: FloatArray, scaled_b: FloatArray
) -> EntropicPlan:
    """Scale columns down to their masses, by slightly less for rounding, and spread the rest.

    Rows had their masses and lose some of it, so that no row is too heavy.
    """
    a, b, epsilon = problem.a, problem.b, state.epsilon
    room = 1e-15 * (10 + problem.geometry.largest / epsilon)
    s = shrink(b, state.columns) * (1 - min(room, 0.5))
    rest_a = np.maximum(a - scaled_a * (gibbs @ (scaled_b * s)), 0.0)
    rest_b = np.maximum(b - s * state.columns, 0.0)
    f, g = epsilon * np.log(scaled_a), epsilon * np.log(scaled_b)
    r, rest = np.ones(len(a)), rest_b.sum()
    return EntropicPlan(problem.geometry, f, g, epsilon, r, s, rest_a, rest_b / (rest or 1.0))


def _expected(error: float, tol: float, n_iter: int) -> float:
    """Return how many iterations reach the tolerance at the mean rate so far."""
    return n_iter * math.log(tol) / math.log(error) if error < 1 else math.inf
