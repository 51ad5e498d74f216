"""System calls a connection, counted by strace."""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.client import Client
from benchmarks.contestant import Contestant
from benchmarks.figure import CALLS_BACKLOG, CALLS_IDLE
from benchmarks.load import Load, Sample

CONNECTIONS = 200
PATIENCE = 20.0  # seconds for strace to attach
POLL = 0.01


class SystemCalls(Load):
    """Counts them in a burst, and where one connection comes after another."""

    figures = (CALLS_BACKLOG, CALLS_IDLE)
    most_rounds = 3

    def measure(self, contestant: Contestant, client: Client) -> Sample:
        """Count both ways."""
        connections = {"port": contestant.port, "connections": CONNECTIONS, **self.exchange()}
        with _counting(contestant) as backlog:
            contestant.signal_all(signal.SIGSTOP)
            client.run("burst", group=contestant.pid, **connections)
        with _counting(contestant) as idle:
            client.run("single", **connections)
        return {CALLS_BACKLOG: backlog[0] / CONNECTIONS, CALLS_IDLE: idle[0] / CONNECTIONS}

    def why_not(self) -> str | None:
        """No strace."""
        return None if shutil.which("strace") else "strace is not installed"


@contextmanager
def _counting(contestant: Contestant) -> Iterator[list[int]]:
    """Count the system calls meanwhile.

    Yields:
        A list that holds the number afterwards.

    Raises:
        RuntimeError: strace cannot attach.
    """
    count: list[int] = []
    pids = sorted(contestant.tree.pids())
    with tempfile.TemporaryDirectory() as folder:
        summary = Path(folder, "summary")
        command = ["strace", "-f", "-c", "-o", str(summary)]
        command += [option for pid in pids for option in ("-p", str(pid))]
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        ) as strace:
            try:
                for pid in pids:
                    _await_tracer(pid, strace)
                yield count
            finally:
                strace.send_signal(signal.SIGINT)
                strace.wait()
        count.append(total_calls(summary.read_text()))


def _await_tracer(pid: int, strace: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE
    for status in Path(f"/proc/{pid}/task").glob("*/status"):
        while "TracerPid:\t0\n" in status.read_text():
            if strace.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("strace cannot attach to it")
            time.sleep(POLL)


def total_calls(summary: str) -> int:
    """The number in the last line of what `strace -c` writes.

    Raises:
        RuntimeError: there is no such line.
    """
    for line in reversed(summary.splitlines()):
        words = line.split()
        if words and words[-1] == "total":
            return int(words[3])
    raise RuntimeError("strace has counted nothing")
