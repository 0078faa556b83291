"""Turn what people hold into arrays of numbers: decimals, tensors, times; or name the remedy.

Arrays of numbers never come here. No library is imported: what a value is shows by what it has.
"""

from __future__ import annotations

import datetime
import numbers
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otdist.errors import InputError, short, warn
from otdist.typing import FloatArray

_SECOND = np.timedelta64(1, "s")
_TIMES = (datetime.date, datetime.datetime, np.datetime64)


def first_index(bad: NDArray[np.bool_]) -> str:
    """Return the index of the first True entry as ``[i]`` or ``[i, j]``."""
    index = np.unravel_index(int(np.argmax(bad)), bad.shape)
    return "[" + ", ".join(str(int(k)) for k in index) + "]"


def as_array(name: str, value: Any) -> NDArray[Any]:
    """Return an array of real numbers of at most 64 bits, or raise."""
    if value is None:
        raise InputError(f"{name} is None; pass an array of numbers")
    if np.ma.isMaskedArray(value) and np.ma.getmaskarray(value).any():
        raise InputError(
            f"{name} is a masked array with masked entries; drop or fill them first, for"
            f" points with {name}.compressed()"
        )
    _refuse_others(name, value)
    if hasattr(value, "requires_grad"):
        value = _tensor(name, value)
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise InputError(
            f"{name} must be an array of numbers with rows of one length: {error}"
        ) from None
    except Exception as error:  # noqa: BLE001 (whatever a foreign type raises)
        raise InputError(
            f"{name} must be an array of numbers; got a {type(value).__name__}:"
            f" {type(error).__name__}: {error}"
        ) from None
    if array.dtype.kind == "O":
        array = _from_objects(name, array)
    if array.dtype.name == "bfloat16":
        array = array.astype(np.float32)
    if array.dtype.kind == "m":
        return _seconds(name, array)
    if array.dtype.kind not in "fiu" or array.dtype.itemsize > 8:
        _refuse_dtype(name, array)
    return array


def _refuse_others(name: str, value: Any) -> None:
    """Raise for values that are no arrays, with what to pass instead."""
    if isinstance(value, Mapping):
        remedy = f"pass np.array(list({name}.values())), with the keys in one order everywhere"
        raise InputError(f"{name} is a dictionary, whose values have no fixed order; {remedy}")
    if isinstance(value, AbstractSet):
        raise InputError(f"{name} is a set, which has no order; pass sorted({name})")
    if isinstance(value, Iterator):
        raise InputError(f"{name} is read only once, as a generator; pass list({name})")
    if isinstance(value, str | bytes):
        raise InputError(f"{name} must hold real numbers, got the text {value[:40]!r}")
    if hasattr(value, "toarray") and hasattr(value, "nnz"):
        raise InputError(f"{name} is a sparse array; pass {name}.toarray()")
    if hasattr(value, "rvs"):
        raise InputError(
            f"{name} is a distribution of scipy.stats; pass a sample, {name}.rvs(size=1000)"
        )


def _tensor(name: str, value: Any) -> Any:
    """Return a tensor of PyTorch as an array, or as what NumPy can read."""
    if value.requires_grad:
        raise InputError(
            f"{name} requires gradients, which are lost here; otdist.torch has losses that keep"
            f" them, and {name}.detach() is without"
        )
    value = value.cpu()
    return value.float() if str(value.dtype) == "torch.bfloat16" else value


def _from_objects(name: str, array: NDArray[Any]) -> NDArray[Any]:
    """Return objects as numbers, if all of them are."""
    flat = array.ravel()
    if flat.size and all(isinstance(each, datetime.timedelta) for each in flat):
        return array.astype("timedelta64[us]")
    for k, each in enumerate(flat):
        if isinstance(each, bool) or not isinstance(each, numbers.Real | Decimal):
            where = ", ".join(str(int(i)) for i in np.unravel_index(k, array.shape))
            raise InputError(
                f"{name} must hold real numbers, got dtype object with {each!r} at [{where}]; drop"
                " or replace such entries first"
            )
        if isinstance(each, numbers.Integral) and abs(int(each)) > 2**53:
            return _whole(name, array)
    try:
        return array.astype(float)
    except (OverflowError, ValueError) as error:
        raise InputError(f"{name} holds a number that float64 does not: {error}") from None


