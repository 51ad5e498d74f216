"""The options of `compare`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from .workloads import WORKLOADS

N = TypeVar("N", int, float)

WORKLOAD_NAMES = tuple(WORKLOADS)

DESCRIPTION = """\
Start each strategy in a process of its own, drive real connections at it over the loopback, and
print a table of what each one manages and costs. The default run takes about 45 seconds.
"""

EXAMPLES = """\
examples:
  serverstrategy compare
  serverstrategy compare --workload wait --strategy 'Threaded()' --strategy 'Prefork(4)'
  serverstrategy compare --strategy 'Prefork(4, ThreadPool(8))' --duration 5 --json result.json
  serverstrategy compare --json - | jq '.workloads[].strategies[].together'

exit status: 0 if every strategy was measured; 1 if one failed, or the output could not be
written; 2 if the options are wrong; 130 after Ctrl-C.
"""


@dataclass(frozen=True, slots=True)
class Options:
    """What the user asked for.

    Attributes:
        strategies: expressions, as typed.
        workloads: names.
        concurrency: connections open at a time.
        duration: seconds of one measured run.
        rounds: how often each strategy is measured under each workload.
        json: where the record goes: a path, `-`, or None.
    """

    strategies: Sequence[str]
    workloads: Sequence[str]
    concurrency: int
    duration: float
    rounds: int
    json: str | None


def parse_options(argv: Sequence[str]) -> Options:
    """Read the command line.

    Raises:
        SystemExit: with 2 if it is wrong, with 0 for `--help`, as argparse does.
    """
    parser = _parser()
    found = parser.parse_args(argv)
    workloads = found.workload or WORKLOAD_NAMES
    if twice := first_twice(workloads):
        parser.error(f"the workload {twice} is given twice")
    return Options(
        strategies=found.strategy or default_strategies(),
        workloads=workloads,
        concurrency=found.concurrency,
        duration=found.duration,
        rounds=found.rounds,
        json=found.json,
    )


def default_strategies() -> Sequence[str]:
    """What is compared unless the user chooses."""
    cpus = available_cpus()
    return (
        "Synchronous()",
        "Threaded()",
        "ThreadPool(8)",
        "Forking()",
        f"Prefork({cpus})",
        f"Prefork({cpus}, ThreadPool(8))",
    )


def available_cpus() -> int:
    """How many CPUs this process may use, which in a container can be fewer than there are."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def first_twice(words: Sequence[str]) -> str | None:
    """The first word that was there before, or None."""
    return next((word for place, word in enumerate(words) if word in words[:place]), None)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="serverstrategy compare",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--strategy",
        action="append",
        metavar="EXPRESSION",
        help="a strategy to compare, such as 'Prefork(4, ThreadPool(8))'; also one of an installed "
        "package, or by its place, 'module:Name(3)'; repeatable (default: "
        + ", ".join(default_strategies())
        + ")",
    )
    parser.add_argument(
        "--workload",
        action="append",
        choices=WORKLOAD_NAMES,
        help="what the handlers do: echo (a line there and back), wait (sleep 10 ms), crunch "
        "(burn about 2 ms of CPU); repeatable (default: all three)",
    )
    _add_numbers(parser)
    parser.add_argument(
        "--json",
        metavar="FILE",
        help="write every round's figures, the environment and the options to FILE; for - to "
        "standard output, and the tables to standard error",
    )
    return parser


def _add_numbers(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--concurrency",
        type=_number(int, 1, 10_000),
        default=16,
        metavar="N",
        help="connections open at a time (default: %(default)s)",
    )
    parser.add_argument(
        "--duration",
        type=_number(float, 0.05, 3600),
        default=0.6,
        metavar="SECONDS",
        help="length of each measured run (default: %(default)s)",
    )
    parser.add_argument(
        "--rounds",
        type=_number(int, 1, 1000),
        default=3,
        metavar="N",
        help="measured runs of each strategy under each workload; the tables show medians "
        "(default: %(default)s)",
    )


def _number(kind: Callable[[str], N], least: N, most: N) -> Callable[[str], N]:
    """A reader of numbers within limits, both included, for argparse."""

    def read(text: str) -> N:
        wrong = argparse.ArgumentTypeError(f"{text!r} is not a number from {least} to {most}")
        try:
            number = kind(text)
        except ValueError:
            raise wrong from None
        if not least <= number <= most:  # which nan is not either
            raise wrong
        return number

    return read
