"""What a handler does with a connection."""

from __future__ import annotations

import gc
import itertools
import time
from collections.abc import Callable
from typing import Any, NamedTuple, Self

LINE = 1024
"""How long a line may be, in bytes."""

SLEEP = 0.010
"""Seconds that a sleeping handler sleeps."""

BACKLOG = 4096
"""How many connections may wait; the system may allow fewer."""

ADDRESS = ("127.0.0.1", 0)

BODY = b"hello, world\n"
ANSWER = b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\n" + BODY

Answer = Callable[[Any], None]


class Duty(NamedTuple):
    """What a handler does.

    Attributes:
        name: "echo": it answers one line; "sleep", "burn", "collect": it sleeps, computes, or runs
            the garbage collector before; "keep": it answers line after line; "hello": it answers an
            HTTP request.
        loops: how much it computes, for "burn".
    """

    name: str
    loops: int = 0

    @classmethod
    def parse(cls, text: str) -> Self:
        """The duty of a text: its name, and a number after a space."""
        name, _, loops = text.partition(" ")
        return cls(name, int(loops or 0))

    def __str__(self) -> str:
        return f"{self.name} {self.loops}"

    def work(self) -> None:
        """What the handler does between the line and the answer."""
        if self.name == "sleep":
            time.sleep(SLEEP)
        elif self.name == "collect":
            gc.collect()
        else:
            burn(self.loops)

    def answer(self, before: Callable[[], None] | None = None) -> Answer:
        """A function that answers on a blocking socket, without closing it.

        Args:
            before: called in the place of `work`.
        """
        if self.name == "keep":
            return _answer_lines
        if self.name == "hello":
            return _answer_hello
        if self.name == "echo":
            return _answer_line
        work = before or self.work

        def answer(connection: Any) -> None:
            line = connection.recv(LINE)
            work()
            connection.sendall(line)

        return answer


def _answer_line(connection: Any) -> None:
    connection.sendall(connection.recv(LINE))


def _answer_lines(connection: Any) -> None:
    while data := connection.recv(LINE):
        connection.sendall(data)


def _answer_hello(connection: Any) -> None:
    connection.recv(LINE)
    connection.sendall(ANSWER)


def burn(loops: int) -> float:
    """Compute in Python: a fixed amount of work, whatever else the machine does meanwhile.

    Until a time on the clock would not do: two that share a processor would both end in time. The
    loop is that of the workload crunch of the comparison, which says how many loops 2 ms are, and
    why it counts in floats.
    """
    total = 0.0
    for _ in itertools.repeat(None, loops):
        total = total * 0.75 + 1.5
    return total


def tell(address: Any) -> None:
    """Print the port of a listener's address."""
    print(address[1], flush=True)
