"""Ask the library, and compare what it says with the exact optimum."""

from __future__ import annotations

import functools
import math
import re
import sys
import time
import warnings
from dataclasses import dataclass, replace
from types import CodeType
from typing import Any

import numpy as np
from scipy.sparse import coo_array

import otdist
from otdist import InfeasibleError, InputError, NotCertifiedError

from .truth import Truth

EPS = sys.float_info.epsilon
#: The relative error that "optimal" and bare numbers are allowed.
TOL = 1e-9
# Units in the last place that "as exact as the input" stands for.
_ULPS = 32
#: The longest call, in seconds of the processor, once kernels are compiled: rational arithmetic
#: takes 0.7 s for 98 atoms a side with costs over 580 orders, and more on a shared processor.
LONGEST = 2.0

#: What calls may use, besides the data of their case.
NAMES: dict[str, Any] = {
    "array": np.array,
    "inf": math.inf,
    "coo_array": coo_array,
    **{
        name: getattr(otdist, name)
        for name in ("Problem", "certify", "emd", "pairwise", "solve", "wasserstein_distance")
    },
}


@dataclass(frozen=True)
class Case:
    """Data of a problem, or of a batch of them, under the names that calls use.

    `axes` has a letter for each axis of the arrays: entries along axes of one letter belong
    together, and `shrink` drops them together.
    """

    path: str
    family: str
    data: dict[str, Any]
    axes: dict[str, str]

    def __getattr__(self, name: str) -> Any:
        try:
            return self.data[name]
        except KeyError:
            raise AttributeError(name) from None

    def with_data(self, **data: Any) -> Case:
        return replace(self, data={**self.data, **data})


class Violation(Exception):  # noqa: N818 (it is not an error of this program)
    """Something that the library must never say."""

    def __init__(self, rule: str, call: str, text: str) -> None:
        super().__init__(f"{rule}: {call}: {text}")
        self.rule, self.call, self.text = rule, call, text


class Answer:
    """What a call returned, or why it refused."""

    def __init__(self, call: str, value: Any, refusal: str = "") -> None:
        self.call, self.value, self.refusal = call, value, refusal

    @property
    def is_number(self) -> bool:
        return not self.refusal and isinstance(self.value, float)


#: Outcomes, in the order of the table.
INFEASIBLE, INVALID, REFUSED, NUMBER = "infeasible", "InputError", "refused", "number"


@functools.cache
def _compiled(call: str) -> CodeType:
    return compile(call, "<call>", "eval")


def ask(case: Case, call: str) -> Answer:
    """Evaluate a call; only the errors that are documented count as refusals.

    `NotCertifiedError` leaves its result as the value, with a bracket to be checked.
    """
    names = {**NAMES, **case.data}
    code = _compiled(call)
    for last in (False, True):
        start = time.process_time()
        try:
            answer = Answer(call, eval(code, names))
        except InfeasibleError:
            answer = Answer(call, None, INFEASIBLE)
        except InputError:
            answer = Answer(call, None, INVALID)
        except NotCertifiedError as error:
            # Of points in a unit of their own the result is in that unit.
            in_unit = "of the points divided by" in str(error)
            answer = Answer(call, None if in_unit else error.result, REFUSED)
        except Exception as error:
            raise Violation("exception", call, f"{type(error).__name__}: {error}") from error
        seconds = time.process_time() - start
        if seconds < LONGEST:
            return answer
        if last:  # the first call may have compiled kernels
            raise Violation("time", call, f"took {seconds:.1f} s")
    raise AssertionError


