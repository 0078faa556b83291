"""A matrix on disk with a record of its finished blocks, from which a stopped run goes on.

The matrix is a plain ``.npy`` file, mapped into memory. The record is a text file with
lines of JSON: a head that describes the computation, then one line for each finished
block, written after the block itself. An incomplete last line is ignored.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from otdist.batch.pairs import Failure
from otdist.errors import InputError
from otdist.typing import FloatArray

_FORMAT = 1
# Rows of a square of the matrix that is mirrored at a time: 8 MB.
_TILE = 1024


class Checkpoint:
    """A matrix on disk that is filled block by block.

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
        If the file belongs to another computation, or has no record.
    """

    def __init__(
        self, path: str | os.PathLike[str], shape: tuple[int, ...], job: dict[str, Any]
    ) -> None:
        self.path = Path(path)
        self.record = self.path.with_name(self.path.name + ".checkpoint")
        self.done: set[int] = set()
        self.failures: list[Failure] = []
        if self.path.suffix != ".npy":
            raise InputError(f"out must be the name of a .npy file, got {str(path)!r}")
        if not self.path.absolute().parent.is_dir():
            raise InputError(f"cannot write out={str(path)!r}: its folder does not exist")
        self._resume(json.loads(json.dumps(job)))
        if self.record.exists():
            self.matrix = np.load(self.path, mmap_mode="r+")
            return
        self.matrix = np.lib.format.open_memmap(self.path, mode="w+", dtype=np.float64, shape=shape)
        self._write({"format": _FORMAT, **job})

    def _resume(self, job: dict[str, Any]) -> None:
        """Read which blocks are finished; raise if the record is of another job."""
        if not self.record.exists():
            if self.path.exists():
                raise InputError(
                    f"out={str(self.path)!r} exists, with no record beside it; delete it, or"
                    " give another name"
                )
            return
        lines = list(_lines(self.record))
        if not lines or not self.path.exists():
            # Killed before anything was computed.
            self.record.unlink()
            self.path.unlink(missing_ok=True)
            return
        head, *blocks = lines
        if head != {"format": _FORMAT, **job}:
            differ = [key for key in job if head.get(key) != job[key]]
            raise InputError(
                f"out={str(self.path)!r} holds the result of another call (other"
                f" {', '.join(differ) or 'format'}); repeat that call to finish it, give"
                f" another name, or delete it together with {self.record.name!r}"
            )
        for block in blocks:
            self.done.add(block["block"])
            self.failures += [Failure(*failure) for failure in block["failures"]]

    def finish(self, block: int, failures: list[Failure]) -> None:
        """Record that a block is in the matrix."""
        self.matrix.flush()
        self._write({"block": block, "failures": failures})

    def _write(self, line: dict[str, Any]) -> None:
        # End an incomplete line, so that it does not spoil this one.
        text = json.dumps(line) + "\n"
        with self.record.open("a+b") as record:
            if record.tell() > 0:
                record.seek(-1, os.SEEK_END)
                text = text if record.read(1) == b"\n" else "\n" + text
            record.write(text.encode())
            record.flush()
            os.fsync(record.fileno())


def _lines(record: Path) -> Iterator[dict[str, Any]]:
    """Yield the complete lines of a record."""
    for line in record.read_bytes().split(b"\n"):
        try:
            yield json.loads(line)
        except ValueError:
            continue


def fingerprint(*parts: Any) -> str:
    """Return a hash of arrays, numbers and strings."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            digest.update(f"{part.dtype} {part.shape}".encode())
            digest.update(np.ascontiguousarray(part).data)
        else:
            digest.update(f"{type(part).__name__} {part!r}".encode())
    return digest.hexdigest()[:32]


def mirror(matrix: FloatArray) -> None:
    """Copy the upper triangle to the lower one, square by square."""
    n = len(matrix)
    for i in range(0, n, _TILE):
        for j in range(i, n, _TILE):
            part = matrix[i : i + _TILE, j : j + _TILE]
            if i == j:
                upper = np.triu(part, 1)
                part[:] = upper + upper.T
            else:
                matrix[j : j + _TILE, i : i + _TILE] = part.T
