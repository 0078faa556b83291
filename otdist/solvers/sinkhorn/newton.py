"""Bring the columns of a plan to their masses by Newton's method, rows kept exact.

Only the larger entries of the plan are used, which determine the digits of a Newton system. It
has one unknown per column and is solved by conjugate gradients. The dual objective, which is
concave, guards every step (Brauer et al., 2017; Tang et al., *Sinkhorn-Newton-Sparse*, 2024).
Moving g by ``ε log v`` multiplies column j of the plan by v[j].
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from otdist.compiled.costs import read_only
from otdist.compiled.exp2 import WIDTH
from otdist.solvers.sinkhorn.kernels.newton import diagonal, normal_matvec, scaled_columns
from otdist.solvers.sinkhorn.sweeps import Blocks
from otdist.typing import FloatArray

# No column is scaled by more than exp of this in one step.
_LONGEST_STEP = 4.0
# Logarithms are cut off here.
_OVERFLOW = 300.0
# Part of the error that entries outside of the blocks may grow to while columns are scaled.
_GROWN = 0.1
# Steps are shortened by this factor until the objective rises sufficiently.
_SHORTENING = 0.3
_SHORTEST_STEP = 1e-3
_SUFFICIENT = 1e-2
# A linear system is solved to this part of its first residual, and to smaller parts, down to the
# least, while steps do not halve the error.
_FORCING = 0.1
_LEAST_FORCING = 1e-7
_CG_STEPS = 1000


def largest_ratio(columns: FloatArray, b: FloatArray) -> float:
    """Return the largest ``|log(columns / b)|``: inf for a column that is lost."""
    with np.errstate(divide="ignore"):
        return float(np.abs(np.log(columns / b)).max())


class _Scaled(NamedTuple):
    """A plan scaled by columns, then by rows to their masses."""

    log_v: FloatArray  # (m,)
    v: FloatArray  # (m,), padded to whole blocks
    sums: FloatArray  # (n,) row sums before the rows are scaled
    columns: FloatArray  # (m,) after
    error: float  # largest |log(columns / b)|
    objective: float  # of the dual, in units of epsilon


class Balance:
    """The blocks of a plan, its masses, and Newton's method on them."""

    def __init__(self, blocks: Blocks, a: FloatArray, b: FloatArray, n_jobs: int = 1) -> None:
        self.blocks, self.a, self.b, self.n_jobs = blocks, read_only(a), b, n_jobs
        # Entries below this part of a row are in no block. Without these weak links, parts of
        # the plan may be disconnected, and the system singular.
        self.level = blocks.level
        self.forcing = _FORCING
        self.n_places = -(-len(b) // WIDTH) * WIDTH

    def solve(self, tol: float, max_steps: int) -> tuple[FloatArray, FloatArray, float]:
        """Return log u and log v that reduce the error to at most tol, and the error.

        The error is larger than tol where columns were scaled so much that entries outside of
        the blocks begin to count.
        """
        state = self._scaled(np.zeros(len(self.b)))
        for _ in range(max_steps):
            if state.error <= tol or self._omitted(state) > _GROWN * state.error:
                break
            before, state = state, self._step(state)
            slow = state.error > 0.5 * before.error
            self.forcing = max(0.1 * self.forcing, _LEAST_FORCING) if slow else _FORCING
            if state.error >= before.error and state.objective <= before.objective:
                break  # at the rounding of the entries
        error = max(state.error, self._omitted(state))
        return -np.log(state.sums), state.log_v, error

    def _omitted(self, state: _Scaled) -> float:
        """Return how much an entry outside of the blocks may have grown, as a part of its row."""
        growth = float(state.log_v.max())
        return self.level * math.expm1(min(max(growth, 0.0), _OVERFLOW))

    def _step(self, state: _Scaled) -> _Scaled:
        """Take a Newton step that raises the objective, or else a Sinkhorn step."""
        direction = self._direction(state, self.b - state.columns)
        direction -= np.median(direction)
        np.clip(direction, -_LONGEST_STEP, _LONGEST_STEP, out=direction)
        slope = float((self.b - state.columns) @ direction)
        length = 1.0
        while length > _SHORTEST_STEP:
            new = self._scaled(state.log_v + length * direction)
            rise = new.objective - state.objective
            # Near the optimum the objective has no digits left, but the error still has.
            if new.error < 0.5 * state.error or rise > _SUFFICIENT * length * slope:
                return new
            length *= _SHORTENING
        least = np.finfo(float).tiny
        sinkhorn = np.log(self.b) - np.log(np.maximum(state.columns, least))
        np.clip(sinkhorn, -_LONGEST_STEP, _LONGEST_STEP, out=sinkhorn)
        return self._scaled(state.log_v + sinkhorn)

    def _scaled(self, log_v: FloatArray) -> _Scaled:
        m = len(self.b)
        v, y, sums = (np.zeros(self.n_places), np.zeros(self.n_places), np.empty_like(self.a))
        np.exp(log_v, out=v[:m])
        for rows, pool in self.blocks.parts:
            mass, rest = self.a[rows], self.blocks.rest_rows[rows]
            scaled_columns(pool, rows.start, v, mass, rest, sums[rows], y)
        left = self.blocks.rest_columns * v[:m]
        columns = self.blocks.accuracy * (v[:m] * y[:m] + left)
        objective = float(self.b @ log_v - self.a @ np.log(sums) - left.sum())
        error = largest_ratio(columns, self.b)
        return _Scaled(log_v, v, sums, columns, error, objective)

    def _direction(self, state: _Scaled, residual: FloatArray) -> FloatArray:
        """Solve ``(diag(columns) - Pᵀ diag(1/a) P) x = residual`` by CG, for the scaled plan P.

        Only constants are in the null space. The diagonal is the preconditioner, since columns
        that get almost all mass of a row differ from the others by orders of magnitude.
        """
        # Column sums of the blocks themselves: with others the matrix may be indefinite.
        m, columns = len(self.b), state.columns / self.blocks.accuracy
        weight = self.a / state.sums**2
        diag = np.zeros(self.n_places)
        for rows, pool in self.blocks.parts:
            diagonal(pool, rows.start, state.v, weight[rows], state.sums[rows], diag)
        diag = diag[:m] + self.blocks.rest_columns * state.v[:m]
        whole = columns * (1 + self.level)
        diag += self.level * columns + np.finfo(float).tiny
        residual = residual - columns * (residual.sum() / columns.sum())
        x = np.zeros(m)
        z = residual / diag
        p, size = z.copy(), float(residual @ z)
        wanted = self.forcing**2 * size
        scaled = np.zeros(self.n_places)
        for _ in range(_CG_STEPS):
            if not size > wanted:
                break
            np.multiply(p, state.v[:m], out=scaled[:m])
            back = np.zeros(self.n_places)
            for rows, pool in self.blocks.parts:
                normal_matvec(pool, rows.start, scaled, weight[rows], back)
            q = whole * p - state.v[:m] * back[:m]
            curvature = float(p @ q)
            if not curvature > 0:
                break
            length = size / curvature
            x += length * p
            residual = residual - length * q
            z = residual / diag
            size, before = float(residual @ z), size
            p = z + size / before * p
        return x
