"""Workers that hang: told of, ended and replaced, at the cost of their own connections only."""

from __future__ import annotations

import re
import signal
import time

import psutil
import pytest

from preforking import (
    INNERS,
    LOST,
    Held,
    ages,
    ask,
    next_line,
    one_that_serves,
    prefork,
    wait_for_workers,
)
from probes import Probe, is_gone, probing, wait_until

inners = pytest.mark.parametrize("inner", INNERS)

# How many connections two workers handle at the same time, at least.
ROOM = {"Synchronous()": 2, "ThreadPool(4)": 8, "Forking(10)": 6, "Prefork(2)": 4}


def stack(probe: Probe, pid: int) -> str:
    """Where a process was when it was aborted, as the log has it."""
    assert wait_until(lambda: f" {pid} was here:" in probe.log()), probe.log()
    after = probe.log().partition(f" {pid} was here:\n")[2]
    return re.split(r"^\d+ [A-Z]+ ", after, maxsplit=1, flags=re.MULTILINE)[0]


def hang(held: Held, command: str = "sleep 60") -> psutil.Process:
    """Have the handler of a connection hang; return its process."""
    assert held.client.ask(command) in ("sleeping", "holding")
    return psutil.Process(held.pid)


@inners
def test_it_costs_the_connections_of_what_hangs_and_no_others(inner: str) -> None:
    with probing(prefork(2, inner, timeout=1.6)) as probe:
        wait_for_workers(probe, 2)
        hung, begun = Held(probe), time.monotonic()
        process = hang(hung)
        # They are younger than the timeout when the first one is not.
        assert wait_until(lambda: time.monotonic() > begun + 0.8)
        others = [Held(probe) for _ in range(ROOM[inner] - 1)]
        waiting = probe.client()
        waiting.send("echo it was waiting")
        assert next_line(hung.client) in LOST
        assert is_gone(process) or wait_until(lambda: is_gone(process), 1.0)
        fates = [ask(other.client, "echo here") for other in others]
        expected = [LOST if other.pid == hung.pid else ("here",) for other in others]
        assert all(map(tuple.__contains__, expected, fates)), (fates, probe.log())
        assert len(set(fates) - {"here"}) <= (inner == "ThreadPool(4)")
        assert next_line(waiting) == "it was waiting"
        (age,) = ages(probe, hung.port)
        assert 1.6 <= age < 3.0
        for client in (waiting, *(other.client for other in others)):
            client.close()
        assert probe.answers()
        probe.stop()


@inners
def test_the_log_has_the_stack_of_every_thread(inner: str) -> None:
    with probing(prefork(1, inner, timeout=0.5)) as probe:
        hung = Held(probe)
        hang(hung)
        found = stack(probe, hung.pid)
        # A child has one thread; a worker also the one that watches its parent, and those of the
        # pool. The handler's is the current one only where nobody but the main thread runs it.
        threads = {"Forking(10)": 1, "ThreadPool(4)": 3}.get(inner, 2)
        assert len(re.findall(r"^(Current thread|Thread) 0x", found, re.MULTILINE)) == threads
        assert " in do_sleep\n" in found
        assert ("wait_for_cut" in found) is (inner != "Forking(10)")
        assert next_line(hung.client) in LOST
        probe.stop()


@inners
def test_what_ignores_the_first_signal_is_killed(inner: str) -> None:
    with probing(prefork(1, inner, timeout=0.5)) as probe:
        hung = Held(probe)
        assert hung.client.ask(f"ignore {int(signal.SIGABRT)}") == "ignored"
        process = hang(hung)
        assert next_line(hung.client) in LOST
        assert wait_until(lambda: is_gone(process), 1.0)
        assert "(unknown)" in stack(probe, hung.pid)
        assert wait_until(lambda: f" {hung.pid} was ended by signal 9" in probe.log())
        assert probe.answers()
        probe.stop()


