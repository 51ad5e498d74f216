"""How long answers have taken, and what the client itself has used."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence


def percentile(latencies: Sequence[float], percent: float) -> float:
    """The smallest of `latencies`, sorted, that so many per cent of them do not exceed."""
    return latencies[max(0, math.ceil(len(latencies) * percent / 100) - 1)]


class Latencies:
    """Those of one load, from its begin on.

    Attributes:
        began: when the load began, by `time.perf_counter`.
    """

    def __init__(self) -> None:
        self._seconds: list[float] = []
        self._cpu = time.process_time()
        self.began = time.perf_counter()

    def add(self, seconds: float) -> None:
        """Note one."""
        self._seconds.append(seconds)

    def outcome(self) -> dict[str, float]:
        """What came of the load, until now.

        Returns:
            answers: how many; seconds: the load's duration; p50, p99: latencies, in seconds;
            busy: the share of one processor that the client has used.

        Raises:
            RuntimeError: there is no answer.
        """
        seconds = time.perf_counter() - self.began
        if not self._seconds:
            raise RuntimeError("no connection was answered")
        inorder = sorted(self._seconds)
        return {
            "answers": len(inorder),
            "seconds": seconds,
            "p50": percentile(inorder, 50),
            "p99": percentile(inorder, 99),
            "busy": (time.process_time() - self._cpu) / seconds,
        }
