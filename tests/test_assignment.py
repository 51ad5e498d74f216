"""Live swap inside one process: who may assign which strategy when."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

from probes import PATIENCE, wait_until
from serverstrategy import BaseRequestHandler, Strategy, TCPServer
from serverstrategy.strategies import Synchronous, Threaded, ThreadPool
from succeeding import (
    ANY_PORT,
    Counting,
    Echo,
    Outer,
    answers,
    dialogue,
    is_idle,
    serving,
)


def test_it_returns_at_once_and_wait_until_serving_waits_for_the_new_one() -> None:
    with TCPServer(ANY_PORT, Echo, strategy=Threaded()) as server, serving(server):
        for _ in range(20):
            server.strategy = outer = Outer(Threaded())
            assert server.strategy is outer
            assert server.wait_until_serving(PATIENCE)
            assert answers(server)
            assert outer.count == 1


def test_the_same_one_again_changes_nothing() -> None:
    old = Counting()
    with TCPServer(ANY_PORT, Echo, strategy=old) as server, serving(server):
        with dialogue(server):
            server.strategy = old
            assert answers(server)
        assert not old.drained.is_set()


@pytest.mark.parametrize("old", [Synchronous, Threaded])
def test_a_handler_may_make_it(old: type[Strategy]) -> None:
    class Swaps(BaseRequestHandler):
        server: Any

        def handle(self) -> None:
            self.server.strategy = outer
            self.request.sendall(b"done")

    outer = Outer(ThreadPool(1))
    with TCPServer(ANY_PORT, Swaps, strategy=old()) as server, serving(server):
        for count in range(3):
            with socket.create_connection(server.server_address, PATIENCE) as client:
                assert client.recv(10) == b"done"
                assert client.recv(10) == b""
            assert server.wait_until_serving(PATIENCE)
            assert outer.count == count


def test_what_is_superseded_before_it_began_is_free() -> None:
    reached, go_on = threading.Event(), threading.Event()

    class Blocks(BaseRequestHandler):
        def handle(self) -> None:
            reached.set()
            assert go_on.wait(PATIENCE)

    first, superseded, last = Synchronous(), Threaded(), Threaded()
    with TCPServer(ANY_PORT, Blocks, strategy=first) as server, serving(server):
        with socket.create_connection(server.server_address, PATIENCE):
            assert reached.wait(PATIENCE)
            server.strategy = superseded
            with pytest.raises(ValueError, match="already"):
                TCPServer(ANY_PORT, Echo, strategy=superseded)
            server.strategy = last
            with TCPServer(ANY_PORT, Echo, strategy=superseded):
                server.strategy = first
                with TCPServer(ANY_PORT, Echo, strategy=last):
                    assert server.strategy is first
            go_on.set()
        reached.clear()
        with socket.create_connection(server.server_address, PATIENCE):
            assert reached.wait(PATIENCE)


def test_what_cannot_be_assigned_leaves_all_as_it_was() -> None:
    strategy = Threaded()
    with (
        TCPServer(ANY_PORT, Echo, strategy=strategy) as server,
        TCPServer(ANY_PORT, Echo, strategy=Threaded()) as other,
        serving(server),
    ):
        with pytest.raises(TypeError, match=r"write Synchronous\(\)"):
            server.strategy = Synchronous  # type: ignore[assignment]
        with pytest.raises(ValueError, match="already"):
            server.strategy = other.strategy
        assert server.strategy is strategy
        assert answers(server)


def test_a_server_that_is_being_closed_takes_none() -> None:
    server = TCPServer(ANY_PORT, Echo, strategy=Threaded())
    with serving(server), dialogue(server) as client:
        closing = threading.Thread(target=server.server_close)
        closing.start()
        assert wait_until(lambda: server.fileno() == -1)
        with pytest.raises(ValueError, match="being closed"):
            server.strategy = Synchronous()
        client.close()
        closing.join(PATIENCE)


def test_many_threads_may_make_it_at_the_same_time() -> None:
    makers: list[Callable[[], Strategy]] = [
        Synchronous,
        Threaded,
        lambda: ThreadPool(2),
        lambda: Outer(Threaded()),
    ]

    def assign() -> None:
        for _ in range(10):
            for make in makers:
                server.strategy = make()
                assert answers(server)

    with TCPServer(ANY_PORT, Echo) as server, serving(server):
        threads = [threading.Thread(target=assign) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert answers(server)
        assert is_idle(server)


def test_the_one_that_was_assigned_last_may_be_empty() -> None:
    class Empty(Threaded):
        def __len__(self) -> int:
            return 0

    with TCPServer(ANY_PORT, Echo) as server, serving(server), dialogue(server):
        server.strategy = new = Empty()  # waits for the handler
        assert server.strategy is new


def test_a_signal_handler_amid_the_register_may_make_it_while_another_one_takes_over() -> None:
    takes_over, goes_on = threading.Event(), threading.Event()

    class Slow(Threaded):
        @property
        def multiprocess(self) -> bool:  # type: ignore[override]
            takes_over.set()
            return not goes_on.wait(PATIENCE)

    def assign() -> bool:
        """As a signal handler, which runs inside whatever the main thread does."""
        goes_on.set()
        server.strategy = last
        return True

    last = Threaded()
    with TCPServer(ANY_PORT, Echo, strategy=Threaded()) as server, serving(server):
        server.strategy = Slow()
        assert takes_over.wait(PATIENCE)
        assert server.in_flight.wait_until(assign, None)
        assert server.wait_until_serving(PATIENCE)
        assert server.strategy is last
        assert answers(server)


def test_a_server_that_is_closed_meanwhile_does_not_keep_it() -> None:
    class ClosesIt(Threaded):
        @property
        def unsupported(self) -> str | None:
            server.server_close()
            return None

    with TCPServer(ANY_PORT, Echo) as server:
        server.strategy = new = ClosesIt()
    assert server.strategy is new
    with TCPServer(ANY_PORT, Echo, strategy=new) as another:
        assert another.strategy is new
