"""How a connection gets to a child that was forked ahead, and when those are forked."""

from __future__ import annotations

import errno
import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from serverstrategy.strategies import _growing_pause
from serverstrategy.strategies._children import Children
from serverstrategy.strategies._spare import Duty, Spare, pack
from serverstrategy.strategies._spares import Spares


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    first, second = socket.socketpair()
    with first, second:
        yield first, second


@pytest.fixture
def spare() -> Iterator[Spare]:
    spare = Spare()
    yield spare
    spare.close()


# What is sent


@pytest.mark.parametrize("timeout", [None, 2.5, 0.0])
@pytest.mark.parametrize("default", [None, 7.0])
def test_what_is_received_is_what_was_sent(
    spare: Spare,
    pair: tuple[socket.socket, socket.socket],
    timeout: float | None,
    default: float | None,
) -> None:
    address = ("::1", 5, 0, 0)
    pair[0].settimeout(timeout)
    message = pack(pair[0], address)
    assert message is not None
    spare.send(pair[0], message)
    assert not spare.is_taken()
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(default)
    try:
        received = spare.receive()
    finally:
        socket.setdefaulttimeout(before)
    assert received is not None
    request, client_address = received
    with request:
        assert spare.is_taken()
        assert client_address == address
        assert type(request) is socket.socket
        assert request.fileno() != pair[0].fileno()
        assert not request.get_inheritable()
        assert request.gettimeout() == timeout
        assert os.get_blocking(request.fileno()) is (timeout is None)
        for name in ("family", "type", "proto"):
            assert getattr(request, name) == getattr(pair[0], name)
        request.sendall(b"hi")
        assert pair[1].recv(10) == b"hi"


def test_a_child_hears_that_there_is_nothing_for_it() -> None:
    spare = Spare()
    spare.leave_to_parent(is_own=True)
    assert spare.receive() is None
    spare.close()


class Wrapped(socket.socket):
    """As one with TLS has, it has state in this process."""


@pytest.mark.parametrize("address", ["", b"\0name", ("127.0.0.1", 5), None])
def test_a_plain_address_can_be_sent(
    pair: tuple[socket.socket, socket.socket], address: object
) -> None:
    assert pack(pair[0], address) is not None


@pytest.mark.parametrize("address", [object(), ("here", socket), "x" * 5000])
def test_another_address_cannot(pair: tuple[socket.socket, socket.socket], address: object) -> None:
    assert pack(pair[0], address) is None


def test_what_is_no_plain_socket_cannot_be_sent(pair: tuple[socket.socket, socket.socket]) -> None:
    assert pack((b"datagram", pair[0]), ("127.0.0.1", 5)) is None
    with Wrapped() as wrapped:
        assert pack(wrapped, ("127.0.0.1", 5)) is None


def test_one_that_cannot_be_given_is_left_to_the_caller(
    pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ETOOMANYREFS, os.strerror(errno.ETOOMANYREFS))

    begun: list[int] = []
    with Waiting() as waiting:
        waiting.wait()
        monkeypatch.setattr(Spare, "send", refuse)
        assert not waiting.spares.give(pair[0], "", begun.append, print)
        monkeypatch.undo()
        waiting.wait()
        assert waiting.spares.give(pair[0], "", begun.append, lambda pid, status: None)
        assert len(begun) == 1


# When they are forked


class Waiting:
    """Spare children of a strategy that has no server: only what is waited for is called."""

    def __init__(self, count: int = 1) -> None:
        self.children = Children()
        self.spares = Spares(count, self.children)
        self.urgent = False

    def wait(self) -> float | None:
        """Do what the wait of an acceptor does; returns how long that may take, in seconds."""
        timeout = self.spares.tick()
        self.children.check()
        if self.spares.tick() is not None:
            self.spares.check()
        return timeout

    def __enter__(self) -> Waiting:
        server: Any = self
        self.spares.begin(Duty(server, _handle, lambda: self.urgent, lambda: None))
        return self

    def become_child(self) -> None:
        """See `Server.become_child`."""

    def __exit__(self, *_: object) -> None:
        self.spares.end()
        assert self.children.wait(10.0)
        self.children.close()


def _handle(_: object, request: socket.socket, __: object) -> int:
    with request:
        return 0


def test_the_child_that_has_got_a_connection_is_left_alone_for_a_moment(
    pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(_growing_pause.time, "monotonic", lambda: now[0])
    with Waiting(2) as waiting:
        assert waiting.wait() == waiting.wait() == 0.0
        assert waiting.wait() is None
        first = set(waiting.children.pids())
        assert len(first) == 2
        waiting.spares.give(pair[0], "", lambda _: None, lambda pid, status: None)
        pause = waiting.wait()
        assert pause is not None
        assert 0.0 < pause < 0.01
        assert set(waiting.children.pids()) <= first
        now[0] += pause
        assert waiting.wait() == 0.0
        assert len(set(waiting.children.pids()) - first) == 1
        monkeypatch.undo()


def test_none_is_forked_where_a_connection_waits() -> None:
    with Waiting() as waiting:
        waiting.urgent = True
        assert waiting.wait() == 0.0
        assert waiting.children.pids() == []
        waiting.urgent = False
        assert waiting.wait() == 0.0
        assert len(waiting.children.pids()) == 1


def test_none_is_forked_but_after_a_wait() -> None:
    with Waiting() as waiting:
        waiting.spares.check()  # as `collect_children` does, maybe with a connection open
        assert waiting.children.pids() == []
        ticks: list[float | None] = []
        thread = threading.Thread(target=lambda: ticks.append(waiting.spares.tick()))
        thread.start()
        thread.join()
        assert ticks == [None]


def test_a_fork_that_fails_is_tried_again_after_a_growing_pause(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    pair: tuple[socket.socket, socket.socket],
) -> None:
    now = [1000.0]
    monkeypatch.setattr(_growing_pause.time, "monotonic", lambda: now[0])

    def pauses(number: int) -> Iterator[float]:
        for _ in range(number):
            waiting.wait()
            pause = waiting.spares.tick()
            assert pause is not None
            yield round(pause, 3)
            now[0] += pause

    fork: Callable[..., int] = os.fork

    def refuse() -> int:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    with Waiting() as waiting, caplog.at_level(logging.WARNING, "serverstrategy"):
        monkeypatch.setattr(os, "fork", refuse)
        assert list(pauses(8)) == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
        assert [each.getMessage() for each in caplog.records] == [
            f"no spare child could be started: {OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))}"
        ]
        monkeypatch.setattr(os, "fork", fork)
        waiting.wait()
        assert waiting.spares.give(pair[0], "", lambda _: None, lambda pid, status: None)
        monkeypatch.setattr(os, "fork", refuse)
        now[0] += 1.0
        assert list(pauses(1)) == [0.1]
        assert len(caplog.records) == 2
        monkeypatch.undo()
