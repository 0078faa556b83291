"""The bytes of a file, of standard input or of a pipe, unpacked and never more than a limit."""

from __future__ import annotations

import gzip
import io
import os
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from otdist.errors import InputError

TEXT = (".csv", ".txt", ".tsv", ".dat")
IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".pgm", ".tif", ".tiff")
ARRAYS = (".npy", ".npz")
TABLES = (".parquet",)
_KNOWN = (*TEXT, *ARRAYS, *TABLES, *IMAGES)
#: As a file's name: standard input.
STDIN = "-"

_PATIENCE = 2.0  # seconds for which the writer of a pipe may be late


def _ignored(_: str) -> None:
    """Take a note that is not shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How files are read; the names are those of the command line.

    Attributes
    ----------
    columns : str, optional
        Columns of the coordinates, in this order: names in the header or numbers from 1.
    weights : str, optional
        The column of the weights, or their key in an ``.npz``.
    grid : str, optional
        ``"ROWSxCOLUMNS"``: the numbers are weights of pixels, row by row.
    delimiter : str, optional
        One character, ``"tab"`` or ``"blank"``; by default found in the first line.
    decimal : str
        The decimal mark of text, a point or a comma.
    header : str
        ``"yes"``, ``"no"`` or ``"auto"``.
    format : str, optional
        Extension that stands for the format of standard input, and of files without a
        known extension.
    max_bytes : int
        Largest size of one file, unpacked.
    note : callable
        Called with a sentence about each choice that the file left open.
    """

    columns: str | None = None
    weights: str | None = None
    grid: str | None = None
    delimiter: str | None = None
    decimal: str = "."
    header: str = "auto"
    format: str | None = None
    max_bytes: int = 2**28
    note: Callable[[str], None] = _ignored


class Source(NamedTuple):
    """The name of a file for messages, its format as an extension, and its content."""

    name: str
    kind: str
    data: bytes


def open_source(path: str | Path, options: Options) -> Source:
    """Read a file as a whole, and unpack it if its name ends in ``.gz``."""
    name = "standard input" if str(path) == STDIN else str(path)
    kind, is_packed = _kind(str(path), name, options)
    try:
        with _opened(str(path), name) as file:
            data = _limited(file, name, options)
    except OSError as error:
        raise InputError(f"cannot read {name}: {error.strerror or error}") from None
    if is_packed:
        with damaged(name, ".gz", "pack it with gzip"):
            data = _limited(gzip.GzipFile(fileobj=io.BytesIO(data)), name, options)
    return Source(name, kind, data)


def require_size(name: str, size: int, options: Options) -> None:
    """Raise if a file would hold more bytes than the limit once it is unpacked."""
    if size > options.max_bytes:
        raise InputError(
            f"{name} holds {size} bytes when unpacked, more than {options.max_bytes}; if they"
            f" are wanted, add --max-bytes {size}"
        )


@contextmanager
def damaged(name: str, kind: str, remedy: str) -> Iterator[None]:
    """Say in one sentence what a library found wrong with a file.

    Damaged and hostile files raise exceptions of any type in the libraries that read them.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # noqa: BLE001 (whatever a library raises)
        reason = " ".join(str(error).split()) or type(error).__name__
        reason = reason if len(reason) <= 200 else reason[:200] + "…"
        raise InputError(f"{name} is not a readable {kind} file: {reason}; {remedy}") from None


def _kind(path: str, name: str, options: Options) -> tuple[str, bool]:
    """Return the format as an extension, and whether the file is packed."""
    kind, is_packed = _extension(path)
    if path != STDIN and kind in _KNOWN:
        return kind, is_packed
    if options.format is None:
        known = " ".join(each[1:] for each in _KNOWN)
        if path == STDIN:
            raise InputError(f"{name} needs its format: add --format FORMAT, of {known}")
        raise InputError(
            f"{name} has the extension {kind!r}, which is unknown; rename it, or add --format"
            f" FORMAT; known are {' '.join(_KNOWN)}, and each of them with .gz"
        )
    kind, is_packed = _extension("file." + options.format.lstrip("."))
    if kind not in _KNOWN:
        known = ", ".join(each[1:] for each in _KNOWN)
        raise InputError(f"--format must be one of {known}, got {options.format!r}")
    return kind, is_packed


def _extension(path: str) -> tuple[str, bool]:
    kind = Path(path).suffix.lower()
    return (Path(Path(path).stem).suffix.lower(), True) if kind == ".gz" else (kind, False)


def _opened(path: str, name: str) -> Any:
    """Open a file, and refuse devices and pipes into which nobody writes."""
    if path == STDIN:
        if sys.stdin is None:
            raise InputError(f"{name} is closed; pass a file")
        if stat.S_ISCHR(os.fstat(sys.stdin.fileno()).st_mode) and not sys.stdin.isatty():
            raise _device(name)
        return open(sys.stdin.fileno(), "rb", closefd=False)
    mode = os.stat(path).st_mode
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        raise _device(name)
    return _opened_pipe(path, name) if stat.S_ISFIFO(mode) else open(path, "rb")


def _device(name: str) -> InputError:
    return InputError(f"{name} is a device, not a file; pass a file, or - to read a pipe")


def _opened_pipe(path: str, name: str) -> Any:
    """Open a named pipe; opening it in the usual way would wait for a writer forever."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    deadline = time.monotonic() + _PATIENCE
    first = b""
    try:
        while not first:
            try:
                first = os.read(descriptor, 1)
            except BlockingIOError:  # there is a writer, which has written nothing yet
                break
            if not first and time.monotonic() > deadline:
                raise InputError(f"{name} is a pipe into which nothing is written; pass a file")
            time.sleep(0 if first else 0.02)
        os.set_blocking(descriptor, True)
    except BaseException:
        os.close(descriptor)
        raise
    return _Prefixed(first, open(descriptor, "rb"))


class _Prefixed(io.RawIOBase):
    """A stream whose first bytes have been read already."""

    def __init__(self, first: bytes, rest: Any) -> None:
        self._first, self._rest = first, rest

    def read(self, size: int = -1) -> bytes:
        first, self._first = self._first, b""
        return first + bytes(self._rest.read(size - len(first)))

    def close(self) -> None:
        self._rest.close()
        super().close()


def _limited(file: Any, name: str, options: Options) -> bytes:
    """Read a stream to its end, or raise where it is longer than the limit."""
    data: bytes = file.read(options.max_bytes + 1)
    if len(data) > options.max_bytes:
        raise InputError(
            f"{name} holds more than {options.max_bytes} bytes; if they are wanted, add"
            f" --max-bytes {2 * options.max_bytes} or more"
        )
    return data
