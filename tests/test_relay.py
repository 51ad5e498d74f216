"""The thread that has ended a connection accepts the next one, where an acceptor waits for room."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import serverstrategy.server
from probes import PATIENCE, wait_until
from serverstrategy import Strategy, StreamRequestHandler, TCPServer, adopt
from serverstrategy.strategies import (
    Fallback,
    Limit,
    PerClient,
    Threaded,
    ThreadPool,
)
from serverstrategy.waiter import Waiter
from succeeding import ANY_PORT, Outer, serving

LIMITED = [
    ThreadPool(1),
    Threaded(1),
    Limit(1, Threaded()),
    PerClient(9, ThreadPool(1)),
    Fallback(ThreadPool(1)),
]
each_limited = pytest.mark.parametrize("strategy", LIMITED, ids=repr)


class Held(StreamRequestHandler):
    """Answers a line, once the test lets it."""

    def handle(self) -> None:
        line = self.rfile.readline()
        self.server.handled.append((line, threading.get_ident()))
        if line.startswith(b"hold"):
            assert self.server.gate.wait(PATIENCE)
        if line == b"hold and stop\n":
            self.server.shutdown()
        self.wfile.write(line)


class Server(TCPServer):
    """Notes which thread accepts each connection, and which one handles it."""

    def __init__(self, strategy: Strategy) -> None:
        self.gate = threading.Event()
        self.accepted_by: list[int] = []
        self.handled: list[tuple[bytes, int]] = []
        super().__init__(ANY_PORT, Held, strategy=strategy)
        self.in_flight.observe(self)

    def began(self, connection: Any) -> None:
        self.accepted_by.append(threading.get_ident())

    def ended(self, connection: Any) -> None:
        pass

    def handed_to_child(self, connection: Any) -> None:
        pass

    def accepting(self) -> None:
        pass


def connect(server: Any, line: bytes, host: str = "127.0.0.1") -> socket.socket:
    client = socket.create_connection(server.server_address, PATIENCE, (host, 0))
    client.sendall(line)
    return client


def is_full(server: Server) -> bool:
    """Whether an acceptor waits for room, after all that had room was accepted."""
    return wait_until(lambda: len(server.in_flight.parked) == 1)


@contextlib.contextmanager
def backlog(
    server: Server, *lines: bytes, first: bytes = b"hold\n"
) -> Iterator[list[socket.socket]]:
    """Connections of which the first one is in its handler; the others wait."""
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connect(server, first))]
        assert wait_until(lambda: server.handled)
        # After its short wait, at whose end it may be the one that is faster.
        assert wait_until(lambda: [type(each) for each in server.in_flight.parked] == [Waiter])
        clients += [stack.enter_context(connect(server, line)) for line in lines]
        yield clients


@each_limited
def test_the_thread_that_is_free_accepts_what_waits(strategy: Strategy) -> None:
    with Server(strategy) as server, serving(server) as acceptor:
        with backlog(server, b"1\n", b"2\n", b"3\n") as clients:
            server.gate.set()
            assert [client.recv(100) for client in clients] == [b"hold\n", b"1\n", b"2\n", b"3\n"]
        own = server.handled[0][1]
        assert server.accepted_by == [acceptor.ident, own, own, own]
        assert [line for line, _ in server.handled] == [b"hold\n", b"1\n", b"2\n", b"3\n"]
        assert {thread for _, thread in server.handled} == {own}


def test_a_server_that_was_adopted_does_so_as_well() -> None:
    import socketserver

    server: Any = socketserver.ThreadingTCPServer(ANY_PORT, Held)
    server.gate, server.handled = threading.Event(), []
    with adopt(server, ThreadPool(1)), serving(server):
        accepted_by: list[int] = []
        observer = Server.__new__(Server)
        observer.accepted_by = accepted_by
        server.in_flight.observe(observer)
        with backlog(server, b"1\n") as clients:
            server.gate.set()
            assert [client.recv(100) for client in clients] == [b"hold\n", b"1\n"]
        assert accepted_by[1] == server.handled[0][1]
        assert accepted_by[0] != accepted_by[1]


@pytest.mark.parametrize("where", ["class", "instance"])
@pytest.mark.parametrize(
    "name",
    [
        "_handle_request_noblock",
        "get_request",
        "verify_request",
        "process_request",
        "service_actions",
    ],
)
def test_hooks_of_a_subclass_run_in_the_thread_of_the_acceptor(name: str, where: str) -> None:
    called_by: list[int] = []

    def hook(*arguments: Any) -> Any:
        called_by.append(threading.get_ident())
        own = arguments[1:] if where == "class" else arguments
        return getattr(Server, name).__get__(server)(*own) if name != "service_actions" else None

    cls: Any = type("Overriding", (Server,), {name: hook} if where == "class" else {})
    server = cls(ThreadPool(1))
    with server, serving(server) as acceptor:
        if where == "instance":
            setattr(server, name, hook)
        with backlog(server, b"1\n", b"2\n") as clients:
            server.gate.set()
            assert [client.recv(100) for client in clients] == [b"hold\n", b"1\n", b"2\n"]
        assert set(server.accepted_by) == {acceptor.ident}
        assert set(called_by) == {acceptor.ident}


def test_a_strategy_around_it_that_does_not_allow_it_keeps_its_thread() -> None:
    with Server(Outer(ThreadPool(1))) as server, serving(server) as acceptor:
        with backlog(server, b"1\n", b"2\n") as clients:
            server.gate.set()
            assert [client.recv(100) for client in clients] == [b"hold\n", b"1\n", b"2\n"]
        assert set(server.accepted_by) == {acceptor.ident}


def test_those_that_wait_for_a_thread_go_first() -> None:
    with Server(ThreadPool(1, waiting=1)) as server, serving(server):
        with contextlib.ExitStack() as stack:
            lines = [b"hold\n", b"1\n", b"2\n", b"3\n"]
            for line in lines:
                stack.enter_context(connect(server, line))
                assert wait_until(lambda: server.handled)
            assert wait_until(lambda: len(server.in_flight) == 2)
            assert is_full(server)
            server.gate.set()
            assert wait_until(lambda: len(server.handled) == 4)
        assert [line for line, _ in server.handled] == lines


def test_the_room_of_one_that_is_refused_is_not_lost() -> None:
    with (
        Server(PerClient(1, ThreadPool(2))) as server,
        serving(server),
        connect(server, b"", "127.0.0.1") as first,
        connect(server, b"hold\n", "127.0.0.2") as second,
    ):
        assert wait_until(lambda: server.handled)
        assert is_full(server)
        with (
            connect(server, b"no\n", "127.0.0.2") as surplus,
            connect(server, b"yes\n", "127.0.0.3") as other,
        ):
            first.sendall(b"go\n")
            assert first.recv(100) == b"go\n"
            assert surplus.recv(100) == b""
            assert other.recv(100) == b"yes\n"
        server.gate.set()
        assert second.recv(100) == b"hold\n"


def test_none_is_accepted_after_the_stop() -> None:
    with Server(ThreadPool(1)) as server:
        with serving(server), backlog(server, b"1\n", b"2\n") as clients:
            server.shutdown()
            server.gate.set()
            assert clients[0].recv(100) == b"hold\n"
            assert server.in_flight.wait_for_none(PATIENCE)
        assert len(server.accepted_by) == 1


def test_none_is_accepted_after_a_handler_has_stopped_the_server() -> None:
    with Server(ThreadPool(1)) as server:
        with serving(server), backlog(server, b"1\n", first=b"hold and stop\n") as clients:
            server.gate.set()
            assert clients[0].recv(100) == b"hold and stop\n"
            assert server.in_flight.wait_for_none(PATIENCE)
        assert len(server.accepted_by) == 1


def test_serve_forever_returns_after_the_last_accept(monkeypatch: pytest.MonkeyPatch) -> None:
    accept = serverstrategy.server.accept
    has_accepted, goes_on = threading.Event(), threading.Event()

    def slow(listener: Any) -> Any:
        result = accept(listener)
        if threading.get_ident() != acceptor.ident:
            has_accepted.set()
            assert goes_on.wait(PATIENCE)
        return result

    monkeypatch.setattr(serverstrategy.server, "accept", slow)
    with Server(ThreadPool(1)) as server:
        acceptor = threading.Thread(target=server.serve_forever)
        acceptor.start()
        with backlog(server, b"1\n") as clients:
            server.gate.set()
            assert has_accepted.wait(PATIENCE)
            shutdown = threading.Thread(target=server.shutdown)
            shutdown.start()
            acceptor.join(0.2)
            assert acceptor.is_alive(), "it says that nothing is accepted any more"
            goes_on.set()
            acceptor.join(PATIENCE)
            shutdown.join(PATIENCE)
            assert clients[1].recv(100) == b"1\n"


class FailsOnce(Limit):
    """Cannot say once, in the thread of a handler, whether there is room."""

    has_failed = False

    def ready(self, server: Any) -> bool:
        if (
            threading.get_ident() in [thread for _, thread in server.handled]
            and not self.has_failed
        ):
            self.has_failed = True
            raise ValueError("once")
        return super().ready(server)


def test_a_ready_that_fails_there_costs_neither_the_thread_nor_the_wake_up() -> None:
    strategy = FailsOnce(1, ThreadPool(1))
    with Server(strategy) as server, serving(server), backlog(server, b"1\n", b"2\n") as clients:
        server.gate.set()
        assert [client.recv(100) for client in clients] == [b"hold\n", b"1\n", b"2\n"]
        assert strategy.has_failed
        assert len({thread for _, thread in server.handled}) == 1


class Slow(Limit):
    """Takes its time to hand a connection on, if it is not the acceptor that does so."""

    def __init__(self, inner: Strategy) -> None:
        super().__init__(1, inner)
        self.is_called, self.goes_on = threading.Event(), threading.Event()

    def process_request(self, server: Any, request: Any, client_address: Any) -> None:
        if server.handled:
            self.is_called.set()
            assert self.goes_on.wait(PATIENCE)
        super().process_request(server, request, client_address)


def test_serve_forever_returns_after_the_last_was_handed_on() -> None:
    """Else the threads would be ended first, and one started that nobody ends."""
    pool = ThreadPool(1)
    strategy = Slow(pool)
    with Server(strategy) as server:
        acceptor = threading.Thread(target=server.serve_forever)
        acceptor.start()
        with backlog(server, b"1\n") as clients:
            server.gate.set()
            assert strategy.is_called.wait(PATIENCE)
            shutdown = threading.Thread(target=server.shutdown)
            shutdown.start()
            acceptor.join(0.2)
            assert acceptor.is_alive()
            strategy.goes_on.set()
            acceptor.join(PATIENCE)
            shutdown.join(PATIENCE)
            assert clients[1].recv(100) == b"1\n"
    assert pool.thread_count == 0


class Listener(socket.socket):
    """One that may do more than accept, as that of TLS does a handshake."""


def test_a_listener_of_another_kind_is_left_to_the_acceptor() -> None:
    with Server(ThreadPool(1)) as server:
        plain = server.socket
        server.socket = Listener(fileno=plain.detach())
        with serving(server) as acceptor, backlog(server, b"1\n", b"2\n") as clients:
            server.gate.set()
            assert [client.recv(100) for client in clients] == [b"hold\n", b"1\n", b"2\n"]
        assert set(server.accepted_by) == {acceptor.ident}


FORKING_HANDLER = """
import os, signal, socket, sys, threading