def stated(case: Case, problem: str, names: str = "ab") -> tuple[list[float], list[float]]:
    """Return the weights of a problem: those given, or those it holds if b was scaled.

    Scaling is for sums that differ by rounding, and changes nothing else. In a part that no arc
    leaves mass that meets none on the other side is left out, if it is rounding.
    """
    a, b = (case.data[name].ravel() for name in names)
    apart, total = abs(math.fsum(a) - math.fsum(b)), math.fsum(a)
    has_parts = "on_graph" in problem or np.isinf(case.data.get("cost", 0.0)).any()
    held = ask(case, problem).value if apart or has_parts else None
    if held is None:
        return a.tolist(), b.tolist()
    rounding = 2 * (len(a) + len(b)) * EPS * total
    most = (8 * EPS if apart <= 4 * EPS * total and not has_parts else 2e-9) * b
    most += has_parts * rounding  # which may be much of a part's mass
    left_out = [(side == 0) & (given <= rounding) for side, given in ((held.a, a), (held.b, b))]
    if ((held.a != a) & ~left_out[0]).any() or ((abs(held.b - b) > most) & ~left_out[1]).any():
        raise Violation("weights", problem, f"holds {held.a!r} and {held.b!r}")
    return held.a.tolist(), held.b.tolist()


def ask_many(case: Case, call: str) -> list[list[Answer]]:
    """Evaluate a call of `pairwise` or of rows along an axis; one answer for each pair."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", otdist.FailedPairsWarning)
        answer = ask(case, call)
    if answer.refusal:
        return [[answer]]
    values = np.atleast_2d(answer.value)
    found = [[Answer(call, float(v)) for v in row] for row in values]
    reasons = {}
    for each in caught:
        for *place, reason in getattr(each.message, "failures", []):
            reasons[tuple(place)] = str(reason)
    for i, j in zip(*np.nonzero(np.isnan(values)), strict=True):
        reason = reasons.get((i, j), reasons.get((j,), ""))
        if not reason:
            raise Violation("reason", call, f"entry {(i, j)} is NaN, and no warning says why")
        found[i][j] = Answer(call, None, _refusal(call, reason))
    return found


def _refusal(call: str, reason: str) -> str:
    """Return the outcome that the reason of a failed pair stands for."""
    error = re.match(r"\w+", reason)
    name = error[0] if error else ""
    known = {"InfeasibleError": INFEASIBLE, "InputError": INVALID}
    if name in known:
        return known[name]
    if name.endswith("Error") and name != "NotCertifiedError" and "not proved" not in reason:
        raise Violation("exception", call, reason)
    return REFUSED


# ----------------------------------------------------------------------------- checks


@dataclass(frozen=True)
class Units:
    """How numbers relate to the optimum, and how far rounding of the input may move them.

    Attributes
    ----------
    order : float
        The root that makes a distance of the optimum.
    is_root : bool
        Whether bare numbers are distances, and not the optimum itself.
    slack : float
        A few units in the last place of the largest coordinate, as a distance; for matrices,
        of what the plan pays.
    """

    order: float
    is_root: bool
    slack: float

    @classmethod
    def of_matrix(cls, truth: Truth, left: float = 0.0) -> Units:
        """Return those of costs; `left` is what leaving all mass would cost."""
        return cls(1.0, False, _ULPS * EPS * (truth.paid + left))

    @classmethod
    def of_points(cls, largest: float, mass: float, d: int, p: float, metric: str = "") -> Units:
        """Return those of points with coordinates up to `largest`."""
        ulps = _ULPS * EPS * largest * (d if metric == "cityblock" else math.sqrt(d))
        if metric == "sqeuclidean":
            return cls(2.0, False, ulps * mass**0.5)
        if math.isinf(p):
            return cls(math.inf, True, ulps)
        if p < 1:
            return cls(1.0, True, mass * ulps**p)
        return cls(p, True, ulps * mass ** (1 / p))

    def distance(self, value: float) -> float:
        """Return the root of a cost."""
        if self.order <= 1 or math.isinf(self.order):
            return value
        return max(value, 0.0) ** (1 / self.order)

    def is_near(self, distance: float, truth: Truth) -> bool:
        """Whether a distance is as exact as the input, or to 1e-9 of the optimum."""
        right = truth.nearest(distance, self.order)
        power = self.order if math.isfinite(self.order) else 1.0
        size = max(abs(distance), abs(right))
        most = max((TOL / power + 4 * EPS) * size, self.slack + 4 * EPS * size)
        return abs(distance - right) <= most


def check_feasible(answer: Answer, truth: Truth) -> None:
    """Raise unless it is called infeasible where, and only where, it is."""
    if answer.refusal == INFEASIBLE and not truth.shortage:
        raise Violation("feasibility", answer.call, "a coupling exists")
    # A refusal is honest, as long as it does not come with an upper bound.
    claimed = getattr(answer.value, "upper", answer.value)
    if truth.is_infeasible and claimed is not None and claimed < math.inf:
        raise Violation("feasibility", answer.call, f"no coupling exists; got {answer.value}")


def check_bracket(call: str, lower: float, upper: float, truth: Truth) -> None:
    """Raise unless ``lower <= optimum <= upper``, exactly."""
    if truth.shortage:  # there is no optimum
        return
    if not truth.is_at_least(lower):
        raise Violation("lower", call, f"{lower!r} is above the optimum {truth.value!r}")
    if not truth.is_at_most(upper):
        raise Violation("upper", call, f"{upper!r} is below the optimum {truth.value!r}")


def check_result(answer: Answer, truth: Truth, units: Units) -> str:
    """Check bracket, value and status of a `Result`; return the outcome."""
    check_feasible(answer, truth)
    result = answer.value
    if result is None:
        return answer.refusal
    check_bracket(answer.call, result.lower, result.upper, truth)
    if not result.lower <= result.value <= result.upper:
        text = f"{result.value!r} is not in [{result.lower!r}, {result.upper!r}]"
        raise Violation("value", answer.call, text)
    if truth.is_undecided:
        return "undecided"
    status = str(result.status)
    if status == "optimal":
        error = abs(result.value - truth.nearest(result.value))
        if not error <= TOL * (1 + 1e-6) * max(abs(truth.value), abs(result.upper)):
            text = f"{result.value!r} is called optimal; the optimum is {truth.value!r}"
            raise Violation("optimal", answer.call, text)
    elif status == "as_exact_as_input":
        _check_as_exact_as_input(answer, truth, units)
    return status if status in SUCCESSES else REFUSED


#: Statuses of results that have what was asked for.
SUCCESSES = ("optimal", "as_exact_as_input", "converged")


def _check_as_exact_as_input(answer: Answer, truth: Truth, units: Units) -> None:
    result = answer.value
    if not units.is_near(units.distance(result.value), truth):
        text = f"{result.value!r} is called as exact as the input; it is {truth.value!r}"
        raise Violation("as exact as input", answer.call, text)


def check_number(answer: Answer, truth: Truth, units: Units) -> str:
    """Check a bare number; return the outcome."""
    check_feasible(answer, truth)
    if answer.refusal:
        if answer.value is not None:  # the result of NotCertifiedError
            check_bracket(answer.call, answer.value.lower, answer.value.upper, truth)
        return answer.refusal
    if truth.is_undecided:
        return "undecided"
    distance = answer.value if units.is_root else units.distance(answer.value)
    if not units.is_near(distance, truth):
        right = truth.root(units.order) if units.is_root else truth.value
        raise Violation("number", answer.call, f"returned {answer.value!r} for {right!r}")
    return NUMBER


def check_agreement(answers: list[Answer], units: Units) -> None:
    """Raise unless all numbers are equal up to rounding, or all are refused."""
    first = answers[0]
    for other in answers[1:]:
        if bool(first.refusal) != bool(other.refusal):
            text = f"{_said(other)}, where {first.call} is {_said(first)}"
            raise Violation("agreement", other.call, text)
        if first.refusal:
            continue
        u, v = first.value, other.value
        if not units.is_root:
            u, v = units.distance(u), units.distance(v)
        if not abs(u - v) <= 1e-15 * max(abs(u), abs(v)) + units.slack / 2:
            text = f"returned {other.value!r}, where {first.call} is {first.value!r}"
            raise Violation("agreement", other.call, text)


def _said(answer: Answer) -> str:
    return answer.refusal or f"{answer.value!r}"
