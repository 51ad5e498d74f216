"""The rows of the handlers in docs/migrating.md."""

from __future__ import annotations

import socket
import socketserver
from typing import Any

import pytest

import serverstrategy
from adopting import serving
from migrating import both, connect, in_thread, join, late, read, shows
from migrating_host import hosted
from probes import PATIENCE
from serverstrategy.strategies import Synchronous, Threaded


@shows("handlers", "setup", "handle", "finish", "client_address", "server")
@both
@pytest.mark.parametrize("strategy", [Synchronous, Threaded])
def test_the_handler_gets_what_it_got(build: Any, strategy: Any) -> None:
    calls: list[Any] = []

    class Noting(serverstrategy.BaseRequestHandler):
        def setup(self) -> None:
            calls.append("setup")

        def handle(self) -> None:
            calls.append("handle")
            calls.append((self.client_address, self.server))
            self.request.sendall(b"handled")

        def finish(self) -> None:
            calls.append("finish")

    with build(Noting, strategy()) as server, serving(server):
        with connect(server) as client:
            assert read(client) == b"handled"
            peer = client.getsockname()
        assert calls == ["setup", "handle", (peer, server), "finish"]


@shows("handlers", "server")
@pytest.mark.parametrize(("strategy", "visits"), [("Threaded()", [1, 2]), ("Forking()", [1, 1])])
def test_a_child_has_a_copy_of_the_server(strategy: str, visits: list[int]) -> None:
    with hosted("ours", "TCPServer", strategy) as host:
        assert [host.ask()["visits"] for _ in range(2)] == visits


@shows("handlers", "rfile", "wfile", "rbufsize", "wbufsize", "timeout", "disable_nagle_algorithm")
@both
def test_the_files_and_the_options_of_a_stream_handler(build: Any) -> None:
    options: list[Any] = []

    class Buffered(serverstrategy.StreamRequestHandler):
        rbufsize = 0
        wbufsize = 1000
        timeout = PATIENCE
        disable_nagle_algorithm = True

        def handle(self) -> None:
            self.wfile.write(self.rfile.readline().upper())
            no_delay = self.request.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            options.append((self.request.gettimeout(), bool(no_delay)))

    with build(Buffered, Threaded()) as server, serving(server), connect(server) as client:
        client.sendall(b"hi\n")
        assert read(client) == b"HI\n"
    assert options == [(PATIENCE, True)]


@shows("handlers", "packet", "socket", "rfile", "wfile")
@both
def test_a_datagram_handler_answers_on_the_listener(build: Any) -> None:
    kept: list[bool] = []

    class Shouting(serverstrategy.DatagramRequestHandler):
        def handle(self) -> None:
            assert isinstance(self.server, socketserver.UDPServer | serverstrategy.UDPServer)
            kept.append(self.socket is self.server.socket)
            assert self.rfile.read() == self.packet
            self.wfile.write(self.packet.upper())

    with build(Shouting, Threaded(), base=socketserver.UDPServer) as server, serving(server):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(PATIENCE)
            client.sendto(b"hi", server.server_address)
            assert client.recv(100) == b"HI"
        assert kept == [True]


@shows("handlers", "socket")
@both
def test_the_listener_of_datagrams_is_open_until_the_last_handler_has_returned(build: Any) -> None:
    handler = late()
    server = build(handler, Threaded(), base=socketserver.UDPServer)
    serve = in_thread(server.serve_forever)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(PATIENCE)
        client.sendto(b"?", server.server_address)
        assert handler.begun.wait(PATIENCE)
        closing = in_thread(server.server_close)
        join(serve)
        assert server.fileno() != -1
        handler.go_on.set()
        assert client.recv(100) == b"late"
    join(closing)
    assert server.fileno() == -1
