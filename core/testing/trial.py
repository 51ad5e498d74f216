"""One run of a server with the strategy that is checked, as its clients see it."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from serverstrategy.strategy import Strategy

from .client import Client
from .events import Events
from .outcome import BrokenError
from .process import Process
from .stage import ERRORS, EXITS, Stage

QUIET = 0.3
"""For how long nothing must happen until nothing more is expected, in seconds."""

MANY = 16
"""How many connections try the limit of a strategy."""

Program = Callable[[Stage], None]


class Trial:
    """A process that runs `program` with a server, forked from this one.

    The clients stay in this process, since a server that forks would hand their descriptors on.

    Args:
        make: builds the strategy, in the new process.
        program: what the new process does.
        patience: how long to wait for what must come, in seconds.

    Attributes:
        events: what the server's processes tell.
        pid: the process identifier of the one that runs `program`.
    """

    def __init__(self, make: Callable[[], Strategy], program: Program, patience: float) -> None:
        self.patience = patience
        self.events = Events()
        self._clients: list[Client] = []
        self._process = Process(
            lambda: program(Stage(make, self.events)),
            lambda text: self.events.tell("crashed", error=text),
        )
        self.pid = self._process.pid
        self.signal = self._process.signal
        self.cpu_seconds = self._process.cpu_seconds

    def expect(self, event: str, **fields: Any) -> dict[str, Any]:
        """Wait for an event, and return the first such one.

        Raises:
            BrokenError: it does not come.
        """

        def is_over() -> bool:
            return bool(self.events.select(event, **fields) or self.events.select("crashed"))

        self.events.wait(is_over, self.patience)
        for found in self.events.select(event, **fields):
            return found
        for crash in self.events.select("crashed"):
            raise BrokenError(f"it failed: {crash['error'].rstrip()}")
        what = _WORDS.get(event, event)
        raise BrokenError(f"within {self.patience:g} s it was not seen that {what}{self._told()}")

    def client(self) -> Client:
        """A new connection, which is closed at the end."""
        try:
            # What became of a connection is found by the port of its client.
            client = Client(self.address, self.patience, self._clients)
        except OSError as error:
            raise BrokenError(f"a client could not connect: {error}{self._told()}") from None
        self._clients.append(client)
        return client

    def clients(self, number: int) -> list[Client]:
        """So many new connections."""
        return [self.client() for _ in range(number)]

    @property
    def address(self) -> tuple[str, int]:
        """Where the newest server listens."""
        self.expect("listening")
        host, port = self.events.select("listening")[-1]["address"]
        return host, port

    def check_echo(self, client: Client | None = None) -> Client:
        """Have a connection, by default a new one, answered; leave it open.

        Raises:
            BrokenError: it is not answered.
        """
        client = client or self.client()
        reply = client.ask("echo hello")
        if reply != "hello":
            raise BrokenError(f"a connection got {reply} instead of its answer{self._told()}")
        return client

    def fill(
        self, number: int = MANY, *, has_room: bool = True
    ) -> tuple[list[Client], list[Client]]:
        """Open so many connections and hold them; return those that are handled, and the others.

        Raises:
            BrokenError: none is handled, although the server `has_room`.
        """
        clients = self.clients(number)
        for client in clients:
            client.send("echo hello")
        ports = {client.port for client in clients}
        if has_room:
            self.events.wait(lambda: ports & self.events.ports("begin"), self.patience)
        if not ports <= self.events.ports("begin"):
            self.events.wait_until_quiet(QUIET, self.patience)
        begun = self.events.ports("begin")
        inside = [client for client in clients if client.port in begun]
        if has_room and not inside:
            raise BrokenError(f"none of {number} connections was handled{self._told()}")
        for client in inside:
            if (reply := client.receive()) != "hello":
                raise BrokenError(f"a connection got {reply} instead of its answer{self._told()}")
        return inside, [client for client in clients if client.port not in begun]

    def handles_where_it_accepts(self) -> bool:
        """Whether every handler so far runs in the thread that has accepted its connection."""
        accepted = self.events.places("accepted")
        return all(
            accepted.get(port) == place for port, place in self.events.places("begin").items()
        )

    def handles_in_own_thread(self) -> bool:
        """Whether every handler so far runs in the thread that calls `serve_forever`."""
        begun = self.events.select("begin")
        return all(event["main"] and event["pid"] == self.pid for event in begun)

    def errors(self) -> tuple[str, ...]:
        """What a handler may raise at the cost of its connection only, by name."""
        # What is no Exception belongs to the application in the application's own thread.
        return ERRORS if self.handles_in_own_thread() else (*ERRORS, *EXITS)

    def stop(self) -> None:
        """Have the server's `shutdown` called by a signal handler in its main thread."""
        self.signal(signal.SIGTERM)

    def end(self) -> None:
        """Stop the server, and wait until it is closed and all its processes have ended.

        Raises:
            BrokenError: it takes too long.
        """
        self.stop()
        self.wait_for_the_end()

    def wait_for_the_end(self) -> None:
        """Wait until all processes of the server have ended.

        Raises:
            BrokenError: it takes too long.
        """
        if not self.events.select("closed"):
            self.expect("closed")
        if not self._process.wait(self.patience):
            raise BrokenError(f"a process of the server goes on after it was closed{self._told()}")

    def refuses(self) -> bool:
        """Whether nobody listens."""
        try:
            socket.create_connection(self.address, min(1.0, self.patience)).close()
        except TimeoutError:  # somebody listens, whose backlog is full
            return False
        except OSError:
            return True
        return False

    def _told(self) -> str:
        """What the server's processes have printed, and how `serve_forever` has returned."""
        told = ""
        for returned in self.events.select("returned"):
            told += f"; serve_forever has returned{returned['error'] and ': ' + returned['error']}"
        printed = self._process.printed()
        return told + (f"; it printed:\n{printed}" if printed else "")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for client in self._clients:
            client.close()
        try:
            self._process.close()
        finally:
            self.events.close()


_WORDS = {
    "closed": "server_close returned",
    "returned": "serve_forever returned",
    "draining": "serve returned, so that drain could be asked",
    "drained": "drain returned",
    "listening": "the server was built",
}


def serve_and_close(stage: Stage) -> None:
    """Build a server, serve until the stop, close."""
    server = stage.build(stage.make())
    stage.serve(server)
    stage.close(server)


def elapsed(since: float) -> str:
    """How long ago it was, in words."""
    return f"{time.monotonic() - since:.2f} s"
