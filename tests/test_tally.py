"""What a worker writes to its place on the scoreboard, with each connection."""

from __future__ import annotations

from typing import Any

import pytest

from serverstrategy import Connection, InFlight
from serverstrategy.strategies._roster import CUT, FINISHED, NONE, PLACES
from serverstrategy.strategies._scoreboard import Scoreboard
from serverstrategy.strategies._slot import BUSY, CLOSING, RETIRING, STARTING, WAITING
from serverstrategy.strategies._tally import Tally

# What stands for requests, which are told apart by their identity.
NAMES = ["a", "b", "c"]


class Counts:
    """A tally over a register of connections, with what it asks and tells."""

    def __init__(self, *, concurrent: bool = True, limit: int | None = 2) -> None:
        slot = Scoreboard((1,)).take(set(), 100.0)
        assert slot is not None
        self.slot = slot
        self.in_flight = InFlight()
        self.threads = 0
        self.told: list[Any] = []
        self.tally = Tally(
            self.slot,
            self.in_flight,
            None if limit is None else lambda: len(self.in_flight) < limit,
            concurrent,
            lambda: self.threads,
            lambda: self.told.append("accepting"),
            lambda: self.told.append("begun"),
            self.told.append,
        )
        self.in_flight.observe(self.tally)

    def peers(self) -> list[Any]:
        return [each.client_address for each in self.slot.roster.listed()]


def test_states_and_counts() -> None:
    counts = Counts()
    slot, in_flight = counts.slot, counts.in_flight
    assert slot.state == STARTING
    in_flight.tell_accepting()
    in_flight.tell_accepting()
    assert (slot.state, slot.is_spare, counts.told) == (WAITING, 1, ["accepting", "accepting"])
    first, second = in_flight.add("a", "A"), in_flight.add("b", "B")
    assert (slot.state, slot.in_flight, slot.connections, slot.is_spare) == (BUSY, 2, 2, 0)
    assert slot.oldest == first.started
    counts.threads = 2
    second.has_failed = True
    in_flight.remove("b")
    assert (slot.in_flight, slot.connections, slot.errors, slot.threads) == (1, 2, 1, 2)
    in_flight.hand_to_child("a", 99)
    assert slot.oldest == 0.0  # the child has it, and is seen to by other means
    assert [each.child for each in slot.roster.listed()] == [99]
    counts.tally.retire()
    assert (slot.state, slot.is_spare) == (CLOSING, 0)
    in_flight.remove("a")
    assert (slot.state, slot.is_spare, slot.in_flight) == (RETIRING, 0, 0)
    assert counts.told[2:] == ["begun", "begun", 2, 2]


@pytest.mark.parametrize(("concurrent", "spare"), [(True, 1), (False, 0)])
def test_only_a_worker_that_handles_several_is_spare_with_one(concurrent: bool, spare: int) -> None:
    counts = Counts(concurrent=concurrent)
    counts.in_flight.add("a", "A")
    assert counts.slot.is_spare == spare


@pytest.mark.parametrize(("concurrent", "spare"), [(True, 1), (False, 0)])
def test_a_strategy_that_always_has_room_is_not_asked(concurrent: bool, spare: int) -> None:
    counts = Counts(concurrent=concurrent, limit=None)
    assert counts.slot.is_spare == 0  # it does not accept yet
    counts.in_flight.tell_accepting()
    assert counts.slot.is_spare == 1
    counts.in_flight.add("a", "A")
    assert counts.slot.is_spare == spare
    counts.in_flight.remove("a")
    assert counts.slot.is_spare == 1
    counts.tally.retire()
    counts.in_flight.add("b", "B")
    counts.in_flight.remove("b")
    assert counts.slot.is_spare == 0


def test_the_oldest_is_known_after_each_beginning_and_each_end() -> None:
    counts = Counts()
    slot, in_flight = counts.slot, counts.in_flight
    first = in_flight.add("a", "A")
    assert slot.oldest == slot.since == first.started
    second = in_flight.add("b", "B")
    assert (slot.oldest, slot.since) == (first.started, second.started)
    in_flight.remove("a")
    assert slot.oldest == second.started
    assert slot.since > second.started
    in_flight.hand_to_child("b", 99)
    third = in_flight.add("c", "C")
    assert slot.oldest == third.started
    in_flight.remove("c")
    in_flight.remove("b")
    assert slot.oldest == 0.0


def test_fates() -> None:
    counts = Counts()
    connections = [counts.in_flight.add(name, name) for name in NAMES]
    connections[1].is_cut = True
    for name in (NAMES[1], NAMES[0]):
        counts.in_flight.remove(name)
    assert counts.peers() == ["c"]
    found = {each.client_address: each.fate for each in counts.slot.roster.listed(0.0)}
    assert found == {"a": FINISHED, "b": CUT, "c": NONE}


def test_more_connections_than_places_are_counted() -> None:
    counts = Counts()
    requests = [object() for _ in range(PLACES + 3)]
    for number, request in enumerate(requests):
        counts.in_flight.add(request, number)
    assert counts.slot.in_flight == counts.slot.connections == PLACES + 3
    assert counts.peers() == list(range(PLACES))
    # The end of one that is not listed frees no place, that of one that is listed does.
    counts.in_flight.remove(requests.pop())
    counts.in_flight.add(NAMES[0], "unlisted")
    counts.in_flight.remove(requests.pop(0))
    counts.in_flight.add(NAMES[1], "listed")
    assert counts.peers() == [*range(1, PLACES), "listed"]
    for request in [*requests, *NAMES]:
        counts.in_flight.remove(request)
    assert (counts.slot.in_flight, counts.peers()) == (0, [])


def test_the_last_that_have_ended_stay_listed() -> None:
    counts = Counts()
    for number in range(1000):
        counts.in_flight.add(NAMES, number)
        counts.in_flight.remove(NAMES)
    ended = [each.client_address for each in counts.slot.roster.listed(0.0)]
    assert ended == list(range(1000 - PLACES, 1000))


def test_any_peer_can_be_counted() -> None:
    counts = Counts()
    counts.in_flight.add(NAMES, "/" + 200 * "\udcff")
    counts.in_flight.remove(NAMES)
    assert counts.slot.connections == 1


class ExitsEarly:
    """Is told of each end before the tally is, and lets the process exit."""

    def __init__(self, counts: Counts) -> None:
        self.settle = counts.tally.settle

    def accepting(self) -> None:
        pass

    def began(self, connection: Connection) -> None:
        pass

    def handed_to_child(self, connection: Connection) -> None:
        pass

    def ended(self, connection: Connection) -> None:
        self.settle()
        self.settle()


def test_an_end_that_it_has_not_been_told_of_is_noted_before_the_exit() -> None:
    counts = Counts()
    counts.in_flight.forget_observer(counts.tally)
    counts.in_flight.observe(ExitsEarly(counts))
    for request in NAMES:
        counts.in_flight.observe(counts.tally)
        counts.in_flight.add(request, request)
        counts.in_flight.forget_observer(counts.tally)
    counts.in_flight.remove(NAMES[0])
    found = {each.client_address: each.fate for each in counts.slot.roster.listed(0.0)}
    assert found == {"a": FINISHED, "b": NONE, "c": NONE}
    counts.tally.ended(Connection(NAMES[0], "a", counts.in_flight))
    assert len(counts.slot.roster.listed(0.0)) == 3
