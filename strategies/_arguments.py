"""Checks of what a strategy's constructor is given, and what the platform has."""

from __future__ import annotations

import os
from typing import Any


def at_least(minimum: int, value: object, name: str, *, or_none: bool = False) -> Any:
    """Check a count, and return it.

    Raises:
        TypeError: `value` is no int (a bool is none either).
        ValueError: it is below `minimum`.
    """
    if value is None and or_none:
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        wanted = "an int or None" if or_none else "an int"
        raise TypeError(f"{name} must be {wanted}, not {value!r}")
    if value < minimum:
        raise ValueError(f"{name} must be at least {minimum}, not {value}")
    return value


def seconds(value: float | None, name: str, *, or_none: bool = False, or_zero: bool = False) -> Any:
    """Check a time, and return it.

    Raises:
        TypeError: `value` is no number.
        ValueError: it is not more than 0.
    """
    if value is None and or_none:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise TypeError(f"{name} must be a number of seconds, not {value!r}")
    if not (value > 0 or (or_zero and value == 0)):
        least = "at least" if or_zero else "more than"
        raise ValueError(f"{name} must be {least} 0 seconds, not {value!r}")
    return value


def why_no_fork(name: str) -> str | None:
    """Why the strategy `name`, which forks, cannot run here; None if the platform can fork."""
    if hasattr(os, "fork"):
        return None
    return f"{name} needs os.fork, which this platform does not have: use ThreadPool or Threaded"


def cpu_count() -> int:
    """The number of processors that this process may use, at least 1."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
