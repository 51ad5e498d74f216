"""The known faults of `socketserver`, which must not exist here, under any strategy.

Each check is also run against the standard library, where it must fail: so each can fail.
"""

from __future__ import annotations

import signal
from collections.abc import Callable

import psutil
import pytest

from probes import (
    CONCURRENT,
    FORKING,
    PREFORKS,
    STRATEGIES,
    Probe,
    is_gone,
    probing,
    wait_until,
)

# Far above what a stop takes (a few milliseconds), for a loaded machine; far below the poll.
AT_ONCE = 1000.0

Check = Callable[..., None]


def shutdown_from_a_thread_waits_for_the_poll(strategy: str, **options: object) -> None:
    with probing(strategy, thread=True, **options) as probe:
        _serves_and_waits(probe)
        probe.tell("shutdown")
        assert probe.expect("shutdown")["ms"] < AT_ONCE
        probe.expect("returned", error=None)
        probe.end_of_commands()
        probe.closed()


def shutdown_waits_for_an_idle_connection(strategy: str, **options: object) -> None:
    with probing(strategy, thread=True, **options) as probe, probe.client() as idle:
        assert idle.ask("echo hi") == "hi"
        probe.tell("shutdown")
        assert probe.expect("shutdown")["ms"] < AT_ONCE
        idle.close()
        probe.end_of_commands()
        probe.closed()


def shutdown_waits_for_a_saturated_backlog(strategy: str, **options: object) -> None:
    with probing(strategy, thread=True, **options) as probe:
        clients = probe.clients(60)
        for client in clients:
            client.send("echo hi")
        probe.expect("handling")
        probe.tell("shutdown")
        assert probe.expect("shutdown")["ms"] < AT_ONCE
        for client in clients:
            client.close()
        probe.end_of_commands()
        probe.closed()


def shutdown_from_a_handler_deadlocks(strategy: str, **options: object) -> None:
    with probing(strategy, **options) as probe:
        with probe.client() as client:
            reply = client.ask("call shutdown")
            assert reply is not None
            assert float(reply) < AT_ONCE
            assert client.ask("echo still there") == "still there"
        probe.expect("returned", error=None)
        probe.closed()


def shutdown_from_a_signal_handler_deadlocks(strategy: str, **options: object) -> None:
    with probing(strategy, **options) as probe:
        assert probe.ask("echo hi") == "hi"
        probe.signal(signal.SIGTERM)
        probe.expect("returned", error=None)
        probe.closed()


def shutdown_before_serving_hangs(strategy: str, **options: object) -> None:
    with probing(strategy, before=["shutdown"], **options) as probe:
        probe.expect("returned", error=None)
        probe.closed()


def server_close_while_serving_leaves_the_loop(strategy: str, **options: object) -> None:
    with probing(strategy, thread=True, **options) as probe:
        _serves_and_waits(probe)
        probe.tell("server_close")
        assert probe.expect("server_close", error=None)["ms"] < AT_ONCE
        probe.expect("returned", error=None)
        probe.end_of_commands()
        probe.closed()


def server_close_from_a_handler_hangs(strategy: str, **options: object) -> None:
    with probing(strategy, **options) as probe:
        with probe.client() as client:
            reply = client.ask("call server_close")
            assert reply is not None
            assert float(reply) < AT_ONCE
            assert client.ask("echo still there") == "still there"
        probe.expect("returned", error=None)
        probe.closed()


def methods_in_any_order_hang(strategy: str, **options: object) -> None:
    with probing(strategy, thread=True, **options) as probe:
        _serves_and_waits(probe)
        for method in ("server_close", "shutdown", "shutdown", "server_close"):
            probe.tell(method)
            assert probe.expect(method, error=None)["ms"] < AT_ONCE
        probe.end_of_commands()
        probe.closed()


def a_second_serve_forever_is_let_in(strategy: str, **options: object) -> None:
    with probing(strategy, thread=True, **options) as probe:
        assert probe.ask("echo hi") == "hi"
        probe.tell("serve_forever")
        probe.expect("serve_forever", error="RuntimeError")
        assert probe.ask("echo the first goes on") == "the first goes on"
        probe.tell("shutdown")
        probe.end_of_commands()
        probe.closed()


def verify_request_that_raises_ends_the_loop(strategy: str, **options: object) -> None:
    with probing(strategy, hooks=["verify_raises", "handle_error_tells"], **options) as probe:
        with probe.client() as client:
            assert client.receive() is None
        probe.expect("handle_error", error="ValueError")
        # Each worker has its own copy of the server, so each of them fails once.
        assert wait_until(lambda: probe.answers(), probe.patience)
        probe.stop()


def get_request_that_raises_ends_the_loop(strategy: str, **options: object) -> None:
    with probing(strategy, hooks=["get_request_raises"], **options) as probe:
        with probe.client() as client:
            assert client.receive() is None
        assert wait_until(lambda: probe.answers(), probe.patience)
        assert "get_request fails once" in probe.log()
        probe.stop()


