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
from otdist.runtime.show import table
from otdist.typing import FloatArray, IntArray

if TYPE_CHECKING:
    from otdist.problem.problem import Problem

#: The relative gap below which a value counts as proved.
EXACT_TOL = 1e-9
#: A plan is a coupling if no marginal is off by more than this part of its weight, or by more
#: than the second part of all mass, which is far below what float64 can tell.
COUPLING, SPECK = 1e-9, 2.0**-100

Floats = TypeVar("Floats", bound=float | FloatArray)


class Status(StrEnum):
    """How a solve ended; the bracket of the result holds for all of them."""

    OPTIMAL = "optimal"
    """The certificate proves it: the gap is within the tolerance."""
    AS_EXACT_AS_INPUT = "as_exact_as_input"
    """The certificate proves it to what the last digits of the coordinates or costs decide."""
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
        """Whether the value is proved, or the method's tolerance was reached."""
        return self in (Status.OPTIMAL, Status.AS_EXACT_AS_INPUT, Status.CONVERGED)


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


class Bracket(NamedTuple, Generic[Floats]):
    """Bounds on an optimal value, or arrays of bounds, and the one rule of what they prove.

    Attributes
    ----------
    lower, upper : float or ndarray
        Bounds on the optimum, cost × mass, rounded outward.
    value : float or ndarray
        The cost of a coupling, as computed; the rounding of it is in the bounds.
    is_coupling : bool or ndarray
        Whether each marginal of the plan as given is within 1e-9 of its weight (or 2**-100 of
        all mass).
    resolution : float or ndarray
        How much distances may change, times mass ** (1 / order), when every coordinate changes
        by a unit in its last place; with a cost matrix the rounding of the costs paid.
    order : float
        The power of a distance that is a cost.
    """

    lower: Floats
    upper: Floats
    value: Floats
    is_coupling: Any
    resolution: Any = 0.0
    order: float = 1.0

    def is_narrow(self, tol: float) -> Any:
        """Whether the plan is a coupling and the gap at most `tol`, relative: bool or array.

        Bounds that cross prove only that something is wrong.
        """
        # Operators alone, which are fast for floats. Comparisons with NaN are false.
        bounds: tuple[Any, ...] = self
        gap, size = bounds[1] - bounds[0], abs(bounds[1])
        return (gap <= tol * size) & (gap >= 0) & (size < math.inf) & self.is_coupling

    def is_as_exact_as_input(self) -> Any:
        """Whether the plan is a coupling and the gap what the last digits of the input decide."""
        gap = roots(self.upper, self.order) - roots(self.lower, self.order)
        return (gap <= self.resolution) & (gap >= 0) & (gap < math.inf) & self.is_coupling

    def proves(self, tol: float) -> Any:
        """Whether the bounds prove the value, to `tol` or to the last digits of the input."""
        if type(self.upper) is float:
            return bool(self.is_narrow(tol) or self.is_as_exact_as_input())
        with np.errstate(invalid="ignore"):
            return self.is_narrow(tol) | self.is_as_exact_as_input()


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


def roots(values: Any, p: float, k: int | IntArray = 0) -> Any:
    """Return the roots of a value or many, `root` for arrays."""
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
        A lower bound of the optimum, cost × mass: a dual value, rounded down.
    upper : float
        An upper bound of the optimum, cost × mass: the cost of a coupling, rounded up. If the
        marginals of the plan are off, the cost of the plan repaired to exact ones.
    value : float
        That cost as computed, between `lower` and `upper`.
    is_coupling : bool
        Whether each marginal of the plan as given is within 1e-9 of its weight, or 2**-100 of all
        mass. (Of a partial problem: whether each is at most its weight, and a given mass is moved.)
    marginal_error : float
        ``|plan 1 - a|_1 + |planᵀ 1 - b|_1`` of the plan as given, in mass, where b is scaled to
        the sum of a.
    dual_violation : float
        Largest ``f[i] + g[j] - cost[i, j]`` of the potentials as given, in cost
        units; 0 if they are feasible, or if g was not given.
    resolution : float
        How much W_p, times mass ** (1 / p), may change when every coordinate changes by a unit in
        the last place; of a cost matrix, how much the value may when every cost does.
    order : float
        The power of a distance that is a cost; 1 for a cost matrix.

    Notes
    -----
    A certificate has no truth value, since a plan can be a coupling without being optimal, and
    bounds can be right without being narrow: ask `is_coupling`, `is_optimal` or ``proves(tol)``.
    """

    lower: float
    upper: float
    value: float
    is_coupling: bool
    marginal_error: float
    dual_violation: float
    resolution: float = 0.0
    order: float = 1.0

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

    @property
    def is_optimal(self) -> bool:
        """Whether the plan is a coupling, and its cost proved to 1e-9 or the last digits."""
        return self.proves(EXACT_TOL)

    @property
    def verdict(self) -> str:
        """What the plan is, in words: a coupling or not, optimal or by how much not proved."""
        if not self.is_coupling:
            return (
                f"no coupling: its marginals are off by a mass of {self.marginal_error:.3g};"
                f" the optimum is in [{self.lower:.9g}, {self.upper:.9g}]"
            )
        if self.is_optimal:
            return f"a coupling, and optimal: its cost is proved by a gap of {self.gap:.3g}"
        return (
            f"a coupling; its cost is at most {self.gap:.3g} above the optimum, which is in"
            f" [{self.lower:.9g}, {self.upper:.9g}]"
        )

    def proves(self, tol: float) -> bool:
        """Whether the plan is a coupling, and its cost proved to `tol` or the last digits."""
        return bool(self.bracket().proves(tol))

    def bracket(self) -> Bracket[float]:
        """Return the bounds with the rule of what they prove."""
        return Bracket(
            self.lower, self.upper, self.value, self.is_coupling, self.resolution, self.order
        )

    def __bool__(self) -> bool:
        raise TypeError(
            "a certificate is neither true nor false: ask is_coupling, is_optimal or proves(tol)"
        )

    def _repr_html_(self) -> str:
        return table(
            "Certificate",
            [
                ("optimum", f"in [{self.lower:.12g}, {self.upper:.12g}]"),
                ("cost of the plan", f"{self.value:.12g}"),
                ("marginal error", f"{self.marginal_error:.3g}"),
                ("verdict", self.verdict),
            ],
        )

    def __repr__(self) -> str:
        return (
            f"Certificate(lower={self.lower:.12g}, upper={self.upper:.12g},"
            f" gap={self.gap:.3g}, is_coupling={self.is_coupling},"
            f" is_optimal={self.is_optimal})"
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
        Cost of `plan`, cost × mass, between `lower` and `upper`. Never rooted. For
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
        Whether the status is OPTIMAL, AS_EXACT_AS_INPUT or CONVERGED.
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
        return self.certificate.value

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
        """Whether the status is OPTIMAL, AS_EXACT_AS_INPUT or CONVERGED."""
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

    def _repr_html_(self) -> str:
        return table(
            "Result",
            [
                ("status", str(self.status)),
                ("value", f"{self.value:.12g}"),
                ("certified bracket", f"[{self.lower:.12g}, {self.upper:.12g}]"),
                ("distance", f"{self.distance:.12g}"),
                ("method", f"{self.method}, {self.n_iter} iterations"),
                ("message", self.message),
            ],
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
