"""What a worker process does, from its fork to its exit."""

from __future__ import annotations

from serverstrategy.stop_signal import StopSignal
from serverstrategy.strategy import Server, Strategy

from ._sentinel import start_sentinel

# What a worker may still take for its connections when its owner is lost, in seconds.
_ORPHAN_GRACE = 0.7


def work(server: Server, stop: StopSignal, inner: Strategy) -> int:
    """Accept until `stop`, in the way of `inner`, then drain.

    Returns:
        The exit status: 0 if everything ended by itself, 1 if something had to be cut.
    """
    server.become_worker(stop)
    # A strategy that forks gets no thread beside it. It does not need one either: its main thread
    # runs no handler, so it hears of the owner's loss by itself.
    if not inner.multiprocess:
        start_sentinel(server, stop, draining=False)
    try:
        inner.serve(server, stop)
    finally:
        if inner.multiprocess:
            start_sentinel(server, stop, draining=True)
        grace = server.grace_period
        if stop.owner_is_lost():
            grace = _ORPHAN_GRACE if grace is None else min(grace, _ORPHAN_GRACE)
        ended = server.drain_or_cut(inner, grace)
    return 0 if ended else 1
