"""SIGINT and SIGTERM: the first ends the run at the next safe point, the second ends the process at once."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Final, Self

from scalesearch.errors import InterruptedRun

__all__ = ["BreakIn", "Interrupts"]

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
_SHOW_CURSOR: Final = "\x1b[?25h"


class BreakIn(BaseException):
    """Leaves what may be lost, for example a trial in this process; no Exception, so that no trial swallows it."""


class Interrupts:
    """Watches for the signals while its `with` statement runs; does nothing outside the main thread.

    Args:
        on_first: called with the signal's number inside the handler, for a line to the user; write it with `os.write`,
            because `print` may be what was interrupted.

    Attributes:
        signal_number: the first signal that came, or None.
    """

    def __init__(self, on_first: Callable[[int], None] | None = None):
        self.signal_number: int | None = None
        self._on_first = on_first
        self._immediate = False
        self._previous: dict[signal.Signals, Any] = {}

    def check(self) -> None:
        """A safe point.

        Raises:
            InterruptedRun: a signal came.
        """
        if self.signal_number is not None:
            raise InterruptedRun(self.signal_number)

    @contextmanager
    def immediate(self, active: bool = True) -> Iterator[None]:
        """While this runs and is active, a signal breaks in at once; what runs inside must be free to be lost.

        Raises:
            InterruptedRun: a signal came, now or before.
        """
        self._immediate = active
        try:
            if active:
                self.check()
            yield
        except BreakIn:
            raise InterruptedRun(self.signal_number or signal.SIGINT) from None
        finally:
            self._immediate = False

    def arm(self) -> None:
        """Install the handlers again, because Ray's start replaces that of SIGTERM by one that aborts."""
        if self._previous:
            for number in _SIGNALS:
                signal.signal(number, self._handle)

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._previous = {number: signal.signal(number, self._handle) for number in _SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.signal_number is not None:
            _end_at_once(number)
        self.signal_number = number
        if self._on_first is not None:
            self._on_first(number)
        if self._immediate:
            self._immediate = False
            raise BreakIn


def _end_at_once(number: int) -> None:
    """Leave without any clean-up that could hang: commits are safe, and Ray's processes end with their driver."""
    if sys.stderr.isatty():  # a live table hides it
        os.write(2, _SHOW_CURSOR.encode())
    os._exit(128 + number)
