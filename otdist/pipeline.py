"""Choose a method, run it, certify what it claims: the only place that sees all."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from otdist.certificate.certify import certify
from otdist.certificate.partial import outer_potential
from otdist.errors import InfeasibleError, InputError
from otdist.geometry.circle import Circle
from otdist.geometry.graph import Graph
from otdist.geometry.grid_metric import Pixels
from otdist.geometry.grid_separable import Grid
from otdist.geometry.matrix import Dense
from otdist.inputs.validate import (
    as_epsilon,
    as_finite_vector,
    as_jobs,
    as_number,
    as_tolerance,
)
from otdist.plans.plans import Arcs, EmbeddedPlan, EntropicPlan, Flow
from otdist.problem.partial import inner_potentials
from otdist.problem.problem import Problem
from otdist.problem.result import Candidate, Certificate, Result, Status
from otdist.runtime.progress import progress_bar
from otdist.solvers import registry as _solvers
from otdist.typing import FloatArray, IntArray

if TYPE_CHECKING:
    from collections.abc import Iterator

#: The relative gap below which a value counts as proved.
EXACT_TOL = 1e-9
_COUPLING_TOLERANCE = 1e-11
_SINKHORN_TOL = 1e-6
# Steps up to 3 promise this, where the spacings are equal.
_COPRIME_TOL = 0.013
_SINKHORN_MAX_ITER = 10_000
_NO_LIMIT = 2**62
# Of the gap wanted, the marginal error that Sinkhorn may leave to rounding.
_ROUNDED = 0.1
# Of the largest cost: below, exponents of an entropic plan have few digits left.
_LEAST_EPSILON = 1e-11
_SILENT = nullcontext()


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
        ``"network_simplex"`` (exact, any cost), ``"line"`` (exact, points on
        the line), ``"circle"`` (exact, `Problem.on_circle`), ``"bottleneck"``
        (exact, p = inf), ``"tree"`` and ``"flow"`` (exact, graphs, and grids with the
        L1 or L∞ metric), ``"coprime"`` (images and Euclidean distances, within `tol`),
        ``"highs"`` (exact, an independent solver, small problems), ``"sinkhorn"``
        (entropic), or ``"auto"``: line, circle, bottleneck, tree or flow where it
        applies, else network_simplex.
    tol : float, optional
        Exact methods: the relative gap below which the status is OPTIMAL,
        default 1e-9. Sinkhorn with an epsilon: the marginal error to reach, as a
        part of the mass, default 1e-6. Sinkhorn without: epsilon is lowered until
        the certified bracket is as narrow as this, relative. Coprime: the relative
        width of the bracket, default 1.3 %; smaller ones take more memory.
    max_iter : int, optional
        Limit on pivots or phases of flows (default none), or on Sinkhorn iterations
        (default 10 000).
    epsilon : float, optional
        Entropic weight in cost units, Sinkhorn only. Default: what `tol` asks for,
        or without tol 1 % of the mean cost under the product measure.
    warm_start : Result or (f, g), optional
        Potentials to start from, for network_simplex and sinkhorn.
    time_limit : float, optional
        Seconds after which network_simplex, bottleneck and sinkhorn stop and return
        the best bracket so far, with ``success=False``. Default: none.
    n_jobs : int, default 1
        Threads for passes over all pairs, in network_simplex, sinkhorn and certificates;
        -1 for one on each processor. The result does not depend on it.
    progress : bool, default False
        Show a progress bar (needs tqdm).

    Returns
    -------
    Result
        Always with a bracket ``lower <= optimum <= upper``. Never raises for a
        problem that was too hard: it says ``success=False`` and how far it got.

    Raises
    ------
    InputError
        Options that do not fit the method.
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
    >>> result.value, result.gap, str(result.status)
    (1.0, 0.0, 'optimal')
    >>> solve(Problem([[0.0, 0], [0, 1]], [[1, 0], [1, 1]]), method="sinkhorn").success
    True
    """
    if not isinstance(problem, Problem):
        raise InputError(
            f"problem must be a Problem, got {type(problem).__name__}; make one with"
            " Problem(x, y, a, b) or Problem.from_cost(cost, a, b)"
        )
    method = _choose(problem, method)
    entropic = method in _solvers.ENTROPIC
    is_narrowed = entropic and epsilon is None and tol is not None
    tol = _tolerance(tol, method)
    if epsilon is not None:
        _require_epsilon(epsilon, entropic, problem)
    with _reporter(method) if progress else _SILENT as report:
        options = _solvers.Options(
            tol=tol,
            max_iter=_limit(max_iter, entropic),
            epsilon=epsilon,
            warm_start=_potentials_of(warm_start, problem),
            report=report,
            n_jobs=as_jobs(n_jobs),
            deadline=time.monotonic() + _seconds(time_limit),
        )
        if is_narrowed:
            return _narrowed(problem, method, options)
        return _solved(problem, method, options)


