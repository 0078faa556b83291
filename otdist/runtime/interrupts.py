"""Long calls that do not return to Python, where Ctrl-C is answered at once all the same.

Python answers Ctrl-C in the main thread, between two of its own instructions. Compiled code,
NumPy and LLVM run for seconds without one. Such calls are made in a thread of their own here,
and the main thread only waits.
"""

from __future__ import annotations

import contextvars
import ctypes
import sys
import threading
from collections.abc import Callable
from typing import Any

# Seconds between two looks for Ctrl-C, on systems where waiting does not end with it.
_PATIENCE = 0.05
#: Numbers from which on NumPy and compiled code may take a tenth of a second for one pass.
LARGE = 1 << 20


class _Helper(threading.Thread):
    """A thread that makes a call for another one."""

    def __init__(self, call: Callable[[], Any], *, stops: bool) -> None:
        super().__init__(daemon=True)
        self.stops = stops
        self.values: list[Any] = []
        self.errors: list[BaseException] = []
        # With the settings of the caller, such as those of `numpy.errstate`.
        self._call, self._context = call, contextvars.copy_context()

    def run(self) -> None:
        """Make the call, and keep what it returns or raises."""
        try:
            self.values.append(self._context.run(self._call))
        except BaseException as error:  # noqa: BLE001 (raised again by the caller)
            self.errors.append(error)

    def value(self) -> Any:
        """Start, wait for the end, and return what the call returned."""
        self.start()
        try:
            while self.is_alive():
                self.join(timeout=_PATIENCE)
        except BaseException:
            # While a debugger or coverage traces, Python 3.11 hangs where an exception waits for
            # a thread that waits for another one: the call then ends by itself.
            if self.stops and self.ident is not None and sys.gettrace() is None:
                number, stop = ctypes.c_ulong(self.ident), ctypes.py_object(SystemExit)
                ctypes.pythonapi.PyThreadState_SetAsyncExc(number, stop)
            raise
        if self.errors:
            raise self.errors[0]
        return self.values[0]


def interruptible(size: float, call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Return the value of a call; if it works on many numbers, Ctrl-C ends the wait for it.

    The call itself ends in the background, at its next instruction of Python if nothing traces
    it. Until then it may use what it was given, so it must not write to what later calls use.
    """
    if size <= LARGE or threading.current_thread() is not threading.main_thread():
        return call(*arguments, **options)
    return _Helper(lambda: call(*arguments, **options), stops=True).value()


def unbroken(call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Return the value of a call that must not be stopped half way; Ctrl-C ends the wait for it.

    The call goes on in the background until it is finished: an import of numba, or a
    compilation, that an exception stops anywhere leaves numba unusable.
    """
    here = threading.current_thread()
    if here is threading.main_thread() or getattr(here, "stops", False):
        return _Helper(lambda: call(*arguments, **options), stops=False).value()
    return call(*arguments, **options)
