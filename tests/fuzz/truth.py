"""The exact optimum of small problems, on Python's integers; nothing here is from otdist.

Floats are integers times a power of two. The weights of a problem become integers of one
unit, its costs integers of another, and the least cost of transport is an integer too.
Costs with roots, such as Euclidean distances, are rounded down to a unit of 2**-212 of the
squared difference of coordinates: the optimum is then an interval, of a relative width far
below 1e-60.
"""

from __future__ import annotations

import bisect
import math
from typing import Any, NamedTuple

#: Costs in units of some power of two; None forbids an arc.
Costs = list[list[int | None]]

# Bits after the point of costs with roots, beyond those of the coordinates.
_ROOT_BITS = 212
# A deficit of at most this part of all weights is the rounding of their sum.
_ROUNDING = 2.0**-45
# The part of the weights that docs/development/how-certificates.md calls rounding, for p = inf.
_LIGHT = 2e-12


class Truth(NamedTuple):
    """The optimum, ``low / unit <= optimum <= high / unit``, and facts about it.

    Attributes
    ----------
    low, high, unit : int
        The interval; a single number where all costs are exact.
    shortage : float
        0 if a coupling exists; else the part of all weights that cannot move.
    paid : float
        Sum of plan × |cost| of an optimal plan.
    """

    low: int
    high: int
    unit: int
    shortage: float = 0.0
    paid: float = 0.0

    @property
    def is_infeasible(self) -> bool:
        """Whether no coupling exists, for another reason than rounded weights."""
        return self.shortage > _ROUNDING

    @property
    def is_undecided(self) -> bool:
        """Whether no coupling exists, but for the rounding of the weights one might."""
        return 0 < self.shortage <= _ROUNDING

    @property
    def value(self) -> float:
        """The optimum, rounded; infinite if it overflows."""
        return ratio(self.low, self.unit)

    def is_at_least(self, number: float) -> bool:
        """Whether a float is a lower bound of the optimum."""
        if not math.isfinite(number):
            return number == -math.inf
        top, bottom = number.as_integer_ratio()
        return top * self.unit <= self.high * bottom

    def is_at_most(self, number: float) -> bool:
        """Whether a float is an upper bound of the optimum."""
        if not math.isfinite(number):
            return number == math.inf
        top, bottom = number.as_integer_ratio()
        return self.low * bottom <= top * self.unit

    def root(self, order: float) -> float:
        """Return ``optimum ** (1 / order)``, right to a few units in the last place."""
        if order <= 1 or math.isinf(order):
            return self.value
        if self.low <= 0:
            return 0.0
        size = self.low.bit_length() - self.unit.bit_length()
        steps = 2 * round(size / (2 * order))  # 2**(steps * order) is a power of two
        shift = round(steps * order)
        scaled = ratio(self.low << max(-shift, 0), self.unit << max(shift, 0))
        return math.ldexp(scaled ** (1 / order), steps)

    def nearest(self, number: float, order: float = 1.0) -> float:
        """Return the root in the interval that is nearest to a number."""
        low = self.root(order)
        if self.low == self.high:
            return low
        return min(max(number, low), self._replace(low=self.high).root(order))


def ratio(top: int, bottom: int) -> float:
    """Return a quotient of integers as a float, infinite if it overflows."""
    try:
        return top / bottom
    except OverflowError:
        return math.inf if top > 0 else -math.inf


def integers(*lists: Any) -> tuple[list[list[int]], int]:
    """Return floats as integers, and the exponent of the power of two that is their unit."""
    pairs = [[math.frexp(value) for value in values] for values in lists]
    used = [exponent for values in pairs for mantissa, exponent in values if mantissa]
    least = min(used, default=0)
    found = [
        [
            int(mantissa * 2.0**53) << (exponent - least) if mantissa else 0
            for mantissa, exponent in values
        ]
        for values in pairs
    ]
    return found, least - 53


def both_weights(a: Any, b: Any) -> tuple[list[int], list[int], int, int]:
    """Return weights as integers of equal sums, their exponent and a common divisor.

    A weight is ``integer * 2**exponent / divisor``. Where the sums differ, b is scaled by
    their exact ratio.
    """
    (supply, demand), exponent = integers(a, b)
    sum_a, sum_b = sum(supply), sum(demand)
    if sum_a == sum_b:
        return supply, demand, exponent, 1
    return [w * sum_b for w in supply], [w * sum_a for w in demand], exponent, sum_b


def matrix_costs(cost: Any) -> tuple[Costs, int]:
    """Return the entries of a matrix as integers, and their exponent."""
    rows = [[float(value) for value in row] for row in cost]
    (flat,), exponent = integers([0.0 if math.isinf(v) else v for row in rows for v in row])
    entries = iter(flat)
    return [[(next(entries), None)[math.isinf(value)] for value in row] for row in rows], exponent


