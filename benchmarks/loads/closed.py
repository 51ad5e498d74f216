"""Closed loops: so many connections at a time."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import cache

from benchmarks.client import Client
from benchmarks.contestant import Contestant
from benchmarks.figure import BUSY, CPU, P50, P99, RATE, Figure
from benchmarks.load import LINE, Load, Sample
from serverstrategy.compare.workloads import calibrate


class Closed(Load):
    """Keeps so many connections open at a time for so long.

    Args:
        connections: how many.
        seconds: of each measurement.
    """

    figures: Sequence[Figure] = (RATE, P50, P99, CPU, BUSY)

    def __init__(
        self,
        name: str,
        summary: str,
        subjects: Sequence[str],
        duty: str = "echo",
        *,
        connections: int = 64,
        seconds: float = 0.5,
    ) -> None:
        super().__init__(name, summary, subjects, duty)
        self.connections = connections
        self.seconds = seconds

    def measure(self, contestant: Contestant, client: Client) -> Sample:
        """One loop."""
        before = contestant.tree.cpu_seconds()
        outcome = self.run(contestant, client)
        cpu = contestant.tree.cpu_seconds() - before
        return {
            RATE: outcome["answers"] / outcome["seconds"],
            P50: outcome["p50"],
            P99: outcome["p99"],
            CPU: cpu / outcome["answers"],
            BUSY: outcome["busy"],
        }

    def run(self, contestant: Contestant, client: Client) -> dict[str, float]:
        """Have the client make the load."""
        return client.run(
            "closed",
            port=contestant.port,
            connections=self.connections,
            seconds=self.seconds,
            **self.exchange(),
        )


class Burning(Closed):
    """The same with handlers that compute for 2 ms."""

    def start(self, name: str) -> AbstractContextManager[Contestant]:
        """The server, that is told how much that is here."""
        return Contestant(name, f"{self.duty} {_loops()}")


class KeepAlive(Closed):
    """The same with connections that stay open: each exchange counts."""

    def run(self, contestant: Contestant, client: Client) -> dict[str, float]:
        """Have the client make the load."""
        return client.run(
            "keep_alive",
            port=contestant.port,
            connections=self.connections,
            seconds=self.seconds,
            message=LINE,
        )


class OpenLoop(Closed):
    """Connections that come at a constant rate, however long the answers take.

    Args:
        rate: connections a second.
        seconds: of each measurement.
    """

    figures = (P99, P50, RATE, CPU, BUSY)

    def __init__(
        self, name: str, summary: str, subjects: Sequence[str], *, rate: float, seconds: float
    ) -> None:
        super().__init__(name, summary, subjects, seconds=seconds)
        self.rate = rate

    def run(self, contestant: Contestant, client: Client) -> dict[str, float]:
        """Have the client make the load."""
        return client.run(
            "open_loop",
            port=contestant.port,
            rate=self.rate,
            seconds=self.seconds,
            **self.exchange(),
        )


@cache
def _loops() -> int:
    return calibrate()
