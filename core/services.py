"""What a server does for its strategy, and for the threads that accept."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time

from . import ownership
from .handling import Handling
from .hooks import Hooks
from .in_flight import InFlight
from .serving import Serving
from .stop_signal import StopSignal
from .strategy import Strategy, Watched

_logger = logging.getLogger("serverstrategy")

CUT_TIME = 1.0
"""How long handlers may take to notice that their connection was cut, in seconds."""


class Services(Handling):
    """What the protocol `serverstrategy.Server` promises to a strategy."""

    grace_period: float | None
    socket: socket.socket
    watched: tuple[Watched, ...]
    _is_closed: bool
    _is_drained: bool
    _pid: int

    @property
    def strategy(self) -> Strategy:
        """The object that runs the handlers. Can be replaced while the server does not serve.

        Raises:
            TypeError: what is assigned is no strategy.
            ValueError: it serves another server.
            RuntimeError: this server is serving.
        """
        return self._strategy

    @strategy.setter
    def strategy(self, strategy: Strategy) -> None:
        ownership.check_strategy(strategy)
        if self._serving.thread is not None:
            raise RuntimeError("the strategy of a server cannot be replaced while it serves")
        before = self._strategy
        if not self._is_drained:
            ownership.claim(strategy, self)
            if strategy is not before:
                before.drain(self, self.grace_period)
                ownership.release(before, self)
                ownership.claim(strategy, self)  # one of the two may be a part of the other
        self._strategy = strategy

    def fileno(self) -> int:
        """The listener's descriptor; -1 if it is closed."""
        return self.socket.fileno()

    def accept_until_stopped(self, stop: StopSignal) -> None:
        """See `Server.accept_until_stopped`."""
        with self._serving.acceptor(self) as acceptor:
            acceptor.run(stop)

    def mark_serving(self) -> None:
        """See `Server.mark_serving`."""
        self._serving.mark()

    def watch(self, watched: Watched) -> None:
        """See `Server.watch`."""
        if watched not in self.watched:
            self.watched = (*self.watched, watched)

    def unwatch(self, watched: Watched) -> None:
        """See `Server.unwatch`."""
        self.watched = tuple(each for each in self.watched if each is not watched)

    def become_child(self) -> None:
        """See `Server.become_child`."""
        self._leave_parent(self._serving.signal)
        self.socket.close()

    def become_worker(self, stop: StopSignal) -> None:
        """See `Server.become_worker`."""
        stop.leave_siblings()
        self._leave_parent(stop)

    def drain_or_cut(self, strategy: Strategy, timeout: float | None) -> bool:
        """See `Server.drain_or_cut`."""
        deadline = None if timeout is None else time.monotonic() + timeout
        try:
            # A handler cannot be made to wait for ever for a loop that waits for that handler. And
            # a grace of 0 is none for connections: the loop still gets the time to end.
            bound = None if timeout is None else max(timeout, CUT_TIME)
            self._serving.wait_until_listener_is_left(
                CUT_TIME if self.in_flight.is_here() else bound
            )
            self.socket.close()
            remaining = None if deadline is None else max(0.0, deadline - time.monotonic())
            if strategy.drain(self, remaining):
                return True
        except BaseException:
            self.socket.close()
            self._cut(strategy)
            raise
        self._cut(strategy)
        return False

    def is_closed(self) -> bool:
        """Whether `server_close` was called, or somebody closed the listener."""
        return self._is_closed or self.socket.fileno() < 0

    def service_interval(self) -> float | None:
        """How often `service_actions` is due, in seconds; None: nobody overrides it."""
        is_ours = type(self).service_actions is Hooks.service_actions
        if is_ours and "service_actions" not in vars(self):
            return None
        return self._serving.poll_interval

    def cut(self) -> None:
        """See `Server.cut`."""
        # Said before it is done: a worker may be gone as soon as its handler notices.
        for connection in self.in_flight.others():
            _logger.warning("closing: cut the %s", connection)
        self.in_flight.cut()

    def _cut(self, strategy: Strategy) -> None:
        self.cut()
        strategy.drain(self, CUT_TIME)
        for connection in self.in_flight.others():
            _logger.warning("closing: abandoned the %s: its handler goes on", connection)

    def _start_afresh(self, stop: StopSignal | None) -> None:
        self._pid = os.getpid()
        self._serving.close_inherited()
        self._admission = threading.Lock()
        self.watched = ()
        self.in_flight = InFlight()
        self._serving = Serving(self.in_flight, stop, self._serving.poll_interval)

    def _leave_parent(self, stop: StopSignal | None) -> None:
        self._is_child = True
        self._start_afresh(stop)
