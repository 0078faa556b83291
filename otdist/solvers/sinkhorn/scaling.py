"""Sinkhorn's iteration without logarithms, for problems whose exponents fit in float64.

The plan is ``a u K v b`` with ``K = exp(-c / epsilon)``, which is computed once. An iteration is
two products of K with a vector, row block by row block, so that K is read once. While costs are
at most `_LARGEST` epsilon, entries of K and the scalings u and v stay in range: scalings vary no
more than K does. Anderson's acceleration takes few iterations where Sinkhorn's iteration
converges well; elsewhere the problem is left to the log domain, with annealing.
"""

from __future__ import annotations

import math

import numpy as np

from otdist.compiled.costs import rows_of
from otdist.problem.problem import Problem
from otdist.runtime.blocks import N_PARTS, share_rows
from otdist.solvers.registry import Options
from otdist.solvers.sinkhorn.acceleration import Anderson
from otdist.solvers.sinkhorn.annealing import ROUNDING, State, is_solved
from otdist.typing import FloatArray

# Largest cost, in units of epsilon: K is then at least exp(-400), about 1e-174.
_LARGEST = 400.0
# Costs of points may be known to be at most this many times the largest one: where that leaves
# no room, K is not computed.
_LOOSE = 8.0
# Entries of K that are kept: 80 MB.
_MOST_ENTRIES = 10_000_000
# Iterations after which their rate is known, and the most that are worth their time.
_OBSERVED = 10
_MOST_ITERATIONS = 60
# A tolerance is at least this many times the rounding of sums.
_CLEAR = 10.0


def scale(problem: Problem, epsilon: float, options: Options) -> tuple[State | None, int]:
    """Return the solution and a number of iterations; None for a problem that is not easy."""
    if not _fits(problem, epsilon, options):
        return None, 0
    a, b, mass = problem.a, problem.b, problem.mass
    kernel = _kernel(problem, epsilon, options.n_jobs)
    if not math.exp(-_LARGEST) <= kernel.min() <= kernel.max() <= math.exp(_LARGEST):
        return None, 0
    log_v, anderson = np.zeros(len(b)), Anderson(np.sqrt(b))
    n_iter, first = 0, 0.0
    while True:
        with np.errstate(all="ignore"):
            v = np.exp(log_v)
            u, sums = _pass(kernel, a, b * v, options.n_jobs)
            change = -log_v - np.log(sums)
        n_iter += 1
        if options.report is not None:
            options.report(n_iter, np.inf)
        worst = float(np.abs(change).max())
        if not worst < np.inf:
            return None, n_iter  # a sum has left the range of float64
        columns = b * v * sums
        error = float(np.abs(columns - b).sum()) / mass
        f, g = epsilon * np.log(u), epsilon * log_v
        state = State(f, g, epsilon, columns, error, worst, finished=True)
        if is_solved(state, options.tol, is_tight=True):
            return state, n_iter
        if options.limit_met(n_iter) is not None:
            return state._replace(finished=False), n_iter
        first = first or error
        if n_iter >= _OBSERVED and _expected(first, error, options.tol, n_iter) > _MOST_ITERATIONS:
            return None, n_iter
        log_v = anderson.next(log_v, log_v + change, error)


def _fits(problem: Problem, epsilon: float, options: Options) -> bool:
    """Whether K fits in memory and float64, and float64 has the digits of the tolerance."""
    facts, ratio = problem.geometry.facts, problem.geometry.largest / epsilon
    return (
        options.warm_start is None
        and not facts.has_forbidden
        # Both potentials are equal there, which averaging keeps.
        and not problem.is_symmetric
        and math.prod(problem.shape) <= _MOST_ENTRIES
        and ratio <= _LOOSE * _LARGEST
        and options.tol >= _CLEAR * ROUNDING * (1 + ratio)
    )


def _kernel(problem: Problem, epsilon: float, n_jobs: int) -> FloatArray:
    """Return ``exp(-c / epsilon)``."""
    n, m = problem.shape
    costs, kernel = problem.geometry.costs(), np.empty((n, m))

    def fill(part: int, start: int, stop: int) -> None:
        del part
        block = kernel[start:stop]
        with np.errstate(over="ignore", under="ignore"):
            np.multiply(rows_of(costs, start, stop), -1 / epsilon, out=block)
            np.exp(block, out=block)

    share_rows(n, m, fill, n_jobs)
    return kernel


def _pass(
    kernel: FloatArray, a: FloatArray, scaled_b: FloatArray, n_jobs: int
) -> tuple[FloatArray, FloatArray]:
    """Return ``u = 1 / (K v b)`` and the sums of ``a u K`` over the rows."""
    n, m = kernel.shape
    u, sums = np.empty(n), np.zeros((N_PARTS, m))

    def add(part: int, start: int, stop: int) -> None:
        block = kernel[start:stop]
        u[start:stop] = 1 / (block @ scaled_b)
        sums[part] += (a[start:stop] * u[start:stop]) @ block

    share_rows(n, m, add, n_jobs)
    return u, sums.sum(axis=0)


def _expected(first: float, error: float, tol: float, n_iter: int) -> float:
    """Return how many iterations reach the tolerance at the mean rate so far."""
    if not error < first:
        return math.inf
    return n_iter * math.log(tol / first) / math.log(error / first) if tol < first else 0.0
