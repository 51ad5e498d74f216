"""A connection that one of several processes has left in the backlog."""

from __future__ import annotations

import contextlib
import os
import select


class Nudge:
    """Has every process that shares a listener look at it again.

    Where each connection wakes one of them only, that one may find that it cannot take it, for want
    of room or of descriptors, and the others would sleep on.

    Takes one descriptor, where the system has what it needs (Linux); `close` gives it back.

    Raises:
        OSError: no file descriptor is left (EMFILE, ENFILE).
    """

    def __init__(self) -> None:
        # Nobody reads it. Each write is a new edge for every epoll set that has it.
        can = hasattr(os, "eventfd") and hasattr(select, "EPOLLEXCLUSIVE")
        self._fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK) if can else -1

    def fileno(self) -> int:
        """The descriptor, for a wait by edges; -1 if there is none."""
        return self._fd

    def send(self) -> None:
        """Wake them all, this process as well. From any thread; never blocks, never raises."""
        with contextlib.suppress(OSError):
            os.eventfd_write(self._fd, 1)

    def close(self) -> None:
        """Give the descriptor back. May be called twice."""
        fd, self._fd = self._fd, -1
        if fd != -1:
            os.close(fd)
