"""The command `compare`: reads the options, runs the comparison, says how it went."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from .options import parse_options
from .status import INTERRUPTED, WRONG_USE, complain

EXTRAS = ("rich", "psutil")


def main(argv: Sequence[str]) -> int:
    """Run the command.

    Args:
        argv: the options, without the word `compare`.

    Returns:
        The exit status: 0 if every strategy was measured, 1 if one failed or the output could not
        be written, 2 if the options are wrong or the extra is not installed, 130 after Ctrl-C.

    Raises:
        SystemExit: for `--help` and for options that argparse refuses.
    """
    options = parse_options(argv)
    try:
        with _one_interrupt():
            # Here and not above, so that a missing extra can be told in words.
            from .workflow import run

            return run(options)
    except KeyboardInterrupt:
        return complain("interrupted: all servers are stopped", INTERRUPTED)
    except ModuleNotFoundError as missing:
        name = (missing.name or "").partition(".")[0]
        if name not in EXTRAS:
            raise
        return complain(f"needs {name}: pip install 'serverstrategy[compare]'", WRONG_USE)


@contextmanager
def _one_interrupt() -> Iterator[None]:
    """Let the first Ctrl-C end the comparison and the next ones not disturb its tidying up."""

    def interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler or (
        threading.current_thread() is not threading.main_thread()
    ):
        yield  # the application's own, or ignored as in the background of a script
        return
    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
