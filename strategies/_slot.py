"""The place of one worker on the scoreboard."""

from __future__ import annotations

import struct
from typing import NamedTuple

# States, by the names of Apache's scoreboard.
FREE, STARTING, WAITING, BUSY, CLOSING, RETIRING = range(6)
STATE_NAMES = ("free", "starting", "waiting", "busy", "closing", "retiring")

# Where each number is. Times are in seconds of `time.monotonic`.
_PID, _GENERATION, _STATE, _CONNECTIONS, _ERRORS, _IN_FLIGHT, _IS_SPARE, _IS_DUE, _TEXT = range(9)
_STARTED, _SINCE, _OLDEST = range(9, 12)
_NUMBERS_SIZE = 128

# A connection: when it was accepted, the thread that accepted it, its peer as text.
_ENTRY = struct.Struct("=dq46p2x")
_pack, _ENTRY_SIZE = _ENTRY.pack_into, _ENTRY.size
LISTED = 32
"""How many connections of a worker are listed at most."""

_TEXT_SIZE = 2048
SLOT_SIZE = _NUMBERS_SIZE + LISTED * _ENTRY.size + _TEXT_SIZE


class Listed(NamedTuple):
    """A connection of a worker, as its slot lists it.

    Attributes:
        client_address: the peer, as text, at most 45 bytes of it.
        started: when it was accepted, in seconds of `time.monotonic`.
    """

    client_address: str
    started: float


class _Number:
    def __init__(self, index: int) -> None:
        self._index = index

    def __get__(self, slot: Slot, owner: type) -> int:
        return slot.numbers[self._index]

    def __set__(self, slot: Slot, value: int) -> None:
        slot.numbers[self._index] = value


class _Time:
    def __init__(self, index: int) -> None:
        self._index = index

    def __get__(self, slot: Slot, owner: type) -> float:
        return slot.times[self._index]

    def __set__(self, slot: Slot, value: float) -> None:
        slot.times[self._index] = value


class Slot:
    """The place of one worker, in shared memory.

    Each number is written in one step, so a reader never sees half of one.

    Args:
        number: which slot it is, from 0.
        memory: `SLOT_SIZE` bytes.

    Attributes:
        pid: the worker's process identifier; 0: the slot is free.
        generation: how often all workers had been replaced before it.
        state: what it does: an index of `STATE_NAMES`.
        connections: how many it has accepted.
        errors: in how many of them an error was reported.
        in_flight: how many it handles.
        is_spare: 1 if it is ready for a connection.
        is_due: 1 if it asks to be replaced.
        started: when it was forked.
        since: when it last wrote here.
        oldest: when its oldest connection in flight was accepted; 0.0: it has none.
    """

    pid = _Number(_PID)
    generation = _Number(_GENERATION)
    state = _Number(_STATE)
    connections = _Number(_CONNECTIONS)
    errors = _Number(_ERRORS)
    in_flight = _Number(_IN_FLIGHT)
    is_spare = _Number(_IS_SPARE)
    is_due = _Number(_IS_DUE)
    started = _Time(_STARTED)
    since = _Time(_SINCE)
    oldest = _Time(_OLDEST)

    def __init__(self, number: int, memory: memoryview) -> None:
        self.number = number
        self.numbers = memory[:_NUMBERS_SIZE].cast("q")
        self.times = memory[:_NUMBERS_SIZE].cast("d")
        self._list = memory[_NUMBERS_SIZE : SLOT_SIZE - _TEXT_SIZE]
        self._text = memory[SLOT_SIZE - _TEXT_SIZE :]

    def clear(self, generation: int, now: float) -> None:
        """Prepare it for a new worker, which is to be forked at the time `now`."""
        for index in range(len(self.numbers)):
            self.numbers[index] = 0
        self._list[:] = bytes(len(self._list))
        self.generation = generation
        self.state = STARTING
        self.started = self.since = now

    def tell(self, state: int, in_flight: int, oldest: float, is_spare: bool, now: float) -> None:
        """Write what changes with each connection."""
        numbers, times = self.numbers, self.times
        numbers[_STATE] = state
        numbers[_IN_FLIGHT] = in_flight
        numbers[_IS_SPARE] = is_spare
        times[_OLDEST] = oldest
        times[_SINCE] = now

    def list_connection(self, entry: int, started: float, thread: int, peer: str) -> None:
        """Write a connection in the place `entry` of the list."""
        _pack(self._list, entry * _ENTRY_SIZE, started, thread, peer.encode())

    def strike_off(self, entry: int) -> None:
        """Free the place `entry` of the list."""
        _pack(self._list, entry * _ENTRY_SIZE, 0.0, 0, b"")

    def connections_in_flight(self) -> list[Listed]:
        """Its connections, the oldest first; at most `LISTED`."""
        entries = _ENTRY.iter_unpack(self._list)
        found = [Listed(peer.decode(errors="replace"), at) for at, _, peer in entries if at]
        return sorted(found, key=lambda each: each.started)

    @property
    def text(self) -> str:
        """What the worker has left to say: why it could not start."""
        return bytes(self._text[: self.numbers[_TEXT]]).decode(errors="replace")

    @text.setter
    def text(self, text: str) -> None:
        # The end of a traceback says most.
        kept = text.encode(errors="replace")[-_TEXT_SIZE:]
        self._text[: len(kept)] = kept
        self.numbers[_TEXT] = len(kept)
