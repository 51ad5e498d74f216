"""What a worker process does, from its fork to its exit."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from contextlib import nullcontext

from serverstrategy.drainable import Drainable
from serverstrategy.ownership import nest
from serverstrategy.stop_signal import StopSignal
from serverstrategy.strategy import Server, Strategy

from ._charge import Charge
from ._hung_children import HungChildren
from ._plan import Plan
from ._recycling import Recycling
from ._sentinel import ends_with_owner, start_sentinel
from ._tally import Tally
from ._threads import ThreadsStrategy

NO_THREAD = 75
"""The exit status of a worker that the system has refused its thread: EX_TEMPFAIL, sysexits.h."""

Ring = Callable[[], None]
"""Has the parent look at the scoreboard. From any thread; never blocks, never raises."""


def work(server: Server, plan: Plan, charge: Charge, ring: Ring) -> int:
    """Accept until the stop, in the way of `plan.inner`, then finish what is in flight.

    The grace period is the owner's to measure: it says when to cut.

    Args:
        server: this process's copy.
        plan: what is wanted of a worker.
        charge: this worker. Its slot is where it tells what it does, and why it failed.
        ring: tells the parent.

    Returns:
        The exit status: 0, or `NO_THREAD` if it has not accepted anything.
    """
    inner, stop = plan.inner, charge.stop_signal
    drainable: Drainable = inner
    charge.worker.pid = os.getpid()
    if charge.stack is not None:
        charge.stack.write_when_aborted()
    try:
        server.become_worker(stop)
        tally = _new_tally(server, plan, charge, ring)
        server.in_flight.observe(tally)
        # A strategy that forks gets no thread beside it while it may fork. Nor does it run handlers
        # in the main thread, which hears of the owner's loss by itself then.
        if not inner.multiprocess:
            if not start_sentinel(server, stop, plan.cut_inside):
                return NO_THREAD
        elif plan.hang_timeout is not None:
            drainable = hung = HungChildren(server, inner, plan.hang_timeout, charge.stack)
            server.add_watched(hung)
        if plan.on_worker_start is not None:
            with ends_with_owner(stop) if inner.multiprocess else nullcontext():
                plan.on_worker_start(charge.worker)
        try:
            inner.serve(server, stop)
        finally:
            tally.retire()
            _drain(server, plan, stop, drainable)
            tally.settle()
    except BaseException:
        charge.slot.text = traceback.format_exc()
        raise
    return 0


def _drain(server: Server, plan: Plan, stop: StopSignal, drainable: Drainable) -> None:
    grace_period = None
    if plan.inner.multiprocess and not start_sentinel(server, stop, plan.cut_inside):
        grace_period = server.grace_period  # nobody hears when the owner's is over
    server.drain_or_cut(drainable, grace_period)


def _new_tally(server: Server, plan: Plan, charge: Charge, ring: Ring) -> Tally:
    inner, slot = plan.inner, charge.slot
    with_threads = [part for part in nest(inner) if isinstance(part, ThreadsStrategy)]
    recycling = Recycling(plan.max_requests, plan.max_requests_jitter, plan.max_memory)

    def count_threads() -> int:
        number = 0
        for part in with_threads:  # `sum` takes twice as long, and this is for each connection
            number += part.thread_count
        return number

    def has_room() -> bool:
        return inner.ready(server) and not server.is_led()

    def on_begin() -> None:
        if slot.is_to_ring:
            slot.is_to_ring = 0
            ring()

    def on_end(connections: int) -> None:
        if not slot.is_due and recycling.is_due(connections):
            slot.is_due = 1
            ring()

    return Tally(
        slot,
        server.in_flight,
        None if _is_always_ready(inner) and not inner.threads_accept else has_room,
        inner.multithread or inner.multiprocess,
        count_threads if with_threads else None,
        ring,
        None if plan.hang_timeout is None else on_begin,
        on_end if recycling.is_wanted else None,
    )


def _is_always_ready(strategy: Strategy) -> bool:
    return getattr(strategy.ready, "__func__", None) is Strategy.ready
