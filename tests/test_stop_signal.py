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


def test_the_whole_ends_its_parts() -> None:
    before = descriptors()
    whole = StopSignal()
    parts = [whole.child() for _ in range(2)]
    whole.end_parts()
    assert all(part.is_set() for part in parts)
    assert not whole.is_set()
    assert descriptors() == before + 2
    whole.end_parts()
    whole.close()


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
    except BaseException:  # noqa: BLE001 - no child may return into the tests
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


def test_a_child_leaves_the_byte_to_the_others(stop: StopSignal) -> None:
    def hear_twice() -> bool:
        return hears(stop) and is_readable(stop.fileno()) and stop.is_set()

    pids = [in_child(hear_twice) for _ in range(3)]
    stop.set()
    assert [result(pid) for pid in pids] == [0, 0, 0]


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


def test_a_part_that_was_cut_cannot_stop_the_whole(stop: StopSignal) -> None:
    part = stop.child()

    def ask() -> bool:
        heard = part.wait_for_cut()
        part.ask()
        return heard

    pid = in_child(ask)
    part.cut()
    assert result(pid) == 0
    assert not stop.is_set()
    pid = in_child(lambda: part.ask() is None and stop.child().ask() is None)
    part.close()
    assert result(pid) == 0
    assert stop.is_set()


def test_closing_is_no_cut(stop: StopSignal) -> None:
    pid = in_child(lambda: stop.wait_for_cut() is False)
    stop.set()
    stop.close()
    assert result(pid) == 0


def test_a_part_that_a_worker_makes_hears_the_owner_of_the_whole(stop: StopSignal) -> None:
    worker = stop.child()

    def hear() -> bool:
        part = worker.child()
        ready = select.select(part.filenos(), [], [], PATIENCE)[0]
        return bool(ready) and part.is_set()

    pid = in_child(hear)
    stop.set()
    assert result(pid) == 0
    worker.close()


# The death of the owner

Main = Callable[[StopSignal, Callable[[], None]], object]


class Family:
    """An owner that is killed, its children, and what they say about it.

    Each main is called in a child with the signal and with what says that the child is ready for
    the death of the owner. What it returns is what it heard. A main that is None stands for a
    process of the application's own, which lives on and knows nothing of signals.
    """

    def __init__(self, mains: tuple[Main | None, ...]) -> None:
        self._mains = mains
        self._reports, self._report = os.pipe()
        self._release, self._hold = os.pipe()
        self._owner = in_child(self._be_owner)
        os.close(self._report)
        os.close(self._release)

    def kill_owner(self) -> list[dict[str, Any]]:
        """Kill the owner once its children are ready, and return what they heard."""
        with os.fdopen(self._reports, "rb") as reports:
            for _ in self._mains:
                assert json.loads(reports.readline()) == "ready"
            killed = time.monotonic()
            os.kill(self._owner, signal.SIGKILL)
            assert result(self._owner) == -signal.SIGKILL
            heard = [json.loads(reports.readline()) for main in self._mains if main is not None]
            assert all(each["at"] - killed < PATIENCE / 2 for each in heard)
            os.close(self._hold)
            assert reports.read() == b""  # at the end of file all of them are gone
        return heard

    def _be_owner(self) -> bool:
        os.close(self._hold)  # so that only the test holds it, and can let the others go
        stop = StopSignal()
        for main in self._mains:
            in_child(lambda main=main: self._be_child(main, stop))
        signal.pause()
        return False

    def _be_child(self, main: Main | None, stop: StopSignal) -> bool:
        if main is None:
            self._say_ready()
            os.read(self._release, 1)
        else:
            heard = main(stop, self._say_ready)
            self._say({"heard": heard, "at": time.monotonic()})
        return True

    def _say_ready(self) -> None:
        self._say("ready")

    def _say(self, what: Any) -> None:
        os.write(self._report, json.dumps(what).encode() + b"\n")


def listen(stop: StopSignal, ready: Callable[[], None]) -> object:
    lost = stop.owner_is_lost()
    ready()
    readable = is_readable(stop.fileno(), PATIENCE)
    return {"readable": readable, "set": stop.is_set(), "lost": [lost, stop.owner_is_lost()]}


LOSS = {"readable": True, "set": True, "lost": [False, True]}


def heard_by(*mains: Main | None) -> list[Any]:
    return [each["heard"] for each in Family(mains).kill_owner()]


def test_a_child_hears_the_death_of_the_owner() -> None:
    assert heard_by(listen) == [LOSS]


def test_siblings_do_not_hide_the_death_of_the_owner() -> None:
    assert heard_by(listen, listen, listen) == [LOSS, LOSS, LOSS]


def test_a_process_of_the_application_does_not_hide_the_death_of_the_owner() -> None:
    assert heard_by(None, listen, None) == [LOSS]


def test_a_child_of_a_child_hears_the_death_of_the_owner() -> None:
    def have_a_child_listen(stop: StopSignal, ready: Callable[[], None]) -> object:
        return result(in_child(lambda: listen(stop, ready) == LOSS))

    assert heard_by(have_a_child_listen) == [0]


def test_a_part_hears_the_death_of_the_owner() -> None:
    reports, report = os.pipe()

    def be_owner() -> bool:
        part = StopSignal().child()
        in_child(lambda: listen_to(part))
        signal.pause()
        return False

    def listen_to(part: StopSignal) -> bool:
        heard = listen(part, lambda: os.write(report, b"ready ") and None)
        return os.write(report, b"heard" if heard == LOSS else b"missed") > 0

    pid = in_child(be_owner)
    os.close(report)
    with os.fdopen(reports, "rb") as heard:
        assert heard.read(6) == b"ready "
        os.kill(pid, signal.SIGKILL)
        assert result(pid) == -signal.SIGKILL
        assert heard.read() == b"heard"


def test_waiting_for_the_loss_ends_with_the_owner() -> None:
    def wait(stop: StopSignal, ready: Callable[[], None]) -> object:
        stop.set()  # a stop is no loss
        assert not stop.owner_is_lost()
        ready()
        return stop.wait_for_cut() is False and stop.owner_is_lost()

    assert heard_by(wait, wait) == [True, True]


def test_waiting_for_a_cut_ends_with_the_owner() -> None:
    def wait(stop: StopSignal, ready: Callable[[], None]) -> object:
        ready()
        return stop.wait_for_cut()

    assert heard_by(wait) == [False]


def test_asking_a_dead_owner_is_no_error() -> None:
    def ask(stop: StopSignal, ready: Callable[[], None]) -> object:
        heard = listen(stop, ready)
        stop.ask()
        stop.cut()
        stop.close()
        return heard

    assert heard_by(ask) == [LOSS]
