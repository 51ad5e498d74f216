"""Something to wait for besides connections."""

from __future__ import annotations

from typing import Protocol


class Watched(Protocol):
    """Something that an acceptor waits for besides the listener: the exits of children, say."""

    def fileno(self) -> int:
        """The descriptor that is readable when there is something to do."""
        raise NotImplementedError

    def tick(self) -> float | None:
        """Seconds after which to call `check` without being told; None: only when told."""

    def check(self) -> None:
        """Do what there is to do. Never blocks. Called after each wait that ended for it."""
