"""A strategy with an event loop of its own, which waits in the place of the acceptor."""

from __future__ import annotations

import errno
import os
import queue
import select
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

import succeeding
from serverstrategy import Server, StopSignal, Strategy, StreamRequestHandler, TCPServer

PATIENCE = 20.0


class Echo(StreamRequestHandler):
    def handle(self) -> None:
        self.wfile.write(self.rfile.readline())


class OwnLoop(Strategy):
    """Waits by a function of its own, and tells what it was asked to wait for."""

    multithread = True

    def __init__(self, limit: int = 10) -> None:
        self.limit = limit
        self.waits: queue.Queue[tuple[list[int], float | None]] = queue.Queue()
        self.answer: Callable[[], list[int] | None] = lambda: None

    def serve(self, server: Server, stop: StopSignal) -> None:
        server.accept_until_stopped(stop, self.wait)

    def wait(self, fds: Sequence[int], timeout: float | None) -> list[int]:
        self.waits.put((list(fds), timeout))
        found = self.answer()
        return select.select(fds, [], [], timeout)[0] if found is None else found

    def ready(self, server: Server) -> bool:
        return len(server.in_flight) < self.limit

    def process_request(self, server: Server, request: Any, client_address: Any) -> None:
        threading.Thread(target=server.complete_request, args=(request, client_address)).start()

    def next_wait(self) -> tuple[list[int], float | None]:
        return self.waits.get(timeout=PATIENCE)


@pytest.fixture
def strategy() -> OwnLoop:
    return OwnLoop()


@contextmanager
def serving(strategy: Strategy, cls: type[TCPServer] = TCPServer) -> Iterator[TCPServer]:
    with (
        cls(("127.0.0.1", 0), Echo, strategy=strategy) as server,
        succeeding.serving(server, 7.0),
    ):
        yield server


def connect(server: TCPServer) -> socket.socket:
    return socket.create_connection(server.server_address, PATIENCE)


def echo(client: socket.socket) -> bool:
    client.sendall(b"hello\n")
    return client.recv(100) == b"hello\n"


def test_it_serves_and_hears_the_stop(strategy: OwnLoop) -> None:
    with serving(strategy) as server:
        for _ in range(3):
            with connect(server) as client:
                assert echo(client)


def test_it_is_asked_to_wait_for_the_listener_and_the_stop(strategy: OwnLoop) -> None:
    with serving(strategy) as server:
        fds, timeout = strategy.next_wait()
        signal = server._serverstrategy.serving.signal
        assert signal is not None
        assert {server.fileno(), signal.fileno()} < set(fds)
        assert timeout is None  # nothing ticks


def test_the_listener_is_left_alone_while_there_is_no_room() -> None:
    strategy = OwnLoop(1)
    with serving(strategy) as server:
        assert server.fileno() in strategy.next_wait()[0]
        with connect(server) as first, connect(server) as second:
            assert server.fileno() not in strategy.next_wait()[0]
            assert strategy.waits.empty()
            assert echo(first)
            # Room has come back, which ends the wait.
            assert server.fileno() in strategy.next_wait()[0]
            assert echo(second)


def test_room_that_comes_back_by_itself_is_told(strategy: OwnLoop) -> None:
    strategy.limit = 0
    with serving(strategy) as server, connect(server) as client:
        assert server.fileno() not in strategy.next_wait()[0]
        strategy.limit = 1
        server.in_flight.pass_on()
        assert server.fileno() in strategy.next_wait()[0]
        assert echo(client)


def test_a_loop_that_returns_early_is_asked_again(strategy: OwnLoop) -> None:
    answers: list[list[int] | None] = [[], [], None]
    strategy.answer = lambda: answers.pop(0) if answers else None
    with serving(strategy) as server, connect(server) as client:
        assert echo(client)
    assert answers == []


def test_what_it_raises_goes_through(strategy: OwnLoop) -> None:
    def fail() -> list[int]:
        raise ZeroDivisionError

    strategy.answer = fail
    with (
        TCPServer(("127.0.0.1", 0), Echo, strategy=strategy) as server,
        pytest.raises(ZeroDivisionError),
    ):
        server.serve_forever()


def test_the_tick_of_service_actions_is_its_timeout(strategy: OwnLoop) -> None:
    class Acting(TCPServer):
        acted = 0

        def service_actions(self) -> None:
            self.acted += 1

    answers: list[list[int] | None] = [[], None]
    strategy.answer = lambda: answers.pop(0) if answers else None
    with serving(strategy, Acting) as server:
        assert strategy.next_wait()[1] == 7.0
        assert strategy.next_wait()[1] == 7.0
        assert isinstance(server, Acting)
        assert server.acted == 1


def test_a_shortage_pauses_it(strategy: OwnLoop) -> None:
    class Short(TCPServer):
        failures = 1

        def get_request(self) -> Any:
            if self.failures:
                self.failures -= 1
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            return super().get_request()

    with serving(strategy, Short) as server, connect(server) as client:
        assert strategy.next_wait()[1] is None
        fds, timeout = strategy.next_wait()
        assert server.fileno() not in fds
        assert timeout is not None
        assert 0 < timeout <= 0.1
        assert echo(client)
