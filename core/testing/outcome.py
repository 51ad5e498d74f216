"""What becomes of a clause."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


class BrokenClauseError(AssertionError):
    """A strategy breaks a clause of the contract.

    Attributes:
        clause: the clause's name.
        expected: what the clause demands.
        seen: what happened instead.
    """

    def __init__(self, clause: str, expected: str, seen: str) -> None:
        super().__init__(f"{clause}: expected: {expected}\n  seen: {seen}")
        self.clause = clause
        self.expected = expected
        self.seen = seen


class ContractError(AssertionError):
    """A strategy breaks the contract.

    Attributes:
        broken: the clauses that it breaks, at least one.
    """

    def __init__(self, strategy: str, broken: Sequence[BrokenClauseError]) -> None:
        clauses = "1 clause" if len(broken) == 1 else f"{len(broken)} clauses"
        lines = "\n".join(map(str, broken))
        super().__init__(f"{strategy} breaks {clauses} of the contract\n{lines}")
        self.broken = tuple(broken)


class BrokenError(Exception):
    """Something was seen that must not be. The text tells what."""


class NotApplicableError(Exception):
    """A clause says nothing about this strategy. The text is the reason."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one clause.

    Attributes:
        clause: its name.
        expected: what it demands.
        result: whether the strategy keeps it.
        details: what was seen, or why it does not apply; empty for "passed".
        seconds: how long it took.
    """

    clause: str
    expected: str
    result: Literal["passed", "broken", "not applicable"]
    details: str
    seconds: float
