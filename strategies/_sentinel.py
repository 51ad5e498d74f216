"""The thread that ends a worker's connections when its owner says so, or has died."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from serverstrategy.stop_signal import StopSignal
from serverstrategy.strategy import Server

# A worker without its owner is gone within a second: first it may finish, then it is cut.
_ORPHAN_GRACE = 0.7
_CUT_TIME = 0.2

# How often the owner is looked at while a hook runs, in seconds.
_TICK = 0.1


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


@contextmanager
def ends_with_owner(stop: StopSignal) -> Iterator[None]:
    """While the block runs, exit as soon as the owner of `stop` says so, or is gone.

    By a thread, of which nothing is left afterwards: this process is about to fork.
    """
    is_over = threading.Event()
    thread = threading.Thread(target=_exit_with_owner, args=(stop, is_over), daemon=True)
    try:
        thread.start()
    except RuntimeError:  # EAGAIN: without one the owner can still kill it
        yield
        return
    try:
        yield
    finally:
        is_over.set()
        thread.join()
        # Before Python 3.13 a thread is joined a moment before the system has seen its end. A
        # greenlet, in its place, was in this very thread.
        task = f"/proc/self/task/{thread.native_id}"
        while thread.native_id != threading.get_native_id() and os.access(task, os.F_OK):
            time.sleep(0.001)


def _exit_with_owner(stop: StopSignal, is_over: threading.Event) -> None:
    while not is_over.wait(_TICK):
        if stop.is_cut():
            os._exit(1)


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
