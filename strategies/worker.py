"""A worker process, as its parent sees it."""

from __future__ import annotations

import time

from ._roster import Listed
from ._slot import Slot


class Worker:
    """A worker process of `Prefork`, as the hooks are handed it.

    Attributes:
        pid: its process identifier.
        number: its place, from 0. Its successor may have another one.
        generation: how often all workers had been replaced when it was started.
        started: when it was forked, in seconds of `time.monotonic`.
    """

    def __init__(self, slot: Slot) -> None:
        self._slot = slot
        self.pid = 0
        self.number = slot.number
        self.generation = slot.generation
        self.started = slot.started

    @property
    def age(self) -> float:
        """Seconds since it was forked."""
        return time.monotonic() - self.started

    @property
    def state(self) -> str:
        """What it does: starting, waiting, busy, closing or retiring."""
        return self._slot.state_name

    @property
    def has_started(self) -> bool:
        """Whether it has begun to accept."""
        return self._slot.accepting_since > 0.0

    @property
    def served(self) -> float:
        """Seconds since it began to accept; 0.0 if it has not."""
        return time.monotonic() - self._slot.accepting_since if self.has_started else 0.0

    @property
    def connections(self) -> int:
        """How many connections it has accepted."""
        return self._slot.connections

    @property
    def errors(self) -> int:
        """In how many of them an error was reported."""
        return self._slot.errors

    def in_flight(self) -> list[Listed]:
        """The connections that it handles, the oldest first, and at most 256 of them."""
        return self._slot.roster.listed()

    def __repr__(self) -> str:
        return f"<worker {self.pid}, {self.state}, {self.age:.3f} s>"
