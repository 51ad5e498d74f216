"""What the tests of `Prefork` have in common: nests, connections by their fate, workers."""

from __future__ import annotations

import json
import os
import re
import signal
from typing import Any

import psutil

from probes import Client, Probe, wait_until

INNERS = ["Synchronous()", "ThreadPool(4)", "Forking(10)", "Prefork(2)"]

LOST = ("closed", "reset")
"""How a connection ends whose handler is no more."""


def prefork(workers: int, inner: str, **keywords: Any) -> str:
    """The text of a `Prefork`."""
    words = [str(workers), inner, *(f"{name}={value!r}" for name, value in keywords.items())]
    return f"Prefork({', '.join(words)})"


def next_line(client: Client) -> str:
    """The next line of a connection, "closed" at its end of file, or "reset"."""
    try:
        line = client.reader.readline()
    except ConnectionResetError:
        return "reset"
    return line.decode().rstrip("\n") if line else "closed"


def ask(client: Client, command: str) -> str:
    """The answer to `command`, "closed" or "reset"."""
    try:
        client.send(command)
    except (BrokenPipeError, ConnectionResetError):
        return "reset"
    return next_line(client)


class Held:
    """A connection whose handler has said who it is, and waits.

    Attributes:
        client: the connection.
        port: the client's.
        pid: the process that handles it.
        parent: the parent of that one.
    """

    def __init__(self, probe: Probe) -> None:
        self.client = probe.client()
        self.port = self.client.socket.getsockname()[1]
        answer = self.client.ask("who")
        assert answer is not None, probe.log()
        self.pid, self.parent, _ = map(int, answer.split())

    def wait_until_all_serve(self) -> None:
        """Wait until no worker is starting, so that the end of none is one at its start."""

        def serve() -> bool:
            status = json.loads(self.client.ask("status") or "")
            return all(each["state"] != "starting" for each in status["strategy"]["workers"])

        assert wait_until(serve)


def workers(probe: Probe) -> set[int]:
    """The processes that the probe has forked by itself."""
    probe.children()  # which has them killed at the end
    return {child.pid for child in psutil.Process(probe.pid).children()}


def wait_for_workers(probe: Probe, number: int, without: int = 0) -> set[int]:
    """The workers, once there are so many, of which none is the process `without`."""

    def are_there() -> bool:
        found = workers(probe)
        return len(found) == number and without not in found

    assert wait_until(are_there), probe.log()
    return workers(probe)


def one_that_serves(probe: Probe) -> int:
    """A worker that has had a connection, once all of them serve."""
    held = Held(probe)
    held.wait_until_all_serve()
    held.client.close()
    (worker,) = {held.pid, held.parent} & workers(probe)
    return worker


def kill_one(probe: Probe, number: int) -> int:
    """Kill one of so many workers, which has served; return its pid."""
    wait_for_workers(probe, number)
    worker = one_that_serves(probe)
    os.kill(worker, signal.SIGKILL)
    return worker


def ages(probe: Probe, port: int) -> list[float]:
    """For how long a client had been served by what was ended, as the log has it, in seconds."""
    found = re.findall(rf"'127\.0\.0\.1', {port}\) for (\d+\.\d+) s", probe.log())
    return [float(age) for age in found]
