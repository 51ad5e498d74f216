"""What a server and its strategies are doing, as plain data."""

from __future__ import annotations

import gc
import json
import os
import signal
import socketserver
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

import serverstrategy
from probes import PATIENCE, Probe, connect, probing, wait_until
from serverstrategy import BaseRequestHandler, Strategy, TCPServer, UDPServer, adopt, with_strategy
from serverstrategy.strategies import Synchronous, Threaded, ThreadPool, parse

ANY_PORT = ("127.0.0.1", 0)


class Reads(BaseRequestHandler):
    """Tells its thread, and reads until the end of file."""

    def handle(self) -> None:
        self.request.sendall(f"{threading.get_ident()}\n".encode())
        while self.request.recv(100):
            pass


class Client:
    """A connection whose handler runs."""

    def __init__(self, server: Any) -> None:
        self.socket = connect(server.server_address, PATIENCE)
        self.thread = int(self.socket.makefile().readline())
        self.peer = list(self.socket.getsockname())

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()


@contextmanager
def serving(server: Any) -> Iterator[Any]:
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        assert server.wait_until_serving(PATIENCE)
        yield server
    finally:
        server.server_close()
        thread.join()


def build(strategy: Strategy) -> TCPServer:
    return TCPServer(ANY_PORT, Reads, strategy=strategy)


def status(server: Any) -> Any:
    """That of a server, which is plain data."""
    found = serverstrategy.status(server)
    assert json.loads(json.dumps(found)) == found
    return found


# The server


def test_before_serving() -> None:
    with build(Synchronous()) as server:
        assert server.status() == {
            "address": list(server.server_address),
            "serving": False,
            "accepted": 0,
            "strategy": {"strategy": "Synchronous()", "connections": []},
            "retired": [],
        }


def test_while_serving_and_after_the_close() -> None:
    with serving(build(Threaded())) as server:
        assert status(server)["serving"] is True
        for number in range(3):
            Client(server).socket.close()
            assert status(server)["accepted"] == number + 1
        server.server_close()
        assert wait_until(lambda: not server.status()["serving"])
        assert status(server)["strategy"]["connections"] == []
        assert status(server)["accepted"] == 3


def test_a_connection() -> None:
    with serving(build(Threaded())) as server, Client(server) as client:
        (first,) = status(server)["strategy"]["connections"]
        (second,) = status(server)["strategy"]["connections"]
        assert 0.0 < first.pop("age") < second.pop("age") < PATIENCE
        assert first == second == {"peer": client.peer, "thread": client.thread, "child": None}
        client.socket.close()
        assert server.in_flight.wait_for_none(PATIENCE)
        assert status(server)["strategy"]["connections"] == []


class Peer:
    def __repr__(self) -> str:
        return "<a peer>"


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("/a/path", "/a/path"),
        (b"\0abstract", "b'\\x00abstract'"),
        (None, None),
        ((Peer(), ("::1", 1.5)), ["<a peer>", ["::1", 1.5]]),
    ],
)
def test_a_peer_that_json_cannot_take(address: Any, shown: Any) -> None:
    class Odd(TCPServer):
        def get_request(self) -> tuple[Any, Any]:
            return super().get_request()[0], address

    with serving(Odd(ANY_PORT, Reads, strategy=Threaded())) as server, Client(server):
        (connection,) = status(server)["strategy"]["connections"]
        assert connection["peer"] == shown


def test_datagrams() -> None:
    with UDPServer(ANY_PORT, Reads, strategy=Threaded()) as server:
        assert status(server)["address"] == list(server.server_address)


def test_a_strategy_that_was_replaced_is_shown_until_it_has_drained() -> None:
    with serving(build(Threaded())) as server, Client(server) as old:
        server.strategy = ThreadPool(3)
        assert server.wait_until_serving(PATIENCE)
        with Client(server) as new:
            found = status(server)
            (retired,) = found["retired"]
            assert (retired["strategy"], retired["busy"]) == ("Threaded()", 1)
            assert [each["peer"] for each in retired["connections"]] == [old.peer]
            assert found["strategy"]["strategy"] == "ThreadPool(3)"
            assert [each["peer"] for each in found["strategy"]["connections"]] == [new.peer]
        old.socket.close()
        assert wait_until(lambda: server.status()["retired"] == [])


