"""A pause after a failure, which grows while there is no success."""

from __future__ import annotations

import logging
import time

_logger = logging.getLogger("serverstrategy")

_FIRST = 0.1
_LONGEST = 5.0


class GrowingPause:
    """How long to leave something alone: 0.1 seconds after a failure, then twice as long each time.

    It grows to 5 seconds at most. Failures during a pause do not make it longer.
    """

    def __init__(self) -> None:
        self._until = self._length = self._failed = 0.0

    def remaining(self) -> float:
        """Seconds until it may be done; 0: now."""
        return max(0.0, self._until - time.monotonic())

    def at_least(self, seconds: float) -> None:
        """Leave it alone for so many seconds from now, though nothing has failed."""
        self._until = max(self._until, time.monotonic() + seconds)

    def note_failure(self, message: str, *arguments: object) -> None:
        """Begin a pause. The first failure after a success is logged, as a warning."""
        if not self._length:
            _logger.warning(message, *arguments)
        self._failed = now = time.monotonic()
        if now >= self._until:
            self._length = min(_LONGEST, max(_FIRST, 2 * self._length))
            self._until = now + self._length

    def note_success(self, begun: float) -> None:
        """Have the next pause be a short one, unless something has failed since `begun`.

        Args:
            begun: when what has succeeded was begun, in seconds of `time.monotonic`.
        """
        if begun > self._failed:
            self._length = 0.0
