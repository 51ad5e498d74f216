"""What a server is doing, as plain data."""

from __future__ import annotations

from typing import Any

from .connection import plain_address
from .server_view import ServerView
from .services import Services


def status(server: Any) -> dict[str, Any]:
    """What `server` is doing, as dicts, lists, texts, numbers and None, which `json.dumps` takes.

    The same as `server.status()`, also for a server whose class has a `status` of its own. Takes
    no lock and never blocks. May be called at any time, from anywhere: any thread, a handler, a
    signal handler, before serving and after the close. Each number is right by itself; between two
    of them a connection may have come or gone. In a child or a worker it tells of that process.

    Args:
        server: one of ours, or an adopted one.

    Returns:
        "address": the server's address.
        "serving": whether it accepts connections, as `wait_until_serving` has it.
        "accepted": how many connections this process has accepted.
        "strategy": what `Strategy.status` returns.
        "retired": the same of each strategy that was replaced and still drains, the oldest first.

    Raises:
        TypeError: `server` has no strategy.
    """
    if not isinstance(server, Services):
        raise TypeError(f"status() takes a server with a strategy, not {server!r}")
    state = server._serverstrategy
    succession = state.succession
    # In this order, so that one which is replaced meanwhile is seen twice, not missed.
    generations = [succession.current, *succession.retired.generations]
    # No view is kept that was made here: the server may be closed.
    views: list[Any] = [each.view or ServerView(server, each) for each in generations]
    current, *retired = [
        each.strategy.status(view) for each, view in zip(generations, views, strict=True)
    ]
    return {
        "address": plain_address(getattr(server, "server_address", None)),
        "serving": state.serving.is_accepting,
        "accepted": state.accepted,
        "strategy": current,
        "retired": retired,
    }


class StatusMethod:
    """The method `status`.

    Servers in the wild have one of their own, which strategies do not ask for: so in an adopted
    class this one stands last, and is found only if the class has none.
    """

    def status(self) -> dict[str, Any]:
        """See `serverstrategy.status`, the function."""
        return status(self)
