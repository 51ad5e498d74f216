"""Children of a worker that give no sign of life: found, told of and ended."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import time

from serverstrategy.connection import Connection
from serverstrategy.strategy import Server

from ._charge import STEP_TIME
from ._hang import interval
from ._stack_file import StackFile

_logger = logging.getLogger("serverstrategy")


class HungChildren:
    """Ends each child that has its connection for too long: the worker, and the others, go on.

    It can be handed to `Server.add_watched`.

    Args:
        server: the worker's.
        timeout: how long a child may take, in seconds.
        stack: the file into which children write where they are when they are aborted.
    """

    def __init__(self, server: Server, timeout: float, stack: StackFile | None) -> None:
        self._server = server
        self._timeout = timeout
        self._stack = stack
        self._kill_at: dict[int, float] = {}  # by the pid of those that were aborted

    def fileno(self) -> int:
        """No descriptor tells."""
        return -1

    def tick(self) -> float | None:
        """Seconds after which to call `check`; None: no child has a connection."""
        if self._kill_at or any(each.child is not None for each in self._server.in_flight):
            return interval(self._timeout)
        return None

    def check(self) -> None:
        """Abort what has taken too long, then kill it, then tell where it was."""
        children = {each.child: each for each in self._server.in_flight if each.child is not None}
        for pid, connection in children.items():
            if connection.age > self._timeout:
                self._end(pid, connection)
        for pid in self._kill_at.keys() - children.keys():
            del self._kill_at[pid]
            where = "(unknown)" if self._stack is None else self._stack.read() or "(unknown)"
            _logger.error("child %d was here:\n%s", pid, where)

    def _end(self, pid: int, connection: Connection) -> None:
        now = time.monotonic()
        number = signal.SIGKILL
        if pid not in self._kill_at:
            self._kill_at[pid] = now + STEP_TIME
            number = signal.SIGABRT
            _logger.error(
                "child %d hangs, and is ended: it was serving %s for %.1f s",
                pid,
                connection.client_address,
                connection.age,
            )
        elif now < self._kill_at[pid]:
            return
        # It is not reaped yet, for it has its connection: so the number is still its own.
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
