"""Checks a strategy against the contract."""

from __future__ import annotations

import os
import unittest
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from serverstrategy.strategy import Strategy

from . import children, connections, draining, errors, leaving, nesting, room, stopping
from .clause import ENTERED, Clause, Make
from .outcome import BrokenClauseError, ContractError, Outcome

_ROOMS = (connections, errors, leaving, children, nesting, room, stopping, draining)
CLAUSES: dict[str, Clause] = {
    name: clause
    for room in _ROOMS
    for name, clause in ENTERED.items()
    if clause.check.__module__ == room.__name__
}
"""The clauses, by name, in the order in which they are checked."""

PATIENCE = 5.0
"""How long a check waits for what must come, in seconds: long, for a loaded machine."""


def check_strategy(
    make: Callable[[], Strategy],
    *,
    clauses: Iterable[str] | None = None,
    patience: float = PATIENCE,
) -> list[Outcome]:
    """Check the strategy that `make` builds against every clause of the contract.

    Each clause runs a server on the loopback, in a process forked from this one, and talks to it
    as its clients do. It looks at sockets, processes and what the contract says, and at nothing in
    the strategy. Takes some fifteen seconds.

    Args:
        make: called without arguments, in the new processes; a strategy's class will do.
        clauses: names of clauses; None: all of `clause_names()`.
        patience: how long to wait for what must come, in seconds.

    Returns:
        What became of each clause. Those that do not apply to the strategy are among them.

    Raises:
        ContractError: the strategy breaks at least one. All of them are told.
        TypeError: `make` cannot be called.
        ValueError: there is no such clause.
        OSError: the platform has no fork, which the checks need.
    """
    outcomes = list(judge(make, clauses=clauses, patience=patience))
    broken = [each for each in outcomes if each.result == "broken"]
    if broken:
        errors = [BrokenClauseError(each.clause, each.expected, each.details) for each in broken]
        raise ContractError("the strategy", errors)
    return outcomes


def judge(
    make: Make, *, clauses: Iterable[str] | None = None, patience: float = PATIENCE
) -> Iterator[Outcome]:
    """Like `check_strategy`, but gives each outcome as it comes, and raises for none.

    Raises:
        TypeError, ValueError, OSError: see `check_strategy`.
    """
    if isinstance(make, Strategy) or not callable(make):
        raise TypeError(f"a function that makes a strategy is needed: write lambda: {make!r}")
    if not hasattr(os, "fork"):
        raise OSError("the checks need os.fork, which this platform does not have")
    chosen = [_clause(name) for name in (CLAUSES if clauses is None else clauses)]
    return (each.judge(make, patience) for each in chosen)


def clause_names() -> tuple[str, ...]:
    """The names of all clauses, in the order in which they are checked."""
    return tuple(CLAUSES)


def strategy_contract(make: Callable[[], Strategy], *, patience: float = PATIENCE) -> type:
    """A class of tests, one for each clause, for pytest and unittest.

    In a file of tests, `TestMine = strategy_contract(lambda: Mine(3))` is all there is to write.

    Args:
        make: see `check_strategy`.
        patience: how long to wait for what must come, in seconds.

    Returns:
        A subclass of `unittest.TestCase`. A clause that does not apply is skipped, with the reason.
    """
    methods = {f"test_{name}": _test(each, make, patience) for name, each in CLAUSES.items()}
    return type("StrategyContract", (unittest.TestCase,), methods)


def _test(clause: Clause, make: Make, patience: float) -> Callable[[Any], None]:
    def test(case: unittest.TestCase) -> None:
        (outcome,) = judge(make, clauses=[clause.name], patience=patience)
        if outcome.result == "broken":
            raise BrokenClauseError(outcome.clause, outcome.expected, outcome.details)
        if outcome.result == "not applicable":
            case.skipTest(outcome.details)

    test.__doc__ = clause.expected
    return test


def _clause(name: str) -> Clause:
    if name not in CLAUSES:
        raise ValueError(f"there is no clause {name!r}: they are {', '.join(CLAUSES)}")
    return CLAUSES[name]
