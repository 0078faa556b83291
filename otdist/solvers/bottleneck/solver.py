"""The least radius within which all mass can be coupled: transport for p = inf.

By duality of flows (Strassen, 1965, for measures) a radius is too small if and only if some set
of rows has more mass than all columns within the radius. Radii are bisected as in Gross's
bottleneck assignment (1959). Maximum flows (Dinic, 1970) decide about them, each beginning with
the flow of the largest radius known to be too small.

If a radius is too small, the least cost from the rows whose mass does not fit to columns beyond
the radius is a lower bound, and itself the cost of a pair. Otherwise the flow is a coupling, and
its largest cost is an upper bound.
"""

from __future__ import annotations

import numpy as np

from otdist.errors import InputError
from otdist.geometry.protocol import Geometry
from otdist.plans.integer_masses import IntegerMasses, completed, fitted, quantise
from otdist.plans.plans import Arcs
from otdist.problem.problem import Problem
from otdist.problem.result import Candidate
from otdist.runtime.blocks import available_memory
from otdist.solvers.bottleneck import kernels as kernel
from otdist.solvers.registry import Options
from otdist.typing import FloatArray, IntArray

# A larger tolerance than this one stops the search before the optimum.
_EXACT = 1e-9
# Part of the mass that a coupling may leave out: the rounding of the weights.
_ROUNDING = 4e-13
# Initial places for arcs with flow, for each atom.
_PLACES = 4
# The first step up from a radius that is too small, relative to it.
_FIRST_STEP = 0.125
# Lists of arcs reach beyond the radius they are made for by this factor.
_BEYOND = 1.0625
_TINY = float(np.finfo(float).tiny)


def run(problem: Problem, options: Options) -> Candidate:
    """Bisect the radius; O(nm) time for each phase of a flow, some tens in all.

    Memory is at most twelve bytes for each pair not farther apart than about twice the value.
    The potentials are 1 on a set of rows that does not fit into the columns nearer than the
    value, and -1 on those columns.
    """
    masses = quantise(problem.a, problem.b)
    search = Search(problem.geometry, masses)
    tol = options.tol if options.tol > _EXACT else 0.0
    n_iter = 0
    while not search.is_done(tol) and options.limit_met(n_iter) is None:
        search.step()
        n_iter += 1
        if options.report is not None:
            options.report(n_iter, search.relative_gap)
    plan = search.plan()
    finished = plan is not None and search.is_done(tol)
    if plan is None:
        none = np.empty(0, np.int64)
        plan = completed(Arcs(none, none, np.empty(0)), problem.a, problem.b)
    elif not masses.is_exact:
        plan = fitted(plan, problem.a, problem.b)
    return Candidate(
        plan=plan,
        f=search.crowded.astype(np.float64),
        g=-search.near.astype(np.float64),
        n_iter=n_iter,
        ended=options.ended(n_iter, finished=finished),
        stranded=np.flatnonzero(search.crowded) if search.is_infeasible else None,
    )


