"""The servers that are measured: each reads a line, answers it, and closes the connection.

    python -m benchmarks.subjects NAME

serves on a port of its own, which it prints, until it is killed.
"""

from __future__ import annotations

import asyncio
import importlib
import socket
import socketserver
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from serverstrategy import StreamRequestHandler, TCPServer
from serverstrategy.strategies import parse

BACKLOG = 4096
"""How many connections may wait; the system may allow fewer."""

LINE = 1024
"""How long a line may be, in bytes."""

_ADDRESS = ("127.0.0.1", 0)


class Echo(StreamRequestHandler):
    """The handler that is measured everywhere, but for asyncio and its like."""

    def handle(self) -> None:
        """Answer one line."""
        self.wfile.write(self.rfile.readline(LINE))


class Ours(TCPServer):
    """Ours, as it is."""

    request_queue_size = BACKLOG


class OursOverridden(Ours):
    """Ours with each hook overridden, as in a server that does something there."""

    def get_request(self) -> Any:
        """Pass on."""
        return super().get_request()

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Pass on."""
        return super().verify_request(request, client_address)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Pass on."""
        super().process_request(request, client_address)

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Pass on."""
        super().finish_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Pass on."""
        super().shutdown_request(request)

    def close_request(self, request: Any) -> None:
        """Pass on."""
        super().close_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Pass on."""
        super().handle_error(request, client_address)


class Executing(socketserver.TCPServer):
    """The standard library's server over its executor, as it is usually written."""

    executor = ThreadPoolExecutor(8)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Submit."""
        self.executor.submit(self._run, request, client_address)

    def _run(self, request: Any, client_address: Any) -> None:
        try:
            self.finish_request(request, client_address)
        finally:
            self.shutdown_request(request)


def serve_bare() -> None:
    """The loop that one would write by hand for this exchange only."""
    listener = socket.create_server(_ADDRESS, backlog=BACKLOG)
    _tell(listener.getsockname())
    while True:
        connection, _ = listener.accept()
        connection.sendall(connection.recv(LINE))
        connection.close()


def serve_class(cls: Callable[..., Any], **options: Any) -> None:
    """A server of a class with the interface of `socketserver`."""
    with cls(_ADDRESS, Echo, **options) as server:
        _tell(server.server_address)
        server.serve_forever()


def serve_standard(name: str) -> None:
    """A server of the standard library, or `Executing`."""
    cls: Any = Executing if name == "Executing" else getattr(socketserver, name)
    cls.request_queue_size = BACKLOG
    serve_class(cls)


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(await reader.readline())
    writer.close()


async def serve_asyncio() -> None:
    """The streams of asyncio, in the event loop that runs this."""
    server = await asyncio.start_server(_answer, *_ADDRESS, backlog=BACKLOG)
    _tell(server.sockets[0].getsockname())
    await server.serve_forever()


def serve_gevent() -> None:
    """gevent's own server, a greenlet for each connection."""
    server_module: Any = importlib.import_module("gevent.server")

    def answer(connection: Any, _: Any) -> None:
        connection.sendall(connection.recv(LINE))
        connection.close()

    server = server_module.StreamServer(_ADDRESS, answer, backlog=BACKLOG)
    server.start()
    _tell(server.address)
    server.serve_forever()


def _tell(address: Any) -> None:
    print(address[1], flush=True)


def main(name: str) -> None:
    """Serve until killed.

    Args:
        name: "bare", "asyncio", "uvloop", "gevent", "socketserver.CLASS", "Executing", or an
            expression that builds a strategy, with "overridden " before it for a server with all
            hooks overridden.
    """
    kind, _, rest = name.partition(" ")
    if kind == "bare":
        serve_bare()
    elif kind == "asyncio":
        asyncio.run(serve_asyncio())
    elif kind == "uvloop":
        importlib.import_module("uvloop").run(serve_asyncio())
    elif kind == "gevent":
        serve_gevent()
    elif kind == "Executing" or kind.startswith("socketserver."):
        serve_standard(kind.removeprefix("socketserver."))
    elif kind == "overridden":
        serve_class(OursOverridden, strategy=parse(rest))
    else:
        serve_class(Ours, strategy=parse(name))


if __name__ == "__main__":
    main(sys.argv[1])
