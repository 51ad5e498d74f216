"""Child processes: forked, watched, reaped, one by one."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
import time
import weakref
from collections.abc import Callable, Iterable

from ._child import flush, run_child
from ._deferral import RAISING, Deferral
from ._plain_signal import plain_signal

# How often a child is asked whether it has ended, in seconds, where the system does not tell.
_TICK = 0.1

# How often the main thread is given a millisecond to take a signal, which it may not want at all.
_TURNS = 20

# How many exits are asked for at once: by default epoll takes room for a thousand, and so a part of
# the heap where pages are copied after a fork.
_AT_ONCE = 32

OnExit = Callable[[int, int], None]

# Those of every strategy in this process: one may fork while the one before it still drains.
# A plain set of references: a `WeakSet` is in Python, and each function of it is two pages that a
# child has to copy.
_all: set[weakref.ref[Children]] = set()


class Children:
    """The children of one strategy, each reaped by its own pid when it has exited.

    The application's other children are never touched, and SIGCHLD stays the application's. On
    Linux the exits are heard through pidfd_open(2), all by one descriptor; elsewhere, and where no
    descriptor is left, each child is asked ten times a second while there is one.

    Opens nothing before the first fork. It can be handed to `Server.add_watched`.
    """

    def __init__(self) -> None:
        # Reentrant, because a signal handler runs inside whatever the main thread is doing.
        self._lock = threading.RLock()
        self._on_exit: dict[int, OnExit] = {}
        self._pid_of: dict[int, int] = {}  # by pidfd
        self._exits: select.epoll | None = None
        self._parents: object = None
        _all.add(weakref.ref(self, _all.discard))

    def pids(self) -> list[int]:
        """The process identifiers of those that are not reaped yet."""
        return list(self._on_exit)

    def fork(
        self, main: Callable[[], int], on_start: Callable[[int], None], on_exit: OnExit
    ) -> None:
        """Start a child that calls `main` and exits with the status that it returns.

        Args:
            main: called in the child. What it raises is logged and makes the status 1.
            on_start: called in the parent, with the child's pid, at once. No signal handler runs
                until then, so that the child is not lost.
            on_exit: called in the parent, with the pid and the exit status (negative: the number
                of the signal that ended it), once the child is reaped; twice if the first call
                raises, as by a signal handler amid it.

        Raises:
            OSError: the system refuses another process (EAGAIN, ENOMEM).
            BaseException: what the handler of a signal raises that has come meanwhile. The child
                has been started then.
        """
        flush()  # what is buffered now would be written by both
        # A signal handler that raises between the fork and the child's `try` would have the child
        # unwind into the parent's code. Two calls, since the one that blocks may raise as well.
        mask = plain_signal.pthread_sigmask(plain_signal.SIG_BLOCK, ())
        deferral = Deferral()
        with self._lock:
            try:
                plain_signal.pthread_sigmask(plain_signal.SIG_BLOCK, RAISING)
                deferral.begin()
                pid = os.fork()
                if pid == 0:
                    run_child(main, mask)
                self._on_exit[pid] = on_exit
                on_start(pid)
                self._watch(pid)
            finally:
                try:
                    if not deferral.is_in_main_thread:
                        _give_main_thread_turns(mask)
                    plain_signal.pthread_sigmask(plain_signal.SIG_SETMASK, mask)
                finally:
                    deferral.end()

    def fileno(self) -> int:
        """The descriptor that is readable when a child has exited; -1 if there is none."""
        return -1 if self._exits is None else self._exits.fileno()

    def tick(self) -> float | None:
        """Seconds after which to call `check`; None: `fileno` tells."""
        return None if len(self._pid_of) == len(self._on_exit) else _TICK

    def check(self) -> None:
        """Reap what has exited. Never blocks."""
        with self._lock:
            while self._exits is not None:
                exits = self._exits.poll(0, _AT_ONCE)
                for fd, _ in exits:
                    self._reap(self._pid_of.get(fd), fd)
                if len(exits) < _AT_ONCE:
                    break
            if len(self._pid_of) != len(self._on_exit):
                for pid in self._unwatched():
                    self._reap(pid, None)

    def wait(self, timeout: float | None) -> bool:
        """Reap until no child is left, at most `timeout` seconds (None: for ever).

        Returns:
            Whether none is left.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        self.check()
        while self._on_exit:
            # A second at most, since a signal that comes just before the wait does not end it.
            pause = self.tick() or 1.0
            if deadline is not None:
                pause = min(pause, deadline - time.monotonic())
                if pause <= 0.0:
                    return False
            # Not by the epoll set: another thread, or a signal handler, may wait as well, and the
            # one that reaps the last child would leave the others to sleep on.
            exits = select.poll()
            for fd in tuple(self._pid_of):
                exits.register(fd, select.POLLIN)
            exits.poll(1000 * pause)
            self.check()
        return True

    def kill(self) -> None:
        """Send SIGKILL to those that are left."""
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def close(self) -> None:
        """Give the descriptors back, if no child is left."""
        with self._lock:
            if not self._on_exit and self._exits is not None:
                self._exits.close()
                self._exits = None

    def _unwatched(self) -> list[int]:
        """Those whose exit no descriptor tells. Derived, so that no interruption makes it wrong."""
        return list(self._on_exit.keys() - self._pid_of.values())

    def _watch(self, pid: int) -> None:
        try:
            if self._exits is None:
                self._exits = select.epoll()
            fd = os.pidfd_open(pid)
        except (AttributeError, OSError):  # not Linux; an old one; or no descriptor is left
            return
        try:
            self._exits.register(fd, select.EPOLLIN)
        except OSError:  # ENOSPC, see epoll_ctl(2)
            os.close(fd)
        else:
            self._pid_of[fd] = pid

    def _reap(self, pid: int | None, fd: int | None) -> None:
        if pid not in self._on_exit:
            return  # a signal handler has been here, inside of `check`
        try:
            reaped, status = os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            # The application reaped it, or ignores SIGCHLD.
            reaped, status = pid, 0
        if reaped == 0:
            return
        if fd is not None and self._pid_of.pop(fd, None) is not None and self._exits is not None:
            # epoll(7): closing takes it out of the set only if no child holds a copy.
            self._exits.unregister(fd)
            os.close(fd)
        on_exit = self._on_exit.get(pid)
        if on_exit is None:
            return  # a signal handler has been here
        try:
            self._on_exit.pop(pid, None)
            on_exit(pid, os.waitstatus_to_exitcode(status))
        except BaseException:
            # It may be a signal handler's, and have come before `on_exit` had done anything.
            on_exit(pid, os.waitstatus_to_exitcode(status))
            raise

    def forget(self) -> None:
        """Give back what this process has of them, a forked one: they are its parent's."""
        self._lock = threading.RLock()
        if self._exits is None:
            if self._on_exit:
                self._on_exit = {}
            return
        self._exits.close()
        self._exits = None
        for fd in self._pid_of:
            os.close(fd)
        # Kept, since freeing what is in there would copy the pages that it is on.
        self._parents = self._on_exit, self._pid_of
        self._on_exit = {}
        self._pid_of = {}


def _forget_siblings() -> None:
    for reference in tuple(_all):
        children = reference()
        if children is not None:
            children.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_siblings)


def _give_main_thread_turns(mask: Iterable[int]) -> None:
    """Let the main thread take the signals that have come to this one, which `mask` lets in.

    Python runs signal handlers in the main thread, which does not wake up from a lock or a join
    for a signal that another thread has taken.
    """
    for _ in range(_TURNS):
        if not plain_signal.sigpending() - set(mask):
            break
        time.sleep(0.001)
