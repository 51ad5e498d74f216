"""Workers that do not hang: idle ones, which nobody wakes up, and those with short connections."""

from __future__ import annotations

import time

import pytest

from preforking import INNERS, LOST, Held, ask, next_line, prefork, wait_for_workers, workers
from probes import Probe, probing, wait_until

inners = pytest.mark.parametrize("inner", INNERS)


def sleeps(probe: Probe, seconds: float) -> bool:
    """Whether all of it sleeps through so many seconds."""
    before = probe.switches()
    return not wait_until(lambda: probe.switches() != before, seconds)


@inners
def test_an_idle_server_is_left_alone_and_does_not_wake_up(inner: str) -> None:
    with probing(prefork(2, inner, timeout=0.2)) as probe:
        before = wait_for_workers(probe, 2)
        for _ in range(2):  # the second time, somebody has to hear that the first one is over
            assert probe.answers()
            probe.expect("finished")
            assert wait_until(lambda: sleeps(probe, 0.2))
            assert sleeps(probe, 0.5)
        assert workers(probe) == before
        hung = Held(probe)
        assert ask(hung.client, "sleep 60") == "sleeping"
        assert next_line(hung.client) in LOST
        assert probe.log().count(" hangs, and is ended") == 1
        probe.stop()


@inners
def test_many_short_connections_are_no_long_one(inner: str) -> None:
    with probing(prefork(1, inner, timeout=0.6)) as probe:
        before = wait_for_workers(probe, 1)
        begun, answered = time.monotonic(), 0
        current = probe.client()
        # The next one is there before the last one ends, so the worker is never idle.
        while time.monotonic() < begun + 1.2:
            following = probe.client()
            assert [ask(current, "sleep 0.05"), next_line(current)] == ["sleeping", "slept"]
            current.close()
            current, answered = following, answered + 1
        current.close()
        assert answered > 5
        assert workers(probe) == before
        assert "hangs" not in probe.log()
        probe.stop()
