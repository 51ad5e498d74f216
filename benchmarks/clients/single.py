"""One connection after another, so that the server waits before each."""

from __future__ import annotations

import time

from .exchange import begin, read_all
from .latencies import Latencies


def single(port: int, message: str, expected: str, connections: int) -> dict[str, float]:
    """Make so many connections, one after another.

    Args:
        port: of the server.
        message: what each sends.
        expected: how each answer ends.
        connections: how many.

    Raises:
        OSError: one is refused, reset, or not answered.
        RuntimeError: one is answered wrongly.
    """
    latencies = Latencies()
    began = latencies.began
    for _ in range(connections):
        with begin(port, message.encode()) as client:
            read_all(client, expected.encode())
        ended = time.perf_counter()
        latencies.add(ended - began)
        began = ended
    return latencies.outcome()
