"""The rows of the classes in docs/migrating.md."""

from __future__ import annotations

import contextlib
import signal
import socket
import socketserver
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

import serverstrategy
from adopting import ANY_PORT, Shout, ask, serving
from migrating import both, connect, in_thread, join, late, ours, read, shows
from migrating_host import hosted
from probes import PATIENCE, probing, wait_until
from serverstrategy import adopt
from serverstrategy.strategies import Synchronous, Threaded, ThreadPool

KINDS = ["TCPServer", "UDPServer", "UnixStreamServer", "UnixDatagramServer"]


def has(name: str) -> Any:
    """Skip where this Python's `socketserver` does not have the class."""
    reason = f"socketserver.{name} is new in Python 3.12"
    return pytest.mark.skipif(not hasattr(socketserver, name), reason=reason)


def from_base_server(base: Any, *arguments: Any, **keywords: Any) -> Any:
    """A server that has a listener, but no `socket`."""

    class Bare(base):  # type: ignore[misc]
        def __init__(self) -> None:
            self.door = socket.create_server(ANY_PORT)
            super().__init__(self.door.getsockname(), Shout, *arguments, **keywords)

        def fileno(self) -> int:
            return self.door.fileno()

        def get_request(self) -> Any:
            return self.door.accept()

        def close_request(self, request: Any) -> None:
            request.close()

        def server_close(self) -> None:
            super().server_close()
            self.door.close()

    return Bare()


@shows("classes", "BaseServer")
def test_base_server_needs_no_socket() -> None:
    with from_base_server(socketserver.BaseServer) as server, pytest.raises(AttributeError):
        server.handle_request()
    for server in (
        from_base_server(serverstrategy.BaseServer, strategy=ThreadPool(1)),
        adopt(from_base_server(socketserver.BaseServer), ThreadPool(1)),
    ):
        with server:
            with connect(server) as client:
                client.sendall(b"hi\n")
                server.handle_request()
                assert read(client) == b"HI\n"
            with serving(server):
                assert ask(server) == b"HI\n"


@shows("classes", "TCPServer")
def test_tcp_server_handles_one_at_a_time_without_a_strategy() -> None:
    handler = late()
    with ours(handler) as server, serving(server), connect(server), connect(server):
        assert handler.begun.wait(PATIENCE)
        assert len(server.in_flight) == 1
        assert {each.thread for each in server.in_flight} == {server._serverstrategy.serving.thread}
        handler.go_on.set()


@shows("classes", "UDPServer")
@both
def test_udp_server_waits_for_its_handlers_and_closes_last(build: Any) -> None:
    handler = late()
    server = build(handler, Threaded(), base=socketserver.UDPServer)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(PATIENCE)
        client.sendto(b"?", server.server_address)
        server.handle_request()
        assert handler.begun.wait(PATIENCE)
        closing = in_thread(server.server_close)
        assert not wait_until(lambda: not closing.is_alive() or server.fileno() == -1, 0.05)
        handler.go_on.set()
        assert client.recv(100) == b"late"
        join(closing)
        assert server.fileno() == -1


@shows("classes", "UnixStreamServer", "UnixDatagramServer")
@pytest.mark.parametrize("name", ["UnixStreamServer", "UnixDatagramServer"])
def test_a_unix_server_can_remove_and_replace_its_file(name: str, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    cls = getattr(serverstrategy, name)
    cls(str(path), Shout).server_close()
    assert path.exists()  # as in the standard library
    with pytest.raises(OSError, match="in use"):
        cls(str(path), Shout)
    with cls(str(path), Shout, replace_stale=True, remove_on_close=True) as server:
        assert server.fileno() != -1
    assert not path.exists()


@shows("classes", "ThreadingMixIn")
@shows("differences", "Threads are used again.")
@both
def test_threads_are_used_again_and_limited_before_the_accept(build: Any) -> None:
    seen: list[threading.Thread] = []

    class Thread(Shout):
        def handle(self) -> None:
            seen.append(threading.current_thread())
            super().handle()

    with build(Thread, Threaded()) as server, serving(server):
        assert [ask(server) for _ in range(20)] == [b"HI\n"] * 20
    assert len(set(seen)) < 10
    handler = late()
    with build(handler, ThreadPool(1)) as server, serving(server), connect(server):
        assert handler.begun.wait(PATIENCE)
        with connect(server) as second:
            assert not wait_until(lambda: len(server.in_flight) > 1, 0.05)
            handler.go_on.set()
            assert read(second) == b"late"


@shows("classes", "ForkingMixIn")
@shows("differences", "A child of a stream server closes the listener.")
def test_forking_is_limited_before_the_accept_and_a_child_holds_no_listener() -> None:
    with probing("Forking(1)") as probe:
        first, second = probe.clients(2)
        assert first.ask("echo hi") == "hi"
        second.send("echo hello")
        second.socket.settimeout(0.05)
        with pytest.raises(TimeoutError):
            second.socket.recv(1, socket.MSG_PEEK)
        second.socket.settimeout(PATIENCE)
        first.close()
        assert second.receive() == "hello"
        second.close()
        probe.stop()
    with hosted("ours", "TCPServer", "Forking()") as host:
        assert host.ask()["listener"] == -1


@shows("classes", *(f"Threading{kind}" for kind in KINDS))
@pytest.mark.parametrize("way", ["ours", "adopted"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_threading_class_handles_in_a_thread(kind: str, way: str) -> None:
    with hosted(way, kind if way == "ours" else f"Threading{kind}", "Threaded()") as host:
        for _ in range(3):
            told = host.ask()
            assert (told["pid"], told["is_main"]) == (host.pid, False)


@shows("classes", *(f"Forking{kind}" for kind in KINDS))
@pytest.mark.parametrize(
    ("way", "name"),
    [
        *(("ours", kind) for kind in KINDS),
        *(pytest.param("adopted", f"Forking{k}", marks=has(f"Forking{k}")) for k in KINDS),
    ],
)
def test_a_forking_class_handles_in_a_child(way: str, name: str) -> None:
    with hosted(way, name, "Forking()") as host:
        pids = {host.ask()["pid"] for _ in range(3)}
        assert len(pids) == 3
        assert host.pid not in pids


@shows("classes", "BaseRequestHandler", "StreamRequestHandler", "DatagramRequestHandler")
@pytest.mark.parametrize("kind", ["Base", "Stream", "Datagram"])
def test_the_handlers_are_those_of_the_standard_library(kind: str) -> None:
    name = f"{kind}RequestHandler"
    ours, theirs = getattr(serverstrategy, name), getattr(socketserver, name)
    assert issubclass(ours, theirs)
    assert (ours is theirs) is (kind != "Stream")


@shows("differences", "All threads are daemons.")
def test_a_thread_that_sleeps_does_not_keep_the_program() -> None:
    program = Path(__file__).with_name("migrating_sleeper.py")
    with subprocess.Popen(
        [sys.executable, program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        with socket.create_connection(("127.0.0.1", int(process.stdout.readline()))) as client:
            assert client.recv(1) == b"!"
            process.send_signal(signal.SIGTERM)
            _, log = process.communicate(timeout=PATIENCE)
        assert "abandoned the <connection" in log
        assert process.returncode == 0


@shows("differences", "One strategy object serves one server at a time.")
def test_a_strategy_serves_one_server_at_a_time() -> None:
    strategy = Synchronous()
    with contextlib.ExitStack() as stack:
        stack.enter_context(ours(Shout, strategy))
        with pytest.raises(ValueError, match="one server at a time"):
            ours(Shout, strategy)
    ours(Shout, strategy).server_close()
