"""Where a process writes where it is when it is aborted."""

from __future__ import annotations

import faulthandler
import logging
import os
import signal
from typing import IO

# The signals at which faulthandler writes, and lets the process end by them.
FATAL = frozenset(
    getattr(signal, name)
    for name in ("SIGSEGV", "SIGFPE", "SIGABRT", "SIGBUS", "SIGILL")
    if hasattr(signal, name)
)

_logger = logging.getLogger("serverstrategy")


class StackFile:
    """A file without a name, which a process and its forks have in common.

    Opens a file descriptor; `close` gives it back.

    Raises:
        OSError: no file can be made: no descriptor or no room is left.
    """

    def __init__(self) -> None:
        import tempfile  # here, because it costs more to import than the rest of this package

        self._file: IO[bytes] = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - `close` closes it

    def write_when_aborted(self) -> None:
        """Have this process, and its forks, write where all threads are when `FATAL` ends them."""
        faulthandler.enable(self._file, all_threads=True)

    def take(self) -> str:
        """What was written, which is gone from the file then. All forks have the same position."""
        fd = self._file.fileno()
        data = os.pread(fd, os.fstat(fd).st_size, 0)
        os.lseek(fd, 0, os.SEEK_SET)
        os.ftruncate(fd, 0)
        return data.decode(errors="replace").rstrip()

    def close(self) -> None:
        """Give the descriptor back."""
        self._file.close()


def new_stack_file() -> StackFile | None:
    """A file; None, which is logged, if none can be made."""
    try:
        return StackFile()
    except OSError as error:
        _logger.warning("the stack of a worker that hangs will not be known: %s", error)
        return None
