"""The rows of the mix-ins in docs/migrating.md."""

from __future__ import annotations

import os
import socketserver
import threading
from http.server import ThreadingHTTPServer
from typing import Any

import pytest

from adopting import ANY_PORT, Shout, ask, serving
from migrating import UntilTheEnd, adopted, connect, in_thread, join, late, ours, read, shows
from migrating_host import hosted
from probes import PATIENCE, probing, wait_until
from serverstrategy import BaseRequestHandler, Strategy, TCPServer
from serverstrategy.strategies import Forking, Synchronous, Threaded, ThreadPool

THREADING = socketserver.ThreadingTCPServer
FORKING = socketserver.ForkingTCPServer


class Daemon(BaseRequestHandler):
    def handle(self) -> None:
        self.request.sendall(str(threading.current_thread().daemon).encode())


@shows("mix-ins", "daemon_threads", "block_on_close")
@shows(
    "differences",
    "The grace period is 1 second after `daemon_threads = True` or `block_on_close = False`",
)
@pytest.mark.parametrize("attributes", [{"daemon_threads": True}, {"block_on_close": False}])
def test_a_class_that_does_not_wait_has_a_grace_of_a_second(attributes: dict[str, bool]) -> None:
    for strategy in (Threaded(), Synchronous(), Forking()):
        with adopted(Shout, strategy, base=THREADING, **attributes) as server:
            assert server.grace_period == 1.0
            server.grace_period = None
            assert server.grace_period is None
    with adopted(base=THREADING) as server:
        assert server.grace_period == 30.0
    with adopted(base=ThreadingHTTPServer) as server:
        assert server.grace_period == 1.0
    with ours(grace_period=1.0) as server:
        assert server.grace_period == 1.0


@shows("mix-ins", "process_request")
def test_a_mix_in_that_is_left_before_a_class_of_ours_gives_way() -> None:
    class Left(socketserver.ThreadingMixIn, TCPServer):
        pass

    with Left(ANY_PORT, Shout, strategy=Synchronous()) as server, serving(server):
        assert not isinstance(server, socketserver.ThreadingMixIn)
        assert ask(server) == b"HI\n"


@shows("mix-ins", "daemon_threads")
@pytest.mark.parametrize("daemon_threads", [False, True])
def test_threads_are_always_daemons(daemon_threads: bool) -> None:
    server = adopted(Daemon, Threaded(), base=THREADING, daemon_threads=daemon_threads)
    with server, serving(server), connect(server) as client:
        assert read(client) == b"True"


@shows("mix-ins", "_threads", "process_request")
def test_the_mix_in_by_its_name_is_the_strategy() -> None:
    handler = late()

    def process_request(self: Any, request: Any, client_address: Any) -> None:
        socketserver.ThreadingMixIn.process_request(self, request, client_address)

    def server_close(self: Any) -> None:
        socketserver.TCPServer.server_close(self)
        self._threads.join()

    methods = {"process_request": process_request, "server_close": server_close}
    with adopted(handler, ThreadPool(1), base=THREADING, **methods) as server:
        assert len(server._threads) == 0
        with serving(server), connect(server) as client:
            assert handler.begun.wait(PATIENCE)
            assert (len(server._threads), len(server.in_flight)) == (0, 1)
            handler.go_on.set()
            assert read(client) == b"late"
    assert not hasattr(TCPServer, "_threads")


@shows("mix-ins", "process_request")
def test_the_mix_ins_process_request_is_the_strategys() -> None:
    calls: list[str] = []

    class Noting(Strategy):
        def process_request(self, server: Any, request: Any, client_address: Any) -> None:
            calls.append("strategy")
            super().process_request(server, request, client_address)

    for base in (THREADING, FORKING):
        with adopted(Shout, Noting(), base=base) as server, serving(server):
            assert ask(server) == b"HI\n"
    assert calls == ["strategy"] * 2