def _narrowed(problem: Problem, method: str, options: _solvers.Options) -> Result:
    """Lower epsilon until the certified bracket is as narrow as `tol`, relative.

    The bracket's width is about proportional to epsilon, which tells the next one.
    """
    wanted, n_iter = options.tol, 0
    options = options._replace(tol=_ROUNDED * wanted, gap=wanted)
    while True:
        result = _solved(problem, method, options)
        n_iter += result.n_iter
        assert not isinstance(result.coupling, Arcs | Flow)
        epsilon, gap = result.coupling.epsilon, result.relative_gap
        largest = problem.geometry.largest
        least = _LEAST_EPSILON * largest
        if result.status is Status.OPTIMAL or gap <= wanted:
            return _told(result, n_iter, f"within tol={wanted:g}")
        if not result.success or epsilon <= least or n_iter >= options.max_iter:
            return _told(result, n_iter, None)
        # What is missing from the marginals moves at no more than the largest cost.
        share = min(abs(result.upper) / (largest * problem.mass), 1.0)
        options = options._replace(
            epsilon=max(least, epsilon * max(min(0.5 * wanted / gap, 0.5), 0.02)),
            tol=max(_ROUNDED * wanted * share, 1e-13),
            warm_start=result.potentials,
        )


def _told(result: Result, n_iter: int, reached: str | None) -> Result:
    """Return the result of a narrowed bracket, with its message."""
    bracket = f"the optimum is in [{result.lower:.9g}, {result.upper:.9g}]"
    assert not isinstance(result.coupling, Arcs | Flow)
    epsilon = f"at epsilon={result.coupling.epsilon:.3g}"
    if reached is not None:
        message = f"the bracket is {reached} {epsilon}: {bracket}"
        is_optimal = result.status is Status.OPTIMAL
        status = result.status if is_optimal else Status.CONVERGED
        return replace(result, status=status, message=message, n_iter=n_iter)
    message = (
        f"ended {epsilon} with a relative gap of {result.relative_gap:.3g}; {bracket}:"
        " use an exact method, with this result as warm_start, or a larger tol"
    )
    status = Status.NOT_PROVED if result.success else result.status
    return replace(result, status=status, message=message, n_iter=n_iter)


def _solved(problem: Problem, method: str, options: _solvers.Options) -> Result:
    """Run the method on the atoms that carry mass, and certify what it claims."""
    entropic, tol = method in _solvers.ENTROPIC, options.tol
    part, rows, columns = _part(problem, method)
    _require_arcs(part, rows, columns)
    start = options.warm_start
    if start is not None:
        options = options._replace(warm_start=(start[0][rows], start[1][columns]))
    candidate = _solvers.load(method)(part, options)
    if candidate.stranded is not None:
        _raise_stranded(candidate.stranded, rows, problem)
    if _takes_empty_atoms(problem, method):
        plan, f, g = candidate.plan, candidate.f, candidate.g
    else:
        plan, f, g = _on_all_atoms(candidate, problem, part, rows, columns)
    certificate = certify(problem, plan, f, None if entropic else g, n_jobs=options.n_jobs)
    status = _status(candidate, certificate, problem.mass, tol, method)
    if problem.is_partial:
        f, g = inner_potentials(f, g)
    limit = "max_iter" if candidate.n_iter >= options.max_iter else "time_limit"
    return Result(
        problem=problem,
        coupling=plan,
        potentials=(f, g),
        certificate=certificate,
        regularized_value=candidate.regularized_value,
        status=status,
        message=_message(status, certificate, tol, method, limit),
        n_iter=candidate.n_iter,
        method=method,
    )


