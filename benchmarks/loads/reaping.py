"""What the reaping of children costs where many others are alive."""

from __future__ import annotations

import os
import signal
from contextlib import AbstractContextManager

from benchmarks.client import Client
from benchmarks.contestant import Contestant
from benchmarks.figure import REAPING
from benchmarks.load import Load, Sample

CONNECTIONS = 100
PATIENCE = 10.0
ALIVE = 300


class Reaping(Load):
    """Connections one after another, while the children of idle ones are alive."""

    figures = (REAPING,)

    def start(self, name: str) -> AbstractContextManager[Contestant]:
        """The server, with the idle connections."""
        return Contestant(name, self.duty, idle=ALIVE, module="benchmarks.subjects.reaping")

    def measure(self, contestant: Contestant, client: Client) -> Sample:
        """Let some children end."""
        before = _so_far(contestant)
        client.run("single", port=contestant.port, connections=CONNECTIONS, **self.exchange())
        return {REAPING: (_so_far(contestant) - before) / CONNECTIONS}


def _so_far(contestant: Contestant) -> float:
    os.kill(contestant.pid, signal.SIGUSR1)
    return float(contestant.next_line(PATIENCE))
