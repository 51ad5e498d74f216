"""The loads of the benchmarks: each measures one server once, and its figures make sense."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import pytest
from benchmarks.client import Client
from benchmarks.figure import (
    BUSY,
    CALLS_BACKLOG,
    CALLS_IDLE,
    CPU,
    ENDED,
    HEARD,
    HEAVY,
    IMPORT,
    P50,
    P99,
    PRIVATE,
    PSS,
    RATE,
    REAPING,
    WAKE_UPS,
)
from benchmarks.kinds import missing
from benchmarks.load import Sample
from benchmarks.loads import stopping
from benchmarks.loads.all import LOADS
from benchmarks.loads.closed import Closed

from benchmarking import ROOT


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        patch.setattr(stopping, "WATCH", 0.1)
        with Client() as client:
            yield client


def measured(name: str, server: str, client: Client) -> Sample:
    """What one measurement gives, of a tenth of a second where it is one of a time."""
    load = copy.copy(next(each for each in LOADS if each.name == name))
    if reason := load.why_not():
        pytest.skip(reason)
    if isinstance(load, Closed):
        load.seconds = 0.1
    with load.start(server) as contestant:
        sample = load.measure(contestant, client)
    assert set(sample) == set(load.figures)
    return sample


@pytest.mark.parametrize("load", ["burst", "http"])
def test_a_burst(load: str, client: Client) -> None:
    sample = measured(load, "overridden ThreadPool(2)", client)
    assert sample[RATE] > 100
    assert sample[CPU] > 10e-6


@pytest.mark.parametrize("load", ["closed-1", "closed-64", "closed-512"])
def test_a_closed_loop(load: str, client: Client) -> None:
    sample = measured(load, "ThreadPool(2)", client)
    assert sample[RATE] > 10
    assert 0 < sample[P50] <= sample[P99]
    assert sample[CPU] > 10e-6
    assert 0 < sample[BUSY] < 1.1


@pytest.mark.parametrize("server", ["ThreadPool(4)", "bare threads(4)"])
def test_handlers_that_sleep(server: str, client: Client) -> None:
    sample = measured("sleeping", server, client)
    assert 10 < sample[RATE] <= 400
    assert sample[P50] >= 0.010


def test_handlers_that_compute(client: Client) -> None:
    assert measured("burning", "bare processes(2)", client)[CPU] > 0.001


@pytest.mark.parametrize(("load", "most"), [("open-250", 250), ("open-2500", 2500)])
def test_an_open_loop(load: str, most: int, client: Client) -> None:
    sample = measured(load, "Synchronous()", client)
    assert 0 < sample[P50] <= sample[P99]
    # The first one comes at once, so that there is one interval less than connections.
    assert 0 < sample[RATE] <= most * 1.2


def test_connections_that_stay_open(client: Client) -> None:
    sample = measured("keep-alive", "Threaded()", client)
    assert sample[RATE] > 100
    assert 0 < sample[P50] <= sample[P99]


def test_idle_connections_are_held_beside_the_load(client: Client) -> None:
    load = next(each for each in LOADS if each.name == "idle-1000")
    if reason := load.why_not():
        pytest.skip(reason)
    with load.start("Threaded()") as contestant, load.start("Threaded(), none idle") as alone:
        assert contestant.tree.footprint().threads > 1000
        assert load.measure(contestant, client)[RATE] > 10
        assert load.measure(alone, client)[RATE] > 10
        assert alone.tree.footprint().threads < 100


def test_system_calls(client: Client) -> None:
    sample = measured("system-calls", "slim Synchronous()", client)
    assert 4 < sample[CALLS_BACKLOG] < 20
    assert 4 < sample[CALLS_IDLE] < 20


def test_the_memory_of_a_worker(client: Client) -> None:
    sample = measured("memory", "Prefork(2)", client)
    assert 0 < sample[PRIVATE] < sample[PSS]


def test_a_stop_of_an_idle_server(client: Client) -> None:
    sample = measured("stop-idle", "ThreadPool(2)", client)
    assert 0 < sample[HEARD] <= sample[ENDED] < 5
    assert sample[WAKE_UPS] < 100


@pytest.mark.parametrize("load", ["stop-busy", "stop-full"])
@pytest.mark.parametrize("server", ["ThreadPool(2)", "socketserver.ThreadingTCPServer"])
def test_a_stop_amid_a_load(load: str, server: str, client: Client) -> None:
    sample = measured(load, server, client)
    assert 0 < sample[HEARD] <= sample[ENDED] < 5


@pytest.mark.parametrize("server", ["Forking(1000)", "socketserver.ForkingTCPServer"])
def test_reaping_beside_300_children(server: str, client: Client) -> None:
    assert 0 < measured("reaping", server, client)[REAPING] < 0.01


def test_an_import(client: Client) -> None:
    sample = measured("import", "import asyncio", client)
    assert sample[IMPORT] > 0.001
    assert sample[HEAVY] > 10


@pytest.mark.parametrize(
    ("load", "server"),
    [
        ("keep-alive", "asyncio"),
        ("sleeping", "asyncio Protocol"),
        ("closed-64", "uvloop"),
        ("sleeping", "uvloop Protocol"),
        ("sleeping", "gevent"),
        ("keep-alive", "tornado"),
        ("closed-64", "ThreadPoolExecutor(2)"),
        ("burning", "socketserver.ThreadingTCPServer"),
        ("http", "http.server.ThreadingHTTPServer"),
        ("http", "wsgiref"),
        ("http", "waitress(2)"),
        ("http", "cheroot(2)"),
        ("http", "gunicorn sync(2)"),
        ("http", "gunicorn gthread(2, 2)"),
    ],
)
def test_the_servers_of_others(load: str, server: str, client: Client) -> None:
    if package := missing(server):
        pytest.skip(f"{package} is not installed")
    assert measured(load, server, client)[RATE] > 10
