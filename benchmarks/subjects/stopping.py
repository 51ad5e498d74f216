"""The process of a server that is stopped again and again.

    python -m benchmarks.subjects.stopping NAME DUTY

It prints its port; after SIGTERM, when `serve_forever` and when `server_close` returned, by the
system's monotonic clock; then the port of the next one.
"""

from __future__ import annotations

import importlib
import signal
import sys
import threading
import time
from typing import Any

from benchmarks.kinds import kind_of

from .duty import Duty, tell
from .lifeline import end_with_standard_input


def main(name: str, duty: str) -> None:
    """Serve, and serve again.

    Args:
        name: see `kinds`: one of ours, or of the standard library.
        duty: see `Duty.parse`.
    """
    end_with_standard_input()
    kind = kind_of(name).module
    module = importlib.import_module(f"benchmarks.subjects.{kind}")
    while True:
        server: Any = module.make(name, Duty.parse(duty))

        def stop(*_: Any, server: Any = server) -> None:
            if kind == "ours":
                server.shutdown()
            else:  # it waits for its own thread
                threading.Thread(target=server.shutdown).start()

        signal.signal(signal.SIGTERM, stop)
        tell(server.server_address)
        server.serve_forever()
        heard = time.monotonic()
        server.server_close()
        print(heard, time.monotonic(), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