def _choose(problem: Problem, method: str) -> str:
    """Return the method to run, or say why it cannot be that one."""
    if method == "auto":
        return _solvers.choose(problem)
    if method not in _solvers.SOLVERS:
        known = ", ".join(repr(name) for name in ("auto", *_solvers.SOLVERS))
        raise InputError(f"method {method!r} is unknown; known methods are {known}")
    if problem.is_partial and method not in _solvers.PARTIAL:
        known = " or ".join(repr(name) for name in _solvers.PARTIAL)
        raise InputError(
            f"a partial problem needs method={known}, got {method!r}; for entropic"
            " transport of unequal masses see sinkhorn_divergence(reach=)"
        )
    if method == "line" and not problem.is_line:
        raise InputError(
            "method='line' needs points on the line and a metric known by name; use"
            " method='network_simplex'"
        )
    if method == "circle" and not isinstance(problem.geometry, Circle):
        raise InputError("method='circle' needs a problem made by Problem.on_circle")
    if method in _solvers.FLOWS and not _solvers.fits(problem, method):
        raise InputError(
            f"method={method!r} does not fit {problem!r}: 'tree' takes graphs without a"
            " cycle, 'flow' graphs and grids with p=1 and metric='cityblock', or"
            " 'chebyshev' and one spacing, 'coprime' images with metric='euclidean' and"
            " p=1; use method='auto'"
        )
    if problem.is_bottleneck and method not in _solvers.BOTTLENECK:
        raise InputError(f"p=inf needs method='line' or 'bottleneck', got {method!r}")
    if method == "bottleneck" and not problem.is_bottleneck:
        raise InputError(
            f"method='bottleneck' is for p=inf, and the problem has p={problem.p:g}; use"
            " method='network_simplex'"
        )
    return method


def _tolerance(tol: float | None, method: str) -> float:
    if tol is None and method == "coprime":
        return _COPRIME_TOL
    if tol is None:
        return _SINKHORN_TOL if method in _solvers.ENTROPIC else EXACT_TOL
    return as_tolerance(tol)


def _limit(max_iter: int | None, entropic: bool) -> int:
    if max_iter is None:
        return _SINKHORN_MAX_ITER if entropic else _NO_LIMIT
    limit = as_number("max_iter", max_iter, "an integer >= 0")
    if not (0 <= limit < np.inf and limit == int(limit)):
        raise InputError(f"max_iter must be an integer >= 0, got {max_iter!r}")
    return int(max_iter)


def _seconds(time_limit: float | None) -> float:
    if time_limit is None:
        return np.inf
    seconds = as_number("time_limit", time_limit, "seconds >= 0")
    if not seconds >= 0:
        raise InputError(f"time_limit must be seconds >= 0, got {time_limit!r}")
    return seconds


def _require_epsilon(epsilon: float, entropic: bool, problem: Problem) -> None:
    """Raise for an entropic weight that is unused, not positive or lost to rounding."""
    if not entropic:
        raise InputError(
            "epsilon is used by method='sinkhorn' only; leave it out for exact methods"
        )
    as_epsilon(epsilon, problem.geometry.largest)


def _potentials_of(warm_start: Any, problem: Problem) -> tuple[FloatArray, FloatArray] | None:
    """Return the potentials to start from, checked against the problem."""
    if warm_start is None:
        return None
    pair = warm_start.potentials if isinstance(warm_start, Result) else warm_start
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise InputError("warm_start must be a Result or a pair of potentials (f, g)")
    n, m = (size - problem.is_partial for size in problem.shape)
    f = as_finite_vector("warm_start[0]", pair[0], n)
    g = as_finite_vector("warm_start[1]", pair[1], m)
    if problem.is_partial:
        f = outer_potential(f, problem)
        g = problem.geometry.column_minimum(f)
    return f, g


def _takes_empty_atoms(problem: Problem, method: str) -> bool:
    """Whether the method gives potentials to all nodes or pixels, also without mass."""
    is_pixels = isinstance(problem.geometry, Pixels) and method == "network_simplex"
    return is_pixels or method in _solvers.FLOWS


