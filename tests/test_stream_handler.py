"""Our StreamRequestHandler is that of the standard library, with other files."""

from __future__ import annotations

import http.client
import http.server
import io
import socket
import socketserver
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

import serverstrategy
from adopting import serving
from probes import PATIENCE
from serverstrategy.strategies import Threaded
from serverstrategy.stream_reader import DirectReader
from serverstrategy.stream_writer import StreamWriter
from stream_files import OURS, THEIRS, Trial, compare, outcome

both = pytest.mark.parametrize("base", [THEIRS, OURS], ids=["theirs", "ours"])


def test_it_is_a_subclass_with_the_same_attributes() -> None:
    assert serverstrategy.StreamRequestHandler.__bases__ == (socketserver.StreamRequestHandler,)
    assert set(dir(OURS)) == set(dir(THEIRS))
    for name in ("rbufsize", "wbufsize", "timeout", "disable_nagle_algorithm", "finish"):
        assert getattr(OURS, name) is getattr(THEIRS, name)


def test_an_instance_has_the_same_attributes() -> None:
    def scenario(trial: Trial) -> list[str]:
        assert trial.connection is trial.request
        return sorted(vars(trial.handler))

    assert compare(scenario) == [
        "client_address",
        "connection",
        "request",
        "rfile",
        "server",
        "wfile",
    ]


# What `setup` is given


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        peer = socket.create_connection(listener.getsockname())
        return listener.accept()[0], peer


@pytest.mark.parametrize("timeout", [None, 0, 0.25])
@pytest.mark.parametrize("no_delay", [False, True])
@pytest.mark.parametrize("kind", [tcp_pair, socket.socketpair])
def test_options_of_the_connection(timeout: float | None, no_delay: bool, kind: Any) -> None:
    attributes = {"timeout": timeout, "disable_nagle_algorithm": no_delay}

    def scenario(trial: Trial) -> None:
        trial.do(trial.connection.gettimeout)
        option = socket.IPPROTO_TCP, socket.TCP_NODELAY
        trial.do(lambda: kind is tcp_pair and bool(trial.connection.getsockopt(*option)))
        trial.send(b"line\n")
        trial.read("readline")

    if no_delay and kind is not tcp_pair:  # which has no such option
        make = partial(Trial, kind=kind, attributes=attributes)
        theirs, ours = outcome(partial(make, THEIRS)), outcome(partial(make, OURS))
        assert theirs == ours
        assert "[Errno" in ours[1]
    else:
        compare(scenario, kind=kind, attributes=attributes)


@pytest.mark.parametrize("rbufsize", [-1, -2, 0, 1, 10, 65536, None, "x"])
@pytest.mark.parametrize("wbufsize", [0, -1, 1, 10, 65536])
def test_sizes_of_the_buffers(rbufsize: Any, wbufsize: int) -> None:
    def scenario(trial: Trial) -> list[bool]:
        trial.send(b"line one\nline two\n")
        trial.read("readline")
        trial.do(lambda: trial.connection.recv(3, socket.MSG_PEEK))
        trial.do(lambda: trial.wfile.write(b"answer"))
        trial.do(lambda: trial.peer.recv(100))
        trial.do(trial.finish)
        trial.do(lambda: trial.peer.recv(100))
        return [isinstance(trial.rfile, io.BufferedReader), trial.wfile.closed]

    attributes = {"rbufsize": rbufsize, "wbufsize": wbufsize}
    if rbufsize == "x":
        for base in (THEIRS, OURS):
            with pytest.raises(TypeError, match="not supported between"):
                Trial(base, attributes=attributes)
    else:
        compare(scenario, timeout=0, peer_timeout=0, attributes=attributes)


class OtherSocket(socket.socket):
    """A socket that receives in a way of its own."""

    def recv_into(self, *args: Any) -> int:
        size = super().recv_into(*args)
        args[0][:size] = bytes(args[0][:size]).upper()
        return size


def other_pair() -> tuple[socket.socket, socket.socket]:
    ours, peer = socket.socketpair()
    return OtherSocket(fileno=ours.detach()), peer


def test_a_socket_of_another_class_has_files_of_its_own() -> None:
    def scenario(trial: Trial) -> type:
        trial.send(b"line\n")
        assert trial.read("readline") == ("returns", b"LINE\n")
        return type(trial.rfile)

    assert compare(scenario, kind=other_pair) is io.BufferedReader


@both
def test_what_is_no_socket_at_all_has_them_too(base: Any) -> None:
    class Connection:
        def makefile(self, mode: str, size: int) -> Any:
            return io.BytesIO(b"line\n")

        def sendall(self, data: bytes) -> None:
            sent.append(data)

    class Handler(base):  # type: ignore[misc]
        def handle(self) -> None:
            self.wfile.write(self.rfile.readline())

    sent: list[bytes] = []
    Handler(Connection(), "client", "server")
    assert sent == [b"line\n"]


@both
def test_setup_may_put_another_connection_below(base: Any) -> None:
    """As one does for TLS."""
    first, second = socket.socketpair(), other_pair()

    class Handler(base):  # type: ignore[misc]
        def setup(self) -> None:
            self.request = second[0]
            super().setup()

        def handle(self) -> None:
            assert self.connection is second[0]
            self.wfile.write(self.rfile.readline())

    try:
        second[1].sendall(b"line\n")
        Handler(first[0], "client", "server")
        assert second[1].recv(100) == b"LINE\n"
    finally:
        for each in first + second:
            each.close()


def test_a_connection_that_is_closed_already() -> None:
    for base in (THEIRS, OURS):
        with socket.socket() as closed:
            pass
        with pytest.raises(OSError, match="Bad file descriptor"):
            type("Handler", (base,), {"timeout": 1.0, "disable_nagle_algorithm": True})(
                closed, "client", "server"
            )


