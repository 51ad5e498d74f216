"""The loop of a thread that accepts."""

from __future__ import annotations

import errno
import queue
import select
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from probes import PATIENCE, wait_until
from serverstrategy import (
    DatagramRequestHandler,
    Server,
    StopSignal,
    Strategy,
    TCPServer,
    UDPServer,
)
from serverstrategy.nudge import Nudge
from serverstrategy.semaphore import BinarySemaphore
from serverstrategy.shortage import Shortage
from test_poll_set import is_polling

ANY_PORT = ("127.0.0.1", 0)


def say_bye(request: Any, *_: object) -> None:
    request.sendall(b"bye")


def answer(server: TCPServer) -> bytes:
    with socket.create_connection(server.server_address, PATIENCE) as client:
        return client.recv(16)


@pytest.mark.skipif(not hasattr(select, "EPOLLEXCLUSIVE"), reason="no EPOLLEXCLUSIVE")
def test_a_worker_that_stops_leaves_the_connection_that_it_was_woken_for_to_the_others() -> None:
    stop, nudge = StopSignal(), Nudge()
    with TCPServer(ANY_PORT, say_bye) as server:
        server._serverstrategy.is_child = True
        server._serverstrategy.nudge = nudge
        with socket.create_connection(server.server_address, PATIENCE):
            stop.set()
            server.accept_until_stopped(stop)
            assert select.select([nudge.fileno()], [], [], 0)[0]
        server._serverstrategy.is_child = False
        assert server._serverstrategy.accepted == 0
    nudge.close()
    stop.close()


@pytest.mark.skipif(not hasattr(select, "EPOLLEXCLUSIVE"), reason="no EPOLLEXCLUSIVE")
@pytest.mark.parametrize("fast", [0, 16], ids=["alone", "after others"])
def test_a_worker_hears_the_stop_that_came_while_it_handled(fast: int) -> None:
    handled: list[object] = []

    def handle(request: Any, *_: object) -> None:
        handled.append(request)
        if len(handled) > fast:
            asker.send(b"s")  # heard, not known: it comes from another process
            time.sleep(0.02)  # longer than a worker goes on without asking

    stop = StopSignal()
    asker = stop._child_end.dup()
    with TCPServer(ANY_PORT, handle) as server, asker:
        server._serverstrategy.is_child = True
        server._serverstrategy.nudge = Nudge()
        clients = [socket.create_connection(server.server_address, PATIENCE) for _ in range(20)]
        server.accept_until_stopped(stop)
        server._serverstrategy.is_child = False
        server._serverstrategy.nudge.close()
        for client in clients:
            client.close()
    stop.close()
    assert len(handled) == fast + 1


