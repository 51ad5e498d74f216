"""The lifeline: what ends a process when the command that started it is gone.

It is the pipe on the process's standard input. The command holds the only writing end, so its end,
even by SIGKILL, closes the pipe, and the process hears that as the order to stop.

Nothing but the standard library's small modules here: it is loaded into the servers that are
measured, and counted as their memory.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType

LAST_RESORT = 5  # seconds that a process may take to stop after its lifeline is lost


def on_hang_up(stop: Callable[[], None]) -> None:
    """In the process: call `stop` when the lifeline is lost, and end by force if that is no help.

    Args:
        stop: called in the main thread on Linux, in a thread elsewhere. May be called twice.
    """

    def end() -> None:
        signal.alarm(LAST_RESORT)  # nobody handles SIGALRM, so it ends the process
        stop()

    if sys.platform == "linux":
        _end_on_signal(end)
    else:
        threading.Thread(target=_end_on_eof, args=(end,), daemon=True).start()


def _end_on_signal(end: Callable[[], None]) -> None:
    """Have the kernel signal a change on the lifeline.

    A thread that reads would be simpler, but it would be counted among the server's, and a
    process with a second thread is another process to fork.
    """
    import fcntl

    def look(_number: int, _frame: FrameType | None) -> None:
        if select.select([0], [], [], 0)[0]:  # nothing is ever sent to it: this is the end of file
            end()

    signal.signal(signal.SIGIO, look)
    fcntl.fcntl(0, fcntl.F_SETOWN, os.getpid())  # not a forked child, which inherits the pipe
    fcntl.fcntl(0, fcntl.F_SETFL, fcntl.fcntl(0, fcntl.F_GETFL) | os.O_ASYNC)
    look(signal.SIGIO, None)  # it may have been cut before anybody listened


def _end_on_eof(end: Callable[[], None]) -> None:
    while os.read(0, 1024):
        pass
    end()
