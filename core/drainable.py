"""What has work to finish."""

from __future__ import annotations

from typing import Any, Protocol


class Drainable(Protocol):
    """A strategy, or what drains one."""

    def drain(self, server: Any, timeout: float | None) -> bool:
        """See `Strategy.drain`."""
        raise NotImplementedError
