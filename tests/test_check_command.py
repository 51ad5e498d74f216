"""The command `check`: what it prints, and with which status it exits."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from probes import is_gone, wait_until

MINE = """
from serverstrategy import Strategy

print("imported")

class Drops(Strategy):
    def process_request(self, server, request, client_address):
        server.in_flight.remove(request)
        server.close_request(request)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a module of somebody's own."""
    (tmp_path / "mine.py").write_text(MINE)
    return tmp_path


def check(folder: Path, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "serverstrategy", "check", *arguments],
        stdout=options.get("stdout", subprocess.PIPE),
        stderr=subprocess.PIPE,
        check=False,
        cwd=folder,
        text=True,
        timeout=50,
        env=os.environ,
    )


def test_a_clause_that_is_kept(folder: Path) -> None:
    done = check(folder, "Threaded", "--clause", "errors_are_reported")
    first, empty, last = done.stdout.splitlines()
    assert first == "passed          errors_are_reported"
    assert empty == ""
    assert last.startswith("1 passed, in ")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_clause_that_is_broken(folder: Path) -> None:
    done = check(folder, "mine:Drops()", "--clause", "each_connection_is_handled_once")
    assert done.returncode == 1
    assert done.stderr == "imported\n"
    first, *others = done.stdout.splitlines()
    assert first == "broken          each_connection_is_handled_once"
    assert "expected: `complete_request` runs exactly once" in others[0]
    assert "seen: a connection got the end of file instead of its answer" in done.stdout


def test_a_clause_that_does_not_apply(folder: Path) -> None:
    done = check(folder, "Threaded", "--clause", "nests_pass_on_all_questions")
    assert done.returncode == 0
    assert done.stdout.startswith("not applicable  nests_pass_on_all_questions\n")
    assert "it nests no other strategy" in done.stdout


def test_json(folder: Path) -> None:
    done = check(folder, "mine:Drops()", "--json", "--clause", "each_connection_is_handled_once")
    (clause,) = json.loads(done.stdout)["clauses"]
    assert clause["result"] == "broken"
    assert clause["clause"] == "each_connection_is_handled_once"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["Thraeded"], "did you mean 'Threaded'?"),
        (["mine:Missing()"], "cannot be loaded"),
        (["Threaded", "--clause", "other"], "invalid choice: 'other'"),
        (["Threaded", "--patience", "never"], "not a number"),
        ([], "required: strategy"),
    ],
)
def test_wrong_arguments(folder: Path, arguments: list[str], message: str) -> None:
    done = check(folder, *arguments)
    assert done.returncode == 2
    assert message in done.stderr


def test_a_full_disk(folder: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = check(folder, "Threaded", "--clause", "errors_are_reported", stdout=full)
    assert done.returncode == 1
    assert "No space left" in done.stderr


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_no_server_goes_on_when_it_is_ended(folder: Path, number: int, status: int) -> None:
    command = [sys.executable, "-m", "serverstrategy", "check", "Prefork(2)"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=folder, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        started = psutil.Process(process.pid)
        # The processes of a server that serves: itself and two workers.
        assert wait_until(lambda: len(started.children(recursive=True)) >= 3)
        below = started.children(recursive=True)
        process.send_signal(number)
        assert process.wait(10) == status
        assert wait_until(lambda: all(map(is_gone, below)))
