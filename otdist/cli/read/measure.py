"""Read measures by the format of their files, and match those of two files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from otdist.cli.read.arrays import read_npy, read_npz, read_parquet
from otdist.cli.read.columns import (
    Atoms,
    Table,
    checked,
    columns_of,
    grid_shape,
    listed,
    on_grid,
    require,
)
from otdist.cli.read.images import read_image
from otdist.cli.read.source import IMAGES, TEXT, Options, open_source
from otdist.cli.read.text import read_flat, read_text
from otdist.errors import InputError
from otdist.typing import NDArray


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
    coordinates : tuple of str
        What the columns of `points` are in the file.
    weighting : str or None
        What the weights are in the file.
    is_named : bool
        Whether the coordinates are known by their names, and not by their order.
    """

    points: NDArray[Any]
    weights: NDArray[Any] | None
    shape: tuple[int, int] | None = None
    coordinates: tuple[str, ...] = ()
    weighting: str | None = None
    is_named: bool = False

    def __str__(self) -> str:
        n, d = self.points.shape
        weights = "none, 1/n each" if self.weighting is None else self.weighting
        return f"n = {n}, d = {d}; coordinates: {listed(self.coordinates)}; weights: {weights}"


def read_measure(path: str | Path, **options: Any) -> Measure:
    """Read one measure.

    Parameters
    ----------
    path : str or Path
        ``.npy``, ``.npz``, ``.parquet``, text (``.csv``, ``.txt``, ``.tsv``, ``.dat``) or
        a greyscale image (``.png``, ``.jpg``, …), each of them also with ``.gz``; ``-``
        for standard input.
    **options
        See `Options`.

    Returns
    -------
    Measure

    Raises
    ------
    InputError
        If the file cannot be read or understood; the message names the file and the line.
    """
    name, atoms = _atoms(path, Options(**options), signed=False)
    if atoms.weights is not None:
        remedy = "(otdist compare --signed takes the negative part as the other measure)"
        require(name, atoms, atoms.weights >= 0, f"must be >= 0 {remedy}")
        if not atoms.weights.any():
            raise InputError(f"{name} is 0 everywhere; a measure needs a positive weight")
    return _measure(atoms, atoms.points, atoms.weights)


def read_signed(path: str | Path, **options: Any) -> tuple[Measure, Measure]:
    """Read the positive and the negative part of a signed measure as two measures.

    With a grid of R x C pixels the file has R*C signed weights, or 2*R*C numbers: the weights
    of one grid and then the negated weights of another, as transport benchmarks store them.
    For parameters and errors see `read_measure`.
    """
    name, atoms = _atoms(path, Options(**options), signed=True)
    signed = atoms.weights
    if signed is None:
        raise InputError(
            f"{name} has points without weights; --signed needs weights whose sign"
            " says which measure they belong to (see --weights, --grid)"
        )
    for part, sign in ((signed > 0, "positive"), (signed < 0, "negative")):
        if not part.any():
            raise InputError(
                f"{name} has no {sign} mass, and --signed needs both signs; omit --signed"
                " and pass a second file"
            )
    if atoms.shape is None:
        first, second = signed > 0, signed < 0
        return (
            _measure(atoms, atoms.points[first], signed[first]),
            _measure(atoms, atoms.points[second], -signed[second]),
        )
    size = atoms.shape[0] * atoms.shape[1]
    top, bottom = signed[:size], -signed[-size:]
    if len(signed) == 2 * size:
        is_first, two = np.arange(2 * size) < size, "; a file with two grids has"
        above = f"must be >= 0 in the first half{two} positive weights first"
        below = f"must be <= 0 in the second half{two} negated weights last"
        require(name, atoms, ~is_first | (signed >= 0), above)
        require(name, atoms, is_first | (signed <= 0), below)
    else:
        top, bottom = np.maximum(top, 0), np.maximum(bottom, 0)
    points = atoms.points[:size]
    return _measure(atoms, points, top), _measure(atoms, points, bottom)


def matched(measures: Sequence[Measure], names: Sequence[str]) -> list[Measure]:
    """Return measures whose coordinates are in the order of those of the first.

    Columns with names are matched by them, others by their places.
    """
    first = measures[0]
    found = []
    for measure, name in zip(measures, names, strict=True):
        if not (first.is_named and measure.is_named) or measure.coordinates == first.coordinates:
            found.append(measure)
            continue
        if set(measure.coordinates) != set(first.coordinates):
            raise InputError(
                f"{names[0]} has the columns {listed(first.coordinates)}, and {name}"
                f" {listed(measure.coordinates)}; name them alike, or choose columns by their"
                " names or numbers with --columns"
            )
        order = [measure.coordinates.index(each) for each in first.coordinates]
        points = measure.points[:, order]
        found.append(replace(measure, points=points, coordinates=first.coordinates))
    return found


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
    return replace(
        measure, points=centres.reshape(-1, 2), weights=weights.ravel(), shape=weights.shape
    )


def _measure(atoms: Atoms, points: NDArray[Any], weights: NDArray[Any] | None) -> Measure:
    shown = atoms.coordinates, atoms.weighting, atoms.is_named
    return Measure(points, weights, atoms.shape, *shown)


def _atoms(path: str | Path, options: Options, *, signed: bool) -> tuple[str, Atoms]:
    """Read a file by its extension; return its name with its atoms."""
    shape = grid_shape(options.grid)
    source = open_source(path, options)
    name, kind = source.name, source.kind
    for option, given in (("--weights", options.weights), ("--columns", options.columns)):
        if given is not None and kind in IMAGES:
            raise InputError(f"{name} is an image and has no columns for {option}")
        if given is not None and shape is not None and kind != ".npz":
            raise InputError(
                f"{name}: with --grid all numbers are weights, with {option} those of one column"
                " are; pass one of the two"
            )
    if kind not in TEXT:
        _tell_of_text(name, options)
    if kind in IMAGES:
        return name, on_grid(name, read_image(source, options), shape, signed=False)
    if kind == ".npz":
        return name, read_npz(source, options)
    if kind == ".parquet":
        return name, read_parquet(source, options)
    if kind in TEXT and shape is None:
        return name, checked(name, read_text(source, options))
    if kind in TEXT:
        return name, on_grid(name, read_flat(source, options), shape, signed=signed)
    array = read_npy(source)
    table = Table(array, "row", range(len(array) if array.ndim else 1))
    if shape is None:
        return name, checked(name, columns_of(name, table, None, options))
    return name, on_grid(name, table, shape, signed=signed)


def _tell_of_text(name: str, options: Options) -> None:
    """Tell which options change nothing in a file that is no text."""
    plain = Options()
    for option in ("delimiter", "decimal", "header"):
        if getattr(options, option) != getattr(plain, option):
            options.note(f"{name} is no text: --{option} changes nothing in it")
