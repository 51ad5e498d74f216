"""What a server with workers is doing: the same from each of its processes."""

from __future__ import annotations

import json
import threading
from functools import partial

import pytest

from boards import (
    NESTS,
    connections,
    has_started,
    hold,
    innermost,
    look,
    status,
    total,
    without_times,
    workers,
)
from probes import PATIENCE, probing, wait_until
from serverstrategy import BaseRequestHandler, TCPServer
from serverstrategy.strategies import Prefork, ThreadPool, parse


@pytest.mark.parametrize("strategy", NESTS)
def test_it_is_the_same_from_each_process(strategy: str) -> None:
    with probing(strategy) as probe:
        assert wait_until(partial(has_started, probe, 2))
        clients = hold(probe, 2)
        seen = status(probe)["strategy"]
        assert seen["strategy"] == repr(parse(strategy))
        pids = [each.pid for each in probe.children()]
        assert len(pids) >= 2
        for pid in pids:
            assert without_times(status(probe, pid)["strategy"]) == without_times(seen)
        for client in clients:
            found = json.loads(client.ask("status") or "")["strategy"]
            assert without_times(found) == without_times(seen)
        for client in clients:
            client.close()
        probe.stop()


@pytest.mark.parametrize("strategy", NESTS)
def test_connections_are_listed_by_the_workers_that_have_them(strategy: str) -> None:
    with probing(strategy) as probe:
        assert wait_until(partial(has_started, probe, 2))
        clients = hold(probe, 2)
        of_peer = {
            client.socket.getsockname()[1]: [int(n) for n in (client.ask("who") or "").split()]
            for client in clients
        }
        found = look(probe)
        for worker in found:
            assert worker["state"] == ("busy" if worker["in_flight"] else "waiting")
            assert worker["generation"] == worker["errors"] == 0
            assert worker["accepted"] == worker["in_flight"]
            assert 0.0 <= worker["since"] <= worker["age"] < PATIENCE
            for each in innermost(worker)["connections"]:
                pid, parent, _ = of_peer.pop(each["peer"][1])
                assert 0.0 < each["age"] < worker["age"]
                if "Forking" in strategy:
                    assert (each["child"], worker["pid"]) == (pid, parent)
                else:
                    assert (each["child"], worker["pid"]) == (None, pid)
            if "Forking" in strategy:
                assert worker["inner"]["children"] == worker["in_flight"]
        assert of_peer == {}
        for client in clients:
            client.close()
        assert wait_until(lambda: total(look(probe), "in_flight") == 0)
        assert connections(look(probe)) == []
        probe.stop()


@pytest.mark.parametrize("strategy", NESTS)
def test_counts(strategy: str) -> None:
    with probing(strategy, hooks=["handle_error_tells"]) as probe:
        for number in range(10):
            with probe.client() as client:
                if number % 3:
                    assert client.ask("echo hi") == "hi"
                else:
                    assert client.ask("raise ValueError") is None
        assert wait_until(
            lambda: total(look(probe), "in_flight") == 0 and total(look(probe), "accepted") == 10
        )
        assert wait_until(partial(has_started, probe, 2))
        found = look(probe)
        assert total(found, "errors") == 4
        assert [worker["state"] for worker in found] == ["waiting", "waiting"]
        probe.stop()


@pytest.mark.parametrize(
    "strategy",
    [
        "Prefork(1, ThreadPool(3))",
        "Prefork(1, Prefork(1, ThreadPool(3)))",
        "Prefork(1, Threaded())",
    ],
)
def test_threads(strategy: str) -> None:
    with probing(strategy) as probe:

        def counts() -> list[int]:
            (worker,) = look(probe)
            return [worker["inner"][name] for name in ("threads", "busy", "idle")]

        assert wait_until(partial(has_started, probe, 1))
        assert counts() == [0, 0, 0]
        first = hold(probe, 1)
        assert counts() == [1, 1, 0]
        clients = probe.clients(2)
        for client in clients:
            assert client.ask("echo hi") == "hi"
        assert counts() == [3, 3, 0]
        first[0].close()
        assert wait_until(lambda: counts() == [3, 2, 1])
        for client in clients:
            client.close()
        assert wait_until(lambda: counts() == [3, 0, 3])
        probe.stop()


def test_more_connections_than_are_listed_are_counted() -> None:
    with probing("Prefork(1, Threaded())") as probe:
        clients = hold(probe, 300)
        (worker,) = look(probe)
        assert worker["in_flight"] == worker["inner"]["busy"] == 300
        assert len(worker["inner"]["connections"]) == 256
        for client in clients:
            client.close()
        probe.stop()


# Without workers


class Reads(BaseRequestHandler):
    pass


def test_before_serving() -> None:
    with TCPServer(("127.0.0.1", 0), Reads, strategy=Prefork(2, ThreadPool(3))) as server:
        shown = server.status()["strategy"]
    assert shown["strategy"] == "Prefork(2, ThreadPool(3))"
    assert shown["workers"] == []
    assert shown["inner"]["connections"] == []


def test_after_the_close() -> None:
    with probing("Prefork(2)", thread=True) as probe:
        assert probe.ask("echo hi") == "hi"
        assert len(status(probe)["strategy"]["workers"]) == 2
        probe.tell("server_close")
        probe.expect("server_close", error=None)
        found = status(probe)
        assert (found["serving"], found["strategy"]["workers"]) == (False, [])
        probe.end_of_commands()
        probe.closed()


# It waits for nobody


@pytest.mark.parametrize("strategy", ["Prefork(2)", "Prefork(2, ThreadPool(2))"])
def test_signal_handlers_amid_a_load(strategy: str) -> None:
    """A handler that runs inside of something which has a lock would wait for ever."""
    with probing(strategy) as probe:
        assert wait_until(partial(has_started, probe, 2))
        pids = probe.pids()
        answers: list[tuple[str, str | None]] = []
        enough = threading.Event()

        def work() -> None:
            while not enough.is_set():
                number = str(len(answers))
                answers.append((number, probe.ask(f"echo {number}")))

        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads:
            thread.start()
        try:
            for pid in 10 * pids:
                assert len(workers(status(probe, pid)["strategy"])) == 2
        finally:
            enough.set()
            for thread in threads:
                thread.join()
        assert answers
        assert all(asked == answer for asked, answer in answers)
        assert total(look(probe), "accepted") == len(answers)
        probe.stop()