def _part(problem: Problem, method: str) -> tuple[Problem, IntArray, IntArray]:
    """Return the problem on the atoms with mass; some methods take all of them."""
    is_grid = isinstance(problem.geometry, Grid) and method in _solvers.ENTROPIC
    if is_grid or _takes_empty_atoms(problem, method):
        every = np.arange(len(problem.a))
        return problem, every, every
    part, rows, columns = problem.support()
    if isinstance(part.geometry, Graph):
        part = part.on(part.geometry.tabulated())
    return part, rows, columns


def _require_arcs(part: Problem, rows: IntArray, columns: IntArray) -> None:
    """Raise for an atom that has mass and no allowed arc at all."""
    geometry = part.geometry
    if not isinstance(geometry, Dense) or not geometry.has_forbidden:
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
        stranded = stranded[rows[stranded] < len(problem.a) - 1]
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
    candidate: Candidate,
    problem: Problem,
    part: Problem,
    rows: IntArray,
    columns: IntArray,
) -> tuple[Any, FloatArray, FloatArray]:
    """Bring plan and potentials back to the atoms without mass.

    Their potentials are c-transforms, so that they violate nothing.
    """
    empty_rows, empty_columns = problem.a == 0, problem.b == 0
    if part is problem and not (empty_rows.any() or empty_columns.any()):
        return candidate.plan, candidate.f, candidate.g
    n, m = problem.shape
    plan = candidate.plan
    if isinstance(plan, Arcs):
        whole: Any = Arcs(rows[plan.rows], columns[plan.columns], plan.mass)
    elif isinstance(plan, EntropicPlan):
        whole = EmbeddedPlan(plan, rows, columns, (n, m))
    else:
        whole = plan
    if problem.is_bottleneck:
        f, g = np.zeros(n), np.zeros(m)
        f[rows], g[columns] = candidate.f, candidate.g
        return whole, f, g
    f, g = np.full(n, -np.inf), np.full(m, -np.inf)
    f[rows], g[columns] = candidate.f, candidate.g
    f[empty_rows], g[empty_columns] = -np.inf, -np.inf
    everywhere_g = problem.geometry.column_minimum(f)
    g[empty_columns] = _finite(everywhere_g[empty_columns])
    f[empty_rows] = _finite(problem.geometry.row_minimum(g)[empty_rows])
    return whole, f, g


def _finite(potential: FloatArray) -> FloatArray:
    """Return 0 for an atom with no allowed arc at all, which may take any number."""
    return np.where(np.isfinite(potential), potential, 0.0)


def _status(
    candidate: Candidate,
    certificate: Certificate,
    mass: float,
    tol: float,
    method: str,
) -> Status:
    """Grant OPTIMAL by the certificate alone, and only to a plan that is a coupling."""
    is_coupling = certificate.marginal_error <= _COUPLING_TOLERANCE * mass
    entropic, is_near = method in _solvers.ENTROPIC, method == "coprime"
    if is_coupling and certificate.proves(EXACT_TOL if entropic or is_near else tol):
        return Status.OPTIMAL
    if not candidate.finished:
        return Status.MAX_ITER
    if is_near and is_coupling and certificate.relative_gap <= tol * (1 + 1e-9):
        return Status.CONVERGED
    return Status.CONVERGED if entropic else Status.NOT_PROVED


def _message(status: Status, certificate: Certificate, tol: float, method: str, limit: str) -> str:
    """Say what was reached, and what to try if that is not enough."""
    if status is Status.OPTIMAL:
        return f"optimal: proved by a gap of {certificate.gap:.3g}"
    bracket = f"the optimum is in [{certificate.lower:.9g}, {certificate.upper:.9g}]"
    if status is Status.CONVERGED and method == "coprime":
        return (
            f"the bracket is within tol={tol:g}: {bracket}; lower tol for a narrower one,"
            " or use an exact method"
        )
    if status is Status.CONVERGED:
        return (
            f"converged to a marginal error of {tol:g} of the mass; {bracket}: lower"
            " epsilon for a narrower bracket, or use an exact method"
        )
    if status is Status.MAX_ITER:
        hint = " or epsilon" if method in _solvers.ENTROPIC else ""
        return f"stopped at {limit}; {bracket}: raise {limit}{hint}"
    return (
        f"ended with a relative gap of {certificate.relative_gap:.3g} above"
        f" tol={tol:g}; {bracket}: try method='network_simplex', or a larger tol"
    )
