"""A process for each connection."""

from __future__ import annotations

import logging
import threading
import time
from functools import partial
from typing import Any

from serverstrategy.stop_signal import StopSignal
from serverstrategy.strategy import Server, Strategy

from ._arguments import at_least, why_no_fork
from ._child import join_threads
from ._children import Children

_logger = logging.getLogger("serverstrategy")


class Forking(Strategy):
    """Handles each connection in a process of its own, forked from this one.

    For handlers that may crash, leak or change global state, and for work that needs more than
    one processor. A fork takes one to two milliseconds, and what a handler changes in memory is
    gone with its process.

    Args:
        limit: how many children at the same time; further connections wait in the backlog.

    Raises:
        TypeError, ValueError: `limit` is no int of at least 1.
    """

    multiprocess = True

    def __init__(self, limit: int = 40) -> None:
        at_least(1, limit, "limit")
        self.limit = limit
        self._children = Children()
        self._is_serving = False

    @property
    def unsupported(self) -> str | None:  # type: ignore[override]
        """Why not here: the platform has no fork."""
        return why_no_fork("Forking")

    def serve(self, server: Server, stop: StopSignal) -> None:
        """Accept, with the children watched before there are any.

        So the server knows, even if there never is one, that it hears of all.
        """
        server.add_watched(self._children)
        self._is_serving = True
        try:
            super().serve(server, stop)
        finally:
            self._is_serving = False
            if not self._children.pids():
                server.remove_watched(self._children)

    def ready(self, server: Server) -> bool:
        """Whether fewer than `limit` connections are in flight."""
        return len(server.in_flight) < self.limit

    def process_request(self, server: Server, request: Any, client_address: Any) -> None:
        """Fork a child, which handles the connection and exits.

        Raises:
            OSError: the system refuses another process.
        """
        self._children.check()
        kept = server.address_beside_child(client_address)
        try:
            self._children.fork(
                partial(_handle_in_child, server, request, client_address),
                partial(self._begin, server, request, kept),
                partial(self._end, server, request, kept),
            )
        except BaseException:
            if server.in_flight.is_begun(request):  # a signal handler has raised: the child has it
                server.close_request(request)
            raise
        server.close_request(request)

    def drain(self, server: Server, timeout: float | None) -> bool:
        """Wait for the children, and reap them."""
        deadline = None if timeout is None else time.monotonic() + timeout
        if not self._children.wait(timeout):
            return False
        self._children.close()
        remaining = None if deadline is None else max(0.0, deadline - time.monotonic())
        return server.in_flight.wait_for_none(remaining)

    def _begin(self, server: Server, request: Any, client_address: Any, pid: int) -> None:
        if not self._is_serving:
            server.add_watched(self._children)
        server.in_flight.hand_to_child(request, pid, client_address)

    def _end(
        self, server: Server, request: Any, client_address: Any, pid: int, status: int
    ) -> None:
        if not self._is_serving and not self._children.pids():
            server.remove_watched(self._children)
        server.end_child(request, client_address)
        if status < 0:
            _logger.error(
                "child %d was ended by signal %d while it handled the connection from %s",
                pid,
                -status,
                client_address,
            )


def _handle_in_child(server: Server, request: Any, client_address: Any) -> int:
    server.become_child()
    server.complete_request(request, client_address)
    if getattr(request, "fileno", lambda: -1)() != -1:
        # It is still open: a thread has it, and all threads here were started by the handler.
        join_threads(threading.enumerate())
    return 0
