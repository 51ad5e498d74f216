"""The processes of a server that is checked, as the process that checks sees them."""

from __future__ import annotations

import contextlib
import fcntl
import gc
import os
import select
import signal
import tempfile
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn


class Process:
    """A process forked from this one, the leader of a session, with all that it starts.

    It ends when `main` returns, or when this process ends.

    Args:
        main: what it does.
        on_error: called there with the text of what `main` has raised.

    Attributes:
        pid: its process identifier, and that of its session.
    """

    def __init__(self, main: Callable[[], object], on_error: Callable[[str], object]) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
        self._life, life = os.pipe()
        with warnings.catch_warnings():
            # Python 3.12 warns of a fork beside threads: those of whoever runs the tests.
            warnings.simplefilter("ignore", DeprecationWarning)
            self.pid = os.fork()
        if self.pid == 0:
            self._play(main, on_error, life)
        os.close(life)

    def _play(
        self, main: Callable[[], object], on_error: Callable[[str], object], life: int
    ) -> NoReturn:
        status = 1
        try:
            os.setsid()
            gc.freeze()
            for number in (signal.SIGINT, signal.SIGALRM, signal.SIGIO):
                signal.signal(number, signal.SIG_DFL)
            _end_with_the_reader(life)
            os.close(self._life)
            for fd in (1, 2):
                os.dup2(self._log.fileno(), fd)
            main()
            status = 0
        except BaseException as error:  # noqa: BLE001 - told to whoever waits
            on_error("".join(traceback.format_exception_only(error)))
        finally:
            os._exit(status)

    def signal(self, number: int) -> None:
        """Send it a signal, but not what it has started."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def wait(self, patience: float) -> bool:
        """Whether it and all that it has started ends within `patience` seconds."""
        return bool(select.select([self._life], [], [], patience)[0])

    def printed(self) -> str:
        """The end of what it has printed."""
        size = os.fstat(self._log.fileno()).st_size
        text = os.pread(self._log.fileno(), 2000, max(0, size - 2000))
        return text.decode(errors="replace").rstrip()

    def cpu_seconds(self) -> float | None:
        """The processor time of its session so far; None: it cannot be seen here."""
        if not Path("/proc/self/stat").exists():
            return None
        ticks = 0
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                fields = stat.read_text().rpartition(")")[2].split()
                if int(fields[3]) == self.pid:  # proc(5): the session
                    ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        """Kill what is left, and give the descriptors back."""
        try:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        finally:
            os.close(self._life)
            self._log.close()


def _end_with_the_reader(life: int) -> None:
    """Have this process group ended by a signal when nobody can read the pipe `life` any more.

    That is when the process that checks was killed, which leaves no server behind so.
    """
    with contextlib.suppress(OSError):  # a system that does not tell it of pipes
        fcntl.fcntl(life, fcntl.F_SETOWN, -os.getpgrp())
        fcntl.fcntl(life, fcntl.F_SETFL, fcntl.fcntl(life, fcntl.F_GETFL) | os.O_ASYNC)
