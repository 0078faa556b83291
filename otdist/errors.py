"""What can go wrong, as classes: bad input, an infeasible problem, no proof."""

from __future__ import annotations

import os
import sys
import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from otdist.problem.result import Result


# Pairs without an answer that a warning names.
_NAMED = 3


class InputError(ValueError):
    """An argument is not usable; the message names it and says what to do."""


class InfeasibleError(InputError):
    """Forbidden arcs leave some mass with nowhere to go; the message names it."""


class InputWarning(UserWarning):
    """The input is valid, but looks like something else was meant."""


class FailedPairsWarning(InputWarning):
    """Some pairs have no answer and are NaN, in `pairwise` or along an axis.

    Parameters
    ----------
    message : str
        How many pairs failed, and the first ones.
    failures : list of (i, j, reason)
        All pairs that failed, and why; along an axis the indices are those of the result.
    """

    def __init__(self, message: str, failures: list[Any]) -> None:
        super().__init__(message, failures)
        self.failures = failures

    def __str__(self) -> str:
        return str(self.args[0])


def short(value: Any) -> str:
    """Return a value in words for a message, cut where it is long."""
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"an array of shape {tuple(value.shape)} and type {value.dtype}"
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 (integers of many digits, and whatever a type raises)
        text = f"<{type(value).__name__}>"
    text = " ".join(text.split())
    return text if len(text) <= 80 else f"{text[:60]}… ({type(value).__name__})"


def warn_of_failures(failures: list[Any], n_pairs: int) -> None:
    """Warn of the pairs without an answer, among so many."""
    named = "; ".join(
        f"({', '.join(map(str, where))}): {reason}" for *where, reason in failures[:_NAMED]
    )
    rest = "" if len(failures) <= _NAMED else "; …"
    message = f"{len(failures)} of {n_pairs} pairs have no answer and are NaN: {named}{rest}"
    warn(FailedPairsWarning(f"{message}. The .failures of this warning list all", failures))


def warn(message: str | InputWarning) -> None:
    """Warn with `InputWarning` at the line outside the package that led here."""
    frame, level = sys._getframe(1), 2
    folder = os.path.dirname(__file__)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(folder):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, InputWarning, stacklevel=level)


class NotCertifiedError(RuntimeError):
    """A bare number was asked for, and its certificate is too wide to return it.

    Parameters
    ----------
    message : str
        What was reached and what to try.
    result : Result or None
        Everything the solver found, with a valid bracket ``[lower, upper]``; None
        where no `Problem` was solved (unbalanced transport).
    """

    def __init__(self, message: str, result: Result | None) -> None:
        super().__init__(message)
        self.result = result

    def __reduce__(self) -> tuple[Any, ...]:
        # By default an exception is made again from `args` alone, which lack the result.
        return type(self), (*self.args, self.result), self.__dict__
