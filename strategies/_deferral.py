"""Puts signal handlers off until something is done that they must not interrupt."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from ._plain_signal import plain_signal

# Signals for which programs install handlers that raise.
RAISING: tuple[int, ...] = tuple(
    getattr(plain_signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGALRM", "SIGUSR1", "SIGUSR2")
    if hasattr(plain_signal, name)
)

Handler = Callable[[int, FrameType | None], Any]

# Those in force, the innermost last: a handler of another signal may fork amid a fork.
_in_force: list[Deferral] = []


class Deferral:
    """Takes the place of the signal handlers of Python, and calls them afterwards.

    Blocking the signals is not enough beside another thread: that one takes the signal, and Python
    runs the handler in the main thread. Python runs none in any other thread, so that there is
    nothing to put off there. What a handler raises inside of `os.fork` is lost, without a word
    where it is amid the warning of Python 3.12.

    Attributes:
        is_in_main_thread: whether it was made in the main thread.
    """

    def __init__(self) -> None:
        self.is_in_main_thread = threading.current_thread() is threading.main_thread()
        self._handlers: dict[int, Handler] = {}
        self._come: list[int] = []

    def begin(self) -> None:
        """Put the handlers off. What has raised in between leaves some of them: call `end`."""
        if self.is_in_main_thread:
            _in_force.append(self)
            for number in RAISING:
                handler = plain_signal.getsignal(number)
                if callable(handler):
                    self._handlers[number] = handler
                    plain_signal.signal(number, self._note)

    def end(self) -> None:
        """Put the handlers back, and call those whose signals have come.

        What the program has put in the place of one meanwhile, as by `os.register_at_fork`, stays.

        Raises:
            BaseException: what one of them raises; the others are called all the same.
        """
        try:
            while self._handlers:
                number = next(iter(self._handlers))
                if plain_signal.getsignal(number) == self._note:
                    plain_signal.signal(number, self._handlers[number])
                handler = self._handlers.pop(number)
                if number in self._come:
                    handler(number, None)
        finally:
            if self._handlers:
                self.end()
            elif self in _in_force:
                _in_force.remove(self)

    def _note(self, number: int, _: FrameType | None) -> None:
        self._come.append(number)


def _put_back_in_child() -> None:
    # Whoever has forked: it may have been another thread, while the main thread did so too.
    for deferral in reversed(tuple(_in_force)):
        deferral._come.clear()  # they were another process's
        deferral.end()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_put_back_in_child)
