"""However the command ends, no process of it is left."""

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import psutil
import pytest

# With Python's own handler, because a shell's background job hands on that Ctrl-C is ignored.
LAUNCHER = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    "from serverstrategy.__main__ import main; sys.exit(main(['compare', *sys.argv[1:]]))"
)
ENDLESS = ("--workload", "echo", "--duration", "60", "--concurrency", "2")
STRATEGIES = ("--strategy", "Prefork(2)", "--strategy", "Threaded()")
PROCESSES = 1 + 3 + 1  # the load generator, Prefork(2) and Threaded()


def until(condition: Callable[[], object], timeout: float = 20.0) -> None:
    """Look until the condition holds, and fail when it never does."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


class Running:
    """The command in the middle of a measurement, and all that it started."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.started: list[psutil.Process] = []
        root = psutil.Process(process.pid)

        def all_there() -> bool:
            self.started = root.children(recursive=True)
            return len(self.started) >= PROCESSES

        until(all_there)

    def left(self) -> list[psutil.Process]:
        """Those of its processes that are still there, and whatever is in their sessions."""
        sessions = {process.pid for process in self.started}
        found = []
        for pid in psutil.pids():
            try:
                if os.getsid(pid) in sessions and (
                    psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
                ):
                    found.append(psutil.Process(pid))
            except (ProcessLookupError, psutil.NoSuchProcess):
                continue
        return found


@pytest.fixture
def running() -> Iterator[Running]:
    with subprocess.Popen(
        [sys.executable, "-c", LAUNCHER, *STRATEGIES, *ENDLESS],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        running = None
        try:
            running = Running(process)
            assert len(running.left()) >= PROCESSES
            yield running
        finally:
            process.kill()
            for each in running.left() if running is not None else []:
                each.kill()


@pytest.mark.parametrize("times", [1, 3])
def test_ctrl_c_stops_everything_and_says_so_in_a_line(running: Running, times: int) -> None:
    for _ in range(times):
        running.process.send_signal(signal.SIGINT)
    out, err = running.process.communicate(timeout=20)
    assert running.process.returncode == 130
    assert running.left() == []
    assert out == ""
    assert err == "serverstrategy compare: interrupted: all servers are stopped\n"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_when_the_command_is_killed_its_servers_end_by_themselves(
    running: Running, number: signal.Signals
) -> None:
    running.process.send_signal(number)
    assert running.process.wait(20) == -number
    until(lambda: running.left() == [])


def test_on_a_terminal_there_is_a_progress_bar_and_ctrl_c_takes_it_away() -> None:
    our_side, terminal_side = pty.openpty()
    terminal = os.fdopen(our_side, "rb", buffering=0)
    seen = b""
    with (
        subprocess.Popen(
            [sys.executable, "-c", LAUNCHER, "--strategy", "Threaded()", *ENDLESS],
            stdout=subprocess.DEVNULL,
            stderr=terminal_side,
            env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "100"},
        ) as process,
        terminal,
    ):
        os.close(terminal_side)
        try:
            while b"round 1 of 3: Threaded" not in seen:
                seen += terminal.read(4096)
            assert b"1/4" in seen
            process.send_signal(signal.SIGINT)
            while b"all servers are stopped" not in seen:
                seen += terminal.read(4096)
            assert process.wait(20) == 130
        finally:
            process.kill()
    assert seen.index(b"\x1b[?25h") < seen.index(b"interrupted")  # the cursor is back