def _whole(name: str, array: NDArray[Any]) -> NDArray[Any]:
    """Return integers of any size as those of 64 bits, which are checked elsewhere."""
    try:
        return array.astype(np.int64)
    except OverflowError:
        raise InputError(
            f"{name} holds an integer of more than 64 bits; divide all numbers by a constant"
        ) from None


def _seconds(name: str, array: NDArray[Any]) -> FloatArray:
    """Return durations in seconds."""
    _refuse_missing(name, array)
    warn(f"{name} holds durations ({array.dtype}); they are read in seconds")
    seconds: FloatArray = array / _SECOND
    return seconds


def _refuse_missing(name: str, times: NDArray[Any]) -> None:
    """Raise for the first time that is missing."""
    missing = np.isnat(times)
    if missing.any():
        raise InputError(
            f"{name}{first_index(missing)} is NaT, a missing time; drop such entries first"
        )


def _refuse_dtype(name: str, array: NDArray[Any]) -> None:
    """Raise for an array of something else than real numbers."""
    if array.dtype.kind == "M":
        remedy = (
            f"pass ({name} - origin) / np.timedelta64(1, 's'), with one origin for all times,"
            " such as the earliest"
        )
    elif array.dtype.kind == "c":
        remedy = (
            f"pass {name}.real if the rest is 0, or two coordinates,"
            f" np.column_stack([{name}.real, {name}.imag])"
        )
    elif array.dtype.kind in "USTO":
        remedy = "convert it with np.array(..., dtype=float) if all of it is numbers"
    elif array.dtype.names is not None:
        remedy = f"pass its fields as columns, np.column_stack([{name}[k] for k in names])"
    else:
        remedy = f"convert it with {name}.astype(float) if nothing is lost"
    raise InputError(
        f"{name} must hold real numbers of at most 64 bits, got dtype {array.dtype}; {remedy}"
    )


def without_dates(values: dict[str, Any]) -> dict[str, Any]:
    """Return arrays by name, dates among them in seconds from the earliest of all.

    Other values are returned as they are.
    """
    found = {name: _dates(value) for name, value in values.items()}
    dates = {name: array for name, array in found.items() if array is not None}
    if not dates:
        return values
    for name, array in dates.items():
        _refuse_missing(name, array)
    names = " and ".join(dates)
    if len(dates) < len(values):
        other = next(name for name in values if name not in dates)
        raise InputError(f"{names} holds dates and {other} does not; pass both in one form")
    warn(f"{names} hold dates; distances are in seconds")
    earliest = min(array.min() for array in dates.values())
    return {name: (array - earliest) / _SECOND for name, array in dates.items()}


def as_seconds(period: Any, *points: Any) -> Any:
    """Return a period in the unit of the points: seconds, where both are times.

    A plain number beside dates is refused, since 24 would be 24 seconds.
    """
    is_time = isinstance(period, np.timedelta64 | datetime.timedelta)
    if is_time != any(_hold_times(each) for each in points):
        wanted = "a number, in the unit of the points" if is_time else "np.timedelta64(1, 'D')"
        what = "numbers" if is_time else "times"
        raise InputError(f"the points are {what}: pass period as {wanted}, got {short(period)}")
    return float(np.timedelta64(period) / _SECOND) if is_time else period


def _hold_times(value: Any) -> bool:
    """Whether a value holds dates or durations."""
    kind = getattr(getattr(value, "dtype", None), "kind", "O")
    if kind in "biufc":
        return False
    first = value[0] if isinstance(value, list | tuple) and value else None
    is_duration = kind == "m" or isinstance(first, np.timedelta64 | datetime.timedelta)
    return is_duration or _dates(value) is not None


def _dates(value: Any) -> NDArray[np.datetime64] | None:
    """Return an array of dates, or None for anything else."""
    kind = getattr(getattr(value, "dtype", None), "kind", "O")
    if kind == "M" and getattr(value, "size", 0):
        array = np.asarray(value)
        if array.dtype.kind == "M":
            return array
    elif kind != "O" or not isinstance(value, list | tuple | np.ndarray) or not len(value):
        return None
    first = np.asarray(value, dtype=object).ravel()
    if first.size and all(isinstance(each, _TIMES) for each in first):
        return first.astype("datetime64[us]").reshape(np.shape(value))
    return None
