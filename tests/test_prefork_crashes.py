"""Workers that die: at the start, soon after it, and in the middle of their work."""

from __future__ import annotations

import os
import signal
from itertools import pairwise

import psutil
import pytest

from loading import Load, loading
from preforking import (
    INNERS,
    LOST,
    Held,
    ask,
    kill_one,
    next_line,
    one_that_serves,
    prefork,
    wait_for_workers,
    workers,
)
from probes import Probe, is_gone, probing, wait_until

inners = pytest.mark.parametrize("inner", INNERS)


# The first ones


@inners
@pytest.mark.parametrize(
    ("hook", "how", "why"),
    [
        ("start_raises", "exited with 1", "ValueError: on_worker_start fails"),
        ("start_exits", "exited with 7", ""),
        ("start_gives_up", "exited with 1", "SystemExit: no database"),
    ],
)
def test_the_first_worker_fails(inner: str, hook: str, how: str, why: str) -> None:
    with probing(prefork(2, inner), worker_hooks=[hook, "exit_tells"]) as probe:
        try:
            early = probe.client()
        except ConnectionRefusedError:  # it has failed and closed before that
            early = None
        message = probe.expect("returned", error="WorkerStartError")["message"]
        pid = probe.expect("worker_exit")["worker"]
        assert message.startswith(f"worker {pid} {how} at its start")
        assert why in message
        assert (f", in {hook}\n" in message) is bool(why)
        probe.closed()
        assert probe.count("worker_start") <= 2  # nobody has tried again
        assert early is None or next_line(early) in LOST
        assert probe.refuses()


def test_the_first_worker_of_a_worker_fails() -> None:
    strategy = "Prefork(1, Prefork(2, max_restarts=0))"
    with probing(strategy, worker_hooks=["start_raises"], hooked=1) as probe:
        message = probe.expect("returned", error="WorkerStartError")["message"]
        assert "WorkerStartError: worker" in message
        assert "ValueError: on_worker_start fails" in message
        probe.closed()


def test_a_worker_that_has_served_has_not_failed_at_its_start() -> None:
    """Its parent has not had the time to see that it was ready before it has died."""
    hooks = ["start_waits_until_parent_stops", "exit_tells"]
    with probing("Prefork(1)", worker_hooks=hooks) as probe:
        dying = probe.client()
        dying.send("die")
        pid = probe.expect("worker_start")["pid"]
        probe.signal(signal.SIGSTOP)
        assert next_line(dying) in LOST
        worker = psutil.Process(pid)
        assert wait_until(lambda: is_gone(worker))
        probe.signal(signal.SIGCONT)
        probe.expect("worker_start")
        probe.stop()


def test_one_that_dies_at_its_start_while_another_serves() -> None:
    """Its parent has not had the time to see that the other one was ready."""
    hooks = ["start_waits_until_parent_stops", "exit_tells"]
    with probing("Prefork(2)", worker_hooks=hooks) as probe:
        dying = psutil.Process(probe.expect("worker_start")["pid"])
        other = probe.expect("worker_start")["pid"]
        dying.suspend()
        probe.signal(signal.SIGSTOP)
        assert int(probe.ask("pid") or 0) == other
        dying.kill()
        assert wait_until(lambda: is_gone(dying))
        probe.signal(signal.SIGCONT)
        probe.expect("worker_exit", worker=dying.pid, status=-signal.SIGKILL)
        assert other in wait_for_workers(probe, 2, without=dying.pid)
        probe.stop()


# Those after them


@inners
def test_workers_that_die_young_again_and_again(inner: str) -> None:
    hooks = ["successors_exit", "exit_tells"]
    with probing(prefork(2, inner, max_restarts=3), worker_hooks=hooks) as probe:
        killed = kill_one(probe, 2)
        probe.expect("worker_exit", worker=killed, status=-signal.SIGKILL)
        assert probe.answers()  # by the one that is left
        message = probe.expect("returned", error="CrashLoopError")["message"]
        # Whether the first one was young when it was killed depends on the machine.
        assert any(f"exited with 7 ({times} times)" in message for times in (3, 4)), message
        assert message.startswith("4 workers died before having served for a second")
        probe.closed()
        starts = [each["at"] for each in probe.seen if each["event"] == "worker_start"][2:]
        pauses = [later - earlier for earlier, later in pairwise(starts)]
        assert len(pauses) >= 2
        # The pause before the second one is at least 0.75 times 0.1 seconds, and so on.
        assert all(pause >= 0.75 * 0.1 * 2**times for times, pause in enumerate(pauses)), pauses
        assert probe.refuses()


