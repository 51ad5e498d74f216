"""The thread that ends a worker's connections when its owner says so, or has died."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

from serverstrategy.stop_signal import StopSignal
from serverstrategy.strategy import Server

# A worker without its owner is gone within a second: first it may finish, then it is cut.
_ORPHAN_GRACE = 0.7
_CUT_TIME = 0.2


def start_sentinel(server: Server, stop: StopSignal, cut_inside: Callable[[], None]) -> bool:
    """Watch the owner of `stop` from a daemon thread.

    The main thread hears of its owner only while it accepts. In a handler, or in a drain, it does
    not: this thread does. A handler that never lets go of the interpreter's lock stops it, too;
    then the owner, if it lives, kills the worker.

    Args:
        server: this process's copy.
        stop: this worker's.
        cut_inside: ends the workers inside of this one, before the owner does more.

    Returns:
        Whether the system had room for a thread.
    """
    try:
        threading.Thread(target=_watch, args=(server, stop, cut_inside), daemon=True).start()
    except RuntimeError:  # EAGAIN: see pthread_create(3)
        return False
    return True


def _watch(server: Server, stop: StopSignal, cut_inside: Callable[[], None]) -> None:
    try:
        if not stop.wait_for_cut():
            # The main thread ends this process as soon as all is finished. It may still accept one.
            time.sleep(_ORPHAN_GRACE)
        # The workers inside would find out by themselves, but only once this one is gone: they
        # would be granted the same time once more.
        cut_inside()
        server.cut_in_flight()
        server.in_flight.wait_for_none(_CUT_TIME)
    finally:
        os._exit(1)
