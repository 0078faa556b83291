"""Which columns are coordinates, which one the weights, and which numbers the pixels of a grid."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from otdist.cli.read.source import Options
from otdist.errors import InputError
from otdist.typing import NDArray

#: Columns with these names are taken for weights where --weights says so, and nowhere else.
_LIKE_WEIGHTS = {"weight", "weights", "count", "counts", "mass", "frequency"}
_MOST_NAMES = 8  # shown in a message


class Atoms(NamedTuple):
    """A measure whose weights are not validated, and the place of each in the file."""

    points: NDArray[Any]
    weights: NDArray[Any] | None
    shape: tuple[int, int] | None
    place: str
    lines: Sequence[int]
    coordinates: tuple[str, ...] = ()
    weighting: str | None = None
    is_named: bool = False


class Table(NamedTuple):
    """Numbers, and the place of each row in the file."""

    numbers: NDArray[Any]
    place: str
    lines: Sequence[int]


class Chosen(NamedTuple):
    """Columns of the coordinates and of the weights, counted from 0, and their names."""

    columns: tuple[int, ...]
    weights: int | None
    coordinates: tuple[str, ...]
    weighting: str | None
    is_named: bool

    @property
    def all(self) -> list[int]:
        """The columns that are read: coordinates, then weights."""
        return [*self.columns, *([] if self.weights is None else [self.weights])]

    def atoms(self, table: Table) -> Atoms:
        """Make atoms of a table of the columns in `all`."""
        width = len(self.columns)
        weights = None if self.weights is None else table.numbers[:, width]
        points = table.numbers[:, :width]
        named = self.coordinates, self.weighting, self.is_named
        return Atoms(points, weights, None, table.place, table.lines, *named)


def choose(
    name: str, names: Sequence[str] | None, width: int, options: Options, line: int | None = None
) -> Chosen:
    """Choose the columns of a file whose header, on a `line` of it, has `names`, if it has one."""
    weights = None
    if options.weights is not None:
        weights = _column(name, names, width, options.weights, "--weights")
    if options.columns is None:
        columns = [k for k in range(width) if k != weights]
        place = name if line is None else f"{name}, line {line}"
        _require_names(place, names, [*columns, *([] if weights is None else [weights])])
        if weights is None and names is not None and width > 1:
            _tell_of_weights(name, names, options)
    else:
        fields = [field.strip() for field in options.columns.split(",")]
        columns = [_column(name, names, width, field, "--columns") for field in fields]
        if len(set(columns)) < len(columns) or weights in columns:
            raise InputError(
                f"{name}: --columns {options.columns} names a column twice, or that of the"
                " weights; name each coordinate once"
            )
    if not columns:
        raise InputError(
            f"{name} has a weight column and no other; points need at least one"
            " coordinate (weights on a grid: add --grid ROWSxCOLUMNS)"
        )
    coordinates = tuple(_shown(names, k) for k in columns)
    weighting = None if weights is None else _shown(names, weights)
    # Columns in an order that was asked for are compared by position.
    is_named = names is not None and options.columns is None
    return Chosen(tuple(columns), weights, coordinates, weighting, is_named)


def columns_of(name: str, table: Table, names: Sequence[str] | None, options: Options) -> Atoms:
    """Separate the columns of an array."""
    numbers = table.numbers
    if numbers.ndim not in (1, 2) or numbers.size == 0:
        raise InputError(
            f"{name} has shape {numbers.shape}; points are an array (n,) or (n, d)"
            " with at least one row (weights on a grid: add --grid ROWSxCOLUMNS)"
        )
    numbers = numbers.reshape(len(numbers), -1)
    chosen = choose(name, names, numbers.shape[1], options)
    if chosen.all != list(range(numbers.shape[1])):
        numbers = numbers[:, chosen.all]
    return chosen.atoms(table._replace(numbers=numbers))


def grid_shape(grid: str | None) -> tuple[int, int] | None:
    """Read ROWSxCOLUMNS."""
    if grid is None:
        return None
    match = re.fullmatch(r"([1-9]\d{0,8})[xX×]([1-9]\d{0,8})", grid.strip())
    if match is None:
        raise InputError(f"--grid must be ROWSxCOLUMNS, such as 32x32, got {grid!r}")
    return int(match[1]), int(match[2])


def on_grid(name: str, table: Table, shape: tuple[int, int] | None, *, signed: bool) -> Atoms:
    """Make atoms of pixels, row by row; of two grids if a signed file has two."""
    own = table.numbers.shape
    rows, columns = shape or own
    size, count = rows * columns, table.numbers.size
    whole = (size, 2 * size) if signed else (size,)
    turned = len(own) == 2 and 1 not in own and own[1] != columns
    if count not in whole or turned:
        wanted = " or ".join(map(str, whole))
        got = f"{count} numbers" if len(own) == 1 else f"an array of shape {own}"
        pair = "" if signed else "; a pair in one file is read by otdist compare --signed"
        raise InputError(
            f"{name} has {got}, but a grid of {rows}x{columns} takes {wanted} numbers;"
            " pass its size as --grid ROWSxCOLUMNS (if the first line has names of columns,"
            f" add --header yes{pair})"
        )
    row, column = np.divmod(np.arange(size), columns)
    points = np.tile(np.column_stack([row, column]), (count // size, 1))
    place, lines = ("line", table.lines) if table.place == "line" else ("entry", range(count))
    weights = table.numbers.reshape(-1)
    named = ("row", "column"), "the pixels", False
    return checked(name, Atoms(points, weights, (rows, columns), place, lines, *named))


def checked(name: str, atoms: Atoms) -> Atoms:
    """Return the atoms, or raise for a weight that is NaN or infinite."""
    if atoms.weights is not None:
        good = np.isfinite(atoms.weights)
        require(name, atoms, good, "must be finite; drop or replace it")
    return atoms


def require(name: str, atoms: Atoms, good: NDArray[np.bool_], wanted: str) -> None:
    """Raise for the first weight that is not good, with its place in the file."""
    if not good.all():
        k = int(np.argmin(good))
        value = np.asarray(atoms.weights)[k]
        raise InputError(f"{name}, {atoms.place} {atoms.lines[k]}: the weight {value} {wanted}")


def _shown(names: Sequence[str] | None, k: int) -> str:
    return f"column {k + 1}" if names is None else names[k]


def _column(name: str, names: Sequence[str] | None, width: int, field: str, option: str) -> int:
    """Find a column by its name or its number from 1; names come first."""
    found = [k for k, each in enumerate(names or []) if each == field]
    if len(found) == 1:
        return found[0]
    if len(found) > 1:
        numbers = " and ".join(str(k + 1) for k in found[:2])
        raise InputError(
            f"{name} has {len(found)} columns named {field!r}; pass the number of one to"
            f" {option}: {numbers}"
        )
    if field.isdecimal() and 1 <= int(field[:9]) <= width:
        return int(field) - 1
    header = "no header" if names is None else f"the header {listed(names)}"
    kind = "weight column" if option == "--weights" else "column"
    raise InputError(
        f"{name} has no {kind} {field!r}: it has {header} and {width} columns,"
        f" counted from 1; name one of them with {option}"
    )


def listed(names: Sequence[str]) -> str:
    """Join names, and of a long list the first ones and the last."""
    shown = [each if len(each) <= 40 else each[:39] + "…" for each in names]
    if len(shown) > _MOST_NAMES:
        shown = [*shown[: _MOST_NAMES - 2], "…", shown[-1]]
    return ", ".join(shown)


def _require_names(name: str, names: Sequence[str] | None, columns: Sequence[int]) -> None:
    """Raise for a column that is read and has no name, or that of another column."""
    if names is None:
        return
    for k in columns:
        if names[k] == "" or names[k].startswith("__index_level_"):
            raise InputError(
                f"{name}: column {k + 1} of the header has no name; if it is a row index, save"
                " the file without it (pandas: index=False), else choose the coordinates with"
                " --columns"
            )
    if len(set(names)) < len(names):
        double = next(each for each in names if list(names).count(each) > 1)
        raise InputError(
            f"{name}: two columns of the header are named {double!r}; choose columns by their"
            " numbers with --columns"
        )


def _tell_of_weights(name: str, names: Sequence[str], options: Options) -> None:
    for each in names:
        if each.lower() in _LIKE_WEIGHTS:
            options.note(
                f"{name}: the column {each!r} is read as a coordinate; if it holds the weights,"
                f" add --weights {each}"
            )
