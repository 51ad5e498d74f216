"""The rows of the servers' methods in docs/migrating.md."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from adopting import Shout, ask
from migrating import UntilTheEnd, both, connect, in_thread, join, late, read, shows
from migrating_host import hosted
from probes import PATIENCE, probing, wait_until
from serverstrategy.strategies import Synchronous, Threaded, ThreadPool

# Far above what it takes, for a loaded machine; far below the poll interval of a minute.
AT_ONCE = 5.0
POLL = 60.0


def seconds(function: Any) -> float:
    began = time.monotonic()
    function()
    return time.monotonic() - began


@shows("servers", "serve_forever")
@shows("differences", "No poll.", "`serve_forever` twice at a time is a `RuntimeError`.")
@both
def test_a_stop_does_not_wait_for_the_poll_and_serving_twice_is_an_error(build: Any) -> None:
    with build(Shout, Threaded()) as server:
        thread = in_thread(server.serve_forever, POLL)
        assert server.wait_until_serving(PATIENCE)
        with pytest.raises(RuntimeError, match="running already"):
            server.serve_forever()
        assert ask(server) == b"HI\n"
        assert seconds(server.shutdown) < AT_ONCE
        join(thread)


@shows("servers", "shutdown")
@shows("differences", "`shutdown` before `serve_forever` is remembered.")
@both
@pytest.mark.parametrize("strategy", [Synchronous, Threaded])
def test_shutdown_may_be_called_in_a_handler_and_before(build: Any, strategy: Any) -> None:
    class Stop(Shout):
        def handle(self) -> None:
            self.server.shutdown()
            super().handle()

    with build(Stop, strategy()) as server:
        server.shutdown()
        assert seconds(lambda: server.serve_forever(POLL)) < AT_ONCE
        thread = in_thread(server.serve_forever, POLL)
        assert ask(server) == b"HI\n"
        join(thread)


@shows("servers", "shutdown")
@pytest.mark.parametrize("strategy", ["Forking()", "Prefork(2)"])
def test_shutdown_may_be_called_in_a_child_and_in_a_signal_handler(strategy: str) -> None:
    with hosted("ours", "TCPServer", strategy) as host:
        with host.visit() as (_, client):
            client.sendall(b"s")
        host.has_ended()
    with hosted("ours", "TCPServer", strategy) as host:
        host.ask()
        host.stop()  # by SIGTERM, whose handler calls it


@shows("differences", "`shutdown` returns when nothing more is accepted.")
@both
def test_shutdown_does_not_wait_for_the_handler_of_the_thread_that_accepts(build: Any) -> None:
    handler = late()
    with build(handler, Synchronous()) as server:
        thread = in_thread(server.serve_forever, POLL)
        with connect(server) as client:
            assert handler.begun.wait(PATIENCE)
            assert seconds(server.shutdown) < AT_ONCE
            assert thread.is_alive()
            handler.go_on.set()
            assert read(client) == b"late"
        join(thread)


@shows("servers", "handle_request", "handle_timeout")
@both
def test_handle_request_waits_for_room(build: Any) -> None:
    handler = late()
    calls: list[str] = []
    pool = ThreadPool(1)
    note = {"handle_timeout": lambda self: calls.append("timeout")}
    with build(handler, pool, timeout=0.01, **note) as server:
        server.handle_request()
        assert calls == ["timeout"]
        with connect(server) as first, connect(server) as second:
            server.handle_request()
            server.handle_request()
            assert calls == ["timeout"] * 2
            assert len(server.in_flight) == 1
            handler.go_on.set()
            assert read(first) == b"late"
            server.timeout = PATIENCE
            server.handle_request()
            assert read(second) == b"late"


@shows("servers", "server_close")
@shows("differences", "`server_close` ends `serve_forever`", "The grace period is 30 seconds.")
@both
@pytest.mark.parametrize("strategy", [Synchronous, Threaded])
def test_server_close_ends_serving_waits_and_cuts(
    build: Any, strategy: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with build(UntilTheEnd, strategy()) as server:
        assert server.grace_period == 30.0
        server.grace_period = 0.05
        thread = in_thread(server.serve_forever, POLL)
        with connect(server) as client:
            assert client.recv(1) == b"!"
            assert 0.04 < seconds(server.server_close) < AT_ONCE
            assert client.recv(1) == b""
        join(thread)
    assert "closing: cut the <connection from" in caplog.text


@shows("differences", "The grace period is 30 seconds.")
def test_a_child_that_is_left_is_killed() -> None:
    with probing("Forking()", grace=0.05) as probe, probe.client() as client:
        pid = client.ask("pid")
        probe.stop()
        assert client.receive() is None
        assert f"in child {pid}" in probe.log()


@shows("servers", "service_actions")
@both
def test_service_actions_is_called_if_it_is_overridden(build: Any) -> None:
    ticks: list[str] = []
    with build(service_actions=lambda self: ticks.append("class")) as server:
        thread = in_thread(server.serve_forever, 0.001)
        assert wait_until(lambda: len(ticks) > 3)
        server.service_actions = lambda: ticks.append("instance")
        assert wait_until(lambda: ticks.count("instance") > 3)
        server.shutdown()
        join(thread)


@shows("servers", "service_actions")
@pytest.mark.parametrize("shape", ["", "Plain"])
def test_an_idle_server_does_not_wake_up(shape: str) -> None:
    # A server that ticked every two milliseconds would never sleep through four looks.
    with probing("Threaded()", shape=shape, poll=0.002) as probe:
        assert probe.ask("echo hi") == "hi"
        probe.wait_until_idle()
        probe.stop()


@shows("servers", "service_actions")
def test_each_worker_calls_service_actions() -> None:
    with probing("Prefork(2)", hooks=["service_actions_tells"], poll=0.02) as probe:
        workers = {probe.expect("service_actions")["pid"]}
        assert wait_until(
            lambda: workers.add(probe.expect("service_actions")["pid"]) or len(workers) == 2
        )
        assert probe.pid not in workers
        probe.stop()


@shows("servers", "_handle_request_noblock")
@both
def test_a_loop_of_ones_own_waits_for_room(build: Any) -> None:
    handler = late()
    with build(handler, ThreadPool(1)) as server, connect(server) as first:
        server._handle_request_noblock()
        with connect(server) as second:
            assert 0.4 < seconds(server._handle_request_noblock) < AT_ONCE
            assert len(server.in_flight) == 1
            threading.Timer(0.02, handler.go_on.set).start()
            server._handle_request_noblock()
            assert (read(first), read(second)) == (b"late", b"late")