@inners
def test_those_whose_start_takes_long_and_fails(inner: str) -> None:
    hooks = ["successors_raise_late", "exit_tells"]
    with probing(prefork(2, inner, max_restarts=1), worker_hooks=hooks) as probe:
        kill_one(probe, 2)
        message = probe.expect("returned", error="CrashLoopError")["message"]
        assert "2 workers died before having served for a second" in message
        ages = [each["age"] for each in probe.seen if each.get("status") == 1]
        assert min(ages) > 1.0
        probe.closed()


@inners
def test_two_that_die_young_and_a_third_that_lives(inner: str) -> None:
    hooks = ["two_successors_exit", "exit_tells"]
    with probing(prefork(2, inner, max_restarts=3), worker_hooks=hooks) as probe:
        before = wait_for_workers(probe, 2)
        killed = kill_one(probe, 2)
        for status in (-signal.SIGKILL, 7, 7):
            probe.expect("worker_exit", status=status)
            assert probe.answers()
        after = wait_for_workers(probe, 2)
        assert len(after & before) == 1
        assert killed not in after
        probe.stop()


# In the middle of their work


@inners
def test_killed_under_load_it_costs_its_own_connections_only(inner: str) -> None:
    strategy = prefork(2, inner)
    with probing(strategy, quiet=True, worker_hooks=["exit_tells"]) as probe:
        before = wait_for_workers(probe, 2)
        with loading(probe.address, commands=["sleep 0.01"], most=8) as load:
            load.wait_for(50)
            killed = kill_one(probe, 2)
            exited = probe.expect("worker_exit", worker=killed, status=-signal.SIGKILL)
            after = wait_for_workers(probe, 2, without=killed)
            assert wait_until(lambda: after <= served(load, probe)), probe.log()
            lost = [each for each in load.stop() if each.what != "answered"]
        assert len(after - before) == 1
        assert {each.what for each in lost} <= {"reset", "cut"}, lost
        own = {port for port, _ in exited["in_flight"]}
        # One may have been accepted, and not entered yet; and which connections the workers of a
        # worker have, it does not know.
        unknown = 2 if inner == "Prefork(2)" else 1
        assert len({each.port for each in lost} - own) <= unknown, (lost, exited)
        probe.stop()


def served(load: Load, probe: Probe) -> set[int]:
    """The workers of the probe that have served, by themselves or by a process of theirs."""
    found = {pid for each in load.fates.copy() for pid in (each.pid, each.parent)}
    return found - {0, probe.pid}


def test_those_below_a_worker_that_is_killed_are_gone() -> None:
    with probing("Prefork(1, Prefork(2))") as probe:
        (worker,) = wait_for_workers(probe, 1)
        assert wait_until(lambda: len(probe.children()) == 3)
        below = psutil.Process(worker).children()
        held = Held(probe)
        held.wait_until_all_serve()
        os.kill(worker, signal.SIGKILL)
        # One second is promised; the rest is for a loaded machine.
        assert wait_until(lambda: all(map(is_gone, below)), 3.0)
        assert next_line(held.client) in LOST
        assert probe.answers()
        probe.stop()


def test_the_log_has_the_stack_of_a_worker_that_has_crashed() -> None:
    with probing("Prefork(2, timeout=30)") as probe:
        held = Held(probe)
        held.wait_until_all_serve()
        assert ask(held.client, "sleep 60") == "sleeping"
        os.kill(held.pid, signal.SIGSEGV)
        assert next_line(held.client) in LOST
        wait_for_workers(probe, 2, without=held.pid)
        log = probe.log()
        assert f"worker {held.pid} was here:" in log
        assert " in do_sleep\n" in log
        assert f"worker {held.pid} was ended by signal {int(signal.SIGSEGV)}: replacing it" in log
        probe.stop()


@inners
def test_all_workers_are_killed(inner: str) -> None:
    with probing(prefork(2, inner)) as probe:
        before = wait_for_workers(probe, 2)
        one_that_serves(probe)
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        waiting = probe.client()
        assert ask(waiting, "echo it was waiting") == "it was waiting"
        waiting.close()
        assert wait_until(lambda: len(workers(probe) - before) == 2)
        probe.stop()
