"""The process of a forking server that tells what the reaping of its children has cost.

    python -m benchmarks.subjects.reaping NAME DUTY

It prints its port, and at each SIGUSR1 the seconds of processor time until then.
"""

from __future__ import annotations

import contextlib
import importlib
import signal
import sys
import time
from collections.abc import Iterator
from functools import wraps
from typing import Any

from benchmarks.kinds import OURS, kind_of

from .duty import Duty
from .lifeline import end_with_standard_input

MOST_CHILDREN = 1000


class Meter:
    """The processor time of the calls of a method, in this process.

    Attributes:
        seconds: until now.
    """

    def __init__(self, cls: Any, name: str) -> None:
        self.seconds = 0.0
        method = getattr(cls, name)

        @wraps(method)
        def metered(*args: Any, **kwargs: Any) -> Any:
            with self._running():
                return method(*args, **kwargs)

        setattr(cls, name, metered)

    @contextlib.contextmanager
    def _running(self) -> Iterator[None]:
        began = time.thread_time()
        try:
            yield
        finally:
            self.seconds += time.thread_time() - began


def main(name: str, duty: str) -> None:
    """Serve.

    Args:
        name: one of ours, which forks for each connection, or socketserver.ForkingTCPServer.
        duty: see `Duty.parse`.
    """
    end_with_standard_input()
    kind = kind_of(name)
    if kind is OURS:
        module = importlib.import_module("serverstrategy.strategies._children")
        meter = Meter(module.Children, "check")
    else:
        import socketserver

        socketserver.ForkingMixIn.max_children = MOST_CHILDREN
        meter = Meter(socketserver.ForkingMixIn, "collect_children")
    signal.signal(signal.SIGUSR1, lambda *_: print(meter.seconds, flush=True))
    importlib.import_module(f"benchmarks.subjects.{kind.module}").serve(name, Duty.parse(duty))


if __name__ == "__main__":
    main(*sys.argv[1:])
