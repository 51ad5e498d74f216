"""A closed loop beside idle connections that are held all the time."""

from __future__ import annotations

import resource
from collections.abc import Sequence
from contextlib import AbstractContextManager

from benchmarks.contestant import Contestant

from .closed import Closed

ALONE = ", none idle"
"""After the name of a server that is measured without the idle connections."""

SPARE_FILES = 600
"""What server or client need of descriptors besides those of the idle connections."""


class Idle(Closed):
    """A closed loop, where the server has so many idle connections besides.

    Args:
        idle: how many.
    """

    def __init__(self, name: str, summary: str, subjects: Sequence[str], *, idle: int) -> None:
        super().__init__(name, summary, subjects)
        self.idle = idle

    def start(self, name: str) -> AbstractContextManager[Contestant]:
        """The server, with the idle connections."""
        idle = 0 if name.endswith(ALONE) else self.idle
        return Contestant(name.removesuffix(ALONE), self.duty, idle=idle)

    def why_not(self) -> str | None:
        """Too few descriptors."""
        files = allow_files()
        if files >= self.idle + SPARE_FILES:
            return None
        return f"a process may open {files} files here (ulimit -n), and it takes more"


def allow_files() -> int:
    """Raise the limit of open files as far as the system lets a user, for what is started too.

    Returns:
        How many files a process may open.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard if hard != resource.RLIM_INFINITY else 1 << 30
