"""What ends a server with all that it has forked, once the command is gone, even by SIGKILL."""

from __future__ import annotations

import os
import select
import signal
import sys

_F_SETSIG = 10  # fcntl(2); Python names it from 3.13 on


def end_with_standard_input() -> None:
    """Have the kernel kill this process's group when nobody can write to its input any more.

    No thread and no handler, which would be measured with the server; a stopped process ends as
    well. The process must lead its group. Only on Linux: elsewhere the command's own end of a
    measurement must do.
    """
    if sys.platform != "linux":
        return
    import fcntl

    fcntl.fcntl(0, _F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(0, fcntl.F_SETOWN, -os.getpid())
    fcntl.fcntl(0, fcntl.F_SETFL, fcntl.fcntl(0, fcntl.F_GETFL) | os.O_ASYNC)
    # It may have been cut before the kernel was told.
    if select.select([0], [], [], 0)[0]:
        os.killpg(0, signal.SIGKILL)
