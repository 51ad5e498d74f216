"""A load that no client slows down: the backlog of a stopped server is filled, and it is let go.

In a closed loop over the loopback the client takes more time than a fast server, so that all fast
servers look alike.
"""

from __future__ import annotations

import signal
import socket
import time
from dataclasses import dataclass

from .contestant import Contestant

CONNECTIONS = 1000
"""How many wait in the backlog. The system must allow it: net.core.somaxconn."""

_LINE = b"hello, world\n"
_PATIENCE = 30.0  # seconds for one answer


@dataclass(frozen=True, slots=True)
class Burst:
    """What became of one.

    Attributes:
        seconds: from the start of the server to the last answer.
        cpu: seconds of processor time that the server has used meanwhile.
    """

    seconds: float
    cpu: float


def burst(contestant: Contestant, connections: int = CONNECTIONS) -> Burst:
    """Fill the backlog, let the server go, and wait until all are answered.

    Raises:
        OSError: a connection is refused, or not answered.
        RuntimeError: one is answered wrongly.
    """
    contestant.signal(signal.SIGSTOP)
    clients = []
    try:
        for _ in range(connections):
            client = socket.create_connection(contestant.address, _PATIENCE)
            clients.append(client)
            client.sendall(_LINE)
        cpu = contestant.cpu_seconds()
        began = time.perf_counter()
        contestant.signal(signal.SIGCONT)
        for client in clients:
            _receive(client)
        seconds = time.perf_counter() - began
        return Burst(seconds, contestant.cpu_seconds() - cpu)
    finally:
        contestant.signal(signal.SIGCONT)
        for client in clients:
            client.close()


def _receive(client: socket.socket) -> None:
    answer = b""
    while data := client.recv(4096):
        answer += data
    if answer != _LINE:
        raise RuntimeError(f"a client got {answer!r}")
