"""The exit status of the command, and the line that tells why."""

from __future__ import annotations

import signal
import sys

OK = 0
FAILED = 1
WRONG_USE = 2
INTERRUPTED = 128 + signal.SIGINT


def complain(text: str, status: int) -> int:
    """Say on standard error what is wrong, in one line; returns `status`."""
    print(f"serverstrategy compare: {text}", file=sys.stderr)
    return status
