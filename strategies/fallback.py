"""The first strategy that the platform can run."""

from __future__ import annotations

from serverstrategy.ownership import check_strategy, why_unsupported
from serverstrategy.strategy import Strategy

from ._layer import Layer


class Fallback(Layer):
    """Is the first of several strategies that the platform can run.

    For one program, or one setting, on several platforms:
    `Fallback(Prefork(4, ThreadPool(8)), ThreadPool(32))`. It chooses when it is built. If it can
    run none of them, a server refuses it, with the reason for each. A datagram is handled as by the
    strategy that was chosen.

    Args:
        strategies: in the order of preference.

    Raises:
        TypeError: there are none, or one of them is no strategy.

    Attributes:
        inner: the one that was chosen.
    """

    def __init__(self, *strategies: Strategy) -> None:
        if not strategies:
            raise TypeError("Fallback needs strategies: write Fallback(Prefork(4), Threaded())")
        self.strategies = tuple(check_strategy(each) for each in strategies)
        can_run = (each for each in self.strategies if why_unsupported(each) is None)
        super().__init__(next(can_run, self.strategies[0]))

    @property
    def unsupported(self) -> str | None:  # type: ignore[override]
        """Why this platform can run none of them."""
        if why_unsupported(self.inner) is None:
            return None
        return "; ".join(f"{each!r}: {why_unsupported(each)}" for each in self.strategies)
