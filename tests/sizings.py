"""A sizing that is none of ours."""

from __future__ import annotations


class Steps:
    """Wants one more worker each time that it is asked, up to `most`."""

    interval: float | None = 0.05

    def __init__(self, most: int) -> None:
        self.most = most

    def wanted(self, workers: int, spare: int) -> int:
        return min(self.most, workers + 1)
