"""A worker's side of the scoreboard."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from itertools import count

from serverstrategy.connection import Connection
from serverstrategy.in_flight import InFlight

from ._roster import CUT, FINISHED, PLACES
from ._slot import BUSY, CLOSING, RETIRING, WAITING, Slot, pack_changes


class Tally:
    """Keeps the slot of this worker true: it observes the connections.

    It takes no lock where it can do without, since an acceptor and its threads would wait for each
    other at each connection.

    Args:
        slot: where to write.
        in_flight: the connections of this worker.
        ready: whether the strategy of this worker has room for a connection.
        is_concurrent: whether it handles several at the same time.
        count_threads: how many threads it has for its handlers; None: it never has any.
        on_accepting: called when connections are accepted from then on.
        on_begin: called when one has begun; None: nothing is.
        on_end: called with the number of connections so far when one has ended; None: nothing is.
    """

    def __init__(
        self,
        slot: Slot,
        in_flight: InFlight,
        ready: Callable[[], bool],
        is_concurrent: bool,
        count_threads: Callable[[], int] | None,
        on_accepting: Callable[[], None],
        on_begin: Callable[[], None] | None,
        on_end: Callable[[int], None] | None,
    ) -> None:
        self._slot = slot
        self._roster = slot.roster
        self._in_flight = in_flight
        self._ready = ready
        self._is_concurrent = is_concurrent
        self._count_threads = count_threads
        self._on_accepting = on_accepting
        self._on_begin = on_begin
        self._on_end = on_end
        # Reentrant, because a signal handler runs inside whatever the main thread is doing.
        self._lock = threading.RLock()
        # Taken in turn, so that those which have ended stay listed as long as can be: a drain that
        # has just begun in the parent asks for them.
        self._free = deque(range(PLACES))
        self._places: dict[Connection, int] = {}
        self._accepts, self._changes = count(1), count(1)
        self._change = 0
        self._connections = self._errors = self._threads = 0
        self._is_ending = False

    def accepting(self) -> None:
        """See `Observer.accepting`."""
        if not self._slot.accepting_since:
            self._slot.accepting_since = time.monotonic()
            self._update()
        self._on_accepting()

    def retire(self) -> None:
        """Note that none is accepted any more."""
        self._is_ending = True
        self._update()

    def began(self, connection: Connection) -> None:
        """See `Observer.began`."""
        self._connections = next(self._accepts)
        try:
            place = self._free.popleft()
        except IndexError:
            pass  # more than can be listed
        else:
            self._places[connection] = place
            self._roster.enter(place, connection.started, connection.client_address)
        self._update()
        if self._on_begin is not None:
            self._on_begin()

    def handed_to_child(self, connection: Connection) -> None:
        """See `Observer.handed_to_child`."""
        place = self._places.get(connection)
        if place is not None and connection.child is not None:
            self._roster.note_child(place, connection.child)
        self._update()

    def ended(self, connection: Connection) -> None:
        """See `Observer.ended`."""
        if connection.has_failed:
            with self._lock:
                self._errors += 1
        self._leave(connection)
        if self._count_threads is not None:
            # Not when it has begun: the thread that is started for it is not there yet.
            self._threads = self._count_threads()
        self._update()
        if self._on_end is not None:
            self._on_end(self._connections)

    def settle(self) -> None:
        """Note the end of what is not in flight any more: this process is about to exit.

        Who waits until nothing is left may be told so a moment before `ended` is called.
        """
        for connection in self._places.copy().keys() - set(self._in_flight):
            self._leave(connection)

    def _leave(self, connection: Connection) -> None:
        place = self._places.pop(connection, None)
        if place is not None:
            fate = CUT if connection.is_cut else FINISHED
            self._roster.note_fate(place, time.monotonic(), fate)
            self._free.append(place)

    def _update(self) -> None:
        """Write what is true now."""
        self._change = next(self._changes)
        while True:
            # All of it is derived anew. Whoever finds that something has changed meanwhile does it
            # once more, lest what another thread has written since is replaced by what was true.
            change = self._change
            number = len(self._in_flight)
            if self._is_ending:
                state = CLOSING if number else RETIRING
            else:
                state = BUSY if number else WAITING
            oldest = self._in_flight.oldest() if number else None
            self._slot.tell(
                pack_changes(
                    state,
                    self._connections,
                    self._errors,
                    number,
                    not self._is_ending and (self._is_concurrent or not number) and self._ready(),
                    self._threads,
                    0.0 if oldest is None else oldest.started,
                    time.monotonic(),
                )
            )
            if change == self._change:
                return
