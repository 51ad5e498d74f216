"""The subject of a measurement: a server with one strategy and one workload, in its own process.

Run as `python -m serverstrategy.compare.subject STRATEGY WORKLOAD CRUNCH_LOOPS`. Its first line
of output is its port on the loopback; it serves until its standard input is closed.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence

from serverstrategy import TCPServer, strategies

from .lifeline import on_hang_up
from .workloads import WORKLOADS

GRACE_PERIOD = 1.0  # seconds; the load is over before a subject is stopped


def main(argv: Sequence[str]) -> int:
    """Serve until the lifeline is lost.

    Args:
        argv: the strategy's expression, the workload's name, the loops of the workload crunch.

    Returns:
        The exit status, 0. Whatever stops the server from starting is raised, and its last line
        on standard error is the reason that the comparison shows.
    """
    expression, workload, crunch_loops = argv
    # The module of somebody else's strategy may print when it is imported: the port comes first.
    with contextlib.redirect_stdout(sys.stderr):
        strategy = strategies.parse(expression, allow_import=True)
    handler = WORKLOADS[workload].sized(int(crunch_loops))
    with TCPServer(("127.0.0.1", 0), handler, strategy=strategy) as server:
        server.grace_period = GRACE_PERIOD
        on_hang_up(server.shutdown)
        print(server.server_address[1], flush=True)
        server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
