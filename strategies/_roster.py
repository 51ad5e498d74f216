"""The connections of one worker, in shared memory."""

from __future__ import annotations

import marshal
import math
import struct
import time
from typing import Any, NamedTuple

from serverstrategy.connection import plain_address

PLACES = 256
"""How many connections of a worker are listed at most; those beyond are only counted."""

NONE, FINISHED, CUT = range(3)

# When it ended, the child that has it, what became of it, its peer, when it was accepted. That one
# comes last: it is what makes the entry one, and the others are written by then.
_ENTRY = struct.Struct("@dqb119pd")
_FATE_AT = 16
# As long as the path of a Unix socket may be, as plain text: see unix(7).
_LONGEST_PEER = 118

_dump, _pack_entry = marshal.dumps, _ENTRY.pack_into
_SIZE = _ENTRY.size
# In steps of eight bytes: how long an entry is, and where in it what is written alone stands.
_STEPS = _SIZE // 8
_ENDED, _CHILD, _STARTED = 0, 1, _STEPS - 1

ROSTER_SIZE = PLACES * _SIZE


class Listed(NamedTuple):
    """A connection of a worker, as other processes know it.

    Attributes:
        client_address: the peer.
        started: when it was accepted, in seconds of `time.monotonic`.
        child: the process identifier of the child that handles it; None: the worker does.
        ended: when it ended; 0.0: it has not.
        fate: what became of it: `NONE`, `FINISHED` or `CUT`.
    """

    client_address: Any
    started: float
    child: int | None
    ended: float
    fate: int

    @property
    def age(self) -> float:
        """Seconds since it was accepted; until its end, if it has ended."""
        return (self.ended or time.monotonic()) - self.started

    def status(self) -> dict[str, Any]:
        """See `serverstrategy.Connection.status`. Which thread has it, only the worker knows."""
        peer = plain_address(self.client_address)
        return {"peer": peer, "age": self.age, "thread": None, "child": self.child}


class Roster:
    """Where one worker lists its connections.

    Args:
        memory: `ROSTER_SIZE` bytes.
    """

    def __init__(self, memory: memoryview) -> None:
        self._memory = memory
        # To store one number costs half of what packing it does.
        self._numbers, self._times = memory.cast("q"), memory.cast("d")

    def enter(self, place: int, started: float, client_address: Any) -> None:
        """Write a connection at `place`, from 0 to `PLACES - 1`."""
        try:
            peer = _dump(client_address)
        except ValueError:  # it is no plain value
            peer = b""
        if not 0 < len(peer) <= _LONGEST_PEER:
            text = str(client_address)[:_LONGEST_PEER].encode(errors="replace")
            peer = marshal.dumps(text[: _LONGEST_PEER - 5].decode(errors="ignore"))
        _pack_entry(self._memory, place * _SIZE, 0.0, 0, NONE, peer, started)

    def note_child(self, place: int, child: int) -> None:
        """Write which child has the connection at `place`."""
        self._numbers[place * _STEPS + _CHILD] = child

    def note_fate(self, place: int, ended: float, fate: int) -> None:
        """Write what has become of the connection at `place`, and keep it until the next one."""
        # In this order: who sees that it has ended is to see how.
        self._memory[place * _SIZE + _FATE_AT] = fate
        self._times[place * _STEPS + _ENDED] = ended

    def note_death(self, ended: float) -> None:
        """Note that the worker has ended, and has cut by that what it had."""
        for place, (has_ended, *_, started) in enumerate(_ENTRY.iter_unpack(self._memory)):
            if started and not has_ended:
                self.note_fate(place, ended, CUT)

    def clear(self) -> None:
        """Strike all off."""
        for place, entry in enumerate(_ENTRY.iter_unpack(self._memory)):
            if entry[-1]:
                self._times[place * _STEPS + _STARTED] = 0.0

    def listed(self, since: float = math.inf) -> list[Listed]:
        """The connections that have not ended, or not before `since`, the oldest first."""
        found = [
            Listed(_peer(peer), started, child or None, ended, fate)
            for ended, child, fate, peer, started in _ENTRY.iter_unpack(self._memory)
            if started and (not ended or ended >= since)
        ]
        return sorted(found, key=lambda each: each.started)


def _peer(data: bytes) -> Any:
    try:
        return marshal.loads(data)
    except (EOFError, ValueError, TypeError):  # it is being written
        return None