class Search:
    """Bounds on the least radius, and the radius that is being decided."""

    def __init__(self, geometry: Geometry, masses: IntegerMasses) -> None:
        n, m = geometry.shape
        self.costs = geometry.tabulated().costs()
        self.masses = masses
        self.allowed = int(_ROUNDING * float(masses.a.sum()))
        #: Rows that do not fit into the columns nearer than `lower`, and those columns.
        self.crowded = np.ones(n, dtype=bool)
        self.near = np.zeros(m, dtype=bool)
        self._largest = geometry.largest
        self._row, self._nothing = np.empty(m), np.zeros(m)
        sizes = (n, m, n, n, m, n + 1, n + 1)
        self._labels = kernel.Labels(*(np.zeros(size, np.int64) for size in sizes))
        self._small = _no_flow(masses)
        self._flow = _copied(self._small)
        self._enough: kernel.Flow | None = None
        columns = np.empty(m)
        rows_need = kernel.nearest(self.costs, self._nothing, self._row, columns)
        self.lower, self.upper = float(columns.min()), np.inf
        # The most isolated atom needs this radius, unless its mass is rounding.
        self.radius = max(rows_need, float(columns.max()))
        self._is_first, self._step = True, _FIRST_STEP / 2
        self._lists = self._listed(self.radius)

    @property
    def is_infeasible(self) -> bool:
        """Whether some mass cannot move along allowed arcs."""
        return self.lower == np.inf

    @property
    def relative_gap(self) -> float:
        """Gap of the bounds as a part of the upper one."""
        if self.upper in (self.lower, np.inf):
            return 0.0 if self.upper == self.lower else np.inf
        return (self.upper - self.lower) / max(abs(self.upper), _TINY)

    def is_done(self, tol: float) -> bool:
        """Whether both bounds have met, to a relative tolerance."""
        return self.is_infeasible or self.relative_gap <= tol

    def step(self) -> None:
        """Augment along shortest paths once; when no path is left, pick a new radius."""
        lists, labels, radius = self._lists, self._labels, self.radius
        last = kernel.label(lists, radius, self._flow, labels)
        if last == kernel.NO_PATH:
            self._learn_from_too_small()
        else:
            if not kernel.augment(lists, radius, self._flow, labels, last):
                self._flow = _with_more_arcs(self._flow)
            if int(self._flow.left.sum()) > self.allowed:
                return
            self._enough = self._flow
            self.upper = float(kernel.largest_used(lists, self._flow))
        if self.lower < self.upper:
            self.radius = self._next_radius()
            self._flow = _copied(self._small)
            if self.radius > self._reach:
                self._lists = self._listed(self.radius)

    def _learn_from_too_small(self) -> None:
        """Raise the lower bound: the rows reached do not fit into nearer columns."""
        self._small, labels = self._flow, self._labels
        self.crowded, self.near = labels.row_level >= 0, labels.column_level >= 0
        least = float(kernel.least_leaving(self._lists, labels))
        if least == np.inf:
            potential = np.where(self.near, -np.inf, 0.0)
            least = kernel.least_leaving_of_all(self.costs, labels, potential, self._row)
        self.lower = float(least)

    def _next_radius(self) -> float:
        """Halve the number of floats between the bounds, or grow without an upper bound."""
        is_first, self._is_first = self._is_first, False
        if is_first and self.upper < np.inf:
            # Most likely no smaller radius is enough.
            return float(np.nextafter(self.upper, -np.inf))
        if self.upper == np.inf and self.lower > 0:
            # By growing steps, since large radii make long lists.
            self._step *= 2
            larger = (1 + self._step) * self.lower
            return max(self.lower, min(larger, self._largest))
        top = min(self.upper, self._largest)
        if self.lower >= top:
            return self.lower
        return _float_of((_ordinal(self.lower) + _ordinal(top)) // 2)

    def _listed(self, radius: float) -> kernel.Lists:
        """List the arcs within a radius and slightly beyond."""
        n = len(self.masses.a)
        self._reach = max(radius, min(_BEYOND * radius, self.upper))
        above = float(np.nextafter(self._reach, np.inf))
        begin = np.empty(n + 1, np.int64)
        kernel.count_within(self.costs, above, self._nothing, self._row, begin)
        n_arcs = int(begin[-1])
        _require_memory(n_arcs)
        column, cost = np.empty(n_arcs + 1, np.uint32), np.empty(n_arcs + 1)
        lists = kernel.Lists(begin, column, cost)
        kernel.list_within(self.costs, above, self._nothing, self._row, lists)
        return lists

    def plan(self) -> Arcs | None:
        """Return the coupling of the upper bound, or None before there is one."""
        if self._enough is None:
            return None
        rows, columns, amount = _arcs_of(self._enough)
        return Arcs(rows, columns, amount * self.masses.unit)


def _require_memory(n_arcs: int) -> None:
    """Raise if lists of so many arcs take more than the memory available."""
    wanted, available = 12 * n_arcs, available_memory()
    if wanted > available:
        raise InputError(
            f"{n_arcs} pairs are nearer than the radius that has to be tried; their"
            f" lists would take {wanted / 1e9:.1f} GB and {available / 1e9:.1f} GB of"
            " memory are available: use fewer atoms, or a large finite p"
        )


def _no_flow(masses: IntegerMasses) -> kernel.Flow:
    n, m = len(masses.a), len(masses.b)
    row, amount, after = np.zeros((3, _PLACES * (n + m)), np.int64)
    return kernel.Flow(
        left=masses.a.copy(),
        room=masses.b.copy(),
        head=np.full(m, -1, np.int64),
        row=row,
        amount=amount,
        after=after,
        state=np.array([0, -1]),
    )


def _copied(flow: kernel.Flow) -> kernel.Flow:
    return kernel.Flow(*(part.copy() for part in flow))


def _with_more_arcs(flow: kernel.Flow) -> kernel.Flow:
    """Return the flow with more than twice as many places for arcs."""
    more = np.zeros(len(flow.row) + len(flow.left) + 1, np.int64)
    row, amount, after = (
        np.concatenate([part, more]) for part in (flow.row, flow.amount, flow.after)
    )
    return flow._replace(row=row, amount=amount, after=after)


def _arcs_of(flow: kernel.Flow) -> tuple[IntArray, IntArray, FloatArray]:
    """Return rows, columns and amounts of the arcs with flow, each pair once."""
    m = len(flow.head)
    owner = np.full(len(flow.row), -1)
    # Walk all linked lists at once, one arc at a time.
    columns, arcs = np.arange(m), flow.head
    while len(arcs):
        columns, arcs = columns[arcs >= 0], arcs[arcs >= 0]
        owner[arcs] = columns
        arcs = flow.after[arcs]
    used = np.flatnonzero((owner >= 0) & (flow.amount > 0))
    pair = owner[used] + m * flow.row[used]
    pair, where = np.unique(pair, return_inverse=True)
    amount = np.zeros(len(pair), np.int64)
    np.add.at(amount, where, flow.amount[used])
    return pair // m, pair % m, amount.astype(np.float64)


def _ordinal(value: float) -> int:
    """Return the position of a float in the order of all floats."""
    bits = int(np.float64(value).view(np.int64))
    return bits if bits >= 0 else -(2**63) - bits


def _float_of(ordinal: int) -> float:
    bits = ordinal if ordinal >= 0 else -(2**63) - ordinal
    return float(np.int64(bits).view(np.float64))
