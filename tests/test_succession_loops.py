"""Live swap inside one process: loops that are not ours, datagrams, and strategies of others."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from asyncio_loop import AsyncioLoop
from executor import OnExecutor
from probes import PATIENCE, wait_until
from serverstrategy import BaseRequestHandler, Strategy, TCPServer, UDPServer, adopt
from serverstrategy.strategies import Synchronous, Threaded, ThreadPool
from succeeding import (
    ANY_PORT,
    Counting,
    Echo,
    Outer,
    answers,
    dialogue,
    echo,
    serving,
)


class EchoDatagram(BaseRequestHandler):
    def handle(self) -> None:
        data, listener = self.request
        listener.sendto(data, self.client_address)


class Quiet(socketserver.TCPServer):
    allow_reuse_address = True


class QuietThreading(socketserver.ThreadingMixIn, Quiet):
    daemon_threads = True


def adopted(strategy: Strategy) -> Any:
    return adopt(QuietThreading(ANY_PORT, Echo), strategy)


@contextmanager
def standard_loop(server: Any) -> Iterator[None]:
    """Has the standard library's loop serve."""
    thread = threading.Thread(target=socketserver.TCPServer.serve_forever, args=(server, 0.05))
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join(PATIENCE)


def test_a_loop_of_somebody_elses_goes_on_with_the_new_one() -> None:
    old = Counting()
    with adopted(old) as server, standard_loop(server):
        with dialogue(server) as client:
            server.strategy = outer = Outer(ThreadPool(1))
            assert answers(server)
            assert outer.count == 1
            assert echo(client) == b"hi\n"
        assert old.drained.wait(PATIENCE)


def test_a_loop_of_somebody_elses_waits_for_the_old_one_where_it_must() -> None:
    old = Counting()
    with (
        adopted(old) as server,
        standard_loop(server),
        dialogue(server) as client,
    ):
        server.strategy = Outer(old)
        with socket.create_connection(server.server_address, PATIENCE) as waiting:
            waiting.sendall(b"hi\n")
            assert echo(client) == b"hi\n"
            assert not old.drained.is_set()
            client.close()
            assert waiting.recv(100) == b"hi\n"
            assert old.drained.is_set()


def test_the_class_of_an_adopted_server_tells_of_the_one_that_serves() -> None:
    with adopted(Threaded()) as server, serving(server):
        server.strategy = Synchronous()
        assert server.wait_until_serving(PATIENCE)
        assert not isinstance(server, socketserver.ThreadingMixIn)
        server.strategy = ThreadPool(1)
        assert server.wait_until_serving(PATIENCE)
        assert isinstance(server, socketserver.ThreadingMixIn)


def test_datagrams_go_to_the_new_one() -> None:
    with (
        UDPServer(ANY_PORT, EchoDatagram, strategy=Threaded()) as server,
        socket.socket(type=socket.SOCK_DGRAM) as client,
        serving(server),
    ):
        client.settimeout(PATIENCE)
        client.connect(server.server_address)
        for make in (Synchronous, lambda: ThreadPool(1), Threaded):
            server.strategy = outer = Outer(make())
            assert server.wait_until_serving(PATIENCE)
            client.sendall(b"hi")
            assert client.recv(10) == b"hi"
            assert outer.count == 1


@pytest.mark.parametrize("new", [AsyncioLoop, OnExecutor])
@pytest.mark.parametrize("old", [AsyncioLoop, OnExecutor])
def test_the_strategies_of_the_examples_follow_each_other(
    old: type[AsyncioLoop | OnExecutor], new: type[AsyncioLoop | OnExecutor]
) -> None:
    with (
        TCPServer(ANY_PORT, Echo, strategy=old(1)) as server,
        serving(server),
        dialogue(server) as client,
    ):
        server.strategy = new(1)
        assert answers(server)
        assert echo(client) == b"hi\n"


def test_what_is_accepted_while_handle_request_alone_serves_begins_before_the_old_one_drains() -> (
    None
):
    accepted, goes_on = threading.Event(), threading.Event()

    class Slow(TCPServer):
        def verify_request(self, *_: object) -> bool:
            accepted.set()
            return goes_on.wait(PATIENCE)

    def assign() -> None:
        server.strategy = Threaded()

    before = set(threading.enumerate())
    with Slow(ANY_PORT, Echo, strategy=ThreadPool(1)) as server:
        with socket.create_connection(server.server_address, PATIENCE) as client:
            client.sendall(b"hi\n")
            client.shutdown(socket.SHUT_WR)
            threads = [threading.Thread(target=each) for each in (server.handle_request, assign)]
            threads[0].start()
            assert accepted.wait(PATIENCE)
            threads[1].start()
            assert wait_until(lambda: server.in_flight._waiting > 0)
            goes_on.set()
            assert client.recv(100) == b"hi\n"
            for thread in threads:
                thread.join(PATIENCE)
        assert set(threading.enumerate()) <= before
