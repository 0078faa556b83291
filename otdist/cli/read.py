"""Read measures from files for the command line: text, arrays, images.

Weights are not normalised, and nothing is dropped silently. Pixels of weight 0 are kept, so
that atom ``k`` is always pixel ``k`` in row-major order; they change no distance.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from otdist.errors import InputError
from otdist.typing import NDArray

_TEXT = (".csv", ".txt", ".tsv", ".dat")
_IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".pgm", ".tif", ".tiff")
_ARRAYS = (".npy", ".npz")
# Exceptions of NumPy and zipfile for damaged files.
_BROKEN = (
    ValueError,
    EOFError,
    KeyError,
    OverflowError,
    RuntimeError,
    SyntaxError,
    zipfile.BadZipFile,
    zlib.error,
)
_WEIGHT_NAMES = ("weight", "weights")


@dataclass(frozen=True, slots=True, eq=False)
class Measure:
    """A measure from a file.

    Attributes
    ----------
    points : ndarray (n, d)
        Atoms; for a grid its pixels as (row, column), row by row.
    weights : ndarray (n,) or None
        Weights as given; None for points without weights.
    shape : (int, int) or None
        Rows and columns of a grid, None for points.
    """

    points: NDArray[Any]
    weights: NDArray[Any] | None
    shape: tuple[int, int] | None = None


class _Table(NamedTuple):
    """Numbers, the names of their columns, and the place of each row in the file."""

    numbers: NDArray[Any]
    names: list[str] | None
    place: str
    lines: Sequence[int]


class _Atoms(NamedTuple):
    """A measure whose weights are not validated, and the place of each in the file."""

    points: NDArray[Any]
    weights: NDArray[Any] | None
    shape: tuple[int, int] | None
    place: str
    lines: Sequence[int]


def read_measure(
    path: str | Path, *, weights: str | None = None, grid: str | None = None
) -> Measure:
    """Read one measure.

    Parameters
    ----------
    path : str or Path
        ``.npy``, ``.npz``, text (``.csv``, ``.txt``, ``.tsv``, ``.dat``) or a
        greyscale image (``.png``, ``.jpg``, …).
    weights : str, optional
        The weight column, by its number from 1 or its name in the header, or the key of
        the weights in an ``.npz``. By default a column named ``weight``.
    grid : str, optional
        ``"ROWSxCOLUMNS"``: the numbers are weights of pixels, row by row.

    Returns
    -------
    Measure

    Raises
    ------
    InputError
        If the file cannot be read or understood; the message names the file and the line.
    """
    path = Path(path)
    atoms = _atoms(path, weights, _shape(grid), signed=False)
    if atoms.weights is not None:
        remedy = "(add --signed if the negative part is the other measure)"
        _require(path, atoms, atoms.weights >= 0, f"must be >= 0 {remedy}")
        if not atoms.weights.any():
            raise InputError(f"{path} is 0 everywhere; a measure needs a positive weight")
    return Measure(atoms.points, atoms.weights, atoms.shape)


def read_signed(
    path: str | Path, *, weights: str | None = None, grid: str | None = None
) -> tuple[Measure, Measure]:
    """Read the positive and the negative part of a signed measure as two measures.

    With a grid of R x C pixels the file has R*C signed weights, or 2*R*C numbers: the weights
    of one grid and then the negated weights of another, as transport benchmarks store them.
    For parameters and errors see `read_measure`.
    """
    path = Path(path)
    atoms = _atoms(path, weights, _shape(grid), signed=True)
    signed = atoms.weights
    if signed is None:
        raise InputError(
            f"{path} has points without weights; --signed needs weights whose sign"
            " says which measure they belong to (see --weights, --grid)"
        )
    for part, sign in ((signed > 0, "positive"), (signed < 0, "negative")):
        if not part.any():
            raise InputError(
                f"{path} has no {sign} mass, and --signed needs both signs; omit --signed"
                " and pass a second file"
            )
    if atoms.shape is None:
        first, second = signed > 0, signed < 0
        return (
            Measure(atoms.points[first], signed[first]),
            Measure(atoms.points[second], -signed[second]),
        )
    size = atoms.shape[0] * atoms.shape[1]
    top, bottom = signed[:size], -signed[-size:]
    if len(signed) == 2 * size:
        is_first, two = np.arange(2 * size) < size, "; a file with two grids has"
        above = f"must be >= 0 in the first half{two} positive weights first"
        below = f"must be <= 0 in the second half{two} negated weights last"
        _require(path, atoms, ~is_first | (signed >= 0), above)
        _require(path, atoms, is_first | (signed <= 0), below)
    else:
        top, bottom = np.maximum(top, 0), np.maximum(bottom, 0)
    points = atoms.points[:size]
    return Measure(points, top, atoms.shape), Measure(points, bottom, atoms.shape)


def _atoms(
    path: Path, weights: str | None, shape: tuple[int, int] | None, *, signed: bool
) -> _Atoms:
    """Read a file by its extension."""
    kind = path.suffix.lower()
    if kind in _IMAGES:
        if weights is not None:
            raise InputError(f"{path} is an image and has no columns for --weights")
        return _on_grid(path, _image(path), shape, signed=False)
    if kind == ".npz":
        return _from_npz(path, weights, shape)
    if kind == ".npy":
        array = _load(path)
        table = _Table(array, None, "row", range(len(array) if array.ndim else 1))
    elif kind in _TEXT:
        table = _text_table(path, flat=shape is not None)
    else:
        known = " ".join((*_TEXT, *_ARRAYS, *_IMAGES))
        raise InputError(f"{path} has the extension {kind!r}, which is unknown; known are {known}")
    if shape is None:
        return _split(path, table, weights)
    if weights is not None:
        raise InputError(
            f"{path}: with --grid all numbers are weights, with --weights one column is;"
            " pass one of the two"
        )
    return _on_grid(path, table, shape, signed=signed)


def _shape(grid: str | None) -> tuple[int, int] | None:
    """Read ROWSxCOLUMNS."""
    if grid is None:
        return None
    match = re.fullmatch(r"([1-9]\d{0,8})[xX×]([1-9]\d{0,8})", grid.strip())
    if match is None:
        raise InputError(f"--grid must be ROWSxCOLUMNS, such as 32x32, got {grid!r}")
    return int(match[1]), int(match[2])


def _on_grid(path: Path, table: _Table, shape: tuple[int, int] | None, *, signed: bool) -> _Atoms:
    """Make atoms of pixels, row by row; of two grids if a signed file has two."""
    own = table.numbers.shape
    rows, columns = shape or own
    size, count = rows * columns, table.numbers.size
    whole = (size, 2 * size) if signed else (size,)
    turned = len(own) == 2 and 1 not in own and own[1] != columns
    if count not in whole or turned:
        wanted = " or ".join(map(str, whole))
        got = f"{count} numbers" if len(own) == 1 else f"an array of shape {own}"
        raise InputError(
            f"{path} has {got}, but a grid of {rows}x{columns} takes {wanted} numbers;"
            " pass its size as --grid ROWSxCOLUMNS"
            + ("" if signed else " (a pair in one file: add --signed)")
        )
    row, column = np.divmod(np.arange(size), columns)
    points = np.tile(np.column_stack([row, column]), (count // size, 1))
    place, lines = ("line", table.lines) if table.place == "line" else ("entry", range(count))
    weights = table.numbers.reshape(-1)
    return _checked(path, _Atoms(points, weights, (rows, columns), place, lines))


def _split(path: Path, table: _Table, option: str | None) -> _Atoms:
    """Separate the weight column, if there is one, from the coordinates."""
    numbers = table.numbers
    if numbers.ndim not in (1, 2) or numbers.size == 0:
        raise InputError(
            f"{path} has shape {numbers.shape}; points are an array (n,) or (n, d)"
            " with at least one row (weights on a grid: add --grid ROWSxCOLUMNS)"
        )
    columns = numbers.reshape(len(numbers), -1)
    chosen = _weight_column(path, table.names, columns.shape[1], option)
    if chosen is None:
        return _Atoms(columns, None, None, table.place, table.lines)
    if columns.shape[1] == 1:
        raise InputError(
            f"{path} has a weight column and no other; points need at least one"
            " coordinate (weights on a grid: add --grid ROWSxCOLUMNS)"
        )
    points = np.delete(columns, chosen, axis=1)
    return _checked(path, _Atoms(points, columns[:, chosen], None, table.place, table.lines))


def _weight_column(
    path: Path, names: list[str] | None, width: int, option: str | None
) -> int | None:
    """Find the weight column, counted from 0; None without such a column."""
    if option is None:
        found = [k for k, name in enumerate(names or []) if name.lower() in _WEIGHT_NAMES]
        if len(found) > 1:
            raise InputError(f"{path} has {len(found)} weight columns; choose one with --weights")
        return found[0] if found else None
    if names is not None and names.count(option) == 1:
        return names.index(option)
    if option.isdecimal() and 1 <= int(option) <= width:
        return int(option) - 1
    header = "no header" if names is None else "the header " + ", ".join(names)
    raise InputError(
        f"{path} has no weight column {option!r}: it has {header} and {width} columns,"
        " counted from 1"
    )


def _checked(path: Path, atoms: _Atoms) -> _Atoms:
    """Return the atoms, or raise for a weight that is NaN or infinite."""
    good = np.isfinite(np.asarray(atoms.weights))
    _require(path, atoms, good, "must be finite; drop or replace it")
    return atoms


def _require(path: Path, atoms: _Atoms, good: NDArray[np.bool_], wanted: str) -> None:
    """Raise for the first weight that is not good, with its place in the file."""
    if not good.all():
        k = int(np.argmin(good))
        value = np.asarray(atoms.weights)[k]
        raise InputError(f"{path}, {atoms.place} {atoms.lines[k]}: the weight {value} {wanted}")


def _text_table(path: Path, *, flat: bool) -> _Table:
    """Read numbers separated by commas or blanks; with `flat`, rows may differ in length."""
    names: list[str] | None = None
    rows: list[list[float]] = []
    lines: list[int] = []
    commas: bool | None = None
    for line, content in enumerate(_text(path).split("\n"), 1):
        content = content.partition("#")[0].strip()
        if not content:
            continue
        commas = "," in content if commas is None else commas
        fields = content.split(",") if commas else content.split()
        fields = [field.strip().strip('"') for field in fields]
        if not rows and names is None and not any(map(_is_number, fields)):
            names = _header(path, line, fields)
            continue
        rows.append([_number(path, line, field) for field in fields])
        lines.append(line)
        wanted = len(names if names is not None else rows[0])
        if not flat and len(fields) != wanted:
            raise InputError(
                f"{path}, line {line}: {len(fields)} columns, but the first line has"
                f" {wanted}; every line needs one number per column"
            )
    if not rows:
        raise InputError(f"{path} has no numbers; a measure needs at least one point")
    if flat:
        places = [line for row, line in zip(rows, lines, strict=True) for _ in row]
        numbers = np.array([number for row in rows for number in row])
        return _Table(numbers, names, "line", places)
    return _Table(np.array(rows), names, "line", lines)


def _header(path: Path, line: int, fields: list[str]) -> list[str]:
    if "" in fields:
        raise InputError(
            f"{path}, line {line}: column {fields.index('') + 1} of the header has no"
            " name; if it is a row index, save the file without it (pandas:"
            " index=False), else name it"
        )
    return fields


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path} is not a text file (byte {error.start} is not UTF-8); save it as UTF-8,"
            " or rename it with the extension of its format"
        ) from None
    except OSError as error:
        raise _unreadable(path, error) from None


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _number(path: Path, line: int, field: str) -> float:
    """Convert a field that must be a finite number."""
    if "_" not in field and _is_number(field):
        number = float(field)
        if np.isfinite(number):
            return number
        raise InputError(f"{path}, line {line}: {field} is not finite; drop or replace such lines")
    raise InputError(
        f"{path}, line {line}: {field!r} is not a number; columns are separated by"
        " commas or blanks, comments begin with #, decimals use a point"
    )


def _load(path: Path) -> Any:
    """Load an array, or a dictionary of arrays, without pickles."""
    kind = path.suffix.lower()
    try:
        with path.open("rb") as file:
            if kind == ".npy":
                return _numeric(path, np.lib.format.read_array(file, allow_pickle=False))
            if not zipfile.is_zipfile(file):
                raise ValueError("it is not a zip archive")
            file.seek(0)
            with np.load(file, allow_pickle=False) as archive:
                return {key: _numeric(path, archive[key]) for key in archive.files}
    except InputError:
        raise
    except OSError as error:
        raise _unreadable(path, error) from None
    except _BROKEN as error:
        raise InputError(
            f"{path} is not a readable {kind} file: {error}; write it with"
            f" numpy.{'save' if kind == '.npy' else 'savez'} from arrays of numbers"
        ) from None


def _numeric(path: Path, array: NDArray[Any]) -> NDArray[Any]:
    if array.dtype.kind not in "fiu":
        raise InputError(
            f"{path} holds {array.dtype}, not real numbers; convert it with .astype(float)"
        )
    return array


def _from_npz(path: Path, weights: str | None, shape: tuple[int, int] | None) -> _Atoms:
    """Find points and weights among the arrays of an archive."""
    if shape is not None:
        raise InputError(f"{path}: --grid reads text, .npy and images, not .npz")
    arrays = _load(path)
    found = ", ".join(arrays) or "none"
    points = [key for key in ("points", "x") if key in arrays]
    names = ("weights", "a") if weights is None else (weights,)
    found_weights = [key for key in names if key in arrays]
    others = set(arrays) - set(points) - set(found_weights)
    if len(points) != 1 or len(found_weights) > 1 or (others and not found_weights):
        raise InputError(
            f"{path} has the keys {found}; it must have 'points' (or 'x') and, for weights,"
            " 'weights' (or 'a', or the key given as --weights KEY)"
        )
    table = arrays[points[0]]
    atoms = _split(path, _Table(table, None, "entry", range(table.size)), None)
    if not found_weights:
        return atoms
    values = arrays[found_weights[0]]
    if values.shape != (len(table),):
        raise InputError(
            f"{path} has {found_weights[0]} of shape {values.shape}, but {len(table)} points;"
            " it must have one weight per point"
        )
    return _checked(path, atoms._replace(weights=values))


def _image(path: Path) -> _Table:
    """Read grey values as they are: 0..255, or 0..65535 for 16 bits."""
    try:
        from PIL import Image
    except ImportError:
        raise InputError(
            f"{path} is an image; reading it needs Pillow: pip install 'otdist[image]'"
        ) from None
    try:
        with Image.open(path) as image:
            frames = getattr(image, "n_frames", 1)
            plain = image.mode in ("1", "L", "F") or image.mode.startswith("I")
            pixels = np.asarray(image if plain else image.convert("RGBA"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise _unreadable(path, error) from None
    if frames > 1:
        raise InputError(f"{path} has {frames} frames; save one frame as a file of its own")
    if not plain:
        pixels = _grey(path, pixels)
    if pixels.dtype == bool:
        pixels = pixels.astype(np.uint8)
    return _Table(pixels, None, "entry", range(pixels.size))


def _grey(path: Path, pixels: NDArray[Any]) -> NDArray[Any]:
    """Return the grey values of an RGBA image, or raise if it has colour or transparency."""
    red = pixels[:, :, 0]
    same = (pixels[:, :, 1] == red) & (pixels[:, :, 2] == red)
    opaque = pixels[:, :, 3] == 255
    if not (same & opaque).all():
        row, column = np.argwhere(~(same & opaque))[0]
        kind = "a colour image" if not same.all() else "partly transparent"
        raise InputError(
            f"{path} is {kind} (pixel ({row}, {column}) is"
            f" {tuple(pixels[row, column].tolist())} in RGBA); convert it to greyscale"
            " first: PIL.Image.open(file).convert('L').save(new_file)"
        )
    return red


def _unreadable(path: Path, error: Exception) -> InputError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else error
    return InputError(f"cannot read {path}: {reason}")


def pooled(measure: Measure, side: int, name: str) -> Measure:
    """Sum blocks of ``side`` by ``side`` pixels of a measure on a grid.

    Each block becomes an atom at its centre, in pixels of the original grid, so that the
    total mass and the unit of distances do not change. `name` is for the messages.
    """
    if measure.shape is None or measure.weights is None:
        raise InputError(f"{name} holds points, not pixels: --pool is for images and --grid")
    rows, columns = measure.shape
    if side < 1 or rows % side or columns % side:
        raise InputError(
            f"{name} has {rows} x {columns} pixels, which cannot be divided into blocks of"
            f" {side} x {side}; pass a divisor of both numbers"
        )
    blocks = (rows // side, side, columns // side, side)
    weights = measure.weights.reshape(blocks).sum(axis=(1, 3))
    centres = measure.points.reshape(*blocks, 2).mean(axis=(1, 3))
    return Measure(centres.reshape(-1, 2), weights.ravel(), weights.shape)
