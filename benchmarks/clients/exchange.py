"""One connection: it sends its message, and is answered, and the server closes."""

from __future__ import annotations

import select
import socket

PATIENCE = 30.0
"""Seconds without any answer, after which a load is given up."""

CLOSED = select.EPOLLRDHUP | select.EPOLLONESHOT
"""What a client waits for: the whole answer is there when the server has closed its side.

One event for a connection, so that the client takes as little of the machine as it can.
"""


def begin(port: int, message: bytes) -> socket.socket:
    """Connect and send.

    The connection blocks: on the loopback the kernel answers for the listener, so that neither call
    waits while the backlog has room.

    Raises:
        OSError: nobody listens, or the connection is reset.
    """
    client = socket.socket()
    try:
        client.connect(("127.0.0.1", port))
        client.sendall(message)
    except BaseException:
        client.close()
        raise
    return client


def check_end(client: socket.socket, expected: bytes) -> None:
    """Read the answer of a connection that the server has closed, and close it.

    The server has closed first: TIME_WAIT is on its side, and the client's port is free at once.

    Raises:
        OSError: it was reset.
        RuntimeError: the answer does not end with `expected`.
    """
    with client:
        answer = client.recv(4096)
        if not answer.endswith(expected):
            raise RuntimeError(f"a client got {answer!r}")


def read_all(client: socket.socket, expected: bytes) -> None:
    """Wait until the server has answered and closed.

    Raises:
        OSError: it was reset, or nothing came for `PATIENCE` seconds.
        RuntimeError: the answer does not end with `expected`.
    """
    client.settimeout(PATIENCE)
    answer = b""
    while data := client.recv(4096):
        answer += data
    if not answer.endswith(expected):
        raise RuntimeError(f"a client got {answer!r}")