@inners
def test_the_lock_of_the_interpreter_does_not_keep_it(inner: str) -> None:
    with probing(prefork(1, inner, timeout=0.5)) as probe:
        hung = Held(probe)
        process = hang(hung, "hold 60")
        assert next_line(hung.client) in LOST
        assert wait_until(lambda: is_gone(process), 1.0)
        assert " in do_hold\n" in stack(probe, hung.pid)
        assert probe.answers()
        probe.stop()


@inners
def test_a_worker_is_replaced_and_a_child_leaves_its_worker_as_it_is(inner: str) -> None:
    with probing(prefork(2, inner, timeout=0.5)) as probe:
        before = wait_for_workers(probe, 2)
        hung = Held(probe)
        hang(hung)
        assert next_line(hung.client) in LOST
        after = wait_for_workers(probe, 2, without=hung.pid)
        assert len(after & before) == (1 if hung.parent == probe.pid else 2)
        assert probe.answers()
        probe.stop()


@inners
def test_all_of_them_at_the_same_time(inner: str) -> None:
    with probing(prefork(2, inner, timeout=0.8)) as probe:
        wait_for_workers(probe, 2)
        all_hung = [Held(probe) for _ in range(ROOM[inner])]
        processes = [hang(each) for each in all_hung]
        waiting = probe.client()
        waiting.send("echo it was waiting")
        assert next_line(waiting) == "it was waiting"
        assert {next_line(each.client) for each in all_hung} <= set(LOST)
        assert wait_until(lambda: all(map(is_gone, processes)))
        for pid in {each.pid for each in all_hung}:
            assert wait_until(lambda pid=pid: stack(probe, pid).count(" in do_sleep\n") > 0)
            assert stack(probe, pid).count("Fatal Python error") == 1
        waiting.close()
        probe.stop()


@inners
def test_the_first_worker_hangs_in_its_hook(inner: str) -> None:
    strategy = prefork(1, inner, timeout=0.5)
    with probing(strategy, worker_hooks=["start_hangs", "timeout_tells"]) as probe:
        waiting = probe.client()
        pid = probe.expect("worker_start")["pid"]
        assert probe.expect("worker_timeout", worker=pid, state="starting")["age"] > 0.5
        message = probe.expect("returned", error="WorkerStartError")["message"]
        assert f"worker {pid} was ended by signal 6" in message
        assert " in start_hangs\n" in stack(probe, pid)
        probe.closed()
        assert next_line(waiting) in LOST


@inners
def test_a_successor_hangs_in_its_hook(inner: str) -> None:
    strategy = prefork(2, inner, timeout=0.5)
    hooks = ["successors_hang", "exit_tells"]
    with probing(strategy, worker_hooks=hooks, grace=0.1) as probe:
        for pid in wait_for_workers(probe, 2):
            probe.expect("worker_start", worker=pid)
        killed = one_that_serves(probe)
        psutil.Process(killed).kill()
        probe.expect("worker_exit", worker=killed, status=-signal.SIGKILL)
        for _ in range(2):
            pid = probe.expect("worker_start")["pid"]
            probe.expect("worker_exit", worker=pid, status=-signal.SIGABRT, state="starting")
            assert probe.answers()
        assert " in start_hangs\n" in stack(probe, pid)
        probe.stop()


@pytest.mark.parametrize("inner", INNERS)
@pytest.mark.parametrize("way", [signal.SIGHUP, signal.SIGTERM])
def test_a_worker_that_drains_may_hang_no_longer(inner: str, way: int) -> None:
    """One that was replaced, and one whose server is closed: the grace period does not end it."""
    with probing(prefork(1, inner, timeout=0.8), grace=None) as probe:
        hung = Held(probe)
        hung.wait_until_all_serve()
        hang(hung)
        probe.signal(way)
        assert next_line(hung.client) in LOST
        (age,) = ages(probe, hung.port)
        assert age >= 0.8
        assert " in do_sleep\n" in stack(probe, hung.pid)
        if way == signal.SIGHUP:
            assert probe.answers()
            probe.stop()
        else:
            (fate,) = probe.closed()["report"]["connections"]
            assert (fate["peer"][1], fate["fate"]) == (hung.port, "cut")
