"""The command `python -m benchmarks`, run by the tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
COMMAND = [sys.executable, "-m", "benchmarks"]
MARKED = "before\n<!-- measured: begin -->\nold\n<!-- measured: end -->\nafter\n"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run it to its end."""
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, check=False, cwd=ROOT, text=True, timeout=50
    )


def tables(output: str) -> dict[str, dict[str, list[str]]]:
    """The tables of its `--markdown`: by load, by server, the cells."""
    found: dict[str, dict[str, list[str]]] = {}
    for line in output.splitlines():
        if line.startswith("### "):
            found[line[4:]] = {}
        elif line.startswith("| ") and not line.startswith(("| server |", "| --- |")):
            name, *cells = (cell.strip() for cell in line.strip("|").split("|"))
            found[next(reversed(found))][name] = cells
    return found


def number(cell: str) -> float:
    """The first number of a cell."""
    return float(cell.partition(" ")[0].replace(",", ""))
