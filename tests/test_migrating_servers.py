"""The rows of the servers' attributes in docs/migrating.md, and of what sets up a listener."""

from __future__ import annotations

import os
import select
import socket
import socketserver
from typing import Any

import pytest

import serverstrategy
from adopting import ANY_PORT, Shout, ask, serving
from migrating import adopted, both, connect, ours, read, shows
from probes import PATIENCE, wait_until
from serverstrategy import BaseRequestHandler, adopt
from serverstrategy.strategies import Synchronous, Threaded, ThreadPool


class Say(BaseRequestHandler):
    def handle(self) -> None:
        self.request.sendall(b"said")


def option(server: Any, name: int) -> bool:
    return bool(server.socket.getsockopt(socket.SOL_SOCKET, name))


@shows("servers", "server_address", "RequestHandlerClass")
@both
def test_the_address_is_the_listeners_and_the_handler_can_be_replaced(build: Any) -> None:
    with build() as server, serving(server):
        assert server.server_address == server.socket.getsockname()
        assert ask(server) == b"HI\n"
        server.RequestHandlerClass = Say
        with connect(server) as client:
            assert read(client) == b"said"


@shows("servers", "socket")
@shows("handlers", "request", "connection")
@shows("differences", "The listener does not block.")
@both
def test_the_listener_does_not_block_and_what_it_accepts_does(build: Any) -> None:
    timeouts: list[float | None] = []

    class Timeout(Shout):
        def handle(self) -> None:
            assert self.connection is self.request
            timeouts.append(self.request.gettimeout())
            super().handle()

    with build(Timeout, ThreadPool(1)) as server:
        assert server.socket.gettimeout() is None
        with serving(server):
            assert ask(server) == b"HI\n"
        assert server.socket.gettimeout() == 0.0
        socket.setdefaulttimeout(PATIENCE)
        try:
            with serving(server):
                assert ask(server) == b"HI\n"
        finally:
            socket.setdefaulttimeout(None)
    assert timeouts == [None, PATIENCE]


@shows("servers", "address_family")
@shows("differences", "An IPv6 literal makes an IPv6 server")
@pytest.mark.skipif(not socket.has_ipv6, reason="there is no IPv6")
def test_an_ipv6_literal_makes_an_ipv6_server() -> None:
    with serverstrategy.TCPServer(("::1", 0), Shout) as server:
        assert server.address_family == server.socket.family == socket.AF_INET6
    base: Any
    for base in (socketserver.TCPServer, serverstrategy.TCPServer):
        cls = type("Set", (base,), {"address_family": socket.AF_INET})
        with pytest.raises(OSError, match="family"):
            cls(("::1", 0), Shout)


@shows("servers", "socket_type")
def test_socket_type_is_that_of_the_class() -> None:
    for package in (socketserver, serverstrategy):
        assert package.TCPServer.socket_type == socket.SOCK_STREAM
        assert package.UDPServer.socket_type == socket.SOCK_DGRAM
    base: Any = serverstrategy.TCPServer
    cls = type("Datagrams", (base,), {"socket_type": socket.SOCK_DGRAM})
    with cls(ANY_PORT, Shout, bind_and_activate=False) as server:
        assert server.socket.type == socket.SOCK_DGRAM


@shows("servers", "request_queue_size")
@shows("differences", "The backlog is `SOMAXCONN`")
@pytest.mark.parametrize(("build", "size"), [(ours, socket.SOMAXCONN), (adopted, 5)])
def test_the_backlog_is_as_long_as_the_system_allows(build: Any, size: int) -> None:
    with build() as server:
        assert server.request_queue_size == size
        clients = [socket.socket() for _ in range(20)]
        for client in clients:
            client.setblocking(False)
            client.connect_ex(server.server_address)

        def all_are_connected() -> bool:
            return len(select.select([], clients, [], 0)[1]) == len(clients)

        patience = 0.2 if build is adopted else PATIENCE
        assert wait_until(all_are_connected, patience) == (build is ours)
        for client in clients:
            client.close()


