"""Forking beside the main thread."""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from probes import PATIENCE, wait_until
from serverstrategy.strategies._children import Children


@pytest.fixture
def heard() -> Iterator[list[int]]:
    signals: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: signals.append(number))
    yield signals
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def _one_processor() -> Iterator[None]:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    yield
    os.sched_setaffinity(0, before)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="not on this platform")
@pytest.mark.usefixtures("_one_processor")
def test_a_signal_during_a_fork_in_another_thread_wakes_the_main_thread(heard: list[int]) -> None:
    answers: list[bool] = []

    def fork() -> None:
        children = Children()
        children.fork(
            lambda: 0, lambda _: os.kill(os.getpid(), signal.SIGTERM), lambda pid, status: None
        )
        # Once it has not woken up, only the join's end does it.
        answers.append(wait_until(lambda: heard != [], 0.3))
        assert children.wait(PATIENCE)
        children.close()

    for _ in range(20):
        heard.clear()
        thread = threading.Thread(target=fork)
        thread.start()
        thread.join()
    assert all(answers)


def test_a_child_knows_of_none_neither_of_itself_nor_of_another_strategys() -> None:
    first, second = Children(), Children()
    read, write = os.pipe()

    def wait_for_the_end() -> int:
        os.close(write)
        os.read(read, 1)
        return 0

    statuses: list[int] = []

    def note(_: int, status: int) -> None:
        statuses.append(status)

    first.fork(wait_for_the_end, lambda _: None, note)
    second.fork(lambda: len(first.pids() + second.pids()), lambda _: None, note)
    assert second.wait(PATIENCE)
    os.close(write)
    assert first.wait(PATIENCE)
    os.close(read)
    assert statuses == [0, 0]
    first.close()
    second.close()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="no /proc")
def test_a_child_has_no_descriptor_of_its_siblings() -> None:
    def count() -> int:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - nothing is opened but the folder

    def wait_for_the_end() -> int:
        os.close(write)
        os.read(read, 1)
        return 0

    children = Children()
    read, write = os.pipe()
    statuses: list[int] = []
    open_here = count()
    for _ in range(3):
        children.fork(wait_for_the_end, lambda _: None, lambda pid, status: None)
    children.fork(count, lambda _: None, lambda _, status: statuses.append(status))
    assert wait_until(lambda: children.check() or statuses != [], PATIENCE)
    assert statuses == [open_here]
    os.close(write)
    assert children.wait(PATIENCE)
    os.close(read)
    children.close()


def test_a_process_without_a_standard_output_forks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    children = Children()
    statuses: list[int] = []
    children.fork(lambda: 3, lambda _: None, lambda _, status: statuses.append(status))
    assert children.wait(PATIENCE)
    assert statuses == [3]
    children.close()


def test_an_exit_that_a_signal_handler_interrupts_is_told_again() -> None:
    children = Children()
    told: list[int] = []

    def tell(_: int, status: int) -> None:
        told.append(status)
        if len(told) == 1:
            raise KeyboardInterrupt  # as one that comes before the first line does

    children.fork(lambda: 3, lambda _: None, tell)
    with pytest.raises(KeyboardInterrupt):
        children.wait(PATIENCE)
    assert told == [3, 3]
    assert children.wait(PATIENCE)
    children.close()


class Stop(BaseException):
    """What a signal handler raises."""


in_a_fork: list[Callable[[], object]] = []
os.register_at_fork(before=lambda: [each() for each in in_a_fork])


@pytest.fixture
def _a_signal_comes_amid_a_fork() -> Iterator[None]:
    """Another thread takes it, since it is blocked in this one."""

    def stop(*_: object) -> None:
        raise Stop

    def send() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        assert select.select([heard], [], [], PATIENCE)[0]

    heard, woken = socket.socketpair()
    woken.setblocking(False)
    is_over = threading.Event()
    thread = threading.Thread(target=is_over.wait)
    thread.start()
    before = signal.signal(signal.SIGTERM, stop), signal.set_wakeup_fd(woken.fileno())
    in_a_fork.append(send)
    yield
    in_a_fork.clear()
    signal.signal(signal.SIGTERM, before[0])
    signal.set_wakeup_fd(before[1])
    is_over.set()
    thread.join()
    heard.close()
    woken.close()


@pytest.mark.usefixtures("_a_signal_comes_amid_a_fork")
def test_a_handler_that_raises_amid_a_fork_does_so_when_the_child_is_known() -> None:
    children = Children()
    started: list[int] = []
    ended: list[int] = []
    with pytest.raises(Stop):
        children.fork(lambda: 5, started.append, lambda _, status: ended.append(status))
    assert children.pids() == started
    assert children.wait(PATIENCE)
    assert ended == [5]
    children.close()
