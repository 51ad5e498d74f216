"""The system refuses a process: it is asked again, and the server goes on with what it has."""

from __future__ import annotations

from itertools import pairwise

import pytest

from preforking import INNERS, LOST, kill_one, next_line, prefork, wait_for_workers, workers
from probes import Probe, probing, wait_until

inners = pytest.mark.parametrize("inner", INNERS)

MESSAGE = "no worker could be started: [Errno 11] Resource temporarily unavailable"


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
