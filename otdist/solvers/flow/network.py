"""Graphs with integer lengths of edges and integer excess masses of nodes.

Lengths are rounded down to multiples of a unit. The unit is small, so that a sum over a path
loses little, and large enough that sums are exact in int64 and potentials in float64: a lower
bound from them is then exact. Masses are rounded to 2**-61 of the mass that moves.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from otdist.problem.problem import Problem
from otdist.typing import FloatArray, IntArray, NDArray

# Moved mass in integer units stays below this power of two, and so do sums of lengths.
_BITS = 61
# Potentials of so many bits, from the middle of their range, are exact in float64, also where
# paths of steps are longer than the distance.
_POTENTIAL_BITS = 53
# A part of the moved mass that may be moved from or to any node.
_FEW = 1e-13


class Network(NamedTuple):
    """A connected graph; every edge may be used both ways, without a limit."""

    n_nodes: int
    tail: NDArray[np.uint32]  # (M,)
    head: NDArray[np.uint32]  # (M,)
    length: IntArray  # (M,) >= 0
    excess: IntArray  # (N,), summing up to 0


class Scale(NamedTuple):
    """Units of the integers."""

    length: float
    mass: float


def network_of(
    problem: Problem,
    edges: tuple[IntArray, IntArray, FloatArray],
    component: IntArray | None = None,
) -> tuple[Network, Scale]:
    """Return the edges with a - b as excess: mass that a and b share stays in place.

    Components of the graph are joined by edges of length 0. No flow crosses them, since a and b
    have equal mass in each component.
    """
    tail, head, length = edges
    if component is not None and component.max() > 0:
        _, first = np.unique(component, return_index=True)
        tail = np.concatenate([tail, np.full(len(first) - 1, first[0])])
        head = np.concatenate([head, first[1:]])
        length = np.concatenate([length, np.zeros(len(first) - 1)])
    unit = _length_unit(length, problem.geometry.largest)
    if component is None:
        component = np.zeros(len(problem.a), np.int64)
    excess, mass_unit = _excess(_difference(problem.a, problem.b, component), component)
    network = Network(
        len(problem.a),
        tail.astype(np.uint32),
        head.astype(np.uint32),
        np.floor(length / unit).astype(np.int64),
        excess,
    )
    return network, Scale(unit, mass_unit)


def _length_unit(length: FloatArray, largest: float) -> float:
    """Return a power of two, the unit that lengths are rounded down to multiples of."""
    bits = math.frexp(largest)[1] - _POTENTIAL_BITS
    bits = max(bits, math.frexp(float(length.sum()))[1] - _BITS)
    return math.ldexp(1.0, max(bits, -1022))


def _difference(a: FloatArray, b: FloatArray, component: IntArray) -> FloatArray:
    """Return a less b, whose sum is brought to that of a in every component.

    The sums differ by rounding. Where that is much of the mass that moves, all nodes share it;
    elsewhere it is left to one, so that nodes of equal weights stay without excess.
    """
    difference = a - b
    order = np.argsort(component, kind="stable")
    stops = np.searchsorted(component[order], np.arange(component.max() + 1), side="right")
    part = np.zeros(len(stops))
    for k, nodes in enumerate(np.split(order, stops[:-1])):
        missing = math.fsum([*a[nodes].tolist(), *(-b[nodes]).tolist()])
        if abs(missing) > _FEW * float(np.abs(difference[nodes]).sum()):
            part[k] = missing / math.fsum(b[nodes].tolist())
    return difference - b * part[component]


def _excess(difference: FloatArray, component: IntArray) -> tuple[IntArray, float]:
    """Return integers that sum up to 0 in every component, and their unit."""
    moved = math.fsum(np.maximum(difference, 0.0).tolist())
    shift = _BITS - math.frexp(moved)[1]
    whole = np.rint(np.ldexp(difference, shift)).astype(np.int64)
    order = np.lexsort((-np.abs(whole), component))
    largest = order[np.searchsorted(component[order], np.arange(component.max() + 1))]
    missing = np.zeros(len(largest), np.int64)
    np.add.at(missing, component, whole)
    whole[largest] -= missing
    return whole, math.ldexp(1.0, -shift)
