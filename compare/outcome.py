"""What came of one load, and how the driver tells it to the command."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Outcome:
    """What came of one load.

    Attributes:
        duration: seconds in which new connections were made.
        completed: connections answered rightly and closed by the server, to the very last.
        completed_in_time: those of them that ended within the duration, which make the rate.
        latencies: seconds from connect to the end of the reply, of all that completed; the late
            ones too, because without them a slow server would look quick.
        errors: how many failed, by kind.
    """

    duration: float
    completed: int = 0
    completed_in_time: int = 0
    latencies: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)


def encode(outcome: Outcome) -> str:
    """An outcome as a line of JSON."""
    return json.dumps(
        {
            "duration": outcome.duration,
            "completed": outcome.completed,
            "completed_in_time": outcome.completed_in_time,
            "latencies": [round(latency, 7) for latency in outcome.latencies],
            "errors": outcome.errors,
        }
    )


def decode(line: bytes) -> Outcome:
    """The outcome that a line of JSON holds."""
    fields = json.loads(line)
    return Outcome(**{**fields, "errors": Counter(fields["errors"])})
