"""The stop signal: one bit that is handed down, from thread to thread and from parent to child."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import weakref

_STOP = b"s"
_POLLRDHUP: int = getattr(select, "POLLRDHUP", 0)

# The owner's end of every signal that this process made. A forked child must not keep any of them:
# while somebody holds that end, nobody sees the end of file that tells of the owner's death.
# A plain set of references: a `WeakSet` is in Python, and each function of it is two pages that a
# child has to copy.
_owned: set[weakref.ref[socket.socket]] = set()


class StopSignal:
    """Says "stop accepting" to a server or to a part of it, across threads and processes.

    It is a socket pair. The process that makes it holds both ends and is its owner; a process
    forked later keeps only the other end. A byte or the end of file (the owner was killed) means
    stop. A byte the other way asks the owner to stop everything: see `ask`.

    Opens two file descriptors; `close` gives them back.

    Raises:
        OSError: no file descriptor is left (EMFILE, ENFILE).
    """

    def __init__(self, parent: StopSignal | None = None) -> None:
        self._stopped = False
        self._parent = parent
        self._children: set[StopSignal] = set()
        self._owner_end, self._child_end = socket.socketpair()
        self._owner_end.setblocking(False)
        self._child_end.setblocking(False)
        _owned.add(weakref.ref(self._owner_end, _owned.discard))
        if parent is not None:
            parent._children.add(self)
            if parent._stopped:
                self.set()

    def child(self) -> StopSignal:
        """Return the signal of one part: a worker, or a generation of workers.

        Stopping this signal stops the part as well; stopping the part stops nothing else.
        """
        return StopSignal(self)

    def set(self) -> None:
        """Stop this part and all below it. For the owner; any other process asks, see `ask`.

        Takes no lock, never blocks and may be called from a signal handler, any number of times.
        """
        self._stopped = True
        for child in tuple(self._children):
            child.set()
        if self._is_owner():
            _send(self._owner_end, _STOP)  # heard by the processes that were forked
            _send(self._child_end, _STOP)  # heard by the threads of this one

    def ask(self) -> None:
        """Stop the whole of which this is a part, from any process, thread or signal handler.

        In a forked process it sends a byte to the owner, which relays it to all the others.
        Returns at once. What has been cut has no say any more: it may get SIGTERM next, and that
        signal's handler, which it has from its parent, may ask for the end of all.
        """
        if self.is_cut():
            return
        if self._parent is not None:
            self._parent.ask()
        elif self._is_owner():
            self.set()
        else:
            _send(self._child_end, _STOP)

    def is_set(self) -> bool:
        """Whether stop was said. Never blocks; relays what a child or a dead owner said."""
        if not self._stopped and (self._heard() or self._is_set_above()):
            self.set()
        return self._stopped

    def is_known(self) -> bool:
        """Whether this process has said stop, or heard it by `is_set`. Asks nobody."""
        return self._stopped

    def fileno(self) -> int:
        """The descriptor that is readable from the moment of the stop on: nobody takes the byte."""
        return self._own_end().fileno()

    def filenos(self) -> list[int]:
        """The descriptors to wait for: `fileno`, and those of the wholes of which this is a part.

        The latter matter for a part that was made in a forked process: its parent's owner, in
        another process, does not know of it.
        """
        above = [] if self._parent is None else self._parent.filenos()
        return [fd for fd in (self.fileno(), *above) if fd != -1]

    def cut(self) -> None:
        """Tell the process that holds this signal that its time to drain is over. For the owner."""
        with contextlib.suppress(OSError):
            self._owner_end.shutdown(socket.SHUT_WR)

    def wait_for_cut(self) -> bool:
        """Block until the owner says `cut` (True) or is gone (False). For a forked process.

        Where the system does not tell the one from the other, it says that the owner is gone.
        """
        # Without POLLIN the bytes do not count. Linux tells that the other end was shut down;
        # POSIX: POLLHUP, that it was closed, is always reported.
        self._poll(_POLLRDHUP)
        return not self.owner_is_lost()

    def owner_is_lost(self) -> bool:
        """Whether this is a forked process whose owner is gone. Never blocks."""
        is_open = self._child_end.fileno() >= 0
        return is_open and not self._is_owner() and self._poll(0, timeout=0)

    def is_cut(self) -> bool:
        """Whether this is a forked process whose owner has said `cut`, or is gone. Never blocks."""
        is_open = self._child_end.fileno() >= 0
        return is_open and not self._is_owner() and self._poll(_POLLRDHUP, timeout=0)

    def leave_siblings(self) -> None:
        """Close the descriptors of the other parts. For the forked process that is this part."""
        if self._parent is not None:
            for sibling in tuple(self._parent._children):
                if sibling is not self:
                    sibling.close()

    def close(self) -> None:
        """Give the file descriptors back. The parts below stay open: they are closed by those
        who made them. May be called twice.
        """
        if self._parent is not None:
            self._parent._children.discard(self)
        self._owner_end.close()
        self._child_end.close()

    def end_parts(self) -> None:
        """Stop and close the parts below this one. For who made all of them.

        Where Ctrl-C interrupts it, or the making of a part, the next call does the rest.
        """
        for child in tuple(self._children):
            child.set()
            child.close()

    def _is_set_above(self) -> bool:
        above = self._parent
        return above is not None and above.fileno() != -1 and above.is_set()

    def _is_owner(self) -> bool:
        return self._owner_end.fileno() >= 0

    def _own_end(self) -> socket.socket:
        return self._owner_end if self._is_owner() else self._child_end

    def _heard(self) -> bool:
        try:
            self._own_end().recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:  # closed
            return True
        return True

    def _poll(self, events: int, timeout: int | None = None) -> bool:
        poll = select.poll()
        poll.register(self._child_end.fileno(), events)
        return bool(poll.poll(timeout))


def _send(end: socket.socket, message: bytes) -> None:
    # Closed, or nobody at the other end: there is nobody to tell. Full: it was told already.
    with contextlib.suppress(OSError):
        end.send(message)


def _disown() -> None:
    for reference in tuple(_owned):
        end = reference()
        if end is not None:
            end.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_disown)
