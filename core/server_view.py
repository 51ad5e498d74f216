"""A server as one of its strategies sees it."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Protocol

from .in_flight import InFlight
from .watched import Watched


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
    wait for the connections that came later. Everything else is the server's, for reading, writing
    and deleting; it passes for an instance of the server's class, and is equal to the server.
    """

    # No dictionary of its own, so that `vars` shows that of the server.
    __slots__ = ("__own", "__server", "__weakref__")

    __own: Own
    __server: Any

    def __init__(self, server: Any, own: Own) -> None:
        object.__setattr__(self, "_ServerView__server", server)
        object.__setattr__(self, "_ServerView__own", own)

    if TYPE_CHECKING:
        in_flight: InFlight
        become_child: Callable[[], None]
        close_request: Callable[[Any], None]
        complete_request: Callable[[Any, Any], None]
        address_beside_child: Callable[[Any], Any]
        end_child: Callable[[Any, Any], None]
    else:
        # Each connection needs them. By `__getattr__` each would raise an error first, and a
        # getter in Python is one more function, whose pages a fork has to copy.
        in_flight = property(
            attrgetter("_ServerView__own.in_flight"),
            doc="The connections that were accepted for the strategy.",
        )
        become_child = property(attrgetter("_ServerView__server.become_child"))
        close_request = property(attrgetter("_ServerView__server.close_request"))
        complete_request = property(attrgetter("_ServerView__server.complete_request"))
        address_beside_child = property(attrgetter("_ServerView__server.address_beside_child"))
        end_child = property(attrgetter("_ServerView__server.end_child"))

    def add_watched(self, watched: Watched) -> None:
        """See `Server.add_watched`."""
        self.__own.add_watched(watched)

    def remove_watched(self, watched: Watched) -> None:
        """See `Server.remove_watched`."""
        self.__own.remove_watched(watched)

    @property
    def __class__(self) -> Any:
        return self.__server.__class__

    @__class__.setter
    def __class__(self, cls: Any) -> None:
        self.__server.__class__ = cls

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__server, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.__server, name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self.__server, name)

    def __dir__(self) -> list[str]:
        return dir(self.__server)

    def __eq__(self, other: object) -> bool:
        if type(other) is ServerView:
            other = other.__server
        return bool(self.__server == other)

    def __hash__(self) -> int:
        return hash(self.__server)

    def __repr__(self) -> str:
        return repr(self.__server)
