"""Puts signal handlers off until something is done that they must not interrupt."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

# Signals for which programs install handlers that raise. Not all there are: Python would turn each
# of them into an enum member twice a fork, which takes longer than the rest of `fork` here.
RAISING = tuple(
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGALRM", "SIGUSR1", "SIGUSR2")
    if hasattr(signal, name)
)

Handler = Callable[[int, FrameType | None], Any]


class Deferral:
    """Takes the place of the signal handlers of Python, and calls them afterwards.

    Blocking the signals is not enough beside another thread: that one takes the signal, and Python
    runs the handler in the main thread. Python runs none in any other thread, so that there is
    nothing to put off there. What a handler raises inside of `os.fork` is lost, without a word
    where it is amid the warning of Python 3.12.
    """

    def __init__(self) -> None:
        self._handlers: dict[int, Handler] = {}
        self._come: list[int] = []

    def begin(self) -> None:
        """Put the handlers off. What has raised in between leaves some of them: call `end`."""
        if threading.current_thread() is threading.main_thread():
            for number in RAISING:
                handler = signal.getsignal(number)
                if callable(handler):
                    self._handlers[number] = handler
                    signal.signal(number, self._note)

    def forget(self) -> None:
        """Forget the signals that have come: they were another process's."""
        self._come.clear()

    def end(self) -> None:
        """Put the handlers back, and call those whose signals have come.

        Raises:
            BaseException: what one of them raises; the others are called all the same.
        """
        try:
            while self._handlers:
                number = next(iter(self._handlers))
                signal.signal(number, self._handlers[number])
                self._call(self._handlers.pop(number), number)
        finally:
            if self._handlers:
                self.end()

    def _call(self, handler: Handler, number: int) -> None:
        if number in self._come:
            handler(number, None)

    def _note(self, number: int, _: FrameType | None) -> None:
        self._come.append(number)
