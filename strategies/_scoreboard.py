"""What workers tell of themselves, in memory that survives any of them."""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Iterator

from serverstrategy.drain_report import ConnectionFate

from ._roster import FINISHED
from ._slot import SLOT_SIZE, Slot

# Numbers of the board itself, of eight bytes each: the generation that is wanted, and how many
# slots have ever been taken.
_GENERATION, _USED = range(2)
_HEAD_SIZE = 64


class Scoreboard:
    """A slot for each worker, and beside it the board of the `Prefork` that runs inside of it.

    Memory that is shared by this process and all that are forked later, mmap(2): what a worker has
    written there stays when it is killed. Pages that nobody has written to cost nothing.

    Args:
        capacities: how many slots there are, and in each of the boards inside, and so on.
        memory: where it is; None: in memory of its own.

    Raises:
        OSError: the system refuses so much memory.
    """

    def __init__(self, capacities: tuple[int, ...], memory: memoryview | None = None) -> None:
        if memory is None:
            memory = memoryview(mmap.mmap(-1, _board_size(capacities)))
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
        return Scoreboard(
            self._inside, self._memory[start + SLOT_SIZE : self._start(slot.number + 1)]
        )

    def take(self, taken: set[int], now: float) -> Slot | None:
        """Prepare a slot for a worker that is to be forked at the time `now`.

        Args:
            taken: the numbers of the slots that workers have.
            now: in seconds of `time.monotonic`.

        Returns:
            A slot; None if all are taken.
        """
        number = next((each for each in range(self.capacity) if each not in taken), None)
        if number is None:
            return None
        slot = self.slot(number)
        slot.clear(self.generation, now)
        inside = self.inside(slot)
        if inside is not None:
            inside.clear()
        self._numbers[_USED] = max(self._numbers[_USED], number + 1)
        return slot

    def clear(self) -> None:
        """Free all slots, and begin with the first generation."""
        for slot in self.used():
            slot.pid = 0
        self._numbers[_GENERATION] = self._numbers[_USED] = 0

    def fates(self, since: float) -> list[ConnectionFate]:
        """What became of the connections of the workers, all of which have ended; in their order.

        Args:
            since: which connections: those that had not ended at this time of `time.monotonic`.
        """
        fates = []
        for slot in self.used():
            # A worker that was killed has left its connections as they were.
            fates += [
                ConnectionFate(
                    each.client_address, each.age, "finished" if each.fate == FINISHED else "cut"
                )
                for each in slot.roster
                if not each.ended or each.ended >= since
            ]
            inside = self.inside(slot)
            fates += inside.fates(since) if inside is not None else []
        return fates

    def clear_rosters(self, slots: Iterable[Slot] | None = None) -> None:
        """Strike off the connections of these workers, and of those inside; None: of all."""
        for slot in self.used() if slots is None else slots:
            slot.roster.clear()
            inside = self.inside(slot)
            if inside is not None:
                inside.clear_rosters()

    @property
    def generation(self) -> int:
        """The generation of which all workers are to be."""
        return self._numbers[_GENERATION]

    def next_generation(self) -> None:
        """Have all workers replaced. From any process that has the board."""
        self._numbers[_GENERATION] += 1

    def _start(self, number: int) -> int:
        return _HEAD_SIZE + number * (SLOT_SIZE + _board_size(self._inside))


def _board_size(capacities: tuple[int, ...]) -> int:
    """How many bytes a board takes."""
    if not capacities:
        return 0
    return _HEAD_SIZE + capacities[0] * (SLOT_SIZE + _board_size(capacities[1:]))
