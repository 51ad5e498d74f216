"""What a Unix server finds at its path: a file that is stale, or one that is in use."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path
from typing import Any

import pytest

from unix_servers import EVERY_CLASS, Server, leave_stale, new

pytestmark = pytest.mark.parametrize("cls", EVERY_CLASS)


@pytest.mark.parametrize("by", ["keyword", "attribute"])
def test_a_stale_file_is_replaced(cls: Server, path: Path, by: str) -> None:
    leave_stale(cls, path)
    derived = type("Derived", (cls,), {"replace_stale": by == "attribute"})
    keywords = {} if by == "attribute" else {"replace_stale": True}
    with (
        new(derived, str(path), **keywords),
        socket.socket(socket.AF_UNIX, cls.socket_type) as client,
    ):
        client.connect(str(path))


def test_a_path_where_nothing_is_stays_as_it_was(cls: Server, path: Path) -> None:
    with new(cls, str(path), replace_stale=True):
        assert path.is_socket()
    with pytest.raises(FileNotFoundError):
        new(cls, str(path.parent / "none" / "server"), replace_stale=True, remove_on_close=True)


def fill(cls: Server, path: Path, clients: contextlib.ExitStack) -> None:
    """Send so much to a server that the next client would have to wait."""
    with contextlib.suppress(BlockingIOError):
        while True:
            client = clients.enter_context(socket.socket(socket.AF_UNIX, cls.socket_type))
            client.setblocking(False)
            client.connect(str(path))
            client.send(b"x")


@pytest.mark.parametrize("state", ["waiting", "bound", "full"])
def test_a_server_that_is_alive_is_not_replaced(cls: Server, path: Path, state: str) -> None:
    small = type("Small", (cls,), {"request_queue_size": 0})
    with (
        contextlib.ExitStack() as clients,
        new(small, str(path), bind_and_activate=state != "bound") as server,
    ):
        if state == "bound":  # it has not come to listen yet
            server.server_bind()
        elif state == "full":
            fill(cls, path, clients)
        inode = path.stat().st_ino
        with pytest.raises(OSError, match="in use"):
            new(cls, str(path), replace_stale=True, remove_on_close=True)
        assert path.stat().st_ino == inode


def test_a_server_that_is_alive_does_not_notice(cls: Server, path: Path) -> None:
    class Quiet(cls):  # type: ignore[misc, valid-type]
        timeout = 0

        def handle_timeout(self) -> None:
            timeouts.append(self)

    timeouts: list[Any] = []
    with new(Quiet, str(path)) as server:
        with pytest.raises(OSError, match="in use"):
            new(cls, str(path), replace_stale=True)
        server.handle_request()
        assert timeouts == [server], "it was asked by a connection"


def test_two_that_find_a_stale_file_do_not_remove_each_others(
    cls: Server, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One starts between the other's look and its removal, maybe with the same inode number."""
    leave_stale(cls, path)
    first: list[Any] = []

    class Slow(socket.socket):
        def connect_ex(self, address: Any) -> int:
            found = super().connect_ex(address)
            if not first:
                first.append("is about to start")
                first[:] = [new(cls, str(path), replace_stale=True)]
            return found

    monkeypatch.setattr(socket, "socket", Slow)
    with pytest.raises(OSError, match="in use"):
        new(cls, str(path), replace_stale=True)
    first[0].server_close()


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_what_is_no_socket_is_not_replaced(cls: Server, path: Path, kind: str) -> None:
    if kind == "file":
        path.write_text("precious")
    elif kind == "folder":
        path.mkdir()
    else:
        leave_stale(cls, path.with_name("target"))
        path.symlink_to(path.with_name("target"))
    with pytest.raises(OSError, match="in use"):
        new(cls, str(path), replace_stale=True, remove_on_close=True)
    assert (path.is_file(), path.is_dir(), path.is_symlink()) == (
        kind == "file",
        kind == "folder",
        kind == "link",
    )
