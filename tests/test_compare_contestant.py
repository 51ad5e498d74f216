"""Servers in processes of their own: measured, failing to start, ending in the middle, hung."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from serverstrategy.compare.contestant import Contestant, ContestantError
from serverstrategy.compare.driver_process import DriverError, DriverProcess
from serverstrategy.compare.load import Load
from serverstrategy.compare.workloads import CRUNCH_SECONDS, WAIT_SECONDS, WORKLOADS, calibrate


@pytest.fixture
def driver() -> Iterator[DriverProcess]:
    with DriverProcess() as process:
        yield process
    assert not psutil.pid_exists(process.pid)


@pytest.fixture
def echo() -> Iterator[Contestant]:
    contestant = Contestant("Synchronous()", WORKLOADS["echo"], 1)
    yield contestant
    contestant.close()
    assert not psutil.pid_exists(contestant.pid)


def test_a_server_is_measured(driver: DriverProcess, echo: Contestant) -> None:
    echo.start()
    measures = echo.measure(driver, concurrency=4, duration=0.2)
    assert not measures.errors
    assert measures.completed > 50
    assert measures.rate == pytest.approx(measures.completed / 0.2, rel=0.3)
    assert measures.p50 is not None
    assert measures.p99 is not None
    assert 0 < measures.p50 <= measures.p99 < 1
    assert measures.cpu is not None
    assert 5e-6 < measures.cpu < 2e-3
    assert measures.footprint.memory > 1 << 20
    assert measures.footprint.processes == measures.footprint.threads == 1


def test_a_handler_that_waits_uses_little_cpu_and_one_that_computes_all_of_it(
    driver: DriverProcess,
) -> None:
    loops = calibrate()
    figures = {}
    for name in ("wait", "crunch"):
        contestant = Contestant("Synchronous()", WORKLOADS[name], loops)
        try:
            contestant.start()
            contestant.measure(driver, concurrency=1, duration=0.05)
            figures[name] = contestant.measure(driver, concurrency=1, duration=0.3)
        finally:
            contestant.close()
    assert figures["wait"].p50 is not None
    assert figures["wait"].p50 >= WAIT_SECONDS
    assert figures["wait"].cpu is not None
    assert figures["wait"].cpu < WAIT_SECONDS / 4
    assert figures["crunch"].cpu is not None
    assert CRUNCH_SECONDS * 0.6 < figures["crunch"].cpu < CRUNCH_SECONDS * 3


def test_a_server_that_does_not_start_gives_its_reason() -> None:
    contestant = Contestant("Missing()", WORKLOADS["echo"], 1)
    try:
        with pytest.raises(ContestantError, match=r"did not start: .*: ValueError: .*Missing"):
            contestant.start()
    finally:
        contestant.close()


def test_a_server_that_ends_in_the_middle_gives_its_reason(
    driver: DriverProcess, echo: Contestant
) -> None:
    echo.start()
    os.kill(echo.pid, signal.SIGKILL)
    with pytest.raises(ContestantError, match="ended in the middle: ended by signal 9"):
        echo.measure(driver, concurrency=2, duration=0.05)


def test_when_a_server_is_killed_its_workers_are_ended_too() -> None:
    contestant = Contestant("Prefork(2)", WORKLOADS["echo"], 1)
    try:
        contestant.start()
        Load(contestant.port, concurrency=2, duration=0.1).run()
        workers = psutil.Process(contestant.pid).children()
        assert len(workers) == 2
        for process in workers:
            process.suspend()  # so that they cannot end by themselves
        os.kill(contestant.pid, signal.SIGKILL)
    finally:
        contestant.close()
    assert psutil.wait_procs(workers, timeout=5)[1] == []


def test_a_hung_server_is_errors_and_still_ends(
    driver: DriverProcess, echo: Contestant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serverstrategy.compare.driver.REPLY_TIMEOUT", 0.2)
    echo.start()
    os.kill(echo.pid, signal.SIGSTOP)
    try:
        measures = echo.measure(driver, concurrency=2, duration=0.05)
    finally:
        os.kill(echo.pid, signal.SIGCONT)
    assert measures.completed == 0
    assert measures.errors == {"timeout": 2}


def test_a_server_that_does_not_stop_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serverstrategy.compare.companion.STOP_TIMEOUT", 0.1)
    contestant = Contestant("Synchronous()", WORKLOADS["echo"], 1)
    contestant.start()
    os.kill(contestant.pid, signal.SIGSTOP)
    contestant.close()
    assert not psutil.pid_exists(contestant.pid)


def test_a_driver_that_ends_gives_its_reason(driver: DriverProcess, echo: Contestant) -> None:
    echo.start()
    driver.begin(echo.port, 1, 60.0)
    os.kill(driver.pid, signal.SIGKILL)
    with pytest.raises(DriverError, match="ended: ended by signal 9"):
        driver.finish()


def test_a_driver_leaves_in_the_middle_of_a_load(echo: Contestant) -> None:
    echo.start()
    with DriverProcess() as driver:
        driver.begin(echo.port, 1, 60.0)
        assert not driver.wait(0.1)
        driver.hang_up()
        assert driver.wait(5)  # the end of its output, far from the minute


def test_a_measured_server_loads_nothing_of_the_measuring_side() -> None:
    code = "import sys, serverstrategy.compare.subject; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=50, check=True
    )
    assert not {"psutil", "rich", "serverstrategy.compare.companion"} & set(done.stdout.split())
