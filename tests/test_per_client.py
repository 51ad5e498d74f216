"""`PerClient`: at most so many connections of one client at a time, around any strategy."""

from __future__ import annotations

import contextlib
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from adopting import ANY_PORT, Shout, ask, serving
from probes import PATIENCE, Client, Probe, probing, wait_until
from senders import Gate, Sender, sending
from serverstrategy import Strategy, TCPServer, with_strategy
from serverstrategy.strategies import Fallback, PerClient, Prefork, Threaded

TWO = [
    "PerClient(2, Threaded())",
    "PerClient(2, ThreadPool(8))",
    "PerClient(2, Forking())",
    "PerClient(2, Limit(8, Threaded()))",
    "Prefork(1, PerClient(2, ThreadPool(8)))",
    "Prefork(1, PerClient(2, Forking(8)))",
]
each_of_two = pytest.mark.parametrize("strategy", TWO)
some = pytest.mark.parametrize("strategy", [TWO[0], TWO[2], TWO[4]])

# Everything in 127.0.0.0/8 is this host, on Linux without further ado.
needs_hosts = pytest.mark.skipif(sys.platform != "linux", reason="127.0.0.2 is no address here")


@contextlib.contextmanager
def another_host(probe: Probe) -> Iterator[Client]:
    """A connection from another address."""
    connection = socket.create_connection(probe.address, PATIENCE, ("127.0.0.2", 0))
    client = Client.__new__(Client)
    client.socket, client.reader = connection, connection.makefile("rb")
    with client:
        yield client


@needs_hosts
@each_of_two
def test_surplus_connections_of_a_client_are_closed(strategy: str) -> None:
    with probing(strategy) as probe:
        first, second = probe.clients(2)
        assert first.ask("echo 1") == "1"
        assert second.ask("echo 2") == "2"
        for surplus in probe.clients(20):
            assert surplus.receive() is None
        with another_host(probe) as other:
            assert other.ask("echo hi") == "hi"
        for _ in range(3):
            probe.expect("handling")
        assert probe.count("handling") == 3
        first.close()
        assert wait_until(lambda: probe.answers()), "a place that is free is taken"
        assert second.ask("echo still") == "still"
        second.close()
        probe.stop()
        assert "ERROR" not in probe.log()
        assert probe.log().count("INFO closed the connection from ('127.0.0.1', ") >= 20


@some
def test_an_error_gives_its_place_back(strategy: str) -> None:
    with probing(strategy, hooks=["process_request_raises"]) as probe:

        def has_failed_often() -> bool:
            # A place is free a moment after the end of file: it may be refused.
            with contextlib.suppress(OSError):
                probe.ask("raise ValueError")
            return probe.log().count("ValueError: as the client wished") >= 5

        assert wait_until(has_failed_often)
        assert wait_until(lambda: probe.answers())
        probe.stop()


@some
def test_it_is_stopped_and_drained_like_the_inner_strategy(strategy: str) -> None:
    with probing(strategy) as probe:
        first, second = probe.clients(2)
        assert first.ask("echo 1") == "1"
        assert second.ask("echo 2") == "2"
        assert probe.client().receive() is None
        probe.signal(signal.SIGTERM)
        probe.expect("returned", error=None)
        assert first.ask("echo still") == "still"
        first.close()
        second.close()
        probe.closed()
        assert "cut the" not in probe.log()


@some
def test_what_does_not_end_is_cut(strategy: str) -> None:
    with probing(strategy, grace=0.2) as probe:
        clients = probe.clients(2)
        for client in clients:
            assert client.ask("echo hi") == "hi"
        probe.stop()
        for client in clients:
            assert client.receive() is None


@needs_hosts
def test_while_the_inner_strategy_is_full_everybody_waits() -> None:
    with probing("PerClient(1, ThreadPool(1))") as probe:
        first, surplus = probe.clients(2)
        assert first.ask("echo hi") == "hi"
        with another_host(probe) as other:
            other.send("echo hi")
            surplus.send("echo hi")
            probe.wait_until_idle()
            first.close()
            assert surplus.receive() == "hi", "it was surplus no more when it was accepted"
            surplus.close()
            assert other.receive() == "hi"
        probe.stop()


def state_of(server: int, client: int) -> str | None:
    """The state of the server's end of a connection between two ports; None if it has none."""
    for each in psutil.net_connections("tcp4"):
        if each.raddr and (each.laddr.port, each.raddr.port) == (server, client):
            return str(each.status)
    return None


@pytest.mark.skipif(sys.platform != "linux", reason="others show connections to root only")
def test_a_reset_leaves_no_connection_in_time_wait() -> None:
    with (
        probing("PerClient(1, Threaded(), 'reset')") as probe,
        probe.client() as first,
        socket.socket() as surplus,
    ):
        assert first.ask("echo hi") == "hi"
        assert state_of(probe.address[1], first.socket.getsockname()[1]) == psutil.CONN_ESTABLISHED
        surplus.bind(("127.0.0.1", 0))
        surplus.settimeout(PATIENCE)
        port = surplus.getsockname()[1]
        with pytest.raises(ConnectionResetError):
            connect_and_receive(surplus, probe)
        assert state_of(probe.address[1], port) is None
        first.close()
        probe.stop()


