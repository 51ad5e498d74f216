"""The file of a Unix socket: what it may be called, whose it is, and who removes it."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from serverstrategy import UnixDatagramServer
from unix_servers import EVERY_CLASS, Server, leave_stale, new

pytestmark = pytest.mark.parametrize("cls", EVERY_CLASS)


def test_nothing_is_removed_unless_it_is_asked_for(cls: Server, path: Path) -> None:
    leave_stale(cls, path)
    with pytest.raises(OSError, match="in use"):
        new(cls, str(path))
    assert path.is_socket()


@pytest.mark.parametrize("by", ["keyword", "attribute", "both"])
def test_the_file_is_removed_on_close(cls: Server, path: Path, by: str) -> None:
    derived = type("Derived", (cls,), {"remove_on_close": by == "attribute"})
    keywords = {} if by == "attribute" else {"remove_on_close": True}
    server = new(derived, str(path), **keywords)
    assert server.server_address == str(path)
    assert path.is_socket()
    server.server_close()
    assert not path.exists()
    server.server_close()


def test_a_keyword_wins_over_the_attribute(cls: Server, path: Path) -> None:
    derived = type("Derived", (cls,), {"replace_stale": True, "remove_on_close": True})
    new(derived, str(path), remove_on_close=False).server_close()
    assert path.is_socket()
    with pytest.raises(OSError, match="in use"):
        new(derived, str(path), replace_stale=False)


def _a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))


SQUATTERS: list[Callable[[Path], object]] = [_a_socket, Path.touch, Path.mkdir]


@pytest.mark.parametrize("put", SQUATTERS)
def test_what_somebody_put_in_its_place_stays(
    cls: Server, path: Path, put: Callable[[Path], object]
) -> None:
    with new(cls, str(path), remove_on_close=True):
        path.unlink()
        put(path)
        inode = path.stat().st_ino
    assert path.stat().st_ino == inode


def test_a_file_that_is_gone_is_no_error(cls: Server, path: Path) -> None:
    with new(cls, str(path), remove_on_close=True):
        path.unlink()


def test_a_constructor_that_fails_removes_its_file_only(cls: Server, path: Path) -> None:
    def fail(self: Any) -> None:
        raise OSError("no listening today")

    derived = type("Derived", (cls,), {"server_activate": fail})
    with pytest.raises(OSError, match="no listening today"):
        new(derived, str(path), remove_on_close=True)
    assert not path.exists()
    with new(cls, str(path)):
        with pytest.raises(OSError, match="in use"):
            new(cls, str(path), remove_on_close=True)
        assert path.is_socket()


def test_a_relative_path_is_that_of_the_beginning(
    cls: Server, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(path.parent)
    leave_stale(cls, path)
    server = new(cls, path.name, remove_on_close=True, replace_stale=True)
    assert server.server_address == path.name
    monkeypatch.chdir("/")
    server.server_close()
    assert not path.exists()


def test_a_path_may_be_bytes(cls: Server, path: Path) -> None:
    name = os.fsencode(path) + b"\xff"
    new(cls, name).server_close()
    with new(cls, name, remove_on_close=True, replace_stale=True):
        assert Path(os.fsdecode(name)).is_socket()
    assert not Path(os.fsdecode(name)).exists()


@pytest.mark.parametrize("address", [None, ("127.0.0.1", 0), Path("server")])
def test_what_is_no_name_is_a_type_error(cls: Server, tmp_path: Path, address: Any) -> None:
    with pytest.raises(TypeError, match=r"not '?(\w+\.)?(NoneType|tuple|PosixPath)"):
        new(cls, address, remove_on_close=True, replace_stale=True)


@pytest.mark.skipif(sys.platform != "linux", reason="Linux' own")
@pytest.mark.parametrize("address", ["\0serverstrategy-", b"\0serverstrategy-", ""])
def test_an_abstract_name_has_no_file(cls: Server, address: Any) -> None:
    address += str(os.getpid()) if isinstance(address, str) and address else address[:0]
    for _ in range(2):
        with new(cls, address, remove_on_close=True, replace_stale=True) as server:
            assert server.server_address.startswith(b"\0")
            with socket.socket(socket.AF_UNIX, cls.socket_type) as client:
                client.connect(server.server_address)


def test_the_port_of_an_address_without_one_is_not_reused(cls: Server, path: Path) -> None:
    derived = type("Derived", (cls,), {"allow_reuse_port": True})
    with new(derived, str(path)):
        assert path.is_socket()


def test_a_forked_process_does_not_remove_the_file(cls: Server, path: Path) -> None:
    with new(cls, str(path), remove_on_close=True) as server:
        if (pid := os.fork()) == 0:
            try:
                server.server_close()
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert path.is_socket()
    assert not path.exists()


def test_close_inside_of_close_is_no_error(cls: Server, path: Path) -> None:
    class Interrupted(cls):  # type: ignore[misc, valid-type]
        closing = False

        @property
        def remove_on_close(self) -> bool:
            """Stands for a signal handler that closes, or another thread."""
            if not self.closing:
                self.closing = True
                self.server_close()
            return True

    new(Interrupted, str(path)).server_close()
    assert not path.exists()


def test_the_backlog_is_as_long_as_the_system_allows(cls: Server, path: Path) -> None:
    if cls is UnixDatagramServer:
        return
    assert cls.request_queue_size == socket.SOMAXCONN
    with new(cls, str(path)), contextlib.ExitStack() as clients:
        for _ in range(300):
            client = clients.enter_context(socket.socket(socket.AF_UNIX))
            client.setblocking(False)
            client.connect(str(path))
