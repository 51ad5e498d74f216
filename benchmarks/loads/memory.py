"""The memory of a worker, once it has run the garbage collector."""

from __future__ import annotations

from statistics import mean

import psutil

from benchmarks.client import Client
from benchmarks.contestant import Contestant
from benchmarks.figure import PRIVATE, PSS
from benchmarks.load import Load, Sample


class Memory(Load):
    """Looks at the workers of a parent that has 200,000 objects."""

    figures = (PRIVATE, PSS)
    most_rounds = 3

    def measure(self, contestant: Contestant, client: Client) -> Sample:
        """Have each worker handle connections, and look."""
        client.run("closed", port=contestant.port, connections=16, seconds=0.5, **self.exchange())
        workers = contestant.tree.members()[1:]
        if not workers:
            raise RuntimeError("it has no workers")
        looks = [worker.memory_full_info() for worker in workers]
        return {PRIVATE: mean(each.uss for each in looks), PSS: mean(each.pss for each in looks)}

    def why_not(self) -> str | None:
        """The system does not tell."""
        tells = hasattr(psutil.Process().memory_full_info(), "pss")
        return None if tells else "this system does not tell the proportional set size"
