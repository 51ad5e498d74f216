"""A greenlet for each connection.

Importing this makes the standard library cooperative, so that the server and its handlers wait for
their sockets without stopping the other greenlets. Do it first in the program, as gevent advises.
"""

from gevent import monkey

monkey.patch_all()

from typing import Any  # noqa: E402

import gevent  # noqa: E402

from serverstrategy import Server, Strategy  # noqa: E402


class GeventEach(Strategy):
    """Handles each connection in a greenlet, at most `limit` at a time."""

    multithread = True  # a greenlet is what `threading` calls a thread in such a program

    def __init__(self, limit: int = 1000) -> None:
        self.limit = limit

    def ready(self, server: Server) -> bool:
        return len(server.in_flight) < self.limit

    def process_request(self, server: Server, request: Any, client_address: Any) -> None:
        gevent.spawn(server.complete_request, request, client_address)
