"""A worker, with what its parent has in hand for it."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import time

from serverstrategy.stop_signal import StopSignal

from ._ending import Ending
from ._slot import Slot
from ._stack_file import StackFile
from .worker import Worker

_logger = logging.getLogger("serverstrategy")

# How long a worker may take to notice each step that is done to it, in seconds.
STEP_TIME = 1.0


class Charge:
    """A worker, with what its parent has in hand for it.

    Args:
        slot: its place on the scoreboard.
        stop_signal: stops it.
        stack: the file into which it writes where it is when it is aborted; None: nowhere.

    Attributes:
        worker: what the hooks are handed.
        slot: its place on the scoreboard.
        stop_signal: stops it.
        stack: the file into which it writes where it is when it is aborted; None: nowhere.
        status: its exit status, negative: the number of a signal; None until it has ended.
        ending: what is done to it; None: it is to stay.
        is_hung: whether it was aborted.
    """

    def __init__(self, slot: Slot, stop_signal: StopSignal, stack: StackFile | None) -> None:
        self.worker = Worker(slot)
        self.slot = slot
        self.stack = stack
        self.status: int | None = None
        self.ending: Ending | None = None
        self.is_hung = False
        self.stop_signal = stop_signal

    @property
    def pid(self) -> int:
        """Its process identifier."""
        return self.worker.pid

    def is_ready(self) -> bool:
        """Whether it accepts, and is to stay."""
        return self.ending is None and self.worker.has_started

    def retire(self, grace_period: float | None) -> None:
        """Have it stop accepting, finish what it has, and exit; see to it after `grace_period`.

        Args:
            grace_period: seconds; None: it may take as long as it likes.
        """
        self.stop()
        steps = []
        if grace_period is not None:
            over = time.monotonic() + grace_period
            steps = [
                (over, self.cut),
                (over + STEP_TIME, self.terminate),
                (over + 2 * STEP_TIME, self.kill),
            ]
        self.ending = Ending(steps)

    def abort(self) -> None:
        """End it by SIGABRT, which has it write its stacks, and then by SIGKILL."""
        self.is_hung = True
        _send(self.pid, signal.SIGABRT)
        self.ending = Ending([(time.monotonic() + STEP_TIME, self.kill)])

    def cut(self) -> None:
        """Have it cut what it has in flight, and exit."""
        self.stop_signal.cut()

    def terminate(self) -> None:
        """Send it SIGTERM."""
        _logger.warning("worker %d goes on: sent SIGTERM", self.pid)
        _send(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL to it, and to the children that handle its connections."""
        _logger.warning("killed worker %d", self.pid)
        for each in self.worker.in_flight():
            # It has not been reaped, for it is listed: so the number is still its own.
            if each.child is not None:
                _send(each.child, signal.SIGKILL)
        _send(self.pid, signal.SIGKILL)

    def stop(self) -> None:
        """Have it stop accepting, finish what it has, and exit; nobody sees to it."""
        self.slot.is_told = 1
        self.stop_signal.set()
        self.ending = self.ending or Ending(())

    def close(self) -> None:
        """Give back what this process has for it. The worker has ended."""
        self.stop_signal.close()
        if self.stack is not None:
            self.stack.close()


def _send(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
