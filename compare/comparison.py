"""The comparison: which strategy is measured when."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field

from .contestant import Contestant, ContestantError
from .driver_process import DriverProcess
from .measures import Measures, together
from .workloads import WORKLOADS, Workload

WARM_UP = 0.25  # seconds, or the duration if that is shorter


@dataclass(frozen=True, slots=True)
class Entry:
    """A strategy that is to be compared.

    Attributes:
        expression: the text that builds it.
        failure: why it cannot run here, if it cannot.
    """

    expression: str
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be compared, and how.

    Attributes:
        entries: the strategies.
        workloads: the names of the workloads, in order.
        concurrency: connections open at a time.
        duration: seconds of one measured run.
        rounds: how often each strategy is measured under each workload.
        crunch_loops: the amount of work in the workload crunch.
    """

    entries: Sequence[Entry]
    workloads: Sequence[str]
    concurrency: int
    duration: float
    rounds: int
    crunch_loops: int

    def steps(self) -> int:
        """How many runs there are in all, those to warm up too."""
        return len(self.workloads) * len(self.entries) * (self.rounds + 1)


@dataclass(slots=True)
class Result:
    """What became of one strategy under one workload.

    Attributes:
        expression: the strategy.
        rounds: the figures of each measured run.
        failure: why it was not measured, or not to the end.
    """

    expression: str
    rounds: list[Measures] = field(default_factory=list)
    failure: str | None = None

    def together(self) -> Measures | None:
        """The figures of the rounds together; None if it failed."""
        return together(self.rounds) if self.rounds and self.failure is None else None


@dataclass(frozen=True, slots=True)
class WorkloadResults:
    """The results of all strategies under one workload, in the order of the plan."""

    workload: Workload
    results: Sequence[Result]


Step = Callable[[str], None]


def compare(plan: Plan, step: Step) -> Generator[WorkloadResults, None, None]:
    """Measure workload by workload.

    Args:
        plan: what to do.
        step: called before each run with a few words about it.

    Yields:
        The results of a workload as soon as it is done. Its servers are gone by then.
    """
    with DriverProcess() as driver:
        for name in plan.workloads:
            yield _compare_under(WORKLOADS[name], plan, driver, step)


def _compare_under(
    workload: Workload, plan: Plan, driver: DriverProcess, step: Step
) -> WorkloadResults:
    results = [Result(entry.expression, failure=entry.failure) for entry in plan.entries]
    with contextlib.ExitStack() as running:
        contestants: list[Contestant | None] = []
        for result in results:
            contestant = None
            if result.failure is None:
                contestant = Contestant(result.expression, workload, plan.crunch_loops)
                running.callback(contestant.close)
            contestants.append(contestant)
        # The last to be called in, so the first on the way out: all stop side by side.
        running.callback(_hang_up, contestants)
        for turn in range(plan.rounds + 1):
            for position in range(len(results)):
                # Rotated, so that none always runs first, or always after the same one.
                index = (position + turn) % len(results)
                result, contestant = results[index], contestants[index]
                step(_describe(workload, result, turn, plan.rounds))
                if contestant is not None and result.failure is None:
                    _run(result, contestant, driver, plan, turn)
    return WorkloadResults(workload, results)


def _run(
    result: Result, contestant: Contestant, driver: DriverProcess, plan: Plan, turn: int
) -> None:
    """One run; the first of each server only warms it up."""
    try:
        if turn == 0:
            contestant.start()
        duration = plan.duration if turn else min(WARM_UP, plan.duration)
        measures = contestant.measure(driver, plan.concurrency, duration)
    except ContestantError as failure:
        result.failure = str(failure)
        return
    if not measures.completed:
        kinds = ", ".join(f"{kind} {count}" for kind, count in measures.errors.items())
        result.failure = f"no connection was answered ({kinds})"
    if turn:
        result.rounds.append(measures)


def _hang_up(contestants: Sequence[Contestant | None]) -> None:
    for contestant in contestants:
        if contestant is not None:
            contestant.hang_up()


def _describe(workload: Workload, result: Result, turn: int, rounds: int) -> str:
    turn_name = f"round {turn} of {rounds}" if turn else "warm-up"
    return f"{workload.name}, {turn_name}: {result.expression}"
