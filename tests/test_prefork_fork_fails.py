"""The system refuses a process or a thread: it is asked again, and the server goes on meanwhile."""

from __future__ import annotations

import os
import signal
import time
from itertools import pairwise

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
from probes import Probe, is_gone, probing, wait_until

inners = pytest.mark.parametrize("inner", INNERS)

MESSAGE = "no worker could be started: [Errno 11] Resource temporarily unavailable"
NO_THREAD = "no worker could be started: there is no room for its thread"


def attempts(probe: Probe, numbers: range) -> list[float]:
    """When the forks with these numbers were attempted."""
    return [probe.expect("fork", number=number)["at"] for number in numbers]


def pauses(times: list[float]) -> list[float]:
    return [later - earlier for earlier, later in pairwise(times)]


def grow(found: list[float]) -> bool:
    """Whether each pause is about twice as long as the one before, from 0.1 seconds on."""
    return all(pause >= 0.75 * 0.1 * 2**times for times, pause in enumerate(found))


@inners
def test_at_the_start(inner: str) -> None:
    with probing(prefork(2, inner), failing_forks=[0, 1, 2]) as probe:
        early = probe.client()
        early.send("echo it was waiting")
        found = pauses(attempts(probe, range(4)))
        assert grow(found), found
        assert next_line(early) == "it was waiting"
        early.close()
        wait_for_workers(probe, 2)
        assert probe.log().count(MESSAGE) == 1
        probe.stop()


@inners
def test_later(inner: str) -> None:
    with probing(prefork(2, inner), failing_forks=[2, 3, 4]) as probe:
        killed = kill_one(probe, 2)
        assert wait_until(lambda: killed not in workers(probe))
        (left,) = workers(probe)
        times = attempts(probe, range(2, 5))
        while workers(probe) == {left}:
            assert probe.answers()
        found = pauses([*times, *attempts(probe, range(5, 6))])
        assert grow(found), found
        assert left in wait_for_workers(probe, 2)
        assert probe.log().count(MESSAGE) == 1
        probe.stop()


@inners
def test_for_good_it_goes_on_with_what_it_has(inner: str) -> None:
    with probing(prefork(3, inner), failing_forks=list(range(1, 100))) as probe:
        found = pauses(attempts(probe, range(1, 5)))
        assert grow(found), found
        assert len(workers(probe)) == 1
        for _ in range(20):
            assert probe.answers()
        assert probe.log().count(MESSAGE) == 1
        probe.stop()


@inners
def test_it_can_be_stopped_without_a_worker(inner: str) -> None:
    with probing(prefork(2, inner), failing_forks=list(range(100))) as probe:
        early = probe.client()
        attempts(probe, range(3))
        assert workers(probe) == set()
        probe.stop()
        assert next_line(early) in LOST
        assert probe.refuses()


def test_the_pauses_begin_anew() -> None:
    with probing("Prefork(1)", failing_forks=[0, 1, 2, 3, 5]) as probe:
        times = attempts(probe, range(5))
        assert pauses(times)[-1] > 0.5
        kill_one(probe, 1)
        (failed, came) = attempts(probe, range(5, 7))
        assert 0.075 <= came - failed < 0.5
        assert wait_until(lambda: probe.log().count(MESSAGE) == 2)
        probe.stop()


# A worker is forked, and refused the thread that it has beside it


@pytest.mark.parametrize("inner", ["Synchronous()", "ThreadPool(4)"])
@pytest.mark.parametrize("first", [0, 1])
def test_a_worker_without_its_thread_is_no_crash(inner: str, first: int) -> None:
    """The first one, or the second."""
    numbers = list(range(first, first + 3))
    strategy = prefork(first + 1, inner, max_restarts=0)
    with probing(strategy, threadless_forks=numbers) as probe:
        early = probe.client()
        early.send("echo it was waiting")
        times = attempts(probe, range(first + 4))
        found = pauses(times[first:])
        assert grow(found), found
        assert next_line(early) == "it was waiting"
        early.close()
        wait_for_workers(probe, first + 1)
        assert probe.log().count(NO_THREAD) == 1
        assert "replacing it" not in probe.log()
        probe.stop()


@pytest.mark.parametrize("inner", ["Forking(10)", "Prefork(2)"])
def test_one_that_is_refused_it_at_its_end_drains(inner: str) -> None:
    with probing(prefork(1, inner), threadless_forks=[0]) as probe:
        held = Held(probe)
        held.wait_until_all_serve()
        probe.signal(signal.SIGTERM)
        probe.expect("closing")
        probe.wait_until_idle()
        assert ask(held.client, "echo last") == "last"
        held.client.close()
        (fate,) = probe.closed()["report"]["connections"]
        assert fate["fate"] == "finished"


@pytest.mark.parametrize("inner", ["Forking(10)", "Prefork(2)"])
def test_one_that_is_refused_it_at_its_end_cuts(inner: str) -> None:
    with probing(prefork(1, inner), threadless_forks=[0], grace=0.5) as probe:
        held = Held(probe)
        held.wait_until_all_serve()
        below = probe.children()
        assert ask(held.client, "sleep 60") == "sleeping"
        begun = time.monotonic()
        probe.signal(signal.SIGTERM)
        assert next_line(held.client) in LOST
        assert time.monotonic() - begun >= 0.5
        (fate,) = probe.closed()["report"]["connections"]
        assert fate["fate"] == "cut"
        assert all(map(is_gone, below))
        assert "SIGTERM" not in probe.log()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
@pytest.mark.parametrize("number", [4, 5, 6, 7])
def test_a_limit_of_the_system(number: int) -> None:
    """It hits at the fork of a worker, or at the thread of one."""
    with probing("Prefork(6, max_restarts=0)", processes=number) as probe:
        for _ in range(20):
            assert probe.answers()
        assert wait_until(lambda: "no worker could be started: " in probe.log())
        for _ in range(20):
            assert probe.answers()
        assert "replacing it" not in probe.log()
        probe.stop()
