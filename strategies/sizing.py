"""How many workers there are to be."""

from __future__ import annotations

import time
from typing import Any, Protocol, cast

from serverstrategy.expression import expression

from ._arguments import at_least, seconds


class Sizing(Protocol):
    """Decides how many workers there are to be. Write one of your own to decide in another way.

    Attributes:
        most: how many there will be at most. The scoreboard has room for twice as many.
        interval: how often to ask, in seconds; None: whenever a worker begins or ends, no oftener.
    """

    most: int
    interval: float | None

    def wanted(self, workers: int, spare: int) -> int:
        """How many workers there are to be.

        Args:
            workers: how many there are, those included that have just been started.
            spare: how many of them are ready for a connection, or will be in a moment.
        """
        raise NotImplementedError


class Fixed:
    """Always the same number of workers: what `Prefork(4)` means.

    Args:
        workers: how many.
    """

    interval: float | None = None

    def __init__(self, workers: int) -> None:
        at_least(1, workers, "workers")
        self.workers = self.most = workers

    def wanted(self, workers: int, spare: int) -> int:
        """See `Sizing.wanted`."""
        return self.workers

    def __repr__(self) -> str:
        return expression(self)


class Adaptive:
    """Follows the load: more workers while none is spare, fewer when many have been for a while.

    While fewer than `min_spare` are spare it starts 1, 2, 4 and so on up to 32 at a time, as
    Apache's prefork does, four times a second. It ends one at a time, once a second, and only after
    more than `max_spare` have been spare for `settle` seconds without a break, so that a load which
    comes and goes does not have workers come and go.

    Args:
        min_workers: how many there are at least.
        max_workers: how many at most.
        min_spare: how many are to be ready for a connection at least.
        max_spare: how many at most.
        settle: how long too many must have been spare before one is ended, in seconds.

    Raises:
        TypeError, ValueError: a count is no int of at least 1, or they contradict each other: with
            a `min_spare` of 0 none would ever be missing; `settle` is no number of at least 0.
    """

    interval: float | None = 0.25

    def __init__(
        self,
        min_workers: int,
        max_workers: int,
        min_spare: int = 1,
        max_spare: int = 4,
        settle: float = 10.0,
    ) -> None:
        at_least(1, min_workers, "min_workers")
        at_least(min_workers, max_workers, "max_workers")
        at_least(1, min_spare, "min_spare")
        at_least(min_spare, max_spare, "max_spare")
        self.min_workers = min_workers
        self.max_workers = self.most = max_workers
        self.min_spare = min_spare
        self.max_spare = max_spare
        self.settle: float = seconds(settle, "settle", or_zero=True)
        self._step = 1
        self._fewer_from: float | None = None

    def wanted(self, workers: int, spare: int) -> int:
        """See `Sizing.wanted`."""
        if spare < self.min_spare:
            self._fewer_from = None
            more, self._step = self._step, min(32, 2 * self._step)
            return self._bounded(workers + more)
        self._step = 1
        return self._bounded(workers - self._may_end_one(spare))

    def _may_end_one(self, spare: int) -> bool:
        now = time.monotonic()
        if spare <= self.max_spare:
            self._fewer_from = None
        elif self._fewer_from is None:
            self._fewer_from = now + self.settle
        elif now >= self._fewer_from:
            self._fewer_from = now + min(1.0, self.settle)
            return True
        return False

    def _bounded(self, workers: int) -> int:
        return max(self.min_workers, min(self.max_workers, workers))

    def __repr__(self) -> str:
        return expression(self)


def is_sizing(value: object) -> bool:
    """Whether `value` has what a `Sizing` has, or is a class of those."""
    return callable(getattr(value, "wanted", None))


def as_sizing(workers: Any) -> Sizing:
    """What `Prefork` is given for `workers`, as an object.

    Raises:
        TypeError, ValueError: it is neither an int of at least 1 nor a `Sizing`.
    """
    if isinstance(workers, int) and not isinstance(workers, bool):
        return Fixed(workers)
    wanted = "workers must be an int or a Sizing"
    if isinstance(workers, type) or not is_sizing(workers):
        raise TypeError(f"{wanted}, such as Adaptive(2, 10), not {workers!r}")
    for name in ("most", "interval"):
        if not hasattr(workers, name):
            raise TypeError(f"{wanted}, which has the attribute {name!r}, not {workers!r}")
    sizing = cast(Sizing, workers)
    at_least(1, sizing.most, "most")
    seconds(sizing.interval, "interval", or_none=True)
    return sizing


def ask(sizing: Sizing, workers: int, spare: int) -> int:
    """How many workers `sizing` wants, at most its `most`: see `Sizing.wanted`.

    Raises:
        TypeError, ValueError: it returns no int of at least 1.
    """
    answer: int = at_least(1, sizing.wanted(workers, spare), f"what wanted() of {sizing!r} returns")
    return min(answer, sizing.most)
