"""The command: `python -m benchmarks`."""

from __future__ import annotations

import contextlib
import shlex
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import NoReturn

from rich.console import Console

from serverstrategy.compare.progress import ProgressBar

from .client import Client
from .loads.idle import allow_files
from .options import Options, parse_options
from .page import Page, measured
from .report import as_markdown, as_table, reasons
from .results import Result
from .rounds import measure, steps

OK, FAILED, WRONG_USE, INTERRUPTED = 0, 1, 2, 130

WIDTH = 120


def main(argv: Sequence[str]) -> int:
    """Run the command.

    Returns:
        The exit status: 0; 1 if a server failed; 2 if the page cannot be written; 130 after Ctrl-C.

    Raises:
        SystemExit: 2 for wrong options, 0 after `--help`.
    """
    options = parse_options(argv)
    page = None if options.page is None else Page(options.page)
    began = time.monotonic()
    try:
        if page is not None:
            page.check()
    except (OSError, ValueError) as error:
        return _complain(f"cannot write the page: {error}", WRONG_USE)
    try:
        with _one_interrupt():
            results = {result.load.name: result for result in _results(options)}
    except KeyboardInterrupt:
        return _complain("interrupted: all servers are stopped", INTERRUPTED)
    if page is not None:
        command = shlex.join(["python", "-m", "benchmarks", *argv])
        try:
            page.write(measured(results, command, options.rounds, time.monotonic() - began))
        except (OSError, ValueError) as error:
            return _complain(f"cannot write the page: {error}", FAILED)
        print(f"written to {options.page}", file=sys.stderr)
    return FAILED if any(result.failures for result in results.values()) else OK


def _results(options: Options) -> Iterator[Result]:
    """Measure, and show each load when it is done."""
    allow_files()
    total = sum(steps(load, names, options.rounds) for load, names in options.loads)
    with ProgressBar(total) as progress, Client() as client:
        for load, names in options.loads:
            result = measure(load, names, options.rounds, client, progress.step)
            progress.hide()
            _show(result, markdown=options.markdown)
            progress.show()
            yield result


def _show(result: Result, *, markdown: bool) -> None:
    if markdown:
        print(as_markdown(result), end="\n\n", flush=True)
        return
    # Where nobody looks at once, wide enough for each table.
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    if result.samples:
        console.print(as_table(result))
    for line in reasons(result):
        console.print(line, markup=False, highlight=False)


@contextlib.contextmanager
def _one_interrupt() -> Iterator[None]:
    """Let the first Ctrl-C end all, and the next ones not disturb the tidying up."""

    def interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _complain(text: str, status: int) -> int:
    print(f"python -m benchmarks: {text}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
