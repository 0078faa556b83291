"""Where compiled kernels are kept between processes, decided before they are decorated.

numba caches beside the source files: ``pip uninstall`` then leaves a folder that Python
imports as an empty package, and a read-only install has no cache, or an error. Here the
first of these folders is used:

1. `NUMBA_CACHE_DIR`, where the user has set it;
2. ``__pycache__/otdist`` beside the package, for those who may write there;
3. ``otdist`` in the user's cache folder;
4. ``otdist-<user>`` in the system's temporary folder.

All but the first must belong to the user, and other users must not be able to write there,
since the cache is pickled code. Without a folder all works, but every process compiles anew,
and one warning says so.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import logging
import os
import shutil
import stat
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from otdist.runtime.interrupts import unbroken

unbroken(importlib.import_module, "numba")

import numba
from numba.core import event

# numba tries the types that an operation may have in the order in which they were registered.
# Looking into a cache registers those of text and lists first, unless arrays are there already:
# an eighth of the time of compiling.
from numba.core.typing import arraydecl  # noqa: F401

config: Any = numba.config
_PACKAGE = Path(__file__).parents[1]
_KEPT_DAYS = 90
#: Seconds that a process compiles before it says so.
_LONG = 2.0


def njit(**flags: Any) -> Callable[[Callable[..., Any]], Any]:
    """Return ``numba.njit(**flags)`` with a cache in the folder of this module."""
    if config.DISABLE_JIT or not flags.get("cache"):
        decorator: Callable[[Callable[..., Any]], Any] = numba.njit(**flags)
        return decorator

    def decorate(function: Callable[..., Any]) -> Any:
        of_user = config.CACHE_DIR
        config.CACHE_DIR = of_user or cache_folder()
        try:
            if config.CACHE_DIR:
                kernel = numba.njit(**flags)(function)
                if _is_usable(kernel.stats.cache_path):
                    return _with_interrupts(kernel)
        except RuntimeError:
            pass  # numba found no folder: the package is in an archive, or none is writable
        finally:
            config.CACHE_DIR = of_user
        _warn_once(os.path.exists(function.__code__.co_filename))
        return _with_interrupts(numba.njit(**flags | {"cache": False})(function))

    return decorate


def _with_interrupts(kernel: Any) -> Any:
    """Return a kernel that compiles, or reads its cache, in a thread that Ctrl-C abandons.

    numba does not survive an exception everywhere, and LLVM is not stopped at all.
    """
    kernel._compile_for_args = functools.partial(unbroken, kernel._compile_for_args)
    return kernel


def compiles() -> bool:
    """Return whether kernels are compiled at all."""
    return not config.DISABLE_JIT


def is_compiled(kernel: Any) -> bool:
    """Return whether a kernel need not be compiled, for what it was compiled for before."""
    if not compiles() or kernel.signatures:
        return True
    folder, name = kernel.stats.cache_path, kernel.py_func.__qualname__
    return folder is not None and any(Path(folder).glob(f"*.{name}-*.nbi"))


def folder_in_use() -> str:
    """Return the folder that keeps the kernels; empty where none can."""
    return config.CACHE_DIR or cache_folder()


class _Notice(event.Listener):
    """Says once that kernels are being compiled, when that has taken long.

    numba reports the beginning and the end of each compilation, also of those inside others,
    and none for kernels that come from the cache. It holds its lock meanwhile.
    """

    def __init__(self) -> None:
        self.depth = 0
        self.taken = self.began = 0.0
        self.is_ours = self.is_said = False

    def on_start(self, event: Any) -> None:
        """Note the time of an outermost compilation."""
        if self.depth == 0:
            self.began = time.perf_counter()
            self.is_ours = event.data["dispatcher"].py_func.__module__.startswith("otdist.")
        self.depth += 1
        self._look()

    def on_end(self, event: Any) -> None:
        """Add up the times of outermost compilations."""
        self._look()
        self.depth -= 1
        if self.depth == 0 and self.is_ours:
            self.taken += time.perf_counter() - self.began

    def _look(self) -> None:
        if self.is_said or not self.is_ours:
            return
        if self.taken + time.perf_counter() - self.began > _LONG:
            self.is_said = True
            message = (
                "otdist is compiling for this kind of input, which takes some seconds the first"
                " time; `otdist warmup` compiles everything at once"
            )
            logging.getLogger("otdist").info(message)
            if sys.stderr is not None and sys.stderr.isatty():
                sys.stderr.write(f"{message}\n")


def _is_usable(path: str) -> bool:
    """Return whether numba can write where it says; it does not try that for archives."""
    return path.startswith(config.CACHE_DIR) or _is_writable(path)


def _is_writable(path: str | Path) -> bool:
    try:
        os.makedirs(path, exist_ok=True)
        tempfile.TemporaryFile(dir=path).close()
    except OSError:
        return False
    return True


@functools.cache
def cache_folder() -> str:
    """Return the cache folder for the kernels as they are now; empty without such a folder.

    numba notices a change in the file of a kernel, but not in a file from which that kernel
    imports another. The folder is therefore named by the sources of all kernels.
    """
    for parent in _candidates():
        folder = parent / _state_of_kernels()
        if is_private(parent) and _is_writable(folder):
            os.utime(folder)
            _delete_old(parent)
            return str(folder)
    return ""


def _candidates() -> list[Path]:
    """Return the folders to try, best first."""
    if sys.platform == "win32":
        user = os.environ.get("LOCALAPPDATA", "")
    elif sys.platform == "darwin":
        user = os.path.expanduser("~/Library/Caches")
    else:
        user = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    beside = _PACKAGE.parent / "__pycache__"
    found = [beside / "otdist"] if _PACKAGE.is_dir() and is_private(beside) else []
    if os.path.isabs(user):
        found.append(Path(user, "otdist"))
    number = os.getuid() if hasattr(os, "getuid") else "kernels"
    try:
        return [*found, Path(tempfile.gettempdir(), f"otdist-{number}")]
    except FileNotFoundError:  # no temporary folder can be written
        return found


def is_private(folder: Path) -> bool:
    """Make a folder if need be; return whether nobody but its owner, the user, can write."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        state = folder.lstat()
    except OSError:
        return False
    if not stat.S_ISDIR(state.st_mode):  # a link may lead anywhere
        return False
    return not hasattr(os, "geteuid") or (
        state.st_uid == os.geteuid() and not state.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    )


