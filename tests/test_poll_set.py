"""Sets of descriptors to wait for, by what each system has."""

from __future__ import annotations

import select
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread

import psutil
import pytest

from probes import wait_until
from serverstrategy.poll_set import PollSet

needs_epoll = pytest.mark.skipif(not hasattr(select, "EPOLLEXCLUSIVE"), reason="no EPOLLEXCLUSIVE")


def by_poll(_: pytest.MonkeyPatch) -> PollSet:
    return PollSet()


def by_epoll(_: pytest.MonkeyPatch) -> PollSet:
    return PollSet(may_exclude=True)


def by_select(patch: pytest.MonkeyPatch) -> PollSet:
    for name in ("poll", "epoll"):
        patch.delattr(select, name)
    return PollSet(may_exclude=True)


@pytest.fixture(params=[by_poll, pytest.param(by_epoll, marks=needs_epoll), by_select])
def poll_set(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[PollSet]:
    make: Callable[[pytest.MonkeyPatch], PollSet] = request.param
    made = make(monkeypatch)
    yield made
    made.close()
    made.close()


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    first, second = socket.socketpair()
    with first, second:
        yield first, second


Ends = tuple[socket.socket, socket.socket]


@pytest.mark.parametrize("exclusive", [False, True])
def test_it_tells_what_is_readable(poll_set: PollSet, ends: Ends, exclusive: bool) -> None:
    mine, theirs = ends
    poll_set.add(mine.fileno(), exclusive=exclusive)
    assert poll_set.wait(0) == set()
    theirs.send(b"x")
    assert poll_set.wait(None) == {mine.fileno()}
    assert poll_set.wait(0.01) == {mine.fileno()}


@needs_epoll
def test_a_set_of_others_is_no_exclusive_one(ends: Ends) -> None:
    mine, theirs = ends
    poll_set = PollSet(may_exclude=True)
    with select.epoll() as others:
        others.register(mine.fileno(), select.EPOLLIN)
        poll_set.add(others.fileno(), exclusive=True)
        theirs.send(b"x")
        assert poll_set.wait(None) == {others.fileno()}
    poll_set.close()


def test_the_end_of_file_counts(poll_set: PollSet, ends: Ends) -> None:
    mine, theirs = ends
    poll_set.add(mine.fileno())
    theirs.close()
    assert poll_set.wait(None) == {mine.fileno()}


def test_what_is_discarded_does_not_count(poll_set: PollSet, ends: Ends) -> None:
    mine, theirs = ends
    poll_set.add(mine.fileno())
    poll_set.discard(mine.fileno())
    theirs.send(b"x")
    assert poll_set.wait(0) == set()


def test_what_was_closed_or_never_added_can_be_discarded(poll_set: PollSet, ends: Ends) -> None:
    mine, theirs = ends
    poll_set.add(mine.fileno())
    fd = mine.detach()
    socket.socket(fileno=fd).close()
    poll_set.discard(fd)
    poll_set.discard(theirs.fileno())


@needs_epoll
def test_one_of_those_who_share_a_listener_is_woken_for_a_connection(ends: Ends) -> None:
    sets = [PollSet(may_exclude=True) for _ in range(4)]
    woken: list[set[int]] = []
    threads = [Thread(target=lambda each=each: woken.append(each.wait(None))) for each in sets]
    mine, theirs = ends
    with socket.create_server(("127.0.0.1", 0)) as listener:
        for each, thread in zip(sets, threads, strict=True):
            assert each.excludes
            each.add(listener.fileno(), exclusive=True)
            each.add(mine.fileno())
            thread.start()
        are_waiting = wait_until(lambda: all(is_polling(thread) for thread in threads), 5.0)
        with socket.create_connection(listener.getsockname()):
            assert wait_until(lambda: bool(woken))
            listener.accept()[0].close()
            theirs.send(b"x")  # now all others wake up, and see no connection
            for thread in threads:
                thread.join()
        if not are_waiting:
            pytest.skip("this system does not tell in which call a thread waits")
        assert sum(listener.fileno() in each for each in woken) == 1
    for each in sets:
        each.close()


def is_polling(thread: Thread) -> bool:
    """Whether the system has the thread asleep in epoll_wait(2)."""
    return "poll" in Path(f"/proc/self/task/{thread.native_id}/wchan").read_text()


def test_only_exclusive_ones_take_a_descriptor() -> None:
    before = psutil.Process().num_fds()
    plain = PollSet()
    assert psutil.Process().num_fds() == before
    assert not plain.excludes
    plain.close()
