"""The workloads: what a handler does with the one line that a connection brings."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass
from typing import ClassVar

from serverstrategy import StreamRequestHandler

WAIT_SECONDS = 0.010
CRUNCH_SECONDS = 0.002
LONGEST_LINE = 1024  # bytes
HANDLER_TIMEOUT = 10.0  # seconds that a handler waits for its peer


class Echo(StreamRequestHandler):
    """Answers with the line that it was sent. The server then closes the connection."""

    timeout = HANDLER_TIMEOUT

    def handle(self) -> None:
        """Read one line, work, send the line back."""
        line = self.rfile.readline(LONGEST_LINE)
        self.work()
        self.wfile.write(line)

    def work(self) -> None:
        """What the workload does between the line and the answer: nothing here."""


class Wait(Echo):
    """Sleeps before the answer, as a handler does that asks a database."""

    def work(self) -> None:
        """Sleep for `WAIT_SECONDS`."""
        time.sleep(WAIT_SECONDS)


class Crunch(Echo):
    """Computes before the answer, in Python, so that it needs a core and holds the GIL."""

    loops: ClassVar[int] = 0

    def work(self) -> None:
        """Do the calibrated amount of work."""
        crunch(self.loops)


@dataclass(frozen=True, slots=True)
class Workload:
    """A workload by name.

    Attributes:
        name: the word that chooses it on the command line.
        summary: what its handler does, for a table's title.
        handler: the handler's class.
    """

    name: str
    summary: str
    handler: type[Echo]

    def sized(self, crunch_loops: int) -> type[Echo]:
        """The handler's class, made to do `crunch_loops` loops where it computes."""
        return type(self.handler.__name__, (self.handler,), {"loops": crunch_loops})


WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("echo", "a line there and back", Echo),
        Workload("wait", f"the handler sleeps {WAIT_SECONDS * 1e3:.0f} ms", Wait),
        Workload("crunch", f"the handler burns about {CRUNCH_SECONDS * 1e3:.0f} ms of CPU", Crunch),
    )
}


def crunch(loops: int) -> float:
    """Burn CPU for a fixed amount of work, whatever else the machine does meanwhile.

    In floats, of which CPython keeps free ones. An integer that is not small is given by its
    allocator, and where the one that each loop makes is the last of a pool, a loop takes up to 1.8
    times as long: which strategy that hits is chance, and its workers inherit it from their parent.
    """
    total = 0.0
    for _ in itertools.repeat(None, loops):
        total = total * 0.75 + 1.5
    return total


def calibrate(cpu_seconds: float = CRUNCH_SECONDS, attempts: int = 20) -> int:
    """How many loops of `crunch` take about this much CPU on this machine.

    A busy loop until a time on the clock would not do: two of them that share a core both end in
    time, having done half the work each, and a strategy that uses one core would look like two.

    Args:
        cpu_seconds: the CPU time wanted, in seconds.
        attempts: how often to measure; the fastest counts, as the one that was disturbed least.
    """
    trial = 20_000
    fastest = float("inf")
    for _ in range(attempts):
        before = time.thread_time()
        crunch(trial)
        fastest = min(fastest, time.thread_time() - before)
    return max(1, round(trial * cpu_seconds / fastest))
