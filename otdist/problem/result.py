"""The data of an answer: a solver's claim, the bracket and its certificate, the result.

One rule says when a bracket proves a value, for one problem and for many.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

import numpy as np

from otdist.inputs.scale import from_unit, in_unit
from otdist.plans.plans import Arcs, Flow, LazyPlan
from otdist.problem.gradients import Gradients, arcs_of, gradients
from otdist.problem.marginals import unmatched
from otdist.typing import FloatArray, IntArray

if TYPE_CHECKING:
    from otdist.problem.problem import Problem

#: The relative gap below which a value counts as proved.
EXACT_TOL = 1e-9
#: Rounding may hide no more of a gap than this part of the largest cost of all mass.
LARGEST_ROUNDING = 1e-12
# A plan is a coupling if its marginals are off by no more than this part of the mass:
# sums of float64 are not exact. Beyond, it is repaired before it counts.
_COUPLING = 1e-13
# Likewise for each atom: solvers round masses to 2**-61 of the total.
_ATOM = 2.0**-60

Floats = TypeVar("Floats", bound=float | FloatArray)


class Status(StrEnum):
    """How a solve ended; the bracket of the result holds for all of them."""

    OPTIMAL = "optimal"
    """The certificate proves it: the gap is within the tolerance."""
    CONVERGED = "converged"
    """The method's own stopping rule held; the bracket says how far off the value may be."""
    MAX_ITER = "max_iter"
    """The limit of iterations came first."""
    TIME_LIMIT = "time_limit"
    """The limit of time came first."""
    NOT_PROVED = "not_proved"
    """The method ended by itself above its tolerance: more iterations change nothing."""

    @property
    def is_success(self) -> bool:
        """Whether the tolerance was reached: OPTIMAL or CONVERGED."""
        return self in (Status.OPTIMAL, Status.CONVERGED)


class Ended(Enum):
    """How a solver ended, by its own account."""

    FINISHED = "finished"
    """By its own stopping rule."""
    ITERATIONS = "iterations"
    """At the limit of iterations."""
    TIME = "time"
    """At the limit of time."""
    STALLED = "stalled"
    """Above its tolerance, where more iterations change nothing."""


def coupling_tolerance(n_atoms: int) -> float:
    """Return how far the marginals of a coupling may be off, as a part of the mass."""
    return max(_COUPLING, _ATOM * n_atoms)


class Bracket(NamedTuple, Generic[Floats]):
    """Bounds on an optimal value, or arrays of bounds, and how well they are known.

    Attributes
    ----------
    lower, upper : float or ndarray
        The bounds, cost × mass; `upper` is the cost of a coupling.
    marginal_error : float or ndarray
        How far the plan is from a coupling, in mass.
    rounding : float or ndarray
        How much float64 can hide between the bounds, cost × mass.
    most_error, most_rounding : float or ndarray
        The largest marginal error and the largest rounding that are accepted. Any, by
        default: for plans that were repaired.
    """

    lower: Floats
    upper: Floats
    marginal_error: Floats
    rounding: Floats
    most_error: float | FloatArray = math.inf
    most_rounding: float | FloatArray = math.inf

    def proves(self, tol: float) -> Any:
        """Whether the gap is at most `tol`, relative, or hidden by rounding: bool or array.

        Bounds that cross by more than rounding prove only that something is wrong.
        """
        if type(self.upper) is float:
            return self._proves(tol)
        with np.errstate(invalid="ignore"):
            return self._proves(tol)

    def _proves(self, tol: float) -> Any:
        fields: tuple[Any, ...] = self
        lower, upper, error, rounding, most_error, most_rounding = fields
        # Operators alone, which are fast for floats. Comparisons with NaN are false.
        gap, size = upper - lower, abs(upper)
        is_narrow = (gap <= tol * size) | (gap <= rounding)
        is_sound = (size < math.inf) & (-rounding <= gap)
        is_coupling = (error <= most_error) & (error < math.inf)
        is_sharp = (rounding <= most_rounding) & (rounding < math.inf)
        return is_narrow & is_sound & is_coupling & is_sharp


def root(value: float, p: float, k: int = 0) -> float:
    """Return ``value ** (1 / p)``; the value itself for p <= 1 and p = inf.

    The value is that of points in the unit 2**k of length, and the root is not.
    """
    if p == 2:
        # A square root is rounded correctly, and so commutes with powers of 4.
        value = math.sqrt(max(value, 0.0))
    elif 1 < p < math.inf:
        value = float(max(value, 0.0) ** (1 / p))
    return from_unit(value, k) if k else value