from serverstrategy import StreamRequestHandler, TCPServer
from serverstrategy.strategies import ThreadPool

class Forks(StreamRequestHandler):
    def handle(self):
        if self.rfile.readline() == b"fork\\n":
            go_on.wait()
            children.append(os.fork())
            if not children[0]:
                sys.exit()  # an error of its connection: so the child goes on as the thread
            answered.wait(5)
        self.wfile.write(b"%d" % os.getpid())

children, go_on, answered = [], threading.Event(), threading.Event()
with TCPServer(("127.0.0.1", 0), Forks, strategy=ThreadPool(1)) as server:
    server.block_on_close = False
    threading.Thread(target=server.serve_forever, daemon=True).start()
    server.wait_until_serving(5)
    first = socket.create_connection(server.server_address, 10)
    first.sendall(b"fork\\n")
    while not server.in_flight.parked:
        pass
    second = socket.create_connection(server.server_address, 10)
    second.sendall(b"x\\n")
    go_on.set()
    second.settimeout(1)
    answer = b""
    try:
        answer = second.recv(100)
    except TimeoutError:
        answered.set()
        second.settimeout(10)
        answer = second.recv(100)
    finally:
        os.kill(children[0], signal.SIGKILL)
        os.waitpid(children[0], 0)
    print("the parent" if answer == b"%d" % os.getpid() else answer, flush=True)
    os._exit(0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_child_that_a_handler_has_forked_accepts_nothing() -> None:
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKING_HANDLER]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=50)
    assert done.stdout == "the parent\n"


class HandlesAtOnce(Strategy):
    """Says that its threads may accept, and handles in `process_request`; two threads accept."""

    multithread = True
    threads_accept = True

    def serve(self, server: Any, stop: Any) -> None:
        other = threading.Thread(target=server.accept_until_stopped, args=(stop,))
        other.start()
        server.accept_until_stopped(stop)
        other.join()

    def ready(self, server: Any) -> bool:
        return len(server.in_flight) == 0


def test_handling_at_once_does_not_nest_without_end() -> None:
    lines = [b"hold\n"] + [b"x\n"] * 400
    with (
        Server(HandlesAtOnce()) as server,
        serving(server),
        contextlib.ExitStack() as stack,
    ):
        clients = [stack.enter_context(connect(server, line)) for line in lines]
        assert wait_until(lambda: server.handled)
        assert is_full(server)
        server.gate.set()
        assert [client.recv(100) for client in clients] == lines