@shows("mix-ins", "process_request_thread")
@shows("shapes", "overrides `process_request_thread`")
@pytest.mark.parametrize("way", ["ours", "adopted"])
@pytest.mark.parametrize("strategy", ["Synchronous()", "Threaded()", "Forking()", "Prefork(2)"])
def test_process_request_thread_is_called_where_the_handler_runs(way: str, strategy: str) -> None:
    with hosted(way, "TCPServer", strategy) as host:
        told = host.ask()
        assert told["around"] == told["pid"]
        assert (told["pid"] == host.pid) == ("ork" not in strategy)
        assert told["is_main"] == (strategy != "Threaded()")


@shows("mix-ins", "server_close")
@pytest.mark.parametrize("base", [THREADING, FORKING])
@pytest.mark.parametrize("strategy", [Synchronous, Threaded])
def test_server_close_waits_under_every_strategy(base: Any, strategy: Any) -> None:
    handler = late()
    server = adopted(handler, strategy(), base=base)
    serve = in_thread(server.serve_forever)
    with connect(server) as client:
        assert handler.begun.wait(PATIENCE)
        closing = in_thread(server.server_close)
        assert not wait_until(lambda: not closing.is_alive(), 0.05)
        handler.go_on.set()
        assert read(client) == b"late"
        join(closing)
    join(serve)


@shows("mix-ins", "server_close")
@pytest.mark.parametrize("base", [THREADING, FORKING])
def test_server_close_waits_for_the_grace_period_at_most(base: Any) -> None:
    server = adopted(UntilTheEnd, Threaded(), base=base, grace_period=0.05)
    serve = in_thread(server.serve_forever)
    with connect(server) as client:
        assert client.recv(1) == b"!"
        server.server_close()
        assert client.recv(1) == b""
    join(serve)


@shows("mix-ins", "max_children", "active_children")
@shows("differences", "Limits come before the accept.")
def test_the_limit_is_the_strategys_and_the_children_are_told() -> None:
    # The class has max_children = 1.
    for way, name in (("ours", "TCPServer"), ("adopted", "ForkingTCPServer")):
        with hosted(way, name, "Forking(2)") as host:
            with host.visit() as (first, one), host.visit() as (second, two):
                found = host.stop(one, two)
            pids = sorted([first["pid"], second["pid"]])
            assert found == {"in_flight": pids, "active_children": pids}


@shows("mix-ins", "collect_children")
@shows("differences", "Only its own children are waited for")
@pytest.mark.parametrize("shape", ["", "ForkingShape"])
def test_exits_are_heard_when_they_happen_and_no_others_taken(shape: str) -> None:
    with probing("Forking()", shape=shape, poll=60, own_child=True) as probe:
        for _ in range(3):
            assert probe.ask("echo hi") == "hi"
        # But for the application's own.
        assert wait_until(lambda: len(probe.children()) == 1)
        probe.tell("end of file ends the application's own child")
        probe.stop()
        probe.expect("own_child", status=7)


@shows("mix-ins", "handle_timeout", "timeout")
def test_the_timeout_of_the_forking_mix_in() -> None:
    assert FORKING.timeout == 300
    with adopted(Shout, Forking(), base=FORKING) as server:
        assert server.timeout == 300
    with adopted(Shout, Threaded(), base=FORKING) as server:
        assert server.timeout is None
    with ours(timeout=300) as server:
        assert server.timeout == 300
    calls: list[int] = []

    def handle_timeout(self: Any) -> None:
        calls.append(os.getpid())

    for strategy in (Threaded(), Forking()):
        more: Any = {"timeout": 0.01, "handle_timeout": handle_timeout}
        with adopted(Shout, strategy, base=FORKING, **more) as server:
            server.handle_request()
        with adopted(Shout, type(strategy)(), base=FORKING, timeout=0.01) as server:
            server.handle_request()
    assert len(calls) == 2


@shows("mix-ins", "service_actions")
def test_nothing_ticks_in_an_adopted_forking_class() -> None:
    with probing("Forking()", shape="ForkingShape", poll=0.002) as probe:
        assert probe.ask("echo hi") == "hi"
        assert wait_until(lambda: probe.children() == [])
        probe.wait_until_idle()
        probe.stop()
