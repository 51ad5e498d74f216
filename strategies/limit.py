"""A limit around any strategy."""

from __future__ import annotations

from serverstrategy.strategy import Server, Strategy

from ._arguments import at_least
from ._counting_layer import CountingLayer


class Limit(CountingLayer):
    """Lets `inner` have at most `n` connections at the same time; others wait in the backlog.

    For strategies that have no limit of their own. It holds for one process: inside `Prefork`, for
    each worker. The datagrams of a datagram server wait in the listener's receive buffer, and the
    system drops those for which that has no space.

    Args:
        n: how many connections at the same time.
        inner: the strategy that handles them.

    Raises:
        TypeError, ValueError: `n` is no int of at least 1; `inner` is no strategy, or a `Prefork`.
    """

    def __init__(self, n: int, inner: Strategy) -> None:
        at_least(1, n, "n")
        self.n = n
        super().__init__(inner)

    def ready(self, server: Server) -> bool:
        """Whether fewer than `n` connections are in flight, and `inner` has room."""
        return len(server.in_flight) < self.n and self.inner.ready(server)
