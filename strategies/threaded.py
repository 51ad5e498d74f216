"""A thread for each connection."""

from __future__ import annotations

from serverstrategy.strategy import Server

from ._arguments import at_least
from ._crew import Crew
from ._threads import ThreadsStrategy

# A thread that was started for a burst is kept for the next one, but not for ever.
_IDLE_TIMEOUT = 10.0


class Threaded(ThreadsStrategy):
    """Handles each connection in a thread of its own; a thread that is free is used again.

    For handlers that wait (for their client, a disk, another server), and for long-lived
    connections. Threads share memory, and one processor as far as they run Python.

    Args:
        limit: how many connections at the same time; further ones wait in the backlog.
            None: no limit, which trusts the clients.

    Raises:
        TypeError, ValueError: `limit` is neither None nor an int of at least 1.
    """

    def __init__(self, limit: int | None = None) -> None:
        at_least(1, limit, "limit", or_none=True)
        super().__init__()
        self.limit = limit

    def ready(self, server: Server) -> bool:
        """Whether fewer than `limit` connections are in flight."""
        return self.limit is None or len(server.in_flight) < self.limit

    def new_crew(self) -> Crew:
        """Return threads without a limit of their own: `ready` is the limit."""
        return Crew(None, _IDLE_TIMEOUT)
