"""The tests' side of `migrating_server.py`."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from probes import PATIENCE

Told = dict[str, Any]


class Host:
    """A running `migrating_server.py`."""

    def __init__(self, way: str, name: str, strategy: str, folder: Path) -> None:
        self.is_stream = "UDP" not in name and "Datagram" not in name
        self.folder = folder
        path = folder / "server"
        program = Path(__file__).with_name("migrating_server.py")
        self.process = subprocess.Popen(
            [sys.executable, program, way, name, strategy, path],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            found = self.event()
        except BaseException:
            self.kill()
            raise
        self.pid: int = found["pid"]
        address = found["address"]
        self.is_unix = isinstance(address, str)
        self.address: Any = address if self.is_unix else tuple(address)

    def event(self) -> Told:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.stderr and self.process.stderr.read()
        found: Told = json.loads(line)
        return found

    @contextlib.contextmanager
    def visit(self) -> Iterator[tuple[Told, socket.socket]]:
        """A connection, or a datagram, and what the handler has told."""
        family = socket.AF_UNIX if self.is_unix else socket.AF_INET
        kind = socket.SOCK_STREAM if self.is_stream else socket.SOCK_DGRAM
        with socket.socket(family, kind) as client:
            client.settimeout(PATIENCE)
            if not self.is_stream and self.is_unix:
                # Where the answer goes to.
                client.bind(str(self.folder / f"client-{client.fileno()}"))
            client.connect(self.address)
            client.sendall(b"" if self.is_stream else b"?")
            yield json.loads(client.recv(1000)), client

    def ask(self) -> Told:
        with self.visit() as (told, client):
            if self.is_stream:
                client.sendall(b".")
        if not self.is_stream and self.is_unix:
            for path in self.folder.glob("client-*"):
                path.unlink()
        return told

    def stop(self, *clients: socket.socket) -> Told:
        """What it tells when it is stopped by a signal handler that calls `shutdown`.

        The clients, whose connections are in flight, let their handlers end then.
        """
        self.process.send_signal(signal.SIGTERM)
        found = self.event()
        for client in clients:
            client.sendall(b".")
        self.has_ended()
        return found

    def has_ended(self) -> str:
        """Wait for its end; return what it has written to the standard error."""
        _, log = self.process.communicate(timeout=PATIENCE)
        assert self.process.returncode == 0, log
        return log

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@contextlib.contextmanager
def hosted(way: str, name: str, strategy: str) -> Iterator[Host]:
    """A server of the class `name`; stopped at the end, unless the block has done that."""
    with tempfile.TemporaryDirectory() as folder:
        host = Host(way, name, strategy, Path(folder))
        try:
            yield host
            if host.process.returncode is None:
                host.stop()
        finally:
            if host.process.returncode is None:
                host.kill()
