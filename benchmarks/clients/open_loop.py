"""An open loop: connections come at their times, whether the server keeps up or not."""

from __future__ import annotations

import select
import socket
import time

from .exchange import CLOSED, PATIENCE, begin, check_end
from .latencies import Latencies


def open_loop(
    port: int, message: str, expected: str, rate: float, seconds: float
) -> dict[str, float]:
    """Make connections at a constant rate, and wait for the last ones.

    A latency counts from the time at which the connection was due: that of a connection that is
    made late, because others took long, is not made to look better by it.

    Args:
        port: of the server.
        message: what each connection sends.
        expected: how each answer ends.
        rate: connections a second.
        seconds: for how long.

    Raises:
        OSError: a connection is refused or reset, or none is answered for a long time.
        RuntimeError: one is answered wrongly.
    """
    load = _Open(port, message.encode(), expected.encode())
    try:
        load.run(rate, round(rate * seconds))
    finally:
        load.close()
    return load.latencies.outcome()


class _Open:
    def __init__(self, port: int, message: bytes, expected: bytes) -> None:
        self._port, self._message, self._expected = port, message, expected
        self._open: dict[int, tuple[socket.socket, float]] = {}
        self._epoll = select.epoll()
        self.latencies = Latencies()

    def run(self, rate: float, count: int) -> None:
        begun = 0
        while begun < count or self._open:
            due = self.latencies.began + begun / rate
            if begun < count and time.perf_counter() >= due:
                self._begin(due)
                begun += 1
                continue
            pause = due - time.perf_counter() if begun < count else PATIENCE
            # Not by the epoll set's own timeout, which counts in whole milliseconds.
            ready, _, _ = select.select([self._epoll], [], [], max(0.0, pause))
            if ready:
                self._end()
            elif begun == count:
                raise TimeoutError(f"{len(self._open)} connections are not answered")

    def _begin(self, due: float) -> None:
        client = begin(self._port, self._message)
        self._open[client.fileno()] = client, due
        self._epoll.register(client.fileno(), CLOSED)

    def _end(self) -> None:
        for fd, _ in self._epoll.poll(0):
            client, due = self._open.pop(fd)
            check_end(client, self._expected)
            self.latencies.add(time.perf_counter() - due)

    def close(self) -> None:
        for client, _ in self._open.values():
            client.close()
        self._epoll.close()
