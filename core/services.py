"""What a server does for its strategy, and for the threads that accept."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from . import listener, ownership
from .drain_report import ConnectionFate, DrainReport
from .drainable import Drainable
from .generation import CUT_TIME, cut_and_report, remaining, report_abandoned
from .handling import Handling
from .in_flight import InFlight
from .service_actions import ServiceActions
from .stop_signal import StopSignal
from .strategy import Strategy
from .waiter import Wait, Waiter
from .watched import Watched


class Services(Handling):
    """What the protocol `serverstrategy.Server` promises to a strategy."""

    grace_period: float | None = 30.0

    if not TYPE_CHECKING:  # to whom it is the method of `Hooks`
        service_actions = ServiceActions()

    @property
    def strategy(self) -> Strategy:
        """The object that runs the handlers. Can be replaced, also while the server serves.

        Then the assignment returns at once, in any thread, handler or signal handler: the strategy
        before stops accepting, the new one takes the listener, and `wait_until_serving` waits for
        that. Meanwhile connections wait in the backlog. The one before finishes its work beside the
        new one. It does so first where both share an object, or where the new one forks and it has
        threads: then for at most `grace_period` seconds, after which its connections are cut.

        While the server does not serve, the assignment waits for the work, as long at most.

        Raises:
            OSError: the platform cannot run it.
            TypeError: what is assigned is no strategy.
            ValueError: it serves another server, or cannot handle the datagrams of this one; or
                this server is being closed.
            RuntimeError: this is a child or a worker, whose parent has the listener.
        """
        return self._serverstrategy.strategy

    @strategy.setter
    def strategy(self, strategy: Strategy) -> None:
        ownership.check_strategy(strategy)
        state = self._serverstrategy
        serving, succession = state.serving, state.succession
        if state.is_child or (state.pid != os.getpid() and serving.thread is not None):
            raise RuntimeError(
                "a child process cannot replace the strategy of a server: its parent serves"
            )
        state.belong_to_this_process()
        if state.is_drained:
            succession.replace_closed(strategy)
            self._serverstrategy_given(strategy)
        elif strategy is state.strategy:
            self._serverstrategy_given(succession.current.strategy)
        elif state.is_closed:
            raise ValueError("the strategy of a server cannot be replaced while it is being closed")
        else:
            succession.assign(self, strategy)
            if not serving.is_ours():
                succession.take_over(self, in_background=serving.thread is not None)

    def _serverstrategy_given(self, strategy: Strategy) -> None:
        """Called when `strategy` has become the one that runs the handlers."""

    @property
    def in_flight(self) -> InFlight:
        """The connections that this process handles."""
        return self._serverstrategy.in_flight

    @property
    def drain_report(self) -> DrainReport | None:
        """What became of each connection that was in flight when `server_close` began to drain.

        Of those of which it is known: while the drain lasts, some are missing, and so is that of a
        handler which calls `server_close`, until the next call elsewhere. None before.
        """
        return self._serverstrategy.drain_record.report()

    @property
    def drain_began(self) -> float | None:
        """See `Server.drain_began`."""
        return self._serverstrategy.drain_record.began_at

    def note_fates(self, fates: Iterable[ConnectionFate]) -> None:
        """See `Server.note_fates`."""
        self._serverstrategy.drain_record.add(fates)

    def accept_until_stopped(self, stop: StopSignal, wait: Wait | None = None) -> None:
        """See `Server.accept_until_stopped`."""
        serving = self._serverstrategy.serving
        with serving.acceptors.acceptor(self, wait) as acceptor:  # type: ignore[arg-type]
            acceptor.run(stop, serving.poll_interval)

    def mark_serving(self) -> None:
        """See `Server.mark_serving`."""
        state = self._serverstrategy
        state.succession.mark(state.serving)
        state.in_flight.tell_accepting()

    def is_led(self) -> bool:
        """See `Server.is_led`."""
        return self._serverstrategy.relay.leader.leads

    def add_watched(self, watched: Watched) -> None:
        """See `Server.add_watched`."""
        self._serverstrategy.succession.current.add_watched(watched)

    def remove_watched(self, watched: Watched) -> None:
        """See `Server.remove_watched`."""
        self._serverstrategy.succession.current.remove_watched(watched)

    def wait_with_watched(self, waiter: Waiter, timeout: float | None) -> set[int]:
        """See `Server.wait_with_watched`."""
        succession = self._serverstrategy.succession
        ready = waiter.wait_beside(succession.watched(), timeout)
        if succession.retired.generations:
            succession.retired.attend(self)
        return ready

    def become_child(self) -> None:
        """See `Server.become_child`."""
        state = self._serverstrategy
        state.become_child()
        # Without `listener.close`: each function that a child calls copies pages.
        listening: Any = getattr(self, "socket", None)
        if state.listener.accepts(listening) and hasattr(listening, "close"):
            listening.close()

    def become_worker(self, stop: StopSignal) -> None:
        """See `Server.become_worker`."""
        stop.leave_siblings()
        self._serverstrategy.become_worker(stop)
        listener.share(self)

    def drain_or_cut(self, strategy: Drainable, timeout: float | None) -> bool:
        """See `Server.drain_or_cut`."""
        try:
            self._serverstrategy.drain_record.begin()
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
        cut_and_report(self.in_flight)

    def __drain(self, strategy: Drainable, timeout: float | None) -> bool:
        deadline = None if timeout is None else time.monotonic() + timeout
        state = self._serverstrategy
        # A handler cannot be made to wait for ever for a loop that waits for that handler. And a
        # grace of 0 is none for connections: the loop still gets the time to end.
        bound = None if timeout is None else max(timeout, CUT_TIME)
        state.serving.wait_until_listener_is_left(CUT_TIME if state.in_flight.is_here() else bound)
        if listener.accepts(getattr(self, "socket", None)):
            listener.close(self)
        state.drain_record.begin()  # again: the last ones were accepted meanwhile
        return strategy.drain(self, remaining(deadline))

    def __cut(self, strategy: Drainable) -> None:
        self.cut_in_flight()
        strategy.drain(self, CUT_TIME)
        report_abandoned(self.in_flight)
