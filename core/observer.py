"""Who is told of the connections of a server."""

from __future__ import annotations

from typing import Protocol

from .connection import Connection


class Observer(Protocol):
    """What is told what becomes of the connections of a server, in the thread where it happens."""

    def accepting(self) -> None:
        """Connections are accepted from here on. May be told again."""

    def began(self, connection: Connection) -> None:
        """`connection` has been entered."""

    def handed_to_child(self, connection: Connection) -> None:
        """A child process handles `connection` from here on."""

    def ended(self, connection: Connection) -> None:
        """`connection` has been struck off."""
