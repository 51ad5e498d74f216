"""A fixed number of threads."""

from __future__ import annotations

from serverstrategy.strategy import Server

from ._arguments import at_least, cpu_count
from ._crew import Crew
from ._threads import ThreadsStrategy


class ThreadPool(ThreadsStrategy):
    """Handles connections in a fixed number of threads, which start as they are needed and stay.

    For handlers that wait, at a load that must not grow without bound. A long-lived connection
    takes a thread for all its life: where those are the rule, use `Threaded`.

    Args:
        threads: how many connections are handled at the same time. By default the number of
            processors and 4, at most 32, as `concurrent.futures.ThreadPoolExecutor` has it.
        waiting: how many more are accepted, to wait for a thread. The others wait in the
            backlog, where a sibling process can take them.

    Raises:
        TypeError, ValueError: `threads` is no int of at least 1, or `waiting` of at least 0.
    """

    def __init__(self, threads: int | None = None, waiting: int = 0) -> None:
        at_least(1, threads, "threads", or_none=True)
        at_least(0, waiting, "waiting")
        super().__init__()
        self.threads = min(32, cpu_count() + 4) if threads is None else threads
        self.waiting = waiting

    def ready(self, server: Server) -> bool:
        """Whether a thread, or a place to wait for one, is free."""
        return len(server.in_flight) < self.threads + self.waiting

    def count_busy(self, connections: int) -> int:
        """Return all of them, or as many as there are threads."""
        return min(connections, self.threads)

    def new_crew(self) -> Crew:
        """Return at most `threads` threads."""
        return Crew(self.threads, None)
