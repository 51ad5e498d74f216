"""What the tests of docs/migrating.md share: the page's rows, and servers for them."""

from __future__ import annotations

import re
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

import serverstrategy
from adopting import ANY_PORT, Shout
from probes import PATIENCE
from serverstrategy import Strategy, adopt

PAGE = Path(__file__).parent.parent / "docs" / "migrating.md"

SECTIONS = {
    "ways": "Three ways",
    "classes": "Classes",
    "servers": "Servers",
    "mix-ins": "Mix-ins",
    "handlers": "Handlers",
    "shapes": "What an adopted class may do",
    "limits": "What a strategy cannot do",
    "refused": "What is refused",
    "differences": "Intended differences",
}
NAMED = ["classes", "servers", "mix-ins", "handlers"]
"""The sections whose rows are about names."""

SHOWN: dict[tuple[str, str], list[str]] = {}
"""The tests that show what a row or an entry of a section claims."""

Test = TypeVar("Test", bound=Callable[..., None])


def shows(section: str, *rows: str) -> Callable[[Test], Test]:
    """Say that a test shows what rows claim: by their names, or by all of their first column."""

    def note(test: Test) -> Test:
        assert test.__name__.startswith("test_"), "pytest would not run it"
        for row in rows:
            SHOWN.setdefault((section, row), []).append(test.__name__)
        return test

    return note


def rows(section: str) -> Iterator[str]:
    """What has to be shown of a section of the page."""
    _, _, after = PAGE.read_text().partition(f"# {SECTIONS[section]}\n")
    text = re.split(r"^##+ ", after, maxsplit=1, flags=re.MULTILINE)[0]
    for line in text.splitlines()[2:]:
        if line.startswith("| ") and not line.startswith(("| name |", "| `socketserver` |")):
            first = line.split(" | ")[0].removeprefix("| ")
            if section in NAMED:
                yield from re.findall(r"`(\w+)`", first)
            elif first not in ("you have", "a class", "what"):
                yield first
    yield from re.findall(r"^- \*\*(.*?)\*\*", text, re.DOTALL | re.MULTILINE)


def ours(handler: Any = Shout, strategy: Strategy | None = None, **attributes: Any) -> Any:
    """A server of a class of ours that sets `attributes`."""
    base = attributes.pop("base", socketserver.TCPServer)
    cls: Any = type("Ours", (getattr(serverstrategy, base.__name__),), attributes)
    return cls(ANY_PORT, handler, strategy=strategy)


def adopted(handler: Any = Shout, strategy: Strategy | None = None, **attributes: Any) -> Any:
    """An adopted server of a class of the standard library that sets `attributes`."""
    base = attributes.pop("base", socketserver.TCPServer)
    cls: Any = type("Theirs", (base,), attributes)
    return adopt(cls(ANY_PORT, handler), Strategy() if strategy is None else strategy)


both = pytest.mark.parametrize("build", [ours, adopted])


class Late(serverstrategy.BaseRequestHandler):
    """Answers when it may."""

    begun: threading.Event
    go_on: threading.Event

    def handle(self) -> None:
        self.begun.set()
        assert self.go_on.wait(PATIENCE)
        if isinstance(self.request, tuple):
            self.request[1].sendto(b"late", self.client_address)
        else:
            self.request.sendall(b"late")


def late() -> type[Late]:
    return type("Late", (Late,), {"begun": threading.Event(), "go_on": threading.Event()})


class UntilTheEnd(serverstrategy.BaseRequestHandler):
    """Reads until the end of file."""

    def handle(self) -> None:
        self.request.sendall(b"!")
        while self.request.recv(100):
            pass


def connect(server: Any) -> socket.socket:
    return socket.create_connection(server.server_address, PATIENCE)


def read(client: socket.socket) -> bytes:
    """All until the end of file."""
    with client.makefile("rb") as reader:
        return reader.read()


def in_thread(function: Callable[..., Any], *arguments: Any) -> threading.Thread:
    thread = threading.Thread(target=function, args=arguments)
    thread.start()
    return thread


def join(thread: threading.Thread) -> None:
    thread.join(PATIENCE)
    assert not thread.is_alive()
