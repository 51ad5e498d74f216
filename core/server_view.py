"""A server as one of its strategies sees it."""

from __future__ import annotations

from typing import Any, Protocol

from .in_flight import InFlight
from .strategy import Watched


class Own(Protocol):
    """What a strategy has of its own in a server."""

    in_flight: InFlight

    def add_watched(self, watched: Watched) -> None:
        """See `Server.add_watched`."""

    def remove_watched(self, watched: Watched) -> None:
        """See `Server.remove_watched`."""


class ServerView:
    """A server with the connections and the children of one strategy only.

    So a strategy that takes over has all its room from the start, and the one before it need not
    wait for the connections that came later. Everything else is the server's, for reading and for
    writing.
    """

    def __init__(self, server: Any, own: Own) -> None:
        vars(self)["_server"] = server
        vars(self)["_own"] = own

    @property
    def in_flight(self) -> InFlight:
        """The connections that were accepted for the strategy."""
        own: Own = vars(self)["_own"]
        return own.in_flight

    def add_watched(self, watched: Watched) -> None:
        """See `Server.add_watched`."""
        vars(self)["_own"].add_watched(watched)

    def remove_watched(self, watched: Watched) -> None:
        """See `Server.remove_watched`."""
        vars(self)["_own"].remove_watched(watched)

    def __getattr__(self, name: str) -> Any:
        return getattr(vars(self)["_server"], name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(vars(self)["_server"], name, value)

    def __repr__(self) -> str:
        return repr(vars(self)["_server"])
