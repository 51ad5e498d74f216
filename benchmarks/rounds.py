"""The rounds: each server of a load is measured once in each, in another order each time."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from typing import Any

import psutil

from .client import Client
from .kinds import missing
from .load import AGAIN, Load
from .results import Result

FAILURES = (OSError, RuntimeError, ValueError, psutil.Error)
"""What a server that does not do as it should may cause."""

Step = Callable[[str], None]


def steps(load: Load, names: Sequence[str], rounds: int) -> int:
    """How many measurements there will be at most, those to warm up too."""
    return (len(names) + 1) * (_rounds(load, rounds) + 1)


def measure(load: Load, names: Iterable[str], rounds: int, client: Client, step: Step) -> Result:
    """Measure servers under a load, and its control twice in each round.

    A server that fails is left out from there on.

    Args:
        load: which.
        names: the servers, with the control.
        rounds: how often; the load may need fewer.
        client: what makes the load.
        step: called before each measurement, with what it is.
    """
    result = Result(load)
    if reason := load.why_not():
        result.left_out[load.name] = reason
        return result
    with ExitStack() as stack:
        running: dict[str, Any] = {}
        for name in names:
            if package := missing(name):
                result.left_out[name] = f"{package} is not installed"
                continue
            for each in (name, name + AGAIN) if name == load.control else (name,):
                result.samples[each] = []
                try:
                    running[each] = stack.enter_context(load.start(name))
                except FAILURES as error:
                    _drop(result, each, error)
        for turn in range(_rounds(load, rounds) + 1):
            for name in random.sample(list(running), len(running)):
                step(f"{load.name}, {f'round {turn}' if turn else 'warm-up'}: {name}")
                try:
                    sample = load.measure(running[name], client)
                except FAILURES as error:
                    _drop(result, name, error)
                    del running[name]
                else:
                    if turn:
                        result.samples[name].append(sample)
    return result


def _drop(result: Result, name: str, error: Exception) -> None:
    del result.samples[name]
    result.failures[name] = str(error) or type(error).__name__


def _rounds(load: Load, rounds: int) -> int:
    return rounds if load.most_rounds is None else min(rounds, load.most_rounds)
