"""Make a case that fails as small as possible, and print it as a program."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .judge import Case, Violation

Check = Callable[[Case], Any]


def violation_of(case: Case, check: Check) -> Violation | None:
    """Return what is wrong with a case, None if nothing is."""
    try:
        check(case)
    except Violation as violation:
        return violation
    except Exception:  # noqa: BLE001 (what is left of the case may be no problem at all)
        return None
    return None


def shrink(
    case: Case, violation: Violation, check: Check, seconds: float
) -> tuple[Case, Violation]:
    """Drop atoms and simplify numbers while the rule that was broken still is."""
    end = time.monotonic() + seconds
    progress = True
    while progress:
        progress = False
        for smaller in _smaller(case):
            if time.monotonic() > end:
                return case, violation
            found = violation_of(smaller, check)
            if found is not None and found.rule == violation.rule:
                case, violation, progress = smaller, found, True
                break
    return case, violation


def _smaller(case: Case) -> Iterator[Case]:
    """Yield cases that are a little simpler, the much simpler ones first."""
    for letter in sorted({letter for axes in case.axes.values() for letter in axes}):
        yield from _without_an_index(case, letter)
    for name, value in case.data.items():
        if isinstance(value, np.ndarray) and value.dtype == np.float64:
            yield from _with_simpler_numbers(case, name, value)
        elif name == "p":
            yield from (case.with_data(p=p) for p in (1.0, 2.0, 3.0) if p < value)
        elif isinstance(value, float) and math.isfinite(value):
            yield from (case.with_data(**{name: v}) for v in _simpler(value) if v > 0)


def _without_an_index(case: Case, letter: str) -> Iterator[Case]:
    arrays = {
        name: (case.data[name], axes.index(letter))
        for name, axes in case.axes.items()
        if letter in axes
    }
    array, axis = next(iter(arrays.values()))
    length = array.shape[axis]
    halves = [range(length // 2), range(length // 2, length)] if length > 3 else []
    for dropped in (*halves, *([k] for k in range(length))):
        if len(dropped) < length:
            smaller = {
                name: np.delete(array, list(dropped), axis)
                for name, (array, axis) in arrays.items()
            }
            yield case.with_data(**smaller)


def _with_simpler_numbers(case: Case, name: str, array: Any) -> Iterator[Case]:
    flat = array.ravel()
    # Equal numbers together first, so that sums stay equal.
    for value in sorted(set(flat.tolist()), key=abs, reverse=True):
        for simpler in _simpler(value):
            yield case.with_data(**{name: np.where(array == value, simpler, array)})
            if name in "aA" and len(name) == 1:
                other = {"a": "b", "A": "B"}[name]
                second = case.data[other]
                both = {name: np.where(array == value, simpler, array)}
                both[other] = np.where(second == value, simpler, second)
                yield case.with_data(**both)


def _simpler(value: float) -> Iterator[float]:
    """Yield numbers with fewer bits or an exponent nearer to 0."""
    if value == 0 or not math.isfinite(value):
        return
    mantissa, exponent = math.frexp(value)
    yield 0.0
    for nearer in (1, exponent // 2, exponent - (exponent > 0) + (exponent < 0)):
        if abs(nearer - 1) < abs(exponent - 1):
            yield math.ldexp(mantissa, nearer)
    for bits in (1, 2, 4, 8, 16, 32):
        rounded = math.ldexp(round(math.ldexp(mantissa, bits)), exponent - bits)
        if rounded != value:
            yield rounded


def program(case: Case, violation: Violation) -> str:
    """Return a program that repeats the call."""
    used = [name for name in case.data if _uses(violation.call, name)]
    lines = ["from math import inf", "", "from numpy import array"]
    if "coo_array" in violation.call:
        lines.append("from scipy.sparse import coo_array")
    functions = ("Problem", "certify", "emd", "pairwise", "solve", "wasserstein_distance")
    imported = [name for name in functions if _uses(violation.call, name)]
    lines += ["", f"from otdist import {', '.join(imported)}", ""]
    lines += [f"{name} = {_literal(case.data[name])}" for name in used]
    lines.append(f"print({violation.call})  # {violation.rule}: {violation.text}")
    return "\n".join(lines)


def _uses(call: str, name: str) -> bool:
    return re.search(rf"\b{name}\b(?!=)", call) is not None


def _literal(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"array({value.tolist()!r})"
    return repr(value)
