"""The place of one worker on the scoreboard."""

from __future__ import annotations

from ._roster import ROSTER_SIZE, Roster

# States, by the names of Apache's scoreboard.
FREE, STARTING, WAITING, BUSY, CLOSING, RETIRING = range(6)
_STATE_NAMES = ("free", "starting", "waiting", "busy", "closing", "retiring")
_WITH_CONNECTIONS = {WAITING: BUSY, RETIRING: CLOSING}

# When a worker is ready for a connection: not now, if it has none, or now.
NO_ROOM, ROOM_IF_IDLE, ROOM = range(3)

# Where each number is, of eight bytes each; times are in seconds of `time.monotonic`. What changes
# with each connection stands together, in one line of the processor's cache.
_PID, _GENERATION, _IS_DUE, _TEXT, _STARTED, _IS_TOLD, _ACCEPTING_SINCE, _IS_TO_RING = range(8)
_PHASE, CONNECTIONS, ERRORS, IN_FLIGHT, HAS_ROOM, THREADS, OLDEST, SINCE = range(8, 16)

_NUMBERS_SIZE = 128

_TEXT_SIZE = 2048
SLOT_SIZE = _NUMBERS_SIZE + ROSTER_SIZE + _TEXT_SIZE


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

    Each number is aligned and written in one step, so a reader never sees half of one.

    Args:
        number: which slot it is, from 0.
        memory: `SLOT_SIZE` bytes.

    Attributes:
        pid: the worker's process identifier; 0: the slot is free.
        generation: how often all workers had been replaced before it.
        is_due: 1 if it asks to be replaced.
        started: when it was forked.
        is_told: 1 if it was told to end.
        accepting_since: when it began to accept; 0.0: it has not.
        is_to_ring: 1 if it is to tell its parent, once, that it begins a connection.
        phase: what it does when it has no connection: STARTING, WAITING or RETIRING.
        connections: how many it has accepted.
        errors: in how many of them an error was reported.
        in_flight: how many it handles.
        has_room: whether it is ready for a connection: NO_ROOM, ROOM_IF_IDLE or ROOM.
        threads: how many threads it has for its handlers.
        oldest: when the oldest connection was accepted that it handles by itself, not by a child;
            0.0: it has none.
        since: when it last wrote here.
        roster: its connections, one by one.
        numbers: all of them, and `times`, as fractions, for who writes them with each connection:
            a store is a fifth of what one by an attribute costs.
    """

    pid = _Number(_PID)
    generation = _Number(_GENERATION)
    is_due = _Number(_IS_DUE)
    started = _Time(_STARTED)
    is_told = _Number(_IS_TOLD)
    accepting_since = _Time(_ACCEPTING_SINCE)
    is_to_ring = _Number(_IS_TO_RING)
    phase = _Number(_PHASE)
    connections = _Number(CONNECTIONS)
    errors = _Number(ERRORS)
    in_flight = _Number(IN_FLIGHT)
    has_room = _Number(HAS_ROOM)
    threads = _Number(THREADS)
    oldest = _Time(OLDEST)
    since = _Time(SINCE)

    def __init__(self, number: int, memory: memoryview) -> None:
        self.number = number
        self.numbers = memory[:_NUMBERS_SIZE].cast("q")
        self.times = memory[:_NUMBERS_SIZE].cast("d")
        self.roster = Roster(memory[_NUMBERS_SIZE : SLOT_SIZE - _TEXT_SIZE])
        self._text = memory[SLOT_SIZE - _TEXT_SIZE : SLOT_SIZE]

    def clear(self, generation: int, now: float) -> None:
        """Prepare it for a new worker, which is to be forked at the time `now`."""
        for index in range(len(self.numbers)):
            self.numbers[index] = 0
        self.roster.clear()
        self.generation = generation
        self.phase = STARTING
        self.started = self.since = now

    @property
    def state(self) -> int:
        """What it does: a number from `FREE` to `RETIRING`."""
        phase = self.phase
        return _WITH_CONNECTIONS.get(phase, phase) if self.in_flight else phase

    @property
    def is_spare(self) -> bool:
        """Whether it is ready for a connection."""
        room = self.has_room
        return room == ROOM or (room == ROOM_IF_IDLE and not self.in_flight)

    @property
    def state_name(self) -> str:
        """What the worker does. One that was told to end may be too busy to have noticed."""
        state = self.state
        if self.is_told and state in (WAITING, BUSY):
            state = CLOSING if self.in_flight else RETIRING
        return _STATE_NAMES[state]

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