def connect_and_receive(client: socket.socket, probe: Probe) -> None:
    client.connect(probe.address)  # which may hear of the reset already
    client.recv(1)


def test_the_peers_of_a_unix_socket_without_a_path_are_one_client(path: Path) -> None:
    with probing("PerClient(1, Threaded())", family="unix", address=str(path)) as probe:
        with probe.client() as first:
            assert first.ask("echo hi") == "hi"
            assert probe.client().receive() is None
        assert wait_until(lambda: probe.answers())
        probe.stop()


# Datagrams


@pytest.mark.parametrize("strategy", ["PerClient(2, Threaded())", "PerClient(2, Forking())"])
@pytest.mark.parametrize("on_full", ["close", "reset"])
def test_surplus_datagrams_of_a_client_are_dropped(
    strategy: str, on_full: str, datagrams: dict[str, Any], tmp_path: Path
) -> None:
    strategy = f"{strategy[:-1]}, {on_full!r})"
    with (
        Gate(tmp_path / "gate") as gate,
        probing(strategy, **datagrams) as probe,
        sending(probe.address) as client,
    ):
        for _ in range(2):
            client.send(f"wait {gate.path}")
            probe.expect("handling")
        for _ in range(5):
            client.send("echo surplus")
        probe.wait_until_idle()
        gate.open()
        assert [client.receive() for _ in range(2)] == ["waited"] * 2
        for _ in range(2):
            probe.expect("finished")
        # A place is free a moment after the answer.
        assert wait_until(lambda: is_answered(client, "echo hi"))
        assert client.receive() == "hi"
        probe.stop()
        assert "ERROR" not in probe.log()


def is_answered(client: Sender, command: str) -> bool:
    client.send(command)
    return wait_until(client.has_answer, 0.5)


@needs_hosts
def test_datagrams_of_another_host_are_handled(tmp_path: Path) -> None:
    with (
        Gate(tmp_path / "gate") as gate,
        probing("PerClient(1, Threaded())", family="udp") as probe,
        sending(probe.address) as client,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other,
    ):
        client.send(f"wait {gate.path}")
        probe.expect("handling")
        other.bind(("127.0.0.2", 0))
        other.settimeout(PATIENCE)
        other.sendto(b"echo hi\n", probe.address)
        assert other.recv(100) == b"hi\n"
        gate.open()
        assert client.receive() == "waited"
        probe.stop()


# Who is a client


class Addresses(TCPServer):
    """Has its peers come from where the test wants."""

    addresses: list[Any]

    def get_request(self) -> tuple[Any, Any]:
        request, _ = super().get_request()
        return request, self.addresses.pop(0)


@pytest.mark.parametrize(
    ("first", "second", "is_same"),
    [
        (("10.0.0.1", 1), ("10.0.0.1", 2), True),
        (("10.0.0.1", 1), ("10.0.0.11", 1), False),
        (("10.0.0.1", 1), ("::ffff:10.0.0.1", 2, 0, 0), True),
        (("::1", 1, 0, 0), ("::1", 2, 0, 0), True),
        (("fe80::1%eth0", 1, 0, 2), ("fe80::1%eth1", 1, 0, 3), False),
        ((3, 1), (3, 2), True),  # AF_VSOCK
        ((3, 1), (2, 1), False),
        ("", "", True),
        (b"\0abstract", "/path", False),
        ("/a/client", "/another", False),
        (None, None, True),
        ((), (), True),
    ],
)
def test_who_is_the_same_client(first: Any, second: Any, is_same: bool) -> None:
    entered = threading.Event()
    left = threading.Event()

    class Staying(Shout):
        def handle(self) -> None:
            entered.set()
            if self.rfile.readline() == b"stay\n":
                left.wait(PATIENCE)
            self.wfile.write(b"done")

    with Addresses(ANY_PORT, Staying, strategy=PerClient(1, Threaded())) as server:
        server.addresses = [first, second]
        with (
            serving(server),
            socket.create_connection(server.server_address, PATIENCE) as staying,
        ):
            staying.sendall(b"stay\n")
            assert entered.wait(PATIENCE)
            try:
                assert ask(server) == (b"" if is_same else b"done")
            except ConnectionError:  # it was closed with the line unread
                assert is_same
            left.set()
            assert staying.recv(10) == b"done"


# What a server does for a connection that is refused


class TwoAcceptors(Strategy):
    """Accepts in two threads, and has `inner` handle two connections at the same moment."""

    def __init__(self, inner: Strategy) -> None:
        self.inner = inner
        self.both = threading.Barrier(2)
        self.has_decided = threading.Event()

    def process_request(self, server: Any, request: Any, client_address: Any) -> None:
        self.both.wait(PATIENCE)
        self.inner.process_request(server, request, client_address)
        self.has_decided.set()

    def drain(self, server: Any, timeout: float | None) -> bool:
        return self.inner.drain(server, timeout)

    def serve(self, server: Any, stop: Any) -> None:
        other = threading.Thread(target=server.accept_until_stopped, args=(stop,))
        other.start()
        server.accept_until_stopped(stop)
        other.join()


