"""What was measured: the samples of each server under each load, round by round."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median, quantiles
from typing import Self

from .figure import Figure
from .load import AGAIN, Load, Sample


@dataclass(frozen=True, slots=True)
class Spread:
    """Values of several rounds: the median, and the quartiles."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> Self:
        """That of `values`, at least one."""
        if len(values) == 1:
            return cls(values[0], values[0], values[0])
        low, _, high = quantiles(values, n=4, method="inclusive")
        return cls(low, median(values), high)


@dataclass(slots=True)
class Result:
    """What came of one load.

    Attributes:
        load: which.
        samples: of each server, in the order of the load, one a round.
        failures: why a server, or all of the load, was not measured.
        left_out: of these, what this machine cannot measure.
    """

    load: Load
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    def values(self, figure: Figure, name: str) -> Spread | None:
        """A figure of the server `name`; None if it was not measured."""
        return self._spread(lambda own, _: own, figure, name, name)

    def ratio(self, figure: Figure, name: str, to: str) -> Spread | None:
        """A figure of the server `name` divided by that of another one, round by round.

        Returns:
            None if one of them was not measured, or the other one's figure is 0.
        """
        return self._spread(lambda own, other: own / other, figure, name, to)

    def control_spread(self, figure: Figure) -> Spread | None:
        """The ratio of the control to itself: what no ratio of this load can tell apart."""
        return self.ratio(figure, self.load.control + AGAIN, self.load.control)

    def _spread(
        self, quotient: Callable[[float, float], float], figure: Figure, name: str, other: str
    ) -> Spread | None:
        pairs = zip(self.samples.get(name, []), self.samples.get(other, []), strict=False)
        try:
            values = [quotient(own[figure], theirs[figure]) for own, theirs in pairs]
        except (KeyError, ZeroDivisionError):
            return None
        return Spread.of(values) if values else None


Results = Mapping[str, Result]
"""By the name of the load."""
