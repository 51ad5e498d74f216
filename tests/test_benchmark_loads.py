"""The loads of the benchmarks: each measures one server once, and its figures make sense."""

from __future__ import annotations

import shutil

import pytest

from benchmarking import number, run, tables


def measured(load: str, server: str) -> list[float]:
    """The figures of one round, without the ratio that is the first."""
    done = run("--rounds", "1", "--markdown", "--load", load, "--server", server)
    assert done.returncode == 0, done.stdout + done.stderr
    return [number(cell) for cell in tables(done.stdout)[load][server][1:]]


@pytest.mark.parametrize("load", ["closed-1", "closed-64", "closed-512"])
def test_a_closed_loop(load: str) -> None:
    rate, p50, p99, cpu, client = measured(load, "ThreadPool(2)")
    assert rate > 100
    assert 0 < p50 <= p99
    assert cpu > 10
    assert 0 < client <= 110


def test_handlers_that_sleep() -> None:
    rate, p50, *_ = measured("sleeping", "ThreadPool(4)")
    assert 50 < rate <= 400
    assert p50 >= 10


def test_handlers_that_compute() -> None:
    _, _, _, cpu, _ = measured("burning", "Synchronous()")
    assert cpu > 1000


@pytest.mark.parametrize(("load", "most"), [("open-250", 250), ("open-2500", 2500)])
def test_an_open_loop(load: str, most: int) -> None:
    p99, p50, rate, *_ = measured(load, "Synchronous()")
    assert 0 < p50 <= p99
    assert 0 < rate <= most * 1.01


def test_connections_that_stay_open() -> None:
    rate, p50, *_ = measured("keep-alive", "Threaded()")
    assert rate > 1000
    assert p50 > 0


def test_idle_connections_are_held_beside_the_load() -> None:
    rate, *_ = measured("idle-1000", "Threaded()")
    assert rate > 100


def test_hello_over_http() -> None:
    rate, cpu = measured("http", "ThreadPool(2)")
    assert rate > 100
    assert cpu > 10


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_system_calls() -> None:
    backlog, idle = measured("system-calls", "slim Synchronous()")
    assert 4 < backlog < 20
    assert 4 < idle < 20


def test_the_memory_of_a_worker() -> None:
    private, proportional = measured("memory", "Prefork(2)")
    assert 0 < private < proportional


def test_a_stop_of_an_idle_server() -> None:
    heard, ended, wake_ups = measured("stop-idle", "ThreadPool(2)")
    assert 0 < heard <= ended < 5000
    assert wake_ups < 100


@pytest.mark.parametrize("load", ["stop-busy", "stop-full"])
def test_a_stop_amid_a_load(load: str) -> None:
    heard, ended = measured(load, "ThreadPool(2)")
    assert 0 < heard <= ended < 5000


def test_reaping_beside_300_children() -> None:
    (reaping,) = measured("reaping", "Forking(1000)")
    assert 0 < reaping < 10_000


def test_an_import() -> None:
    milliseconds, heavy = measured("import", "import asyncio")
    assert milliseconds > 1
    assert heavy > 10
