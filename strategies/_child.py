"""The child's side of a fork: from its first to its last moment."""

from __future__ import annotations

import logging
import os
import select
import sys
import threading
from collections.abc import Callable, Iterable
from gc import freeze
from typing import NoReturn

from ._plain_signal import plain_signal

_logger = logging.getLogger("serverstrategy")


def run_child(main: Callable[[], int], mask: Iterable[int]) -> NoReturn:
    """Call `main` in this new process, and exit with the status that it returns.

    Args:
        main: what it raises is logged and makes the status 1.
        mask: the signals to block from now on; more of them are blocked until then.
    """
    status = 1
    try:
        # A terminal sends Ctrl-C to its children too; the parent decides what becomes of them.
        if plain_signal.getsignal(plain_signal.SIGINT) is plain_signal.default_int_handler:
            plain_signal.signal(plain_signal.SIGINT, plain_signal.SIG_IGN)
        plain_signal.pthread_sigmask(plain_signal.SIG_SETMASK, mask)
        # What the parent has made is not the child's to collect, and looking at it would copy the
        # pages that it is on.
        freeze()
        status = main()
    except (SystemExit, KeyboardInterrupt):
        pass
    except BaseException:
        _logger.exception("child process %d failed", os.getpid())
    finally:
        try:
            # What a handler has started is waited for, as the interpreter does at its own end.
            if threading.active_count() > 1:
                join_threads(thread for thread in threading.enumerate() if not thread.daemon)
            flush()
        finally:
            os._exit(status)


def flush() -> None:
    """Write out what the standard output and error have in their buffers, if somebody takes it."""
    for stream in (sys.stdout, sys.stderr):
        try:
            # A pipe that nobody empties must not stop the server.
            if select.select([], [stream], [], 0)[1]:
                stream.flush()
        # TypeError: there is none. AttributeError: it is not quite a stream. ValueError: closed, or
        # without a descriptor. OSError: nobody reads it, or the disk is full.
        except (TypeError, AttributeError, ValueError, OSError):
            pass


def join_threads(threads: Iterable[threading.Thread]) -> None:
    """Wait until all of `threads` but the calling one have ended."""
    for thread in threads:
        if thread is not threading.current_thread():
            thread.join()
