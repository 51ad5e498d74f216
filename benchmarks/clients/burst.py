"""A load that no client slows down: the backlog of a stopped server is filled, and it is let go.

In a closed loop over the loopback the client takes more time than a fast server, so that all fast
servers look alike.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import time

from .exchange import CLOSED, PATIENCE, begin, check_end


def burst(port: int, message: str, expected: str, connections: int, group: int) -> dict[str, float]:
    """Fill the backlog, let the server go, and wait until all are answered.

    Args:
        port: of the server, which is stopped.
        message: what each connection sends.
        expected: how each answer ends.
        connections: how many.
        group: the process group of the server.

    Returns:
        seconds: from the start of the server to the last answer.

    Raises:
        OSError: a connection is refused, or not answered.
        RuntimeError: one is answered wrongly.
    """
    clients: dict[int, socket.socket] = {}
    with select.epoll() as epoll:
        try:
            for _ in range(connections):
                client = begin(port, message.encode())
                clients[client.fileno()] = client
                epoll.register(client.fileno(), CLOSED)
            began = time.perf_counter()
            os.killpg(group, signal.SIGCONT)
            while clients:
                events = epoll.poll(PATIENCE)
                if not events:
                    raise TimeoutError(f"{len(clients)} connections are not answered")
                for fd, _ in events:
                    # Closed in whatever order they end, since some servers wait for that.
                    check_end(clients.pop(fd), expected.encode())
            return {"seconds": time.perf_counter() - began}
        finally:
            os.killpg(group, signal.SIGCONT)
            for client in clients.values():
                client.close()