def roots(values: FloatArray, p: float, k: int | IntArray = 0) -> FloatArray:
    """Return the roots of many values, 0 for those that rounding made negative."""
    if p == 2:
        values = np.sqrt(np.maximum(values, 0.0))
    elif 1 < p < math.inf:
        values = np.maximum(values, 0.0) ** (1 / p)
    return values if isinstance(k, int) and k == 0 else in_unit(values, -k)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Certificate:
    """Bounds on the optimal value, valid for a plan and potentials from any source.

    Attributes
    ----------
    lower : float
        Dual value of f and its c-transform, cost × mass.
    upper : float
        Cost of the plan, cost × mass; if its marginals are off by more than
        rounding, the cost of the plan repaired to exact marginals.
    gap : float
        ``upper - lower``.
    marginal_error : float
        ``|plan 1 - a|_1 + |planᵀ 1 - b|_1`` of the plan as given, in mass.
    dual_violation : float
        Largest ``f[i] + g[j] - cost[i, j]`` of the potentials as given, in cost
        units; 0 if feasible, and 0 where no g was given. Of a flow, whose potentials
        are looked at edge by edge, a bound of it.
    rounding : float
        What float64 can hide between `lower` and `upper`, cost × mass: a few
        units in the last place of the terms summed, and the potentials times the
        rounding of the plan's marginals. If the plan was repaired, a few units in the
        last place of all mass at the largest cost of the mass that was added. Gaps
        below it mean nothing.
    """

    lower: float
    upper: float
    marginal_error: float
    dual_violation: float
    rounding: float

    @property
    def gap(self) -> float:
        """``upper - lower``, cost × mass."""
        return self.upper - self.lower

    @property
    def relative_gap(self) -> float:
        """``gap / |upper|``; 0 if the gap is 0."""
        if self.gap == 0:
            return 0.0
        return self.gap / max(abs(self.upper), float(np.finfo(float).tiny))

    def proves(self, tol: float) -> bool:
        """Whether the gap is at most `tol`, relative, or below rounding."""
        return bool(self.bracket().proves(tol))

    def bracket(
        self, most_error: float = math.inf, most_rounding: float = math.inf
    ) -> Bracket[float]:
        """Return the bounds, with the largest errors that are accepted; by default any."""
        known = self.marginal_error, self.rounding
        return Bracket(self.lower, self.upper, *known, most_error, most_rounding)

    def __repr__(self) -> str:
        return (
            f"Certificate(lower={self.lower:.12g}, upper={self.upper:.12g},"
            f" gap={self.gap:.3g}, marginal_error={self.marginal_error:.3g},"
            f" dual_violation={self.dual_violation:.3g})"
        )


