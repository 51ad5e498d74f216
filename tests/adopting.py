"""A handler and servers for the tests of adoption."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

from probes import PATIENCE

ANY_PORT = ("127.0.0.1", 0)


class Shout(socketserver.StreamRequestHandler):
    """Answers a line in capitals; fails if it is to."""

    def handle(self) -> None:
        line = self.rfile.readline()
        if line == b"fail\n":
            raise ValueError("as the client wished")
        self.wfile.write(line.upper())


class Quiet(socketserver.TCPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        pass


class QuietThreading(socketserver.ThreadingMixIn, Quiet):
    pass


def ask(server: Any, line: bytes = b"hi\n") -> bytes:
    with socket.create_connection(server.server_address, PATIENCE) as client:
        client.sendall(line)
        return b"".join(iter(partial(client.recv, 100), b""))


@contextlib.contextmanager
def serving(server: Any) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
