"""A matrix on disk with a record of its finished blocks, from which a stopped run goes on.

The matrix is a plain ``.npy`` file, mapped into memory. The record is a text file with
lines of JSON: a head that describes the computation, then one line for each finished
block, written after the block itself. Each line has a hash of itself, and a hash of the
numbers of its block: a block whose line or numbers are damaged is not finished.
"""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, Any, Self

import numpy as np

from otdist.batch.identity import fingerprint
from otdist.batch.pairs import Failure
from otdist.errors import InputError, short
from otdist.typing import FloatArray

_FORMAT = 2
# Rows of a square of the matrix that is mirrored at a time: 8 MB.
_TILE = 1024


class Checkpoint:
    """A matrix on disk that is filled block by block, by one process at a time.

    To be used in a ``with`` statement, which ends the lock.

    Parameters
    ----------
    path : str or Path
        The matrix, ending in ``.npy``. If it exists with its record, finished blocks are
        kept.
    shape : tuple of int
        Of the matrix.
    job : dict
        Describes the computation; only the same one may go on with the file.

    Raises
    ------
    InputError
        If the file belongs to another computation, has no record or is in use.
    OSError
        If the disk is full.
    """

    def __init__(
        self, path: str | os.PathLike[str], shape: tuple[int, ...], job: dict[str, Any]
    ) -> None:
        self.path = _as_path(path)
        self.record = self.path.with_name(self.path.name + ".checkpoint")
        self.failures: dict[int, list[Failure]] = {}
        self._sums: dict[int, str] = {}
        if self.path.exists() and not self.record.exists():
            raise InputError(
                f"out={str(self.path)!r} exists, with no record beside it; delete it, or give"
                " another name"
            )
        self._remedy = f"delete it together with {self.record.name!r}, or give another name"
        head = {"format": _FORMAT, "shape": shape, "type": "float64", **job}
        with ExitStack() as opened:
            self._file = opened.enter_context(self._open(self.record))
            self._lock()
            self._read(json.loads(json.dumps(head)))
            self._reserve(shape)
            self.matrix = np.load(self.path, mmap_mode="r+")
            self._opened = opened.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def verify(self, place: Callable[[int], Any]) -> set[int]:
        """Return the finished blocks, those whose numbers are the recorded ones.

        ``place(block)`` is the index of a block in the matrix.
        """
        done = {
            block
            for block, values in self._sums.items()
            if fingerprint(self.matrix[place(block)]) == values
        }
        if self._sums and not (done or self._is_cut):
            raise self._another_matrix()
        return done

    def finish(self, block: int, values: FloatArray, failures: list[Failure]) -> None:
        """Record that a block is in the matrix."""
        self.matrix.flush()
        self._write({"block": block, "values": fingerprint(values), "failures": failures})

    def _open(self, path: Path) -> IO[bytes]:
        try:
            return path.open("a+b")
        except OSError as error:
            raise InputError(f"cannot write out={str(self.path)!r}: {error}") from None

    def _lock(self) -> None:
        """Keep other processes away, as long as this one lives or until the file is closed."""
        with suppress(OSError):  # there are file systems without locks
            if _is_locked(self._file):
                raise InputError(
                    f"out={str(self.path)!r} is being written by another call; wait until it"
                    " ends, or give another name"
                )

    def _read(self, head: dict[str, Any]) -> None:
        """Read which blocks are finished, or begin a record; raise if it is of another job."""
        self._file.seek(0)
        *lines, rest = self._file.read().split(b"\n")
        if not lines and self.path.exists():
            raise self._damaged_record()
        if rest:  # a line that was being written when the process was killed
            self._file.truncate(sum(len(line) + 1 for line in lines))
        if not lines:
            self._write(head)
            return
        found = _unsealed(lines[0])
        if found is None:
            raise self._damaged_record()
        if found != head:
            differ = [key for key in head if found.get(key) != head[key]]
            raise InputError(
                f"out={str(self.path)!r} holds the result of another call (other"
                f" {', '.join(differ) or 'format'}); repeat that call to finish it, give"
                f" another name, or delete it together with {self.record.name!r}"
            )
        for line in filter(None, map(_unsealed, lines[1:])):
            block = int(line["block"])
            self._sums[block] = line["values"]
            self.failures[block] = [Failure(*failure) for failure in line["failures"]]

    def _reserve(self, shape: tuple[int, ...]) -> None:
        """Make room for the matrix on the disk, whose head and size must be right."""
        head = _head_of(shape)
        size = len(head) + 8 * int(np.prod(shape))
        with self._open(self.path) as file:
            found = file.seek(0, os.SEEK_END)
            file.seek(0)
            if found > size or not head.startswith(file.read(len(head))):
                raise self._another_matrix()
        self._is_cut = found < size
        if not self._is_cut:
            return
        try:
            with self.path.open("r+b") as file:
                file.write(head)
                file.flush()
                _allocate(file, size)
        except OSError as error:
            if found == 0:  # nothing is lost
                self.path.unlink()
                self.record.unlink()
            raise self._of_disk(error, size) from None

    def _write(self, line: dict[str, Any]) -> None:
        text = json.dumps(_sealed(line)) + "\n"
        try:
            self._file.write(text.encode())
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise self._of_disk(error, len(text)) from None

    def _damaged_record(self) -> InputError:
        return InputError(f"the record of out={str(self.path)!r} is damaged; {self._remedy}")

    def _another_matrix(self) -> InputError:
        return InputError(
            f"out={str(self.path)!r} is not the matrix that its record describes; {self._remedy}"
        )

    def _of_disk(self, error: OSError, size: int) -> OSError:
        """Return an error of a disk that says how much room is wanted."""
        free = shutil.disk_usage(self.path.absolute().parent).free
        return OSError(
            error.errno,
            f"cannot write out={str(self.path)!r}, which takes {size / 1e6:.6g} MB where"
            f" {free / 1e6:.6g} MB are free: {error.strerror}; make room, or give a name on"
            " another disk",
        )


