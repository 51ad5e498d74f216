"""The client's side of a connection to a server that is checked."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self


class Client:
    """One connection: lines there, lines back.

    Args:
        address: where the server listens.
        patience: how long to wait for anything, in seconds.
        others: those that were there before, whose ports and addresses it does not take.
    """

    def __init__(
        self, address: tuple[str, int], patience: float, others: Sequence[Client] = ()
    ) -> None:
        self._patience = patience
        self._socket = _unlike(others)
        try:
            self._socket.settimeout(patience)
            self._socket.connect(address)
        except BaseException:
            self._socket.close()
            raise
        self._reader = self._socket.makefile("rb")
        self.port: int = self._socket.getsockname()[1]

    def send(self, line: str) -> None:
        """Send one line."""
        # OSError: the server has closed it, which the next `receive` tells.
        with contextlib.suppress(OSError):
            self._socket.sendall(line.encode() + b"\n")

    def end(self) -> None:
        """Send the end of file."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def receive(self) -> str:
        """The next line; "the end of file" or "nothing" (within the patience) instead of one."""
        try:
            line = self._reader.readline()
        except TimeoutError:
            return "nothing"
        except OSError:
            return "the end of file"
        return line.decode().rstrip("\n") if line else "the end of file"

    def ask(self, line: str) -> str:
        """Send a line and receive one."""
        self.send(line)
        return self.receive()

    def is_closed_there(self) -> bool:
        """Whether nobody has the other side open, not even a copy of it that was shut down."""
        deadline = time.monotonic() + self._patience
        while time.monotonic() < deadline:
            try:
                self._socket.send(b"\n")  # answered by a reset if nobody has it
            except OSError:
                return True
            time.sleep(0.01)
        return False

    def close(self) -> None:
        """Close this side."""
        self._reader.close()
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def bound_socket(kind: socket.SocketKind, number: int) -> socket.socket:
    """A socket with an address of the loopback that differs for each number, if it has many."""
    new = socket.socket(type=kind)
    try:
        new.bind((f"127.0.{number // 250}.{number % 250 + 1}", 0))
    except OSError:  # not Linux
        new.bind(("127.0.0.1", 0))
    return new


def _unlike(others: Sequence[Client]) -> socket.socket:
    used = {each.port for each in others}
    while True:
        new = bound_socket(socket.SOCK_STREAM, len(others))
        if new.getsockname()[1] not in used:
            return new
        new.close()