def test_it_waits_for_nobody() -> None:
    """Another thread has the lock of `in_flight`, within which it asks its condition."""
    holding, leave = threading.Event(), threading.Event()

    def condition() -> bool:
        holding.set()
        return leave.wait(PATIENCE)

    with serving(build(ThreadPool(2))) as server, Client(server):
        wait = partial(server.in_flight.wait_until, condition, PATIENCE)
        holder = threading.Thread(target=wait)
        holder.start()
        assert holding.wait(PATIENCE)
        assert status(server)["strategy"]["busy"] == 1
        assert not leave.is_set()
        leave.set()
        holder.join()


def test_in_a_signal_handler() -> None:
    found: list[Any] = []
    with serving(build(ThreadPool(2))) as server, Client(server):
        before = signal.signal(signal.SIGUSR1, lambda *_: found.append(status(server)))
        try:
            signal.raise_signal(signal.SIGUSR1)
        finally:
            signal.signal(signal.SIGUSR1, before)
    assert found[0]["strategy"]["busy"] == 1


def test_in_a_signal_handler_amid_an_import() -> None:
    """It imports nothing: before Python 3.12, that made the import of the main thread fail."""
    program = """
import inspect, random, signal, sys
from serverstrategy import BaseRequestHandler, TCPServer
from serverstrategy.strategies import Prefork, ThreadPool

asked = 0
def look(*_):
    global asked
    asked += 1
    server.status()

signal.signal(signal.SIGALRM, look)
with TCPServer(("127.0.0.1", 0), BaseRequestHandler, strategy=Prefork(2, ThreadPool(2))) as server:
    while asked < 400:
        for name in ("inspect", "ast", "dis", "opcode", "tokenize", "token", "linecache"):
            sys.modules.pop(name, None)
        signal.setitimer(signal.ITIMER_REAL, random.uniform(0.0001, 0.003))
        import inspect
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=PATIENCE)


def test_a_closed_server_is_not_kept() -> None:
    server = build(ThreadPool(2))
    gone = weakref.ref(server)
    server.server_close()
    server.status()
    gc.disable()
    try:
        del server
        assert gone() is None
    finally:
        gc.enable()


# The strategies


@pytest.mark.parametrize("strategy", ["Threaded()", "ThreadPool(3)"])
def test_threads(strategy: str) -> None:
    def counts(server: Any) -> tuple[int, int, int]:
        shown = status(server)["strategy"]
        return shown["threads"], shown["busy"], shown["idle"]

    with serving(build(parse(strategy))) as server:
        assert counts(server) == (0, 0, 0)
        with Client(server) as first:
            assert counts(server) == (1, 1, 0)
            with Client(server) as second:
                assert counts(server) == (2, 2, 0)
                threads = {each["thread"] for each in status(server)["strategy"]["connections"]}
                assert threads == {first.thread, second.thread}
            assert wait_until(lambda: counts(server) == (2, 1, 1))
        assert wait_until(lambda: counts(server) == (2, 0, 2))
        server.server_close()
        assert counts(server) == (0, 0, 0)


def test_what_waits_for_a_thread_has_none() -> None:
    with (
        serving(build(ThreadPool(1, waiting=1))) as server,
        Client(server) as client,
        connect(server.server_address, PATIENCE),
    ):
        # The acceptor has it for a moment.
        wanted = [client.thread, None]
        assert wait_until(lambda: [each.thread for each in server.in_flight] == wanted)
        shown = status(server)["strategy"]
        assert [each["thread"] for each in shown["connections"]] == wanted
        assert (shown["threads"], shown["busy"], shown["idle"]) == (1, 1, 0)


def parent_status(probe: Probe) -> Any:
    probe.tell("status")
    return probe.expect("status")["answer"]


def test_children() -> None:
    with probing("Forking(5)", thread=True) as probe:
        clients = probe.clients(3)
        pids = [int(client.ask("pid") or 0) for client in clients]
        shown = parent_status(probe)["strategy"]
        assert (shown["strategy"], shown["children"]) == ("Forking(5)", 3)
        assert [each["child"] for each in shown["connections"]] == pids
        ports = [client.socket.getsockname()[1] for client in clients]
        assert [each["peer"][1] for each in shown["connections"]] == ports
        # In a child it is about that process.
        own = json.loads(clients[2].ask("status") or "")["strategy"]
        assert own["children"] == 0
        assert [each["peer"][1] for each in own["connections"]] == ports[2:]
        os.kill(pids[0], signal.SIGKILL)
        assert wait_until(lambda: parent_status(probe)["strategy"]["children"] == 2)
        for client in clients:
            client.close()
        probe.tell("shutdown")
        probe.end_of_commands()
        probe.closed()


@pytest.mark.parametrize(
    "strategy",
    [
        "Limit(4, ThreadPool(3))",
        "PerClient(4, ThreadPool(3))",
        "Fallback(ThreadPool(3), Synchronous())",
        "Limit(5, PerClient(4, Fallback(ThreadPool(3))))",
    ],
)
def test_it_is_nested_as_the_strategies_are(strategy: str) -> None:
    with serving(build(parse(strategy))) as server, Client(server) as client:
        shown, part = status(server)["strategy"], server.strategy
        while isinstance(inner := getattr(part, "inner", None), Strategy):
            assert shown.keys() == {"strategy", "inner"}
            assert shown["strategy"] == repr(part)
            shown, part = shown["inner"], inner
        assert shown["strategy"] == "ThreadPool(3)"
        assert shown["busy"] == 1
        assert [each["peer"] for each in shown["connections"]] == [client.peer]


class Around(Strategy):
    """A layer that knows nothing of `status`."""

    def __init__(self, inner: Strategy) -> None:
        self.inner = inner

    def process_request(self, server: Any, request: Any, client_address: Any) -> None:
        self.inner.process_request(server, request, client_address)

    def drain(self, server: Any, timeout: float | None) -> bool:
        return self.inner.drain(server, timeout)


class Adding(Around):
    """A layer that has something to add."""

    def status(self, server: Any) -> dict[str, Any]:
        return super().status(server) | {"added": len(server.in_flight)}


def test_a_strategy_of_somebody_else() -> None:
    with serving(build(Adding(Around(Threaded())))) as server, Client(server):
        shown = status(server)["strategy"]
        assert shown["added"] == 1
        assert shown["inner"]["strategy"] == "Around(Threaded())"
        assert shown["inner"]["inner"]["busy"] == 1


# Names


class Own(socketserver.TCPServer):
    def status(self) -> str:
        return "own"


class Of:
    """The place of a method behind the server classes makes no difference."""

    status = Own.status


class Behind(socketserver.TCPServer, Of):
    pass


class OnTheInstance(socketserver.TCPServer):
    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.status = lambda: "own"


WAYS: list[Any] = [
    lambda cls: adopt(cls(ANY_PORT, Reads), Threaded()),
    lambda cls: with_strategy(cls, Threaded)(ANY_PORT, Reads),
    lambda cls: adopt(adopt(cls(ANY_PORT, Reads), Synchronous()), Threaded()),
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("cls", [Own, Behind, OnTheInstance])
def test_a_class_keeps_its_own(cls: Any, way: Any) -> None:
    with serving(way(cls)) as server, Client(server):
        assert server.status() == "own"
        assert status(server)["strategy"]["busy"] == 1


@pytest.mark.parametrize("way", WAYS)
def test_a_class_without_one_gets_ours(way: Any) -> None:
    with serving(way(socketserver.ThreadingTCPServer)) as server, Client(server):
        assert server.status()["strategy"]["busy"] == 1
        assert server.status().keys() == status(server).keys()


def test_a_class_of_ours_may_add_to_it() -> None:
    class More(TCPServer):
        def status(self) -> dict[str, Any]:
            return super().status() | {"more": 1}

    with More(ANY_PORT, Reads) as server:
        assert server.status() == status(server) | {"more": 1}


def test_only_a_server_with_a_strategy_has_one() -> None:
    with pytest.raises(TypeError, match="takes a server with a strategy, not 3"):
        serverstrategy.status(3)
    with (
        socketserver.TCPServer(ANY_PORT, Reads) as server,
        pytest.raises(TypeError, match="takes a server with a strategy"),
    ):
        serverstrategy.status(server)
