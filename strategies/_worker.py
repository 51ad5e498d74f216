"""What a worker process does, from its fork to its exit."""

from __future__ import annotations

from serverstrategy.stop_signal import StopSignal
from serverstrategy.strategy import Server, Strategy

from ._sentinel import start_sentinel


def work(server: Server, stop: StopSignal, inner: Strategy) -> int:
    """Accept until `stop`, in the way of `inner`, then finish what is in flight.

    The grace period is the owner's to measure: it says when to cut.

    Returns:
        The exit status, 0.
    """
    server.become_worker(stop)
    # A strategy that forks gets no thread beside it while it may fork. Nor does it run handlers in
    # the main thread, which hears of the owner's loss by itself then.
    if not inner.multiprocess:
        start_sentinel(server, stop)
    try:
        inner.serve(server, stop)
    finally:
        if inner.multiprocess:
            start_sentinel(server, stop)
        server.drain_or_cut(inner, None)
    return 0
