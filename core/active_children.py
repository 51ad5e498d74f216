"""`active_children`, for the code that was written for `socketserver.ForkingMixIn`."""

from __future__ import annotations

from typing import Any


class ActiveChildren:
    """The pids of the children that have a connection each, as a set: a snapshot.

    No data descriptor, so that a class or an instance can still have an attribute of this name.
    """

    def __get__(self, server: Any, owner: type | None = None) -> Any:
        if server is None:
            return self
        in_flight = server._serverstrategy.in_flight
        return {connection.child for connection in in_flight if connection.child is not None}
