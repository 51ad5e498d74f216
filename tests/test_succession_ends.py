"""Live swap inside one process: its end, in which the strategies meet a stop or an error."""

from __future__ import annotations

import socket
import threading

import pytest

from probes import PATIENCE
from serverstrategy import Strategy, TCPServer
from serverstrategy.retired import Retired
from serverstrategy.strategies import Synchronous, Threaded, ThreadPool
from succeeding import (
    ANY_PORT,
    Counting,
    Echo,
    Failing,
    Outer,
    answers,
    dialogue,
    echo,
    serving,
)


def test_what_the_new_one_raises_serve_forever_raises() -> None:
    old = Counting()
    errors: list[OSError] = []

    def serve() -> None:
        try:
            server.serve_forever()
        except OSError as error:
            errors.append(error)

    with TCPServer(ANY_PORT, Echo, strategy=old) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        with dialogue(server) as client:
            server.strategy = Failing()
            thread.join(PATIENCE)
            assert [str(error) for error in errors] == ["cannot serve"]
            assert echo(client) == b"hi\n"
        with socket.create_connection(server.server_address, PATIENCE) as waiting:
            assert isinstance(server.strategy, Failing)
            server.strategy = Threaded()
            with serving(server):  # the listener was never closed
                assert echo(waiting) == b"hi\n"


def test_the_next_time_makes_good_what_ctrl_c_kept_from_draining(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupt(*_: object) -> None:
        monkeypatch.undo()
        raise KeyboardInterrupt

    def serve() -> None:
        with pytest.raises(KeyboardInterrupt):
            server.serve_forever()
        interrupted.set()

    old, interrupted = Counting(), threading.Event()
    with TCPServer(ANY_PORT, Echo, strategy=old) as server:
        monkeypatch.setattr(Retired, "drain_beside", interrupt)
        thread = threading.Thread(target=serve)
        thread.start()
        with dialogue(server):
            server.strategy = Outer(old)
            assert interrupted.wait(PATIENCE)
            thread.join()
        with serving(server):
            assert answers(server)


def assign_too_late(server: TCPServer, strategy: Strategy) -> None:
    """Assign while the thread that serves is in a handler, and stop before it comes back."""
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    with dialogue(server):
        server.strategy = strategy
        server.shutdown()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert server.strategy is strategy


def test_one_that_did_not_come_to_serve_serves_the_next_time() -> None:
    outer = Outer(Threaded())
    with TCPServer(ANY_PORT, Echo, strategy=Synchronous()) as server:
        assign_too_late(server, outer)
        with serving(server):
            assert answers(server)
        assert outer.count == 1


def test_one_that_did_not_come_to_serve_handles_the_next_request() -> None:
    outer = Outer(Threaded())
    with TCPServer(ANY_PORT, Echo, strategy=Synchronous()) as server:
        assign_too_late(server, outer)
        with socket.create_connection(server.server_address, PATIENCE) as client:
            server.handle_request()
            assert echo(client) == b"hi\n"
        assert outer.count == 1


def test_one_that_did_not_come_to_serve_is_free_after_the_close() -> None:
    strategy = Threaded()
    with TCPServer(ANY_PORT, Echo, strategy=Synchronous()) as server:
        assign_too_late(server, strategy)
    TCPServer(ANY_PORT, Echo, strategy=strategy).server_close()


def test_shutdown_is_heard_while_the_new_one_waits_for_the_old_one() -> None:
    old = Counting()
    with TCPServer(ANY_PORT, Echo, strategy=old) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        with dialogue(server) as client:
            server.strategy = Outer(old)
            server.shutdown()
            thread.join(PATIENCE)
            assert not thread.is_alive()
            assert echo(client) == b"hi\n"


def test_a_server_closed_while_the_new_one_waits_for_the_old_one_drains() -> None:
    old = Counting()
    server = TCPServer(ANY_PORT, Echo, strategy=old)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    with dialogue(server) as client:
        server.strategy = Outer(old)
        closing = threading.Thread(target=server.server_close)
        closing.start()
        thread.join(PATIENCE)
        assert not thread.is_alive()
        assert echo(client) == b"hi\n"
    closing.join(PATIENCE)
    assert not closing.is_alive()


def test_another_one_need_not_wait_for_what_the_superseded_one_waits_for() -> None:
    old = Counting()
    with (
        TCPServer(ANY_PORT, Echo, strategy=old) as server,
        serving(server),
        dialogue(server) as client,
    ):
        server.strategy = Outer(old)
        server.strategy = ThreadPool(1)
        assert answers(server)
        assert echo(client) == b"hi\n"
