"""One thread's wait at the listener: for a connection, for room, or for the stop."""

from __future__ import annotations

import threading
import time
from typing import Protocol

from .in_flight import InFlight
from .shortage import Shortage
from .stop_signal import StopSignal
from .strategy import Server, Strategy, Watched
from .waiter import Waiter


class AcceptingServer(Server, Protocol):
    """What an acceptor asks of its server, beyond what a strategy may."""

    in_flight: InFlight
    shortage: Shortage
    watched: tuple[Watched, ...]

    @property
    def strategy(self) -> Strategy:
        """The object that runs the handlers."""
        raise NotImplementedError

    def is_closed(self) -> bool:
        """Whether there is nothing more to accept from."""
        raise NotImplementedError

    def service_interval(self) -> float | None:
        """How often `service_actions` is due, in seconds; None: never."""
        raise NotImplementedError

    def service_actions(self) -> None:
        """What is due then."""

    def _handle_request_noblock(self) -> None:
        """Accept one connection if there is one and there is room, and hand it on."""


class Acceptor:
    """Waits until a connection can be accepted and there is room for it.

    Opens two file descriptors; `close` gives them back.

    Attributes:
        thread: the identifier of the thread that accepts.

    Raises:
        OSError: no file descriptor is left (EMFILE, ENFILE).
    """

    def __init__(self, server: AcceptingServer) -> None:
        self.thread = threading.get_ident()
        self._server = server
        self._waiter = Waiter()
        self._watching: dict[int, Watched] = {}
        self._listener = -1

    def run(self, stop: StopSignal) -> None:
        """Accept until `stop` is heard, or until the listener is closed."""
        server = self._server
        stop_fds = set(stop.filenos())
        for fd in stop_fds:
            self._waiter.watch(fd)
        with self._waiter:
            server.mark_serving()
            while not server.is_closed():
                timeout = server.service_interval()
                ready = self._wait(timeout)
                if not stop_fds.isdisjoint(ready) and stop.is_set():
                    break
                if self._listener in ready:
                    server._handle_request_noblock()
                server.service_actions()

    def wait_for_connection(self, timeout: float | None) -> bool:
        """Block for at most `timeout` seconds (None: for ever) until one can be accepted.

        Returns:
            Whether one can. False after the timeout, or if the server is closed meanwhile.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._waiter:
            while not self._server.is_closed():
                remaining = None if deadline is None else max(0.0, deadline - time.monotonic())
                if self._listener in self._wait(remaining):
                    return True
                if remaining == 0.0:
                    break
        return False

    def wake(self) -> None:
        """Have the wait look at the server's state again. From any thread."""
        self._waiter.wake()

    def close(self) -> None:
        """Give the file descriptors back."""
        self._waiter.close()

    def _wait(self, timeout: float | None) -> set[int]:
        """Wait once, for at most `timeout` seconds; the listener takes part only if there is room.

        Returns:
            The descriptors that are readable, the listener's only if one may be accepted.
        """
        server, waiter = self._server, self._waiter
        tick = self._watch_what_the_server_watches()
        pause = server.shortage.remaining()
        parked = False
        if not pause and not server.strategy.ready(server):
            # The order matters: what ends after `park` wakes us, what ended before is asked for.
            server.in_flight.park(waiter)
            parked = not server.strategy.ready(server)
        self._watch_listener(not pause and not parked)
        try:
            ready = waiter.wait(_shortest(timeout, tick, pause or None))
        finally:
            server.in_flight.unpark(waiter)
        for fd, watched in self._watching.items():
            if fd in ready or watched.tick() is not None:
                watched.check()
        return ready

    def _watch_listener(self, wanted: bool) -> None:
        fd = self._server.fileno() if wanted else -1
        if fd != self._listener:
            if self._listener != -1:
                self._waiter.unwatch(self._listener)
            if fd != -1:
                self._waiter.watch(fd)
            self._listener = fd

    def _watch_what_the_server_watches(self) -> float | None:
        wanted = {watched.fileno(): watched for watched in self._server.watched}
        if wanted.keys() != self._watching.keys():
            for fd in self._watching.keys() - wanted.keys():
                self._waiter.unwatch(fd)
            for fd in wanted.keys() - self._watching.keys():
                if fd != -1:
                    self._waiter.watch(fd)
            self._watching = wanted
        return _shortest(*(watched.tick() for watched in wanted.values()))


def _shortest(*timeouts: float | None) -> float | None:
    return min((timeout for timeout in timeouts if timeout is not None), default=None)
