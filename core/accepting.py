"""What an acceptor asks of its server and of the state of that, beyond what a strategy may."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from .in_flight import InFlight
from .listener import Listener
from .nudge import Nudge
from .shortage import Shortage
from .strategy import Server

if TYPE_CHECKING:
    from .relay import Relay
    from .succession import Succession


class AcceptingState(Protocol):
    """What an acceptor asks of the state of its server."""

    accepted: int
    relay: Relay
    left: int
    nudge: Nudge | None
    succession: Succession
    in_flight: InFlight
    is_child: bool
    shortage: Shortage
    listener: Listener

    def is_over(self, server: object) -> bool:
        """Whether there is nothing more to accept from."""
        raise NotImplementedError


class AcceptingServer(Server, Protocol):
    """What an acceptor asks of its server, beyond what a strategy may."""

    @property
    def _serverstrategy(self) -> AcceptingState:
        raise NotImplementedError

    def service_actions(self) -> None:
        """What is due at every `poll_interval`."""

    def _handle_request_noblock(self) -> None:
        """Accept one connection if there is one and there is room, and hand it on."""
