"""Connections that stay open: each sends its next line when the one before is answered."""

from __future__ import annotations

import select
import socket
import time

from .exchange import PATIENCE, begin
from .latencies import Latencies


def keep_alive(port: int, message: str, connections: int, seconds: float) -> dict[str, float]:
    """Exchange lines over so many connections.

    Args:
        port: of the server.
        message: the line, which is also the answer.
        connections: how many.
        seconds: for how long lines are sent.

    Raises:
        OSError: a connection is refused, reset, or closed, or none is answered for a long time.
        RuntimeError: a line is answered wrongly.
    """
    line = message.encode()
    clients: dict[int, socket.socket] = {}
    with select.epoll() as epoll:
        try:
            latencies = Latencies()
            sent = {}
            for _ in range(connections):
                began = time.perf_counter()
                client = begin(port, line)
                clients[client.fileno()] = client
                sent[client.fileno()] = began
                epoll.register(client.fileno(), select.EPOLLIN)
            end = latencies.began + seconds
            while sent:
                events = epoll.poll(PATIENCE)
                if not events:
                    raise TimeoutError(f"{len(sent)} lines are not answered")
                for fd, _ in events:
                    answer = clients[fd].recv(4096)
                    now = time.perf_counter()
                    if answer != line:
                        raise RuntimeError(f"a client got {answer!r}")
                    latencies.add(now - sent.pop(fd))
                    if now < end:
                        sent[fd] = now
                        clients[fd].sendall(line)
            return latencies.outcome()
        finally:
            for client in clients.values():
                client.close()
