"""A closed loop: each connection that ends makes room for the next one."""

from __future__ import annotations

import select
import socket
import time

from .exchange import CLOSED, PATIENCE, begin, check_end
from .latencies import Latencies


def closed(
    port: int,
    message: str,
    expected: str,
    connections: int,
    seconds: float,
    until_refused: bool = False,
) -> dict[str, float]:
    """Keep so many connections open at a time, and wait for the last ones.

    Args:
        port: of the server.
        message: what each connection sends.
        expected: how each answer ends.
        connections: how many at a time.
        seconds: for how long new ones are made.
        until_refused: whether the load ends, without an error, where the server does.

    Raises:
        OSError: a connection is refused or reset, or none is answered for a long time.
        RuntimeError: one is answered wrongly.
    """
    load = _Closed(port, message.encode(), expected.encode())
    try:
        load.run(connections, seconds)
    except OSError:
        if not until_refused:
            raise
    finally:
        load.close()
    return load.latencies.outcome()


class _Closed:
    def __init__(self, port: int, message: bytes, expected: bytes) -> None:
        self._port, self._message, self._expected = port, message, expected
        self._open: dict[int, tuple[socket.socket, float]] = {}
        self._epoll = select.epoll()
        self.latencies = Latencies()

    def run(self, connections: int, seconds: float) -> None:
        end = self.latencies.began + seconds
        for _ in range(connections):
            self._begin()
        while self._open:
            events = self._epoll.poll(PATIENCE)
            if not events:
                raise TimeoutError(f"{len(self._open)} connections are not answered")
            for fd, _ in events:
                client, began = self._open.pop(fd)
                check_end(client, self._expected)
                now = time.perf_counter()
                self.latencies.add(now - began)
                if now < end:
                    self._begin()

    def _begin(self) -> None:
        began = time.perf_counter()
        client = begin(self._port, self._message)
        self._open[client.fileno()] = client, began
        self._epoll.register(client.fileno(), CLOSED)

    def close(self) -> None:
        for client, _ in self._open.values():
            client.close()
        self._epoll.close()
