"""How soon a worker that has died is replaced, and when that is given up."""

from __future__ import annotations

import os
import time
from collections import Counter, deque

# A worker that ends this soon after it began to accept, in seconds, has not served.
_YOUNG = 1.0
_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 5.0


class WorkerStartError(RuntimeError):
    """The first workers could not start. The text has the traceback of the one that says why."""


class CrashLoopError(RuntimeError):
    """Workers died soon after their start, again and again. The text says how, and how often."""


class Restarts:
    """Lets a worker that cannot live be replaced later and later, and in the end not at all.

    A worker that dies young, or however late before it accepts, has its place wait before it is
    filled again, twice as long each time, and a part of that by lot, so that a worker that cannot
    start does not become a fork bomb, and many servers that fail for the same reason do not try
    again at the same time.

    Args:
        limit: how many may die young within `window`; None: any number.
        window: for how long a death counts, in seconds. That long without one, and the pauses
            begin anew.
    """

    def __init__(self, limit: int | None, window: float) -> None:
        self._limit = limit
        self._window = window
        self._deaths: deque[tuple[float, str]] = deque()
        self._pause = 0.0
        self._not_before = 0.0

    def note_death(self, served: float, how: str) -> None:
        """Note that a worker has ended which nobody had told to.

        Args:
            served: how long it had accepted, in seconds.
            how: its exit status or signal, as text.

        Raises:
            CrashLoopError: it was one too many.
        """
        now = time.monotonic()
        while self._deaths and now - self._deaths[0][0] > self._window:
            self._deaths.popleft()
        if served >= _YOUNG:
            self._pause = 0.0
            return
        if not self._deaths:
            self._pause = 0.0
        self._deaths.append((now, how))
        if self._limit is not None and len(self._deaths) > self._limit:
            counted = Counter(how for _, how in self._deaths)
            told = ", ".join(f"{how} ({times} times)" for how, times in counted.most_common())
            who = "a worker" if len(self._deaths) == 1 else f"{len(self._deaths)} workers"
            raise CrashLoopError(
                f"{who} died before having served for a second, in "
                f"{now - self._deaths[0][0]:.1f} seconds: {told}"
            )
        self._postpone()

    def remaining(self) -> float:
        """Seconds until the next worker may be started; 0: it may be now."""
        return max(0.0, self._not_before - time.monotonic())

    def _postpone(self) -> None:
        """Let the next one wait, for longer than the one before."""
        self._pause = min(_LONGEST_PAUSE, max(_FIRST_PAUSE, 2 * self._pause))
        # 0.75 to 1.25 of it.
        share = 0.75 + os.urandom(1)[0] / 512
        self._not_before = time.monotonic() + share * self._pause
