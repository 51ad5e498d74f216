"""What a Prefork that serves a second time does about the workers of the first time."""

from __future__ import annotations

import signal

import psutil
import pytest

from probes import is_gone, probing

INNER = ["Synchronous()", "ThreadPool(2)", "Forking(2)", "Prefork(1)"]


@pytest.mark.parametrize("inner", INNER)
def test_a_worker_of_the_first_time_that_hangs_is_ended_by_the_close(inner: str) -> None:
    with probing(f"Prefork(2, {inner})", again=True, grace=0.2) as probe, probe.client() as old:
        hung = psutil.Process(int(old.ask("pid") or 0))
        assert old.ask("sleep 600") == "sleeping"
        probe.signal(signal.SIGTERM)
        probe.expect("again")
        assert probe.answers()
        assert not is_gone(hung)
        probe.stop()
        assert is_gone(hung)
        assert old.receive() is None


@pytest.mark.parametrize("inner", INNER)
def test_a_worker_of_the_first_time_that_has_finished_is_not_missed(inner: str) -> None:
    with probing(f"Prefork(2, {inner})", again=True) as probe:
        with probe.client() as old:
            assert old.ask("echo old") == "old"
            probe.signal(signal.SIGTERM)
            probe.expect("again")
            assert probe.answers()
        probe.stop()
        assert "replacing it" not in probe.log()
