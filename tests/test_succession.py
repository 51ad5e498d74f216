"""Live swap inside one process: what becomes of the strategy before."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any

import pytest

from probes import PATIENCE, wait_until
from serverstrategy import Strategy, TCPServer
from serverstrategy.strategies import Synchronous, Threaded, ThreadPool
from succeeding import (
    ANY_PORT,
    Counting,
    Echo,
    Outer,
    answers,
    dialogue,
    dialogue_in,
    echo,
    serving,
)


def test_it_goes_on_beside_the_new_one_and_is_drained_then() -> None:
    old = Counting()
    with TCPServer(ANY_PORT, Echo, strategy=old) as server, serving(server):
        with dialogue(server) as client:
            server.strategy = Outer(Synchronous())
            assert answers(server)
            assert echo(client) == b"hi\n"
            assert not old.drained.is_set()
        assert old.drained.wait(PATIENCE)


def test_it_may_serve_another_server_once_it_has_drained() -> None:
    old = Counting()
    with TCPServer(ANY_PORT, Echo, strategy=old) as server, serving(server):
        with dialogue(server):
            server.strategy = ThreadPool(1)
            assert answers(server)
            with pytest.raises(ValueError, match="already"):
                TCPServer(ANY_PORT, Echo, strategy=old)
        assert old.drained.wait(PATIENCE)

        def is_free() -> bool:
            try:
                TCPServer(ANY_PORT, Echo, strategy=old).server_close()
            except ValueError:
                return False
            return True

        assert wait_until(is_free)


def test_its_connections_take_no_room_from_the_new_one() -> None:
    with (
        TCPServer(ANY_PORT, Echo, strategy=ThreadPool(2)) as server,
        serving(server),
        dialogue(server) as first,
        dialogue(server) as second,
    ):
        server.strategy = ThreadPool(2)
        with dialogue(server), dialogue(server):
            assert len(server.in_flight) == 4
            assert echo(first) == echo(second) == b"hi\n"


def test_it_can_come_back_once_it_has_drained() -> None:
    old = Counting()
    with TCPServer(ANY_PORT, Echo, strategy=old) as server, serving(server):
        with dialogue(server) as client:
            server.strategy = Synchronous()
            assert answers(server)
            server.strategy = old
            with socket.create_connection(server.server_address, PATIENCE) as waiting:
                waiting.sendall(b"hi\n")
                assert echo(client) == b"hi\n"
                assert not old.drained.is_set()
                client.close()
                assert waiting.recv(100) == b"hi\n"
        assert server.strategy is old


def test_it_may_be_a_part_of_the_new_one() -> None:
    old = Counting()
    with TCPServer(ANY_PORT, Echo, strategy=old) as server, serving(server):
        with dialogue(server):
            server.strategy = outer = Outer(old)
        assert answers(server)
        assert old.drained.is_set()
        assert outer.count == 1
        server.strategy = old
        assert answers(server)
        assert outer.count == 1


def test_two_of_them_may_drain_at_the_same_time() -> None:
    first, second = Counting(), Counting()
    with TCPServer(ANY_PORT, Echo, strategy=first) as server, serving(server):
        with dialogue(server) as one:
            server.strategy = second
            assert server.wait_until_serving(PATIENCE)
            with dialogue(server) as two:
                server.strategy = Synchronous()
                assert answers(server)
                assert echo(one) == echo(two) == b"hi\n"
            assert second.drained.wait(PATIENCE)
            assert not first.drained.is_set()
        assert first.drained.wait(PATIENCE)


def test_server_close_waits_for_it_too() -> None:
    old = Counting()
    server = TCPServer(ANY_PORT, Echo, strategy=old)
    with dialogue_in(server, Synchronous()) as client:
        closing = threading.Thread(target=server.server_close)
        closing.start()
        assert wait_until(lambda: server.fileno() == -1)
        assert echo(client) == b"hi\n"
        assert closing.is_alive()
    closing.join(PATIENCE)
    assert old.drained.is_set()
    assert server.in_flight is not None
    assert len(server.in_flight) == 0


def test_server_close_cuts_it_after_the_grace_period(caplog: pytest.LogCaptureFixture) -> None:
    server = TCPServer(ANY_PORT, Echo, strategy=Threaded())
    server.grace_period = 0.1
    with dialogue_in(server, Synchronous()) as client:
        server.server_close()
        assert client.recv(1) == b""
    assert "cut the <connection" in caplog.text


class Forks(Strategy):
    """Tells that it forks. Its drain lasts until it is told that the children have ended."""

    multiprocess = True

    def __init__(self) -> None:
        self.is_drained = threading.Event()
        self.has_ended = threading.Event()

    def drain(self, server: Any, timeout: float | None) -> bool:
        self.is_drained.set()
        return self.has_ended.wait(timeout) and super().drain(server, timeout)


def test_the_thread_that_drains_one_that_forks_ends_before_the_next_fork() -> None:
    first, last = Forks(), Forks()
    last.has_ended.set()
    with TCPServer(ANY_PORT, Echo, strategy=first) as server, serving(server):
        assert answers(server)
        server.strategy = Threaded()
        assert answers(server)
        assert first.is_drained.wait(PATIENCE)
        server.strategy = last
        with socket.create_connection(server.server_address, PATIENCE) as waiting:
            waiting.sendall(b"hi\n")
            assert not server.wait_until_serving(0.02)
            assert len(server.in_flight) == 0
            first.has_ended.set()
            assert waiting.recv(100) == b"hi\n"


def test_the_grace_period_is_that_of_all() -> None:
    server = TCPServer(ANY_PORT, Echo, strategy=Threaded())
    server.grace_period = 1.0
    with serving(server), dialogue(server) as first:
        server.strategy = ThreadPool(1)
        with dialogue(server) as second:
            server.strategy = Threaded()
            with dialogue(server) as third:
                server.shutdown()
                started = time.monotonic()
                server.server_close()
                took = time.monotonic() - started
                assert first.recv(1) == second.recv(1) == third.recv(1) == b""
    assert 1.0 <= took < 2.0
