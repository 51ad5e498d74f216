"""Bursts: a backlog that was filled before the server went on."""

from __future__ import annotations

import signal

from benchmarks.client import Client
from benchmarks.contestant import Contestant
from benchmarks.figure import CPU, RATE
from benchmarks.load import Load, Sample

CONNECTIONS = 1000
"""How many wait in the backlog. The system must allow it: net.core.somaxconn."""


class Burst(Load):
    """Fills the backlog of the stopped server, lets it go, and times the last answer."""

    figures = (RATE, CPU)

    def measure(self, contestant: Contestant, client: Client) -> Sample:
        """One burst."""
        contestant.signal_all(signal.SIGSTOP)
        before = contestant.tree.cpu_seconds()
        outcome = client.run(
            "burst",
            port=contestant.port,
            connections=CONNECTIONS,
            group=contestant.pid,
            **self.exchange(),
        )
        cpu = contestant.tree.cpu_seconds() - before
        return {RATE: CONNECTIONS / outcome["seconds"], CPU: cpu / CONNECTIONS}
