"""Connections that are held open and say nothing."""

from __future__ import annotations

import socket

from .exchange import PATIENCE, begin, read_all

SOURCES = 16
"""From so many addresses of the loopback, since one has no more than some 28,000 ports."""

_held: list[socket.socket] = []


def hold(port: int, message: str, expected: str, connections: int) -> dict[str, float]:
    """Open so many connections, and keep them until this process ends.

    Returns:
        held: how many there are, all of which the server has accepted.

    Raises:
        OSError: the server refuses one, or the system has no more descriptors.
        RuntimeError: the server does not answer any more, or it has closed one.
    """
    for number in range(connections):
        client = socket.socket()
        _held.append(client)
        client.settimeout(PATIENCE)
        client.setsockopt(socket.IPPROTO_IP, getattr(socket, "IP_BIND_ADDRESS_NO_PORT", 24), 1)
        client.bind((f"127.0.0.{2 + number % SOURCES}", 0))
        client.connect(("127.0.0.1", port))
    # Connections are accepted in their order, so that all are once this one is answered.
    with begin(port, message.encode()) as client:
        read_all(client, expected.encode())
    for client in _held:
        client.setblocking(False)
        try:
            client.recv(1)
        except BlockingIOError:
            continue
        raise RuntimeError("the server has closed an idle connection")
    return {"held": len(_held)}