def power_of(square: int, halves: int) -> tuple[int, bool]:
    """Return ``square ** (halves / 4)`` in units of 2**-_ROOT_BITS, rounded down.

    Also whether it is exact.
    """
    whole, rest = divmod(halves, 4)
    if rest == 0:
        return square**whole << _ROOT_BITS, True
    if rest == 2:
        inner = square ** (halves // 2) << (2 * _ROOT_BITS)
        found = math.isqrt(inner)
        return found, found * found == inner
    inner = square**halves << (4 * _ROOT_BITS)
    found = math.isqrt(math.isqrt(inner))
    return found, found**4 == inner


def point_costs(x: Any, y: Any, metric: str, p: float) -> tuple[Costs, int, bool]:
    """Return ``metric(x, y) ** p`` as integers, their exponent, and whether they are exact.

    2 p is an integer.
    """
    flat, exponent = integers([c for row in x for c in row], [c for row in y for c in row])
    if exponent % 4:  # so that roots of the unit are powers of two
        flat = [[v << exponent % 4 for v in side] for side in flat]
        exponent -= exponent % 4
    d = len(x[0])
    first, second = ([side[k : k + d] for k in range(0, len(side), d)] for side in flat)
    order = 2 * p if metric == "sqeuclidean" else p
    costs, exact = [], True
    for u in first:
        row: list[int | None] = []
        for v in second:
            apart = [abs(s - t) for s, t in zip(u, v, strict=True)]
            if d == 1 or metric == "cityblock":
                square = sum(apart) ** 2
            elif metric == "chebyshev":
                square = max(apart) ** 2
            else:
                square = sum(t * t for t in apart)
            cost, is_exact = power_of(square, round(2 * order))
            exact &= is_exact
            row.append(cost)
        costs.append(row)
    return costs, round(exponent * order) - _ROOT_BITS, exact


def arc_costs(x: Any, y: Any, period: float, p: float) -> tuple[Costs, int, bool]:
    """Return the costs ``arc ** p`` of positions on a circle, as `point_costs`."""
    (first, second, (length,)), exponent = integers(x, y, [period])
    shift = exponent % 4
    costs, exact = [], True
    for u in first:
        row: list[int | None] = []
        for v in second:
            apart = (u - v) % length
            arc = min(apart, length - apart) << shift
            cost, is_exact = power_of(arc * arc, round(2 * p))
            exact &= is_exact
            row.append(cost)
        costs.append(row)
    return costs, round((exponent - shift) * p) - _ROOT_BITS, exact


class Moved(NamedTuple):
    """An optimal flow, potentials that prove it, and the largest part that cannot move."""

    flow: list[list[int]]
    f: list[int]
    g: list[int]
    shortage: float


def transport(supply: list[int], demand: list[int], costs: Costs) -> Moved:
    """Return an optimal flow, by cheapest paths from one source after the other.

    Dijkstra's algorithm on reduced costs, which the potentials keep nonnegative. Mass that no
    path takes is left where it is.
    """
    n, m = len(supply), len(demand)
    arcs = [[(j, c) for j, c in enumerate(row) if c is not None] for row in costs]
    flow = [[0] * m for _ in range(n)]
    f, g = [min((c for _, c in row), default=0) for row in arcs], [0] * m
    left, free, shortage = list(supply), list(demand), 0.0
    for source in range(n):
        while left[source]:
            reached, settled = {source: 0}, {}  # rows and columns, and the length of their paths
            best: dict[int, int] = {}  # the same of columns that are not settled yet
            before, back, rows, end = {}, {}, [source], -1
            while end < 0:
                for i in rows:
                    offset = reached[i] - f[i]
                    for j, c in arcs[i]:
                        length = offset + c - g[j]
                        if j not in settled and (j not in best or length < best[j]):
                            best[j], before[j] = length, i
                if not best:
                    break
                j = min(best, key=best.__getitem__)
                least = settled[j] = best.pop(j)
                if free[j]:
                    end = j
                rows = [i for i in range(n) if flow[i][j] and i not in reached]
                for i in rows:
                    reached[i], back[i] = least, j
            if end < 0:
                shortage = max(shortage, ratio(left[source], sum(supply)))
                left[source] = 0
                break
            for i, length in reached.items():
                f[i] += least - length
            for j, length in settled.items():
                g[j] -= least - length
            path, j = [], end
            while True:
                path.append((before[j], j))
                if before[j] == source:
                    break
                j = back[before[j]]
            returned = [flow[i][back[i]] for i, _ in path[:-1]]
            amount = min(left[source], free[end], *returned)
            for i, j in path:
                flow[i][j] += amount
                if i != source:
                    flow[i][back[i]] -= amount
            left[source] -= amount
            free[end] -= amount
    return Moved(flow, f, g, shortage)


def optimum(
    weights: tuple[list[int], list[int], int, int],
    costs: Costs,
    exponent: int,
    is_exact: bool = True,
) -> Truth:
    """Return the optimum for weights and costs in integers."""
    supply, demand, unit, divisor = weights
    moved = transport(supply, demand, costs)
    low, paid = 0, 0
    for row, prices in zip(moved.flow, costs, strict=True):
        for mass, price in zip(row, prices, strict=True):
            if mass and price is not None:
                low += mass * price
                paid += mass * abs(price)
    high = low if is_exact else low + sum(supply)
    return _scaled(low, high, divisor, unit + exponent, moved.shortage, paid)


def _scaled(low: int, high: int, divisor: int, exponent: int, shortage: float, paid: int) -> Truth:
    """Return the optimum of numbers in units of ``2**exponent / divisor``."""
    up, unit = max(exponent, 0), divisor << max(-exponent, 0)
    return Truth(low << up, high << up, unit, shortage, ratio(paid << up, unit))


def on_line(x: Any, y: Any, a: Any, b: Any, p: float) -> Truth:
    """Return the optimum for ``|x - y| ** p``, p >= 1, of the sorted coupling.

    For p = inf the largest distance.
    """
    supply, demand, unit, divisor = both_weights(a, b)
    (first, second), exponent = integers(x, y)
    if exponent % 4:
        first, second = ([v << exponent % 4 for v in side] for side in (first, second))
        exponent -= exponent % 4
    left = sorted((v, w) for v, w in zip(first, supply, strict=True) if w)
    right = sorted((v, w) for v, w in zip(second, demand, strict=True) if w)
    total, longest, exact = 0, 0, True
    (u, mass), (v, room) = left.pop(), right.pop()
    while True:
        moved, apart = min(mass, room), abs(u - v)
        longest = max(longest, apart)
        if p < math.inf:
            cost, is_exact = power_of(apart * apart, round(2 * p))
            exact &= is_exact
            total += moved * cost
        mass, room = mass - moved, room - moved
        if not mass:
            if not left:
                break
            u, mass = left.pop()
        if not room:
            v, room = right.pop()
    if math.isinf(p):
        return _scaled(longest, longest, 1, exponent, 0.0, longest)
    high = total if exact else total + sum(supply)
    return _scaled(total, high, divisor, unit + round(exponent * p) - _ROOT_BITS, 0.0, total)


def longest_on_line(x: Any, y: Any, a: Any, b: Any) -> Truth:
    """Return the distance that no coupling undercuts, for p = inf.

    It jumps where weights change by nothing, so that the interval is wide there: the low end
    leaves `_LIGHT` of the weights aside, as their rounding.
    """
    right = on_line(x, y, a, b, math.inf)
    supply, demand, _, _ = both_weights(a, b)
    (first, second), exponent = integers(x, y)
    apart = [[abs(u - v) for v in second] for u in first]
    lengths = sorted({length for row in apart for length in row})

    def is_enough(longest: int) -> bool:
        costs: Costs = [[0 if length <= longest else None for length in row] for row in apart]
        flow = transport(supply, demand, costs).flow
        return sum(supply) - sum(map(sum, flow)) <= _LIGHT * sum(supply)

    low = _scaled(lengths[bisect.bisect_left(lengths, True, key=is_enough)], 0, 1, exponent, 0.0, 0)
    unit = right.unit * low.unit
    return right._replace(low=low.low * right.unit, high=right.high * low.unit, unit=unit)


def with_outside(
    a: Any, b: Any, costs: Costs, exponent: int, price: float | None, mass: float | None
) -> tuple[tuple[list[int], list[int], int, int], Costs, int]:
    """Return weights, costs and their exponent with an atom outside on each side.

    It takes and gives the weight that is not moved: at a price, or for nothing where `mass`
    is moved and the rest is left.
    """
    if mass is not None:
        (supply, demand, (moved,)), unit = integers(a, b, [mass])
        weights = [*supply, sum(demand) - moved], [*demand, sum(supply) - moved], unit, 1
        return weights, [*([*row, 0] for row in costs), [0] * len(b) + [None]], exponent
    assert price is not None
    (supply, demand), unit = integers(a, b)
    weights = [*supply, sum(demand)], [*demand, sum(supply)], unit, 1
    ((toll,),), of_price = integers([price])
    least = min(exponent, of_price)
    toll <<= of_price - least
    whole = [[None if c is None else c << (exponent - least) for c in row] for row in costs]
    return weights, [*([*row, toll] for row in whole), [toll] * len(b) + [0]], least


def shortest_paths(lengths: list[list[int | None]]) -> Costs:
    """Return all distances by Floyd and Warshall, None where no path leads."""
    n = len(lengths)
    found = [list(row) for row in lengths]
    for k in range(n):
        found[k][k] = 0
    for k in range(n):
        for i in range(n):
            first = found[i][k]
            if first is None:
                continue
            for j in range(n):
                second, known = found[k][j], found[i][j]
                if second is not None and (known is None or first + second < known):
                    found[i][j] = first + second
    return found


def added(parts: list[Truth]) -> Truth:
    """Return the optimum of problems side by side."""
    low, high, unit = 0, 0, 1
    for part in parts:
        low, high = low * part.unit + part.low * unit, high * part.unit + part.high * unit
        unit *= part.unit
    shortage = max((part.shortage for part in parts), default=0.0)
    return Truth(low, high, unit, shortage, sum(part.paid for part in parts))
