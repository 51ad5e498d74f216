"""The command `check`: checks a strategy against the contract, clause by clause."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import sys
import textwrap
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial

from serverstrategy.ownership import why_unsupported
from serverstrategy.testing import Outcome, clause_names, judge
from serverstrategy.testing.check import PATIENCE

from ._output import drop_output
from .parsing import parse

FORMAT = 1  # of the JSON
WIDEST = 100  # characters of a line of details

_COLOURS = {"passed": "32", "broken": "31", "not applicable": "33"}

DESCRIPTION = """\
Run a server with the strategy, on the loopback and in processes of its own, and check every clause
of the contract between a server and its strategy. Takes about fifteen seconds.
"""

EXAMPLES = """\
examples:
  serverstrategy check 'ThreadPool(4)'
  serverstrategy check 'mypackage:MyStrategy(3)'
  serverstrategy check 'Prefork(2, mypackage:MyStrategy(3))' --clause drain_waits_for_the_work

A limit is checked with 16 connections: give the strategy one below that.

exit status: 0 if no clause is broken; 1 if one is, or the report could not be written; 2 if the
options or the expression are wrong; 130 after Ctrl-C.
"""


def main(argv: Sequence[str]) -> int:
    """Run the command.

    Args:
        argv: the options, without the word `check`.

    Returns:
        The exit status, as `--help` tells it.

    Raises:
        SystemExit: for `--help` and for options that argparse refuses.
    """
    options = _parser().parse_args(argv)
    try:
        with contextlib.redirect_stdout(sys.stderr):  # its module may print when it is imported
            reason = why_unsupported(parse(options.strategy, allow_import=True))
    except ValueError as error:
        return _fail(2, str(error))
    if reason:
        return _fail(2, f"{options.strategy} cannot run here: {reason}")
    make = partial(parse, options.strategy, allow_import=True)
    outcomes: list[Outcome] = []
    try:
        for outcome in judge(make, clauses=options.clause, patience=options.patience):
            outcomes.append(outcome)
            if not options.json:
                _write(_in_words(outcome))
        _write(_as_document(options.strategy, outcomes) if options.json else _summary(outcomes))
    except KeyboardInterrupt:
        return _fail(130, "interrupted")
    except BrokenPipeError:  # the reader has seen enough
        drop_output()
        return 1
    except OSError as error:
        drop_output()
        return _fail(1, f"cannot go on: {error}")
    return 1 if any(each.result == "broken" for each in outcomes) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="serverstrategy check",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("strategy", help="an expression, such as 'mypackage:MyStrategy(3)'")
    parser.add_argument(
        "--clause",
        action="append",
        choices=clause_names(),
        metavar="NAME",
        help="check this clause only; repeatable",
    )
    parser.add_argument(
        "--patience",
        type=_seconds,
        default=PATIENCE,
        metavar="SECONDS",
        help="how long to wait for what must come (default: %(default)g)",
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON, at the end")
    return parser


def _seconds(text: str) -> float:
    wrong = argparse.ArgumentTypeError(f"{text!r} is not a number from 0.1 to 3600")
    try:
        number = float(text)
    except ValueError:
        raise wrong from None
    if not 0.1 <= number <= 3600:  # which nan is not either
        raise wrong
    return number


def _in_words(outcome: Outcome) -> str:
    result = f"{outcome.result:14}"
    if sys.stdout.isatty() and "NO_COLOR" not in os.environ:
        result = f"\033[{_COLOURS[outcome.result]}m{result}\033[0m"
    lines = [f"{result}  {outcome.clause}"]
    if outcome.result == "broken":
        lines += [*_wrapped("expected: ", outcome.expected), *_wrapped("seen: ", outcome.details)]
    elif outcome.details:
        lines += _wrapped("", outcome.details)
    return "".join(f"{line}\n" for line in lines)


def _wrapped(title: str, text: str) -> list[str]:
    width = min(WIDEST, shutil.get_terminal_size((WIDEST, 0)).columns)
    first, *others = text.splitlines() or [""]
    indent = 16 * " "
    lines = textwrap.wrap(title + first, width, initial_indent=indent, subsequent_indent=indent)
    return [*lines, *(indent + each for each in others)]  # what a server has printed stays as it is


def _summary(outcomes: Sequence[Outcome]) -> str:
    numbers = Counter[str](each.result for each in outcomes)
    told = ", ".join(f"{numbers[each]} {each}" for each in _COLOURS if numbers[each])
    return f"\n{told}, in {sum(each.seconds for each in outcomes):.1f} s\n"


def _as_document(strategy: str, outcomes: Sequence[Outcome]) -> str:
    clauses = [asdict(each) for each in outcomes]
    return json.dumps({"format": FORMAT, "strategy": strategy, "clauses": clauses}, indent=2) + "\n"


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _fail(status: int, message: str) -> int:
    print(f"serverstrategy check: {message}", file=sys.stderr)
    return status
