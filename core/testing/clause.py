"""The clauses of the contract, by name."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from serverstrategy.strategy import Strategy

from .outcome import BrokenError, NotApplicableError, Outcome
from .trial import Program, Trial, serve_and_close

Make = Callable[[], Strategy]


class Setting:
    """What a clause is given.

    Attributes:
        make: builds the strategy.
        patience: how long to wait for what must come, in seconds.
    """

    def __init__(self, make: Make, patience: float) -> None:
        self.make = make
        self.patience = patience

    def trial(self, program: Program = serve_and_close) -> Trial:
        """A process that runs `program`, by default a server until it is told to stop."""
        return Trial(self.make, program, self.patience)

    def ask(self, question: Callable[[Strategy], Any]) -> Any:
        """The answer of a strategy, in a process of its own. It goes through JSON.

        Raises:
            BrokenError: the strategy cannot be built, or the question fails.
        """
        with self.trial(
            lambda stage: stage.events.tell("told", answer=question(stage.make()))
        ) as t:
            return t.expect("told")["answer"]


Check = Callable[[Setting], None]


@dataclass(frozen=True, slots=True)
class Clause:
    """One demand of the contract.

    Attributes:
        name: what it is called in a report, and as a test.
        expected: what it demands, in a sentence.
        check: raises `BrokenError` where a strategy breaks it, `NotApplicableError` where it says
            nothing about the strategy.
    """

    name: str
    expected: str
    check: Check

    def judge(self, make: Make, patience: float) -> Outcome:
        """Check the strategy that `make` builds.

        Args:
            make: called in processes of their own.
            patience: how long to wait for what must come, in seconds.
        """
        began = time.monotonic()
        result: Any = "passed"
        details = ""
        try:
            self.check(Setting(make, patience))
        except BrokenError as broken:
            result, details = "broken", str(broken)
        except NotApplicableError as reason:
            result, details = "not applicable", str(reason)
        return Outcome(self.name, self.expected, result, details, time.monotonic() - began)


ENTERED: dict[str, Clause] = {}


def clause(check: Check) -> Check:
    """Enter a check; its docstring says what is demanded."""
    name = getattr(check, "__name__")  # noqa: B009 - a Callable need not have one
    ENTERED[name] = Clause(name, " ".join((check.__doc__ or "").split()).rstrip("."), check)
    return check
