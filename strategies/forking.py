"""A process for each connection."""

from __future__ import annotations

import logging
import select
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from serverstrategy.stop_signal import StopSignal
from serverstrategy.strategy import Server, Strategy

from ._arguments import at_least, why_no_fork
from ._child import join_threads
from ._children import Children
from ._worker_view import as_view

if TYPE_CHECKING:
    from ._spares import Spares

_logger = logging.getLogger("serverstrategy")


class Forking(Strategy):
    """Handles each connection in a process of its own, forked from this one.

    For handlers that may crash, leak or change global state, and for work that needs more than
    one processor. A fork takes one to two milliseconds, and what a handler changes in memory is
    gone with its process.

    Args:
        limit: how many connections at the same time; further ones wait in the backlog.
        spare: how many children `serve_forever` keeps waiting that were forked ahead, so that a
            connection need not wait for its fork. Each handles one connection, and another one is
            forked when there is nothing to accept. There are `limit + spare` children at most. Such
            a child has this process's memory as of its fork: of what a program, or a hook, changes
            later, it knows nothing. Where no spare one waits, or the connection is no plain socket
            with a plain address (TLS, a datagram), a child is forked for it.

    Raises:
        TypeError, ValueError: `limit` is no int of at least 1, or `spare` none of at least 0.
    """

    multiprocess = True

    def __init__(self, limit: int = 40, spare: int = 0) -> None:
        at_least(1, limit, "limit")
        at_least(0, spare, "spare")
        self.limit = limit
        self.spare = spare
        self._children = Children()
        self._spares = _make_spares(spare, self._children) if spare else None
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
            if self._spares is None:
                super().serve(server, stop)
            else:
                self._serve_with(self._spares, server, stop)
        finally:
            self._is_serving = False
            self._unwatch(server)

    def _serve_with(self, spares: Spares, server: Server, stop: StopSignal) -> None:
        from ._spare import Duty

        spares.begin(
            Duty(
                server,
                _complete,
                lambda: self.ready(server) and _is_readable(server),
                partial(self._unwatch, server),
            )
        )
        server.add_watched(spares)
        try:
            super().serve(server, stop)
        finally:
            server.remove_watched(spares)
            spares.end()

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
        begin = partial(self._begin, server, request, kept)
        end = partial(self._end, server, request, kept)
        try:
            if self._spares is None or not self._spares.give(request, client_address, begin, end):
                become_child = server.become_child  # looked up here, where it copies nothing
                main = partial(_handle_in_child, become_child, server, request, client_address)
                self._children.fork(main, begin, end)
        except BaseException:
            if server.in_flight.is_begun(request):  # a signal handler has raised: the child has it
                server.close_request(request)
            raise
        server.close_request(request)

    def drain(self, server: Server, timeout: float | None) -> bool:
        """Wait for the children, and reap them."""
        deadline = None if timeout is None else time.monotonic() + timeout
        if self._spares is not None:
            self._spares.end()  # once more, for what Ctrl-C may have interrupted
        if not self._children.wait(timeout):
            return False
        self._children.close()
        remaining = None if deadline is None else max(0.0, deadline - time.monotonic())
        return server.in_flight.wait_for_none(remaining)

    def status(self, server: Server) -> dict[str, Any]:
        """Add "children", how many there are."""
        view = as_view(server)
        if view is None:
            children = len(self._children.pids())
        else:
            children = sum(each.child is not None for each in view.in_flight)
        return super().status(server) | {"children": children}

    def _begin(self, server: Server, request: Any, client_address: Any, pid: int) -> None:
        if not self._is_serving:
            server.add_watched(self._children)
        server.in_flight.hand_to_child(request, pid, client_address)

    def _end(
        self, server: Server, request: Any, client_address: Any, pid: int, status: int
    ) -> None:
        self._unwatch(server)
        connection = server.in_flight.find(request)
        if connection is not None:
            connection.has_failed = status != 0
            connection.is_cut = connection.is_cut or status < 0
        server.end_child(request, client_address)
        if status < 0:
            _logger.error(
                "child %d was ended by signal %d while it handled the connection from %s",
                pid,
                -status,
                client_address,
            )

    def _unwatch(self, server: Server) -> None:
        if not self._is_serving and not self._children.pids():
            server.remove_watched(self._children)


def _make_spares(count: int, children: Children) -> Spares:
    # Imported here, since a strategy without any would have it in the memory that each fork copies.
    from ._spares import Spares

    return Spares(count, children)


def _handle_in_child(
    become_child: Callable[[], None], server: Server, request: Any, client_address: Any
) -> int:
    become_child()
    return _complete(server, request, client_address)


def _complete(server: Server, request: Any, client_address: Any) -> int:
    # Entered here, for what is noted of it.
    connection = server.in_flight.add(request, client_address)
    server.complete_request(request, client_address)
    fileno = getattr(request, "fileno", None)
    if fileno is not None and fileno() != -1:
        # It is still open: a thread has it, and all threads here were started by the handler.
        join_threads(threading.enumerate())
    return int(connection.has_failed)


def _is_readable(server: Server) -> bool:
    fd = server.fileno()
    if fd < 0:
        return False
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(0))
