"""`wfile`: writes to a connection, without a buffer."""

from __future__ import annotations

import io
from typing import Any


class StreamWriter(io.BufferedIOBase):
    """What `socketserver` has for a `wbufsize` of 0, at less cost.

    Nothing is held back, so there is nothing to flush. As there, only what lists and closes files
    asks whether this is closed; `write` and `fileno` go on.

    Args:
        connection: a connected socket. It is not closed with this.
    """

    __slots__ = ("_closed", "_sock")

    def __init__(self, connection: Any) -> None:
        self._sock = connection
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether this is closed."""
        return self._closed

    def writable(self) -> bool:
        """Always true."""
        return True

    def write(self, b: Any) -> int:
        """Send all of something that has a buffer, and return its length in bytes.

        Raises:
            OSError: the peer is gone, the connection is closed, or the time is up: `TimeoutError`.
                A part may have been sent.
        """
        self._sock.sendall(b)
        if type(b) is bytes:
            return len(b)
        with memoryview(b) as view:
            return view.nbytes

    def fileno(self) -> int:
        """The descriptor of the connection, or -1 if that is closed."""
        descriptor: int = self._sock.fileno()
        return descriptor

    def flush(self) -> None:
        """Do nothing; raise `ValueError` if this is closed."""
        if self._closed:
            raise ValueError("I/O operation on closed file.")

    def close(self) -> None:
        """Refuse what asks whether this is closed."""
        if not self._closed:
            try:
                self.flush()  # which may have been replaced
            finally:
                self._closed = True
