"""The threads that accept for one server, in one process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from .accepting import AcceptingServer
from .acceptor import Acceptor
from .in_flight import InFlight
from .waiter import Wait


class Acceptors:
    """Those in `accept_until_stopped`, and the callers of `handle_request`.

    Safe to use from any thread, and takes no lock: each step is one operation of a dict.
    """

    def __init__(self, in_flight: InFlight) -> None:
        self._in_flight = in_flight
        # With the identifiers of their threads.
        self._acceptors: dict[Acceptor, int] = {}
        self._callers: dict[Acceptor, int] = {}
        self._spare: list[Acceptor] = []

    @contextmanager
    def acceptor(self, server: AcceptingServer, wait: Wait | None) -> Iterator[Acceptor]:
        """An acceptor for one `accept_until_stopped`, which waits by `wait`.

        Raises:
            OSError: no file descriptor is left.
        """
        acceptor = Acceptor(server, wait)
        self._acceptors[acceptor] = threading.get_ident()
        try:
            yield acceptor
        finally:
            self._acceptors.pop(acceptor, None)
            try:
                # Who accepts in its place finishes that, and the next ones ask first.
                self._in_flight.wait_until(server._serverstrategy.relay.is_over, None)
            finally:
                self._in_flight.pass_on()
                self._in_flight.poke()
                acceptor.close()

    @contextmanager
    def caller(self, server: AcceptingServer) -> Iterator[Acceptor]:
        """An acceptor for one `handle_request`, kept for the next one.

        Raises:
            OSError: no file descriptor is left.
        """
        acceptor = self._spare.pop() if self._spare else Acceptor(server)
        self._callers[acceptor] = threading.get_ident()
        try:
            yield acceptor
        finally:
            self._callers.pop(acceptor, None)
            self._in_flight.pass_on()
            self._in_flight.poke()
            self._spare.append(acceptor)
            if server._serverstrategy.is_over(server):
                self.close_spare()

    def is_here(self) -> bool:
        """Whether the calling thread accepts by an acceptor of ours, which has asked for room."""
        me = threading.get_ident()
        return me in self._acceptors.values() or me in self._callers.values()

    def has_caller_here(self) -> bool:
        """Whether the calling thread is in `handle_request`."""
        return threading.get_ident() in self._callers.values()

    def go_on(self) -> bool:
        """Whether a thread is in `accept_until_stopped`, and has not heard the stop yet."""
        for each in tuple(self._acceptors):  # noqa: SIM110 - `any` takes three times as long
            if each.goes_on():
                return True
        return False

    def are_busy(self) -> bool:
        """Whether there are threads in `accept_until_stopped`, each of them in a handler."""
        return bool(self._acceptors) and self._all_handle(self._acceptors)

    def callers_are_busy(self) -> bool:
        """Whether each thread in `handle_request` is in a handler."""
        return self._all_handle(self._callers)

    def wake(self) -> None:
        """Have every thread that waits at the listener look at the server's state again."""
        for acceptor in (*self._acceptors, *self._callers):
            acceptor.wake()

    def close_spare(self) -> None:
        """Give back the descriptors that were kept for the next `handle_request`."""
        while self._spare:
            self._spare.pop().close()

    def close_inherited(self) -> None:
        """Close this process's copies of what the parent's acceptors hold. For a forked child."""
        for acceptor in (*self._acceptors, *self._callers, *self._spare):
            acceptor.close()

    def _all_handle(self, acceptors: dict[Acceptor, int]) -> bool:
        # The calling thread does not wait at the listener: it is in a hook that closes, say.
        others = set(acceptors.values()) - {threading.get_ident()}
        return all(self._in_flight.handled_by(thread) for thread in others)
