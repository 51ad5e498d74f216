"""The same done to the files of our handler and of the standard library's, and compared."""

from __future__ import annotations

import contextlib
import re
import socket
import socketserver
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import serverstrategy
from probes import PATIENCE

OURS: Any = serverstrategy.StreamRequestHandler
THEIRS: Any = socketserver.StreamRequestHandler

# What the classes are called, and where objects are, is not the same.
_NAMES = re.compile(r"serverstrategy\.\w+\.|_?io\.|socketserver\.| at 0x\w+|fd=\d+|name=\d+")
_READERS = re.compile(r"\b(DirectReader|StreamReader|BufferedReader)\b")
_WRITERS = re.compile(r"\b(StreamWriter|_SocketWriter)\b")

_PLAIN = bytes | bytearray | int | float | list | tuple | None

Done = list[tuple[str, Any]]


def text(something: object) -> str:
    """Its text, without what is not the same in each run, or for the classes of each library."""
    found = _NAMES.sub("", str(something))
    return _WRITERS.sub("WRITER", _READERS.sub("READER", found))


def outcome(call: Callable[[], Any]) -> tuple[str, Any]:
    """What it returns; or the class of what it raises, and its message."""
    try:
        value = call()
        return "returns", value if isinstance(value, _PLAIN) else text(value)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - each one is compared
        return type(error).__name__, text(error)


class Trial:
    """A handler at work on one end of a connection, and the peer at the other.

    Args:
        base: the handler's class.
        kind: makes the two ends.
        timeout, peer_timeout: of the two ends, in seconds.
        attributes: of the class that is made of `base`.

    Attributes:
        handler, rfile, wfile, connection: as `setup` of the handler has left them.
        request, peer: the two ends.
        done: the outcomes of all that was done so far.
    """

    def __init__(
        self,
        base: Any,
        kind: Callable[[], tuple[Any, Any]] = socket.socketpair,
        timeout: float | None = None,
        peer_timeout: float | None = PATIENCE,
        attributes: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        self.request, self.peer = kind()
        self.peer.settimeout(peer_timeout)
        self.request.settimeout(timeout)
        self.done: Done = []
        self.handler: Any = None
        trial = self

        class Handler(base):  # type: ignore[misc]
            def handle(self) -> None:
                trial.handler = self

            def finish(self) -> None:
                pass

        for name, value in attributes.items():
            setattr(Handler, name, value)
        self.finish: Callable[[], None] = lambda: base.finish(self.handler)
        try:
            Handler(self.request, "client", "server")
        except BaseException:
            self.request.close()
            self.peer.close()
            raise

    @property
    def rfile(self) -> Any:
        return self.handler.rfile

    @property
    def wfile(self) -> Any:
        return self.handler.wfile

    @property
    def connection(self) -> Any:
        return self.handler.connection

    def do(self, call: Callable[[], Any]) -> Any:
        """Note and return the outcome."""
        self.done.append(outcome(call))
        return self.done[-1]

    def read(self, name: str, *args: Any) -> Any:
        """Call a method of `rfile`, and note and return the outcome."""
        return self.do(lambda: getattr(self.rfile, name)(*args))

    def send(self, data: bytes) -> None:
        """Have the peer send it all; it is there when this returns."""
        self.peer.sendall(data)

    def __enter__(self) -> Trial:
        return self

    def __exit__(self, *_: object) -> None:
        self.peer.close()
        for each in (self.rfile, self.wfile, self.request):
            with contextlib.suppress(Exception):
                each.close()


def compare(scenario: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Run it on both, and compare all outcomes. Returns what it returned for ours.

    Args:
        scenario: is called with a Trial and the arguments.
        options: of the Trial.
    """
    results = []
    for base in (THEIRS, OURS):
        with Trial(base, **options) as trial:
            value = scenario(trial, *arguments)
            results.append((trial.done, value))
    theirs, ours = results
    for one, other in zip(ours[0], theirs[0], strict=True):
        assert one == other, (arguments, ours[0], theirs[0])
    assert ours[1] == theirs[1], arguments
    return ours[1]
