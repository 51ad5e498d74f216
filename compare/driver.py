"""The driver: the process that makes the load.

It is a process of its own, because the command's own threads (the progress bar, the looks at
memory) would hold its GIL just when a reply comes, and be measured as the server's latency.

Run as `python -m serverstrategy.compare.driver`. Each line on standard input is an order in JSON,
each line on standard output the outcome. It ends when its standard input is closed, in the middle
of a load too.
"""

from __future__ import annotations

import contextlib
import gc
import json
import resource
import sys

from .load import REPLY_TIMEOUT, AbandonedError, Load
from .outcome import encode

MOST_FILES = 10_100  # the most connections that can be asked for, and some


def main() -> int:
    """Carry out orders until the lifeline is lost. Returns the exit status, 0."""
    gc.disable()  # a collection in the middle would be measured as latency
    _allow_files(MOST_FILES)
    orders = sys.stdin.buffer
    while line := orders.readline():
        try:
            outcome = Load(**json.loads(line), lifeline=orders.fileno()).run()
        except AbandonedError:
            break
        print(encode(outcome), flush=True)
        gc.collect()
    return 0


def _allow_files(wanted: int) -> None:
    """Raise this process's limit of open files, which is often too low for many connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        # Where it is refused, the connections that cannot be made are counted as errors.
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def order(port: int, concurrency: int, duration: float) -> bytes:
    """An order for the driver, as one line without its end.

    Args:
        port: the server's port on 127.0.0.1.
        concurrency: connections open at a time.
        duration: seconds in which new connections are made.
    """
    return json.dumps(
        {
            "port": port,
            "concurrency": concurrency,
            "duration": duration,
            "reply_timeout": REPLY_TIMEOUT,
        }
    ).encode()


if __name__ == "__main__":
    sys.exit(main())
