"""Notes what becomes of each connection while a server drains."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from .connection import Connection, without_resources
from .drain_report import ConnectionFate, DrainReport, Fate

if TYPE_CHECKING:
    from .in_flight import InFlight


class DrainRecord:
    """The making of one server's `DrainReport`, in one process.

    The register of connections tells it what ends, from `begin` on.

    Args:
        in_flight: the register of the server's connections.

    Attributes:
        began_at: when it began to note, in seconds of `time.monotonic`; None: it has not.
    """

    def __init__(self, in_flight: InFlight) -> None:
        self._in_flight = in_flight
        # Reentrant, because a signal handler runs inside whatever the main thread is doing.
        self._lock = threading.RLock()
        self._open: dict[Connection, None] = {}  # in their order
        self._fates: list[ConnectionFate] = []
        self._is_running = False
        self._report: DrainReport | None = None
        self.began_at: float | None = None

    def begin(self) -> None:
        """Note what is in flight now. Again: what has come since; after `end`: nothing."""
        if self._report is not None:
            return
        if not self._is_running:
            self.began_at = time.monotonic()
            self._is_running = True
            self._in_flight.observe(self)
        with self._lock:
            self._open.update(dict.fromkeys(self._in_flight))

    def end(self) -> None:
        """Make the report final, and keep no connection."""
        if self._is_running:
            self._report = self.report()
            self._is_running = False
            self._in_flight.forget_observer(self)
            self._open, self._fates = {}, []

    def accepting(self) -> None:
        """See `Observer.accepting`. It changes nothing here."""

    def began(self, connection: Connection) -> None:
        """See `Observer.began`. What begins now is noted by the next `begin`."""

    def handed_to_child(self, connection: Connection) -> None:
        """See `Observer.handed_to_child`. It changes nothing here."""

    def ended(self, connection: Connection) -> None:
        """See `Observer.ended`."""
        with self._lock:
            if connection in self._open:
                del self._open[connection]
                self._fates.append(_fate(connection, "cut" if connection.is_cut else "finished"))

    def add(self, fates: Iterable[ConnectionFate]) -> None:
        """Add connections that only the strategy knows of. Ignored if nothing is recorded."""
        with self._lock:
            if self._is_running:
                self._fates.extend(fates)

    def report(self) -> DrainReport | None:
        """What is known; None if no drain has begun.

        Without those whose fate is open: they have not ended, and have not been cut.
        """
        if not self._is_running:
            return self._report
        with self._lock:
            # Who waits until none is left may be told so a moment before `ended` is called.
            for connection in self._open.keys() - set(self._in_flight):
                self.ended(connection)
            abandoned = [each for each in self._open if each.is_cut]
            return DrainReport([*self._fates, *(_fate(each, "abandoned") for each in abandoned)])


def _fate(connection: Connection, fate: Fate) -> ConnectionFate:
    return ConnectionFate(without_resources(connection.client_address), connection.age, fate)
