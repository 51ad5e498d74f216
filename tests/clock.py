"""A clock that the tests move."""

from __future__ import annotations


class Clock:
    """Stands for the module `time`, of which it has `monotonic`: as late as the test makes it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now
