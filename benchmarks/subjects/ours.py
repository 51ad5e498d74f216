"""The servers of this package."""

from __future__ import annotations

from typing import Any

from benchmarks.kinds import OVERRIDDEN, SLIM, expression_of
from serverstrategy import BaseRequestHandler, StreamRequestHandler, TCPServer, strategies

from .bare import fill_memory
from .duty import ADDRESS, BACKLOG, Duty, tell
from .handlers import handler


class Ours(TCPServer):
    """Ours, as it is."""

    request_queue_size = BACKLOG


class OursOverridden(Ours):
    """Ours with each hook overridden, as in a server that does something there."""

    def get_request(self) -> Any:
        """Pass on."""
        return super().get_request()

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Pass on."""
        return super().verify_request(request, client_address)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Pass on."""
        super().process_request(request, client_address)

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Pass on."""
        super().finish_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Pass on."""
        super().shutdown_request(request)

    def close_request(self, request: Any) -> None:
        """Pass on."""
        super().close_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Pass on."""
        super().handle_error(request, client_address)


class _Names(dict[str, Any]):
    """The names in the box, of which only those that are asked for are imported."""

    def __missing__(self, name: str) -> Any:
        return getattr(strategies, name)


def make(name: str, duty: Duty) -> Ours:
    """A server that listens.

    Args:
        name: a strategy's expression, with the marks of `kinds` before it.
        duty: what its handler does.
    """
    cls = OursOverridden if name.startswith(OVERRIDDEN) else Ours
    base = BaseRequestHandler if SLIM in name else StreamRequestHandler
    # The command has read the text already, by `parse`. Not here: what that loads would be in what
    # each fork copies, and in no program that names its strategy.
    strategy = eval(expression_of(name), {}, _Names())
    return cls(ADDRESS, handler(base, duty), strategy=strategy)


def serve(name: str, duty: Duty) -> None:
    """Serve."""
    if duty.name == "collect":
        fill_memory()
    with make(name, duty) as server:
        tell(server.server_address)
        server.serve_forever()
