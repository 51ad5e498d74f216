"""The benchmarks: the command runs, and tells what it cannot measure."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).parent.parent


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments],
        capture_output=True,
        check=False,
        cwd=ROOT,
        text=True,
        timeout=50,
    )


def test_each_server_is_measured_beside_the_bare_loop() -> None:
    servers = ["overridden ThreadPool(2)", "socketserver.TCPServer", "Executing", "asyncio"]
    options = [option for each in servers for option in ("--server", each)]
    done = run("--rounds", "2", "--markdown", *options)
    assert done.returncode == 0, done.stderr
    head, _, *lines = done.stdout.splitlines()
    assert head.startswith("| server | burst rate against the bare loop |")
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert [each[0] for each in cells] == ["bare", "bare, once more", *servers]
    assert cells[0][1:3] == ["1.00", "1.00 to 1.00"]
    assert all(float(each[1]) > 0.0 and float(each[3]) > 0.0 for each in cells)


def test_a_server_that_does_not_start_is_told_and_nothing_goes_on() -> None:
    began = time.time()
    done = run("--rounds", "1", "--server", "Thraeded()")
    assert done.returncode == 1
    assert "did you mean 'Threaded'?" in done.stderr
    assert "Thraeded() does not start" in done.stderr
    for process in psutil.process_iter(["cmdline", "create_time"]):
        is_a_server = "benchmarks.subjects" in (process.info["cmdline"] or [])
        assert not (is_a_server and process.info["create_time"] >= began)


def test_a_number_of_rounds_that_is_none_is_refused() -> None:
    done = run("--rounds", "0")
    assert done.returncode == 2
    assert "'0' is not a whole number of at least 1" in done.stderr
