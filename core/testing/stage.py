"""The server of a trial, in a process of its own: what it tells, and what it can be told."""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from socketserver import BaseRequestHandler, DatagramRequestHandler
from typing import Any

from serverstrategy.ownership import check_strategy
from serverstrategy.server import TCPServer, UDPServer
from serverstrategy.strategy import Strategy

from .events import Events


class Unusual(BaseException):
    """No Exception."""


ERRORS = ("ValueError", "BrokenPipeError")
"""What handlers raise: an error of a program, and one of a connection."""

EXITS = ("SystemExit", "KeyboardInterrupt", "Unusual")
"""What handlers raise that is no Exception."""

_RAISED: dict[str, type[BaseException]] = {
    each.__name__: each
    for each in (ValueError, BrokenPipeError, SystemExit, KeyboardInterrupt, Unusual)
}


class Handler(BaseRequestHandler):
    """Does what each line says, and answers it.

    Without a file around the socket, which would keep it open when somebody has closed it.
    """

    server: Any

    def handle(self) -> None:
        """Obey until the end of file."""
        port = self.client_address[1]
        self.server.events.tell("begin", port=port)
        try:
            for line in self._lines():
                command, *arguments = line.decode().split()
                reply = getattr(self, f"do_{command}")(*arguments)
                self.request.sendall(f"{reply}\n".encode())
                if command == "quit":
                    break
        finally:
            self.server.events.tell("end", port=port)

    def _lines(self) -> Iterator[bytes]:
        rest = b""
        while data := self.request.recv(4096):
            *lines, rest = (rest + data).split(b"\n")
            yield from lines

    def do_echo(self, word: str) -> str:
        """Answer the same."""
        return word

    def do_quit(self) -> str:
        """Let the handler end although the client has not."""
        return "bye"

    def do_shutdown(self) -> str:
        """Call the server's method."""
        self.server.shutdown()
        return "called"

    def do_raise(self, name: str) -> str:
        """Let the handler fail."""
        raise _RAISED[name]("as asked")


class DatagramHandler(DatagramRequestHandler):
    """Answers the same."""

    server: Any

    def handle(self) -> None:
        """Answer."""
        self.server.events.tell("begin", port=self.client_address[1])
        self.wfile.write(self.rfile.read())


class Telling:
    """What a server tells of each connection."""

    events: Events

    def get_request(self) -> Any:
        """Accept."""
        request, address = super().get_request()  # type: ignore[misc]
        self.events.tell("accepted", port=address[1])
        return request, address

    def process_request(self, request: Any, client_address: Any) -> None:
        """Hand over."""
        self.events.tell("handing", port=client_address[1])
        try:
            super().process_request(request, client_address)  # type: ignore[misc]
        except BaseException as error:
            self.events.tell("failed", port=client_address[1], error=repr(error))
            raise
        self.events.tell("handed", port=client_address[1])

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report."""
        error = type(sys.exc_info()[1]).__name__
        self.events.tell("handle_error", port=client_address[1], error=error)


class Streams(Telling, TCPServer):
    """A server of connections."""

    request_queue_size = 128


class Datagrams(Telling, UDPServer):
    """A server of datagrams."""


class Stage:
    """The process of the server. SIGTERM stops it, SIGUSR2 does what `on_signal` is set to.

    Attributes:
        make: builds the strategy.
        events: where to tell.
        on_signal: called, in the main thread, on SIGUSR2.
    """

    def __init__(self, make: Callable[[], Strategy], events: Events) -> None:
        # A function without `return` would have the server take its own.
        self.make: Callable[[], Strategy] = lambda: check_strategy(make())
        self.events = events
        self.on_signal: Callable[[], object] = lambda: None
        signal.signal(signal.SIGUSR2, lambda *_: self.on_signal())

    def build(self, strategy: Strategy, *, datagrams: bool = False) -> Any:
        """A server with `strategy`; tells its address."""
        cls: Any = Datagrams if datagrams else Streams
        handler: type[BaseRequestHandler] = DatagramHandler if datagrams else Handler
        server = cls(("127.0.0.1", 0), handler, strategy=strategy)
        server.events = self.events
        server.grace_period = 60.0
        signal.signal(signal.SIGTERM, lambda *_: server.shutdown())
        self.events.tell("listening", address=server.server_address)
        return server

    def serve(self, server: Any) -> None:
        """Call `serve_forever`, and tell when and how it has returned."""
        error = ""
        try:
            server.serve_forever()
        except BaseException as caught:  # noqa: BLE001 - it is told
            error = repr(caught)
        self.events.tell("returned", error=error)

    def close(self, server: Any) -> None:
        """Call `server_close`, and tell when it has returned."""
        self.events.tell("closing")
        server.server_close()
        self.events.tell("closed")


_START: Any = threading.Thread.start
_FORK: Any = getattr(os, "fork", None)


def starts_fail(*, wanted: bool) -> None:
    """Let no thread and no process be started, as under a limit of the system; or again."""
    setattr(threading.Thread, "start", _no_thread if wanted else _START)  # noqa: B010 - a method
    os.fork = _no_fork if wanted else _FORK


def _no_thread(thread: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


def _no_fork() -> int:
    raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
