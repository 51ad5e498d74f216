"""The connections of a worker, as they are listed in shared memory."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

import pytest

from serverstrategy.strategies._roster import CUT, FINISHED, NONE, ROSTER_SIZE, Roster

PEER = ("192.0.2.1", 1234)
Named = namedtuple("Named", "host port")


@pytest.fixture
def roster() -> Roster:
    return Roster(memoryview(bytearray(ROSTER_SIZE)))


@pytest.mark.parametrize(
    "peer",
    [
        PEER,
        ("::1", 65535, 0, 0),
        ("fe80::ffff:ffff:ffff:ffff%interface-name15", 65535, 2**32 - 1, 2**32 - 1),
        ("2001:0db8:ffff:ffff:ffff:ffff:255.255.255.255", 65535, 2**32 - 1, 2**32 - 1),
        "",
        "/" + 106 * "x",
        b"\0abstract",
        "/tmp/\udcff",  # a path that is no UTF-8
        None,
    ],
)
def test_a_peer_is_listed_as_it_is(roster: Roster, peer: Any) -> None:
    roster.enter(0, 50.0, peer)
    (listed,) = roster.listed()
    assert listed.client_address == peer
    assert type(listed.client_address) is type(peer)


@pytest.mark.parametrize(
    ("peer", "start"),
    [
        (Named("192.0.2.1", 80), "Named(host='192.0.2.1', port=80)"),
        ((PEER, object()), "(('192.0.2.1', 1234), <object object at"),
        (300 * "é", 50 * "é"),
        ("/" + 200 * "\udcff", "/" + 100 * "?"),
        ([list(range(100))], "[[0, 1, 2, 3, "),
    ],
)
def test_a_peer_that_is_no_plain_value_or_too_long_is_listed_as_text(
    roster: Roster, peer: Any, start: str
) -> None:
    roster.enter(0, 50.0, peer)
    (listed,) = roster.listed()
    assert isinstance(listed.client_address, str)
    assert listed.client_address.startswith(start)


def test_the_oldest_is_first(roster: Roster) -> None:
    for place, started in enumerate((30.0, 10.0, 20.0)):
        roster.enter(place, started, PEER)
    assert [each.started for each in roster.listed()] == [10.0, 20.0, 30.0]


def test_what_has_ended_is_listed_on_request_until_its_place_is_taken(roster: Roster) -> None:
    for place in range(3):
        roster.enter(place, 10.0 + place, (str(place), 1))
    roster.note_child(0, 5)
    roster.note_fate(0, 20.0, FINISHED)
    roster.note_fate(1, 30.0, CUT)

    def places(*since: float) -> list[tuple[Any, int, float]]:
        return [(each.client_address[0], each.fate, each.ended) for each in roster.listed(*since)]

    assert places() == [("2", NONE, 0.0)]
    assert places(20.1) == [("1", CUT, 30.0), ("2", NONE, 0.0)]
    assert places(20.0) == [("0", FINISHED, 20.0), ("1", CUT, 30.0), ("2", NONE, 0.0)]
    assert [each.age for each in roster.listed(0.0)][:2] == [10.0, 19.0]
    roster.enter(0, 40.0, ("new", 1))
    assert places(0.0) == [("1", CUT, 30.0), ("2", NONE, 0.0), ("new", NONE, 0.0)]
    assert roster.listed()[-1].child is None
    roster.note_death(50.0)
    assert places(0.0) == [("1", CUT, 30.0), ("2", CUT, 50.0), ("new", CUT, 50.0)]
    assert places() == []
    roster.clear()
    assert places(0.0) == []