class Candidate(NamedTuple):
    """A solver's claim: nothing of it is believed before it is certified."""

    plan: Arcs | Flow | LazyPlan
    f: FloatArray
    g: FloatArray
    n_iter: int
    ended: Ended = Ended.FINISHED
    #: Rows whose mass has no allowed arc to go along, None if there are none.
    stranded: IntArray | None = None
    regularized_value: float = float("nan")


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Result:
    """The answer to a transport problem, with its proof.

    Attributes
    ----------
    value : float
        Cost of `plan`, cost × mass; equal to `upper`. Never rooted. For
        p = inf the largest distance that mass moves.
    distance : float
        ``value ** (1 / p)``: W_p when the total mass is 1. The value itself for
        concave costs, p < 1.
    lower, upper, gap, relative_gap : float
        The certified bracket of the optimal value.
    plan : scipy.sparse.coo_array (n, m), or a lazy operator
        Mass moved from i to j; entropic plans are dense, and computed when
        asked for.
    potentials : tuple of ndarray (n,), (m,)
        Dual potentials f and g in cost units, ``f[i] + g[j] <= cost[i, j]``
        (entropic methods: the entropic potentials). For p = inf f is 1 on a set
        whose mass does not fit nearer than `lower`, where -g is 1, and else they
        are 0; on the line they mean nothing.
    certificate : Certificate
        The proof, computed by code that shares nothing with the solver.
    regularized_value : float
        Entropic methods: ``<plan, cost> + epsilon KL(plan | a bᵀ / mass)`` at
        the optimum, from the dual. NaN for other methods.
    status : Status
    success : bool
        Whether the status is OPTIMAL or CONVERGED.
    outcome : str
        How the solve ended, and the bracket.
    advice : str
        Options of `solve` to try next; empty if the answer is optimal.
    message : str
        `outcome` and `advice`.
    n_iter : int
        Pivots, sweeps or iterations of the method.
    method : str
        The method that ran.
    problem : Problem
        The problem solved.
    coupling : Arcs, Flow or LazyPlan
        The plan as the solver made it; `plan` is what to use. On graphs, and on grids
        where the method is "flow" or "coprime", it is the flow on the edges:
        ``coupling.matrix()`` is that as a sparse matrix.
    unmatched : tuple of ndarray (n,), (m,)
        Mass of a and of b that is not moved, in a partial problem.
    """

    problem: Problem
    coupling: Arcs | Flow | LazyPlan
    potentials: tuple[FloatArray, FloatArray]
    certificate: Certificate
    regularized_value: float
    status: Status
    outcome: str
    advice: str
    n_iter: int
    method: str

    @property
    def plan(self) -> Any:
        """Mass moved from i to j, shape (n, m): a sparse ``coo_array``, or lazy.

        Entropic plans have no zeros. They are operators that compute blocks of rows
        when asked, in O(n + m) memory: ``plan @ values`` for values (m,) or (m, k),
        ``plan.T @ values`` for (n,) or (n, k), ``plan.marginals()``,
        ``plan.rows(start, stop)`` for a block, and ``plan.toarray()`` for all entries.
        Products with ``@`` and ``toarray()`` are the same for sparse plans.

        Examples
        --------
        The barycentric projection: the mean position to which the plan moves each point.

        >>> import numpy as np
        >>> from otdist import Problem, solve
        >>> x, y = np.array([[0.0, 0], [4, 0]]), np.array([[0.0, 1], [4, 3]])
        >>> problem = Problem(x, y, p=2)
        >>> result = solve(problem, method="sinkhorn", epsilon=0.1)
        >>> (result.plan @ y / problem.a[:, None]).round(6)
        array([[0., 1.],
               [4., 3.]])
        """
        arcs = arcs_of(self)
        if not isinstance(arcs, Arcs):
            return arcs
        from scipy.sparse import coo_array

        rows, columns, mass = arcs
        return coo_array((mass, (rows, columns)), shape=self.problem.shape)

    @property
    def unmatched(self) -> tuple[FloatArray, FloatArray]:
        """The mass of a (n,) and of b (m,) that is not moved: see `Problem.partial`."""
        problem = self.problem
        if problem.is_partial and isinstance(self.coupling, Arcs):
            return unmatched(self.coupling, problem.a, problem.b)
        return np.zeros_like(problem.a), np.zeros_like(problem.b)

    @property
    def message(self) -> str:
        """How the solve ended, with the bracket, and what to try next."""
        return f"{self.outcome}: {self.advice}" if self.advice else self.outcome

    @property
    def value(self) -> float:
        """Cost of the plan, cost × mass."""
        return self.certificate.upper

    @property
    def lower(self) -> float:
        """Certified lower bound of the optimal value, cost × mass."""
        return self.certificate.lower

    @property
    def upper(self) -> float:
        """Certified upper bound of the optimal value, cost × mass."""
        return self.certificate.upper

    @property
    def gap(self) -> float:
        """``upper - lower``, cost × mass."""
        return self.certificate.gap

    @property
    def relative_gap(self) -> float:
        """``gap / |upper|``."""
        return self.certificate.relative_gap

    @property
    def success(self) -> bool:
        """Whether the status is OPTIMAL or CONVERGED."""
        return self.status.is_success

    @property
    def distance(self) -> float:
        """``value ** (1 / p)``, in units of distance."""
        return root(self.value, self.problem.p)

    def __repr__(self) -> str:
        return (
            f"Result({self.status}, value={self.value:.12g} in"
            f" [{self.lower:.12g}, {self.upper:.12g}], distance={self.distance:.12g},"
            f" method={self.method!r}, n_iter={self.n_iter})"
        )

    def gradients(self) -> Gradients:
        """Return derivatives of `value` in the masses, the points and the costs.

        Returns
        -------
        Gradients
            The optimum's envelope: potentials for the masses, the plan for the
            costs, and the plan's costs differentiated for the points. Where the
            optimal plan or potentials are not unique, one subgradient; where a
            mass is 0, the derivative of adding to it. For entropic methods these
            are the derivatives of `regularized_value`, as exact as its iteration:
            for a marginal error of `tol` the potentials and the plan's entries are
            off by about as much, relative.

        Raises
        ------
        InputError
            For p = inf, and for a metric given as a function.
        """
        return gradients(self)
