"""A fork beside a thread may deadlock, so the parent of workers has none: Python 3.12 tells."""

from __future__ import annotations

import os
import signal
import sys
from functools import partial

import pytest

from boards import NESTS, has_started, look
from probes import Probe, probing, wait_until

pytestmark = pytest.mark.skipif(sys.version_info < (3, 12), reason="Python does not tell")

RECYCLED = [text[:-1] + ", max_requests=3)" for text in NESTS if "Prefork(1" not in text]


def are_others(probe: Probe, before: set[int]) -> bool:
    return has_started(probe, 2) and not before & pids(probe)


def pids(probe: Probe) -> set[int]:
    return {each["pid"] for each in look(probe)}


@pytest.mark.parametrize("strategy", NESTS + RECYCLED)
@pytest.mark.parametrize("hooks", [[], ["start_tells"]])
def test_no_fork_of_the_main_thread_is_warned_of(strategy: str, hooks: list[str]) -> None:
    with probing(strategy, worker_hooks=hooks) as probe:
        assert wait_until(partial(has_started, probe, 2))
        before = pids(probe)
        for _ in range(20):
            assert probe.ask("echo hi") == "hi"
        if strategy in RECYCLED:
            assert wait_until(lambda: not before <= pids(probe))
        assert wait_until(partial(has_started, probe, 2))
        before = pids(probe)
        probe.signal(signal.SIGHUP)  # which has it reload
        assert wait_until(partial(are_others, probe, before))
        before = pids(probe)
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        assert wait_until(partial(are_others, probe, before))
        assert probe.ask("echo hi") == "hi"
        probe.stop()
        assert "DeprecationWarning" not in probe.log()


def test_one_beside_another_thread_is() -> None:
    with probing("Prefork(2)", beside=True) as probe:
        assert wait_until(partial(has_started, probe, 2))
        probe.stop()
        assert "DeprecationWarning" in probe.log()
