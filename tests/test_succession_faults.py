"""Live swap inside one process: what is wrong with the old strategy costs the new one nothing."""

from __future__ import annotations

import os
import signal
import socket
import threading
from typing import Any

import pytest

from probes import PATIENCE, wait_until
from serverstrategy import TCPServer
from serverstrategy.strategies import Forking, Prefork, Synchronous, Threaded, ThreadPool
from succeeding import ANY_PORT, Echo, answers, dialogue, echo, serving


def retired(server: Any) -> int:
    """How many strategies the server takes for not drained."""
    return len(server._serverstrategy.succession.retired.generations)


class Failing(Threaded):
    """Cannot be drained."""

    def drain(self, server: Any, timeout: float | None) -> bool:
        super().drain(server, timeout)
        raise OSError("cannot drain")


class FailingChildren(Forking):
    """Cannot be drained."""

    def drain(self, server: Any, timeout: float | None) -> bool:
        super().drain(server, timeout)
        raise OSError("cannot drain")


def test_the_close_drains_the_new_one_where_the_old_one_cannot_be(
    caplog: pytest.LogCaptureFixture,
) -> None:
    threads = set(threading.enumerate())
    with TCPServer(ANY_PORT, Echo, strategy=Failing()) as server, serving(server):
        server.strategy = ThreadPool(1)
        assert server.wait_until_serving(PATIENCE)
        assert answers(server)
    assert "Failing() could not be drained" in caplog.text
    assert set(threading.enumerate()) <= threads


def test_one_with_children_that_cannot_be_drained_does_not_end_the_server(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with TCPServer(ANY_PORT, Echo, strategy=FailingChildren()) as server, serving(server):
        with socket.create_connection(server.server_address, PATIENCE) as client:
            assert echo(client) == b"hi\n"
            server.strategy = Threaded()
            assert server.wait_until_serving(PATIENCE)
            client.shutdown(socket.SHUT_WR)  # the child has a copy of this end
            assert client.recv(100) == b""
        assert wait_until(lambda: answers(server) and retired(server) == 0)
    assert "FailingChildren() could not be drained" in caplog.text


def test_a_worker_that_is_killed_after_the_swap_does_not_keep_the_old_one() -> None:
    old = Prefork(1)
    with TCPServer(ANY_PORT, Echo, strategy=old) as server, serving(server):
        with dialogue(server):
            (worker,) = old._children.pids()
            server.strategy = Threaded()
            assert server.wait_until_serving(PATIENCE)
            os.kill(worker, signal.SIGKILL)
            assert wait_until(lambda: old._children.pids() == [])
        assert wait_until(lambda: answers(server) and retired(server) == 0)
        with TCPServer(ANY_PORT, Echo, strategy=old):
            pass


def test_those_that_fork_and_have_had_nothing_to_do_are_not_kept() -> None:
    with TCPServer(ANY_PORT, Echo, strategy=Forking()) as server, serving(server):
        for strategy in (Forking(), Prefork(1), Forking(), Forking()):
            server.strategy = strategy
            assert server.wait_until_serving(PATIENCE)
        assert wait_until(lambda: retired(server) == 0)


def test_one_that_was_abandoned_is_not_kept_longer_than_its_handler() -> None:
    goes_on = threading.Event()

    class Deaf(Echo):
        def handle(self) -> None:
            for line in self.rfile:
                self.wfile.write(line)
            goes_on.wait(PATIENCE)

    with TCPServer(ANY_PORT, Deaf, strategy=Threaded()) as server:
        server.grace_period = 0.0
        with serving(server), dialogue(server):
            server.strategy = Forking()
            assert server.wait_until_serving(PATIENCE)
            assert retired(server) == 1
            goes_on.set()
            server.strategy = Synchronous()
            assert wait_until(lambda: answers(server) and retired(server) == 0)


def test_one_that_ctrl_c_kept_from_being_replaced_is_retired_once() -> None:
    interruptions = [KeyboardInterrupt]
    assigned = threading.Event()

    class Interrupted(Threaded):
        @property
        def multiprocess(self) -> bool:  # type: ignore[override]
            if interruptions and assigned.wait(PATIENCE):  # as one that comes while the server asks
                raise interruptions.pop()
            return False

    def serve() -> None:
        with pytest.raises(KeyboardInterrupt):
            server.serve_forever()

    with TCPServer(ANY_PORT, Echo, strategy=Threaded()) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        with dialogue(server) as client:
            server.strategy = Interrupted()
            assigned.set()
            thread.join(PATIENCE)
            with serving(server):
                assert answers(server)
                assert retired(server) == 1
                assert echo(client) == b"hi\n"
