"""The loop that one would write by hand for one exchange only: what the others are compared to."""

from __future__ import annotations

import os
import signal
import socket
import threading
from functools import partial

from benchmarks.kinds import number_in

from .duty import ADDRESS, BACKLOG, Answer, Duty, tell

KEPT: list[list[int]] = []


def serve(name: str, duty: Duty) -> None:
    """Serve.

    Args:
        name: "bare", "bare threads(64)", or "bare processes(2)": so many of these loops share the
            listener.
        duty: what is done with each connection.
    """
    listener = socket.create_server(ADDRESS, backlog=BACKLOG)
    if duty.name == "collect":
        fill_memory()
    tell(listener.getsockname())
    loop = partial(_loop, listener, duty.answer())
    if name.startswith("bare processes"):
        for _ in range(number_in(name, 2)):
            if os.fork() == 0:
                loop()
        signal.pause()
    for _ in range(number_in(name, 1) - 1):
        threading.Thread(target=loop, daemon=True).start()
    loop()


def fill_memory() -> None:
    """Make 200,000 objects, as a program has them that serves data."""
    KEPT.extend([number] for number in range(200_000))


def _loop(listener: socket.socket, answer: Answer) -> None:
    while True:
        connection, _ = listener.accept()
        answer(connection)
        connection.close()
