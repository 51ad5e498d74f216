"""A contestant: the server process of one strategy under one workload, as the command sees it."""

from __future__ import annotations

from .companion import Companion
from .driver_process import DriverError, DriverProcess
from .measures import Measures, of_run
from .tree import ProcessTree
from .workloads import Workload

START_TIMEOUT = 10.0  # seconds from the start of the interpreter to the port
LOOKS = 3  # at the tree in one run: each costs some 5 ms of CPU that the load would use


class ContestantError(Exception):
    """The server did not start, or did not live to the end. The text is the reason."""


class Contestant(Companion):
    """A server that lives through all rounds of its workload.

    Args:
        expression: the text that builds the strategy.
        workload: what its handler does.
        crunch_loops: the amount of work in the workload crunch.
    """

    def __init__(self, expression: str, workload: Workload, crunch_loops: int) -> None:
        super().__init__(
            "serverstrategy.compare.subject", expression, workload.name, str(crunch_loops)
        )
        self.port = 0
        self.tree = ProcessTree(self.pid)

    def start(self) -> None:
        """Wait until the server listens.

        Raises:
            ContestantError: it ended, or said nothing in time.
        """
        try:
            self.port = int(self.read_line(START_TIMEOUT))
        except TimeoutError:
            raise ContestantError(f"did not start within {START_TIMEOUT:.0f} s") from None
        except (EOFError, ValueError):
            raise ContestantError(f"did not start: {self.exit_reason()}") from None

    def measure(self, driver: DriverProcess, concurrency: int, duration: float) -> Measures:
        """Put one load on the server and measure it.

        Args:
            driver: makes the load.
            concurrency: connections open at a time.
            duration: seconds in which new connections are made.

        Raises:
            ContestantError: the server ended meanwhile.
        """
        long_lived = self.tree.pids()
        cpu_before = self.tree.cpu_seconds()
        driver.begin(self.port, concurrency, duration)
        footprint = self.tree.footprint()
        for _ in range(LOOKS):
            driver.wait(duration / (LOOKS + 1))
            footprint = footprint.peak(self.tree.footprint())
        try:
            outcome = driver.finish()
        except DriverError as failure:
            raise ContestantError(str(failure)) from None
        self.tree.settle(long_lived)
        cpu_seconds = self.tree.cpu_seconds() - cpu_before
        if self.has_ended():
            raise ContestantError(f"ended in the middle: {self.exit_reason()}")
        return of_run(outcome, cpu_seconds, footprint)
