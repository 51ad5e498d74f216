"""Processes that live no longer than the command that started them."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

STOP_TIMEOUT = 3.0  # seconds that a process may take to stop before it is killed
POLL = 0.005  # seconds between two looks at a process that is stopping


class Companion:
    """A module run by a fresh interpreter, so that nothing of the command is in its memory.

    It has a session of its own: a Ctrl-C in the terminal reaches the command alone, which then
    stops the process in order, and whatever the process forked can be ended as one group.

    Args:
        module: the module to run, as for `python -m`.
        arguments: its arguments.
    """

    def __init__(self, module: str, *arguments: str) -> None:
        # A file, since nobody reads it meanwhile, and a full pipe would stop the writer.
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        self._unread = bytearray()
        self._closed = False
        # The command's own sys.path may lack the current folder, where a file could hide a module.
        safe_path = [] if {str(Path.cwd()), ""} & set(sys.path) else ["-P"]
        self._process = subprocess.Popen(
            [sys.executable, *safe_path, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            start_new_session=True,
            bufsize=0,
        )

    @property
    def pid(self) -> int:
        """The process id, which is also that of its session and group."""
        return self._process.pid

    def write_line(self, line: bytes) -> None:
        """Send a line down the lifeline. A process that is gone is not an error here."""
        assert self._process.stdin is not None
        if not self._process.stdin.closed:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.write(line + b"\n")

    def read_line(self, timeout: float) -> bytes:
        """The next line of the process's standard output, without its end.

        Raises:
            TimeoutError: no whole line came within `timeout` seconds; what came is kept.
            EOFError: the process ended, or closed its output, without one.
        """
        assert self._process.stdout is not None
        output = self._process.stdout
        poll = select.poll()
        poll.register(output, select.POLLIN)
        deadline = time.monotonic() + timeout
        while b"\n" not in self._unread:
            left = deadline - time.monotonic()
            if not poll.poll(max(0.0, left) * 1e3):
                raise TimeoutError
            piece = os.read(output.fileno(), 1 << 20)
            if not piece:
                raise EOFError
            self._unread += piece
        line, _, rest = self._unread.partition(b"\n")
        self._unread = rest
        return bytes(line)

    def has_ended(self) -> bool:
        """Whether the process ended; it is not reaped here, so that its id stays its own."""
        if self._process.returncode is not None:
            return True
        try:
            return psutil.Process(self.pid).status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    def exit_reason(self) -> str:
        """Why the process ended, in one line, for one that has ended or closed its output."""
        if self._await_end():
            code = self._end_group()
            how = f"exit status {code}" if code >= 0 else f"ended by signal {-code}"
        else:
            how = "closed its output"
        complaint = self._last_complaint()
        return f"{how}: {complaint}" if complaint else how

    def hang_up(self) -> None:
        """Cut the lifeline, and do not wait. Cutting several first lets them stop side by side."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    def close(self) -> None:
        """Cut the lifeline, wait for the end, and leave nothing of the process's group behind."""
        if self._closed:
            return
        self._closed = True
        self.hang_up()
        self._await_end()
        self._end_group()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._complaints.close()

    def _await_end(self) -> bool:
        """Wait up to `STOP_TIMEOUT` seconds; returns whether it ended."""
        deadline = time.monotonic() + STOP_TIMEOUT
        while not self.has_ended():
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL)
        return True

    def _end_group(self) -> int:
        """Kill what is left of the group, reap the process; returns its exit code."""
        if self._process.returncode is None:
            # Before the process is reaped: until then the group's id can be nobody else's. Where
            # all ended well there is nobody left in it, which is what the two errors say.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
        return self._process.wait()

    def _last_complaint(self) -> str:
        """The last line that the process wrote to standard error, or an empty text."""
        self._complaints.seek(0)
        lines = self._complaints.read().decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")
