"""Arrays of NumPy and columns of Parquet; the size that a file claims is checked first."""

from __future__ import annotations

import io
import math
import zipfile
from dataclasses import replace
from typing import Any

import numpy as np

from otdist.cli.read.columns import Atoms, Table, checked, choose, columns_of
from otdist.cli.read.source import Options, Source, damaged, require_size
from otdist.errors import InputError
from otdist.typing import NDArray


def read_npy(source: Source) -> NDArray[Any]:
    """Read the array of an ``.npy``."""
    with damaged(source.name, ".npy", "write it with numpy.save from an array of numbers"):
        return _array(source.name, source.data)


def read_npz(source: Source, options: Options) -> Atoms:
    """Find points and weights among the arrays of an archive."""
    name = source.name
    if options.grid is not None:
        raise InputError(f"{name}: --grid reads text, .npy and images, not .npz")
    with damaged(name, ".npz", "write it with numpy.savez from arrays of numbers"):
        arrays = _members(source, options)
    found = ", ".join(arrays) or "none"
    points = [key for key in ("points", "x") if key in arrays]
    names = ("weights", "a") if options.weights is None else (options.weights,)
    found_weights = [key for key in names if key in arrays]
    others = set(arrays) - set(points) - set(found_weights)
    if len(points) != 1 or len(found_weights) > 1 or (others and not found_weights):
        raise InputError(
            f"{name} has the keys {found}; it must have 'points' (or 'x') and, for weights,"
            " 'weights' (or 'a', or the key given as --weights KEY)"
        )
    numbers = arrays[points[0]]
    table = Table(numbers, "entry", range(numbers.size))
    atoms = columns_of(name, table, None, _without_weights(options))
    if not found_weights:
        return atoms
    values = arrays[found_weights[0]]
    if values.shape != (len(numbers),):
        raise InputError(
            f"{name} has {found_weights[0]} of shape {values.shape}, but {len(numbers)} points;"
            " it must have one weight per point"
        )
    return checked(name, atoms._replace(weights=values, weighting=found_weights[0]))


def read_parquet(source: Source, options: Options) -> Atoms:
    """Read the columns of a table that are chosen."""
    try:
        from pyarrow import parquet
    except ImportError:
        raise InputError(
            f"{source.name} needs pyarrow to be read: pip install 'otdist[parquet]'"
        ) from None
    name = source.name
    if options.grid is not None:
        raise InputError(f"{name}: --grid reads text, .npy and images, not .parquet")
    with damaged(name, ".parquet", "write it with DataFrame.to_parquet"):
        file = parquet.ParquetFile(io.BytesIO(source.data))
        names, kinds = file.schema_arrow.names, file.schema_arrow.types
        chosen = choose(name, names, len(names), options)
        columns = [names[k] for k in chosen.all]
        for k in chosen.all:
            if not np.issubdtype(_dtype(kinds[k]), np.number):
                raise InputError(
                    f"{name}: the column {names[k]!r} holds {kinds[k]}, not numbers; choose"
                    " others with --columns"
                )
        if not file.metadata.num_rows:
            raise InputError(f"{name} has no rows; a measure needs at least one point")
        groups = range(file.metadata.num_row_groups)
        packed = sum(file.metadata.row_group(k).total_byte_size for k in groups)
        # Equal numbers in a row are stored once.
        require_size(name, max(packed, 8 * len(columns) * file.metadata.num_rows), options)
        table = file.read(columns=columns, use_threads=False)
        numbers = np.column_stack([table.column(column).to_numpy() for column in columns])
    missing = np.argwhere(np.isnan(numbers))
    if len(missing):
        row, column = missing[0]
        raise InputError(
            f"{name}, row {row}: the column {columns[column]!r} is missing or NaN; fill or"
            " drop such rows"
        )
    return checked(name, chosen.atoms(Table(numbers, "row", range(len(numbers)))))


def _dtype(kind: Any) -> Any:
    try:
        return kind.to_pandas_dtype()
    except NotImplementedError:
        return np.object_


def _without_weights(options: Options) -> Options:
    return replace(options, weights=None)


def _members(source: Source, options: Options) -> dict[str, NDArray[Any]]:
    with zipfile.ZipFile(io.BytesIO(source.data)) as archive:
        members = archive.infolist()
        require_size(source.name, sum(each.file_size for each in members), options)
        arrays = {}
        for member in members:
            if not member.filename.endswith(".npy"):
                raise ValueError(f"its member {member.filename!r} is no array")
            # NumPy packs in no other way, and the others can unpack to more than is asked for.
            if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ValueError(f"its member {member.filename!r} is packed in an unknown way")
            with archive.open(member) as file:
                data = file.read(member.file_size)
            arrays[member.filename.removesuffix(".npy")] = _array(source.name, data)
    return arrays


def _array(name: str, data: bytes) -> NDArray[Any]:
    """Read an array in NumPy's format without pickles, and without room for what is not there."""
    file = io.BytesIO(data)
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"its version is {version[0]}.{version[1]}, of arrays with named fields")
    read_header = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }[version]
    shape, is_fortran, dtype = read_header(file)
    if dtype.hasobject:
        raise ValueError("it holds objects, and pickles are not loaded (allow_pickle=False)")
    if dtype.kind not in "fiu":
        raise InputError(f"{name} holds {dtype}, not real numbers; convert it with .astype(float)")
    count = math.prod(shape)
    present = len(data) - file.tell()
    if min(shape, default=0) < 0 or count * dtype.itemsize > present:
        raise ValueError(
            f"an array of shape {shape} takes {count * dtype.itemsize} bytes, but {present} follow"
        )
    numbers = np.frombuffer(data, dtype, count, file.tell())
    return numbers.reshape(shape, order="F" if is_fortran else "C")
