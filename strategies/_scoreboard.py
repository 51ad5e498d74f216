"""What workers tell of themselves, in memory that survives any of them."""

from __future__ import annotations

import mmap
from collections.abc import Iterator

from serverstrategy.drain_report import ConnectionFate

from ._roster import FINISHED, Listed
from ._slot import SLOT_SIZE, STARTING, Slot

# Numbers of the board itself, of eight bytes each: the generation that is wanted, and how many
# slots have ever been taken.
_GENERATION, _USED = range(2)
_HEAD_SIZE = 64

# How long the workers inside of one that was killed may go on writing to their board, in seconds.
_ORPHANS_TIME = 2.0


class Scoreboard:
    """A slot for each worker, and beside it the board of the `Prefork` that runs inside of it.

    Memory that is shared by this process and all that are forked later, mmap(2): what a worker has
    written there stays when it is killed. Pages that nobody has written to cost nothing.

    Args:
        capacities: how many slots there are, and in each of the boards inside, and so on.
        memory: where it is; None: in memory of its own.
        depth: inside of how many others it is.

    Attributes:
        capacity: how many slots there are.
        depth: inside of how many others it is.

    Raises:
        OSError: the system refuses so much memory.
    """

    def __init__(
        self, capacities: tuple[int, ...], memory: memoryview | None = None, depth: int = 0
    ) -> None:
        self.depth = depth
        if memory is None:
            memory = memoryview(_new_memory(capacities))
        self.capacity, self._inside = capacities[0], capacities[1:]
        self._memory = memory
        self._numbers = memory[:_HEAD_SIZE].cast("q")
        self._slots: dict[int, Slot] = {}

    def __iter__(self) -> Iterator[Slot]:
        """Those of the workers that there are."""
        return (slot for slot in self.used() if slot.pid)

    def used(self) -> list[Slot]:
        """Those that workers have or have had, free ones included."""
        return [self.slot(number) for number in range(self._numbers[_USED])]

    def slot(self, number: int) -> Slot:
        """The slot with this number, free or not."""
        slot = self._slots.get(number)
        if slot is None:
            start = self._start(number)
            slot = Slot(number, self._memory[start : start + SLOT_SIZE])
            self._slots[number] = slot
        return slot

    def inside(self, slot: Slot) -> Scoreboard | None:
        """The board of the `Prefork` inside of the worker that has `slot`; None: it has none."""
        if not self._inside:
            return None
        start = self._start(slot.number)
        memory = self._memory[start + SLOT_SIZE : self._start(slot.number + 1)]
        return Scoreboard(self._inside, memory, self.depth + 1)

    def is_spare(self, slot: Slot) -> bool:
        """Whether the worker that has `slot` is ready for a connection, or will be in a moment.

        One with workers of its own is if one of these is.
        """
        if slot.state == STARTING:
            return True
        inside = self.inside(slot)
        return bool(slot.is_spare) and (inside is None or any(map(inside.is_spare, inside)))

    def in_flight(self, slot: Slot) -> int:
        """How many connections the worker that has `slot` handles, or its own workers do."""
        inside = self.inside(slot)
        return slot.in_flight + (0 if inside is None else sum(map(inside.in_flight, inside)))

    def take(self, taken: set[int], now: float) -> Slot | None:
        """Prepare a slot for a worker that is to be forked at the time `now`.

        Args:
            taken: the numbers of the slots that workers have.
            now: in seconds of `time.monotonic`.

        Returns:
            A slot; None if all are taken.
        """
        # One beyond those that were ever used is enough, and to read of the others takes memory.
        numbers = range(min(self.capacity, self._numbers[_USED] + 1))
        free = [self.slot(number) for number in numbers if number not in taken]
        if not free:
            return None
        quiet = now - _ORPHANS_TIME if self._inside else now
        slot = next((each for each in free if each.since <= quiet), None)
        if slot is None:
            slot = min(free, key=lambda each: each.since)
        slot.clear(self.generation, now)
        inside = self.inside(slot)
        if inside is not None:
            inside.clear()
        self._numbers[_USED] = max(self._numbers[_USED], slot.number + 1)
        return slot

    def clear(self) -> None:
        """Free all slots, and begin with the first generation."""
        for slot in self.used():
            slot.pid = 0
        self._numbers[_GENERATION] = self._numbers[_USED] = 0

    def note_death(self, slot: Slot, now: float) -> None:
        """Free the slot of a worker that has ended, with the board inside of it.

        Args:
            slot: which.
            now: when it ended, in seconds of `time.monotonic`. What it had in flight then was cut.
        """
        slot.roster.note_death(now)
        inside = self.inside(slot)
        if inside is not None:
            for each in inside:
                inside.note_death(each, now)
        slot.since = now
        slot.pid = 0

    def fates(self, since: float) -> list[ConnectionFate]:
        """What became of the connections of the workers, all of which have ended.

        Args:
            since: which connections: those that had not ended at this time of `time.monotonic`.

        Returns:
            Their fates, in the order of their ends.
        """
        ended = sorted(self._listed(since), key=lambda each: each.ended)
        return [
            ConnectionFate(
                each.client_address, each.age, "finished" if each.fate == FINISHED else "cut"
            )
            for each in ended
        ]

    def _listed(self, since: float) -> Iterator[Listed]:
        for slot in self.used():
            yield from slot.roster.listed(since)
            inside = self.inside(slot)
            if inside is not None:
                yield from inside._listed(since)

    @property
    def generation(self) -> int:
        """The generation of which all workers are to be."""
        return self._numbers[_GENERATION]

    def next_generation(self) -> None:
        """Have all workers replaced. From any process that has the board."""
        self._numbers[_GENERATION] += 1

    def _start(self, number: int) -> int:
        return _HEAD_SIZE + number * (SLOT_SIZE + _board_size(self._inside))


def _new_memory(capacities: tuple[int, ...]) -> mmap.mmap:
    size = _board_size(capacities)
    try:
        return mmap.mmap(-1, size)
    except OSError as error:
        each = " times ".join(map(str, capacities))
        text = f"no memory for a scoreboard of {each} workers ({size:,} bytes)"
        raise OSError(error.errno, f"{text}: {error.strerror}") from None


def _board_size(capacities: tuple[int, ...]) -> int:
    """How many bytes a board takes."""
    if not capacities:
        return 0
    return _HEAD_SIZE + capacities[0] * (SLOT_SIZE + _board_size(capacities[1:]))
