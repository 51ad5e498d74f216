"""Workers that give no sign of life: found, and told of."""

from __future__ import annotations

import logging
import time

from ._charge import Charge
from ._slot import STARTING, Slot

_logger = logging.getLogger("serverstrategy")

# How often to look, in seconds at least and at most.
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
        return None if self._timeout is None else interval(self._timeout)

    def is_hung(self, slot: Slot) -> bool:
        """Whether the worker that has `slot` is."""
        if self._timeout is None:
            return False
        since = slot.started if slot.state == STARTING else slot.oldest
        return since > 0.0 and time.monotonic() - since > self._timeout


def interval(timeout: float) -> float:
    """How often to look for what takes longer than `timeout`; both in seconds."""
    return max(_OFTEN, min(_SELDOM, timeout / 10))


def report_hung(charge: Charge) -> None:
    """Log whom a worker that hangs was serving."""
    listed = charge.worker.in_flight()
    peers = ", ".join(f"{each.client_address} for {each.age:.1f} s" for each in listed)
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
    if charge.stack is not None and charge.is_hung:
        _logger.error("worker %d was here:\n%s", charge.pid, charge.stack.read() or "(unknown)")
