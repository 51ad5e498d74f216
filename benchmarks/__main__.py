"""The command: `python -m benchmarks`."""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import platform
import random
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.progress import track
from rich.table import Table

from .burst import Burst, burst
from .contestant import Contestant
from .report import HEAD, as_markdown, rows

CONTROL = "bare"
AGAIN = "bare, once more"

SERVERS = (
    CONTROL,
    AGAIN,
    "Synchronous()",
    "overridden Synchronous()",
    "Threaded()",
    "ThreadPool(8)",
    "overridden ThreadPool(8)",
    "Prefork(2)",
    "Forking()",
    "socketserver.TCPServer",
    "socketserver.ThreadingTCPServer",
    "socketserver.ForkingTCPServer",
    "Executing",
    "asyncio",
    "uvloop",
    "gevent",
)

EXAMPLES = """examples:
  python -m benchmarks
  python -m benchmarks --rounds 5 --server 'Synchronous()' --server socketserver.TCPServer
  python -m benchmarks --markdown
"""


def main(argv: Sequence[str]) -> int:
    """Run the command.

    Returns:
        The exit status: 0; 1 if a server failed; 130 after Ctrl-C.
    """
    options = _parser().parse_args(argv)
    console = Console(stderr=True)
    chosen = [CONTROL, AGAIN, *options.server] if options.server else list(SERVERS)
    for missing in [name for name in ("uvloop", "gevent") if name in chosen and not _has(name)]:
        console.print(f"{missing} is not installed: left out")
        chosen.remove(missing)
    try:
        bursts = _measure(chosen, options.rounds, console)
    except KeyboardInterrupt:
        console.print("interrupted")
        return 130
    except (OSError, RuntimeError) as error:
        console.print(f"cannot go on: {error}", markup=False)
        return 1
    lines = rows(bursts, CONTROL)
    if options.markdown:
        print(as_markdown(lines))
    else:
        _print_table(lines)
    return 0


def _measure(names: Sequence[str], rounds: int, console: Console) -> dict[str, list[Burst]]:
    bursts: dict[str, list[Burst]] = {name: [] for name in names}
    with contextlib.ExitStack() as stack:
        servers = {
            name: stack.enter_context(Contestant(CONTROL if name == AGAIN else name))
            for name in names
        }
        for contestant in servers.values():
            burst(contestant)  # what is done once only
        for _ in track(range(rounds), "rounds", console=console):
            for name in random.sample(list(names), len(names)):
                bursts[name].append(burst(servers[name]))
    return bursts


def _print_table(lines: Sequence[tuple[str, ...]]) -> None:
    table = Table(*HEAD, title=f"Python {platform.python_version()}, {platform.machine()}")
    for each in table.columns[1:]:
        each.justify = "right"
    for line in lines:
        table.add_row(*line)
    Console().print(table)


def _count(text: str) -> int:
    if not (text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def _has(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure the strategies beside a bare loop and other servers, in rounds.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--rounds", type=_count, default=15, help="how often (default: %(default)s)"
    )
    parser.add_argument(
        "--server",
        action="append",
        metavar="NAME",
        help="measure this one: an expression, or one of "
        + ", ".join(SERVERS[2:])
        + "; repeatable",
    )
    parser.add_argument("--markdown", action="store_true", help="print a table for a page")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
