"""The next connection, accepted by the thread that has ended one instead of the acceptor's."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from . import standard
from .leader import Leader
from .listener import is_plain
from .service_actions import is_overridden

if TYPE_CHECKING:
    from .accepting import AcceptingState
    from .in_flight import InFlight
    from .semaphore import BinarySemaphore
    from .state import State

_logger = logging.getLogger("serverstrategy")

_Hook = TypeVar("_Hook", bound=Callable[..., Any])

# An attempt that finds no backlog costs as much as a wait, so after one so many connections end
# before the next.
_ATTEMPT_AFTER = 16

# After how many connections the acceptor has a turn: nobody else finds out whether one thread alone
# would get more done.
_IN_A_ROW = 256

_FOR_ANY_THREAD: set[object] = {standard.BaseServer.verify_request}


def for_any_thread(hook: _Hook) -> _Hook:
    """Mark a hook as one that may be called in any thread. Those of subclasses may not."""
    _FOR_ANY_THREAD.add(hook)
    return hook


class Turn(NamedTuple):
    """How far it was when an acceptor began to accept without waits."""

    began: float
    ended: int
    attempts: int


class Relay:
    """Decides whether the thread that has ended a connection accepts the next one.

    Where there is a backlog, that saves two switches of threads: from the one that has ended its
    work to the acceptor, and from there to one that is free. It is done only if the strategy says
    that its threads may, and if no subclass has a hook on the way, since that would run in one
    thread or in another, depending on the load.

    Attributes:
        leader: decides whether only one of the threads does so, while the acceptor waits though
            there is room.
    """

    def __init__(self) -> None:
        self.leader = Leader()
        self._until_attempt = 0
        self._in_a_row = 0
        self._threads: set[int] = set()

    def accept(self, server: Any, part: InFlight) -> bool:
        """Accept one connection in the place of one of `part` that has ended, if it may be.

        Returns:
            Whether one was, and has been handed on; or another thread does it.
        """
        state: State = server._serverstrategy
        generation = state.succession.current
        if generation.in_flight is not part or not generation.strategy.threads_accept:
            return False
        me = threading.get_ident()
        if self.leader.excuses(me):
            return True
        self._until_attempt -= 1
        self._in_a_row += 1
        if self._in_a_row > _IN_A_ROW:
            self._in_a_row = 0
            return False
        # A strategy that handles it at once, in this thread, ends here again.
        if self._until_attempt > 0 or me in self._threads or not _is_allowed(server):
            return False
        self._threads.add(me)
        accepted = False
        try:
            accepted = server._serverstrategy_accept(part)
        except Exception:
            # The acceptor is woken instead: in its thread it can be raised.
            _logger.exception("accepting has failed in the thread that has ended a connection")
        finally:
            self._threads.discard(me)
            state.in_flight.poke()
        if not accepted:
            self._until_attempt = _ATTEMPT_AFTER
        return accepted

    def leave_to_one(self, server: Any, room: BinarySemaphore) -> bool:
        """Wait for a moment while one thread accepts and handles alone, if that may be worth it.

        For the thread of an acceptor.

        Args:
            server: from whose listener.
            room: what wakes the acceptor where no thread accepts.

        Returns:
            Whether one was accepted meanwhile, and there may be more.
        """
        state: State = server._serverstrategy
        generation = state.succession.current
        part = generation.in_flight
        span = self.leader.span() if part and generation.strategy.threads_accept else 0.0
        if not span:
            return False
        if not _is_allowed(server):
            self.leader.put_off()
            return False
        room.wait(0.0)  # for a wake-up that came too late for the wait before
        began, before = time.monotonic(), state.accepted
        try:
            self.leader.begin(span)
            state.in_flight.park(room)
            # The end of the last connection wakes nobody if it came before.
            is_woken = not part or room.wait(span)
            seconds = time.monotonic() - began
            if is_woken:
                self.leader.rest(seconds)
            else:
                self.leader.judge(state.accepted - before, seconds)
        finally:
            state.in_flight.unpark(room)
            self.leader.end()
        return not is_woken and state.accepted != before

    def begin_turn(self, state: AcceptingState) -> Turn:
        """Where the connections stand before an acceptor accepts without waits."""
        ended = state.accepted - len(state.in_flight)
        return Turn(time.monotonic(), ended, self.leader.attempts)

    def end_turn(self, state: AcceptingState, turn: Turn) -> None:
        """Measure how many connections have ended since, if nobody has led meanwhile."""
        if self.leader.attempts == turn.attempts:
            ended = state.accepted - len(state.in_flight)
            self.leader.note_all(ended - turn.ended, time.monotonic() - turn.began)

    def goes_on(self, state: State, part: InFlight) -> bool:
        """Whether there is still an acceptor, of the strategy that `part` belongs to."""
        return state.serving.acceptors.go_on() and state.succession.current.in_flight is part

    def is_over(self) -> bool:
        """Whether no other thread is about to accept, or to hand on what it has accepted."""
        return not self._threads - {threading.get_ident()}


def _is_allowed(server: Any) -> bool:
    state: State = server._serverstrategy
    generation = state.succession.current
    return (
        state.pid == os.getpid()  # a handler has forked, and its child has come back from it
        and not state.admission.locked()  # somebody accepts already
        and not (state.succession.retired.generations or generation.watched)
        and not state.shortage.has_failed
        # A listener of another kind may do a handshake, for which the stop would have to wait.
        and is_plain(getattr(server, "socket", None))
        and state.listener.may_be_tried(server)
        and getattr(server.verify_request, "__func__", None) in _FOR_ANY_THREAD
        and getattr(server.process_request, "__func__", None) in _FOR_ANY_THREAD
        and getattr(server._handle_request_noblock, "__func__", None) in _FOR_ANY_THREAD
        and not is_overridden(server)
    )
