"""One problem, everything about it: choose a solver, run it, certify its claim."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np

from otdist.certificate.certify import certified
from otdist.certificate.partial import outer_potential
from otdist.certificate.units import from_unit, in_costs, potential_in_unit
from otdist.errors import InfeasibleError, InputError, short
from otdist.geometry.points import may_repeat
from otdist.inputs.calls import answers
from otdist.inputs.validate import (
    as_count,
    as_epsilon,
    as_finite_vector,
    as_flag,
    as_jobs,
    as_number,
    as_tolerance,
)
from otdist.plans.plans import Arcs, EmbeddedPlan, EntropicPlan, Flow
from otdist.problem.copies import merged
from otdist.problem.marginals import Marginals, MoveMass
from otdist.problem.problem import Problem
from otdist.problem.result import EXACT_TOL, Candidate, Certificate, Ended, Result, Status
from otdist.runtime.interrupts import LARGE, interruptible
from otdist.runtime.progress import progress_bar
from otdist.solvers.registry import NO_LIMIT, Kind, Options, Solver, another_exact, choose, named
from otdist.typing import ArrayLike, FloatArray, Function, IntArray

if TYPE_CHECKING:
    from collections.abc import Iterator

# Of the gap wanted, the marginal error that Sinkhorn may leave to rounding.
_ROUNDED = 0.1
# Of the largest cost: below, exponents of an entropic plan have few digits left.
_LEAST_EPSILON = 1e-11
# Of the largest cost: how far potentials of a warm start may be from their median.
_WIDEST = 2.0
# Atoms of a side from which on merging is worth the search for copies.
_MANY = 1000
# More digits are not looked for where the bracket is narrower than this part of the value.
_LEAST_TOL = 1e-13
_SILENT = nullcontext()
_OPTIONS = frozenset({"method", "tol", "max_iter", "epsilon", "warm_start", "time_limit"})

_STATUS_OF = {
    Ended.ITERATIONS: Status.MAX_ITER,
    Ended.TIME: Status.TIME_LIMIT,
    Ended.STALLED: Status.NOT_PROVED,
}
_SOFTER = {
    Kind.EXACT: ("raise tol",),
    Kind.WITHIN_TOL: ("raise tol", "use another method"),
    Kind.ENTROPIC: ("raise epsilon",),
}

_BRACKET = "; the optimum is in [{certificate.lower:.9g}, {certificate.upper:.9g}]"

#: How a run ended, and what to try next, by status and kind of method. The last word of
#: an advice is the option that it is about.
_VERDICTS: dict[tuple[Status, Kind], tuple[str, tuple[str, ...]]] = {
    **{
        (status, kind): (words + "proved by a gap of {certificate.gap:.3g}", ())
        for status, words in (
            (Status.OPTIMAL, "optimal: "),
            (Status.AS_EXACT_AS_INPUT, "optimal to the last digits of the input: "),
        )
        for kind in Kind
    },
    **{
        (status, kind): (f"stopped at {limit}{{where}}{_BRACKET}", (f"raise {option}", *others))
        for status, limit, option in (
            (Status.MAX_ITER, "iteration {n_iter}", "max_iter"),
            (Status.TIME_LIMIT, "the time limit", "time_limit"),
        )
        for kind, others in _SOFTER.items()
    },
    (Status.CONVERGED, Kind.WITHIN_TOL): (
        "the bracket is within tol={tol:g}{where}" + _BRACKET,
        ("for a narrower one lower tol", "use another method"),
    ),
    (Status.CONVERGED, Kind.ENTROPIC): (
        "converged to a marginal error of {tol:g} of the mass" + _BRACKET,
        ("for a narrower bracket lower epsilon", "use another method"),
    ),
    **{
        (Status.NOT_PROVED, kind): (
            "ended with a relative gap of {certificate.relative_gap:.3g} above tol={tol:g}{where}"
            + _BRACKET,
            ("raise tol", "use another method"),
        )
        for kind in (Kind.EXACT, Kind.WITHIN_TOL)
    },
    (Status.NOT_PROVED, Kind.ENTROPIC): (
        "stalled above a marginal error of {tol:g} of the mass" + _BRACKET,
        ("raise epsilon", "raise tol", "use another method"),
    ),
}


@answers
def solve(
    problem: Problem,
    *,
    method: str = "auto",
    tol: float | None = None,
    max_iter: int | None = None,
    epsilon: float | None = None,
    warm_start: Result | tuple[FloatArray, FloatArray] | None = None,
    time_limit: float | None = None,
    n_jobs: int = 1,
    progress: bool = False,
) -> Result:
    """Solve a transport problem and prove how close the answer is.

    Parameters
    ----------
    problem : Problem
        The problem, already validated.
    method : str, default "auto"
        ``"line"`` (exact, points on the line), ``"circle"`` (exact, `Problem.on_circle`),
        ``"bottleneck"`` (exact, p = inf), ``"tree"`` and ``"flow"`` (exact, graphs, and
        grids with the L1 or L∞ metric), ``"network_simplex"`` (exact, any cost),
        ``"highs"`` (exact, an independent solver for small problems), ``"coprime"``
        (images and Euclidean distances, within `tol`), ``"sinkhorn"`` (entropic), or
        ``"auto"``: the first of line, circle, bottleneck, tree, flow and
        network_simplex that takes the problem.
    tol : float, optional
        Exact methods: the relative gap below which the status is OPTIMAL,
        default 1e-9. Sinkhorn with an epsilon: the marginal error to reach, as a
        part of the mass, default 1e-6. Sinkhorn without: epsilon is lowered until
        the certified bracket is as narrow as this, relative. Coprime: the relative
        width of the bracket, default 1.3 %; smaller ones take more memory.
    max_iter : int, optional
        Limit on pivots, phases of flows or Sinkhorn iterations; default 10 000 for
        sinkhorn, else none. Not for line, circle and tree, which are closed forms.
    epsilon : float, optional
        Entropic weight in cost units, for sinkhorn. Default: small enough for `tol`,
        or without tol 1 % of the mean cost under the product measure.
    warm_start : Result or (f, g), optional
        Potentials to start from, for network_simplex and sinkhorn: any finite numbers, a
        hint that changes the time and not the answer.
    time_limit : float, optional
        Seconds after which network_simplex, flow, coprime, bottleneck and sinkhorn stop
        and return the best bracket so far. Default: none.
    n_jobs : int, default 1
        Threads for passes over all pairs, in network_simplex, sinkhorn and certificates;
        -1 for one on each processor. The result does not depend on it.
    progress : bool, default False
        Show a progress bar (needs tqdm).

    Returns
    -------
    Result
        Always with a bracket ``lower <= optimum <= upper``. If the tolerance was not
        reached, `Result.success` is False and `Result.status` says why.

    Raises
    ------
    InputError
        A method that does not take the problem, or an option that it does not know.
    InfeasibleError
        Forbidden arcs leave mass with nowhere to go.

    Notes
    -----
    network_simplex, line, circle and sinkhorn need O(n + m) memory beside the input,
    sinkhorn also the larger entries of its plan, at most 290 MB, and bottleneck 12
    bytes for each pair not much farther apart than its value. All but line and circle
    make the cost matrix of points with many coordinates (24 or more) or with a
    function for a metric. The certificate is computed afterwards by `certify`, which
    shares no code with the solvers.

    Examples
    --------
    >>> from otdist import Problem, solve
    >>> result = solve(Problem([[0, 0], [0, 1]], [[1, 0], [1, 1]]))
    >>> result.value, result.gap < 1e-12, str(result.status)
    (1.0, True, 'optimal')
    >>> solve(Problem([[0.0, 0], [0, 1]], [[1, 0], [1, 1]]), method="sinkhorn").success
    True
    """
    if not isinstance(problem, Problem):
        raise InputError(
            f"problem must be a Problem, got {type(problem).__name__}; make one with"
            " Problem(x, y, a, b) or Problem.from_cost(cost, a, b)"
        )
    solver = choose(
        problem,
        method,
        max_iter=max_iter,
        epsilon=epsilon,
        warm_start=warm_start,
        time_limit=time_limit,
    )
    wanted = solver.tol if tol is None else as_tolerance(tol)
    if epsilon is not None:
        as_epsilon(epsilon, problem.geometry.largest)
    k = problem.geometry.exponent
    unit = problem.in_unit(k) if k else problem
    if k != 0 and solver.kind is Kind.ENTROPIC:
        raise InputError(
            f"distances reach {problem.geometry.largest:.3g}, whose squares leave float64, and"
            f" method={solver.name!r} computes with them; divide the points by a constant"
        )
    whole = unit.with_outside()
    with _reporter(solver.name) if as_flag("progress", progress) else _SILENT as report:
        options = Options(
            tol=wanted,
            max_iter=_limit(max_iter, solver),
            epsilon=epsilon,
            warm_start=_potentials_of(warm_start, unit, whole, k),
            report=report,
            n_jobs=as_jobs(n_jobs),
            deadline=time.monotonic() + _seconds(time_limit),
        )
        kind = solver.kind
        if kind is Kind.ENTROPIC and epsilon is None and tol is not None:
            kind = Kind.WITHIN_TOL
            claim, certificate = _narrowed(whole, solver, options)
        elif sum(problem.shape) <= LARGE:
            claim, certificate = _run(unit, whole, solver, options)
        else:
            claim, certificate = interruptible(np.inf, _run, unit, whole, solver, options)
    status = _status(claim.ended, certificate, kind, wanted)
    if k != 0:
        f, g = in_costs(problem, claim.f, -k), in_costs(problem, claim.g, -k)
        claim, certificate = claim._replace(f=f, g=g), from_unit(certificate, k)
    return _result(problem, solver, kind, claim, certificate, status, wanted)


@answers
def certify(
    problem: Problem,
    plan: Any,
    f: ArrayLike | Function | str | None = None,
    g: ArrayLike | Function | None = None,
    *,
    n_jobs: int = 1,
) -> Certificate:
    """Bound the optimal value of a problem from a plan and potentials.

    Parameters
    ----------
    problem : Problem
        The problem that plan and potentials claim to solve.
    plan : array_like (n, m), scipy.sparse (n, m), ``Flow``, or an object with ``rows``
        Mass moved from i to j, >= 0. Whatever its marginals are, `upper` is the
        cost of a coupling: if they are off, the plan is scaled down to fit and the rest is
        coupled in order. `is_coupling` says whether the plan as given is one.
    f : array_like (n,), callable or "solve", optional
        Potential of the first measure, cost units, or a function of points (n, d),
        such as a critic. Any finite numbers are allowed and prove some `lower`; without f
        it is what potentials of zero prove. "solve" solves the problem for them.
    g : array_like (m,) or callable, optional
        Potential of the second measure (minus a critic). It is needed for
        `dual_violation`; where f leaves a gap, `lower` is the larger of the bounds that f
        and g prove.
    n_jobs : int, default 1
        Threads for many points; -1 for one on each processor. The result does not
        depend on it.

    Returns
    -------
    Certificate
        With ``lower <= optimum <= upper``, all rounding included. The optimum is that of
        the weights and costs as given, b scaled to the sum of a; costs of points are those
        of exact arithmetic. `Certificate.verdict` says it in words.

    Raises
    ------
    InputError
        Negative, NaN or infinite entries, or shapes that do not fit the problem.

    Notes
    -----
    O(nm) time (O((n + m) log n) for points on the line and a sparse plan), and
    O(n + m) memory beyond the plan. The lower bound is Kantorovich duality; the
    repair follows Algorithm 2 of Altschuler, Weed and Rigollet (2017).

    For p = inf the lower bound is Strassen's, a set whose mass does not fit into its
    neighbourhood: the atoms with f > 0, and on the line, where f is not read, intervals.

    Examples
    --------
    >>> import numpy as np
    >>> from otdist import Problem, certify
    >>> problem = Problem.from_cost([[0, 2], [1, 1]])
    >>> proof = certify(problem, np.eye(2) / 2, f=[0.0, 0.0])
    >>> print(proof.value, proof.lower <= 0.5 <= proof.upper, proof.gap < 1e-14)
    0.5 True True
    >>> print(certify(problem, [[0, 0.5], [0.5, 0]]).verdict)
    a coupling; its cost is at most 1 above the optimum, which is in [0.5, 1.5]

    Half of the first row's mass is lost; the bracket still holds:

    >>> lost = certify(problem, [[0.25, 0], [0, 0.5]], f=[0.0, 0.0])
    >>> lost.is_coupling, round(lost.marginal_error, 9), lost.value
    (False, 0.5, 0.5)
    """
    if not isinstance(problem, Problem):
        raise InputError(f"problem must be a Problem, got {type(problem).__name__}")
    n_jobs = as_jobs(n_jobs)
    if isinstance(f, str):
        if f != "solve":
            raise InputError(f"f must be potentials, a function, or 'solve', got {short(f)}")
        f, g = solve(problem, n_jobs=n_jobs).potentials
    k = problem.geometry.exponent
    if k != 0:
        f, g = (potential_in_unit(problem, each, side, k) for side, each in enumerate((f, g)))
        problem = problem.in_unit(k)
    n_atoms = sum(problem.shape)
    certificate: Certificate = interruptible(n_atoms, certified, problem, plan, f, g, n_jobs)
    return from_unit(certificate, k) if k != 0 else certificate


def _narrowed(problem: Problem, solver: Solver, options: Options) -> tuple[Candidate, Certificate]:
    """Lower epsilon until the certified bracket is as narrow as `tol`, relative.

    The width of the bracket is about proportional to epsilon, which gives the next one.
    """
    wanted, n_iter = options.tol, 0
    options = options._replace(tol=_ROUNDED * wanted, gap=wanted)
    while True:
        claim, certificate = _run(problem, problem, solver, options)
        n_iter += claim.n_iter
        claim = claim._replace(n_iter=n_iter)
        assert not isinstance(claim.plan, Arcs | Flow)
        epsilon, gap = claim.plan.epsilon, certificate.relative_gap
        largest = problem.geometry.largest
        least = _LEAST_EPSILON * largest
        status = _status(claim.ended, certificate, Kind.WITHIN_TOL, wanted)
        if status.is_success or claim.ended is not Ended.FINISHED or epsilon <= least:
            return claim, certificate
        if n_iter >= options.max_iter:
            return claim._replace(ended=Ended.ITERATIONS), certificate
        # Mass that is missing from the marginals moves at no more than the largest cost.
        share = min(abs(certificate.upper) / (largest * problem.mass), 1.0)
        options = options._replace(
            epsilon=max(least, epsilon * max(min(0.5 * wanted / gap, 0.5), 0.02)),
            tol=max(_ROUNDED * wanted * share, 1e-13),
            warm_start=(claim.f, claim.g),
        )


def _run(
    problem: Problem, whole: Problem, solver: Solver, options: Options
) -> tuple[Candidate, Certificate]:
    """Run the solver on the balanced problem `whole`, and certify its claim."""
    part, rows, columns = _part(whole, solver)
    _require_arcs(part, rows, columns)
    start = options.warm_start
    if start is not None:
        options = options._replace(warm_start=(start[0][rows], start[1][columns]))
    is_exact = solver.kind is Kind.EXACT
    copies = merged(part) if is_exact and _may_have_copies(part) else None
    if copies is None:
        claim = solver.load()(part, options)
    else:
        options = options.restricted(copies.rows, copies.columns)
        claim = copies.undone(solver.load()(copies.problem, options))
    if claim.stranded is not None:
        _raise_stranded(claim.stranded, rows, problem)
    if part is not whole or solver.kind is Kind.ENTROPIC:
        claim = _on_all_atoms(claim, whole, part, rows, columns)
    if solver.kind is Kind.ENTROPIC:
        return claim, certified(problem, claim.plan, claim.f, None, options.n_jobs)
    proof = _proof(problem, claim, options)
    if solver.kind is not Kind.EXACT or claim.ended is not Ended.FINISHED:
        return proof
    return proof if proof[1].proves(options.tol) else _finished(problem, claim, proof, options)


def _may_have_copies(problem: Problem) -> bool:
    """Whether there are many points and some may be equal; on the line all are sorted anyway."""
    points = None if problem.is_line else problem.geometry.as_points()
    if points is None or max(points.shape) < _MANY:
        return False
    return may_repeat(points.x) or may_repeat(points.y)


def _proof(problem: Problem, claim: Candidate, options: Options) -> tuple[Candidate, Certificate]:
    """Return a claim about the atoms proper, and its certificate."""
    if problem.is_partial:
        claim = _without_outside(claim, problem.marginals)
    tol = max(options.tol, _LEAST_TOL)
    return claim, certified(problem, claim.plan, claim.f, claim.g, options.n_jobs, tol)


def _finished(
    problem: Problem,
    claim: Candidate,
    proof: tuple[Candidate, Certificate],
    options: Options,
) -> tuple[Candidate, Certificate]:
    """Finish a claim that is not proved with more digits: the claim with the narrowest bracket."""
    if problem.is_bottleneck:
        return proof
    from otdist.solvers.exact_arithmetic.solver import refined

    better = refined(problem, claim, options.deadline)
    if better is None:
        # With more time it might be proved, by whichever method found it.
        in_time = time.monotonic() < options.deadline
        return proof if in_time else (proof[0]._replace(ended=Ended.TIME), proof[1])
    again = _proof(problem, better, options)
    return again if again[1].proves(options.tol) or again[1].gap < proof[1].gap else proof


def _result(
    problem: Problem,
    solver: Solver,
    kind: Kind,
    claim: Candidate,
    certificate: Certificate,
    status: Status,
    tol: float,
) -> Result:
    """Return the result, in terms of the atoms proper."""
    where = ""
    if kind is not solver.kind:
        assert not isinstance(claim.plan, Arcs | Flow)
        where = f" at epsilon={claim.plan.epsilon:.3g}"
    outcome, advice = _VERDICTS[status, kind]
    return Result(
        problem=problem,
        coupling=claim.plan,
        potentials=(claim.f, claim.g),
        certificate=certificate,
        regularized_value=claim.regularized_value,
        status=status,
        outcome=outcome.format(tol=tol, where=where, n_iter=claim.n_iter, certificate=certificate),
        advice=_advised(problem, solver, advice, _OPTIONS) if advice else "",
        n_iter=claim.n_iter,
        method=solver.name,
    )


def outcome_for(result: Result, options: frozenset[str] = frozenset()) -> str:
    """Return how a solve ended and what to try, for a function that has these options."""
    solver = named(result.method)
    advice = _advised(result.problem, solver, _VERDICTS[result.status, solver.kind][1], options)
    return f"{result.outcome}: {advice}" if advice else result.outcome


def _advised(
    problem: Problem, solver: Solver, advice: tuple[str, ...], options: frozenset[str]
) -> str:
    """Return the advice on options that both the function and the solver have."""
    known = options & (solver.options | {"tol"})
    words = [each for each in advice if each.split()[-1] in known]
    if "use another method" in advice and "method" in options:
        other = another_exact(problem, solver.name)
        if other is not None:
            warm = solver.kind is not Kind.EXACT and "warm_start" in options & other.options
            how = " with this result as warm_start" if warm else ""
            words.append(f"use method={other.name!r}{how}")
    return " or ".join(words) if len(words) < 3 else f"{', '.join(words[:-1])}, or {words[-1]}"


def _limit(max_iter: Any, solver: Solver) -> int:
    """Return the most iterations, by default those of the solver."""
    if max_iter is None:
        return solver.max_iter
    return min(as_count("max_iter", max_iter, 0), NO_LIMIT)


def _seconds(time_limit: float | None) -> float:
    if time_limit is None:
        return np.inf
    seconds = as_number("time_limit", time_limit, "seconds >= 0")
    if not seconds >= 0:
        raise InputError(f"time_limit must be seconds >= 0, got {short(time_limit)}")
    return seconds


def _potentials_of(
    warm_start: Any, problem: Problem, whole: Problem, k: int
) -> tuple[FloatArray, FloatArray] | None:
    """Return the potentials to start from, of all atoms of the balanced problem.

    They are given in costs of the user, and returned in those of the problem, the unit 2**k.
    """
    if warm_start is None:
        return None
    pair = warm_start.potentials if isinstance(warm_start, Result) else warm_start
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise InputError("warm_start must be a Result or a pair of potentials (f, g)")
    n, m = problem.shape
    f = as_finite_vector("warm_start[0]", pair[0], n)
    g = as_finite_vector("warm_start[1]", pair[1], m)
    f, g = in_costs(problem, f, k), in_costs(problem, g, k)
    if problem.is_partial:
        # Potentials are relative to that of outside, which is 0.
        f = outer_potential(_in_range(f, 0.0, whole), problem, whole)
        return f, whole.geometry.column_minimum(f)
    return _in_range(f, _median(f), whole), _in_range(g, _median(g), whole)


def _in_range(potential: FloatArray, middle: float, problem: Problem) -> FloatArray:
    """Return a potential relative to a middle, clipped to the range of the costs.

    No optimal potential needs a wider range if all arcs are allowed. Digits of larger numbers
    would hide those of the costs.
    """
    most = _WIDEST * problem.geometry.largest
    with np.errstate(over="ignore"):
        return np.clip(potential - middle, -most, most)


def _median(potential: FloatArray) -> float:
    """Return an entry in the middle: the mean of two might overflow."""
    return float(np.partition(potential, len(potential) // 2)[len(potential) // 2])


def _part(problem: Problem, solver: Solver) -> tuple[Problem, IntArray, IntArray]:
    """Return the problem that the solver gets, and its atoms: by default those with mass."""
    if solver.takes_empty_atoms(problem):
        n, m = problem.shape
        return problem, np.arange(n), np.arange(m)
    part, rows, columns = problem.support()
    if part.geometry.facts.takes_search:
        part = part.on(part.geometry.tabulated())
    return part, rows, columns


def _require_arcs(part: Problem, rows: IntArray, columns: IntArray) -> None:
    """Raise for an atom that has mass and no allowed arc at all."""
    geometry = part.geometry
    if not geometry.facts.has_forbidden:
        return
    n, m = geometry.shape
    for name, atoms, reachable in (
        ("a", rows, np.isfinite(geometry.row_minimum(np.zeros(m)))),
        ("b", columns, np.isfinite(geometry.column_minimum(np.zeros(n)))),
    ):
        if not reachable.all():
            k = int(np.argmin(reachable))
            raise InfeasibleError(
                f"no coupling exists: {name}[{atoms[k]}] has mass and every arc of it is"
                " forbidden (cost inf); allow one, or set that mass to 0"
            )


@contextmanager
def _reporter(method: str) -> Iterator[Callable[[int, float], None]]:
    """Yield a function that shows iterations and gap."""
    with progress_bar(desc=method, unit=" iterations") as bar:

        def show(n_iter: int, gap: float) -> None:
            if np.isfinite(gap):
                bar.set_postfix(gap=f"{gap:.1e}", refresh=False)
            bar.update(n_iter - bar.n)

        yield show


def _raise_stranded(stranded: IntArray, rows: IntArray, problem: Problem) -> None:
    """Raise for mass that no coupling over the allowed arcs can move."""
    if problem.is_partial:
        stranded = stranded[rows[stranded] < len(problem.a)]
    if len(stranded) == 0:
        raise InfeasibleError(
            "no coupling exists: the forbidden arcs (cost inf) leave some mass with"
            " nowhere to go; allow more arcs"
        )
    i = int(rows[stranded[0]])
    others = f" and {len(stranded) - 1} more rows" if len(stranded) > 1 else ""
    raise InfeasibleError(
        f"no coupling exists: not all of the mass a[{i}] = {problem.a[i]:.6g}{others}"
        " can be moved along arcs of finite cost; allow more arcs from there, or lower"
        " that mass"
    )


def _on_all_atoms(
    claim: Candidate,
    problem: Problem,
    part: Problem,
    rows: IntArray,
    columns: IntArray,
) -> Candidate:
    """Bring plan and potentials back to the atoms without mass.

    Their potentials are c-transforms, so that they violate nothing.
    """
    if part is problem and problem.a.all() and problem.b.all():
        return claim
    n, m = problem.shape
    plan = claim.plan
    if isinstance(plan, Arcs):
        plan = Arcs(rows[plan.rows], columns[plan.columns], plan.mass)
    elif isinstance(plan, EntropicPlan) and part is not problem:
        plan = EmbeddedPlan(plan, rows, columns, (n, m))
    f, g = np.zeros(n), np.zeros(m)
    f[rows], g[columns] = claim.f, claim.g
    empty_rows, empty_columns = problem.a == 0, problem.b == 0
    if not problem.is_bottleneck and (empty_rows.any() or empty_columns.any()):
        f[empty_rows] = g[empty_columns] = -np.inf
        g[empty_columns] = _finite(problem.geometry.column_minimum(f)[empty_columns])
        f[empty_rows] = _finite(problem.geometry.row_minimum(g)[empty_rows])
    return claim._replace(plan=plan, f=f, g=g)


def _without_outside(claim: Candidate, marginals: Marginals) -> Candidate:
    """Return plan and potentials of the atoms proper, potentials relative to outside.

    Masses are rounded in units of all mass, and outside may have most of it: where a given mass
    is moved, they are scaled to it.
    """
    plan, f, g = claim.plan, claim.f, claim.g
    assert isinstance(plan, Arcs)
    inside = (plan.rows < len(f) - 1) & (plan.columns < len(g) - 1)
    mass = plan.mass[inside]
    if isinstance(marginals, MoveMass) and mass.any():
        mass = mass * (marginals.mass / mass.sum())
    plan = Arcs(plan.rows[inside], plan.columns[inside], mass)
    return claim._replace(plan=plan, f=f[:-1] + g[-1], g=g[:-1] + f[-1])


def _finite(potential: FloatArray) -> FloatArray:
    """Return 0 for an atom with no allowed arc at all, which may take any number."""
    return np.where(np.isfinite(potential), potential, 0.0)


def _status(ended: Ended, certificate: Certificate, kind: Kind, tol: float) -> Status:
    """Return the status: by the certificate where it proves the claim, else by the solver."""
    bracket = certificate.bracket()
    if bracket.is_narrow(tol if kind is Kind.EXACT else EXACT_TOL):
        return Status.OPTIMAL
    if bracket.is_as_exact_as_input():
        return Status.AS_EXACT_AS_INPUT
    is_sound = certificate.marginal_error < np.inf
    if kind is Kind.WITHIN_TOL and is_sound and certificate.relative_gap <= tol * (1 + 1e-9):
        return Status.CONVERGED
    if ended is Ended.FINISHED:
        return Status.CONVERGED if kind is Kind.ENTROPIC else Status.NOT_PROVED
    return _STATUS_OF[ended]
