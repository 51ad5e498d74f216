"""A limit for each client, around any strategy."""

from __future__ import annotations

import contextlib
import logging
import socket
import struct
import threading
from typing import Any

from serverstrategy.strategy import Server, Strategy

from ._arguments import at_least
from ._counting_layer import CountingLayer

_logger = logging.getLogger("serverstrategy")

# socket(7): what is left is dropped, and the peer gets a reset.
_LINGER_NOT_AT_ALL = struct.pack("ii", 1, 0)


class PerClient(CountingLayer):
    """Lets each client have at most `n` connections at the same time; surplus ones are closed.

    A client is a host: the first part of the peer's address, whatever its port. The peers of a Unix
    socket are told apart by the paths that they have bound; those without one, nearly all, cannot
    be told apart and are one client. Who is accepted shows only after the accept: while `inner` has
    no room, everybody waits in the backlog.

    It holds for one process: inside `Prefork`, for each worker. Of a datagram server it counts the
    datagrams of a host that are being handled, and drops surplus ones, unanswered.

    Args:
        n: how many connections of one client at the same time.
        inner: the strategy that handles them.
        on_full: what becomes of surplus ones. "close": they are closed, without a handler. "reset":
            the same by a reset (RST), which leaves no connection in TIME_WAIT.

    Raises:
        TypeError, ValueError: `n` is no int of at least 1; `inner` is no strategy, or a `Prefork`;
            `on_full` is none of the two.
    """

    def __init__(self, n: int, inner: Strategy, on_full: str = "close") -> None:
        at_least(1, n, "n")
        if on_full not in ("close", "reset"):
            raise ValueError(f"on_full must be 'close' or 'reset', not {on_full!r}")
        self.n = n
        self.on_full = on_full
        self._lock = threading.RLock()
        super().__init__(inner)

    def process_request(self, server: Server, request: Any, client_address: Any) -> None:
        """Have `inner` handle the connection, or close it if its client has `n` others."""
        # One at a time, or two at once would both find the other and both be closed.
        with self._lock:
            if self._is_full(server, request, _client(client_address)):
                _logger.info(
                    "closed the connection from %s: %d others are its limit", client_address, self.n
                )
                if self.on_full == "reset":
                    _reset(request)
                server.refuse_request(request, client_address)
                return
        self.inner.process_request(server, request, client_address)

    def _is_full(self, server: Server, request: Any, client: object) -> bool:
        others = sum(
            each.is_taken and each.request is not request and _client(each.client_address) == client
            for each in server.in_flight
        )
        return others >= self.n


def _client(address: Any) -> object:
    """What the addresses of one client have in common."""
    host = address[0] if isinstance(address, tuple) and address else address
    # A listener for IPv6 may take IPv4 as well, and shows such addresses so (RFC 4291, 2.5.5.2).
    return host.removeprefix("::ffff:") if isinstance(host, str) else host


def _reset(request: Any) -> None:
    # AttributeError: a datagram, or something else that is no socket. OSError: closed already.
    with contextlib.suppress(AttributeError, OSError):
        request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT_AT_ALL)
        # Here, since the server would send the end of file first, and a peer that answers that with
        # its own before the close would have the connection in TIME_WAIT.
        request.close()
