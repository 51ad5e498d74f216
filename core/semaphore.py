"""A semaphore that is either free or not."""

from __future__ import annotations

import contextlib
import threading


class BinarySemaphore:
    """Lets one thread wait until another one says so, at the cost of a lock.

    A `Waiter` costs several system calls for the same, but also hears of descriptors and signals.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def wake(self) -> None:
        """Let `wait` return, now or the next time. From any thread; never blocks, never raises."""
        with contextlib.suppress(RuntimeError):  # it was woken already
            self._lock.release()

    def wait(self, timeout: float) -> bool:
        """Block until `wake`, at most `timeout` seconds.

        Returns:
            Whether it was woken.
        """
        return self._lock.acquire(timeout=timeout)
