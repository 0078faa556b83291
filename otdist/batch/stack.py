"""Distances of many problems at once, whose leading axes broadcast as NumPy's do."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from otdist.errors import InfeasibleError, InputError, NotCertifiedError, warn_of_failures
from otdist.inputs.validate import as_float64, as_jobs
from otdist.runtime.blocks import share
from otdist.typing import FloatArray


class Stacked(NamedTuple):
    """An argument: its name, its value, and the number of axes that it has in one problem."""

    name: str
    value: Any  # None if it is not given
    n_axes: int


def distances_of_stack(one: Callable[..., float], *arguments: Stacked, n_jobs: int) -> FloatArray:
    """Return ``one(*arguments)`` for all problems, in threads.

    Problems without a coupling or a proof are NaN, and reported; bad input names its problem.
    """
    n_jobs = as_jobs(n_jobs)
    shape = _leading(arguments)
    spread = [_spread(each, shape) for each in arguments]
    values = np.full(math.prod(shape), np.nan)
    failures: list[Any] = []

    def solve_part(part: int) -> None:
        for k in range(part, len(values), n_jobs):
            where = tuple(map(int, np.unravel_index(k, shape)))
            try:
                values[k] = one(*(None if each is None else each[where] for each in spread))
            except (InfeasibleError, NotCertifiedError) as error:
                failures.append((*where, f"{type(error).__name__}: {error}"))
            except InputError as error:
                raise type(error)(f"problem {list(where)}: {error}") from error

    share(solve_part, n_jobs, n_jobs)
    if failures:
        warn_of_failures(sorted(failures), len(values))
    return values.reshape(shape)


def _leading(arguments: tuple[Stacked, ...]) -> tuple[int, ...]:
    """Return the shape that all leading axes broadcast to."""
    shapes = {
        name: as_float64(name, value).shape[:-n_axes]
        for name, value, n_axes in arguments
        if value is not None
    }
    try:
        return np.broadcast_shapes(*shapes.values())
    except ValueError:
        given = ", ".join(f"{shape} of {name}" for name, shape in shapes.items())
        raise InputError(f"the leading axes must broadcast, got {given}") from None


def _spread(argument: Stacked, shape: tuple[int, ...]) -> Any:
    """Return the argument with all leading axes; its type stays, which says how exact it is."""
    if argument.value is None:
        return None
    array = np.asarray(argument.value)
    return np.broadcast_to(array, (*shape, *array.shape[-argument.n_axes :]))
