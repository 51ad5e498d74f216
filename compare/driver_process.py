"""The driver's process, as the command sees it."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from . import driver
from .companion import Companion
from .load import REPLY_TIMEOUT
from .outcome import Outcome, decode

SLACK = 10.0  # seconds, beyond the load's own deadlines, for a machine that is busy otherwise


class DriverError(Exception):
    """The driver ended, or did not answer in time. The text is the reason."""


class DriverProcess(Companion):
    """Makes one load after the other. A context manager: leaving it ends the process."""

    def __init__(self) -> None:
        super().__init__("serverstrategy.compare.driver")
        self._deadline = 0.0
        self._answer: bytes | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def begin(self, port: int, concurrency: int, duration: float) -> None:
        """Start a load, and return at once.

        Args:
            port: the server's port on 127.0.0.1.
            concurrency: connections open at a time.
            duration: seconds in which new connections are made.
        """
        self._answer = None
        self._deadline = time.monotonic() + duration + REPLY_TIMEOUT + SLACK
        self.write_line(driver.order(port, concurrency, duration))

    def wait(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds. True once the load is over."""
        try:
            self._answer = self._answer or self.read_line(timeout)
        except TimeoutError:
            return False
        except EOFError:
            return True  # which finish() tells in words
        return True

    def finish(self) -> Outcome:
        """Wait for the end of the load.

        Raises:
            DriverError: there is no outcome.
        """
        try:
            answer = self._answer or self.read_line(max(0.0, self._deadline - time.monotonic()))
        except TimeoutError:
            self.hang_up()  # for good: a late answer would be taken for that to the next order
            raise DriverError("the load generator does not answer") from None
        except EOFError:
            raise DriverError(f"the load generator ended: {self.exit_reason()}") from None
        return decode(answer)
