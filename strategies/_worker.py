"""What a worker process does, from its fork to its exit."""

from __future__ import annotations

import traceback
from collections.abc import Callable

from serverstrategy.stop_signal import StopSignal
from serverstrategy.strategy import Server, Strategy

from ._recycling import Recycling
from ._sentinel import start_sentinel
from ._slot import Slot
from ._tally import Tally

Ring = Callable[[], None]
"""Has the parent look at the scoreboard. From any thread; never blocks, never raises."""


def work(
    server: Server,
    stop: StopSignal,
    inner: Strategy,
    slot: Slot,
    recycling: Recycling,
    on_start: Callable[[], None],
    ring: Ring,
) -> int:
    """Accept until `stop`, in the way of `inner`, then finish what is in flight.

    The grace period is the owner's to measure: it says when to cut.

    Args:
        server: this process's copy.
        stop: stops this worker.
        inner: its strategy.
        slot: where it tells what it does, and why it failed.
        recycling: after which it asks to be replaced.
        on_start: called before it accepts. What it raises ends the worker.
        ring: tells the parent.

    Returns:
        The exit status, 0.
    """
    try:
        tally = _become(server, stop, inner, slot, recycling, ring)
        # A strategy that forks gets no thread beside it while it may fork. Nor does it run handlers
        # in the main thread, which hears of the owner's loss by itself then.
        if not inner.multiprocess:
            start_sentinel(server, stop)
        on_start()
        try:
            inner.serve(server, stop)
        finally:
            tally.retire()
            if inner.multiprocess:
                start_sentinel(server, stop)
            server.drain_or_cut(inner, None)
    except BaseException:
        slot.text = traceback.format_exc()
        raise
    return 0


def _become(
    server: Server,
    stop: StopSignal,
    inner: Strategy,
    slot: Slot,
    recycling: Recycling,
    ring: Ring,
) -> Tally:
    def accepting() -> None:
        tally.accepting()
        ring()

    server.become_worker(stop, accepting)
    in_flight = server.in_flight
    is_concurrent = inner.multithread or inner.multiprocess

    def is_spare() -> bool:
        return (is_concurrent or not in_flight) and inner.ready(server)

    def on_end() -> None:
        if not slot.is_due and recycling.is_due(slot.connections):
            slot.is_due = 1
            ring()

    tally = Tally(slot, in_flight, is_spare, on_end)
    in_flight.observe(tally)
    return tally
