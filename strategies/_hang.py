"""Workers that give no sign of life: found, and told of."""

from __future__ import annotations

import faulthandler
import logging
import time
from typing import IO

from ._charge import Charge
from ._slot import STARTING, Slot

_logger = logging.getLogger("serverstrategy")

# How often workers are looked at, in seconds at least and at most.
_OFTEN, _SELDOM = 0.05, 1.0


class HangWatch:
    """Finds the workers of which a connection, or the start, takes too long.

    An idle worker needs no sign of life: it is not asked for one, and does not wake up to give it.

    Args:
        timeout: how long it may take, in seconds; None: for ever.
    """

    def __init__(self, timeout: float | None) -> None:
        self._timeout = timeout

    @property
    def interval(self) -> float | None:
        """How often to look, in seconds; None: never."""
        if self._timeout is None:
            return None
        return max(_OFTEN, min(_SELDOM, self._timeout / 10))

    def is_hung(self, slot: Slot) -> bool:
        """Whether the worker that has `slot` is."""
        if self._timeout is None:
            return False
        since = slot.started if slot.state == STARTING else slot.oldest
        return since > 0.0 and time.monotonic() - since > self._timeout

    def new_stack(self) -> IO[bytes] | None:
        """A file for what a worker writes when it is aborted; None: there is none."""
        if self._timeout is None:
            return None
        import tempfile  # here, because it costs more to import than the rest of this package

        try:
            return tempfile.TemporaryFile(buffering=0)
        except OSError as error:
            _logger.warning("the stack of a worker that hangs will not be known: %s", error)
            return None


def write_stack_when_aborted(stack: IO[bytes] | None) -> None:
    """Have this process, a worker, write where all its threads are when it gets SIGABRT."""
    if stack is not None:
        faulthandler.enable(stack, all_threads=True)


def report_hung(charge: Charge) -> None:
    """Log whom a worker that hangs was serving."""
    now = time.monotonic()
    listed = charge.worker.in_flight()
    peers = ", ".join(f"{each.client_address} for {now - each.started:.1f} s" for each in listed)
    left_out = charge.slot.in_flight - len(listed)
    if left_out > 0:
        peers += f", and {left_out} more"
    _logger.error(
        "worker %d hangs, and is ended: it was %s",
        charge.pid,
        f"serving {peers}" if peers else charge.worker.state,
    )


def report_stack(charge: Charge) -> None:
    """Log where a worker was when it was aborted."""
    if charge.stack is None or not charge.is_hung:
        return
    charge.stack.seek(0)
    text = charge.stack.read().decode(errors="replace").rstrip()
    _logger.error("worker %d was here:\n%s", charge.pid, text or "(it wrote nothing)")
