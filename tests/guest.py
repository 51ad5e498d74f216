"""A guest's server in a process of its own.

    python guest.py NAME STRATEGY WAY

NAME is one of `guests.GUESTS`; STRATEGY is the text of a strategy and WAY is `adopt` or `class`, or
both are `none`, for the server as it is. It writes one JSON object a line to its standard output:
where it listens, and, after a SIGTERM has ended it, what is left.
"""

from __future__ import annotations

import logging
import signal
import sys
import threading
from typing import Any

import psutil

from guests import GUESTS
from guests_common import Gift
from probe import tell, what_is_left
from probes import wait_until


def main() -> None:
    name, strategy, way = sys.argv[1:]
    logging.basicConfig(level=logging.INFO, format="%(process)d %(levelname)s %(message)s")
    guest = GUESTS[name]()
    servers: list[Any] = []
    stopping: list[threading.Thread] = []
    fds, threads = psutil.Process().num_fds(), threading.active_count()

    def stop(*_: object) -> None:
        if strategy != "none":
            servers[0].shutdown()
            return
        # The one of `socketserver` waits for the loop, which may be what was interrupted.
        stopping.append(threading.Thread(target=servers[0].shutdown))
        stopping[0].start()

    def announce(server: Any) -> None:
        servers.append(server)
        signal.signal(signal.SIGTERM, stop)
        tell("listening", address=server.server_address[:2])

    def left() -> dict[str, Any]:
        return what_is_left(fds, threads, 0)

    with guest.stack:
        guest.run(Gift(strategy, way), announce)
        for thread in stopping:
            thread.join()
        servers[0].server_close()
    # The library's own threads, and daemons, may need a moment; what leaks stays.
    wait_until(lambda: not any(left().values()), 2.0)
    tell("closed", **left())


if __name__ == "__main__":
    main()