def _state_of_kernels() -> str:
    """Return a hash of the sources of all kernels."""
    digest = hashlib.sha256()
    for source in sorted(_PACKAGE.rglob("*.py")):
        if {"compiled", "kernels"} & {source.stem, *source.relative_to(_PACKAGE).parts}:
            digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def _delete_old(parent: Path) -> None:
    """Delete what no process has used for months: kernels of older versions."""
    for folder in parent.iterdir():
        if time.time() - folder.stat().st_mtime > 86400 * _KEPT_DAYS:
            shutil.rmtree(folder, ignore_errors=True)


@functools.cache
def _warn_once(is_file: bool) -> None:
    if not is_file:
        reason = "otdist is imported from an archive; install it as files (pip install)"
    elif config.CACHE_DIR:
        reason = (
            f"NUMBA_CACHE_DIR={config.CACHE_DIR} cannot be written; set it to a folder that can"
        )
    else:
        tried = " nor ".join(map(str, _candidates())) or "nowhere"
        reason = (
            f"neither {tried} is a folder that this user, and no other, can write; set"
            " NUMBA_CACHE_DIR to one"
        )
    warnings.warn(
        f"compiled kernels cannot be kept, and every process compiles them anew: {reason}",
        RuntimeWarning,
        stacklevel=2,
    )


if compiles():
    _register: Any = event.register
    _register("numba:compile", _Notice())