@shows("servers", "allow_reuse_address")
@shows("differences", "`SO_REUSEADDR` is set for streams on POSIX")
@pytest.mark.skipif(os.name != "posix", reason="it is not safe here")
def test_an_address_is_reused() -> None:
    with ours() as stream, ours(base=socketserver.UDPServer) as datagrams, adopted() as theirs:
        servers = (stream, datagrams, theirs)
        assert [server.allow_reuse_address for server in servers] == [True, False, False]
        assert [option(server, socket.SO_REUSEADDR) for server in servers] == [True, False, False]
    with adopted(allow_reuse_address=True) as server:
        assert option(server, socket.SO_REUSEADDR)


@shows("servers", "allow_reuse_port")
@pytest.mark.skipif(not hasattr(socket, "SO_REUSEPORT"), reason="there is no SO_REUSEPORT")
@both
def test_a_port_is_shared_if_that_is_wanted(build: Any) -> None:
    with build() as server:
        assert server.allow_reuse_port is False
        assert not option(server, socket.SO_REUSEPORT)
    with build(allow_reuse_port=True) as server, type(server)(server.server_address, Shout) as two:
        assert two.server_address == server.server_address


@shows("servers", "max_packet_size")
@both
def test_the_rest_of_a_long_datagram_is_lost(build: Any) -> None:
    seen: list[bytes] = []

    class Packet(BaseRequestHandler):
        def handle(self) -> None:
            seen.append(self.request[0])

    base = socketserver.UDPServer
    assert serverstrategy.UDPServer.max_packet_size == base.max_packet_size == 8192
    with (
        build(Packet, base=base, max_packet_size=4) as server,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
    ):
        client.sendto(b"abcdef", server.server_address)
        server.handle_request()
    assert seen == [b"abcd"]


@shows("servers", "timeout")
@both
def test_timeout_is_for_handle_request_only(build: Any) -> None:
    calls: list[str] = []
    with build(timeout=0.01, handle_timeout=lambda self: calls.append("timeout")) as server:
        with serving(server):
            assert not wait_until(lambda: bool(calls), 0.04)
            assert ask(server) == b"HI\n"
        server.handle_request()
        assert calls == ["timeout"]
        assert server.timeout == 0.01
    assert serverstrategy.TCPServer.timeout is socketserver.TCPServer.timeout is None


@shows("servers", "fileno")
@both
def test_fileno_is_that_of_the_listener(build: Any) -> None:
    with build() as server:
        assert server.fileno() == server.socket.fileno() >= 0
        assert select.select([server], [], [], 0)[0] == []
    assert server.fileno() == -1


@shows("servers", "server_bind", "server_activate")
def test_bind_and_activate_are_called_by_the_constructor() -> None:
    class Noting:
        def server_bind(self) -> None:
            self.calls = ["bind"]
            super().server_bind()  # type: ignore[misc]

        def server_activate(self) -> None:
            self.calls.append("activate")
            super().server_activate()  # type: ignore[misc]

    theirs: Any = type("Theirs", (Noting, socketserver.TCPServer), {})
    mine: Any = type("Ours", (Noting, serverstrategy.TCPServer), {})
    for cls in (mine, serverstrategy.with_strategy(theirs, Threaded)):
        with cls(ANY_PORT, Shout) as server:
            assert server.calls == ["bind", "activate"]
        with cls(ANY_PORT, Shout, bind_and_activate=False) as server:
            assert not hasattr(server, "calls")
    with socketserver.TCPServer(ANY_PORT, Shout, bind_and_activate=False) as server:
        adopt(server, Synchronous())
        server.server_bind()
        server.server_activate()
        with serving(server):
            assert ask(server) == b"HI\n"


@shows("servers", "__enter__", "__exit__")
@both
def test_leaving_a_with_block_closes(build: Any) -> None:
    with pytest.raises(LookupError), build() as server:
        raise LookupError
    assert server.fileno() == -1
