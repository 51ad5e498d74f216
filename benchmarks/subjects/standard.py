"""The servers of the standard library."""

from __future__ import annotations

import socketserver
from typing import Any

from benchmarks.kinds import number_in

from .duty import ADDRESS, BACKLOG, Duty, tell
from .handlers import handler


class Executing(socketserver.TCPServer):
    """The standard library's server over its executor, as it is usually written."""

    executor: Any

    def process_request(self, request: Any, client_address: Any) -> None:
        """Submit."""
        self.executor.submit(self._run, request, client_address)

    def _run(self, request: Any, client_address: Any) -> None:
        try:
            self.finish_request(request, client_address)
        finally:
            self.shutdown_request(request)


def make(name: str, duty: Duty) -> socketserver.TCPServer:
    """A server that listens.

    Args:
        name: "socketserver.CLASS", "http.server.CLASS", or "ThreadPoolExecutor(8)".
        duty: what its handler does.
    """
    cls: Any
    if name.startswith("ThreadPoolExecutor"):
        from concurrent.futures import ThreadPoolExecutor

        cls = Executing
        cls.executor = ThreadPoolExecutor(number_in(name, 8))
    elif name.startswith("http.server."):
        import http.server

        cls = getattr(http.server, name.removeprefix("http.server."))
    else:
        cls = getattr(socketserver, name.removeprefix("socketserver."))
    cls.request_queue_size = BACKLOG
    server: socketserver.TCPServer = cls(ADDRESS, handler(socketserver.StreamRequestHandler, duty))
    return server


def serve(name: str, duty: Duty) -> None:
    """Serve."""
    with make(name, duty) as server:
        tell(server.server_address)
        server.serve_forever()
