"""Blocks of rows that fit the processor's cache, threads for them, and the memory there is."""

from __future__ import annotations

import ctypes
import itertools
import math
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from otdist.errors import InputError
from otdist.runtime.interrupts import interruptible
from otdist.typing import FloatArray

# 1 MB of float64: a block and one temporary fit in the second-level cache.
BLOCK_ENTRIES = 1 << 17
#: Parts that rows are divided into, for any number of threads: sums over the parts
#: then round alike.
N_PARTS = 8
_FEWEST_ROWS = 4
# Entries up to which all rows are one part: more would cost more than the work on them.
_FEW_ENTRIES = BLOCK_ENTRIES


def row_blocks(n: int, m: int) -> Iterator[tuple[int, int]]:
    """Yield ranges of rows that hold about `BLOCK_ENTRIES` entries each."""
    height = max(1, BLOCK_ENTRIES // max(m, 1))
    for start in range(0, n, height):
        yield start, min(start + height, n)


def share_rows(n: int, m: int, work: Callable[[int, int, int], None], n_jobs: int) -> None:
    """Call ``work(part, start, stop)`` for blocks of rows, the parts in threads."""
    height = max(_FEWEST_ROWS, BLOCK_ENTRIES // max(m, 1))

    n_parts = 1 if n * m <= _FEW_ENTRIES else N_PARTS

    def go(part: int) -> None:
        first, last = part * n // n_parts, (part + 1) * n // n_parts
        for start in range(first, last, height):
            work(part, start, min(start + height, last))

    share(go, n_parts, n_jobs)


def share(work: Callable[[int], None], n_parts: int, n_jobs: int) -> None:
    """Call ``work(part)`` for all parts, in `n_jobs` threads."""
    if n_jobs == 1 or n_parts == 1:
        for part in range(n_parts):
            work(part)
        return

    def divide() -> None:
        with ThreadPoolExecutor(n_jobs) as pool:
            list(pool.map(work, range(n_parts)))

    interruptible(np.inf, divide)  # a pool does not let an exception pass before its threads end


def exact_sum(numbers: FloatArray) -> float:
    """Return the correctly rounded sum; Ctrl-C is answered between parts of many numbers."""
    if numbers.size <= BLOCK_ENTRIES:
        return math.fsum(numbers.ravel().tolist())
    starts = range(0, numbers.size, BLOCK_ENTRIES)
    parts = (numbers.ravel()[start : start + BLOCK_ENTRIES].tolist() for start in starts)
    return math.fsum(itertools.chain.from_iterable(parts))


def require_memory(n: int, m: int) -> None:
    """Raise if an (n, m) float64 matrix takes more memory than is available."""
    wanted = 8 * n * m
    available = available_memory()
    if wanted > available:
        raise InputError(
            f"a matrix of {n} by {m} atoms would take {wanted / 1e9:.3g} GB and"
            f" {available / 1e9:.3g} GB of memory are available; use fewer atoms, or a"
            " machine with more memory"
        )


def available_memory() -> float:
    """Return the bytes of memory that can be used now; inf where unknown.

    Linux and Windows tell what is available. Elsewhere (macOS) all memory of the machine
    counts, since what is free says little there: files in memory give way.
    """
    for ask in (_of_linux, _of_windows, _of_posix):
        try:
            return ask()
        except (AttributeError, LookupError, OSError, ValueError):
            continue
    return np.inf


def _of_linux() -> float:
    with open("/proc/meminfo", encoding="ascii") as lines:
        entries = dict(line.split(":", 1) for line in lines)
    return 1024.0 * int(entries["MemAvailable"].split()[0])


def _of_posix() -> float:
    sizes = os.sysconf("SC_PAGE_SIZE"), os.sysconf("SC_PHYS_PAGES")
    if min(sizes) <= 0:  # -1 where it is not known
        raise OSError("the size of the memory is not known")
    return float(sizes[0] * sizes[1])


class _MemoryStatus(ctypes.Structure):
    """MEMORYSTATUSEX of the Windows API."""

    _fields_ = (
        ("length", ctypes.c_uint32),
        ("load", ctypes.c_uint32),
        ("total_physical", ctypes.c_uint64),
        ("available_physical", ctypes.c_uint64),
        ("total_page_file", ctypes.c_uint64),
        ("available_page_file", ctypes.c_uint64),
        ("total_virtual", ctypes.c_uint64),
        ("available_virtual", ctypes.c_uint64),
        ("available_extended_virtual", ctypes.c_uint64),
    )


def _of_windows() -> float:
    status = _MemoryStatus(length=ctypes.sizeof(_MemoryStatus))
    kernel32 = vars(ctypes)["windll"].kernel32  # missing elsewhere
    if not kernel32.GlobalMemoryStatusEx(ctypes.byref(status)):
        raise OSError("Windows does not tell the memory available")
    return float(status.available_physical)
