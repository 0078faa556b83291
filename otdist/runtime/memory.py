"""How much memory can be used now, on every system."""

from __future__ import annotations

import ctypes
import os

import numpy as np


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