def handle_error_that_raises_leaves_the_connection_open(strategy: str, **options: object) -> None:
    with probing(strategy, hooks=["handle_error_raises"], **options) as probe:
        with probe.client(timeout=2.0) as client:
            assert client.ask("raise ValueError") is None
        probe.expect("handle_error", within_except=True)
        assert probe.ask("echo hi") == "hi"
        probe.stop()


def the_exit_status_of_another_child_is_stolen(strategy: str, **options: object) -> None:
    with probing(strategy, own_child=True, **options) as probe:
        # Above max_children the standard library waits for any child, so it is made to be above.
        clients = probe.clients(41)
        for client in clients:
            client.send("echo hi")
        for client in clients[: min(40, _limit(strategy))]:
            assert client.receive() == "hi"
        probe.tell("end of file ends the application's own child")
        for client in clients:
            client.close()
        probe.stop()
        probe.expect("own_child", status=7)


def a_full_strategy_does_not_hear_shutdown(strategy: str, **options: object) -> None:
    with probing(strategy, thread=True, **options) as probe:
        clients = probe.clients(50)
        for client in clients[:40]:
            client.send("echo hi")
        assert wait_until(
            lambda: len(probe.children()) >= min(40, _limit(strategy)), probe.patience
        )
        probe.tell("shutdown")
        assert probe.expect("shutdown")["ms"] < AT_ONCE
        for client in clients:
            client.close()
        probe.end_of_commands()
        probe.closed()


def handle_request_never_reaps(strategy: str, **options: object) -> None:
    with probing(strategy, requests=3, **options) as probe:
        for _ in range(2):
            assert probe.ask("echo hi") == "hi"
            probe.expect("finished")
        # The third handle_request waits, and meanwhile the two children have ended.
        assert wait_until(lambda: probe.children() == [], 3.0)
        probe.ask("echo hi")
        probe.closed()


def a_child_keeps_the_listener_open(strategy: str, **options: object) -> None:
    with probing(strategy, **options) as probe, probe.client() as client:
        assert client.ask("echo hi") == "hi"
        probe.children()
        probe.signal(signal.SIGKILL)
        probe.process.wait()
        assert wait_until(lambda: probe.refuses(), 3.0)


def buffered_output_of_a_child_is_lost_or_doubled(strategy: str, **options: object) -> None:
    with probing(strategy, unflushed="before the fork", **options) as probe:
        assert probe.ask("print in the handler") == "printed" or probe.ask("print x") == "printed"
        probe.expect("finished")
        probe.stop()
        assert wait_until(lambda: probe.process.poll() is not None)
        assert wait_until(lambda: len(probe.output) >= 2, 3.0)
        assert sorted(probe.output) == ["before the fork\n", "x\n"]


def a_thread_that_cannot_start_breaks_server_close(strategy: str, **options: object) -> None:
    with probing(strategy, hooks=["no_thread"], **options) as probe:
        with probe.client(timeout=5.0) as client:
            assert client.receive() is None
        probe.stop()


def _serves_and_waits(probe: Probe) -> None:
    """The server has served, and waits at its listener now."""
    assert probe.ask("echo hi") == "hi"
    probe.expect("finished")
    probe.wait_until_idle()


def _limit(strategy: str) -> int:
    return {"Prefork(2, Forking(10))": 20}.get(strategy, 40)


FORKS_A_CONNECTION = ["Forking()", "Prefork(2, Forking(10))"]
THREADS = ["Threaded()", "ThreadPool(4)"]

FAULTS: list[tuple[Check, list[str], str]] = [
    (shutdown_from_a_thread_waits_for_the_poll, STRATEGIES, "TCPServer"),
    (shutdown_waits_for_an_idle_connection, STRATEGIES, "TCPServer"),
    (shutdown_waits_for_a_saturated_backlog, STRATEGIES, "TCPServer"),
    (shutdown_from_a_handler_deadlocks, STRATEGIES, "TCPServer"),
    (shutdown_from_a_signal_handler_deadlocks, STRATEGIES, "ThreadingTCPServer"),
    (shutdown_before_serving_hangs, STRATEGIES, "ThreadingTCPServer"),
    (server_close_while_serving_leaves_the_loop, STRATEGIES, "ThreadingTCPServer"),
    (server_close_from_a_handler_hangs, STRATEGIES, "ThreadingTCPServer"),
    (methods_in_any_order_hang, STRATEGIES, "ThreadingTCPServer"),
    (a_second_serve_forever_is_let_in, STRATEGIES, "ThreadingTCPServer"),
    (verify_request_that_raises_ends_the_loop, STRATEGIES, "ThreadingTCPServer"),
    (get_request_that_raises_ends_the_loop, STRATEGIES, "ThreadingTCPServer"),
    (handle_error_that_raises_leaves_the_connection_open, STRATEGIES, "TCPServer"),
    (the_exit_status_of_another_child_is_stolen, FORKS_A_CONNECTION, "ForkingTCPServer"),
    (a_full_strategy_does_not_hear_shutdown, FORKS_A_CONNECTION, "ForkingTCPServer"),
    (handle_request_never_reaps, ["Forking()"], "ForkingTCPServer"),
    (a_child_keeps_the_listener_open, FORKING, "ForkingTCPServer"),
    (buffered_output_of_a_child_is_lost_or_doubled, FORKING, "ForkingTCPServer"),
    (a_thread_that_cannot_start_breaks_server_close, THREADS, "ThreadingTCPServer"),
]


