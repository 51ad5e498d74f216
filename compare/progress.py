"""The progress bar: on standard error, and only where that is a terminal."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class ProgressBar:
    """Counts steps. A context manager: the bar is gone when it is left.

    Args:
        steps: how many there will be.
    """

    def __init__(self, steps: int) -> None:
        self._progress = Progress(
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.description}", markup=False),
            console=Console(stderr=True),
            transient=True,
            disable=not sys.stderr.isatty(),
            refresh_per_second=4,  # often enough for runs of half a second, and little CPU
        )
        self._task = self._progress.add_task("starting", total=steps)
        self._begun = -1

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def step(self, description: str) -> None:
        """One more step begins; the one before it is done."""
        self._begun += 1
        self._progress.update(self._task, completed=self._begun, description=description)

    def hide(self) -> None:
        """Take the bar off the terminal, to print something else. The next `show` brings it."""
        self._progress.stop()

    def show(self) -> None:
        """Bring it back."""
        self._progress.start()
