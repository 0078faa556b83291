"""The time that a command takes: shown on a terminal, and limited."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from otdist.errors import InputError

_DELAY = 2.0  # seconds of silence
_STEP = 1.0


class TimeLimitReached(KeyboardInterrupt):
    """The command has taken longer than --time-limit; handled as Ctrl-C everywhere else."""


@contextmanager
def elapsed(text: str, *, shown: bool) -> Iterator[None]:
    """Show the seconds that a step has taken, from the second one on, if stderr is a terminal."""
    if not shown or not sys.stderr.isatty():
        yield
        return
    ended = threading.Event()
    thread = threading.Thread(target=_tick, args=(text, ended), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _tick(text: str, ended: threading.Event) -> None:
    start, line = time.monotonic(), ""
    pause = _DELAY
    while not ended.wait(pause):
        pause = _STEP
        line = f"otdist: {text}: {time.monotonic() - start:.0f} s"
        print(f"\r{line}", end="", file=sys.stderr, flush=True)
    print(f"\r{' ' * len(line)}\r" if line else "", end="", file=sys.stderr, flush=True)


@contextmanager
def time_limit(seconds: float | None) -> Iterator[None]:
    """Raise `TimeLimitReached` after a number of seconds."""
    if seconds is None:
        yield
        return
    if not 0 < seconds < 1e9:
        raise InputError(f"--time-limit must be a positive number of seconds, got {seconds}")
    if not hasattr(signal, "setitimer"):
        raise InputError("--time-limit needs a system with timers (POSIX); leave it out")
    before = signal.signal(signal.SIGALRM, _stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _stop(*_: Any) -> None:
    raise TimeLimitReached
