"""The tests' own tools."""

from __future__ import annotations

import os
import subprocess
import sys

from probes import switches


def test_a_process_that_has_ended_meanwhile_does_not_wake_up() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert switches(process.pid) == 0


def test_a_process_that_sleeps_does_so_by_going_to_sleep() -> None:
    assert switches(os.getpid()) > 0
