"""Calls that Python refuses are answered with the argument that was meant."""

from __future__ import annotations

import difflib
import functools
import inspect
import re
from collections.abc import Callable
from typing import ParamSpec, TypeVar

_P = ParamSpec("_P")
_R = TypeVar("_R")

# What other libraries call it.
_NAMES = {
    "reg": "epsilon",
    "eps": "epsilon",
    "numItermax": "max_iter",
    "n_iter": "max_iter",
    "stopThr": "tol",
    "atol": "tol",
    "rtol": "tol",
    "M": "cost",
    "C": "cost",
    "cost_matrix": "cost",
    "u_values": "x",
    "v_values": "y",
    "u_weights": "a",
    "v_weights": "b",
    "weights": "a",
    "order": "p",
    "power": "p",
    "seed": "rng",
    "random_state": "rng",
    "n_threads": "n_jobs",
    "numThreads": "n_jobs",
    "verbose": "progress",
    "bins": "support",
}
_UNKNOWN = re.compile(r"unexpected keyword argument '(\w+)'")


def answers(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Add what was meant to the `TypeError` of a call that does not fit the signature."""

    @functools.wraps(function)
    def call(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        try:
            return function(*args, **kwargs)
        except TypeError as error:
            traceback = error.__traceback__
            if traceback is None or traceback.tb_next is not None:
                raise  # from inside
            hint = _hint(function, str(error))
            raise TypeError(f"{error}{hint}") from None

    return call


def _hint(function: Callable[..., object], message: str) -> str:
    """Return what to write instead, or nothing."""
    parameters = inspect.signature(function).parameters
    unknown = _UNKNOWN.search(message)
    if unknown is not None:
        name = unknown[1]
        other = _NAMES.get(name)
        if other not in parameters:
            other = next(iter(difflib.get_close_matches(name, parameters, 1, 0.7)), None)
        return "" if other is None else f"; {other}= is meant here"
    if "positional argument" in message and "problem" in parameters:
        return f"; write {function.__name__}(Problem(x, y, a, b), ...)"
    named = [each.name for each in parameters.values() if each.kind is each.KEYWORD_ONLY]
    if "positional argument" in message and "were given" in message and named:
        return f"; pass the others by name, such as {named[0]}="
    return ""