@pytest.mark.parametrize(
    ("check", "strategy"),
    [
        pytest.param(check, strategy, id=f"{check.__name__}-{strategy}")
        for check, strategies, _ in FAULTS
        for strategy in strategies
    ],
)
def test_the_fault_is_not_here(check: Check, strategy: str) -> None:
    check(strategy)


@pytest.mark.parametrize(
    ("check", "name"),
    [pytest.param(check, name, id=check.__name__) for check, _, name in FAULTS],
)
def test_the_check_fails_against_the_standard_library(check: Check, name: str) -> None:
    with pytest.raises((AssertionError, OSError)):
        check(f"socketserver.{name}", patience=1.0)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_no_descriptors_left_is_a_pause_that_ends_by_itself(strategy: str) -> None:
    with probing(strategy, nofile=200) as probe:
        acceptors = 2 if strategy in PREFORKS else 1
        assert wait_until(lambda: len(probe.children()) == acceptors or strategy not in PREFORKS)
        assert probe.ask("echo hi") == "hi"
        probe.expect("finished")
        probe.wait_until_idle()
        for _ in range(probe.signal_all(signal.SIGUSR2)):
            probe.expect("hoarded")
        waiting = probe.client()
        waiting.send("echo it goes on")
        assert wait_until(lambda: "accepting is paused" in probe.log())
        busy = _processor_seconds(probe)
        assert not wait_until(lambda: _processor_seconds(probe) - busy > 0.5, 1.0)
        assert 1 <= probe.log().count("accepting is paused") <= acceptors
        for _ in range(probe.signal_all(signal.SIGUSR2)):
            probe.expect("released")
        assert waiting.receive() == "it goes on"
        waiting.close()
        probe.stop()


def test_the_standard_library_spins_without_descriptors() -> None:
    with probing("socketserver.ThreadingTCPServer", nofile=200) as probe:
        probe.signal_all(signal.SIGUSR2)
        probe.expect("hoarded")
        probe.client()
        busy = _processor_seconds(probe)
        assert wait_until(lambda: _processor_seconds(probe) - busy > 0.5)


def _processor_seconds(probe: Probe) -> float:
    times = [process.cpu_times() for process in (psutil.Process(probe.pid), *probe.children())]
    return sum(each.user + each.system for each in times)


@pytest.mark.parametrize("strategy", CONCURRENT)
@pytest.mark.parametrize("name", ["SystemExit", "KeyboardInterrupt", "Unusual"])
def test_no_exception_shrinks_a_pool(strategy: str, name: str) -> None:
    with probing(strategy, hooks=["handle_error_tells"]) as probe:
        for _ in range(10):
            with probe.client() as client:
                assert client.ask(f"raise {name}") is None
            probe.expect("handle_error", error=name)
        _all_places_are_there(probe)
        probe.stop()


@pytest.mark.parametrize("name", ["SystemExit", "KeyboardInterrupt", "Unusual"])
def test_no_exception_ends_a_worker(name: str) -> None:
    with probing("Prefork(2)", hooks=["handle_error_tells"]) as probe:
        assert wait_until(lambda: len(probe.children()) == 2)
        workers = probe.children()
        for _ in range(10):
            with probe.client() as client:
                assert client.ask(f"raise {name}") is None
            probe.expect("handle_error", error=name)
        assert probe.children() == workers
        probe.stop()


def _all_places_are_there(probe: Probe) -> None:
    """Four connections at the same time are answered, each while the others stay."""
    clients = probe.clients(4)
    for client in clients:
        assert client.ask("echo hi") == "hi"
    for client in clients:
        client.close()


@pytest.mark.parametrize("strategy", PREFORKS)
def test_a_killed_worker_is_replaced(strategy: str) -> None:
    with probing(strategy) as probe:
        assert wait_until(lambda: len(probe.children()) == 2)
        before = probe.children()
        assert probe.ask("echo hi") == "hi"  # else a death is a failure to start
        before[0].kill()
        assert wait_until(lambda: len(set(probe.children()) - set(before)) == 1)
        assert wait_until(lambda: before[0] not in probe.children())
        assert probe.ask("echo hi") == "hi"
        assert "was ended by signal 9: replacing it" in probe.log()
        probe.stop()


@pytest.mark.parametrize("strategy", PREFORKS)
@pytest.mark.parametrize("state", ["idle", "connected", "asleep"])
def test_workers_do_not_survive_a_killed_parent(strategy: str, state: str) -> None:
    with probing(strategy) as probe, probe.client() as client:
        if state != "idle":
            assert client.ask("echo hi") == "hi"
        if state == "asleep":
            assert client.ask("sleep 60") == "sleeping"
        below = probe.children()
        probe.signal(signal.SIGKILL)
        probe.process.wait()
        # One second is promised; the rest is for a loaded machine.
        assert wait_until(lambda: all(map(is_gone, below)), 3.0)
