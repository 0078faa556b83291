"""Match tables and series by the names of their rows and columns, and not by position.

pandas, polars and xarray name what they hold. Where both sides of a distance have names, those
decide; sides without names are taken as they come. No library is imported here.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from otdist.errors import InputError, warn
from otdist.inputs.convert import without_dates

# Values without names; most calls have no others.
_PLAIN = frozenset({np.ndarray, list, tuple, float, int, type(None)})


def matched(x: Any, y: Any, a: Any = None, b: Any = None) -> tuple[Any, Any, Any, Any]:
    """Return points and weights as they belong together.

    The columns of y are in the order of those of x, weights in the order of their points, and
    dates are seconds from the earliest.
    """
    if not {type(x), type(y), type(a), type(b)} <= _PLAIN:
        for name, points, weights in (("x", x, a), ("y", y, b)):
            if weights is None:
                _warn_of_counts(name, points)
        a, b = _in_order(a, 0, "a", x, 0, "x"), _in_order(b, 0, "b", y, 0, "y")
        y = matched_columns(x, y, ("x", "y"))
    if not (_is_number(x) and _is_number(y)):
        found = without_dates({"x": x, "y": y})
        x, y = found["x"], found["y"]
    return x, y, a, b


def _warn_of_counts(name: str, points: Any) -> None:
    """Warn of what pandas' ``value_counts`` returns, if it is given as points."""
    index = type(getattr(points, "index", None)).__name__
    if getattr(points, "name", None) in ("count", "proportion") and index != "RangeIndex":
        warn(
            f"{name} is a series of counts, as value_counts makes them, and is read as points; for"
            f" the distribution that they count pass {name}.index as points and {name} as weights"
        )


def _is_number(value: Any) -> bool:
    """Whether a value is an array of numbers."""
    return isinstance(value, np.ndarray) and value.dtype.kind in "fiu"


def matched_columns(x: Any, y: Any, names: tuple[str, str]) -> Any:
    """Return y with its columns in the order of those of x."""
    if np.ndim(x) != 2 or np.ndim(y) != 2:
        return y
    return _in_order(_turned(y, x, names[1]), 1, names[1], x, 1, names[0])


def matched_weights(x: Any, a: Any, name: str) -> Any:
    """Return the weights of a measure in the order of its points."""
    return _in_order(a, 0, f"{name}[1]", x, 0, f"{name}[0]")


def matched_bins(p: Any, q: Any) -> Any:
    """Return histograms q, their bins and rows in the order of those of p."""
    if {type(p), type(q)} <= _PLAIN or np.ndim(p) != np.ndim(q):
        return q
    named = found = _turned(q, p, "q")
    for axis in range(np.ndim(p)):
        if np.shape(p)[axis] > 1 < np.shape(q)[axis]:
            places = _places(named, axis, "q", p, axis, "p")
            found = found if places is None else np.take(np.asarray(found), places, axis=axis)
    return found


def matched_cost(a: Any, b: Any, cost: Any) -> Any:
    """Return a matrix of costs, rows in the order of the bins of a, columns in that of b."""
    if {type(a), type(b), type(cost)} <= _PLAIN or np.ndim(cost) != 2:
        return cost
    found = cost
    for axis, (side, name) in enumerate(((a, "a"), (b, "b"))):
        if np.ndim(side) == 1:
            places = _places(cost, axis, "cost", side, 0, name)
            found = found if places is None else np.take(np.asarray(found), places, axis=axis)
    return found


def _labels(value: Any, axis: int) -> Any:
    """Return the names along an axis, or None without such."""
    if type(value) in _PLAIN:
        return None
    dims = getattr(value, "dims", None)
    if isinstance(dims, tuple):  # xarray
        found = getattr(value, "indexes", {}).get(dims[axis]) if axis < len(dims) else None
    elif axis == 0:
        found = getattr(value, "index", None)
        found = None if callable(found) else found
    else:
        found = getattr(value, "columns", None)
    return found


def _in_order(value: Any, axis: int, name: str, of: Any, of_axis: int, of_name: str) -> Any:
    """Return a value whose labels along an axis are in the order of those of another."""
    places = _places(value, axis, name, of, of_axis, of_name)
    return value if places is None else np.take(np.asarray(value), places, axis=axis)


def _places(
    value: Any, axis: int, name: str, of: Any, of_axis: int, of_name: str
) -> list[int] | None:
    """Return where the labels of another are along an axis; None to leave it as it is."""
    wanted, own = _labels(of, of_axis), _labels(value, axis)
    if wanted is None or own is None or _are_equal(wanted, own):
        return None
    wanted, own = list(wanted), list(own)
    places = {label: k for k, label in enumerate(own)}
    kind = ("rows", "columns")[min(axis, 1)]
    for label in wanted:
        if label not in places:
            raise InputError(
                f"{name} has no {kind[:-1]} named {label!r}, which {of_name} has; name the"
                f" {kind} alike, or pass {name}.to_numpy() to match them by position"
            )
    if len(places) != len(own) or len(own) != len(wanted) or len(set(wanted)) != len(wanted):
        extra = next((label for label in own if label not in set(wanted)), None)
        what = f"{kind} with one name" if extra is None else f"a {kind[:-1]} named {extra!r} more"
        raise InputError(
            f"{name} has {what}, and does not match the {kind} of {of_name}; name the {kind}"
            f" alike, or pass {name}.to_numpy() to match them by position"
        )
    return [places[label] for label in wanted]


def _are_equal(labels: Any, others: Any) -> bool:
    if hasattr(labels, "equals"):  # an index of pandas, which may be long
        return bool(labels.equals(others))
    return list(labels) == list(others)


def _turned(value: Any, other: Any, name: str) -> Any:
    """Return an array with named axes in the order of those of another."""
    own, wanted = getattr(value, "dims", None), getattr(other, "dims", None)
    if not (isinstance(own, tuple) and isinstance(wanted, tuple)) or own == wanted:
        return value
    if set(own) == set(wanted):
        return value.transpose(*wanted)
    if set(own) & set(wanted) and own[-1] != wanted[-1]:
        raise InputError(
            f"the axes of {name} are named {own}, where {wanted} are wanted; name them alike, or"
            f" pass {name}.to_numpy() to match them by position"
        )
    return value
