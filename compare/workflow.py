"""The workflow of the command, from checked options to the last line on the terminal."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import time
from collections.abc import Sequence

from rich.console import Console

from serverstrategy import Strategy, strategies
from serverstrategy.ownership import why_unsupported

from .comparison import Entry, Plan, WorkloadResults, compare
from .options import Options, first_twice
from .progress import ProgressBar
from .record import RecordFile, record
from .report import explanation, show
from .status import FAILED, OK, WRONG_USE, complain
from .workloads import calibrate


def run(options: Options) -> int:
    """Check, measure, report. Returns the exit status; see `command.main`."""
    try:
        plan = make_plan(options)
    except ValueError as error:
        return complain(str(error), WRONG_USE)
    file = RecordFile(options.json) if options.json is not None else None
    try:
        if file is not None:
            file.check()
    except OSError as error:
        return complain(f"cannot write {options.json}: {error.strerror}", WRONG_USE)
    return _measure(plan, options, file)


def make_plan(options: Options) -> Plan:
    """The plan that the options ask for.

    Raises:
        ValueError: a strategy's text is no strategy, or two texts are the same strategy.
    """
    entries = [_entry(text) for text in options.strategies]
    if twice := first_twice([entry.expression for entry in entries]):
        raise ValueError(f"the strategy {twice} is given twice")
    return Plan(
        entries=entries,
        workloads=options.workloads,
        concurrency=options.concurrency,
        duration=options.duration,
        rounds=options.rounds,
        crunch_loops=calibrate(),
    )


def _entry(text: str) -> Entry:
    # The module of somebody else's strategy may print when it is imported.
    with contextlib.redirect_stdout(sys.stderr):
        strategy = strategies.parse(text, allow_import=True)
        expression = _expression(strategy, text)
    reason = why_unsupported(strategy)  # the platform has no fork, say
    return Entry(expression, failure=reason and f"cannot run here: {reason}")


def _expression(strategy: Strategy, text: str) -> str:
    """What is shown for `strategy`, and builds it in the server's process.

    That is its `repr`, which tells the defaults too; but the text as typed where the `repr` does
    not build the same: it names no module, say.
    """
    try:
        again = strategies.parse(repr(strategy))
    except (ValueError, OSError):
        return text.strip()
    return repr(strategy) if _classes(again) == _classes(strategy) else text.strip()


def _classes(strategy: Strategy) -> Sequence[type[Strategy]]:
    """The class of a strategy, and those of the strategies that it keeps, at any depth."""
    found = [strategy]
    for each in found:
        for value in getattr(each, "__dict__", {}).values():
            parts = value if isinstance(value, list | tuple) else [value]
            found += [part for part in parts if isinstance(part, Strategy) and part not in found]
    return [type(each) for each in found]


def _measure(plan: Plan, options: Options, file: RecordFile | None) -> int:
    begun = time.monotonic()
    console = _console(stderr=options.json == "-")
    results: list[WorkloadResults] = []
    try:
        with (
            ProgressBar(plan.steps()) as progress,
            contextlib.closing(compare(plan, progress.step)) as comparison,
        ):
            for one in comparison:
                results.append(one)
                progress.hide()
                show(console, one)
                progress.show()
        seconds = time.monotonic() - begun
        for line in explanation(plan, seconds):
            console.print(line)
        console.file.flush()
    except OSError as error:
        return _cannot_print(error)
    if file is not None:
        try:
            file.write(record(plan, results, seconds))
        except OSError as error:
            if options.json == "-":
                return _cannot_print(error)
            return complain(f"cannot write {options.json}: {error.strerror}", FAILED)
    failed = any(result.failure for one in results for result in one.results)
    return FAILED if failed else OK


def _console(*, stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="replace")  # an encoding without the µ is no reason to fail
    return Console(file=stream, highlight=False)


def _cannot_print(error: OSError) -> int:
    # What is left in the buffer would fail once more when the interpreter flushes it at its end.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
    return complain(f"cannot write to standard output: {error.strerror}", FAILED)
