"""Children that were forked ahead, and wait for a connection each."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from ._children import Children
from ._deferral import Deferral
from ._growing_pause import GrowingPause
from ._spare import Duty, OnExit, Spare, pack, wait

# How long a child that has got its connection is left alone before the next fork, in seconds: as
# long as a short handler takes, and less than the gap between some hundred connections a second.
_MOMENT = 0.001

# Those of every strategy in this process. A forked child must hold no end of them: while somebody
# holds the sending one, nobody sees the end of file that tells of the parent's death.
_all: set[weakref.ref[Spares]] = set()


class Spares:
    """Keeps so many children waiting, of which each takes one connection.

    One is forked where the thread that serves waits, and nothing has come for a moment: not beside
    the child that has just got its connection, which would have to share its processor, and so that
    a connection waits for one fork at most. Where connections come faster than that, none is left,
    and each is forked for.

    Opens and starts nothing before the wait that follows `begin`. It can be handed to
    `Server.add_watched`.

    Args:
        count: how many.
        children: those of the strategy; the spare ones are among them.
    """

    def __init__(self, count: int, children: Children) -> None:
        self.count = count
        self._children = children
        self._waiting: deque[Spare] = deque()
        self._given: list[Spare] = []  # whose children may not have taken their connections
        self._left: deque[Spare] = deque()  # whose children have ended without having done so
        self._newborn: Spare | None = None
        self._parents: object = None
        self._duty: Duty | None = None  # while somebody accepts
        self._thread = 0
        self._is_due = False
        self._pause = GrowingPause()
        _all.add(weakref.ref(self, _all.discard))

    def begin(self, duty: Duty) -> None:
        """Have the calling thread, which is to accept, fork when it waits."""
        self._duty = duty
        self._thread = threading.get_ident()
        self._pause = GrowingPause()

    def end(self) -> None:
        """End those that wait, at once. May be called again."""
        self._thread = 0
        self._duty = None
        while self._waiting:
            spare = self._waiting[0]
            spare.close()
            with contextlib.suppress(ProcessLookupError):
                os.kill(spare.pid, signal.SIGKILL)  # it may be stopped, and has nothing to lose
            with contextlib.suppress(ValueError):  # it has been reaped meanwhile
                self._waiting.remove(spare)
        while self._left:
            self._finish(self._left[0])

    def give(
        self,
        request: Any,
        client_address: Any,
        on_start: Callable[[int], None],
        on_exit: OnExit,
    ) -> bool:
        """Hand a connection to one that waits.

        Args:
            request: which. The caller closes it afterwards.
            client_address: its peer.
            on_start: see `Children.fork`; called again if that child ends before it has taken it,
                with the pid of the one that takes its place.
            on_exit: see `Children.fork`.

        Returns:
            Whether it was. If not, none waits, or the connection cannot be sent.
        """
        message = pack(request, client_address) if self._waiting else None
        if message is None:
            return False
        # What a signal handler raises between the two steps would leave the connection to two.
        deferral = Deferral()
        try:
            deferral.begin()
            try:
                spare = self._waiting.popleft()
            except IndexError:  # another thread, or a signal handler, was faster
                return False
            try:
                spare.send(request, message)
            except OSError:  # as ETOOMANYREFS, see unix(7)
                spare.close()
                return False
            spare.on_start, spare.on_exit = on_start, on_exit
            self._given.append(spare)
            on_start(spare.pid)
        finally:
            deferral.end()
        self._pause.note_success(spare.started)
        self._pause.at_least(_MOMENT)
        return True

    def fileno(self) -> int:
        """No descriptor tells."""
        return -1

    def tick(self) -> float | None:
        """Seconds after which to call `check`; None: not before the next connection."""
        # It is asked before and after a wait only. In another thread that is the one beside a hook
        # (see `HookWait`), whose connection a child is not to have.
        if threading.get_ident() != self._thread or not self._is_missing():
            return None
        self._is_due = True
        return self._pause.remaining()

    def check(self) -> None:
        """Fork one that is missing, if this is after a wait, and no connection has come."""
        is_due, self._is_due = self._is_due, False
        duty = self._duty
        if duty is None or not is_due or self._pause.remaining():
            return
        if duty.is_urgent() and not self._left:
            return
        for spare in tuple(self._given):
            if spare.is_taken():
                spare.close()
                self._given.remove(spare)
        try:
            self._fork(duty)
        except OSError as error:
            self._pause.note_failure("no spare child could be started: %s", error)

    def forget(self) -> None:
        """Give back what this process has of them, a forked one: they are its parent's."""
        self._thread = 0
        self._duty = None
        for spare in (*self._waiting, *self._given, *self._left):
            spare.leave_to_parent(is_own=spare is self._newborn)
        if self._newborn is not None:
            self._newborn.leave_to_parent(is_own=True)
        # Kept, since freeing what is in there would copy the pages that it is on.
        self._parents = self._waiting, self._given, self._left, self._parents
        self._waiting, self._given, self._left = deque(), [], deque()

    def _is_missing(self) -> bool:
        return len(self._waiting) < self.count or bool(self._left)

    def _fork(self, duty: Duty) -> None:
        self._newborn = spare = self._left[0] if self._left else Spare()
        try:
            self._children.fork(
                partial(wait, duty, spare),
                partial(self._start, spare),
                partial(self._end, duty, spare),
            )
        finally:
            self._newborn = None
            if not spare.pid:
                spare.close()

    def _start(self, spare: Spare, pid: int) -> None:
        spare.pid = pid
        spare.started = time.monotonic()
        if spare.on_start is None:
            self._waiting.append(spare)
        else:
            self._given.append(spare)
            self._left.remove(spare)
            spare.on_start(pid)

    def _end(self, duty: Duty, spare: Spare, pid: int, status: int) -> None:
        """A child has ended: see `Children.fork`, which may tell it twice."""
        spare.status = status
        if spare in self._waiting:
            how = f"was ended by signal {-status}" if status < 0 else f"exited with {status}"
            self._pause.note_failure("spare child %d %s: replacing it", pid, how)
            self._waiting.remove(spare)
        if self._duty is not None and spare in self._given and not spare.is_taken():
            if spare not in self._left:
                self._left.append(spare)
            self._given.remove(spare)
        elif spare not in self._left:
            self._finish(spare)
            if spare.on_exit is None:
                duty.on_end()

    def _finish(self, spare: Spare) -> None:
        spare.close()
        if spare.on_exit is not None:
            spare.on_exit(spare.pid, spare.status)
        for spares in (self._given, self._left):
            if spare in spares:
                spares.remove(spare)


def _forget_siblings() -> None:
    for reference in tuple(_all):
        spares = reference()
        if spares is not None:
            spares.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_siblings)
