"""The figures that are measured, and how they are written."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """One kind of figure.

    Attributes:
        name: with its unit.
        meaning: for the page.
        scale: what a measured value is multiplied by to be in that unit.
        digits: decimals that are written.
        more_is_better: whether a ratio above 1 is the better server.
    """

    name: str
    meaning: str
    scale: float = 1.0
    digits: int = 1
    more_is_better: bool = False

    def write(self, value: float) -> str:
        """A value, in the unit of the name."""
        return f"{value * self.scale:,.{self.digits}f}"


RATE = Figure(
    "rate, /s", "connections (or exchanges) answered a second", digits=0, more_is_better=True
)
CPU = Figure(
    "CPU, µs",
    "processor time of the server, with all its processes, for each connection (or exchange)",
    1e6,
)
BUSY = Figure(
    "client, %",
    "the share of one processor that the client used: near 100, the rate is the client's",
    100.0,
    0,
)
P50 = Figure("p50, ms", "the median latency, from connecting to the end of the answer", 1e3, 2)
P99 = Figure("p99, ms", "the latency that 99 of 100 connections do not exceed", 1e3, 2)
CALLS_BACKLOG = Figure(
    "calls, backlog", "system calls a connection where others wait in the backlog", digits=2
)
CALLS_IDLE = Figure(
    "calls, idle", "system calls a connection where the server waited for it", digits=2
)
PSS = Figure(
    "PSS, MB", "memory of a worker, where a page that several share counts in parts", 1e-6, 2
)
PRIVATE = Figure("private, MB", "memory of a worker that it shares with nobody", 1e-6, 2)
HEARD = Figure(
    "heard, ms", "from the signal, whose handler calls `shutdown()`, to the end of accepting", 1e3
)
ENDED = Figure("ended, ms", "from the signal to the end of `server_close()`", 1e3)
WAKE_UPS = Figure("wake-ups, /s", "how often any thread of the idle server woke up in a second")
REAPING = Figure("reaping, µs", "CPU of the parent for reaping, for each connection", 1e6)
IMPORT = Figure("import, ms", "the time that the import takes, the fastest of five", 1e3, 2)
HEAVY = Figure(
    "heavy modules",
    "modules of asyncio, multiprocessing and concurrent.futures that it loads",
    digits=0,
)
