"""What is done to a worker that is to end, the longer it takes the harder."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable

Step = tuple[float, Callable[[], None]]
"""When to do what, in seconds of `time.monotonic`."""


class Ending:
    """Steps that are done when their time has come, unless the worker has ended by then.

    Args:
        steps: the steps, in their order.
    """

    def __init__(self, steps: Iterable[Step]) -> None:
        self._steps = deque(steps)

    def attend(self) -> float | None:
        """Do what is due.

        Returns:
            Seconds until the next step; None if none is left.
        """
        while self._steps:
            at, do = self._steps[0]
            remaining = at - time.monotonic()
            if remaining > 0.0:
                return remaining
            self._steps.popleft()
            do()
        return None
