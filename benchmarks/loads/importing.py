"""How long an import takes."""

from __future__ import annotations

import subprocess
import sys
from contextlib import AbstractContextManager, nullcontext

from benchmarks.client import Client
from benchmarks.figure import HEAVY, IMPORT
from benchmarks.load import Load, Sample

TIMES = 5

PROGRAM = """
import time
began = time.perf_counter()
{statement}
print(time.perf_counter() - began)
import sys
heavy = ("asyncio", "multiprocessing", "concurrent.futures")
print(sum(name.startswith(heavy) for name in sys.modules))
"""


class Importing(Load):
    """Runs the statement, which is the subject's name, in a new interpreter, some times."""

    figures = (IMPORT, HEAVY)

    def start(self, name: str) -> AbstractContextManager[str]:
        """The program."""
        return nullcontext(PROGRAM.format(statement=name))

    def measure(self, contestant: str, _client: Client) -> Sample:
        """Run it some times; what disturbs it can only make it slower."""
        command = [sys.executable, "-c", contestant]
        runs = [
            subprocess.run(command, capture_output=True, text=True, check=False)
            for _ in range(TIMES)
        ]
        for run in runs:
            if run.returncode:
                raise RuntimeError(run.stderr.strip().rpartition("\n")[2])
        answers = [run.stdout.split() for run in runs]
        return {
            IMPORT: min(float(seconds) for seconds, _ in answers),
            HEAVY: max(float(heavy) for _, heavy in answers),
        }
