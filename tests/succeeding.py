"""What the tests of live swaps in one process have in common: strategies that tell, dialogues."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from probes import PATIENCE, wait_until
from serverstrategy import (
    Strategy,
    StreamRequestHandler,
    TCPServer,
)
from serverstrategy.strategies import Threaded

ANY_PORT = ("127.0.0.1", 0)


class Echo(StreamRequestHandler):
    def handle(self) -> None:
        for line in self.rfile:
            self.wfile.write(line)


class Outer(Strategy):
    """A layer that counts what goes through it."""

    def __init__(self, inner: Strategy) -> None:
        self.inner = inner
        self.count = 0

    @property
    def multithread(self) -> bool:  # type: ignore[override]
        return self.inner.multithread

    def ready(self, server: Any) -> bool:
        return self.inner.ready(server)

    def process_request(self, server: Any, request: Any, client_address: Any) -> None:
        self.count += 1
        self.inner.process_request(server, request, client_address)

    def drain(self, server: Any, timeout: float | None) -> bool:
        return self.inner.drain(server, timeout)


class Failing(Strategy):
    def serve(self, server: Any, stop: Any) -> None:
        raise OSError("cannot serve")


class Counting(Threaded):
    """Threaded, which says when it is drained."""

    def __init__(self, limit: int | None = None) -> None:
        super().__init__(limit)
        self.drained = threading.Event()

    def drain(self, server: Any, timeout: float | None) -> bool:
        ended = super().drain(server, timeout)
        if ended:
            self.drained.set()
        return ended


@contextmanager
def serving(server: Any, poll_interval: float = 0.5) -> Iterator[threading.Thread]:
    thread = threading.Thread(target=server.serve_forever, args=(poll_interval,))
    thread.start()
    try:
        assert server.wait_until_serving(PATIENCE)
        yield thread
    finally:
        server.shutdown()
        thread.join(PATIENCE)
        assert not thread.is_alive()


@contextmanager
def dialogue(server: Any) -> Iterator[socket.socket]:
    """A connection in the middle of its dialogue."""
    with socket.create_connection(server.server_address, PATIENCE) as client:
        assert echo(client) == b"hi\n"
        yield client


def echo(client: socket.socket) -> bytes:
    client.sendall(b"hi\n")
    return client.recv(100)


def answers(server: Any) -> bool:
    with socket.create_connection(server.server_address, PATIENCE) as client:
        return echo(client) == b"hi\n"


def is_idle(server: Any) -> bool:
    return wait_until(lambda: len(server.in_flight) == 0)


@contextmanager
def dialogue_in(server: TCPServer, then: Strategy) -> Iterator[socket.socket]:
    """A connection of the first strategy while another one serves, and no more."""
    with socket.create_connection(server.server_address, PATIENCE) as client:
        with serving(server):
            assert echo(client) == b"hi\n"
            server.strategy = then
            assert answers(server)
        yield client
