"""The benchmarks: the command runs, tells what it cannot measure, and leaves nothing."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
from pathlib import Path

import psutil
import pytest

from benchmarking import COMMAND, MARKED, ROOT, number, run, tables
from probes import wait_until


def test_each_server_is_measured_beside_the_bare_loop() -> None:
    servers = ["overridden ThreadPool(2)", "slim Synchronous()", "ThreadPoolExecutor(2)", "asyncio"]
    options = [option for each in servers for option in ("--server", each)]
    done = run("--rounds", "2", "--markdown", *options)
    assert done.returncode == 0, done.stderr
    assert "| server | rate ÷ control's | rate, /s | CPU, µs |" in done.stdout
    lines = tables(done.stdout)["burst"]
    assert list(lines) == ["bare", "bare, once more", *servers]
    assert lines["bare"][0] == "1.00 (1.00 to 1.00)"
    assert all(number(cell) > 0.0 for cells in lines.values() for cell in cells)


def test_the_page_is_written_between_its_marks(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(MARKED)
    options = ["--rounds", "2", "--server", "Synchronous()", "--page", str(page)]
    done = run(*options)
    assert done.returncode == 0, done.stderr
    text = page.read_text()
    assert text.startswith("before\n<!-- measured: begin -->\n")
    assert text.endswith("<!-- measured: end -->\nafter\n")
    assert "old" not in text
    assert "python -m benchmarks " + shlex.join(options) in text
    assert "2 rounds in " in text
    aim = "| Synchronous() | burst | rate ÷ bare's | at least 0.88 (0.97) | "
    verdict = next(line for line in text.splitlines() if line.startswith(aim))
    *_, said, cpu = (cell.strip() for cell in verdict.strip("|").split("|"))
    assert number(cpu) > 1.0
    assert said in (
        "as hoped",
        "reached",
        "within the control's spread",
        "**missed**",
    )
    assert "| Synchronous() | burst | rate ÷ uvloop Protocol's " in text
    assert text.count("| not measured |") > 3


def test_a_page_without_marks_is_refused_before_anything_is_measured(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("a page\n")
    done = run("--load", "import", "--page", str(page))
    assert (done.returncode, done.stdout) == (2, "")
    assert "has no lines" in done.stderr
    assert page.read_text() == "a page\n"


def test_a_page_that_is_not_there_is_refused(tmp_path: Path) -> None:
    done = run("--load", "import", "--page", str(tmp_path / "no" / "page.md"))
    assert (done.returncode, done.stdout) == (2, "")
    assert "cannot write the page: " in done.stderr


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--rounds", "0"], "'0' is not a whole number of at least 1"),
        (["--server", "Thraeded()"], "did you mean 'Threaded'?"),
        (["--load", "brust"], "invalid choice: 'brust'"),
    ],
)
def test_what_is_wrong_is_refused(options: list[str], reason: str) -> None:
    done = run(*options)
    assert (done.returncode, done.stdout) == (2, "")
    assert reason in done.stderr


def test_a_server_that_does_not_start_is_told_and_the_others_are_measured() -> None:
    server = "socketserver.NoServer"
    done = run("--rounds", "1", "--markdown", "--server", server, "--server", "Synchronous()")
    assert done.returncode == 1
    assert f"{server} failed: does not start: exit status 1: AttributeError:" in done.stdout
    assert list(tables(done.stdout)["burst"]) == ["bare", "bare, once more", "Synchronous()"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_command_that_is_interrupted_leaves_no_process(number: signal.Signals) -> None:
    arguments = ["--rounds", "999", "--server", "Prefork(2)", "--server", "asyncio"]
    with subprocess.Popen([*COMMAND, *arguments], cwd=ROOT, stderr=subprocess.PIPE) as command:
        process = psutil.Process(command.pid)
        # The client, the control twice, two servers, and the workers of one.
        assert wait_until(lambda: len(process.children(recursive=True)) == 7, 20.0)
        started = process.children(recursive=True)
        os.kill(command.pid, number)
        _, errors = command.communicate(timeout=20)
        assert wait_until(lambda: not any(is_alive(each) for each in started), 10.0)
    if number == signal.SIGINT:
        assert command.returncode == 130
        assert errors == b"python -m benchmarks: interrupted: all servers are stopped\n"


def is_alive(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.status() != psutil.STATUS_ZOMBIE
    return False
