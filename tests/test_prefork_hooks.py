"""The hooks of `Prefork`: where they run, what they are handed, what their errors do."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from typing import Any

import pytest

from preforking import (
    INNERS,
    LOST,
    Held,
    ask,
    kill_one,
    next_line,
    prefork,
    wait_for_workers,
    workers,
)
from probes import PATIENCE, Client, Probe, probing, wait_until

inners = pytest.mark.parametrize("inner", INNERS)
ALL = ["start_tells", "exit_tells", "timeout_tells"]


def stop(probe: Probe) -> None:
    """Stop it; nothing is left, and each worker's start and exit have been told once."""
    probe.stop()
    told = [each for each in probe.seen if each["event"] in ("worker_start", "worker_exit")]
    starts = sorted(each["worker"] for each in told if each["event"] == "worker_start")
    exits = sorted(each["worker"] for each in told if each["event"] == "worker_exit")
    assert starts == exits
    assert len(set(starts)) == len(starts)


@inners
def test_the_start_of_a_worker(inner: str) -> None:
    with probing(prefork(2, inner), worker_hooks=ALL) as probe:
        shown = [probe.expect("worker_start") for _ in range(2)]
        assert {each["pid"] for each in shown} == wait_for_workers(probe, 2)
        assert [each["worker"] for each in shown] == [each["pid"] for each in shown]
        assert {each["number"] for each in shown} == {0, 1}
        for each in shown:
            assert each["repr"].startswith(f"<worker {each['pid']}, starting, ")
            assert (each["state"], each["has_started"]) == ("starting", False)
            assert 0.0 <= each["age"] < probe.patience
            assert [each[name] for name in ("generation", "connections", "errors")] == [0, 0, 0]
            assert each["in_flight"] == []
        stop(probe)


@inners
def test_a_worker_accepts_after_its_hook(inner: str) -> None:
    hooks = ["start_waits_until_parent_stops", "exit_tells"]
    with probing(prefork(1, inner), worker_hooks=hooks) as probe:
        early = probe.client()
        early.send("echo hi")
        probe.expect("worker_start")
        assert select.select([early.socket], [], [], 0.2)[0] == []
        probe.signal(signal.SIGSTOP)
        assert next_line(early) == "hi"
        early.close()
        probe.signal(signal.SIGCONT)
        stop(probe)


@inners
def test_the_end_of_a_worker_that_was_told_to(inner: str) -> None:
    with probing(prefork(1, inner), worker_hooks=ALL) as probe:
        with probe.client() as client:
            assert ask(client, "raise ValueError") in LOST
        assert probe.ask("echo hi") == "hi"
        (pid,) = workers(probe)
        probe.stop()
        (shown,) = exits(probe)
        assert (shown["pid"], shown["worker"], shown["status"]) == (probe.pid, pid, 0)
        assert shown["state"] == "retiring"
        assert shown["in_flight"] == []
        # Those of its own workers it does not count.
        assert shown["connections"] == (0 if inner == "Prefork(2)" else 2)
        assert shown["errors"] == (0 if inner == "Prefork(2)" else 1)


def exits(probe: Probe) -> list[dict[str, Any]]:
    return [each for each in probe.seen if each["event"] == "worker_exit"]


@inners
def test_the_end_of_a_worker_that_was_killed(inner: str) -> None:
    with probing(prefork(2, inner), worker_hooks=ALL) as probe:
        wait_for_workers(probe, 2)
        held = Held(probe)
        held.wait_until_all_serve()
        worker = held.pid if held.parent == probe.pid else held.parent
        os.kill(worker, signal.SIGKILL)
        shown = probe.expect("worker_exit", pid=probe.pid, worker=worker)
        assert shown["status"] == -signal.SIGKILL
        if inner != "Prefork(2)":  # it knows its own connections only
            assert shown["state"] == "busy"
            assert shown["connections"] == 1
            ((port, age),) = shown["in_flight"]
            assert port == held.port
            assert 0.0 < age < shown["age"]
        if inner == "Forking(10)":  # the child goes on
            assert ask(held.client, "echo hi") == "hi"
            held.client.close()
        else:
            assert next_line(held.client) in LOST
        wait_for_workers(probe, 2, without=worker)
        assert probe.answers()
        stop(probe)


@inners
def test_a_worker_that_hangs(inner: str) -> None:
    """A child that hangs is no worker that does; and a worker of a worker has hooks of its own."""
    hooked = int(inner == "Prefork(2)")
    with probing(prefork(2, inner, timeout=0.5), worker_hooks=ALL, hooked=hooked) as probe:
        held = Held(probe)
        assert ask(held.client, "sleep 60") == "sleeping"
        assert next_line(held.client) in LOST
        if inner == "Forking(10)":
            assert wait_until(lambda: f"child {held.pid} was here" in probe.log())
            probe.stop()
            assert probe.count("worker_timeout") == 0
            return
        shown = probe.expect("worker_timeout", pid=held.parent, worker=held.pid)
        assert (shown["state"], shown["connections"]) == ("busy", 1)
        ((port, age),) = shown["in_flight"]
        assert port == held.port
        assert 0.5 < age < probe.patience
        probe.expect("worker_exit", worker=held.pid, status=-signal.SIGABRT, state="busy")
        assert probe.answers()
        stop(probe)
        assert probe.count("worker_timeout") == 1


