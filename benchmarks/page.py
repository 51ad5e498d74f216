"""The page `docs/performance.md`: the part of it that the command writes."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from pathlib import Path

from .aim import Aim
from .aims import AIMS
from .figure import CPU, Figure
from .report import NONE, as_markdown, markdown, written
from .results import Results

BEGIN = "<!-- measured: begin -->"
END = "<!-- measured: end -->"

AIM_HEAD = (
    "server",
    "load",
    "figure",
    "wanted (hoped for)",
    "was (quartiles)",
    "verdict",
    CPU.name,
)


class Page:
    """A page with a part between two marks, each on a line of its own.

    Args:
        path: where it is.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def check(self) -> None:
        """Look before an hour is spent.

        Raises:
            OSError: it cannot be read or written.
            ValueError: it has not these marks.
        """
        if not os.access(self._path, os.R_OK | os.W_OK):
            self._path.open("r+").close()
        self._split()

    def write(self, part: str) -> None:
        """Replace what is between the marks.

        Raises:
            OSError: it cannot be read or written.
            ValueError: it has not these marks.
        """
        before, after = self._split()
        self._path.write_text(f"{before}{BEGIN}\n\n{part}\n\n{END}{after}")

    def _split(self) -> tuple[str, str]:
        text = self._path.read_text()
        before, begin, rest = text.partition(BEGIN)
        _, end, after = rest.partition(END)
        if not (begin and end):
            raise ValueError(f"{self._path} has no lines {BEGIN} and {END}, one after the other")
        return before, after


def measured(results: Results, command: str, rounds: int, seconds: float) -> str:
    """What is to be said of a run.

    Args:
        results: what was measured.
        command: the command line.
        rounds: how often.
        seconds: how long all took.
    """
    machine = (
        f"{platform.python_implementation()} {platform.python_version()} on {platform.system()} "
        f"{platform.machine()} with {os.cpu_count()} processors"
    )
    parts = [
        f"```sh\n{command}\n```",
        f"{rounds} rounds in {seconds / 60:.0f} minutes, {machine}.",
        "### Aims",
        aims_table(results),
        "### Figures",
        "\n".join(f"- **{each.name}**: {each.meaning}." for each in _figures(results)),
        *(as_markdown(result) for result in results.values()),
    ]
    return "\n\n".join(parts)


def aims_table(results: Results) -> str:
    """The aims whose load was measured, and what came of them."""
    lines = [
        (
            each.strategy,
            each.load,
            each.wanted(),
            each.bound(),
            written(each.reached(results)),
            each.verdict(results),
            _cpu(results, each),
        )
        for each in AIMS
        if each.load in results
    ]
    return markdown(AIM_HEAD, lines, left=4)


def _cpu(results: Results, aim: Aim) -> str:
    """The CPU of the aim's server, under the same load."""
    values = results[aim.load].values(CPU, aim.strategy)
    return NONE if values is None else CPU.write(values.median)


def _figures(results: Results) -> Iterable[Figure]:
    return dict.fromkeys(figure for each in results.values() for figure in each.load.figures)
