"""The options of the command."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from serverstrategy.strategies import parse

from .kinds import KINDS, OURS, expression_of, kind_of
from .load import Load
from .loads.all import LOADS

PAGE = Path("docs", "performance.md")

EXAMPLES = """examples:
  python -m benchmarks
      all loads, in 15 rounds: about 40 minutes; writes docs/performance.md
  python -m benchmarks --load burst
      bursts only: some four minutes, which a change of the hot path should be worth
  python -m benchmarks --rounds 5 --server 'Synchronous()' --server socketserver.TCPServer
      bursts of these two, beside the bare loop: seconds
  python -m benchmarks --load burst --load closed-64 --server 'overridden ThreadPool(8)'

names of servers:
  an expression that builds a strategy, after "overridden " with each hook overridden by one that
  only passes on, after "slim " with a BaseRequestHandler; bare, bare threads(64),
  bare processes(2); socketserver.CLASS; ThreadPoolExecutor(8); asyncio, uvloop (streams),
  "asyncio Protocol", "uvloop Protocol", gevent, tornado; for the load http also
  http.server.CLASS, wsgiref, waitress(8), cheroot(8), "gunicorn sync(2)", "gunicorn gthread(2, 8)"
"""


@dataclass(frozen=True, slots=True)
class Options:
    """What is to be measured.

    Attributes:
        loads: which, with the names of the servers under each, the control first.
        rounds: how often.
        markdown: whether to print for a page instead of a terminal.
        page: the page to write to, if any.
    """

    loads: Sequence[tuple[Load, Sequence[str]]]
    rounds: int
    markdown: bool
    page: Path | None


def parse_options(argv: Sequence[str]) -> Options:
    """Read them.

    Raises:
        SystemExit: with the status 2, if they are wrong; 0 after `--help`.
    """
    given = _parser().parse_args(argv)
    by_name = {load.name: load for load in LOADS}
    chosen = given.load or (["burst"] if given.server else list(by_name))
    loads = [by_name[name] for name in dict.fromkeys(chosen)]
    whole = not (given.load or given.server)
    return Options(
        [(load, _subjects(load, given.server)) for load in loads],
        given.rounds,
        given.markdown,
        given.page or (PAGE if whole else None),
    )


def _subjects(load: Load, chosen: Sequence[str] | None) -> Sequence[str]:
    if not chosen:
        return load.subjects
    return list(dict.fromkeys([load.control, *chosen]))


def _count(text: str) -> int:
    if not (text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def _server(text: str) -> str:
    is_listed = text.startswith("import ") or any(text in load.subjects for load in LOADS)
    if kind_of(text) is OURS and not is_listed:
        try:
            parse(expression_of(text))
        except ValueError as error:
            others = ", ".join(sorted(KINDS))
            raise argparse.ArgumentTypeError(
                f"{error}; nor is it one of the others: {others}"
            ) from None
    return text


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure the strategies beside a bare loop and other servers, in rounds.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--load",
        action="append",
        choices=[load.name for load in LOADS],
        help="measure under this load; repeatable (default: all; with --server: burst)",
    )
    parser.add_argument(
        "--server",
        action="append",
        type=_server,
        metavar="NAME",
        help="measure this server, beside the control; repeatable (default: those of the load)",
    )
    parser.add_argument(
        "--rounds", type=_count, default=15, help="how often (default: %(default)s)"
    )
    parser.add_argument("--markdown", action="store_true", help="print tables for a page")
    parser.add_argument(
        "--page",
        type=Path,
        metavar="FILE",
        help="write between the two marks of this page "
        f"(default: {PAGE}, if all is measured; else none)",
    )
    return parser
