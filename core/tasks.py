"""The threads of this process, as the system counts them."""

from __future__ import annotations

import contextlib
import os
import threading
import time

# How long the system may take to forget threads that have ended, in seconds.
_EXIT_TIME = 0.1


def wait_until_threads_are_gone() -> None:
    """Wait until the system has no more threads of this process than Python has.

    A thread that was joined is the system's for a moment more, and a fork in that moment is one
    beside a thread: Python 3.12 and later ask the system, and warn. At most a tenth of a second,
    for there may be threads that Python knows nothing of; not at all where there is no /proc.
    """
    deadline = time.monotonic() + _EXIT_TIME
    with contextlib.suppress(OSError):
        while _count() > threading.active_count() and time.monotonic() < deadline:
            time.sleep(0.001)


def _count() -> int:
    return len(os.listdir("/proc/self/task"))  # noqa: PTH208 - costs less than Path.iterdir
