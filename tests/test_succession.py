"""Live swap inside one process: who may be swapped when, and what becomes of the one before."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from probes import PATIENCE, wait_until
from serverstrategy import (
    BaseRequestHandler,
    Strategy,
    StreamRequestHandler,
    TCPServer,
    UDPServer,
    adopt,
)
from serverstrategy.strategies import Synchronous, Threaded, ThreadPool

ANY_PORT = ("127.0.0.1", 0)


class Echo(StreamRequestHandler):
    def handle(self) -> None:
        for line in self.rfile:
            self.wfile.write(line)


class EchoDatagram(BaseRequestHandler):
    def handle(self) -> None:
        data, listener = self.request
        listener.sendto(data, self.client_address)


class Outer(Strategy):
    """A layer that counts what goes through it."""

    def __init__(self, inner: Strategy) -> None:
        self.inner = inner
        self.count = 0

    @property
    def multithread(self) -> bool:  # type: ignore[override]
        return self.inner.multithread

    def ready(self, server: Any) -> bool:
        return self.inner.ready(server)

    def process_request(self, server: Any, request: Any, client_address: Any) -> None:
        self.count += 1
        self.inner.process_request(server, request, client_address)

    def drain(self, server: Any, timeout: float | None) -> bool:
        return self.inner.drain(server, timeout)


class Failing(Strategy):
    def serve(self, server: Any, stop: Any) -> None:
        raise OSError("cannot serve")


class Counting(Threaded):
    """Threaded, which says when it is drained."""

    def __init__(self, limit: int | None = None) -> None:
        super().__init__(limit)
        self.drained = threading.Event()

    def drain(self, server: Any, timeout: float | None) -> bool:
        ended = super().drain(server, timeout)
        if ended:
            self.drained.set()
        return ended


@contextmanager
def serving(server: Any) -> Iterator[threading.Thread]:
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        assert server.wait_until_serving(PATIENCE)
        yield thread
    finally:
        server.shutdown()
        thread.join(PATIENCE)
        assert not thread.is_alive()


@contextmanager
def dialogue(server: Any) -> Iterator[socket.socket]:
    """A connection in the middle of its dialogue."""
    with socket.create_connection(server.server_address, PATIENCE) as client:
        assert echo(client) == b"hi\n"
        yield client


def echo(client: socket.socket) -> bytes:
    client.sendall(b"hi\n")
    return client.recv(100)


def answers(server: Any) -> bool:
    with socket.create_connection(server.server_address, PATIENCE) as client:
        return echo(client) == b"hi\n"


def is_idle(server: Any) -> bool:
    return wait_until(lambda: len(server.in_flight) == 0)


# The one before


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


@contextmanager
def dialogue_in(server: TCPServer, then: Strategy) -> Iterator[socket.socket]:
    """A connection of the first strategy while another one serves, and no more."""
    with socket.create_connection(server.server_address, PATIENCE) as client:
        with serving(server):
            assert echo(client) == b"hi\n"
            server.strategy = then
            assert answers(server)
        yield client


# The assignment


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
    makers = [Synchronous, Threaded, lambda: ThreadPool(2), lambda: Outer(Threaded())]

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


# The ends


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
                server.strategy = Threaded()
                with serving(server):  # the listener was never closed
                    assert echo(waiting) == b"hi\n"


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


# Loops that are not ours


class Quiet(socketserver.TCPServer):
    allow_reuse_address = True


class QuietThreading(socketserver.ThreadingMixIn, Quiet):
    daemon_threads = True


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
    with adopt(QuietThreading(ANY_PORT, Echo), old) as server, standard_loop(server):
        with dialogue(server) as client:
            server.strategy = outer = Outer(ThreadPool(1))
            assert answers(server)
            assert outer.count == 1
            assert echo(client) == b"hi\n"
        assert old.drained.wait(PATIENCE)


def test_a_loop_of_somebody_elses_waits_for_the_old_one_where_it_must() -> None:
    old = Counting()
    with (
        adopt(QuietThreading(ANY_PORT, Echo), old) as server,
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
    with adopt(QuietThreading(ANY_PORT, Echo), Threaded()) as server, serving(server):
        server.strategy = Synchronous()
        assert server.wait_until_serving(PATIENCE)
        assert not isinstance(server, socketserver.ThreadingMixIn)
        server.strategy = ThreadPool(1)
        assert server.wait_until_serving(PATIENCE)
        assert isinstance(server, socketserver.ThreadingMixIn)


# Datagrams


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
