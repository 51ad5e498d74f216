"""CPython's own suites with our servers in the place of `socketserver`'s: see `cpython/run.py`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from cpython.suites import RUNS, SUITES

PROGRAM = Path(__file__).parent / "cpython" / "run.py"

# More than the program gives itself, in seconds.
PATIENCE = 110.0

pytestmark = [
    pytest.mark.timeout(PATIENCE + 10.0),
    pytest.mark.skipif(
        find_spec("test") is None or find_spec("test.test_socketserver") is None,
        reason="this Python comes without the package `test`, which has CPython's own suites",
    ),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="the runs need fork"),
]


@pytest.fixture
def folder() -> Iterator[Path]:
    """An empty folder, of which the name is short enough for the path of a Unix socket."""
    with tempfile.TemporaryDirectory(prefix="cpython-") as name:
        yield Path(name)


def start(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    with (folder / "errors").open("wb") as errors:
        return subprocess.Popen(
            [sys.executable, PROGRAM, *arguments],
            cwd=folder / "work",
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )


def run(folder: Path, *arguments: str) -> tuple[list[dict[str, Any]], list[str]]:
    """Run the program; return what it reports of each test, and the verdict."""
    (folder / "work").mkdir()
    with start(folder, *arguments) as program:
        try:
            report, _ = program.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            report = b""
        finally:
            processes_are_left = end_session(program.pid)
    *tests, last = [json.loads(line) for line in report.splitlines()] or [{}]
    verdict = last.get("verdict", ["it did not come to its end"])
    return tests, [*verdict, *(["processes are left"] if processes_are_left else [])]


def end_session(leader: int) -> bool:
    """Kill what is left of the program and its children; return whether there was any."""
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("how", RUNS)
@pytest.mark.parametrize("suite", SUITES)
def test_suite(suite: str, how: str, folder: Path) -> None:
    tests, verdict = run(folder, suite, "--run", how)
    if verdict:
        failed = [each for each in tests if each["outcome"] == "failed"]
        details = [f"{each['test']}\n{each['details']}" for each in failed]
        errors = (folder / "errors").read_text(errors="replace")
        pytest.fail("\n".join([*details, errors, *verdict]), pytrace=False)
