"""What became of the connections that were in flight when a server was closed."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from .connection import plain_address

Fate = Literal["finished", "cut", "abandoned"]


class ConnectionFate(NamedTuple):
    """What became of one connection.

    Attributes:
        peer: its `client_address`, as text if it holds anything but plain values.
        age: seconds from its accept to its end; to the report, if it was abandoned.
        fate: "finished": its handler ended by itself. "cut": it was ended from outside, by the
            server after the grace period, or by a signal that killed its child. "abandoned": it
            was cut, and its handler did not notice and goes on.
    """

    peer: Any
    age: float
    fate: Fate


class DrainReport(tuple[ConnectionFate, ...]):
    """What became of each connection that was in flight when the drain began.

    Those that have ended first, in the order of their ends. Cannot be changed.
    """

    __slots__ = ()

    @property
    def finished(self) -> tuple[ConnectionFate, ...]:
        """Those whose handlers ended by themselves."""
        return tuple(each for each in self if each.fate == "finished")

    @property
    def cut(self) -> tuple[ConnectionFate, ...]:
        """Those that were ended from outside."""
        return tuple(each for each in self if each.fate == "cut")

    @property
    def abandoned(self) -> tuple[ConnectionFate, ...]:
        """Those that were cut, and whose handlers go on."""
        return tuple(each for each in self if each.fate == "abandoned")

    def plain(self) -> dict[str, Any]:
        """The report as JSON takes it: the count of each fate, and the connections."""
        return {
            "finished": len(self.finished),
            "cut": len(self.cut),
            "abandoned": len(self.abandoned),
            "connections": [each._asdict() | {"peer": plain_address(each.peer)} for each in self],
        }
