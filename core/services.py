"""What a server does for its strategy, and for the threads that accept."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from . import listener, ownership
from .handling import Handling
from .in_flight import InFlight
from .service_actions import ServiceActions
from .stop_signal import StopSignal
from .strategy import Strategy, Watched
from .waiter import Wait

_logger = logging.getLogger("serverstrategy")

CUT_TIME = 1.0
"""How long handlers may take to notice that their connection was cut, in seconds."""


class Services(Handling):
    """What the protocol `serverstrategy.Server` promises to a strategy."""

    grace_period: float | None = 30.0

    if not TYPE_CHECKING:  # to whom it is the method of `Hooks`
        service_actions = ServiceActions()

    @property
    def strategy(self) -> Strategy:
        """The object that runs the handlers. Can be replaced while the server does not serve.

        Raises:
            OSError: the platform cannot run it.
            TypeError: what is assigned is no strategy.
            ValueError: it serves another server, or cannot handle the datagrams of this one.
            RuntimeError: this server is serving.
        """
        return self._serverstrategy.strategy

    @strategy.setter
    def strategy(self, strategy: Strategy) -> None:
        ownership.check_strategy(strategy)
        state = self._serverstrategy
        if state.serving.thread is not None:
            raise RuntimeError("the strategy of a server cannot be replaced while it serves")
        before = state.strategy
        if not state.is_drained:
            ownership.claim(strategy, self)
            if strategy is not before:
                before.drain(self, self.grace_period)  # type: ignore[arg-type]
                ownership.release(before, self)
                ownership.claim(strategy, self)  # one of the two may be a part of the other
        state.strategy = strategy
        self._serverstrategy_given(strategy)

    def _serverstrategy_given(self, strategy: Strategy) -> None:
        """Called when `strategy` has been assigned."""

    @property
    def in_flight(self) -> InFlight:
        """The connections that this process handles."""
        return self._serverstrategy.in_flight

    def accept_until_stopped(self, stop: StopSignal, wait: Wait | None = None) -> None:
        """See `Server.accept_until_stopped`."""
        serving = self._serverstrategy.serving
        with serving.acceptor(self, wait) as acceptor:  # type: ignore[arg-type]
            acceptor.run(stop, serving.poll_interval)

    def mark_serving(self) -> None:
        """See `Server.mark_serving`."""
        self._serverstrategy.serving.mark()

    def add_watched(self, watched: Watched) -> None:
        """See `Server.add_watched`."""
        state = self._serverstrategy
        if watched not in state.watched:
            state.watched = (*state.watched, watched)

    def remove_watched(self, watched: Watched) -> None:
        """See `Server.remove_watched`."""
        state = self._serverstrategy
        state.watched = tuple(each for each in state.watched if each is not watched)

    def become_child(self) -> None:
        """See `Server.become_child`."""
        state = self._serverstrategy
        state.leave_parent(state.serving.signal)
        if listener.accepts(getattr(self, "socket", None)):
            listener.close(self)

    def become_worker(self, stop: StopSignal) -> None:
        """See `Server.become_worker`."""
        stop.leave_siblings()
        self._serverstrategy.leave_parent(stop)
        listener.share(self)

    def drain_or_cut(self, strategy: Strategy, timeout: float | None) -> bool:
        """See `Server.drain_or_cut`."""
        try:
            if self.__drain(strategy, timeout):
                return True
        except BaseException:
            self.__cut(strategy)
            raise
        finally:
            # Not before, where the handlers answer on it.
            listener.close(self)
        self.__cut(strategy)
        return False

    def cut_in_flight(self) -> None:
        """See `Server.cut_in_flight`."""
        # Said before it is done: a worker may be gone as soon as its handler notices.
        for connection in self.in_flight.others():
            _logger.warning("closing: cut the %s", connection)
        self.in_flight.cut()

    def __drain(self, strategy: Strategy, timeout: float | None) -> bool:
        deadline = None if timeout is None else time.monotonic() + timeout
        state = self._serverstrategy
        # A handler cannot be made to wait for ever for a loop that waits for that handler. And a
        # grace of 0 is none for connections: the loop still gets the time to end.
        bound = None if timeout is None else max(timeout, CUT_TIME)
        state.serving.wait_until_listener_is_left(CUT_TIME if state.in_flight.is_here() else bound)
        if listener.accepts(getattr(self, "socket", None)):
            listener.close(self)
        remaining = None if deadline is None else max(0.0, deadline - time.monotonic())
        return strategy.drain(self, remaining)  # type: ignore[arg-type]

    def __cut(self, strategy: Strategy) -> None:
        self.cut_in_flight()
        strategy.drain(self, CUT_TIME)  # type: ignore[arg-type]
        for connection in self.in_flight.others():
            _logger.warning("closing: abandoned the %s: its handler goes on", connection)
