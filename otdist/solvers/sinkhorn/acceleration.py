"""Over-relaxation and Anderson acceleration of Sinkhorn's iteration."""

from __future__ import annotations

import numpy as np

from otdist.solvers.sinkhorn.kernels.anderson import new_memory, next_iterate
from otdist.typing import FloatArray


class Relaxation:
    """Over-relaxation: potentials move omega times as far as in the plain iteration.

    Near the optimum Sinkhorn's iteration is block Gauss-Seidel. If it contracts at rate r with
    weight omega, its rate without relaxation is ``(r + omega - 1)**2 / (r omega**2)``, which
    gives the best weight (Young, 1971; Thibault et al., 2021). The rate is observed over a few
    iterations at a time. If the error grows, the weight returns to 1 and its limit is lowered;
    the limit rises again with iterations.
    """

    _WINDOW = 10
    _LARGEST = 1.9995

    def __init__(self) -> None:
        self.omega = 1.0
        self._cap = self._LARGEST
        self._errors: list[float] = []
        self._best = np.inf

    def observe(self, error: float) -> bool:
        """Record the error of an iteration; return whether to restart from g."""
        if not error <= 10 * self._best:
            self._cap = 1 + (max(self.omega, 1.01) - 1) / 2
            self.omega, self._best, self._errors = 1.0, np.inf, []
            return True
        self._best = min(self._best, error)
        self._errors.append(error)
        if len(self._errors) > self._WINDOW:
            rate = (self._errors[-1] / self._errors[-4]) ** (1 / 3)
            if self.omega - 1 < rate < 1:
                own = (rate + self.omega - 1) ** 2 / (rate * self.omega**2)
                best = 2 / (1 + np.sqrt(max(1 - own, 0.0)))
                self.omega = min(max(best, self.omega), self._cap)
            self._cap = min(self._LARGEST, 1 + self._cap / 2)
            self._errors = []
        return False


class Anderson:
    """Anderson's acceleration of a fixed-point iteration (Walker and Ni, 2011).

    The next iterate is the combination of the last few whose residuals cancel best. Where the
    error grows, the iteration restarts from the best iterate.
    """

    def __init__(self, weight: FloatArray) -> None:
        self._weight, self._memory = weight, new_memory(len(weight))

    def next(self, g: FloatArray, mapped: FloatArray, error: float) -> FloatArray:
        """Return the next iterate, from an iterate g, its image and its error."""
        found = np.empty(len(g))
        next_iterate(self._memory, g, mapped, error, self._weight, found)
        return found
