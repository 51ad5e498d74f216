"""The process of the clients, as the command sees it."""

from __future__ import annotations

import json
import os
import signal
from types import TracebackType
from typing import Any, Self

from serverstrategy.compare.companion import Companion

TIMEOUT = 120.0
"""Seconds for one order: longer than the client's own patience."""


class Client:
    """Makes one load at a time. A context manager: leaving it ends the process."""

    def __init__(self) -> None:
        self._process = Companion("benchmarks.clients")
        self._is_busy = False

    def run(self, kind: str, **order: Any) -> dict[str, float]:
        """Make a load.

        Args:
            kind: which, see `benchmarks.clients.__main__`.
            order: its arguments.

        Returns:
            What the load returned.

        Raises:
            RuntimeError: it failed.
        """
        self.begin(kind, **order)
        return self.finish()

    def begin(self, kind: str, **order: Any) -> None:
        """Start a load, and return at once."""
        if self._is_busy:  # the one before was given up, and its answer is not that to this one
            self.close()
            self._process = Companion("benchmarks.clients")
        self._is_busy = True
        self._process.write_line(json.dumps({"kind": kind, **order}).encode())

    def finish(self) -> dict[str, float]:
        """Wait for the end of the load.

        Raises:
            RuntimeError: it failed.
        """
        try:
            answer: dict[str, Any] = json.loads(self._process.read_line(TIMEOUT))
        except (EOFError, TimeoutError):
            raise RuntimeError("the clients do not answer") from None
        self._is_busy = False
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer

    def close(self) -> None:
        """End the process, also amid a load."""
        if self._is_busy:
            os.kill(self._process.pid, signal.SIGKILL)
            self._is_busy = False
        self._process.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
