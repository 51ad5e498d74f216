"""An aim: what a figure should be, and what it was."""

from __future__ import annotations

from dataclasses import dataclass

from .figure import Figure
from .results import Results, Spread


@dataclass(frozen=True, slots=True)
class Aim:
    """What one figure of a strategy should be.

    Attributes:
        strategy: the server's name.
        load: the name of the load.
        figure: which.
        limit: what it must be: at least, or at most where less is better.
        wish: what is hoped for; None: no more than that.
        to: the server to whose figure it is compared; None: the figure itself, in its unit.
        unit: what the figure itself is divided by, in its unit.
    """

    strategy: str
    load: str
    figure: Figure
    limit: float
    wish: float | None = None
    to: str | None = None
    unit: float = 1.0

    def reached(self, results: Results) -> Spread | None:
        """What it was; None if it was not measured."""
        result = results.get(self.load)
        if result is None:
            return None
        if self.to is not None:
            return result.ratio(self.figure, self.strategy, self.to)
        spread = result.values(self.figure, self.strategy)
        if spread is None:
            return None
        scale = self.figure.scale / self.unit
        return Spread(spread.low * scale, spread.median * scale, spread.high * scale)

    def verdict(self, results: Results) -> str:
        """In words: whether it was reached.

        A ratio that is no further from the limit than the control from itself, at its quartile,
        is told as such.
        """
        reached = self.reached(results)
        if reached is None:
            return "not measured"
        if self.wish is not None and self._is_met(reached.median, self.wish):
            return "as hoped"
        if self._is_met(reached.median, self.limit):
            return "reached"
        control = results[self.load].control_spread(self.figure)
        if self.to is not None and control is not None:
            allowance = control.low if self.figure.more_is_better else control.high
            if self._is_met(reached.median, self.limit * allowance):
                return "within the control's spread"
        return "**missed**"

    def wanted(self) -> str:
        """In words: what it should be."""
        what = self.figure.name.partition(",")[0]
        if self.to is not None:
            return f"{what} ÷ {self.to}'s"
        if self.unit != 1.0:
            return f"{what} ÷ {self.unit:,.0f}"
        return self.figure.name

    def bound(self) -> str:
        """The limit, and what is hoped for."""
        word = "at least" if self.figure.more_is_better else "at most"
        wish = "" if self.wish is None else f" ({self.wish:g})"
        return f"{word} {self.limit:g}{wish}"

    def _is_met(self, value: float, bound: float) -> bool:
        return value >= bound if self.figure.more_is_better else value <= bound