# Their errors


def has_traceback(probe: Probe, hook: str) -> bool:
    log = probe.log()
    return (
        "a hook of Prefork failed\nTraceback " in log
        and f", in {hook}\n" in log
        and f"ValueError: on_worker_{hook.partition('_')[0]} fails" in log
    )


@inners
def test_an_error_at_the_exit_changes_nothing(inner: str) -> None:
    with probing(prefork(2, inner), worker_hooks=["start_tells", "exit_raises"]) as probe:
        before = wait_for_workers(probe, 2)
        killed = kill_one(probe, 2)
        probe.expect("worker_exit", worker=killed)
        assert before - {killed} < wait_for_workers(probe, 2, without=killed)
        assert has_traceback(probe, "exit_raises")
        assert probe.answers()
        stop(probe)


@pytest.mark.parametrize("inner", ["Synchronous()", "ThreadPool(4)"])
def test_an_error_at_the_timeout_changes_nothing(inner: str) -> None:
    hooks = ["timeout_raises", "exit_tells", "start_tells"]
    with probing(prefork(2, inner, timeout=0.5), worker_hooks=hooks) as probe:
        held = Held(probe)
        assert ask(held.client, "sleep 60") == "sleeping"
        probe.expect("worker_timeout", worker=held.pid)
        probe.expect("worker_exit", worker=held.pid, status=-signal.SIGABRT)
        assert next_line(held.client) in LOST
        wait_for_workers(probe, 2, without=held.pid)
        assert has_traceback(probe, "timeout_raises")
        assert probe.answers()
        stop(probe)


@inners
def test_an_error_at_the_start_ends_the_worker(inner: str) -> None:
    hooks = ["two_successors_raise", "exit_tells"]
    with probing(prefork(2, inner), worker_hooks=hooks) as probe:
        before = wait_for_workers(probe, 2)
        killed = kill_one(probe, 2)
        for status in (-signal.SIGKILL, 1, 1):
            shown = probe.expect("worker_exit", status=status)
        assert not shown["has_started"]
        assert before - {killed} < wait_for_workers(probe, 2)
        log = probe.log()
        why = "ValueError: on_worker_start fails"
        assert log.count(f"\n{why}\n") == 2  # of its traceback
        assert f"worker {shown['worker']} exited with 1: replacing it ({why})\n" in log
        assert probe.answers()
        stop(probe)


@inners
def test_why_a_worker_exits_at_its_start_is_logged(inner: str) -> None:
    hooks = ["two_successors_give_up", "exit_tells"]
    with probing(prefork(2, inner), worker_hooks=hooks) as probe:
        killed = kill_one(probe, 2)
        for status in (-signal.SIGKILL, 1, 1):
            shown = probe.expect("worker_exit", status=status)
        wait_for_workers(probe, 2, without=killed)
        why = "exited with 1: replacing it (SystemExit: no database)"
        assert f"worker {shown['worker']} {why}" in probe.log()
        assert probe.log().count(why) == 2
        stop(probe)


def test_a_system_exit_at_the_exit_goes_through_serve_forever() -> None:
    hooks = ["start_tells", "exit_raises_system_exit"]
    with probing("Prefork(2, timeout=30)", worker_hooks=hooks) as probe:
        kill_one(probe, 2)
        probe.expect("returned", error="SystemExit")
        probe.closed()
        assert len(exits(probe)) == 2


WITH_GREENLETS = """
from gevent import monkey
monkey.patch_all()
import signal, sys
from serverstrategy import StreamRequestHandler, TCPServer
from serverstrategy.strategies import Prefork, parse

class Handler(StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(line)

strategy = Prefork(1, parse(sys.argv[1]), on_worker_start=lambda worker: None)
with TCPServer(("127.0.0.1", 0), Handler, strategy=strategy) as server:
    signal.signal(signal.SIGTERM, lambda *_: server.shutdown())
    print(server.server_address[1], flush=True)
    server.serve_forever()
"""


@inners
def test_threads_may_be_greenlets(inner: str) -> None:
    pytest.importorskip("gevent")
    command = [sys.executable, "-c", WITH_GREENLETS, inner]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            with Client(("127.0.0.1", int(process.stdout.readline()))) as client:
                assert client.ask("hi") == "hi"
            process.terminate()
            assert process.wait(PATIENCE) == 0
        finally:
            process.kill()
