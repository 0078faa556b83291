"""Memory is read on every system: systems that are not here are planted."""

from __future__ import annotations

import ctypes
import os
from types import SimpleNamespace

import numpy as np
import pytest

from otdist.runtime import blocks


@pytest.fixture
def elsewhere(monkeypatch):
    """Plant a system without /proc, and give it calls of its own."""

    def plant(sysconf=None, windows=None):
        monkeypatch.setattr(blocks, "open", no_file, raising=False)
        monkeypatch.delattr(os, "sysconf", raising=False)
        monkeypatch.delattr(ctypes, "windll", raising=False)
        if sysconf is not None:
            monkeypatch.setattr(os, "sysconf", sysconf, raising=False)
        if windows is not None:
            dll = SimpleNamespace(kernel32=SimpleNamespace(GlobalMemoryStatusEx=windows))
            monkeypatch.setattr(ctypes, "windll", dll, raising=False)

    return plant


def no_file(*_, **__):
    raise FileNotFoundError("/proc/meminfo")


def status_of(reference):
    return reference._obj


def test_here():
    assert 1e7 < blocks.available_memory() < 1e15


def test_linux(monkeypatch, tmp_path):
    planted = tmp_path / "meminfo"
    planted.write_text("MemTotal:  9000 kB\nMemAvailable:    123 kB\nHugePages_Total: 0\n")
    monkeypatch.setattr(blocks, "open", lambda *_, **__: planted.open(), raising=False)
    assert blocks.available_memory() == 123 * 1024.0


def test_a_linux_that_does_not_tell_what_is_available(monkeypatch, tmp_path):
    """Before version 3.14, and in some sandboxes; all of its memory counts then."""
    planted = tmp_path / "meminfo"
    planted.write_text("MemTotal:  9000 kB\n")
    monkeypatch.setattr(blocks, "open", lambda *_, **__: planted.open(), raising=False)
    monkeypatch.setattr(os, "sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 10}.get)
    assert blocks.available_memory() == 40960.0


def test_macos(elsewhere):
    elsewhere(sysconf={"SC_PAGE_SIZE": 16384, "SC_PHYS_PAGES": 1000}.get)
    assert blocks.available_memory() == 16384.0 * 1000


def test_windows(elsewhere):
    def fill(reference):
        status = status_of(reference)
        assert status.length == ctypes.sizeof(status) == 64
        status.total_physical, status.available_physical = 1 << 34, 1 << 33
        return 1

    elsewhere(windows=fill)
    assert blocks.available_memory() == float(1 << 33)


def refuse(name):
    raise ValueError(f"unrecognized configuration name: {name}")


@pytest.mark.parametrize("sysconf", [None, refuse, lambda name: -1], ids=["no", "error", "-1"])
def test_unknown(elsewhere, sysconf):
    elsewhere(sysconf=sysconf, windows=lambda status: 0)
    assert blocks.available_memory() == np.inf
