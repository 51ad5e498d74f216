"""Notes what becomes of each connection while a server drains."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING

from .connection import Connection, without_resources
from .drain_report import ConnectionFate, DrainReport, Fate

if TYPE_CHECKING:
    from .in_flight import InFlight


class DrainRecord:
    """The making of one server's `DrainReport`, in one process.

    The register of connections tells it what is cut and what ends, from `begin` on.

    Args:
        in_flight: the register of the server's connections.
    """

    def __init__(self, in_flight: InFlight) -> None:
        self._in_flight = in_flight
        # Reentrant, because a signal handler runs inside whatever the main thread is doing.
        self._lock = threading.RLock()
        self._is_cut: dict[Connection, bool] = {}  # those that have not ended
        self._fates: list[ConnectionFate] = []
        self._is_running = False
        self._report: DrainReport | None = None

    def begin(self) -> None:
        """Note what is in flight now. Again: what has come since; after `end`: nothing."""
        if self._report is not None:
            return
        if not self._is_running:
            self._is_running = True
            self._in_flight.tell(self)
        with self._lock:
            for connection in self._in_flight:
                self._is_cut.setdefault(connection, False)

    def end(self) -> None:
        """Make the report final, and keep no connection."""
        if self._is_running:
            self._report = self.report()
            self._is_running = False
            self._in_flight.tell(None)
            self._is_cut, self._fates = {}, []

    def note_cut(self, connection: Connection) -> None:
        """Note that it is being ended from outside."""
        with self._lock:
            if connection in self._is_cut:
                self._is_cut[connection] = True

    def note_end(self, connection: Connection) -> None:
        """Note that it is closed."""
        with self._lock:
            is_cut = self._is_cut.pop(connection, None)
            if is_cut is not None:
                self._fates.append(_fate(connection, "cut" if is_cut else "finished"))

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
            left = set(self._in_flight)
            # Who waits until none is left may be told so a moment before `note_end` is called.
            for connection in self._is_cut.keys() - left:
                self.note_end(connection)
            abandoned = [each for each, is_cut in self._is_cut.items() if is_cut]
            return DrainReport([*self._fates, *(_fate(each, "abandoned") for each in abandoned)])


def _fate(connection: Connection, fate: Fate) -> ConnectionFate:
    return ConnectionFate(without_resources(connection.client_address), connection.age, fate)
