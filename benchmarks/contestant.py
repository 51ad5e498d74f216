"""The process of a server that is measured, with all that it forks."""

from __future__ import annotations

import os
import signal
from types import TracebackType
from typing import Self

from serverstrategy.compare.companion import Companion
from serverstrategy.compare.tree import ProcessTree

from .client import Client

START_TIMEOUT = 20.0
"""Seconds from the start of the interpreter to the port."""


class Contestant(Companion):
    """A server in a session of its own. A context manager: leaving it kills all of it.

    Args:
        name: see `kinds`.
        duty: what its handlers do, see `subjects.duty`.
        idle: how many connections are held open all the time that say nothing.
        module: what its process runs.

    Attributes:
        port: where it listens, on 127.0.0.1.
        tree: its processes.
    """

    def __init__(
        self,
        name: str,
        duty: str = "echo",
        *,
        idle: int = 0,
        module: str = "benchmarks.subjects",
    ) -> None:
        super().__init__(module, name, duty)
        self.name = name
        self.port = 0
        self.tree = ProcessTree(self.pid)
        self._idle = idle
        self._holder: Client | None = None

    def __enter__(self) -> Self:
        """Wait until it listens, and has the idle connections.

        Raises:
            RuntimeError: it does not start.
        """
        try:
            self.await_port()
            if self._idle:
                self._holder = Client()
                message = "hello, world\n"
                self._holder.run(
                    "hold",
                    port=self.port,
                    message=message,
                    expected=message,
                    connections=self._idle,
                )
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Kill it, with all that it has forked."""
        super().close()
        if self._holder is not None:
            self._holder.close()

    def await_port(self) -> None:
        """Read its next port, which it prints when it listens.

        Raises:
            RuntimeError: it does not come.
        """
        self.port = int(self.next_line(START_TIMEOUT))

    def next_line(self, timeout: float) -> str:
        """What it prints next.

        Raises:
            RuntimeError: nothing comes, for so many seconds or ever.
        """
        try:
            return self.read_line(timeout).decode()
        except EOFError:
            raise RuntimeError(f"does not start: {self.exit_reason()}") from None
        except TimeoutError:
            raise RuntimeError("does not answer") from None

    def signal_all(self, number: signal.Signals) -> None:
        """Send a signal to each of its processes."""
        os.killpg(self.pid, number)
