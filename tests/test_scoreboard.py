"""The scoreboard: what workers tell of themselves, in memory that survives each of them."""

from __future__ import annotations

import os
import signal
import time
import warnings
from collections.abc import Callable
from typing import Any

from probes import wait_until
from serverstrategy.strategies._roster import FINISHED
from serverstrategy.strategies._scoreboard import Scoreboard
from serverstrategy.strategies._slot import BUSY, CLOSING, RETIRING, ROOM, STARTING, WAITING, Slot

PEER = ("192.0.2.1", 1234)


def taken(board: Scoreboard, *numbers: int, now: float = 100.0) -> Slot:
    """A slot beside those with these numbers, with a worker."""
    slot = board.take(set(numbers), now)
    assert slot is not None
    slot.pid = 7
    return slot


def in_a_child(function: Callable[[], object]) -> None:
    """Call it in a process that kills itself then, so that nothing there is tidied up."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a fork beside the threads of pytest, since Python 3.12
        pid = os.fork()
    if pid == 0:
        try:
            function()
            os.kill(os.getpid(), signal.SIGKILL)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


def write(slot: Slot, phase: int, number: int, seconds: float) -> None:
    """Write `number` or `seconds` wherever a worker does with each connection."""
    slot.phase, slot.has_room = phase, ROOM
    slot.connections = slot.errors = slot.in_flight = slot.threads = number
    slot.oldest = slot.since = seconds


# Slots


def test_the_lowest_free_slot_is_taken() -> None:
    board = Scoreboard((3,))
    assert [taken(board, *range(number)).number for number in range(3)] == [0, 1, 2]
    assert board.take({0, 1, 2}, 100.0) is None
    assert taken(board, 0, 2).number == 1
    assert [slot.number for slot in board] == [0, 1, 2]
    board.slot(1).pid = 0
    assert [slot.number for slot in board] == [0, 2]
    assert [slot.number for slot in board.used()] == [0, 1, 2]


def test_a_slot_that_is_taken_has_nothing_of_the_worker_before() -> None:
    board = Scoreboard((1,))
    slot = taken(board)
    write(slot, WAITING, 1, 5.0)
    slot.is_due = slot.is_told = 1
    slot.text = "why"
    slot.roster.enter(3, 50.0, PEER)
    board.next_generation()
    assert taken(board, now=200.0) is slot
    assert (slot.state, slot.generation, slot.started, slot.since) == (STARTING, 1, 200.0, 200.0)
    assert (slot.connections, slot.errors, slot.in_flight, slot.threads) == (0, 0, 0, 0)
    assert (slot.is_spare, slot.is_due, slot.is_told, slot.oldest, slot.text) == (0, 0, 0, 0.0, "")
    assert slot.roster.listed(0.0) == []


def test_what_a_killed_process_has_written_stays() -> None:
    board = Scoreboard((2,))
    slot = taken(board)

    def work() -> None:
        write(slot, RETIRING, 1 << 40, 5.5)
        slot.is_due = 1
        slot.text = "é" + 3000 * "x" + "the end"
        slot.roster.enter(0, 50.0, PEER)
        slot.roster.note_child(0, 99)
        board.next_generation()

    in_a_child(work)
    assert (slot.state, slot.is_spare, slot.is_due) == (CLOSING, True, 1)
    numbers = slot.connections, slot.errors, slot.in_flight, slot.threads
    assert (*numbers, slot.oldest, slot.since) == (*4 * (1 << 40,), 5.5, 5.5)
    assert slot.text == 2041 * "x" + "the end"
    (listed,) = slot.roster.listed()
    assert (listed.client_address, listed.started, listed.child) == (PEER, 50.0, 99)
    assert board.generation == 1


def test_nobody_sees_a_number_that_was_not_written() -> None:
    """One process writes all the time while this one reads."""
    slot = taken(Scoreboard((1,)))
    write(slot, WAITING, 7, 7.0)

    def write_on() -> None:
        slot.pid = os.getpid()
        until = time.monotonic() + 0.3
        while time.monotonic() < until:
            for _ in range(1000):
                write(slot, WAITING, 7, 7.0)
        slot.pid = 0

    def look() -> bool:
        for _ in range(1000):
            seen.add((slot.state, slot.connections, slot.in_flight, slot.is_spare, slot.since))
        return slot.pid == 0

    seen: set[Any] = set()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pid = os.fork()
    if pid == 0:
        try:
            write_on()
        finally:
            os._exit(0)
    assert wait_until(look)
    os.waitpid(pid, 0)
    assert seen == {(BUSY, 7, 7, 1, 7.0)}


# Boards inside of boards


def test_a_board_inside_is_found_by_each_process() -> None:
    board = Scoreboard((2, 3, 1))
    outer = [taken(board, *range(number)) for number in range(2)]

    def work() -> None:
        middle = board.inside(outer[1])
        assert middle is not None
        slots = [taken(middle, *range(number)) for number in range(3)]
        slots[2].roster.enter(0, 50.0, PEER)
        inner = middle.inside(slots[2])
        assert inner is not None
        taken(inner).connections = 5
        assert inner.inside(inner.slot(0)) is None
        middle.next_generation()

    in_a_child(work)
    first, second = (board.inside(slot) for slot in outer)
    assert first is not None
    assert second is not None
    assert [slot.number for slot in first] == []
    assert [slot.number for slot in second] == [0, 1, 2]
    assert (board.generation, first.generation, second.generation) == (0, 0, 1)
    inner = second.inside(second.slot(2))
    assert inner is not None
    assert [slot.connections for slot in inner] == [5]
    # A worker that begins there begins with an empty board.
    board.note_death(outer[1], 100.0)
    assert [slot.number for slot in board] == [0]
    assert list(second) == []
    assert second.slot(2).roster.listed() == []
    again = taken(board, 0, now=200.0)
    assert again is outer[1]
    assert second.used() == []
    assert second.generation == 0


def test_fates_are_those_of_all_boards_in_the_order_of_the_ends() -> None:
    board = Scoreboard((2, 2))
    first, second = taken(board), taken(board, 0)
    inside = board.inside(second)
    assert inside is not None
    deep = taken(inside)
    for number, slot in enumerate((first, second, deep)):
        for place in range(3):
            slot.roster.enter(place, 10.0, (slot is deep, number, place))
        slot.roster.note_fate(0, 20.0 - number, FINISHED)
        slot.roster.note_fate(1, 30.0 - number, FINISHED)
    board.note_death(second, 40.0)
    board.note_death(first, 50.0)
    found = [(each.peer[1:], each.age, each.fate) for each in board.fates(25.0)]
    assert [each for each in found if each[2] == "finished"] == [
        ((2, 1), 18.0, "finished"),
        ((1, 1), 19.0, "finished"),
        ((0, 1), 20.0, "finished"),
    ]
    assert found[3:] == [((1, 2), 30.0, "cut"), ((2, 2), 30.0, "cut"), ((0, 2), 40.0, "cut")]
    assert len(board.fates(19.0)) == 8
    assert len(board.fates(0.0)) == 9


def test_no_slot_is_taken_at_once_on_whose_board_orphans_may_write() -> None:
    board = Scoreboard((3, 1))
    killed = taken(board)
    board.note_death(killed, 100.0)
    assert taken(board, now=100.1).number == 1
    assert taken(board, 1, now=103.0) is killed
    # Where there is no other, the one is taken that has been free for the longest time.
    for number, now in ((0, 105.0), (1, 104.0), (2, 106.0)):
        board.note_death(board.slot(number), now)
    assert taken(board, now=106.1).number == 1


def test_a_board_without_boards_inside_has_no_orphans() -> None:
    board = Scoreboard((3,))
    board.note_death(taken(board), 100.0)
    assert taken(board, now=100.0).number == 0
