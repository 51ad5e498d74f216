"""The thread that bounds the life of a worker whose owner has died."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from serverstrategy.stop_signal import StopSignal
from serverstrategy.strategy import Server

# A worker without its owner is gone within a second: first it may finish, then it is cut.
_ORPHAN_GRACE = 0.7
_ORPHAN_CUT = 0.2


def start_sentinel(server: Server, stop: StopSignal, *, draining: bool) -> None:
    """Watch the owner of `stop` from a daemon thread, and end this process when it is lost.

    The main thread hears of the loss only while it accepts. In a handler, or in a drain, it does
    not: this thread does.

    Args:
        draining: accepting has stopped: listen for the owner's `cut`, too, which ends the
            grace at once.
    """
    wait = stop.wait_for_cut if draining else stop.wait_for_owner_loss
    threading.Thread(target=_watch, args=(server, wait), daemon=True).start()


def _watch(server: Server, wait: Callable[[], bool | None]) -> None:
    if not wait():
        server.in_flight.wait_for_none(_ORPHAN_GRACE)
    server.in_flight.cut()
    server.in_flight.wait_for_none(_ORPHAN_CUT)
    os._exit(1)
