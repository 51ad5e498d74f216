"""The measures: what one run of the load says, and what several say together."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from .outcome import Outcome
from .tree import Footprint


def percentile(samples: Sequence[float], percent: float) -> float:
    """The smallest sample that at least `percent` of all samples do not exceed.

    The nearest rank: always a sample that was seen, never a value between two.

    Args:
        samples: in any order.
        percent: above 0, at most 100.

    Raises:
        ValueError: there are no samples, or `percent` is out of range.
    """
    if not samples:
        raise ValueError("no samples")
    if not 0 < percent <= 100:
        raise ValueError(f"percent must be above 0 and at most 100, not {percent}")
    return sorted(samples)[math.ceil(len(samples) * percent / 100) - 1]


@dataclass(frozen=True, slots=True)
class Measures:
    """The figures of one run, or of several together.

    Attributes:
        rate: connections completed a second.
        p50: median latency, seconds, from connect to the end of the reply. None if none completed.
        p99: the latency that 99 of 100 connections do not exceed, seconds, or None.
        cpu: the server's CPU seconds for a connection, the whole tree's, or None.
        footprint: the peak of what was seen during the run.
        completed: connections completed.
        errors: connections that failed, by kind.
    """

    rate: float
    p50: float | None
    p99: float | None
    cpu: float | None
    footprint: Footprint
    completed: int
    errors: Counter[str]


def of_run(outcome: Outcome, cpu_seconds: float, footprint: Footprint) -> Measures:
    """The figures of one run.

    Args:
        outcome: what the load recorded.
        cpu_seconds: CPU seconds that the server's tree used, from before the load to after its
            last connection.
        footprint: the peak of the looks at the tree.
    """
    answered = outcome.latencies
    return Measures(
        rate=outcome.completed_in_time / outcome.duration,
        p50=percentile(answered, 50) if answered else None,
        p99=percentile(answered, 99) if answered else None,
        cpu=cpu_seconds / outcome.completed if outcome.completed else None,
        footprint=footprint,
        completed=outcome.completed,
        errors=outcome.errors,
    )


def together(rounds: Sequence[Measures]) -> Measures:
    """Several rounds as one: medians of the figures, the peak of the footprints, all errors.

    Args:
        rounds: at least one.
    """

    def median(figure: Callable[[Measures], float | None]) -> float | None:
        return _median(map(figure, rounds))

    peak = Footprint()
    for one in rounds:
        peak = peak.peak(one.footprint)
    return Measures(
        rate=statistics.median(one.rate for one in rounds),
        p50=median(lambda one: one.p50),
        p99=median(lambda one: one.p99),
        cpu=median(lambda one: one.cpu),
        footprint=peak,
        completed=sum(one.completed for one in rounds),
        errors=sum((one.errors for one in rounds), Counter[str]()),
    )


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None
