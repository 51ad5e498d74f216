"""What the layers have in common: they pass everything on to their inner strategy."""

from __future__ import annotations

from typing import Any

from serverstrategy.ownership import check_strategy
from serverstrategy.stop_signal import StopSignal
from serverstrategy.strategy import Server, Strategy


class Layer(Strategy):
    """A strategy around another one, to which it leaves what a subclass does not override.

    Args:
        inner: the strategy that it is around.

    Raises:
        TypeError: `inner` is no strategy.
    """

    def __init__(self, inner: Strategy) -> None:
        self.inner = check_strategy(inner)

    @property
    def multithread(self) -> bool:  # type: ignore[override]
        """Whether handlers may run in several threads of one process."""
        return self.inner.multithread

    @property
    def multiprocess(self) -> bool:  # type: ignore[override]
        """Whether handlers may run in several processes."""
        return self.inner.multiprocess

    @property
    def threads_accept(self) -> bool:  # type: ignore[override]
        """Whether the threads of `inner` may accept."""
        return self.inner.threads_accept

    @property
    def datagrams(self) -> bool:  # type: ignore[override]
        """Whether `inner` can handle datagrams."""
        return self.inner.datagrams

    @property
    def unsupported(self) -> str | None:  # type: ignore[override]
        """Why this platform cannot run `inner`."""
        return self.inner.unsupported

    def serve(self, server: Server, stop: StopSignal) -> None:
        """Accept as `inner` does."""
        self.inner.serve(server, stop)

    def ready(self, server: Server) -> bool:
        """Whether `inner` has room."""
        return self.inner.ready(server)

    def process_request(self, server: Server, request: Any, client_address: Any) -> None:
        """Have `inner` handle the connection."""
        self.inner.process_request(server, request, client_address)

    def drain(self, server: Server, timeout: float | None) -> bool:
        """Wait for `inner`."""
        return self.inner.drain(server, timeout)
