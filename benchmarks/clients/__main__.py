"""The process of the clients: `python -m benchmarks.clients`.

Each line of standard input is an order in JSON, each line of standard output what came of it. It
ends with its standard input.
"""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Callable
from typing import Any

from .burst import burst
from .closed import closed
from .held import hold
from .keep_alive import keep_alive
from .open_loop import open_loop
from .single import single

ORDERS: dict[str, Callable[..., dict[str, float]]] = {
    "burst": burst,
    "closed": closed,
    "hold": hold,
    "keep_alive": keep_alive,
    "open_loop": open_loop,
    "single": single,
}


def main() -> None:
    """Carry out orders."""
    gc.disable()  # a collection in the middle would be measured as latency
    while line := sys.stdin.buffer.readline():
        order: dict[str, Any] = json.loads(line)
        try:
            answer: dict[str, Any] = ORDERS[order.pop("kind")](**order)
        except (OSError, RuntimeError) as error:
            answer = {"error": str(error) or type(error).__name__}
        print(json.dumps(answer), flush=True)
        gc.collect()


if __name__ == "__main__":
    main()
