"""What became of each connection when a server was closed."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from probes import PATIENCE, Client, Probe, connect, probing, wait_until
from serverstrategy import (
    BaseRequestHandler,
    ConnectionFate,
    DrainReport,
    Strategy,
    TCPServer,
    adopt,
)
from serverstrategy.strategies import Limit, Synchronous, Threaded, ThreadPool

STRATEGIES = [
    *("Synchronous()", "Threaded()", "ThreadPool(4)", "Forking()"),
    *("Limit(4, ThreadPool(4))", "PerClient(4, Forking())", "Fallback(Threaded(9), Synchronous())"),
]
FORKING = [text for text in STRATEGIES if "Forking" in text]
IN_THREADS = [text for text in STRATEGIES if text not in FORKING]
CONCURRENT = [text for text in STRATEGIES if text != "Synchronous()"]


def hold(probe: Probe, number: int) -> list[Client]:
    """Connections whose handlers wait for their next line."""
    clients = probe.clients(number)
    for client in clients:
        assert client.ask("echo here") == "here"
    return clients


def begin_to_close(probe: Probe) -> None:
    """Have another thread than those of the handlers close the server."""
    probe.tell("server_close")
    # Not by a connection, which might be in flight too.
    process = psutil.Process(probe.pid)
    assert wait_until(lambda: "LISTEN" not in {each.status for each in connections(process)})


def connections(process: psutil.Process) -> Any:
    name = "net_connections" if hasattr(process, "net_connections") else "connections"
    return getattr(process, name)("tcp")


def fates(probe: Probe) -> dict[int, str]:
    """The fates by the ports of the peers, when the server is closed."""
    assert probe.expect("server_close")["error"] is None
    probe.end_of_commands()
    report = probe.expect("closed")["report"]
    found = {each["peer"][1]: each["fate"] for each in report["connections"]}
    assert len(found) == len(report["connections"])
    for fate in ("finished", "cut", "abandoned"):
        assert report[fate] == list(found.values()).count(fate)
    assert all(0.0 < each["age"] < PATIENCE for each in report["connections"])
    return found


def port(client: Client) -> int:
    number: int = client.socket.getsockname()[1]
    return number


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_finished(strategy: str) -> None:
    with probing(strategy, thread=True) as probe:
        clients = hold(probe, 3 if strategy in CONCURRENT else 1)
        begin_to_close(probe)
        assert clients[0].ask("echo last") == "last"
        for client in clients:
            client.socket.shutdown(1)
            assert client.receive() is None
        assert fates(probe) == {port(client): "finished" for client in clients}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_cut(strategy: str) -> None:
    with probing(strategy, thread=True, grace=0.0) as probe:
        clients = hold(probe, 3 if strategy in CONCURRENT else 1)
        begin_to_close(probe)
        for client in clients:
            assert client.receive() is None
        assert fates(probe) == {port(client): "cut" for client in clients}


@pytest.fixture
def obstacle(tmp_path: Path) -> Iterator[Any]:
    """A file with a lock, for which a handler can wait, deaf to all else."""
    with (tmp_path / "obstacle").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file


@pytest.mark.parametrize("strategy", IN_THREADS)
def test_abandoned(strategy: str, obstacle: Any) -> None:
    with probing(strategy, thread=True, grace=0.0) as probe:
        (client,) = hold(probe, 1)
        client.send(f"wait {obstacle.name}")
        probe.tell("server_close")
        probe.expect("server_close")
        # It has ended when the report is read, and it was abandoned all the same.
        fcntl.flock(obstacle, fcntl.LOCK_UN)
        probe.expect("finished")
        probe.tell("server_close")
        assert fates(probe) == {port(client): "abandoned"}


@pytest.mark.parametrize("strategy", FORKING)
def test_a_child_that_hears_nothing_is_cut(strategy: str, obstacle: Any) -> None:
    with probing(strategy, thread=True, grace=0.0) as probe:
        (client,) = hold(probe, 1)
        client.send(f"wait {obstacle.name}")
        begin_to_close(probe)
        assert fates(probe) == {port(client): "cut"}
        assert client.receive() is None


@pytest.mark.parametrize("strategy", FORKING)
def test_a_child_that_somebody_kills_has_not_finished(strategy: str) -> None:
    with probing(strategy, thread=True) as probe:
        killed, finished = hold(probe, 2)
        pid = int(killed.ask("pid") or 0)
        begin_to_close(probe)
        os.kill(pid, signal.SIGKILL)
        port_of_finished = port(finished)
        finished.close()
        assert killed.receive() is None
        assert fates(probe) == {port(killed): "cut", port_of_finished: "finished"}


@pytest.mark.parametrize("strategy", ["Threaded()", "ThreadPool(4)"])
def test_different_fates(strategy: str, obstacle: Any) -> None:
    with probing(strategy, thread=True, grace=2.0) as probe:
        finished, cut, abandoned = hold(probe, 3)
        abandoned.send(f"wait {obstacle.name}")
        begin_to_close(probe)
        finished.socket.shutdown(1)
        assert cut.receive() is None
        probe.expect("server_close")
        fcntl.flock(obstacle, fcntl.LOCK_UN)
        probe.tell("server_close")
        expected = {port(finished): "finished", port(cut): "cut", port(abandoned): "abandoned"}
        assert fates(probe) == expected


def test_that_of_the_handler_which_closes_comes_with_the_next_call() -> None:
    with probing("Threaded()", thread=True, grace=0.0) as probe:
        closing, other = hold(probe, 2)
        assert closing.ask("call server_close") is not None
        assert other.receive() is None
        report = json.loads(closing.ask("report") or "")
        assert [(each["peer"][1], each["fate"]) for each in report["connections"]] == [
            (port(other), "cut")
        ]
        closing.socket.shutdown(1)
        assert closing.receive() is None
        probe.end_of_commands()
        report = probe.closed()["report"]
        assert [each["peer"][1] for each in report["connections"]] == [port(other), port(closing)]


# Within this process


class Reads(BaseRequestHandler):
    """Says that it is there, and reads until the end of file."""

    def handle(self) -> None:
        self.request.sendall(b"here")
        while self.request.recv(100):
            pass


class Server(TCPServer):
    """Serves in a thread while it is in a `with`."""

    grace_period: float | None = 0.0

    def __enter__(self) -> Server:
        self.thread = threading.Thread(target=self.serve_forever)
        self.thread.start()
        assert self.wait_until_serving(PATIENCE)
        return self

    def __exit__(self, *_: Any) -> None:
        self.server_close()
        self.thread.join()


def build(strategy: Strategy) -> Server:
    return Server(("127.0.0.1", 0), Reads, strategy=strategy)


def held(server: Server) -> Any:
    client = connect(server.server_address, PATIENCE)
    assert client.recv(4) == b"here"
    return client


def test_there_is_none_before() -> None:
    with build(Threaded()) as server:
        assert server.drain_report is None


def test_it_may_be_empty() -> None:
    with build(Threaded()) as server:
        held(server).close()
        assert server.in_flight.wait_for_none(PATIENCE)
    assert server.drain_report == DrainReport()


def test_it_holds_the_peers_as_they_are_and_cannot_be_changed() -> None:
    with build(Threaded()) as server, held(server) as client:
        peer = client.getsockname()
        server.server_close()
    report = server.drain_report
    assert isinstance(report, tuple)
    ((found, age, fate),) = report
    assert (found, fate) == (peer, "cut")
    assert report.cut == tuple(report)
    assert report.finished == report.abandoned == ()
    assert report.plain() == {
        "finished": 0,
        "cut": 1,
        "abandoned": 0,
        "connections": [{"peer": list(peer), "age": age, "fate": "cut"}],
    }
    assert json.loads(json.dumps(report.plain())) == report.plain()


def test_the_age_is_that_at_the_end() -> None:
    with build(Threaded()) as server, held(server) as first, held(server) as second:
        server.grace_period = PATIENCE
        (age, _) = (each.age for each in server.in_flight)
        closing = threading.Thread(target=server.server_close)
        closing.start()
        assert wait_until(lambda: server.drain_report is not None)
        first.close()
        assert wait_until(lambda: len(server.drain_report or ()) == 1)
        before = (server.drain_report or DrainReport())[0]
        second.close()
        closing.join()
        report = server.drain_report
        assert report is not None
        assert report[0] == before
        assert report[0].age > age
        assert report[1].fate == "finished"


def test_those_of_a_strategy_that_was_replaced_are_in_it() -> None:
    with build(Threaded()) as server, held(server) as old:
        server.strategy = Limit(2, ThreadPool(2))
        assert server.wait_until_serving(PATIENCE)
        with held(server) as new:
            server.server_close()
            peers = {old.getsockname(), new.getsockname()}
    report = server.drain_report
    assert report is not None
    assert {each.peer for each in report.cut} == peers
    assert len(report) == 2


class Slow(Server):
    """Takes its time for an accept."""

    accepting: threading.Event
    go_on: threading.Event

    def get_request(self) -> tuple[Any, Any]:
        accepted = super().get_request()
        self.accepting.set()
        assert self.go_on.wait(PATIENCE)
        return accepted


def test_one_that_is_accepted_at_the_last_moment_is_in_it() -> None:
    server = Slow(("127.0.0.1", 0), Reads, strategy=Threaded())
    server.accepting, server.go_on = threading.Event(), threading.Event()
    with server, connect(server.server_address, PATIENCE) as client:
        assert server.accepting.wait(PATIENCE)
        closing = threading.Thread(target=server.server_close)
        closing.start()
        assert wait_until(lambda: server.drain_report is not None)
        server.go_on.set()
        closing.join()
        assert server.drain_report is not None
        assert [each.peer for each in server.drain_report] == [client.getsockname()]


def test_two_that_close_at_once_share_it() -> None:
    with build(Threaded()) as server, held(server) as client:
        closing = [threading.Thread(target=server.server_close) for _ in range(5)]
        for thread in closing:
            thread.start()
        for thread in closing:
            thread.join()
        assert server.drain_report is not None
        assert [each.peer for each in server.drain_report] == [client.getsockname()]


def test_a_server_that_serves_anew_has_none_until_it_is_closed_again() -> None:
    with build(Threaded()) as server, held(server):
        server.server_close()
    server.socket = type(server.socket)()
    server.server_bind()
    server.server_activate()
    with server:
        assert server.drain_report is None
    assert server.drain_report == DrainReport()


def test_shutdown_returns_it_if_it_is_to_drain() -> None:
    with build(Threaded()) as server, held(server) as client:
        report = server.shutdown(drain=True)
        assert server.fileno() == -1
        assert report is not None
        assert report is server.drain_report
        assert [each.peer for each in report.cut] == [client.getsockname()]
        assert server.shutdown(drain=True) is report


def test_shutdown_alone_drains_nothing() -> None:
    with build(Threaded()) as server, held(server) as client:
        server.shutdown()
        assert server.drain_report is None
        client.shutdown(1)
        assert client.recv(1) == b""


@pytest.mark.parametrize("strategy", ["Threaded()", "Forking()"])
def test_shutdown_returns_it_in_a_signal_handler_too(strategy: str) -> None:
    with probing(strategy, grace=0.0) as probe:
        clients = hold(probe, 2)
        probe.signal(signal.SIGWINCH)
        for client in clients:
            assert client.receive() is None
        found = probe.expect("drained")["report"]
        assert {each["peer"][1] for each in found["connections"]} == set(map(port, clients))
        assert found["cut"] == 2
        probe.closed()


class Interrupted(Threaded):
    """Somebody types Ctrl-C while it drains."""

    def __init__(self) -> None:
        super().__init__()
        self.is_first = True

    def drain(self, server: Any, timeout: float | None) -> bool:
        if self.is_first:
            self.is_first = False
            raise KeyboardInterrupt
        return super().drain(server, timeout)


def test_it_is_there_after_ctrl_c_too() -> None:
    with build(Interrupted()) as server, held(server) as client:
        with pytest.raises(KeyboardInterrupt):
            server.server_close()
        assert server.drain_report is not None
        assert [each.peer for each in server.drain_report.cut] == [client.getsockname()]


class Own(socketserver.ThreadingTCPServer):
    grace_period = 0.0


def test_an_adopted_server_has_one() -> None:
    server: Any = adopt(Own(("127.0.0.1", 0), Reads), Threaded())
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    with held(server) as client:
        server.server_close()
        thread.join()
        assert [each.peer for each in server.drain_report.cut] == [client.getsockname()]


class Elsewhere(Synchronous):
    """Has connections of which the server knows nothing."""

    far = ConnectionFate(("192.0.2.1", 80), 1.5, "finished")

    def drain(self, server: Any, timeout: float | None) -> bool:
        server.note_fates([self.far])
        return super().drain(server, timeout)


def test_a_strategy_adds_what_it_had_elsewhere() -> None:
    with build(Elsewhere()) as server:
        server.note_fates([Elsewhere.far])  # which is ignored: nothing drains
    assert server.drain_report == (Elsewhere.far,)
    server.note_fates([Elsewhere.far])
    assert server.drain_report == (Elsewhere.far,)
