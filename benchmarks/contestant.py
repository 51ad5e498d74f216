"""The process of a server that is measured, with all that it forks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from types import TracebackType
from typing import Self

import psutil


class Contestant:
    """A server in a session of its own.

    Args:
        name: see `subjects.main`.

    Raises:
        RuntimeError: it does not start.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.subjects", name],
            stdout=subprocess.PIPE,
            start_new_session=True,
            text=True,
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._process.stdout.close()
            raise RuntimeError(f"{name} does not start: exit status {self._process.wait()}")
        self.address = ("127.0.0.1", int(line))

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to each of its processes."""
        os.killpg(self._process.pid, number)

    def cpu_seconds(self) -> float:
        """The processor time that it and its children have used, those that have ended too."""
        server = psutil.Process(self._process.pid)
        times = [
            server.cpu_times(),
            *(each.cpu_times() for each in server.children(recursive=True)),
        ]
        return sum(
            each.user + each.system + each.children_user + each.children_system for each in times
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.signal(signal.SIGKILL)
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
