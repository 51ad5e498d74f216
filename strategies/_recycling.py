"""When a worker asks to be replaced."""

from __future__ import annotations

import os
import time

# How often a worker looks at its memory, in seconds: it takes some ten microseconds.
_INTERVAL = 0.1


class Recycling:
    """The bounds of one worker's life.

    Args:
        max_requests: after how many connections it is to be replaced; None: never for that.
        jitter: how many more than that at most, by lot, lest all workers are replaced at once.
        max_memory: at how many bytes of resident memory; None: never for that.
    """

    def __init__(self, max_requests: int | None, jitter: int, max_memory: int | None) -> None:
        self._max_requests = max_requests
        self._max_memory = max_memory
        self._next_look = 0.0
        if max_requests is not None and jitter:
            # A lot that a worker and its siblings, which are forks of one process, do not share.
            self._max_requests = max_requests + int.from_bytes(os.urandom(4), "big") % (jitter + 1)

    @property
    def is_wanted(self) -> bool:
        """Whether it may ever be due."""
        return self._max_requests is not None or self._max_memory is not None

    def is_due(self, connections: int) -> bool:
        """Whether a worker that has had so many connections is to be replaced."""
        if self._max_requests is not None and connections >= self._max_requests:
            return True
        if self._max_memory is None or time.monotonic() < self._next_look:
            return False
        self._next_look = time.monotonic() + _INTERVAL
        return resident_memory() > self._max_memory


def resident_memory() -> int:
    """The bytes of memory that this process has in use, those that it shares included.

    Where there is no /proc, the most that it ever had in use.
    """
    try:
        with open("/proc/self/statm", "rb") as file:  # noqa: PTH123 - costs less than Path.open
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        import resource
        import sys

        # getrusage(2): kilobytes, but bytes on macOS.
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024
