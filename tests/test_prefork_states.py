"""Workers that come and go, as the status of their server shows them."""

from __future__ import annotations

import fcntl
import os
import signal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from boards import NESTS, connections, has_started, hold, look, status, total, workers
from probes import probing, wait_until


@pytest.mark.parametrize("strategy", NESTS)
def test_a_worker_that_was_killed_is_gone_from_it(strategy: str) -> None:
    with probing(strategy) as probe:
        assert wait_until(partial(has_started, probe, 2))
        (client,) = hold(probe, 1)
        killed, left = sorted(look(probe), key=lambda each: -each["in_flight"])
        os.kill(killed["pid"], signal.SIGKILL)
        if "Forking" not in strategy:  # whose child goes on
            assert client.receive() is None
        assert wait_until(lambda: killed["pid"] not in [each["pid"] for each in look(probe)])
        assert wait_until(partial(has_started, probe, 2))
        found = look(probe)
        assert left["pid"] in [each["pid"] for each in found]
        assert connections(found) == []
        assert total(found, "accepted") == 0
        client.close()
        probe.stop()


@pytest.mark.parametrize("strategy", NESTS)
def test_after_a_reload(strategy: str) -> None:
    with probing(strategy) as probe:
        assert wait_until(partial(has_started, probe, 2))
        (client,) = hold(probe, 1)
        before = {each["pid"] for each in status(probe)["strategy"]["workers"]}
        assert client.ask("reload") == "reloaded"

        # Of the old ones that is left which has the connection, or a worker of its own that has it.
        def is_done() -> bool:
            shown = status(probe)["strategy"]["workers"]
            new = [each["generation"] for each in shown if each["state"] == "waiting"]
            closing[:] = [each for each in shown if each["state"] != "waiting"]
            left = [each["state"] for each in workers({"workers": closing})]
            return new == len(before) * [1] and len(closing) == 1 and left == ["closing"]

        closing: list[Any] = []
        assert wait_until(is_done)
        assert closing[0]["generation"] == 0
        assert closing[0]["pid"] in before
        (worker,) = workers({"workers": closing})
        assert worker["in_flight"] == len(connections([worker])) == 1
        assert client.ask("echo still there") == "still there"
        client.close()
        assert wait_until(
            lambda: not before & {each["pid"] for each in status(probe)["strategy"]["workers"]}
        )
        assert wait_until(partial(has_started, probe, 2))
        probe.stop()


def test_a_worker_that_has_only_to_exit_is_retiring(tmp_path: Path) -> None:
    with probing("Prefork(1)") as probe, (tmp_path / "obstacle").open("w") as obstacle:
        fcntl.flock(obstacle, fcntl.LOCK_EX)
        assert probe.ask(f"leave_thread {obstacle.name}") == "left"
        (worker,) = look(probe)
        assert probe.ask("reload") == "reloaded"
        assert wait_until(
            lambda: (
                {each["pid"]: each["state"] for each in look(probe)}.get(worker["pid"])
                == "retiring"
            )
        )
        fcntl.flock(obstacle, fcntl.LOCK_UN)
        assert wait_until(lambda: worker["pid"] not in [each["pid"] for each in look(probe)])
        probe.stop()


def test_one_that_was_replaced_is_shown_until_it_has_drained() -> None:
    with probing("Prefork(2, ThreadPool(2))", next=["Prefork(1)"]) as probe:
        (old,) = hold(probe, 1)
        probe.signal(signal.SIGHUP)
        probe.expect("assigned")
        assert wait_until(partial(has_started, probe, 1))
        (retired,) = status(probe)["retired"]
        assert retired["strategy"] == "Prefork(2, ThreadPool(2))"
        (worker,) = [each for each in retired["workers"] if each["in_flight"]]
        assert worker["state"] == "closing"
        assert [each["peer"][1] for each in connections([worker])] == [old.socket.getsockname()[1]]
        old.close()
        assert wait_until(lambda: status(probe)["retired"] == [])
        probe.stop()