def test_an_attempt_without_a_wait_is_rare_where_there_is_no_backlog(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    errors: list[Exception] = []
    monkeypatch.setattr(Shortage, "note", lambda _, error: errors.append(error))
    with TCPServer(ANY_PORT, say_bye) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            for _ in range(64):
                assert answer(server) == b"bye"
        finally:
            server.shutdown()
            thread.join()
    assert len(errors) <= 2 * 64 // 16


class GetsRequest(TCPServer):
    """Has a `get_request` of its own, which nobody knows not to block."""

    def get_request(self) -> Any:
        return self.socket.accept()


@pytest.mark.parametrize("server_class", [TCPServer, GetsRequest])
def test_a_backlog_is_accepted_without_a_wait_for_each(
    server_class: type[TCPServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[object] = []
    with server_class(ANY_PORT, say_bye) as server:
        state = server._serverstrategy
        clients = [socket.create_connection(server.server_address, PATIENCE) for _ in range(200)]
        thread = threading.Thread(target=server.serve_forever)
        wait = TCPServer.wait_with_watched

        def count(self: TCPServer, *arguments: Any) -> set[int]:
            waits.append(self)
            return wait(self, *arguments)

        monkeypatch.setattr(TCPServer, "wait_with_watched", count)
        thread.start()
        try:
            for client in clients:
                with client:
                    assert client.recv(16) == b"bye"
            number = len(waits)
        finally:
            server.shutdown()
            thread.join()
        assert state.accepted == 200
    # The first ones, and then one in every hundredth of a second.
    assert number < 100


def test_a_stop_is_heard_amid_a_backlog() -> None:
    handled: list[object] = []

    class Stopped(TCPServer):
        def finish_request(self, request: Any, client_address: Any) -> None:
            handled.append(client_address)
            super().finish_request(request, client_address)
            if len(handled) == 50:
                self.shutdown()

    with Stopped(ANY_PORT, say_bye) as server:
        clients = [socket.create_connection(server.server_address, PATIENCE) for _ in range(100)]
        server.serve_forever()
        assert len(handled) == 50
        for client in clients:
            client.close()


class Elsewhere(TCPServer):
    """Takes its connections from a queue, and tells by a pipe that there are some."""

    def __init__(self) -> None:
        super().__init__(ANY_PORT, say_bye)
        self.queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.readable, self.writable = socket.socketpair()
        self.was_empty = False

    def fileno(self) -> int:
        return self.readable.fileno()

    def put(self, connection: socket.socket) -> None:
        self.queue.put((connection, "elsewhere"))
        self.writable.send(b"x")

    def get_request(self) -> Any:
        self.was_empty = self.was_empty or self.queue.empty()
        request = self.queue.get(timeout=PATIENCE)
        self.readable.recv(1)
        return request


def test_a_get_request_of_a_subclass_is_called_only_if_there_is_a_connection() -> None:
    with Elsewhere() as server, server.readable, server.writable:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            for _ in range(64):
                theirs, mine = socket.socketpair()
                with mine:
                    mine.settimeout(PATIENCE)
                    server.put(theirs)
                    assert mine.recv(16) == b"bye"
            assert wait_until(lambda: not server.in_flight)
        finally:
            server.shutdown()
            thread.join()
        assert not server.was_empty


class OwnReceive(UDPServer):
    """Receives as the standard library does: it waits for a datagram."""

    def get_request(self) -> Any:
        data, client_address = self.socket.recvfrom(self.max_packet_size)
        return (data, self.socket), client_address


class SayBye(DatagramRequestHandler):
    def handle(self) -> None:
        self.wfile.write(b"bye")


def stops(server: TCPServer, thread: threading.Thread, wake: Callable[[], object]) -> bool:
    """Whether the server stops though nobody sends anything; if not, it is woken."""
    stopping = threading.Thread(target=server.shutdown)
    stopping.start()
    stopping.join(5.0)
    has_stopped = not stopping.is_alive()
    while stopping.is_alive():
        wake()
        stopping.join(0.1)
    thread.join()
    return has_stopped


def test_a_receive_that_blocks_is_not_called_before_there_is_a_datagram() -> None:
    with (
        OwnReceive(ANY_PORT, SayBye) as server,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
    ):
        client.settimeout(PATIENCE)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        for _ in range(20):
            client.sendto(b"hello", server.server_address)
            assert client.recv(16) == b"bye"
        assert stops(server, thread, lambda: client.sendto(b"hello", server.server_address))


def test_an_accept_that_the_program_lets_block_is_not_called_without_a_connection() -> None:
    with TCPServer(ANY_PORT, say_bye) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        assert answer(server) == b"bye"
        server.socket.settimeout(60.0)
        for _ in range(20):
            assert answer(server) == b"bye"
        assert stops(server, thread, lambda: answer(server))


class Reaping(Strategy):
    """Has room once what the acceptors watch was looked after: that of a child, say."""

    has_room = False

    def __init__(self) -> None:
        self.mine, self.theirs = socket.socketpair()

    def fileno(self) -> int:
        return self.mine.fileno()

    def tick(self) -> float | None:
        return None

    def check(self) -> None:
        self.has_room = True

    def ready(self, server: Server) -> bool:
        return self.has_room


@pytest.fixture
def semaphore_waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    waits: list[float] = []

    def wait(self: BinarySemaphore, timeout: float) -> bool:
        waits.append(timeout)
        return False

    monkeypatch.setattr(BinarySemaphore, "wait", wait)
    return waits


def test_room_that_only_a_wait_hears_of_is_waited_for_by_that(semaphore_waits: list[float]) -> None:
    strategy = Reaping()
    with strategy.mine, strategy.theirs, TCPServer(ANY_PORT, say_bye, strategy=strategy) as server:
        server.add_watched(strategy)
        strategy.theirs.send(b"x")
        with socket.create_connection(server.server_address, PATIENCE):
            server.handle_request()
        server.remove_watched(strategy)
    assert semaphore_waits == []


@pytest.mark.parametrize(("timeout", "waits"), [(0.0, False), (0.1, True)])
def test_no_moment_is_added_to_a_timeout_that_is_shorter(
    timeout: float, waits: bool, semaphore_waits: list[float]
) -> None:
    strategy = Reaping()
    with strategy.mine, strategy.theirs, TCPServer(ANY_PORT, say_bye, strategy=strategy) as server:
        server.timeout = timeout
        server.handle_request()
    assert bool(semaphore_waits) == waits


class WithoutDescriptors(TCPServer):
    """Cannot accept."""

    def get_request(self) -> Any:
        raise OSError(errno.EMFILE, "Too many open files")


class Wavering(Strategy):
    """Has room while it waits for a connection, and none when there is one."""

    def __init__(self) -> None:
        self.asked = 0

    def ready(self, server: Server) -> bool:
        self.asked += 1
        return self.asked == 1


def without_descriptors() -> TCPServer:
    return WithoutDescriptors(ANY_PORT, say_bye, bind_and_activate=False)


def wavering() -> TCPServer:
    return TCPServer(ANY_PORT, say_bye, bind_and_activate=False, strategy=Wavering())


@pytest.mark.skipif(not hasattr(select, "EPOLLEXCLUSIVE"), reason="no EPOLLEXCLUSIVE")
@pytest.mark.parametrize("make_other", [without_descriptors, wavering])
def test_what_one_worker_cannot_take_another_one_takes(
    make_other: Callable[[], TCPServer],
) -> None:
    stop, nudge = StopSignal(), Nudge()
    with TCPServer(ANY_PORT, say_bye) as server, make_other() as other:
        other.socket.close()
        other.socket = server.socket.dup()
        threads = []
        for each in (other, server):  # the first one to wait is the first one to be woken
            each._serverstrategy.is_child = True
            each._serverstrategy.nudge = nudge
            thread = threading.Thread(target=each.accept_until_stopped, args=(stop,))
            thread.start()
            threads.append(thread)
            wait_until(lambda thread=thread: is_polling(thread))
        try:
            assert answer(server) == b"bye"
        finally:
            stop.set()
            for thread in threads:
                thread.join()
            for each in (other, server):
                each._serverstrategy.is_child = False
            nudge.close()
            stop.close()
