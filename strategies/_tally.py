"""A worker's side of the scoreboard."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from serverstrategy.connection import Connection
from serverstrategy.in_flight import InFlight

from ._slot import BUSY, CLOSING, LISTED, RETIRING, STARTING, WAITING, Slot


class Tally:
    """Keeps the slot of this worker true: it is told of each connection.

    Args:
        slot: where to write.
        in_flight: the connections of this worker.
        is_spare: whether this worker is ready for another connection.
        on_end: called after each connection that has ended.
    """

    def __init__(
        self,
        slot: Slot,
        in_flight: InFlight,
        is_spare: Callable[[], bool],
        on_end: Callable[[], None],
    ) -> None:
        self._slot = slot
        self._in_flight = in_flight
        self._is_spare = is_spare
        self._on_end = on_end
        # Reentrant, because a signal handler runs inside whatever the main thread is doing.
        self._lock = threading.RLock()
        self._free = list(range(LISTED))
        self._entries: dict[Connection, int] = {}
        self._is_ending = False

    def accepting(self) -> None:
        """Note that connections are accepted from now on."""
        if self._slot.state == STARTING:
            self._update()

    def retire(self) -> None:
        """Note that none is accepted any more."""
        self._is_ending = True
        self._update()

    def began(self, connection: Connection) -> None:
        """See `Observer.began`."""
        with self._lock:
            self._slot.connections += 1
            if self._free:
                entry = self._entries[connection] = self._free.pop()
                thread = threading.get_ident()
                peer = _text_of(connection.client_address)
                self._slot.list_connection(entry, connection.started, thread, peer)
            self._update()

    def ended(self, connection: Connection) -> None:
        """See `Observer.ended`."""
        with self._lock:
            self._slot.errors += connection.has_failed
            entry = self._entries.pop(connection, None)
            if entry is not None:
                self._slot.strike_off(entry)
                self._free.append(entry)
            self._update()
        self._on_end()

    def _update(self) -> None:
        # All of it is derived anew, so that no interruption leaves it wrong for longer than until
        # the next connection.
        with self._lock:
            oldest = self._in_flight.oldest()
            number = len(self._in_flight)
            if self._is_ending:
                state = CLOSING if number else RETIRING
            else:
                state = BUSY if number else WAITING
            self._slot.tell(
                state,
                number,
                0.0 if oldest is None else oldest.started,
                not self._is_ending and self._is_spare(),
                time.monotonic(),
            )


def _text_of(client_address: object) -> str:
    if isinstance(client_address, tuple) and len(client_address) >= 2:
        return f"{client_address[0]}:{client_address[1]}"
    return str(client_address)
