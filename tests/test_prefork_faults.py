"""Processes of a server with workers that are killed or stopped from outside."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from collections.abc import Iterator
from functools import partial

import psutil
import pytest

from boards import NESTS, connections, has_started, hold, innermost, look, status, workers
from loading import loading
from preforks import all_answered
from probes import Client, Probe, is_gone, probing, wait_until

# One second is promised. An idle machine takes 0.9, of which 0.7 are for finishing; the rest is for
# one on which other processes want each processor too.
GONE = 4.0
# How long an answer may take that waits for nobody, in seconds, on such a machine.
AT_ONCE = 1.0


def are_gone(processes: list[psutil.Process]) -> bool:
    return all(map(is_gone, processes))


def kill(probe: Probe) -> list[psutil.Process]:
    """Kill the first process; return the others."""
    below = probe.children()
    probe.signal(signal.SIGKILL)
    probe.process.wait()
    return below


def started(probe: Probe) -> Probe:
    assert wait_until(partial(has_started, probe, 2))
    return probe


# A parent that is killed


@pytest.mark.parametrize("strategy", NESTS)
@pytest.mark.parametrize("state", ["idle", "reading", "asleep"])
def test_nothing_survives_its_parent(strategy: str, state: str) -> None:
    with probing(strategy) as probe:
        clients = hold(started(probe), 0 if state == "idle" else 2)
        if state == "asleep":
            for client in clients:
                assert client.ask("sleep 60") == "sleeping"
        below = kill(probe)
        assert wait_until(lambda: are_gone(below), GONE)
        for client in clients:
            assert client.receive() is None
        assert probe.refuses()


@pytest.mark.parametrize(
    "strategy", ["Prefork(1, Prefork(2))", "Prefork(1, Prefork(1, Prefork(2)))"]
)
def test_no_worker_survives_the_one_around_it(strategy: str) -> None:
    """Else each would be granted a second after the one around it."""
    with probing(strategy) as probe:
        for client in hold(started(probe), 2):
            assert client.ask("sleep 60") == "sleeping"
        around = psutil.Process(middle(probe))
        below = kill(probe)
        assert wait_until(lambda: is_gone(around), GONE)
        assert are_gone(below)


@pytest.mark.parametrize("strategy", NESTS)
def test_no_hook_at_the_start_survives_its_parent(strategy: str) -> None:
    with probing(strategy, worker_hooks=["start_hangs"]) as probe:
        for _ in range(1 if "Prefork(1" in strategy else 2):
            probe.expect("worker_start")
        below = kill(probe)
        assert wait_until(lambda: are_gone(below), GONE)
        assert probe.refuses()


@pytest.mark.parametrize("strategy", NESTS)
def test_what_ends_soon_is_answered(strategy: str) -> None:
    with probing(strategy) as probe:
        clients = hold(started(probe), 2)
        for client in clients:
            assert client.ask("sleep 0.2") == "sleeping"
        below = kill(probe)
        for client in clients:
            assert client.receive() == "slept"
            client.close()
        assert wait_until(lambda: are_gone(below), GONE)


# A worker that is killed


def test_children_of_a_killed_worker_finish_what_they_have() -> None:
    """Nobody cuts them any more: not even the close of the server."""
    with probing("Prefork(2, Forking(10))", grace=0.0) as probe:
        (client,) = hold(started(probe), 1)
        worker = int((client.ask("who") or "").split()[1])
        os.kill(worker, signal.SIGKILL)
        assert wait_until(lambda: worker not in [each["pid"] for each in look(probe)])
        probe.stop()
        assert client.ask("echo still there") == "still there"
        client.close()


# A worker between others that is killed


def middle(probe: Probe) -> int:
    # Its workers may accept before it has told that they do.
    assert wait_until(lambda: bool(status(probe)["serving"]))
    (worker,) = status(probe)["strategy"]["workers"]
    return int(worker["pid"])


@pytest.mark.parametrize(
    "strategy", ["Prefork(1, Prefork(2))", "Prefork(1, Prefork(2, Threaded()))"]
)
@pytest.mark.parametrize("seconds", [0.2, 60])
def test_a_killed_middle_leaves_no_orphan(strategy: str, seconds: float) -> None:
    with probing(strategy) as probe:
        short, reading = hold(started(probe), 2)
        assert short.ask(f"sleep {seconds}") == "sleeping"
        killed = middle(probe)
        below = probe.children()
        assert len(below) == 3
        os.kill(killed, signal.SIGKILL)
        assert short.receive() == ("slept" if seconds < 1 else None)
        short.close()
        assert reading.receive() is None
        assert wait_until(lambda: are_gone(below), GONE)
        assert wait_until(partial(has_started, probe, 2))
        assert middle(probe) != killed
        found = look(probe)
        assert connections(found) == []
        assert [each["accepted"] for each in found] == [0, 0]
        pids = {each["pid"] for each in found}
        for client in hold(probe, 2):
            assert int(client.ask("pid") or 0) in pids
            client.close()
        assert len(probe.children()) == 3
        probe.stop()


def test_a_load_is_served_by_the_next_one() -> None:
    """What was in flight is answered or cut; what came later waited in the backlog."""
    with probing("Prefork(1, Prefork(2, ThreadPool(4)))") as probe:
        started(probe)
        for number in range(3):
            before = middle(probe)
            os.kill(before, signal.SIGKILL)
            for _ in range(20):
                assert probe.ask(f"echo {number}") == str(number)
            assert wait_until(partial(has_started, probe, 2))
            assert middle(probe) != before
        assert wait_until(lambda: len(probe.children()) == 3)
        probe.stop()


# A worker that is stopped


@contextlib.contextmanager
def stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        assert wait_until(lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED)
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):  # the one around it may have killed it
            os.kill(pid, signal.SIGCONT)


def all_are_answered(probe: Probe, number: int = 50) -> set[int]:
    """Ask one after the other; return the workers that have answered."""
    pids = set()
    for _ in range(number):
        begun = time.monotonic()
        with probe.client(timeout=5.0) as client:
            pid, parent, _ = map(int, (client.ask("who") or "").split())
        assert time.monotonic() - begun < AT_ONCE
        pids |= {pid, parent}
    return pids & {each["pid"] for each in look(probe)}


@pytest.mark.parametrize("strategy", NESTS)
def test_no_connection_is_given_to_an_idle_worker_that_is_stopped(strategy: str) -> None:
    with probing(strategy) as probe:
        first, second = (each["pid"] for each in look(started(probe)))
        for pid, other in ((first, second), (second, first)):
            assert wait_until(lambda: not any(each["in_flight"] for each in look(probe)))
            with stopped(pid):
                assert all_are_answered(probe) == {other}
                counts = {each["pid"]: each["in_flight"] for each in look(probe)}
                assert counts[pid] == 0
        # It serves again: two that wait are two workers, where each handles one.
        if strategy in ("Prefork(2)", "Prefork(1, Prefork(2))"):
            clients = hold(probe, 2)
            assert {int(client.ask("pid") or 0) for client in clients} == {first, second}
            for client in clients:
                client.close()
        probe.stop()


@pytest.mark.parametrize("strategy", NESTS)
def test_only_the_connections_of_a_stopped_worker_wait(strategy: str) -> None:
    with probing(strategy) as probe:
        (waiting,) = hold(started(probe), 1)
        busy, idle = sorted(look(probe), key=lambda each: -each["in_flight"])
        # A child is a process of its own: for those, stop it instead of its worker.
        (listed,) = innermost(busy)["connections"]
        with stopped(listed["child"] or busy["pid"]):
            waiting.send("echo at last")
            answered = all_are_answered(probe)
            assert idle["pid"] in answered or listed["child"]
            assert busy["pid"] not in answered or listed["child"]
            assert not has_answer(waiting)
        assert waiting.receive() == "at last"
        waiting.close()
        probe.stop()


@pytest.mark.parametrize("strategy", NESTS)
def test_under_load_only_the_connections_of_a_stopped_worker_wait(strategy: str) -> None:
    with probing(strategy, quiet=True) as probe:
        (worker, *_) = (each["pid"] for each in look(started(probe)))
        with loading(probe.address, rate=300.0, most=8) as load:
            load.wait_for(30)
            with stopped(worker):
                load.wait_for(30)
                begun = time.monotonic()
                load.wait_for(60)
                goes_on = time.monotonic()
            fates = all_answered(load)
        waited = [each for each in fates if each.began < begun and each.ended > goes_on]
        assert all(worker in (each.pid, each.parent) for each in waited), waited
        probe.stop()


def has_answer(client: Client) -> bool:
    client.socket.setblocking(False)
    try:
        return bool(client.socket.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return False
    finally:
        client.socket.settimeout(20.0)


@pytest.mark.parametrize("strategy", ["Prefork(1, Prefork(2))"])
def test_a_stopped_middle_keeps_nobody_waiting(strategy: str) -> None:
    with probing(strategy) as probe:
        pids = {each["pid"] for each in look(started(probe))}
        with stopped(middle(probe)):
            assert all_are_answered(probe) <= pids
        assert probe.ask("echo hi") == "hi"
        probe.stop()


@pytest.mark.parametrize("strategy", NESTS[:4])
def test_a_stopped_worker_ends_when_it_goes_on(strategy: str) -> None:
    """It hears of the stop, or of its parent's death, afterwards."""
    with probing(strategy) as probe:
        started(probe)
        below = probe.children()
        (first, *_) = workers(status(probe)["strategy"])
        with stopped(first["pid"]):
            kill(probe)
            others = [each for each in below if each.pid != first["pid"]]
            assert wait_until(lambda: are_gone(others), GONE)
        assert wait_until(lambda: are_gone(below), GONE)
