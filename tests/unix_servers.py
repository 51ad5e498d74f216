"""Servers of Unix sockets in the tests' own process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from serverstrategy import BaseRequestHandler, UnixDatagramServer, UnixStreamServer

Server = type[UnixStreamServer] | type[UnixDatagramServer]

EVERY_CLASS: list[Server] = [UnixStreamServer, UnixDatagramServer]


def new(cls: Server, path: Any, **keywords: Any) -> UnixStreamServer | UnixDatagramServer:
    return cls(path, BaseRequestHandler, **keywords)


def leave_stale(cls: Server, path: Path) -> None:
    """Leave what a server leaves that was killed."""
    new(cls, str(path)).server_close()
    assert path.is_socket()
