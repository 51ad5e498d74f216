"""A load in processes of its own: opens connections to a probe, and tells what became of each.

    python loading.py OPTIONS_AS_JSON

It writes a JSON list a line to its standard output for each connection that is over: a `Fate`. At
the end of its standard input it opens no more, and ends when all are over.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import selectors
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

from probes import PATIENCE, Address, wait_until

OPTIONS = {
    "address": ["127.0.0.1", 0],
    "rate": 500.0,  # how many connections a second at most
    "most": 32,  # how many at the same time
    "commands": [],  # for the handler, before it is asked who it is
    "patience": PATIENCE,  # how long a connection may take, in seconds
}
FAULTS = {errno.ECONNREFUSED: "refused", errno.ECONNRESET: "reset", errno.EPIPE: "reset"}
FAULTS[errno.ENOTCONN] = "reset"  # told of by a call that comes after the reset


class Fate(NamedTuple):
    """What became of one connection.

    Attributes:
        what: "answered", with all that was asked for and the end of file; "refused"; "reset";
            "cut", at an end of file before that; "timed out"; or the name of another error.
        pid: the process that answered; 0: none did.
        parent: the parent of that one.
        began: in seconds of `time.monotonic`, as `ended`.
        ended: when it was over.
        port: the client's, by which the server knows it; 0: it was refused.
    """

    what: str
    pid: int
    parent: int
    began: float
    ended: float
    port: int


class Connection:
    """One connection, which does not block."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.began = time.monotonic()
        self.answer = b""
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.failure = self.socket.connect_ex(address)

    def send(self, request: bytes) -> None:
        """Send all, and the end of file: what fits into the buffer of a new connection."""
        self.socket.send(request)
        self.socket.shutdown(socket.SHUT_WR)

    def has_ended(self) -> bool:
        """Take what has come."""
        chunk = self.socket.recv(4096)
        self.answer += chunk
        return not chunk

    def fate(self, what: str) -> Fate:
        who = self.answer.split(b"\n")[-2:-1]
        words = who[0].split() if who and self.answer.endswith(b"\n") else []
        pids = [int(word) for word in words[:2]] if len(words) == 3 else [0, 0]
        if what == "ended":
            what = "answered" if pids[0] else "cut"
        port = self.socket.getsockname()[1]
        return Fate(what, *pids, self.began, time.monotonic(), port)


class Generator:
    """Opens one connection after the other, several at the same time, none later than due."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._address = tuple(options["address"])
        self._pause = 1.0 / options["rate"]
        self._most, self._patience = options["most"], options["patience"]
        self._request = "".join(f"{each}\n" for each in [*options["commands"], "who"]).encode()
        self._selector = selectors.DefaultSelector()
        self._open: dict[Connection, None] = {}
        self._due = time.monotonic()
        self._fates: list[Fate] = []

    def run(self) -> None:
        self._selector.register(0, selectors.EVENT_READ)
        goes_on = True
        while goes_on or self._open:
            wait = self._start_due() if goes_on else self._patience / 10
            for key, _ in self._selector.select(wait):
                if key.data is None:
                    goes_on = False
                    self._selector.unregister(0)
                else:
                    self._advance(key.data)
            self._give_up()
            if self._fates:
                lines = "".join(f"{json.dumps(each)}\n" for each in self._fates)
                self._fates.clear()
                os.write(1, lines.encode())

    def _start_due(self) -> float:
        """Start those that are due; return the seconds until the next one is."""
        now = time.monotonic()
        # What could not be started in time is not made up for at once.
        self._due = max(self._due, now - 0.05)
        while self._due <= now and len(self._open) < self._most:
            self._due += self._pause
            connection = Connection(self._address)
            self._open[connection] = None
            if connection.failure in (0, errno.EINPROGRESS):
                self._selector.register(connection.socket, selectors.EVENT_WRITE, connection)
            else:
                self._end(connection, FAULTS.get(connection.failure, str(connection.failure)))
        return max(0.0, self._due - now) if len(self._open) < self._most else self._patience / 10

    def _advance(self, connection: Connection) -> None:
        try:
            if self._selector.get_key(connection.socket).events == selectors.EVENT_WRITE:
                connection.send(self._request)
                self._selector.modify(connection.socket, selectors.EVENT_READ, connection)
            elif connection.has_ended():
                self._end(connection, "ended")
        except BlockingIOError:
            return
        except OSError as error:
            self._end(connection, FAULTS.get(error.errno or 0, str(error)))

    def _give_up(self) -> None:
        before = time.monotonic() - self._patience
        for connection in [each for each in self._open if each.began < before]:
            self._end(connection, "timed out")

    def _end(self, connection: Connection, what: str) -> None:
        self._fates.append(connection.fate(what))
        del self._open[connection]
        if connection.socket in self._selector.get_map():
            self._selector.unregister(connection.socket)
        connection.socket.close()


# The tests' side


class Load:
    """A running load. Its options are those of OPTIONS, for all of its processes together."""

    def __init__(self, address: Address, processes: int, **options: Any) -> None:
        options = OPTIONS | options | {"address": address}
        self.patience = options["patience"]
        options["rate"] /= processes
        options["most"] = -(-options["most"] // processes)
        self.fates: list[Fate] = []
        self._processes = [
            subprocess.Popen(
                [sys.executable, __file__, json.dumps(options)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,
            )
            for _ in range(processes)
        ]
        self._readers = [
            threading.Thread(target=self._read, args=(each,)) for each in self._processes
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self.fates.append(Fate(*json.loads(line)))

    def counts(self) -> Counter[str]:
        """How many connections have had each fate."""
        return Counter(each.what for each in self.fates.copy())

    def wait_for(self, more: int) -> None:
        """Wait until so many more connections are over."""
        wanted = len(self.fates) + more
        assert wait_until(lambda: len(self.fates) >= wanted, self.patience), self.counts()

    def stop(self) -> list[Fate]:
        """Open no more; return the fates of all when the last one is over."""
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.close()
        for reader in self._readers:
            reader.join()
        assert [each.wait() for each in self._processes] == [0] * len(self._processes)
        return self.fates

    def end(self) -> None:
        """Kill what is left of it."""
        for process, reader in zip(self._processes, self._readers, strict=True):
            process.kill()
            process.wait()
            reader.join()
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.close()
            process.stdout.close()


@contextlib.contextmanager
def loading(address: Address, processes: int = 2, **options: Any) -> Iterator[Load]:
    load = Load(address, processes, **options)
    try:
        yield load
    finally:
        load.end()


if __name__ == "__main__":
    Generator(OPTIONS | json.loads(sys.argv[1])).run()
