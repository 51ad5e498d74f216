"""Waiting for descriptors, for a wake-up and for signals."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator

import psutil
import pytest

from serverstrategy.waiter import Waiter

# The other method has a thread of its own, and a process with threads should not be forked.
pytestmark = pytest.mark.timeout(60, method="signal")

PATIENCE = 20.0


@pytest.fixture
def waiter() -> Iterator[Waiter]:
    made = Waiter()
    yield made
    made.close()


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    first, second = socket.socketpair()
    yield first, second
    first.close()
    second.close()


Ends = tuple[socket.socket, socket.socket]


# Wake-ups


def test_a_wait_ends_at_its_timeout(waiter: Waiter) -> None:
    started = time.monotonic()
    assert waiter.wait(0.03) == set()
    assert 0.029 < time.monotonic() - started < PATIENCE


def test_a_wait_of_zero_returns_at_once(waiter: Waiter) -> None:
    assert waiter.wait(0) == set()


def test_a_wake_up_before_the_wait_ends_it(waiter: Waiter) -> None:
    waiter.wake()
    assert waiter.wait() == set()


def test_a_wake_up_ends_one_wait_only(waiter: Waiter) -> None:
    waiter.wake()
    waiter.wait()
    started = time.monotonic()
    waiter.wait(0.03)
    assert time.monotonic() - started > 0.029


def test_a_wake_up_from_another_thread_ends_the_wait(waiter: Waiter) -> None:
    waiting = threading.Thread(target=waiter.wait)
    waiting.start()
    waiter.wake()
    waiting.join(PATIENCE)
    assert not waiting.is_alive()


def test_waking_over_and_over_never_blocks(waiter: Waiter) -> None:
    for _ in range(10_000):
        waiter.wake()
    assert waiter.wait() == set()


def test_waking_a_closed_waiter_is_no_error(waiter: Waiter) -> None:
    waiter.close()
    waiter.wake()


# Descriptors


def test_a_descriptor_that_is_readable_is_told(waiter: Waiter, ends: Ends) -> None:
    mine, theirs = ends
    waiter.watch(mine.fileno())
    assert waiter.wait(0) == set()
    theirs.send(b"x")
    assert waiter.wait() == {mine.fileno()}
    assert waiter.wait() == {mine.fileno()}  # until somebody reads it
    mine.recv(1)
    assert waiter.wait(0) == set()


def test_a_descriptor_ends_the_wait_of_another_thread(waiter: Waiter, ends: Ends) -> None:
    mine, theirs = ends
    waiter.watch(mine.fileno())
    found: list[set[int]] = []
    waiting = threading.Thread(target=lambda: found.append(waiter.wait()))
    waiting.start()
    theirs.send(b"x")
    waiting.join(PATIENCE)
    assert found == [{mine.fileno()}]


def test_the_end_of_file_is_told(waiter: Waiter, ends: Ends) -> None:
    mine, theirs = ends
    waiter.watch(mine.fileno())
    theirs.close()
    assert waiter.wait() == {mine.fileno()}


def test_a_closed_descriptor_is_told(waiter: Waiter, ends: Ends) -> None:
    mine, _ = ends
    fd = mine.fileno()
    waiter.watch(fd)
    mine.close()
    assert waiter.wait(PATIENCE) == {fd}
    waiter.unwatch(fd)
    assert waiter.wait(0) == set()


def test_several_descriptors_are_told_together(waiter: Waiter, ends: Ends) -> None:
    for end in ends:
        waiter.watch(end.fileno())
        end.send(b"x")
    assert waiter.wait() == {end.fileno() for end in ends}


def test_a_wake_up_and_a_descriptor_come_together(waiter: Waiter, ends: Ends) -> None:
    mine, theirs = ends
    waiter.watch(mine.fileno())
    theirs.send(b"x")
    waiter.wake()
    assert waiter.wait() == {mine.fileno()}


def test_what_is_unwatched_is_not_told(waiter: Waiter, ends: Ends) -> None:
    mine, theirs = ends
    waiter.watch(mine.fileno())
    theirs.send(b"x")
    waiter.unwatch(mine.fileno())
    assert waiter.wait(0) == set()


def test_watching_twice_and_unwatching_twice_are_no_errors(waiter: Waiter, ends: Ends) -> None:
    mine, theirs = ends
    for _ in range(2):
        waiter.watch(mine.fileno())
    theirs.send(b"x")
    assert waiter.wait() == {mine.fileno()}
    for _ in range(2):
        waiter.unwatch(mine.fileno())
    assert waiter.wait(0) == set()


def test_it_takes_two_descriptors_and_gives_them_back() -> None:
    process = psutil.Process()
    before = process.num_fds()
    waiter = Waiter()
    assert process.num_fds() == before + 2
    waiter.close()
    assert process.num_fds() == before


def test_closing_twice_is_no_error(waiter: Waiter) -> None:
    waiter.close()
    waiter.close()


# Signals


@pytest.fixture
def received() -> Iterator[list[int]]:
    """The numbers of the signals SIGUSR1 and SIGUSR2 that came."""
    numbers: list[int] = []
    before = {
        number: signal.signal(number, lambda number, _: numbers.append(number))
        for number in (signal.SIGUSR1, signal.SIGUSR2)
    }
    yield numbers
    for number, handler in before.items():
        signal.signal(number, handler)


def wakeup_fd() -> int:
    """The descriptor that is set now; it stays set."""
    fd = signal.set_wakeup_fd(-1)
    if fd != -1:
        signal.set_wakeup_fd(fd, warn_on_full_buffer=False)
    return fd


def test_a_signal_before_the_wait_ends_it(waiter: Waiter, received: list[int]) -> None:
    with waiter:
        signal.raise_signal(signal.SIGUSR1)
        assert waiter.wait() == set()
    assert received == [signal.SIGUSR1]


def test_a_signal_during_the_wait_ends_it(waiter: Waiter, received: list[int]) -> None:
    main = threading.main_thread().ident
    assert main is not None

    # Over and over: which of them falls into the wait, nobody can tell.
    def send() -> None:
        while not ended.wait(0.001):
            signal.pthread_kill(main, signal.SIGUSR1)

    ended = threading.Event()
    sending = threading.Thread(target=send)
    with waiter:
        sending.start()
        for _ in range(20):
            assert waiter.wait() == set()
        ended.set()
        sending.join(PATIENCE)
    assert not sending.is_alive()
    assert len(received) >= 1


def test_a_signal_outside_ends_no_wait(waiter: Waiter, received: list[int]) -> None:
    with waiter:
        pass
    signal.raise_signal(signal.SIGUSR1)
    started = time.monotonic()
    assert waiter.wait(0.03) == set()
    assert time.monotonic() - started > 0.029
    assert received == [signal.SIGUSR1]


def test_it_hears_signals_while_it_is_entered(waiter: Waiter) -> None:
    assert wakeup_fd() == -1
    with waiter as entered:
        assert entered is waiter
        assert wakeup_fd() != -1
    assert wakeup_fd() == -1


def test_it_can_be_entered_again(waiter: Waiter, received: list[int]) -> None:
    for _ in range(3):
        with waiter:
            signal.raise_signal(signal.SIGUSR1)
            assert waiter.wait() == set()
    assert len(received) == 3


def test_the_exception_of_a_signal_handler_gets_through(waiter: Waiter) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        with pytest.raises(KeyboardInterrupt), waiter:  # noqa: PT012 - either line may raise
            signal.raise_signal(signal.SIGUSR1)
            waiter.wait()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert wakeup_fd() == -1


def test_the_descriptor_of_the_application_stays(
    waiter: Waiter, ends: Ends, received: list[int]
) -> None:
    mine, theirs = ends
    theirs.setblocking(False)
    signal.set_wakeup_fd(theirs.fileno())
    try:
        with waiter:
            assert wakeup_fd() == theirs.fileno()
            signal.raise_signal(signal.SIGUSR1)
            assert mine.recv(1) == bytes([signal.SIGUSR1])
        assert wakeup_fd() == theirs.fileno()
    finally:
        signal.set_wakeup_fd(-1)
    assert received == [signal.SIGUSR1]


def test_the_first_of_two_waiters_hears_the_signals(waiter: Waiter, received: list[int]) -> None:
    second = Waiter()
    with waiter:
        with second:
            signal.raise_signal(signal.SIGUSR1)
        assert wakeup_fd() != -1
        assert waiter.wait() == set()
    second.close()
    assert received == [signal.SIGUSR1]


def test_another_thread_leaves_signals_alone(waiter: Waiter) -> None:
    done = threading.Event()

    def enter() -> None:
        with waiter:
            done.set()

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join(PATIENCE)
    assert done.is_set()
    assert wakeup_fd() == -1


def _exit_with(status: int) -> None:
    os._exit(status)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
def test_the_signals_of_a_child_do_not_wake_its_parent(waiter: Waiter, received: list[int]) -> None:
    with waiter:
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                signal.raise_signal(signal.SIGUSR1)
                if wakeup_fd() == -1 and received == [signal.SIGUSR1]:
                    status = 0
            finally:
                _exit_with(status)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        # SIGCHLD has no handler, so Python writes nothing for it.
        assert wakeup_fd() != -1
        assert waiter.wait(0) == set()
        started = time.monotonic()
        waiter.wait(0.03)
        assert time.monotonic() - started > 0.029


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
def test_a_child_can_wait_for_signals_itself(waiter: Waiter, received: list[int]) -> None:
    with waiter:
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                signal.alarm(int(PATIENCE))
                own = Waiter()
                with own:
                    signal.raise_signal(signal.SIGUSR2)
                    own.wait()
                    status = 0 if wakeup_fd() != -1 else 2
            finally:
                _exit_with(status)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert received == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
def test_the_descriptor_of_the_application_stays_in_a_child(waiter: Waiter, ends: Ends) -> None:
    _, theirs = ends
    theirs.setblocking(False)
    signal.set_wakeup_fd(theirs.fileno())

    def stays() -> bool:
        pid = os.fork()
        if pid == 0:
            _exit_with(0 if wakeup_fd() == theirs.fileno() else 1)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0

    try:
        # Not if asyncio is imported, which from Python 3.12 on takes it from every child.
        expected = stays()
        with waiter:
            assert stays() == expected
    finally:
        signal.set_wakeup_fd(-1)
