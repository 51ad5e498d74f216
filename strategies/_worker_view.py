"""What is known of a worker's server outside of that worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._slot import Slot

if TYPE_CHECKING:
    from ._scoreboard import Scoreboard


class WorkerView:
    """What is known of a worker's server outside of that worker: enough for `Strategy.status`.

    Args:
        slot: the worker's.
        board: that of the `Prefork` inside of it; None: there is none.

    Attributes:
        in_flight: its connections.
        connections: how many it handles: more than are listed, maybe.
        threads: how many threads it has for its handlers.
        board: that of the `Prefork` inside of it; None: there is none.
    """

    def __init__(self, slot: Slot, board: Scoreboard | None) -> None:
        self.in_flight = slot.roster.listed()
        self.connections = slot.in_flight
        self.threads = slot.threads
        self.board = board


def as_view(server: object) -> WorkerView | None:
    """`server`, if it is a view of one; None if it is one of this process."""
    return server if isinstance(server, WorkerView) else None
