"""Servers that others have built on `socketserver`, with their real clients, under every strategy.

The extra `guests` has their packages; a guest whose package is missing is skipped, with the reason.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest

from guests import GUESTS
from guests_common import ROOMS, Guest, Visit
from probes import PATIENCE, wait_until

STRATEGIES = ["none", *ROOMS]
"""Which strategies the guests are given; "none" is the server as its library has it."""


def cases() -> Iterator[Any]:
    for name, make in GUESTS.items():
        guest = make()
        marks = [pytest.mark.filterwarnings(noise) for noise in guest.noise]
        for strategy in STRATEGIES:
            for way in ["none"] if strategy == "none" else guest.ways:
                yield pytest.param(name, strategy, way, id=f"{name}-{strategy}-{way}", marks=marks)


def need(guest: Guest) -> None:
    for package in guest.packages:
        pytest.importorskip(package)


class Host:
    """A running `guest.py`, in a process group of its own."""

    def __init__(self, name: str, strategy: str, way: str, log: IO[str]) -> None:
        self.log = log
        self.process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("guest.py"), name, strategy, way],
            stdout=subprocess.PIPE,
            stderr=log,
            bufsize=0,
            start_new_session=True,
        )

    def expect(self, event: str) -> dict[str, Any]:
        """The next event, which must be this one. Some libraries write lines of their own."""
        assert self.process.stdout is not None
        deadline = time.monotonic() + PATIENCE
        while (rest := deadline - time.monotonic()) > 0:
            if not select.select([self.process.stdout], [], [], rest)[0]:
                break
            line = self.process.stdout.readline()
            if line.startswith(b"{"):
                found: dict[str, Any] = json.loads(line)
                assert found["event"] == event, self.story()
                return found
            assert line, f"it ended without {event!r}\n{self.story()}"
        raise AssertionError(f"no {event!r} came\n{self.story()}")

    def story(self) -> str:
        self.log.flush()
        self.log.seek(0)
        return self.log.read()

    def is_gone(self) -> bool:
        """Whether no process of its group is left."""
        try:
            os.killpg(self.process.pid, 0)
        except ProcessLookupError:
            return True
        return False

    def end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def log() -> Iterator[IO[str]]:
    with tempfile.TemporaryFile("w+") as file:
        yield file


@pytest.mark.parametrize(("name", "strategy", "way"), list(cases()))
def test_serves_its_own_clients_and_leaves_nothing(
    name: str, strategy: str, way: str, log: IO[str]
) -> None:
    guest = GUESTS[name]()
    need(guest)
    host = Host(name, strategy, way, log)
    try:
        found = host.expect("listening")
        address, port = found["address"]
        visit = Visit((address, port), found["pid"], guest.room_with(strategy))
        try:
            guest.exercise(visit)
        except Exception as exc:
            exc.add_note(host.story())
            raise
        host.process.send_signal(signal.SIGTERM)
        closed = host.expect("closed")
        assert (closed["fds"], closed["threads"], closed["children"]) == (0, 0, []), closed
        assert host.process.wait(PATIENCE) == 0, host.story()
        assert wait_until(host.is_gone, 5.0)
    finally:
        host.end()
