"""How soon a server stops."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from benchmarks.client import Client
from benchmarks.contestant import Contestant
from benchmarks.figure import ENDED, HEARD, WAKE_UPS, Figure
from benchmarks.load import Load, Sample

WATCH = 0.5
"""Seconds for which the load goes on, or nothing, before the stop."""

PATIENCE = 20.0


class Stopping(Load):
    """Signals a server that serves a closed loop of so many connections.

    Args:
        connections: how many; 0: it is idle.
    """

    figures: Sequence[Figure] = (HEARD, ENDED)

    def __init__(
        self,
        name: str,
        summary: str,
        subjects: Sequence[str],
        duty: str = "echo",
        *,
        connections: int = 0,
    ) -> None:
        super().__init__(name, summary, subjects, duty)
        self.connections = connections

    def start(self, name: str) -> AbstractContextManager[Contestant]:
        """A server that begins anew, at another port, after each stop."""
        return Contestant(name, self.duty, module="benchmarks.subjects.stopping")

    def measure(self, contestant: Contestant, client: Client) -> Sample:
        """Stop it once."""
        exchange = {"port": contestant.port, **self.exchange()}
        client.run("single", connections=20, **exchange)  # it serves, and its workers do
        client.begin(
            "closed",
            connections=self.connections,
            seconds=WATCH + PATIENCE,
            until_refused=True,
            **exchange,
        )
        time.sleep(WATCH)
        sample = self.stop(contestant)
        client.finish()
        return sample

    def stop(self, contestant: Contestant) -> Sample:
        """Signal it, and await its next port."""
        asked = time.monotonic()
        os.kill(contestant.pid, signal.SIGTERM)
        heard, ended = map(float, contestant.next_line(PATIENCE).split())
        contestant.await_port()
        return {HEARD: heard - asked, ENDED: ended - asked}


class StoppingIdle(Stopping):
    """Signals a server that has nothing to do, after a look at how often it wakes up."""

    figures = (HEARD, ENDED, WAKE_UPS)

    def measure(self, contestant: Contestant, client: Client) -> Sample:
        """Watch it, and stop it."""
        client.run("single", port=contestant.port, connections=20, **self.exchange())
        time.sleep(WATCH)  # what the last connection has woken falls asleep
        before = _switches(contestant)
        time.sleep(WATCH)
        wake_ups = (_switches(contestant) - before) / WATCH
        return {**self.stop(contestant), WAKE_UPS: wake_ups}


def _switches(contestant: Contestant) -> int:
    """How often its threads have gone to sleep: each wake-up ends with that."""
    total = 0
    for pid in contestant.tree.pids():
        for status in Path(f"/proc/{pid}/task").glob("*/status"):
            with contextlib.suppress(OSError):
                lines = status.read_text().splitlines()
                total += sum(int(line.split()[1]) for line in lines if line.startswith("voluntary"))
    return total
