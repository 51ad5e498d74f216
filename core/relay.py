"""The next connection, accepted by the thread that has ended one instead of the acceptor's."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from . import standard
from .listener import is_plain
from .service_actions import is_overridden

if TYPE_CHECKING:
    from .in_flight import InFlight
    from .state import State

_logger = logging.getLogger("serverstrategy")

_Hook = TypeVar("_Hook", bound=Callable[..., Any])

# An attempt that finds no backlog costs as much as a wait, so after one so many connections end
# before the next.
_ATTEMPT_AFTER = 16

_FOR_ANY_THREAD: set[object] = {standard.BaseServer.verify_request}


def for_any_thread(hook: _Hook) -> _Hook:
    """Mark a hook as one that may be called in any thread. Those of subclasses may not."""
    _FOR_ANY_THREAD.add(hook)
    return hook


class Place:
    """The place of a connection that the calling thread has ended.

    As a context manager it holds the admission, if nobody else does at this moment.
    """

    def __init__(self, state: State, part: InFlight) -> None:
        self._state = state
        self._part = part
        self._lock = state.admission
        self._is_held = False

    def may_be_taken(self) -> bool:
        """Whether it holds the admission, and there is an acceptor for which to accept."""
        return (
            self._is_held
            and self._state.serving.acceptors.go_on()
            and self._state.succession.current.in_flight is self._part
        )

    def __enter__(self) -> Place:
        self._is_held = self._lock.acquire(blocking=False)
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_held:
            self._lock.release()


class Relay:
    """Decides whether the thread that has ended a connection accepts the next one.

    Where there is a backlog, that saves two switches of threads: from the one that has ended its
    work to the acceptor, and from there to one that is free. It is done only if the strategy says
    that its threads may, and if no subclass has a hook on the way, since that would run in one
    thread or in another, depending on the load.
    """

    def __init__(self) -> None:
        self._until_attempt = 0
        self._threads: set[int] = set()

    def accept(self, server: Any, part: InFlight) -> bool:
        """Accept one connection in the place of one of `part` that has ended, if it may be.

        Returns:
            Whether one was, and has been handed on.
        """
        state: State = server._serverstrategy
        if not state.succession.current.strategy.threads_accept:
            return False
        self._until_attempt -= 1
        me = threading.get_ident()
        # A strategy that handles it at once, in this thread, ends here again.
        if self._until_attempt > 0 or me in self._threads or not _is_allowed(server, part):
            return False
        self._threads.add(me)
        accepted = False
        try:
            accepted = server._serverstrategy_accept(Place(state, part))
        except Exception:
            # The acceptor is woken instead: in its thread it can be raised.
            _logger.exception("accepting has failed in the thread that has ended a connection")
        finally:
            self._threads.discard(me)
            state.in_flight.poke()
        if not accepted:
            self._until_attempt = _ATTEMPT_AFTER
        return accepted

    def is_over(self) -> bool:
        """Whether no other thread is about to accept, or to hand on what it has accepted."""
        return not self._threads - {threading.get_ident()}


def _is_allowed(server: Any, part: InFlight) -> bool:
    state: State = server._serverstrategy
    generation = state.succession.current
    return (
        generation.in_flight is part
        and state.pid == os.getpid()  # a handler has forked, and its child has come back from it
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
