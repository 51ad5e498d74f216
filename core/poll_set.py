"""Which descriptors are readable: what each system has for it, behind one face."""

from __future__ import annotations

import contextlib
import errno
import select
from typing import Any

from .listener import fileno

_READABLE = 1  # POLLIN and EPOLLIN, which POSIX and Linux define alike


class PollSet:
    """Descriptors to wait for.

    By poll(2), which takes no descriptor of its own and one system call; where there is none, by
    select(2).

    Args:
        may_exclude: whether `add` is to know exclusive descriptors. Then it is by epoll(7), if the
            system has EPOLLEXCLUSIVE (Linux 4.5), and takes one descriptor.

    Attributes:
        excludes: whether exclusive descriptors are.

    Raises:
        OSError: no file descriptor is left (EMFILE, ENFILE).
    """

    def __init__(self, may_exclude: bool = False) -> None:
        # Looked up here, because programs put poll sets of their own in their place, or none.
        self.excludes = (
            may_exclude and hasattr(select, "epoll") and hasattr(select, "EPOLLEXCLUSIVE")
        )
        self._set: Any = select.epoll() if self.excludes else getattr(select, "poll", _Select)()
        self._second = 1 if self.excludes else 1000  # epoll_wait of Python counts in seconds

    def add(self, fd: int, *, exclusive: bool = False) -> None:
        """Wait for `fd` as well.

        Args:
            fd: the descriptor.
            exclusive: whether to wake one only of the processes that wait for what is behind it,
                if the system can do that.
        """
        if exclusive and self.excludes:
            try:
                self._set.register(fd, _READABLE | select.EPOLLEXCLUSIVE)
            except OSError as error:
                # An epoll set itself, of several listeners, say; or Linux is older than Python is.
                if error.errno != errno.EINVAL:
                    raise
            else:
                return
        self._set.register(fd, _READABLE)

    def add_edges(self, fd: int) -> None:
        """Wait for each write to `fd`, read or not. Only where exclusive ones are known."""
        self._set.register(fd, _READABLE | select.EPOLLET)

    def discard(self, fd: int) -> None:
        """Wait for `fd` no longer. It may have been closed."""
        with contextlib.suppress(OSError, KeyError):
            self._set.unregister(fd)

    def wait(self, timeout: float | None) -> set[int]:
        """Block for at most `timeout` seconds (None: for ever).

        Returns:
            The descriptors that are readable, at end of file or in error.
        """
        ready = self._set.poll(None if timeout is None else timeout * self._second)
        # An acceptor waits once for each connection where there are none too many. One descriptor
        # is the rule then. And no comprehension, see `Waiter.wait_beside`.
        return {ready[0][0]} if len(ready) == 1 else set(dict(ready))

    def close(self) -> None:
        """Give the descriptor back, if there is one. May be called twice."""
        if self.excludes:
            self._set.close()


def is_readable(server: Any) -> bool:
    """Whether the descriptor of `server` is readable now, at end of file or in error."""
    fd = fileno(server)
    if fd < 0:
        return False
    poll = getattr(select, "poll", _Select)()
    poll.register(fd, _READABLE)
    return bool(poll.poll(0))


class _Select:
    """select(2) with the methods of `select.poll`."""

    def __init__(self) -> None:
        self._fds: set[int] = set()

    def register(self, fd: int, _: int) -> None:
        self._fds.add(fd)

    def unregister(self, fd: int) -> None:
        self._fds.remove(fd)

    def poll(self, timeout: float | None) -> list[tuple[int, int]]:
        seconds = None if timeout is None else timeout / 1000
        ready, _, broken = select.select(self._fds, [], self._fds, seconds)
        return [(fd, _READABLE) for fd in {*ready, *broken}]
