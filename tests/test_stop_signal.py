"""The stop signal: in one process, and across a fork."""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

import psutil
import pytest
from serverstrategy import StopSignal

# The other method has a thread of its own, and a process with threads should not be forked.
pytestmark = [
    pytest.mark.timeout(60, method="signal"),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork"),
]

PATIENCE = 20.0


def is_readable(fd: int, timeout: float = 0) -> bool:
    return bool(select.select([fd], [], [], timeout)[0])


def hears(stop: StopSignal) -> bool:
    """Whether the stop comes in time, by the descriptor and by the question."""
    return is_readable(stop.fileno(), PATIENCE) and stop.is_set()


def descriptors() -> int:
    return psutil.Process().num_fds()


# One process


@pytest.fixture
def stop() -> Any:
    made = StopSignal()
    yield made
    made.close()


def test_it_is_not_set_at_first(stop: StopSignal) -> None:
    assert not stop.is_set()
    assert not is_readable(stop.fileno())
    assert not stop.owner_is_lost()


def test_set_is_heard(stop: StopSignal) -> None:
    stop.set()
    assert stop.is_set()
    assert is_readable(stop.fileno())
    assert not stop.owner_is_lost()


def test_ask_is_heard(stop: StopSignal) -> None:
    stop.ask()
    assert stop.is_set()
    assert is_readable(stop.fileno())


def test_nobody_takes_the_byte(stop: StopSignal) -> None:
    stop.set()
    for _ in range(3):
        assert stop.is_set()
        assert is_readable(stop.fileno())


def test_the_descriptor_stays_the_same(stop: StopSignal) -> None:
    before = stop.fileno()
    stop.set()
    assert stop.fileno() == before >= 0


def test_set_wakes_a_thread_that_waits(stop: StopSignal) -> None:
    heard: list[bool] = []
    thread = threading.Thread(target=lambda: heard.append(hears(stop)))
    thread.start()
    stop.set()
    thread.join(PATIENCE)
    assert heard == [True]


def test_setting_over_and_over_never_blocks(stop: StopSignal) -> None:
    for _ in range(5000):
        stop.set()
        stop.ask()
    assert stop.is_set()


def test_set_in_a_signal_handler(stop: StopSignal) -> None:
    before = signal.signal(signal.SIGUSR1, lambda *_: stop.set())
    try:
        signal.raise_signal(signal.SIGUSR1)
        assert stop.is_set()
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_it_takes_two_descriptors_and_gives_them_back() -> None:
    before = descriptors()
    stop = StopSignal()
    assert descriptors() == before + 2
    stop.close()
    assert descriptors() == before
    assert stop.fileno() == -1


def test_closing_twice_is_no_error(stop: StopSignal) -> None:
    stop.close()
    stop.close()


def test_a_closed_signal_counts_as_stopped(stop: StopSignal) -> None:
    stop.close()
    assert stop.is_set()


def test_a_closed_signal_can_be_told_everything(stop: StopSignal) -> None:
    stop.close()
    stop.set()
    stop.ask()
    stop.cut()


def test_a_closed_signal_has_lost_no_owner(stop: StopSignal) -> None:
    stop.close()
    assert not stop.owner_is_lost()


# Parts


@pytest.fixture
def tree() -> Any:
    """A signal, two parts of it, and a part of the first part."""
    whole = StopSignal()
    first, second = whole.child(), whole.child()
    below = first.child()
    made = (whole, first, second, below)
    yield made
    for each in made:
        each.close()


def test_stopping_the_whole_stops_every_part(tree: tuple[StopSignal, ...]) -> None:
    whole = tree[0]
    whole.set()
    for each in tree:
        assert is_readable(each.fileno())
        assert each.is_set()


def test_stopping_a_part_stops_what_is_below_and_nothing_else(
    tree: tuple[StopSignal, ...],
) -> None:
    whole, first, second, below = tree
    first.set()
    assert [each.is_set() for each in (whole, first, second, below)] == [False, True, False, True]
    assert [is_readable(each.fileno()) for each in (whole, second)] == [False, False]


@pytest.mark.parametrize("position", range(4))
def test_asking_any_part_stops_the_whole(tree: tuple[StopSignal, ...], position: int) -> None:
    tree[position].ask()
    assert all(each.is_set() for each in tree)


def test_a_part_of_what_is_stopped_is_stopped(stop: StopSignal) -> None:
    stop.set()
    part = stop.child()
    assert part.is_set()
    assert is_readable(part.fileno())
    part.close()


