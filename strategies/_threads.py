"""What `Threaded` and `ThreadPool` have in common."""

from __future__ import annotations

import threading
import time
from typing import Any

from serverstrategy.strategy import Server, Strategy

from ._crew import Crew
from ._worker_view import as_view


class ThreadsStrategy(Strategy):
    """Hands connections to threads, which start with the first of them and end in `drain`."""

    multithread = True
    threads_accept = True

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._crew: Crew | None = None

    def __del__(self) -> None:
        """End the threads of a server that its application dropped instead of closing it."""
        crew: Crew | None = vars(self).get("_crew")  # not there if its constructor has failed
        if crew is not None:
            crew.dismiss()

    @property
    def thread_count(self) -> int:
        """How many threads there are now, in this process."""
        crew = self._crew
        return 0 if crew is None else len(crew)

    def new_crew(self) -> Crew:
        """Return the threads for the time until the next drain."""
        raise NotImplementedError

    def count_busy(self, connections: int) -> int:
        """How many threads have a connection, where there are so many."""
        return connections

    def process_request(self, server: Server, request: Any, client_address: Any) -> None:
        """Give the connection to a thread.

        Raises:
            RuntimeError: no thread can be started.
        """
        crew = self._crew
        if crew is None or crew.is_ending():
            with self._lock:
                crew = self._crew
                if crew is None or crew.is_ending():
                    crew = self._crew = self.new_crew()
        crew.add((server, request, client_address))

    def status(self, server: Server) -> dict[str, Any]:
        """Add "threads", how many there are, of which "busy" have a connection, and "idle" none."""
        shown = super().status(server)
        view = as_view(server)
        if view is not None:
            busy = self.count_busy(view.connections)
            threads = max(view.threads, busy)  # one may have started since the worker has counted
        else:
            crew = self._crew
            idents = set() if crew is None else crew.idents()
            threads, busy = (
                len(idents),
                sum(each["thread"] in idents for each in shown["connections"]),
            )
        return shown | {"threads": threads, "busy": busy, "idle": threads - busy}

    def drain(self, server: Server, timeout: float | None) -> bool:
        """Let the threads finish their work, and end them."""
        deadline = None if timeout is None else time.monotonic() + timeout
        crew = self._crew
        if crew is not None and crew.is_here():
            if not crew.end(timeout):
                return False
            with self._lock:
                if self._crew is crew and crew.is_gone():
                    self._crew = None
        remaining = None if deadline is None else max(0.0, deadline - time.monotonic())
        return server.in_flight.wait_for_none(remaining)
