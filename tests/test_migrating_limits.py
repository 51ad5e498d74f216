"""What docs/migrating.md says that a strategy cannot do, and what is refused."""

from __future__ import annotations

import builtins
import re
import signal
import socketserver
import threading
from typing import Any

import pytest

from adopting import ANY_PORT, QuietThreading, Shout, serving
from migrating import PAGE, adopted, connect, in_thread, join, ours, read, shows
from migrating_host import hosted
from probes import PATIENCE, probing
from serverstrategy import Strategy, TCPServer, UDPServer, adopt, with_strategy
from serverstrategy.base_server import BaseServer
from serverstrategy.strategies import Threaded


@shows("limits", "Workers need our loop.")
def test_handle_request_and_other_loops_start_no_workers() -> None:
    with probing("Prefork(2, ThreadPool(1))", requests=2) as probe:
        for _ in range(2):
            assert probe.ask("pid") == str(probe.pid)
        probe.closed()
        assert probe.log().count("only serve_forever() starts workers") == 1
    with probing("Prefork(2, ThreadPool(1))", shape="OwnLoop") as probe:
        assert (probe.ask("pid"), probe.ask("thread")) == (str(probe.pid), "another")
        probe.stop()


@shows("limits", "Memory of another process.")
@pytest.mark.parametrize(
    ("strategy", "visits"), [("ThreadPool(2)", 3), ("Forking()", 1), ("Prefork(1)", 3)]
)
def test_what_a_handler_changes_stays_in_its_process(strategy: str, visits: int) -> None:
    with hosted("adopted", "TCPServer", strategy) as host:
        told = [host.ask() for _ in range(3)]
        assert told[-1]["visits"] == visits
        assert (told[-1]["pid"] == host.pid) == (strategy == "ThreadPool(2)")


@shows("limits", "Threads that keep a connection.")
def test_a_thread_that_goes_on_is_not_waited_for() -> None:
    go_on, threads = threading.Event(), []

    class GoesOn(QuietThreading):
        def shutdown_request(self, request: Any) -> None:
            def answer() -> None:
                assert go_on.wait(PATIENCE)
                request.sendall(b"late")
                request.close()

            threads.append(in_thread(answer))

    server = with_strategy(GoesOn, Threaded)(ANY_PORT, Shout)
    with connect(server) as client:
        client.sendall(b"hi\n")
        with serving(server):
            assert client.recv(100) == b"HI\n"
        server.server_close()
        assert len(server.in_flight) == 0
        go_on.set()
        assert read(client) == b"late"
    for thread in threads:
        join(thread)


@shows("limits", "Threads that keep a connection.")
@shows("differences", "A child waits for the threads that its handler started")
def test_a_child_waits_for_the_threads_of_its_handler() -> None:
    with hosted("ours", "TCPServer", "Forking()") as host:
        with host.visit() as (_, client):
            client.sendall(b"t")
            assert client.recv(1) == b""
        host.process.send_signal(signal.SIGTERM)
        assert "the thread has ended" in host.has_ended()


@shows("limits", "Names that are taken.")
def test_the_names_that_are_taken_are_all_named() -> None:
    text = PAGE.read_text().partition("- **Names that are taken.**")[2].partition("\n\n")[0]
    named = set(re.findall(r"`(\w+)`", text)) - {"socketserver"}
    classes = [getattr(socketserver, name) for name in socketserver.__all__]
    standard = {name for cls in classes for name in vars(cls)}
    with adopted() as server:
        for cls in (type(server), BaseServer):
            assert {name for name in dir(cls) if name[0] != "_"} - standard == named


def closed() -> Any:
    server = socketserver.TCPServer(ANY_PORT, Shout)
    server.server_close()
    return server


class Recipe(QuietThreading):
    def process_request_thread(self) -> None:  # type: ignore[override]
        """Take connections from a queue, for ever."""


class Taken(QuietThreading):
    def complete_request(self) -> None:
        """Mean something else."""


def adopt_taken(cls: type[QuietThreading], **attributes: object) -> None:
    with cls(ANY_PORT, Shout) as server:
        vars(server).update(attributes)
        adopt(server, Threaded())


class StreamsOnly(Strategy):
    datagrams = False


class Elsewhere(Strategy):
    unsupported = "it needs another machine"


REFUSED = {
    "`adopt` of something that is no server, or of a class": [
        lambda server, busy: adopt(object(), Threaded()),  # type: ignore[type-var]
        lambda server, busy: adopt(TCPServer, Threaded()),  # type: ignore[type-var]
    ],
    "`adopt` of a server without a `fileno`": [
        lambda server, busy: adopt(socketserver.BaseServer(ANY_PORT, Shout), Threaded())
    ],
    "`adopt` of a class whose `process_request_thread` does not take a request and a client's "
    "address": [lambda server, busy: with_strategy(Recipe, Threaded)],
    "`adopt` of a server that has an attribute with one of the names that are taken": [
        lambda server, busy: with_strategy(Taken, Threaded),
        lambda server, busy: adopt_taken(Taken),
        lambda server, busy: adopt_taken(QuietThreading, in_flight=0),
    ],
    "a strategy's class in the place of its object, or anything else that is no strategy": [
        lambda server, busy: adopt(server, Threaded),
        lambda server, busy: adopt(server, "Threaded()"),
        lambda server, busy: TCPServer(ANY_PORT, Shout, strategy=Threaded),  # type: ignore[arg-type]
    ],
    "`with_strategy` with an object in the place of what makes one": [
        lambda server, busy: with_strategy(QuietThreading, Threaded())  # type: ignore[arg-type]
    ],
    "`adopt` of a server that is closed": [lambda server, busy: adopt(closed(), Threaded())],
    "a strategy that serves another server": [
        lambda server, busy: adopt(server, busy.strategy),
        lambda server, busy: TCPServer(ANY_PORT, Shout, strategy=busy.strategy),
    ],
    "a strategy without `datagrams` for a server of datagrams": [
        lambda server, busy: UDPServer(ANY_PORT, Shout, strategy=StreamsOnly()),
        lambda server, busy: with_strategy(socketserver.UDPServer, StreamsOnly)(ANY_PORT, Shout),
    ],
    "a strategy that the platform cannot run: one that forks, where it has no `fork`": [
        lambda server, busy: adopt(server, Elsewhere()),
        lambda server, busy: TCPServer(ANY_PORT, Shout, strategy=Elsewhere()),
    ],
}


@shows("refused", *REFUSED)
@pytest.mark.parametrize("row", REFUSED)
def test_it_is_refused(row: str) -> None:
    line = next(line for line in PAGE.read_text().splitlines() if line.startswith(f"| {row} |"))
    error: type[Exception] = getattr(builtins, line.split("`")[-2])
    for attempt in REFUSED[row]:
        with QuietThreading(ANY_PORT, Shout) as server, ours() as busy:
            with pytest.raises(error):
                attempt(server, busy)
            assert type(server) is QuietThreading


@shows("refused", "another strategy in a child or a worker")
@pytest.mark.parametrize("expression", ["Forking()", "Prefork(1)"])
def test_another_strategy_in_a_child_is_refused(expression: str) -> None:
    with probing(expression) as probe:
        error = probe.ask("assign Threaded()")
        assert error is not None
        assert error.startswith("RuntimeError")
        assert probe.answers()
        probe.stop()
