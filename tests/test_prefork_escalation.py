"""Workers that do not end when their server is closed: cut, SIGTERM, SIGKILL, each step logged."""

from __future__ import annotations

import os
import re
import signal
from functools import partial

import psutil
import pytest

from boards import NESTS, has_started, look, workers
from probes import Client, Probe, is_gone, probing, wait_until
from test_prefork_drain import fates, port, serving

# Each step takes a second.
SLOW = NESTS[:4]
IN_THIS_PROCESS = [text for text in SLOW if "Forking" not in text]


def logged(probe: Probe, pattern: str) -> list[int]:
    """The workers of which the log says this."""
    return [int(pid) for pid in re.findall(f"WARNING {pattern}", probe.log())]


def terminated(probe: Probe) -> list[int]:
    return logged(probe, r"worker (\d+) goes on: sent SIGTERM")


def killed(probe: Probe) -> list[int]:
    return logged(probe, r"killed worker (\d+)")


def below(probe: Probe) -> list[psutil.Process]:
    return probe.children()


def are_gone(processes: list[psutil.Process]) -> bool:
    return all(map(is_gone, processes))


def owner(probe: Probe, client: Client) -> int:
    """The worker that has accepted the connection."""
    peer = port(client)
    for worker in look(probe):
        inner = worker["inner"]
        while "inner" in inner:
            inner = inner["inner"]
        if peer in [each["peer"][1] for each in inner["connections"]]:
            return int(worker["pid"])
    raise AssertionError(f"nobody has {peer}")


@pytest.mark.parametrize("strategy", NESTS)
def test_a_handler_that_hears_nothing_is_cut(strategy: str) -> None:
    with probing(strategy, grace=0.2) as probe:
        deaf, idle = serving(probe, 2)
        assert deaf.ask("sleep 60") == "sleeping"
        processes = below(probe)
        probe.signal(signal.SIGTERM)
        assert idle.receive() is None
        assert deaf.receive() is None
        assert fates(probe.closed()["report"]) == {port(deaf): "cut", port(idle): "cut"}
        assert are_gone(processes)
        # It takes no signal: a worker ends itself when a handler does not notice that it is cut.
        assert terminated(probe) == []
        assert f"cut the <connection from ('127.0.0.1', {port(deaf)})" in probe.log()


@pytest.mark.parametrize("strategy", IN_THIS_PROCESS)
def test_a_worker_that_cannot_end_itself_is_killed(strategy: str) -> None:
    """Its handler keeps the interpreter's lock. SIGTERM has a handler in the probe."""
    with probing(strategy, grace=0.2) as probe:
        hog, idle = serving(probe, 2)
        pid = owner(probe, hog)
        other = owner(probe, idle)
        assert hog.ask("hog") == "hogging"
        processes = below(probe)
        probe.signal(signal.SIGTERM)
        assert idle.receive() is None
        assert hog.receive() is None
        expected = {port(hog): "cut", port(idle): "cut"}
        assert fates(probe.closed()["report"]) == expected
        assert are_gone(processes)
        assert terminated(probe) == [pid]
        assert killed(probe) == [pid]
        assert other != pid or "Thread" in strategy


@pytest.mark.parametrize("strategy", SLOW)
def test_a_stopped_worker_is_killed(strategy: str) -> None:
    with probing(strategy, grace=0.2) as probe:
        clients = serving(probe, 2)
        pid = owner(probe, clients[0])
        ports = [port(each) for each in clients]
        processes = below(probe)
        os.kill(pid, signal.SIGSTOP)
        probe.signal(signal.SIGTERM)
        for client in clients:
            assert client.receive() is None
        assert fates(probe.closed()["report"]) == dict.fromkeys(ports, "cut")
        assert are_gone(processes)
        assert terminated(probe) == [pid]
        assert killed(probe) == [pid]


@pytest.mark.parametrize("strategy", SLOW)
def test_a_retired_worker_is_ended_in_the_same_way(strategy: str) -> None:
    """At a reload, while the others serve."""
    with probing(strategy, grace=0.2) as probe:
        clients = serving(probe, 2)
        first = {each.pid for each in below(probe) if each.ppid() == probe.pid}
        processes = below(probe)
        stopped = owner(probe, clients[0])
        os.kill(stopped, signal.SIGSTOP)
        probe.signal(signal.SIGHUP)  # both clients may be those of the stopped one
        for client in clients:
            assert client.receive() is None
        assert wait_until(partial(are_gone, processes))
        assert terminated(probe) == [stopped]
        assert killed(probe) == [stopped]
        assert wait_until(partial(has_started, probe, 2))
        assert not first & {each["pid"] for each in workers({"workers": look(probe)})}
        assert probe.ask("echo hi") == "hi"
        probe.stop()


@pytest.mark.parametrize("strategy", ["Prefork(2)", "Prefork(1, Prefork(2))"])
def test_without_a_handler_of_its_own_sigterm_ends_it(strategy: str) -> None:
    with probing(strategy, grace=0.2) as probe:
        (hog,) = serving(probe, 1)
        pid = owner(probe, hog)
        assert hog.ask(f"default {int(signal.SIGTERM)}") == "default"
        assert hog.ask("hog") == "hogging"
        probe.signal(signal.SIGTERM)
        assert hog.receive() is None
        assert fates(probe.closed()["report"]) == {port(hog): "cut"}
        assert terminated(probe) == [pid]
        assert killed(probe) == []
