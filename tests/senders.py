"""Clients of datagram servers, and a gate that holds handlers in other processes."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import select
import socket
from collections.abc import Iterator
from pathlib import Path

from probes import PATIENCE, Address

_numbers = itertools.count()


class Sender:
    """A socket with an address of its own, which sends datagrams to a server."""

    def __init__(self, server: Address, timeout: float = PATIENCE) -> None:
        self.server = server
        self.socket = socket.socket(_family(server), socket.SOCK_DGRAM)
        self.socket.settimeout(timeout)
        if isinstance(server, str):
            # A socket without a path could not be answered.
            self.socket.bind(f"{server}.{next(_numbers)}")
        else:
            self.socket.bind((server[0], 0))

    @property
    def address(self) -> Address:
        address: Address = self.socket.getsockname()
        return address

    def send(self, command: str) -> None:
        self.socket.sendto(f"{command}\n".encode(), self.server)

    def receive(self) -> str:
        data, sender = self.socket.recvfrom(65536)
        assert sender == self.server, "it was answered by another socket"
        return data.decode().rstrip("\n")

    def ask(self, command: str) -> str:
        self.send(command)
        return self.receive()

    def has_answer(self) -> bool:
        """Whether there is an answer that nobody has read."""
        return bool(select.select([self.socket], [], [], 0)[0])


def _family(address: Address) -> socket.AddressFamily:
    if isinstance(address, str):
        return socket.AF_UNIX
    return socket.AF_INET6 if ":" in address[0] else socket.AF_INET


@contextlib.contextmanager
def senders(server: Address, number: int) -> Iterator[list[Sender]]:
    with contextlib.ExitStack() as stack:
        found = [Sender(server) for _ in range(number)]
        for sender in found:
            stack.enter_context(sender.socket)
        yield found


@contextlib.contextmanager
def sending(server: Address) -> Iterator[Sender]:
    with senders(server, 1) as (sender,):
        yield sender


class Gate:
    """Holds the handlers that were told `wait`, until it is opened."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("w")
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def open(self) -> None:
        self._file.close()

    def __enter__(self) -> Gate:
        return self

    def __exit__(self, *_: object) -> None:
        self.open()
