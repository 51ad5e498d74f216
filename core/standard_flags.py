"""The two private flags of `socketserver.BaseServer`, kept for the code that reaches for them.

Its `serve_forever` and `shutdown` speak to each other by `__shutdown_request`, a bool, and
`__is_shut_down`, an event. Both methods still run where a class calls them by the name of their
class (`socketserver.TCPServer.shutdown(self)`), and programs read and set the flags past the name
mangling. So the flags tell of our state, and setting them changes it.
"""

from __future__ import annotations

from typing import Any

from .serving import Serving
from .state import State


class ShutdownRequest:
    """Whether the loop that serves is to end. A signal handler may set it."""

    def __get__(self, server: Any, owner: type | None = None) -> Any:
        if server is None:
            return self
        state: State = server._serverstrategy
        return state.is_closed or state.serving.is_stopping()

    def __set__(self, server: Any, wanted: object) -> None:
        # False: a constructor says so, and the loop of the standard library at its end.
        if wanted:
            server._serverstrategy.serving.stop()


class IsShutDown:
    """An event that is set while nobody serves, unless it is the standard library's own loop."""

    def __get__(self, server: Any, owner: type | None = None) -> Any:
        return self if server is None else _Event(server._serverstrategy.serving)

    def __set__(self, server: Any, event: object) -> None:
        """Drop the event that the standard library's constructor makes."""


class _Event:
    """The part of `threading.Event` that is used."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving

    def clear(self) -> None:
        self._serving.begin_elsewhere()

    def set(self) -> None:
        self._serving.end_elsewhere()

    def is_set(self) -> bool:
        return self._serving.thread is None

    def wait(self, timeout: float | None = None) -> bool:
        if timeout is None:
            self._serving.wait_until_stopped()
        else:
            self._serving.wait_until_returned(timeout)
        return self.is_set()
