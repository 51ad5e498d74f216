"""`rfile`: reads from a connection, and has a buffer once there is something to keep in it."""

from __future__ import annotations

import functools
import io
import operator
import os
import socket
import sys
from _thread import RLock
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    _BufferedReader = io.BufferedReader[Any]
else:
    _BufferedReader = io.BufferedReader

_BUFFER_SIZE = io.DEFAULT_BUFFER_SIZE
_MAX_SIZE = sys.maxsize

# In place of what has been received, while a thread is waiting for it.
_RECEIVING = b""

# Where two threads ask a reader for its `raw` at once, they get the same.
_making_raw = RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_making_raw._at_fork_reinit)  # type: ignore[attr-defined]


class StreamReader(_BufferedReader):
    """An `io.BufferedReader` over a `socket.SocketIO`: what `makefile("rb")` makes."""

    __slots__ = ("_connection", "_lock", "_raw", "_received")

    # All four are for the DirectReader that it was.
    _connection: Any
    _lock: Any
    _raw: socket.SocketIO | None
    _received: bytes | None

    def _with_buffer(self, method: Callable[..., Any], *args: Any) -> Any:
        """Call a method of the base class. From then on, this is a StreamReader."""
        with self._lock:
            if type(self) is not StreamReader:
                if self._received is _RECEIVING:  # and a signal handler wants to read, too
                    raise RuntimeError(f"reentrant call inside {self!r}")
                self._initialize()
                self._received = _RECEIVING
                try:
                    return method(self, *args)
                finally:
                    self.__class__ = StreamReader
                    self._raw = None
        return method(self, *args)

    def _initialize(self) -> None:
        """Make the buffer, with what has been received in it."""
        raw = self.raw
        # It may be closed, and has nothing to tell or to give in this moment.
        raw.__dict__.update(readable=lambda: True, tell=lambda: 0, readinto=self._hand_over)
        try:
            io.BufferedReader.__init__(self, raw, _BUFFER_SIZE)
            if self._received and not raw.closed:
                io.BufferedReader.peek(self)
        finally:
            del raw.readable, raw.tell, raw.readinto

    def _hand_over(self, buffer: memoryview) -> int:
        assert self._received
        buffer[: len(self._received)] = self._received
        return len(self._received)


class DirectReader(StreamReader):
    """A StreamReader that has not been initialized yet, and most often never is.

    Most clients send one line and wait for the answer. A `readline` to which one `recv` brings a
    line, the whole line and nothing but the line needs no buffer, and leaves nothing behind.
    Whatever else comes from the client, or is asked of this object, makes it a StreamReader in the
    state in which one would be that had been there from the beginning.

    Args:
        connection: a connected socket, of the class `socket.socket` itself. Its descriptor stays
            open until both are closed.
    """

    __slots__ = ()

    def __init__(self, connection: Any) -> None:
        # That of the base class is for `_initialize`.
        connection._io_refs += 1
        self._connection = connection  # None once there is a `raw`, or this is closed
        self._lock = RLock()
        self._raw = None
        self._received = None

    def readline(self, size: int | None = -1, /) -> bytes:
        """See `io.BufferedReader`."""
        # Two threads do not read at once, as in the base class, which has a lock of its own.
        self._lock.acquire()
        try:
            if (
                self._received is None
                and self._connection is not None
                and type(size) is int
                and (size == -1 or 0 < size <= _MAX_SIZE)
            ):
                try:
                    self._received = _RECEIVING
                    received: bytes
                    # In one step: Ctrl-C after it loses nothing.
                    self._received = received = self._connection.recv(_BUFFER_SIZE)
                    end = received.find(b"\n") + 1
                    # The end of the file is of length 0, too.
                    if end == len(received) and (end <= size or size == -1):
                        self._received = None
                        return received
                except BaseException as error:
                    if not self._received:
                        self._received = None
                    if isinstance(error, BlockingIOError):
                        return b""
                    if isinstance(error, TimeoutError):
                        self.raw._timeout_occurred = True
                    raise
            line: bytes = self._with_buffer(io.BufferedReader.readline, size)
            return line
        finally:
            self._lock.release()

    def __next__(self) -> bytes:
        line = self.readline()
        if not line:
            raise StopIteration
        return line

    def close(self) -> None:
        """See `io.BufferedReader`."""
        connection = self._connection
        if self._received is None and connection is not None:
            self._connection = None
            connection._decref_socketios()
            return
        # Another thread reads, and is waited for; or there is a `raw`; or this is closed.
        self._with_buffer(io.BufferedReader.close)

    @property
    def closed(self) -> bool:
        """Whether this is closed."""
        return self._connection is None and (self._raw is None or self._raw.closed)

    @property
    def raw(self) -> Any:
        """The `socket.SocketIO` below the buffer."""
        with _making_raw:
            if self._raw is None:
                self._raw = socket.SocketIO(self._connection, "r")
                if self._connection is None:
                    io.RawIOBase.close(self._raw)
                # Not before: another thread may ask whether this is closed.
                self._connection = None
            return self._raw


# What the base class has a lock for, or looks into the buffer for; and what it passes on to `raw`.
_BUFFERED = ("detach", "peek", "read", "read1", "readinto", "readinto1", "seek", "tell", "truncate")
_PASSED_ON = ("fileno", "flush", "isatty", "readable", "seekable")


def _buffered(name: str) -> Callable[..., Any]:
    """A method that is that of the base class, which needs the buffer."""
    theirs = getattr(io.BufferedReader, name)

    @functools.wraps(theirs)
    def method(self: DirectReader, *args: Any) -> Any:
        return self._with_buffer(theirs, *args)

    return method


def _of_raw(name: str) -> Callable[..., Any]:
    """A method that is that of `raw`, and so waits for no thread that reads."""

    @functools.wraps(getattr(io.BufferedReader, name))
    def method(self: DirectReader, *args: Any) -> Any:
        return getattr(self.raw, name)(*args)

    return method


for _name in _BUFFERED:
    setattr(DirectReader, _name, _buffered(_name))
for _name in _PASSED_ON:
    setattr(DirectReader, _name, _of_raw(_name))
for _name in "mode", "name":
    setattr(DirectReader, _name, property(operator.attrgetter(f"raw.{_name}")))