@both
def test_an_error_in_setup_leaves_the_connection_to_its_owner(base: Any) -> None:
    class Handler(base):  # type: ignore[misc]
        def setup(self) -> None:
            super().setup()
            raise LookupError

    request, peer = socket.socketpair()
    with peer:
        with pytest.raises(LookupError):
            Handler(request, "client", "server")
        request.close()
        assert peer.recv(1) == b""
        assert request.fileno() == -1


# `finish`, and after


def test_files_that_were_replaced_are_finished() -> None:
    class Flushed(io.BytesIO):
        def flush(self) -> None:
            raise OSError("full")

    def scenario(trial: Trial, rfile: Any, wfile: Any) -> None:
        if rfile:
            trial.handler.rfile = rfile()
        if wfile:
            trial.handler.wfile = wfile()
        trial.do(trial.finish)
        trial.do(lambda: (trial.rfile.closed, trial.wfile.closed))

    for rfile in (None, io.BytesIO):
        for wfile in (None, io.BytesIO, Flushed):
            compare(scenario, rfile, wfile)


def test_files_after_the_end() -> None:
    def scenario(trial: Trial) -> None:
        trial.send(b"one\ntwo\n")
        trial.do(trial.finish)
        trial.do(trial.request.close)
        for name in ("readline", "read", "fileno", "close", "__next__"):
            trial.read(name)
        for call in (lambda: trial.wfile.write(b"x"), trial.wfile.flush, trial.wfile.close):
            trial.do(call)
        trial.do(trial.finish)

    compare(scenario)


# Servers


def answers(base: Any, exchange: Callable[[socket.socket], Any], **attributes: Any) -> Any:
    """Serve the handler's class in threads, and return what the client got."""
    server: Any = serverstrategy.TCPServer(("127.0.0.1", 0), base, strategy=Threaded())
    for name, value in attributes.items():
        setattr(server, name, value)
    with server, serving(server), socket.create_connection(server.server_address) as client:
        client.settimeout(PATIENCE)
        return exchange(client)


def read_all(client: socket.socket) -> bytes:
    client.shutdown(socket.SHUT_WR)
    return b"".join(iter(lambda: client.recv(4096), b""))


@both
@pytest.mark.parametrize("pieces", [[b"one\n", b"two\n", b"three"], [b"one\ntwo\nth", b"ree"]])
def test_lines_of_a_connection_that_goes_on(base: Any, pieces: list[bytes]) -> None:
    class Echo(base):  # type: ignore[misc]
        def handle(self) -> None:
            for line in self.rfile:
                self.wfile.write(line.upper())

    def exchange(client: socket.socket) -> bytes:
        answer = b""
        for piece in pieces:
            client.sendall(piece)
            while answer.count(b"\n") < piece.count(b"\n"):
                answer += client.recv(100)
        return answer + read_all(client)

    assert b"".join(answers(Echo, exchange).split()) == b"ONETWOTHREE"


HTTP: Any = http.server.BaseHTTPRequestHandler


@pytest.mark.parametrize("bases", [(HTTP,), (OURS, HTTP), (HTTP, OURS)])
@pytest.mark.parametrize("count", [1, 3])
def test_http(bases: tuple[Any, ...], count: int) -> None:
    class Hello(*bases):  # type: ignore[misc]
        protocol_version = "HTTP/1.1"
        timeout = PATIENCE

        def do_POST(self) -> None:  # noqa: N802 - its name there
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[::-1])

        def log_message(self, *_: object) -> None:
            pass

    def exchange(client: socket.socket) -> list[bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", timeout=PATIENCE)
        connection.sock = client
        bodies = []
        for number in range(count):
            connection.request("POST", "/", body=b"12345" * 10_000 + b"%d" % number)
            bodies.append(connection.getresponse().read())
        return bodies

    assert answers(Hello, exchange) == [b"%d" % n + b"54321" * 10_000 for n in range(count)]


@both
def test_a_thread_of_the_handler_that_goes_on_after_it(base: Any) -> None:
    results: list[Any] = []
    threads: list[threading.Thread] = []
    go_on = threading.Event()

    class Late(base):  # type: ignore[misc]
        def handle(self) -> None:
            threads.append(threading.Thread(target=self.later))
            threads[0].start()
            self.wfile.write(self.rfile.readline())

        def later(self) -> None:
            assert go_on.wait(PATIENCE)
            for call in (self.rfile.readline, self.rfile.fileno, lambda: self.wfile.write(b"x")):
                results.append(outcome(call))

    def exchange(client: socket.socket) -> bytes:
        client.sendall(b"line\n")
        return read_all(client)

    assert answers(Late, exchange) == b"line\n"
    go_on.set()
    threads[0].join(PATIENCE)
    assert results == [
        ("ValueError", "readline of closed file"),
        ("ValueError", "I/O operation on closed file."),
        ("OSError", "[Errno 9] Bad file descriptor"),
    ]


def test_our_files_are_those_of_the_plain_case() -> None:
    with Trial(OURS) as trial:
        assert type(trial.rfile) is DirectReader
        assert type(trial.wfile) is StreamWriter


def test_gevent_has_its_own() -> None:
    program = """
import gevent.monkey
gevent.monkey.patch_all()
import gevent, io, socket
import serverstrategy
class Echo(serverstrategy.StreamRequestHandler):
    def handle(self):
        assert type(self.rfile) is io.BufferedReader, type(self.rfile)
        self.wfile.write(self.rfile.readline())
ours, peer = socket.socketpair()
handling = gevent.spawn(Echo, ours, "client", "server")
gevent.sleep(0)
peer.sendall(b"line\\n")
handling.get()
assert peer.recv(100) == b"line\\n"
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=PATIENCE)