def _as_path(path: Any) -> Path:
    """Return the path of a matrix that can be written."""
    if not isinstance(path, str | os.PathLike) or not isinstance(os.fspath(path), str):
        raise InputError(f"out must be the name of a .npy file, got {short(path)}")
    found = Path(path)
    if found.suffix != ".npy" or "\0" in str(found):
        raise InputError(f"out must be the name of a .npy file, got {short(str(path))}")
    if not found.absolute().parent.is_dir():
        raise InputError(f"cannot write out={str(path)!r}: its folder does not exist")
    return found


def _head_of(shape: tuple[int, ...]) -> bytes:
    """Return what a ``.npy`` file begins with."""
    head = io.BytesIO()
    described = {"descr": "<f8", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(head, described)
    return head.getvalue()


def _allocate(file: IO[bytes], size: int) -> None:
    """Make a file that long. Without room, writing to mapped memory would end the process."""
    if hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(file.fileno(), 0, size)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):
                raise
    file.truncate(size)


def _is_locked(file: IO[bytes]) -> bool:
    """Lock a file; return whether somebody else has done so."""
    try:
        if os.name == "nt":
            import msvcrt

            windows: Any = msvcrt
            file.seek(1 << 62)  # beyond all lines, which others may read
            windows.locking(file.fileno(), windows.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return True
    return False


def _sealed(line: dict[str, Any]) -> dict[str, Any]:
    """Return a line with a hash of itself."""
    return {**line, "line": fingerprint(json.dumps(line))}


def _unsealed(text: bytes) -> dict[str, Any] | None:
    """Return a line of a record without its hash; None if it is damaged."""
    try:
        line = json.loads(text)
        seal = line.pop("line")
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
        return None
    return line if seal == fingerprint(json.dumps(line)) else None


def mirror(matrix: FloatArray) -> None:
    """Copy the upper triangle to the lower one, square by square, where it differs."""
    n = len(matrix)
    for i in range(0, n, _TILE):
        for j in range(i, n, _TILE):
            part, lower = matrix[i : i + _TILE, j : j + _TILE], matrix[j : j + _TILE, i : i + _TILE]
            wanted = part.T
            if i == j:
                upper = np.triu(part, 1)
                wanted = upper + upper.T
            if not np.array_equal(lower, wanted):
                lower[:] = wanted
