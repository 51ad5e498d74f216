"""Live swap from threads to processes: the threads end before the first fork."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from probes import probing, wait_until
from senders import Gate
from swapping import (
    is_handled_by,
    no_fork_was_beside_a_thread,
    who,
    who_handles,
)


@pytest.mark.parametrize("old", ["Threaded()", "ThreadPool(4)"])
@pytest.mark.parametrize("new", ["Forking()", "Prefork(2, ThreadPool(4))"])
def test_threads_end_before_the_first_fork(old: str, new: str) -> None:
    with probing(old, next=[new]) as probe, probe.client() as dialogue:
        begun = who(dialogue)
        probe.signal(signal.SIGHUP)
        probe.expect("assigned")
        with probe.client() as waiting:
            waiting.send("who")
            assert who(dialogue) == begun
            assert probe.children() == []
            dialogue.close()
            assert waiting.receive() is not None
        events = [each["event"] for each in probe.seen]
        probe.stop()
        told = [each["event"] for each in probe.seen if each["event"] in ("handling", "finished")]
        assert told == ["handling", "finished", "handling", "finished"], events


@pytest.mark.parametrize("new", ["Forking()", "Prefork(2)"])
def test_threads_keep_forks_waiting_no_longer_than_the_grace_period(new: str) -> None:
    with probing("Threaded()", grace=0.3, next=[new]) as probe, probe.client() as dialogue:
        who(dialogue)
        probe.signal(signal.SIGHUP)
        assert probe.answers()
        assert dialogue.receive() is None
        assert "cut the <connection" in probe.log()
        assert who_handles(probe).pid != probe.pid
        probe.stop()
        assert no_fork_was_beside_a_thread(probe)


@pytest.mark.parametrize("new", ["Forking()", "Prefork(2)"])
def test_nor_does_a_handler_that_never_ends(new: str, tmp_path: Path) -> None:
    with (
        Gate(tmp_path / "gate") as gate,
        probing("Threaded()", grace=0.1, next=[new]) as probe,
        probe.client() as dialogue,
    ):
        dialogue.send(f"wait {gate.path}")
        probe.expect("handling")
        probe.signal(signal.SIGHUP)
        probe.expect("assigned")
        assert who_handles(probe).pid != probe.pid
        assert "abandoned the <connection" in probe.log()
        gate.open()
        probe.expect("finished")
        probe.stop()


@pytest.mark.parametrize("new", ["Forking()", "Prefork(2, ThreadPool(4))"])
def test_in_a_loop_of_the_programs_threads_end_before_the_first_fork(new: str) -> None:
    with probing("Threaded()", shape="OwnLoop", next=[new]) as probe, probe.client() as dialogue:
        begun = who(dialogue)
        probe.signal(signal.SIGHUP)  # calls in the loop's thread, where the assignment waits
        with probe.client() as waiting:
            waiting.send("who")
            assert who(dialogue) == begun
            assert probe.children() == []
            dialogue.close()
            probe.expect("assigned")
            # Such a loop starts no workers.
            assert (waiting.receive() or "").startswith(f"{probe.pid} ") is new.startswith("Pre")
        probe.stop()
        assert no_fork_was_beside_a_thread(probe)


def test_a_thread_that_drains_ends_before_the_first_fork() -> None:
    with (
        probing("Threaded()", next=["ThreadPool(1)", "Prefork(2)"]) as probe,
        probe.client() as dialogue,
    ):
        begun = who(dialogue)
        probe.signal(signal.SIGHUP)
        thread = probe.expect("assigned")["thread"]
        assert wait_until(lambda: is_handled_by("ThreadPool(1)", probe, set(), thread))
        probe.signal(signal.SIGHUP)
        probe.expect("assigned")
        with probe.client() as waiting:
            waiting.send("who")
            assert who(dialogue) == begun
            dialogue.close()
            assert waiting.receive() is not None
        probe.stop()
        assert no_fork_was_beside_a_thread(probe)
