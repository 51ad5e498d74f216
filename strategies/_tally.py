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
from ._slot import (
    CONNECTIONS,
    ERRORS,
    HAS_ROOM,
    IN_FLIGHT,
    NO_ROOM,
    OLDEST,
    RETIRING,
    ROOM,
    ROOM_IF_IDLE,
    SINCE,
    THREADS,
    WAITING,
    Slot,
)


class Tally:
    """Keeps the slot of this worker true: it observes the connections.

    It takes no lock where it can do without, since an acceptor and its threads would wait for each
    other at each connection.

    Args:
        slot: where to write.
        in_flight: the connections of this worker.
        ready: whether the strategy of this worker has room for a connection; None: it always has.
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
        ready: Callable[[], bool] | None,
        is_concurrent: bool,
        count_threads: Callable[[], int] | None,
        on_accepting: Callable[[], None],
        on_begin: Callable[[], None] | None,
        on_end: Callable[[int], None] | None,
    ) -> None:
        self._slot = slot
        self._numbers, self._times = slot.numbers, slot.times
        self._roster = slot.roster
        self._in_flight = in_flight
        self._ready = ready
        self._room = ROOM if is_concurrent else ROOM_IF_IDLE
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
        self._connections = self._errors = 0

    def accepting(self) -> None:
        """See `Observer.accepting`."""
        if not self._slot.accepting_since:
            self._slot.accepting_since = now = time.monotonic()
            self._enter_phase(WAITING, self._room, now)
        self._on_accepting()

    def retire(self) -> None:
        """Note that none is accepted any more."""
        self._room = NO_ROOM
        self._enter_phase(RETIRING, NO_ROOM, time.monotonic())

    def began(self, connection: Connection) -> None:
        """See `Observer.began`."""
        self._numbers[CONNECTIONS] = self._connections = next(self._accepts)
        started = connection.started
        try:
            self._places[connection] = place = self._free.popleft()
        except IndexError:
            pass  # more than can be listed
        else:
            self._roster.enter(place, started, connection.client_address)
        self._update(started, started)
        if self._on_begin is not None:
            self._on_begin()

    def handed_to_child(self, connection: Connection) -> None:
        """See `Observer.handed_to_child`."""
        place = self._places.get(connection)
        if place is not None and connection.child is not None:
            self._roster.note_child(place, connection.child)
        self._update(time.monotonic())

    def ended(self, connection: Connection) -> None:
        """See `Observer.ended`."""
        if connection.has_failed:
            with self._lock:
                self._errors += 1
                self._numbers[ERRORS] = self._errors
        now = time.monotonic()
        self._leave(connection, now)
        if self._count_threads is not None:
            # Not when it has begun: the thread that is started for it is not there yet.
            self._numbers[THREADS] = self._count_threads()
        self._update(now)
        if self._on_end is not None:
            self._on_end(self._connections)

    def settle(self) -> None:
        """Note the end of what is not in flight any more: this process is about to exit.

        Who waits until nothing is left may be told so a moment before `ended` is called.
        """
        for connection in self._places.copy().keys() - set(self._in_flight):
            self._leave(connection, time.monotonic())

    def _leave(self, connection: Connection, now: float) -> None:
        place = self._places.pop(connection, None)
        if place is not None:
            self._roster.note_fate(place, now, CUT if connection.is_cut else FINISHED)
            self._free.append(place)

    def _enter_phase(self, phase: int, room: int, now: float) -> None:
        self._slot.phase = phase
        self._slot.has_room = room
        self._update(now)

    def _update(self, now: float, began: float | None = None) -> None:
        """Write what is true now, at the time `now`.

        Args:
            now: in seconds of `time.monotonic`.
            began: when the connection was accepted that has begun just now; None: none has.
        """
        numbers, times = self._numbers, self._times
        self._change = change = next(self._changes)
        while True:
            # All of it is derived anew. Whoever finds that something has changed meanwhile does it
            # once more, lest what another thread has written since is replaced by what was true.
            number = len(self._in_flight)
            if not number:
                times[OLDEST] = 0.0
            elif number == 1 and began is not None:
                times[OLDEST] = began  # it is still there, whatever else has ended
            else:
                oldest = self._in_flight.oldest()
                times[OLDEST] = 0.0 if oldest is None else oldest.started
            numbers[IN_FLIGHT] = number
            if self._ready is not None:
                numbers[HAS_ROOM] = self._room if self._ready() else NO_ROOM
            times[SINCE] = now
            if change == self._change:
                return
            change = self._change