def test_closing_the_whole_leaves_the_parts_open(tree: tuple[StopSignal, ...]) -> None:
    whole, first, *_ = tree
    whole.close()
    assert not first.is_set()
    assert first.fileno() >= 0
    first.set()
    assert first.is_set()


def test_closing_a_part_leaves_the_others_alone(tree: tuple[StopSignal, ...]) -> None:
    whole, first, second, below = tree
    first.close()
    assert not any(each.is_set() for each in (whole, second, below))
    whole.set()
    assert second.is_set()


def test_a_closed_part_is_forgotten_by_the_whole(stop: StopSignal) -> None:
    before = len(gc.get_objects())
    for _ in range(2000):
        stop.child().close()
    gc.collect()
    assert len(gc.get_objects()) < before + 1000


# Across a fork


def in_child(main: Callable[[], object]) -> int:
    """Fork a child that exits with 0 if `main` returns True; return its pid."""
    pid = os.fork()
    if pid == 0:
        _be_child(main)
    return pid


def _be_child(main: Callable[[], object]) -> NoReturn:
    status = 1
    try:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(int(PATIENCE))
        status = 0 if main() is True else 2
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(status)


def result(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_a_child_hears_the_stop(stop: StopSignal) -> None:
    pid = in_child(lambda: hears(stop) and not stop.owner_is_lost())
    stop.set()
    assert result(pid) == 0


def test_a_child_of_what_is_stopped_hears_it_at_once(stop: StopSignal) -> None:
    stop.set()
    assert result(in_child(lambda: is_readable(stop.fileno()) and stop.is_set())) == 0


def test_a_child_hears_nothing_before_the_stop(stop: StopSignal) -> None:
    pid = in_child(lambda: not stop.is_set() and not is_readable(stop.fileno()))
    assert result(pid) == 0


def test_a_child_hears_the_stop_of_its_part_and_of_the_whole(stop: StopSignal) -> None:
    part, other = stop.child(), stop.child()
    mine, others = in_child(lambda: hears(part)), in_child(lambda: hears(other))
    part.set()
    assert result(mine) == 0
    assert not other.is_set()
    stop.set()
    assert result(others) == 0
    part.close()
    other.close()


def test_a_child_can_ask_the_owner(stop: StopSignal) -> None:
    def ask() -> bool:
        stop.ask()
        return True

    pid = in_child(ask)
    assert hears(stop)
    assert result(pid) == 0


def test_what_one_child_asks_is_relayed_to_the_others(stop: StopSignal) -> None:
    parts = [stop.child() for _ in range(3)]

    def ask() -> bool:
        stop.leave_siblings()
        parts[0].ask()
        return hears(parts[0])

    def listen(part: StopSignal) -> bool:
        part.leave_siblings()
        return hears(part)

    pids = [in_child(ask), *(in_child(lambda part=part: listen(part)) for part in parts[1:])]
    assert hears(stop)
    assert all(part.is_set() for part in parts)
    assert [result(pid) for pid in pids] == [0, 0, 0]
    for part in parts:
        part.close()


def test_a_child_of_a_child_can_ask_the_owner(stop: StopSignal) -> None:
    part = stop.child()

    def ask() -> bool:
        part.ask()
        return True

    pid = in_child(lambda: result(in_child(ask)) == 0)
    assert hears(stop)
    assert result(pid) == 0
    part.close()


def test_a_child_that_dies_stops_nobody(stop: StopSignal) -> None:
    pid = in_child(lambda: os.kill(os.getpid(), signal.SIGKILL))
    assert result(pid) == -signal.SIGKILL
    assert not stop.is_set()
    assert not is_readable(stop.fileno())


def test_a_child_keeps_one_of_the_two_descriptors(stop: StopSignal) -> None:
    part = stop.child()
    before = descriptors()
    assert result(in_child(lambda: descriptors() == before - 2)) == 0
    assert descriptors() == before
    part.close()


def test_leave_siblings_closes_theirs_and_keeps_its_own(stop: StopSignal) -> None:
    parts = [stop.child() for _ in range(3)]

    def leave() -> bool:
        before = descriptors()
        parts[1].leave_siblings()
        return (
            descriptors() == before - 2
            and parts[1].fileno() >= 0
            and parts[0].fileno() == parts[2].fileno() == -1
            and stop.fileno() >= 0
            and hears(parts[1])
        )

    pid = in_child(leave)
    parts[1].set()
    assert result(pid) == 0
    assert not parts[0].is_set()
    for part in parts:
        part.close()


def test_a_child_can_close_its_copy(stop: StopSignal) -> None:
    def close() -> bool:
        before = descriptors()
        stop.close()
        return descriptors() == before - 1

    assert result(in_child(close)) == 0
    assert not stop.is_set()


def test_a_child_can_be_the_owner_of_a_signal_of_its_own(stop: StopSignal) -> None:
    def own() -> bool:
        mine = StopSignal()
        pid = in_child(lambda: hears(mine))
        mine.set()
        return result(pid) == 0 and not stop.is_set()

    assert result(in_child(own)) == 0


def test_cut_is_heard(stop: StopSignal) -> None:
    pid = in_child(stop.wait_for_cut)
    stop.cut()
    assert result(pid) == 0


def test_cut_is_heard_after_the_stop(stop: StopSignal) -> None:
    pid = in_child(lambda: hears(stop) and stop.wait_for_cut())
    stop.set()
    stop.set()
    stop.cut()
    assert result(pid) == 0


def test_closing_is_no_cut(stop: StopSignal) -> None:
    pid = in_child(lambda: stop.wait_for_cut() is False)
    stop.set()
    stop.close()
    assert result(pid) == 0


# The death of the owner


class Family:
    """An owner, killed with SIGKILL, and its children, which say what they heard of it."""

    def __init__(self, *mains: Callable[[StopSignal], dict[str, Any]]) -> None:
        self._mains = mains
        self._reports, self._report = os.pipe()
        self._release, self._hold = os.pipe()
        self.pid = in_child(self._be_owner)
        os.close(self._report)
        os.close(self._release)

    def _be_owner(self) -> bool:
        # Not Python's, since a child of this process would close a copy of it only.
        os.close(self._hold)
        stop = StopSignal()
        for name, main in enumerate(self._mains):
            in_child(lambda name=name, main=main: self._be_child(name, main, stop))
        signal.pause()
        return False

    def _be_child(
        self, name: int, main: Callable[[StopSignal], dict[str, Any]], stop: StopSignal
    ) -> bool:
        self._say(child=name, heard="born")
        self._say(child=name, **main(stop))
        return True

    def _say(self, **what: Any) -> None:
        os.write(self._report, json.dumps(what).encode() + b"\n")

    def stay(self, stop: StopSignal) -> dict[str, Any]:
        """What a process of the application does: it lives on, and knows nothing of signals."""
        os.read(self._release, 1)
        return {}

    def kill_owner(self) -> list[dict[str, Any]]:
        """Kill the owner once its children are there, and return what they have heard."""
        with os.fdopen(self._reports, "rb") as reports:
            for _ in self._mains:
                assert json.loads(reports.readline())["heard"] == "born"
            killed = time.monotonic()
            os.kill(self.pid, signal.SIGKILL)
            assert result(self.pid) == -signal.SIGKILL
            expected = sum(main is not Family.stay for main in self._mains)
            heard = [json.loads(reports.readline()) for _ in range(expected)]
            assert all(each["at"] - killed < PATIENCE / 2 for each in heard)
            os.close(self._hold)
            while reports.readline():  # to the end of file: all of them are gone
                pass
        return heard


def listen(stop: StopSignal) -> dict[str, Any]:
    before = stop.owner_is_lost()
    readable = is_readable(stop.fileno(), PATIENCE)
    return {
        "readable": readable,
        "at": time.monotonic(),
        "is_set": stop.is_set(),
        "lost": [before, stop.owner_is_lost()],
    }


def wait_for_loss(stop: StopSignal) -> dict[str, Any]:
    stop.wait_for_owner_loss()
    return {"at": time.monotonic(), "lost": stop.owner_is_lost()}


def wait_for_cut(stop: StopSignal) -> dict[str, Any]:
    return {"cut": stop.wait_for_cut(), "at": time.monotonic()}


def stay(stop: StopSignal) -> dict[str, Any]:
    raise NotImplementedError


def killed(*mains: Callable[[StopSignal], dict[str, Any]]) -> list[dict[str, Any]]:
    return Family(*mains).kill_owner()


def _check_heard(heard: dict[str, Any]) -> None:
    assert heard["readable"]
    assert heard["is_set"]
    assert heard["lost"] == [False, True]


def test_a_child_hears_the_death_of_the_owner() -> None:
    (heard,) = killed(listen)
    _check_heard(heard)


def test_siblings_do_not_hide_the_death_of_the_owner() -> None:
    heard = killed(listen, listen, listen)
    assert {each["child"] for each in heard} == {0, 1, 2}
    for each in heard:
        _check_heard(each)
