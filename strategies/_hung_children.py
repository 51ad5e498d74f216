"""Children of a worker that give no sign of life: found, told of and ended."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import time

from serverstrategy.connection import Connection
from serverstrategy.strategy import Server, Strategy
from serverstrategy.waiter import shortest

from ._charge import STEP_TIME
from ._hang import OFTEN, interval
from ._stack_file import StackFile

_logger = logging.getLogger("serverstrategy")


class HungChildren:
    """Ends each child that has its connection for too long: the worker, and the others, go on.

    One after the other, the oldest first, since all write where they are into one file.

    It can be handed to `Server.add_watched`, and while the worker drains to `Server.drain_or_cut`.

    Args:
        server: the worker's.
        inner: the strategy that has the children.
        timeout: how long a child may take, in seconds.
        stack: the file into which children write where they are when they are aborted.
    """

    def __init__(
        self, server: Server, inner: Strategy, timeout: float, stack: StackFile | None
    ) -> None:
        self._server = server
        self._inner = inner
        self._timeout = timeout
        self._stack = stack
        self._pid = 0  # of the one that was aborted
        self._kill_at = 0.0

    def fileno(self) -> int:
        """No descriptor tells."""
        return -1

    def tick(self) -> float | None:
        """Seconds after which to call `check`; None: no child has a connection."""
        if self._pid:
            return OFTEN
        if any(each.child is not None for each in self._server.in_flight):
            return interval(self._timeout)
        return None

    def check(self) -> None:
        """Abort what has taken too long, then kill it, then tell where it was."""
        children = {each.child: each for each in self._server.in_flight if each.child is not None}
        if self._pid and self._pid not in children:
            where = "" if self._stack is None else self._stack.take()
            _logger.error("child %d was here:\n%s", self._pid, where or "(unknown)")
            self._pid = 0
        if self._pid:
            if time.monotonic() >= self._kill_at:
                self._send(signal.SIGKILL)
            return
        for pid, connection in children.items():
            if connection.age > self._timeout:
                self._abort(pid, connection)
                break

    def drain(self, server: Server, timeout: float | None) -> bool:
        """Drain the strategy, and look for children that hang meanwhile."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            tick = self.tick()
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            ended = self._inner.drain(server, shortest(tick, left))
            self.check()
            if ended or tick is None or left == 0.0:
                return ended

    def _abort(self, pid: int, connection: Connection) -> None:
        _logger.error(
            "child %d hangs, and is ended: it was serving %s for %.1f s",
            pid,
            connection.client_address,
            connection.age,
        )
        self._pid = pid
        self._kill_at = time.monotonic() + STEP_TIME
        self._send(signal.SIGABRT)

    def _send(self, number: int) -> None:
        # It is not reaped yet, for it has its connection: so the number is still its own.
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, number)
