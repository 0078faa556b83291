"""Costs on a circle: the length of the shorter arc, to the power p."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from otdist.geometry.metrics import power
from otdist.geometry.protocol import Facts
from otdist.geometry.sorted import Sorted, ascending, monotone_minimum
from otdist.typing import FloatArray, IntArray


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Circle(Sorted):
    """Positions x (n,) and y (m,) on a circle, with cost ``arc ** p``, p >= 1.

    Positions are in ``[-period / 2, period / 2]``.
    """

    period: float

    @classmethod
    def of(cls, x: FloatArray, y: FloatArray, period: float, p: float) -> Circle:
        """Return the geometry, with the orders that sort its positions."""
        by_x, by_y = ascending(x), ascending(y)
        ordered = np.sort(np.concatenate([x[by_x], y[by_y]]), kind="stable")
        with np.errstate(over="ignore"):
            largest = float(np.float64(_longest_arc(ordered, period)) ** p)
        return cls(x, y, by_x, by_y, p, largest, period)

    @property
    def facts(self) -> Facts:
        """Facts: some optimal coupling keeps the order of the circle."""
        return Facts(
            order=(self.by_x, self.by_y),
            has_positions=True,
            is_positive=True,
            roundings=1.5 * self.p + 1,
            least=0.0 if self.p == 1 else 2.0**-1050,
        )

    def resolution(self) -> tuple[float, float]:
        """Return two units in the last place of half a period, and p."""
        return float(np.finfo(float).eps) * self.period, self.p

    def rows(self, start: int, stop: int) -> FloatArray:
        """Compute the costs of a block of rows."""
        return power(arc(self.x[start:stop, None], self.y, self.period), self.p)

    def pairs(self, rows: IntArray, columns: IntArray) -> FloatArray:
        """Compute the costs of the listed pairs."""
        return power(arc(self.x[rows], self.y[columns], self.period), self.p)

    def restrict(self, rows: IntArray, columns: IntArray) -> Circle:
        """Return the geometry of the listed positions."""
        return Circle.of(self.x[rows], self.y[columns], self.period, self.p)

    def _minimum(self, x: FloatArray, f: FloatArray, y: FloatArray) -> FloatArray:
        """Unroll x to three turns: the shorter arc is the least of three distances."""

        def cost(i: IntArray, j: IntArray) -> FloatArray:
            turn, i = np.divmod(i, len(x))
            return power(lifted(x[i], turn - 1, y[j], self.period), self.p)

        return monotone_minimum(cost, np.tile(f, 3), len(y))

    def derivative(self, rows: IntArray, columns: IntArray) -> FloatArray:
        """Return the gradient (k, 1) of the costs in the first position."""
        x, y = self.x[rows], self.y[columns]
        distance = arc(x, y, self.period)
        # The shorter arc leads away from y, or around the other way.
        sign = np.sign(x - y) * np.where(np.abs(x - y) > self.period / 2, -1.0, 1.0)
        return np.asarray((self.p * distance ** (self.p - 1) * sign)[:, None])


def reduced(positions: FloatArray, period: float) -> FloatArray:
    """Return positions in ``[-period / 2, period / 2]``, without any rounding.

    The remainder of a division is exact, and so is the difference of two numbers
    within a factor of two (Sterbenz).
    """
    rest = np.fmod(positions, period)
    rest = np.where(rest > 0.5 * period, rest - period, rest)
    return np.asarray(np.where(rest < -0.5 * period, rest + period, rest))


def _longest_arc(ordered: FloatArray, period: float) -> float:
    """Return a bound on all arcs between positions: all but the largest gap, or half."""
    gaps = np.diff(ordered)
    whole = float(ordered[-1] - ordered[0])
    if len(gaps) and gaps.max() > period - whole:
        k = int(gaps.argmax())
        whole = float((0.5 * period - ordered[k + 1]) + (ordered[k] + 0.5 * period))
    return min(whole, 0.5 * period)


def arc(x: FloatArray, y: FloatArray, period: float) -> FloatArray:
    """Return the length of the shorter arc between positions that broadcast.

    Around the other way it is summed from the two distances to ``period / 2``, which
    are exact where the arc is short.
    """
    half = 0.5 * period
    around = (half - np.maximum(x, y)) + (np.minimum(x, y) + half)
    return np.asarray(np.minimum(np.abs(x - y), around))


def lifted(x: FloatArray, turn: IntArray, y: FloatArray, period: float) -> FloatArray:
    """Return ``|x + turn * period - y|`` for one turn at most, as exact as `arc`."""
    half = 0.5 * period
    ahead = (half - y) + (x + half)
    behind = (half - x) + (y + half)
    return np.asarray(np.where(turn == 0, np.abs(x - y), np.where(turn > 0, ahead, behind)))
