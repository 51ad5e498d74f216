"""What a datagram server does by itself: receiving, attributes, `handle_request`."""

from __future__ import annotations

import itertools
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from probes import probing
from senders import sending
from serverstrategy import DatagramRequestHandler, UDPServer, UnixDatagramServer
from serverstrategy.listener import share

ANY_PORT = ("127.0.0.1", 0)


class Echo(DatagramRequestHandler):
    def handle(self) -> None:
        self.wfile.write(self.rfile.read())


class SmallUDPServer(UDPServer):
    max_packet_size = 4


class SmallUnixServer(UnixDatagramServer):
    max_packet_size = 4


Make = Callable[[type[UDPServer]], UDPServer]


@pytest.fixture
def make(path: Path) -> Make:
    def make(cls: type[UDPServer]) -> UDPServer:
        is_unix = issubclass(cls, UnixDatagramServer)
        return cls(str(path) if is_unix else ANY_PORT, Echo)

    return make


every_class = pytest.mark.parametrize("cls", [UDPServer, UnixDatagramServer])


def test_the_defaults() -> None:
    for cls in (UDPServer, UnixDatagramServer):
        assert cls.max_packet_size == 8192
        assert cls.socket_type == socket.SOCK_DGRAM
        assert cls.allow_reuse_address is False
    assert UDPServer.address_family == socket.AF_INET
    assert UnixDatagramServer.address_family == socket.AF_UNIX


@pytest.mark.parametrize("cls", [SmallUDPServer, SmallUnixServer])
def test_a_datagram_is_cut_off_at_max_packet_size(cls: type[UDPServer], make: Make) -> None:
    with make(cls) as server, sending(server.server_address) as client:
        for sent, received in (("abc", "abc"), ("abcdef", "abcd"), ("x", "x")):
            client.send(sent)
            server.handle_request()
            assert client.receive() == received


@every_class
def test_the_longest_and_the_shortest_datagram(cls: type[UDPServer], make: Make) -> None:
    with make(cls) as server, sending(server.server_address) as client:
        for data in (b"", bytes(8192)):
            client.socket.sendto(data, server.server_address)
            server.handle_request()
            assert client.socket.recvfrom(65536) == (data, server.server_address)


@every_class
@pytest.mark.parametrize("of_the_socket", [False, True])
def test_handle_request_waits_for_its_timeout(
    cls: type[UDPServer], make: Make, of_the_socket: bool
) -> None:
    timeouts: list[float] = []
    with make(cls) as server, sending(server.server_address) as client:
        server.handle_timeout = lambda: timeouts.append(time.monotonic())  # type: ignore[method-assign]
        if of_the_socket:
            server.socket.settimeout(0.05)
        else:
            server.timeout = 0.05
        started = time.monotonic()
        server.handle_request()
        assert len(timeouts) == 1
        assert 0.04 < timeouts[0] - started < 5
        client.send("hi")
        server.handle_request()
        assert client.receive() == "hi"
        assert len(timeouts) == 1


@every_class
def test_what_nobody_sent_is_not_waited_for(cls: type[UDPServer], make: Make) -> None:
    with make(cls) as server:
        with pytest.raises(BlockingIOError):
            server.get_request()
        server.accept_one()
        assert len(server.in_flight) == 0


@every_class
@pytest.mark.parametrize("timeout", [None, 1.0, 0.0])
def test_a_worker_that_is_late_does_not_wait(
    cls: type[UDPServer], make: Make, timeout: float | None
) -> None:
    with make(cls) as server:
        server.socket.settimeout(timeout)
        share(server)
        with pytest.raises(BlockingIOError):
            server.get_request()
        with pytest.raises(BlockingIOError):
            server.socket.recvfrom(server.max_packet_size)


def test_an_answer_of_a_worker_keeps_the_timeout(make: Make) -> None:
    with make(UnixDatagramServer) as server, sending(server.server_address) as client:
        server.socket.settimeout(0.05)
        share(server)
        started = time.monotonic()
        sends = (server.socket.sendto(b"x", client.address) for _ in itertools.count())
        with pytest.raises(BlockingIOError):
            sum(sends)
        assert 0.04 < time.monotonic() - started < 5


def test_two_servers_cannot_share_a_port() -> None:
    with UDPServer(ANY_PORT, Echo) as server, pytest.raises(OSError, match="in use"):
        UDPServer(server.server_address, Echo)


@pytest.mark.skipif(not socket.has_ipv6, reason="needs IPv6")
@pytest.mark.parametrize("strategy", ["Threaded()", "Forking()", "Prefork(2)"])
def test_an_ipv6_literal_makes_it_ipv6(strategy: str) -> None:
    options: dict[str, Any] = {"family": "udp", "address": ["::1", 0]}
    with probing(strategy, **options) as probe, sending(probe.address) as client:
        assert client.ask("echo hi") == "hi"
        probe.stop()
