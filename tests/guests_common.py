"""What all guests have in common: servers of other people, built on `socketserver`, unmodified.

A guest knows how its server is built and served, in the process of `guest.py`, and how real
clients use it, in the process of the test.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from typing import Any, NamedTuple

from probes import PATIENCE

HOST = "127.0.0.1"

CLIENTS = 5
"""How many clients come at once. No more: 5 is the backlog of `socketserver`."""


class Room(NamedTuple):
    """How a strategy, or a server of the guest's own, lodges connections."""

    at_once: int
    """How many connections that stay open are handled together; others wait meanwhile."""

    shared: bool
    """Whether they are handled in the process of the server, and so share its memory."""

    threads: bool
    """Whether several are handled in one process, in threads."""


MANY = 40
ONE_AT_A_TIME = Room(1, shared=True, threads=False)
THREADS = Room(MANY, shared=True, threads=True)
PROCESSES = Room(MANY, shared=False, threads=False)

ROOMS = {
    "Synchronous()": ONE_AT_A_TIME,
    "Threaded()": THREADS,
    "ThreadPool(4)": Room(4, shared=True, threads=True),
    "Forking()": PROCESSES,
    "Prefork(2)": Room(2, shared=False, threads=False),
    "Prefork(2, ThreadPool(4))": Room(8, shared=False, threads=True),
}


class Gift:
    """What gives a server its strategy, on the way that is asked for; nothing on the other."""

    def __init__(self, strategy: str, way: str) -> None:
        assert (strategy == "none") == (way == "none")
        self.strategy = strategy
        self.way = way

    def to_instance(self, server: Any) -> Any:
        return self._give(server, "adopt")

    def to_class(self, cls: Any) -> Any:
        return self._give(cls, "class")

    def _give(self, target: Any, way: str) -> Any:
        if way != self.way:
            return target
        import serverstrategy
        from serverstrategy.strategies import parse

        package: Any = serverstrategy
        if way == "adopt":
            return package.adopt(target, parse(self.strategy))
        return package.with_strategy(target, lambda: parse(self.strategy))


class Visit:
    """The clients' side: where the server is, and what may be asked of it."""

    def __init__(self, address: tuple[str, int], pid: int, room: Room) -> None:
        self.address = address
        self.host, self.port = address
        self.pid = pid
        self.room = room

    def together(self, client: Callable[[int], object], number: int = CLIENTS) -> None:
        """Run clients with short connections, all at once."""
        self._run(client, number, number)

    def long_lived(self, client: Callable[[int], object], number: int = CLIENTS) -> None:
        """Run clients that keep a connection open, as many at once as there is room for.

        An open connection occupies its handler also while the client says nothing. Where there is
        room for one, a second client would wait until the first hangs up, which is the nature of
        one-at-a-time handling: so the clients come one after another there.
        """
        self._run(client, number, min(number, self.room.at_once))

    def _run(self, client: Callable[[int], object], number: int, at_once: int) -> None:
        with ThreadPoolExecutor(at_once) as pool:
            for done in [pool.submit(client, each) for each in range(number)]:
                done.result()

    def check_pid(self, pid: int) -> None:
        """Check that a handler ran in the server's process, or that it did not."""
        assert (pid == self.pid) is self.room.shared, (pid, self.pid, self.room)


class Guest:
    """A server that somebody else has written."""

    packages: tuple[str, ...] = ()
    """The modules that have to be importable."""

    ways: tuple[str, ...] = ("adopt", "class")
    """How it can be given a strategy, by what its library offers."""

    noise: tuple[str, ...] = ()
    """Filters for the warnings that its own client gives."""

    room: Room = ONE_AT_A_TIME
    """How it handles connections by itself, without a strategy of ours."""

    def __init__(self) -> None:
        self.stack = contextlib.ExitStack()
        """What is to be closed after the server, in the process of the server."""

    def make(self, gift: Gift) -> Any:
        """Build the server, on an ephemeral port of 127.0.0.1."""
        raise NotImplementedError

    def run(self, gift: Gift, announce: Callable[[Any], None]) -> None:
        """Build the server, announce it, and serve: in the way of the library, if it has one."""
        server = self.make(gift)
        announce(server)
        server.serve_forever()

    def exercise(self, visit: Visit) -> None:
        """Be its clients, and check what they are told."""
        raise NotImplementedError

    def room_with(self, strategy: str) -> Room:
        return ROOMS.get(strategy, self.room)


def announced(cls: Any, announce: Callable[[Any], None]) -> Any:
    """A subclass that announces itself, for a library that builds its server and serves at once.

    Clients that come between this and serving wait in the backlog.
    """

    class Announced(cls):
        def server_activate(self) -> None:
            super().server_activate()
            announce(self)

    return Announced


def ask(
    connection: HTTPConnection,
    method: str,
    path: str,
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
) -> tuple[int, bytes]:
    """One request and its whole answer. Connects again if the server has closed meanwhile."""
    connection.request(method, path, body, headers or {})
    with connection.getresponse() as response:
        return response.status, response.read()


def http(visit: Visit) -> contextlib.closing[HTTPConnection]:
    return contextlib.closing(HTTPConnection(*visit.address, timeout=PATIENCE))


def check_pages(
    visit: Visit, connection: HTTPConnection, number: int, *, keeps: bool | None
) -> None:
    """Go through the pages that every web application here has: `hello`, `shout`, `error`, `pid`.

    `keeps` says whether the server has to keep a connection open for the next request, or must
    not; None: that is its own business.
    """
    hello = (200, f"hello {number}".encode())
    assert ask(connection, "GET", f"/hello?name={number}") == hello
    first = connection.sock
    assert keeps is None or (first is not None) is keeps
    body = f"some text {number} ".encode() * 1000
    assert ask(connection, "POST", "/shout", body, {"Content-Type": "text/plain"}) == (
        200,
        body.upper(),
    )
    assert connection.sock is first or not keeps
    assert ask(connection, "GET", "/error")[0] == 500
    assert ask(connection, "GET", f"/hello?name={number}") == hello
    visit.check_pid(int(ask(connection, "GET", "/pid")[1]))


def check_web(visit: Visit, *, keeps: bool | None = None) -> None:
    """Be several browsers."""

    def browser(number: int) -> None:
        with http(visit) as connection:
            check_pages(visit, connection, number, keeps=keeps)

    # A connection that is kept open is a long-lived one.
    (visit.long_lived if keeps else visit.together)(browser)
