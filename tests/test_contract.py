"""The contract, clause by clause, for every strategy: the cases that `testing` will publish."""

from __future__ import annotations

import signal
import socket
import sys
import time
from functools import partial

import psutil
import pytest

from probes import (
    CONCURRENT,
    FORKING,
    PREFORKS,
    STRATEGIES,
    is_gone,
    probing,
    wait_until,
)

SPARES = "Forking(40, spare=2)"
FORKS = [*FORKING, SPARES]

every_strategy = pytest.mark.parametrize("strategy", [*STRATEGIES, SPARES])
every_concurrent_strategy = pytest.mark.parametrize("strategy", [*CONCURRENT, SPARES])

# How many connections each of them handles at the same time.
PLACES = {"ThreadPool(2)": 2, "Threaded(2)": 2, "Forking(2)": 2}


@pytest.fixture(autouse=True, params=[False, True], ids=["plain", "overridden"])
def hooks_of_the_server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each case runs on the server as it is, and with each hook overridden."""
    module = sys.modules[__name__]
    monkeypatch.setattr(module, "probing", partial(probing, overridden=request.param))


@every_strategy
def test_every_connection_is_handled_once(strategy: str) -> None:
    with probing(strategy) as probe:
        clients = probe.clients(60)
        ports = sorted(client.socket.getsockname()[1] for client in clients)
        for client in clients:
            client.send("echo hi")
            client.socket.shutdown(socket.SHUT_WR)
        for client in clients:
            assert client.receive() == "hi"
            assert client.receive() is None, "the connection is closed after its handler"
        for _ in clients:
            probe.expect("finished")
        probe.stop()
        handled = sorted(each["peer"] for each in probe.seen if each["event"] == "handling")
        assert handled == ports


@every_strategy
def test_an_error_is_reported_and_costs_its_connection_only(strategy: str) -> None:
    with probing(strategy) as probe:
        with probe.client() as client:
            peer = client.socket.getsockname()
            assert client.ask("raise ValueError") is None
        assert probe.ask("echo hi") == "hi"
        probe.stop()
        assert f"error while handling the connection from {peer}" in probe.log()
        assert "ValueError: as the client wished" in probe.log()


@every_strategy
def test_process_request_that_raises_gives_the_connection_back(strategy: str) -> None:
    with probing(strategy, hooks=["process_request_raises", "handle_error_tells"]) as probe:
        with probe.client() as client:
            assert client.receive() is None
        probe.expect("handle_error", error="ValueError")
        assert wait_until(lambda: probe.answers())
        probe.stop()


@pytest.mark.parametrize("strategy", ["Forking()", "Prefork(2, Forking(10))"])
def test_a_fork_that_fails_gives_the_connection_back(strategy: str) -> None:
    if strategy.startswith("Prefork"):
        with probing(strategy, hooks=["no_fork"]) as probe:
            assert wait_until(lambda: "no worker could be started" in probe.log())
            probe.stop()
        return
    with probing(strategy, hooks=["no_fork", "handle_error_tells"]) as probe:
        with probe.client() as client:
            assert client.receive() is None
        probe.expect("handle_error", error="BlockingIOError")
        probe.stop()


@every_concurrent_strategy
def test_connections_are_handled_at_the_same_time(strategy: str) -> None:
    with probing(strategy) as probe:
        clients = probe.clients(4)
        for client in clients:
            assert client.ask("echo hi") == "hi"
        for client in clients:
            assert client.ask("echo again") == "again"
            client.close()
        probe.stop()


def test_two_workers_handle_two_connections_at_the_same_time() -> None:
    with probing("Prefork(2)") as probe:
        first, second = probe.clients(2)
        assert first.ask("echo hi") == second.ask("echo hi") == "hi"
        assert first.ask("pid") != second.ask("pid")
        first.close()
        second.close()
        probe.stop()


@pytest.mark.parametrize(
    "strategy", ["Threaded(2)", "ThreadPool(2)", "Forking(2)", "Synchronous()", "Prefork(2)"]
)
def test_what_has_no_room_waits_in_the_backlog(strategy: str) -> None:
    with probing(strategy) as probe:
        places = 1 if strategy == "Synchronous()" else 2
        inside = probe.clients(places)
        for client in inside:
            assert client.ask("echo hi") == "hi"
        outside = probe.client()
        outside.send("echo hi")
        probe.wait_until_idle()
        probe.expect("handling")
        for _ in inside[1:]:
            probe.expect("handling")
        assert probe.count("handling") == places
        if strategy in ("Threaded(2)", "ThreadPool(2)"):
            assert inside[0].ask("in_flight") == "2"
        inside[0].close()
        assert outside.receive() == "hi"
        for client in (*inside, outside):
            client.close()
        probe.stop()


def test_a_pool_accepts_as_many_more_as_may_wait() -> None:
    with probing("ThreadPool(1, 2)") as probe:
        first, second, third, fourth = probe.clients(4)
        for client in (second, third, fourth):
            client.send("echo hi")
        assert wait_until(lambda: first.ask("in_flight") == "3")
        for client in (first, second, third, fourth):
            if client is not first:
                assert client.receive() == "hi"
            client.close()
        probe.stop()


def test_a_busy_worker_leaves_connections_to_its_sibling() -> None:
    with probing("Prefork(2, ThreadPool(1))") as probe, probe.client() as busy:
        assert busy.ask("echo hi") == "hi"
        for _ in range(30):
            assert probe.ask("echo hi") == "hi"
        busy.close()
        probe.stop()


@every_strategy
def test_close_waits_for_what_is_in_flight(strategy: str) -> None:
    with probing(strategy) as probe:
        client = probe.client()
        assert client.ask("echo hi") == "hi"
        probe.signal(signal.SIGTERM)
        if strategy == "Synchronous()":
            # Its loop is in the handler.
            assert client.ask("echo before the end") == "before the end"
        else:
            probe.expect("closing")
            assert client.ask("echo before the end") == "before the end"
        assert probe.count("closed") == 0
        client.close()
        probe.closed()
        probe.expect("finished")
        assert "cut" not in probe.log()


@every_strategy
def test_what_exceeds_the_grace_period_is_cut(strategy: str) -> None:
    with probing(strategy, grace=0.3, thread=True) as probe:
        client = probe.client()
        assert client.ask("echo hi") == "hi"
        probe.tell("server_close")
        assert client.receive() is None
        took = probe.expect("server_close", error=None)["ms"]
        assert took > 290
        probe.end_of_commands()
        probe.closed()
        assert " cut " in probe.log() or "killed" in probe.log()


@every_strategy
def test_a_sleeping_handler_is_reported_and_left(strategy: str) -> None:
    with probing(strategy, grace=0.1, thread=True) as probe:
        client = probe.client()
        assert client.ask("sleep 30") == "sleeping"
        probe.children()
        probe.tell("server_close")
        probe.expect("server_close", error=None)
        if strategy in FORKS:
            probe.end_of_commands()
            probe.closed()
        else:
            assert "abandoned the <connection from" in probe.log()


@every_strategy
@pytest.mark.parametrize("state", ["connected", "asleep"])
def test_a_second_ctrl_c_cuts_at_once(strategy: str, state: str) -> None:
    with probing(strategy, grace=None) as probe:
        client = probe.client()
        if state == "asleep":
            assert client.ask("sleep 30") == "sleeping"
        else:
            assert client.ask("echo hi") == "hi"
        below = probe.children()
        probe.interrupt()
        probe.expect("returned", error="KeyboardInterrupt")
        if strategy == "Synchronous()":
            # Ctrl-C has ended the handler itself: nothing is left to wait for.
            probe.closed()
            return
        probe.expect("closing")
        assert state == "asleep" or client.ask("echo in grace") == "in grace"
        probe.wait_until_idle()  # it is in the drain
        probe.interrupt()
        left = probe.expect("interrupted")
        assert left["children"] == []
        # A thread that sleeps cannot be cut: it is abandoned, with its connection.
        abandoned = int(state == "asleep" and strategy not in FORKS)
        assert (left["fds"], left["threads"]) == (abandoned, abandoned), probe.log()
        assert all(map(is_gone, below))
        assert probe.process.wait(probe.patience) == 0


@every_strategy
def test_an_idle_server_does_not_wake_up(strategy: str) -> None:
    with probing(strategy) as probe:
        assert probe.ask("echo hi") == "hi"
        probe.expect("finished")
        probe.wait_until_idle()
        before = probe.switches()
        # The stretch of time is what is measured, not a guess for something to happen.
        assert not wait_until(lambda: probe.switches() > before, 1.0)
        probe.stop()


def test_service_actions_that_are_overridden_tick() -> None:
    for strategy in ("Synchronous()", "Prefork(1)"):
        with probing(strategy, hooks=["service_actions_tells"], poll=0.01) as probe:
            for _ in range(3):
                probe.expect("service_actions")
            probe.stop()


@pytest.mark.parametrize("strategy", ["Forking()", "Prefork(2, Forking(10))"])
@pytest.mark.parametrize("hooks", [[], ["no_pidfd"]])
def test_children_are_reaped_while_the_server_is_idle(strategy: str, hooks: list[str]) -> None:
    with probing(strategy, hooks=hooks) as probe:
        workers = 2 if strategy in PREFORKS else 0
        for client in probe.clients(10):
            assert client.ask("echo hi") == "hi"
            client.close()
        assert wait_until(lambda: len(probe.children()) == workers)
        probe.stop()


@pytest.mark.parametrize("hooks", [[], ["no_pidfd"]])
def test_room_that_a_child_leaves_is_noticed(hooks: list[str]) -> None:
    with probing("Forking(1)", hooks=hooks) as probe:
        first, second = probe.clients(2)
        assert first.ask("echo hi") == "hi"
        second.send("echo hi")
        first.close()
        assert second.receive() == "hi"
        second.close()
        probe.stop()


def test_a_child_that_is_killed_is_reported() -> None:
    with probing("Forking()") as probe:
        assert probe.ask("die") is None
        assert wait_until(lambda: "was ended by signal 9 while it handled" in probe.log())
        assert probe.ask("echo hi") == "hi"
        probe.stop()


@every_strategy
def test_it_serves_again_after_a_shutdown(strategy: str) -> None:
    with probing(strategy, again=True) as probe:
        assert probe.ask("echo first") == "first"
        probe.signal(signal.SIGTERM)
        probe.expect("again")
        assert probe.ask("echo second") == "second"
        probe.stop()
        assert probe.count("returned") == 2


@every_strategy
def test_handle_request_handles_one_connection(strategy: str) -> None:
    with probing(strategy, requests=2) as probe:
        for _ in range(2):
            with probe.client() as client:
                assert client.ask("echo hi") == "hi"
                if strategy in PREFORKS and strategy != "Prefork(2, Forking(10))":
                    assert client.ask("pid") == str(probe.pid)
        probe.expect("returned", error=None)
        probe.closed()
        if strategy in PREFORKS:
            assert probe.log().count("handles in this process") == 1


@pytest.mark.parametrize("name", ["SystemExit", "KeyboardInterrupt", "Unusual"])
@pytest.mark.parametrize("requests", [0, 1])
def test_the_callers_own_thread_gets_its_exceptions(name: str, requests: int) -> None:
    with probing("Synchronous()", requests=requests) as probe:
        with probe.client() as client:
            assert client.ask(f"raise {name}") is None
        probe.expect("returned", error=name)
        probe.closed()


@every_strategy
def test_a_load_that_never_ends_does_not_hide_the_stop(strategy: str) -> None:
    with probing(strategy) as probe:
        ended = time.monotonic() + 0.3
        while time.monotonic() < ended:
            for client in probe.clients(5):
                client.send("echo hi")
                client.socket.shutdown(socket.SHUT_WR)
        probe.signal(signal.SIGTERM)
        probe.expect("returned", error=None)
        probe.closed()


@every_strategy
def test_a_stop_is_heard_within_50_ms(strategy: str) -> None:
    """The best of a few: what is late on a busy machine says nothing of the server."""
    took = []
    for connections in (0, 0, 0, 40, 40, 40):
        with probing(strategy, thread=True) as probe:
            assert probe.ask("echo hi") == "hi"
            for client in probe.clients(connections):
                client.send("echo hi")
            probe.tell("shutdown")
            took.append(probe.expect("shutdown", error=None)["ms"])
    assert min(took[:3]) < 50
    assert min(took[3:]) < 50


@every_strategy
def test_close_waits_neither_for_the_backlog_nor_longer_than_the_grace_period(
    strategy: str,
) -> None:
    with probing(strategy, grace=0.2, thread=True) as probe:
        for client in probe.clients(40):
            client.send("echo hi")
        probe.expect("handling")
        probe.tell("server_close")
        assert probe.expect("server_close", error=None)["ms"] < 5000
        probe.end_of_commands()
        probe.closed()


@every_strategy
def test_no_grace_leaves_nothing_either(strategy: str) -> None:
    with probing(strategy, grace=0, thread=True) as probe:
        for client in probe.clients(20):
            client.send("echo hi")
        probe.tell("server_close")
        probe.expect("server_close", error=None)
        probe.end_of_commands()
        probe.closed()


@every_concurrent_strategy
def test_it_serves_again_while_an_old_connection_lasts(strategy: str) -> None:
    with probing(strategy, again=True) as probe, probe.client() as old:
        assert old.ask("echo old") == "old"
        probe.signal(signal.SIGTERM)
        probe.expect("again")
        assert probe.ask("echo new") == "new"
        assert old.ask("echo still there") == "still there"
        old.close()
        probe.stop()


@every_strategy
def test_what_was_begun_goes_on_after_a_shutdown(strategy: str) -> None:
    with probing(strategy, grace=0.1, thread=True) as probe, probe.client() as client:
        assert client.ask("echo hi") == "hi"
        probe.tell("shutdown")
        probe.expect("shutdown", error=None)
        # Ten times the grace period, which begins with server_close.
        assert not wait_until(lambda: client.ask("echo there") != "there", 1.0)
        client.close()
        probe.end_of_commands()
        probe.closed()


@every_strategy
def test_a_process_that_a_handler_forks_does_not_close_the_server(strategy: str) -> None:
    with probing(strategy) as probe:
        with probe.client() as client:
            # In a child of Forking, or a worker, it is that process's copy that is forked.
            assert client.ask("fork") == "0"
            assert client.ask("echo still there") == "still there"
        assert probe.ask("echo hi") == "hi"
        probe.stop()
        assert "cut" not in probe.log()


@every_strategy
def test_a_process_that_a_handler_forks_can_stop_the_server(strategy: str) -> None:
    with probing(strategy) as probe:
        with probe.client() as client:
            assert client.ask("fork_that_calls_shutdown") == "0"
            assert client.ask("echo still there") == "still there"
        probe.expect("returned", error=None)
        probe.closed()


@every_strategy
@pytest.mark.parametrize("requests", [0, 1])
def test_a_daemon_serves_what_its_parent_built(strategy: str, requests: int) -> None:
    with probing(strategy, daemon=True, requests=requests) as probe:
        if requests:
            assert probe.ask("echo to the parent") == "to the parent"
        daemon = psutil.Process(probe.expect("daemon")["pid"])
        assert probe.ask("echo hi") == "hi"
        daemon.send_signal(signal.SIGTERM)
        closed = probe.expect("closed")
        assert closed["children"] == []
        assert probe.process.wait(probe.patience) == 0


@pytest.mark.parametrize("strategy", ["Prefork(8)", "Prefork(4, ThreadPool(2))"])
def test_ctrl_c_while_workers_start_beside_a_thread_loses_none(strategy: str) -> None:
    for _ in range(5):
        with probing(strategy, grace=0.3, beside=True) as probe:
            assert wait_until(lambda: len(probe.children()) > 0)
            probe.signal(signal.SIGINT)
            probe.expect("returned", error="KeyboardInterrupt")
            assert probe.expect("closed")["children"] == []


def test_ctrl_c_in_server_close_closes_the_listener() -> None:
    with probing("Synchronous()", hooks=["verify_sleeps"], thread=True, grace=None) as probe:
        probe.client()
        probe.expect("verifying")
        probe.tell("server_close")
        probe.wait_until_idle()
        probe.signal(signal.SIGINT)
        probe.expect("interrupted")
        assert wait_until(lambda: probe.refuses())


@pytest.mark.parametrize("strategy", ["Threaded()", "ThreadPool(4)"])
def test_handlers_that_close_at_the_same_time_do_not_wait_for_each_other(strategy: str) -> None:
    with probing(strategy, grace=None) as probe:
        clients = probe.clients(4)
        for client in clients:
            assert client.ask("echo hi") == "hi"
        for client in clients:
            client.send("call server_close")
            client.socket.shutdown(socket.SHUT_WR)
        for client in clients:
            assert client.receive() is not None, "it was cut instead of answered"
        probe.closed()


@pytest.mark.parametrize("strategy", ["Synchronous()", "Threaded()", "ThreadPool(4)", "Forking()"])
def test_a_hook_that_closes_does_not_wait_for_its_own_connection(strategy: str) -> None:
    with probing(strategy, hooks=["verify_closes"], grace=None) as probe:
        assert probe.ask("echo hi") == "hi"
        assert probe.expect("closed_in_hook")["ms"] < 5000
        probe.expect("returned", error=None)
        probe.closed()


@pytest.mark.parametrize("strategy", ["Forking()", "Prefork(2)", "Prefork(2, Forking(10))"])
def test_a_signal_handler_that_closes_during_the_drain_is_no_error(strategy: str) -> None:
    with probing(strategy, grace=None) as probe, probe.client() as client:
        assert client.ask("echo hi") == "hi"
        probe.signal(signal.SIGTERM)
        probe.expect("closing")
        probe.wait_until_idle()
        probe.signal(signal.SIGUSR1)
        probe.wait_until_idle()
        client.close()
        probe.closed()


def test_ctrl_c_in_the_middle_of_a_fork_does_not_lose_the_child() -> None:
    with probing("Forking()", hooks=["interrupted_fork"], grace=0.2) as probe:
        client = probe.client()
        client.send("echo hi")
        probe.expect("returned", error="KeyboardInterrupt")
        assert client.receive() == "hi"
        assert client.receive() is None
        probe.closed()
        assert "cut the <connection" in probe.log()


def test_ctrl_c_right_after_an_accept_does_not_lose_the_connection() -> None:
    with probing("ThreadPool(4)", hooks=["interrupted_after_accept"], grace=None) as probe:
        with probe.client() as client:
            assert client.receive() is None
        probe.expect("returned", error="KeyboardInterrupt")
        probe.closed()


def test_a_scanner_does_not_keep_others_waiting() -> None:
    with probing("Threaded()", hooks=["get_request_raises_200_times"]) as probe:
        scanners = probe.clients(200)
        started = time.monotonic()
        assert probe.ask("echo hi") == "hi"
        # A pause of 0.1 s for each after the hundredth would be ten seconds.
        assert time.monotonic() - started < 8
        assert len(scanners) == 200
        probe.stop()
