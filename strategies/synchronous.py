"""One connection at a time."""

from __future__ import annotations

from serverstrategy.strategy import Strategy


class Synchronous(Strategy):
    """Handles one connection at a time, in the thread that accepts.

    For handlers that never wait long, for tests, and inside `Prefork`. While a handler runs,
    further connections wait in the backlog.
    """
