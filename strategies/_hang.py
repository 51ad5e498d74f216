"""Workers that give no sign of life: found, and told of."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection

from ._charge import Charge
from ._slot import Slot
from ._stack_file import FATAL

_logger = logging.getLogger("serverstrategy")

# How often to look, in seconds at least and at most.
OFTEN, _SELDOM = 0.05, 1.0


class HangWatch:
    """Finds the workers of which a connection, or the start, takes too long.

    An idle worker needs no sign of life: it is not asked for one, and does not wake up to give it.
    While all are idle, nobody looks either.

    Args:
        timeout: how long it may take, in seconds; None: for ever.
    """

    def __init__(self, timeout: float | None) -> None:
        self._timeout = timeout
        self._look_at = 0.0
        self._seen: list[tuple[float, int]] = []

    def due(self, slots: Collection[Slot]) -> float | None:
        """How soon to look at the workers that have `slots`.

        Returns:
            Seconds; None: not before one of them rings, which it does when it begins something.
        """
        if self._timeout is None:
            return None
        now = time.monotonic()
        if now < self._look_at:
            return self._look_at - now
        self._look_at = now + interval(self._timeout)
        seen = [(slot.started, slot.connections) for slot in slots]
        # Between short connections a worker is idle too, and is not to ring for each of them.
        are_idle = seen == self._seen and not any(map(_busy_since, slots))
        self._seen = seen
        for slot in slots:
            slot.is_to_ring = are_idle
        # Asked again: who has begun meanwhile may have done so before it was to ring.
        if are_idle and not any(map(_busy_since, slots)):
            return None
        return interval(self._timeout)

    def tick(self) -> float | None:
        """How often to look where nobody rings, in seconds; None: there is nothing to look for."""
        return None if self._timeout is None else interval(self._timeout)

    def is_hung(self, slot: Slot) -> bool:
        """Whether the worker that has `slot` is."""
        if self._timeout is None:
            return False
        since = _busy_since(slot)
        return since > 0.0 and time.monotonic() - since > self._timeout


def _busy_since(slot: Slot) -> float:
    """Since when a worker has been at what it does; 0.0: it does nothing."""
    return slot.oldest if slot.accepting_since else slot.started


def interval(timeout: float) -> float:
    """How often to look for what takes longer than `timeout`; both in seconds."""
    return max(OFTEN, min(_SELDOM, timeout / 10))


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


def report_stack(charge: Charge, status: int) -> None:
    """Log where a worker was that was aborted, or has crashed: it has ended with `status`."""
    if charge.stack is not None and (charge.is_hung or -status in FATAL):
        _logger.error("worker %d was here:\n%s", charge.pid, charge.stack.take() or "(unknown)")
