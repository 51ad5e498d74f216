"""The time that one strategy has in a server."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

from . import ownership
from .in_flight import InFlight
from .server_view import ServerView
from .strategy import Strategy
from .watched import Watched

_logger = logging.getLogger("serverstrategy")

CUT_TIME = 1.0
"""How long handlers may take to notice that their connection was cut, in seconds."""


class Generation:
    """A strategy with the connections that it was given, from its first accept to its last close.

    Attributes:
        strategy: the object that runs the handlers.
        view: what `facing` returns; None before it was called.
        in_flight: the connections that were accepted for it.
        watched: what it has the acceptors watch: the exits of its children, say.
        after: the generations that must be over before this one may accept.
        threads: those that drain it.
        is_over: whether everything that it started has ended, or was given up.
    """

    def __init__(self, strategy: Strategy, whole: InFlight) -> None:
        self.strategy = strategy
        self.view: Any = None  # a ServerView
        self.start_afresh(whole)

    def start_afresh(self, whole: InFlight) -> None:
        """Begin without a connection, with a part of the register `whole`."""
        self.in_flight = InFlight(whole)
        self.watched: tuple[Watched, ...] = ()
        self.after: tuple[Generation, ...] = ()
        self.threads: list[threading.Thread] = []
        self.is_over = False
        self._has_watched = False
        # Reentrant, because a signal handler runs inside whatever the main thread is doing.
        self._lock = threading.RLock()

    def facing(self, server: Any) -> Any:
        """What the strategy is handed: `server`, with the connections of this generation only.

        Always the same object until `leave`.
        """
        view = self.view
        if view is None:
            view = self.view = ServerView(server, self)
        return view

    def leave(self) -> None:
        """Let go of the server."""
        self.view = None

    def add_watched(self, watched: Watched) -> None:
        """See `Server.add_watched`."""
        if watched not in self.watched:
            with self._lock:
                self._has_watched = True
                self.watched = (*self.watched, watched)

    def remove_watched(self, watched: Watched) -> None:
        """See `Server.remove_watched`."""
        if watched in self.watched:
            with self._lock:
                self.watched = tuple(each for each in self.watched if each is not watched)

    def is_held(self) -> bool:
        """Whether it must not accept yet."""
        if self.after and all(each.is_over for each in self.after):
            self.after = ()
        return bool(self.after)

    def must_end_before(self, new: Strategy) -> bool:
        """Whether this must be over before `new` may accept.

        One strategy object cannot begin again before it has ended. And no process forks beside
        threads of ours: those of the handlers here, and those that drain this.
        """
        mine = {id(part) for part in ownership.nest(self.strategy)}
        if any(id(part) in mine for part in ownership.nest(new)):
            return True
        return new.multiprocess and (not self.strategy.multiprocess or bool(self.threads))

    def wants_a_thread(self) -> bool:
        """Whether somebody must wait until it has drained.

        Not for children that are watched: they are reaped by those who wait at the listener.
        """
        return not (self._has_watched or self.threads)

    def has_ended(self) -> bool:
        """Whether nothing is left to wait for, as far as can be told without the strategy."""
        if self.strategy.multiprocess and not self._has_watched and self.view is not None:
            return False  # it may have children of which only it knows
        return not (self.watched or self.in_flight)

    def drain(self, server: Any, timeout: float | None) -> bool:
        """Have the strategy drain, and wait at most `timeout` seconds (None: for ever).

        Returns:
            Whether everything has ended by itself.
        """
        return self.strategy.drain(self.facing(server), timeout)

    def drain_or_cut(self, server: Any, timeout: float | None) -> bool:
        """Drain for `timeout` seconds (None: for ever), then cut and report the rest.

        Returns:
            Whether everything has ended, cut or not.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        self.wait_until_begun(timeout)
        if self.drain(server, remaining(deadline)):
            return True
        cut_and_report(self.in_flight)
        if self.drain(server, CUT_TIME):
            return True
        report_abandoned(self.in_flight)
        return False

    def wait_until_begun(self, timeout: float | None) -> None:
        """Block until handlers have what was accepted, at most `timeout` seconds (None: for ever).

        A loop that is not ours may have accepted one that it has not handed over yet, and would
        have a strategy begin again that has drained.
        """
        self.in_flight.wait_until(self._all_are_begun, timeout)

    def _all_are_begun(self) -> bool:
        return all(connection.is_begun for connection in self.in_flight.others())


def remaining(deadline: float | None) -> float | None:
    """Seconds until `deadline` of `time.monotonic`, at least 0; None if there is none."""
    return None if deadline is None else max(0.0, deadline - time.monotonic())


def cut_and_report(in_flight: InFlight) -> None:
    """Cut what is in flight, and report whom."""
    # Said before it is done: a worker may be gone as soon as its handler notices.
    for connection in in_flight.others():
        _logger.warning("closing: cut the %s", connection)
    in_flight.cut()


def report_abandoned(in_flight: InFlight) -> None:
    """Report the connections that were cut, and whose handlers have not noticed."""
    for connection in in_flight.others():
        _logger.warning("closing: abandoned the %s: its handler goes on", connection)