def test_of_two_at_the_same_moment_one_is_refused() -> None:
    strategy = TwoAcceptors(PerClient(1, Threaded()))

    class Slow(TCPServer):
        def shutdown_request(self, request: Any) -> None:
            # Long enough for the other to find this one, if nothing holds it back.
            strategy.has_decided.wait(0.2)
            super().shutdown_request(request)

    class Polite(Shout):
        def handle(self) -> None:
            self.wfile.write(b"hi\n")
            self.rfile.readline()

    with (
        Slow(ANY_PORT, Polite, strategy=strategy) as server,
        serving(server),
        socket.create_connection(server.server_address, PATIENCE) as first,
        socket.create_connection(server.server_address, PATIENCE) as second,
    ):
        assert {first.recv(10), second.recv(10)} == {b"", b"hi\n"}


class Slots(TCPServer):
    """Takes something for each connection, and gives it back around its handling."""

    slots: list[Any]
    ended: list[Any]

    def process_request(self, request: Any, client_address: Any) -> None:
        self.slots.append(request)
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        assert request.fileno() != -1
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.slots.remove(request)

    def shutdown_request(self, request: Any) -> None:
        self.ended.append(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        raise AssertionError("it is no error")


def surplus(server: Any) -> None:
    """Have a connection of a client that has one already."""
    with socket.create_connection(server.server_address, PATIENCE) as first:
        first.sendall(b"h")
        assert server.in_flight.wait_until(
            lambda: any(each.is_begun for each in server.in_flight), PATIENCE
        )
        with socket.create_connection(server.server_address, PATIENCE) as second:
            assert second.recv(10) == b""
        assert wait_until(lambda: len(server.in_flight) == 1)
        first.sendall(b"i\n")
        assert first.recv(10) == b"HI\n"


def test_what_a_class_took_for_it_is_given_back() -> None:
    with Slots(ANY_PORT, Shout, strategy=PerClient(1, Threaded())) as server:
        server.slots, server.ended = [], []
        with serving(server):
            surplus(server)
            server.server_close()
        assert server.slots == []
        assert len(server.ended) == len({id(each) for each in server.ended}) == 2


def test_what_fails_there_is_logged_and_it_is_closed_all_the_same(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Failing(Slots):
        def process_request_thread(self, request: Any, client_address: Any) -> None:
            super().process_request_thread(request, client_address)
            if not self._serverstrategy.in_flight.is_begun(request):
                raise ValueError("it gives nothing back")

        def shutdown_request(self, request: Any) -> None:
            super().shutdown_request(request)
            raise ValueError("it is shut down")

    with Failing(ANY_PORT, Shout, strategy=PerClient(1, Threaded())) as server:
        server.slots, server.ended = [], []
        with serving(server):
            surplus(server)
    assert "process_request_thread failed, without a handler, for ('127.0.0.1'" in caplog.text
    assert "it gives nothing back" in caplog.text
    assert "it is shut down" in caplog.text


def test_a_connection_that_a_class_wraps_is_no_second_one() -> None:
    class Wrapping(TCPServer):
        def process_request(self, request: Any, client_address: Any) -> None:
            wrapped = socket.socket(fileno=request.detach())
            super().process_request(wrapped, client_address)

    with Wrapping(ANY_PORT, Shout, strategy=PerClient(1, Threaded())) as server, serving(server):
        for _ in range(3):
            assert ask(server) == b"HI\n"
            assert server.in_flight.wait_for_none(PATIENCE)
        surplus(server)


def test_an_adopted_class_that_handles_by_itself_does_not_handle_it() -> None:
    import socketserver

    handled: list[Any] = []

    class Own(socketserver.TCPServer):
        def process_request(self, request: Any, client_address: Any) -> None:
            handled.append(client_address)
            self.finish_request(request, client_address)
            self.shutdown_request(request)

    strategy = PerClient(1, Threaded())
    with with_strategy(Own, lambda: strategy)(ANY_PORT, Shout) as server, serving(server):
        surplus(server)
    assert len(handled) == 1


# What is refused


@pytest.mark.parametrize("on_full", ["wait", "Close", "", None, 1, ["close"]])
def test_what_becomes_of_surplus_ones_is_one_of_two(on_full: Any) -> None:
    with pytest.raises(ValueError, match=r"^on_full must be 'close' or 'reset', not ") as raised:
        PerClient(1, Threaded(), on_full)
    assert repr(on_full) in str(raised.value)


@pytest.mark.parametrize(
    ("inner", "advice"),
    [
        (lambda: Prefork(4), "Prefork(4, PerClient(3, Synchronous(), 'reset'))"),
        (
            lambda: Fallback(Prefork(2, Threaded()), Threaded()),
            "Prefork(2, PerClient(3, Threaded(), 'reset'))",
        ),
    ],
)
def test_around_prefork_it_is_refused_with_the_advice(inner: Any, advice: str) -> None:
    with pytest.raises(ValueError, match="would count in one process") as raised:
        PerClient(3, inner(), "reset")
    assert f"write {advice}" in str(raised.value)
