"""Waiting for descriptors, for another thread and for signals, without ticking."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import weakref
from collections.abc import Callable, Iterable, Sequence
from signal import set_wakeup_fd
from types import TracebackType
from typing import TYPE_CHECKING

from .poll_set import PollSet

if TYPE_CHECKING:
    from .watched import Watched

Wait = Callable[[Sequence[int], float | None], Iterable[int]]
"""Blocks until one of these descriptors is readable, at most so many seconds (None: for ever).

Returns those that are. It may return early, with none.
"""

# The descriptor at which a waiter gets the signals, if one does. A list, since a forked child
# changes it at less cost than a name of the module.
_signal_fds: list[int] = []


class Waiter:
    """Waits until a descriptor is readable, another thread calls `wake`, or a signal arrives.

    As a context manager in the main thread it also closes the gap in which a signal arrives after
    Python last looked and before the system call begins, so that a wait without a timeout cannot
    sleep over it (`signal.set_wakeup_fd`). Where the application set a descriptor of its own there,
    that one stays.

    Opens two file descriptors, or three; `close` gives them back, and so does its end, without a
    warning: the application that drops a server knows nothing of them.

    Args:
        wait: waits in the place of the system call, as an event loop has it.
        may_exclude: see `PollSet`.

    Raises:
        OSError: no file descriptor is left (EMFILE, ENFILE).
    """

    def __init__(self, wait: Wait | None = None, *, may_exclude: bool = False) -> None:
        self._wait = wait
        self._receiver, self._sender = socket.socketpair()
        # Not `__del__`, which may come after the warnings of the two sockets, where all of them
        # are collected at the same time; this keeps them until the waiter is gone.
        self._give_back = weakref.finalize(self, _close, self._receiver, self._sender)
        self._give_back.atexit = False
        self._receiver.setblocking(False)
        self._sender.setblocking(False)
        self._own = self._receiver.fileno()
        self._poll_set = PollSet(may_exclude)
        self._poll_set.add(self._own)
        self._watched: set[int] = set()
        self._beside: list[tuple[int, Watched]] = []
        self._gets_signals = False

    @property
    def excludes(self) -> bool:
        """Whether `watch` can have one process only be woken."""
        return self._poll_set.excludes

    def watch(self, fd: int, *, exclusive: bool = False) -> None:
        """Wait for the descriptor `fd` as well, from the next `wait` on. See `PollSet.add`."""
        if fd not in self._watched:
            self._poll_set.add(fd, exclusive=exclusive)
            self._watched.add(fd)

    def watch_edges(self, fd: int) -> None:
        """Wait for each write to `fd` as well, read or not. Only if it `excludes`."""
        self._poll_set.add_edges(fd)
        self._watched.add(fd)

    def unwatch(self, fd: int) -> None:
        """Wait for the descriptor `fd` no longer."""
        if fd in self._watched:
            self._watched.discard(fd)
            self._poll_set.discard(fd)

    def wait(self, timeout: float | None = None) -> set[int]:
        """Block for at most `timeout` seconds (None: for ever).

        Returns:
            The watched descriptors that are readable, at end of file or closed. Empty after a
            wake-up, a signal or the timeout.
        """
        if self._wait is None:
            ready = self._poll_set.wait(timeout)
        else:
            ready = set(self._wait([self._own, *self._watched], timeout))
        if self._own in ready:
            ready.discard(self._own)
            with contextlib.suppress(OSError):
                self._receiver.recv(4096)
        return ready

    def wait_beside(self, watched: Sequence[Watched], timeout: float | None) -> set[int]:
        """Like `wait`, but for each of `watched` as well, whose `check` is called when it is due.

        It also returns when the `tick` of one of them is over.
        """
        if not watched and not self._beside:
            return self.wait(timeout)
        # No comprehensions: each makes a function, which after a fork copies pages.
        wanted = []
        for each in watched:
            wanted.append((each.fileno(), each))
        if wanted != self._beside:
            for fd in {fd for fd, _ in self._beside} - {fd for fd, _ in wanted}:
                self.unwatch(fd)
            for fd, _ in wanted:
                if fd != -1:
                    self.watch(fd)
            self._beside = wanted
        for _, each in wanted:
            tick = each.tick()
            if tick is not None and (timeout is None or tick < timeout):
                timeout = tick
        ready = self.wait(timeout)
        for fd, each in wanted:
            if fd in ready or each.tick() is not None:
                each.check()
        return ready

    def wake(self) -> None:
        """Let `wait` return, now or the next time. From any thread; never blocks, never raises."""
        with contextlib.suppress(OSError):
            self._sender.send(b"\0")

    def close(self) -> None:
        """Give the file descriptors back. May be called twice."""
        # Few functions, since a forked child calls it, too. So `_give_back` is left in force.
        if self._poll_set.excludes:
            self._poll_set.close()
        self._receiver.close()
        self._sender.close()

    def __enter__(self) -> Waiter:
        if threading.current_thread() is threading.main_thread():
            # ValueError: this is the main thread of a subinterpreter, which gets no signals.
            with contextlib.suppress(ValueError):
                fd = self._sender.fileno()
                previous = set_wakeup_fd(fd, warn_on_full_buffer=False)
                if previous == -1:
                    self._gets_signals = True
                    _signal_fds.append(fd)
                else:
                    set_wakeup_fd(previous)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._gets_signals:
            self._gets_signals = False
            _signal_fds.clear()
            current = set_wakeup_fd(-1)
            if current != self._sender.fileno():  # the application's, which came later
                set_wakeup_fd(current)


def shortest(*timeouts: float | None) -> float | None:
    """The shortest of `timeouts`, in seconds; None, which is for ever, if all are None."""
    return min((timeout for timeout in timeouts if timeout is not None), default=None)


def _close(*pair: socket.socket) -> None:
    for each in pair:
        each.close()


def _leave_signals_to_the_parent() -> None:
    # A child's signals must not wake its parent's waiter, and its own waiter wants them.
    if _signal_fds:
        _signal_fds.clear()
        set_wakeup_fd(-1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_signals_to_the_parent)
