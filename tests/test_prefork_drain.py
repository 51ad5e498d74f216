"""What becomes of the connections of workers when their server is closed, one by one."""

from __future__ import annotations

import os
import signal
import socket
import time
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from boards import NESTS, has_started, hold, look, status, total
from loading import loading
from probes import PATIENCE, Client, Probe, probing, wait_until


def port(client: Client) -> int:
    number: int = client.socket.getsockname()[1]
    return number


def serving(probe: Probe, number: int) -> list[Client]:
    """Connections to a server whose workers have started."""
    assert wait_until(partial(has_started, probe, 2))
    return hold(probe, number)


def fates(report: Any) -> dict[int, str]:
    """The fates by the ports of the peers, each of which is there once."""
    found = {each["peer"][1]: each["fate"] for each in report["connections"]}
    assert len(found) == len(report["connections"])
    for fate in ("finished", "cut", "abandoned"):
        assert report[fate] == list(found.values()).count(fate)
    assert all(0.0 < each["age"] < PATIENCE for each in report["connections"])
    return found


def listens(process: psutil.Process) -> bool:
    name = "net_connections" if hasattr(process, "net_connections") else "connections"
    return "LISTEN" in [each.status for each in getattr(process, name)("tcp")]


def begin_to_close(probe: Probe) -> None:
    """Have it closed, and wait until it drains."""
    probe.signal(signal.SIGTERM)
    probe.expect("closing")
    assert wait_until(lambda: not listens(psutil.Process(probe.pid)))


@pytest.mark.parametrize("strategy", NESTS)
def test_what_ends_within_the_grace_period_has_finished(strategy: str) -> None:
    with probing(strategy) as probe:
        clients = serving(probe, 2)
        begin_to_close(probe)
        for client in clients:
            assert client.ask("echo last") == "last"
            client.socket.shutdown(socket.SHUT_WR)
            assert client.receive() is None
        assert fates(probe.closed()["report"]) == {port(each): "finished" for each in clients}


@pytest.mark.parametrize("strategy", NESTS)
def test_what_does_not_is_cut(strategy: str) -> None:
    with probing(strategy, grace=0.5) as probe:
        clients = serving(probe, 2)
        begun = time.monotonic()
        probe.signal(signal.SIGTERM)
        assert clients[0].ask("echo last") == "last"
        for client in clients:
            assert client.receive() is None
        assert time.monotonic() - begun >= 0.5
        assert fates(probe.closed()["report"]) == {port(each): "cut" for each in clients}
        for client in clients:
            assert f"cut the <connection from ('127.0.0.1', {port(client)})" in probe.log()
        assert "SIGTERM" not in probe.log()


@pytest.mark.parametrize("strategy", NESTS)
def test_the_fates_differ(strategy: str) -> None:
    with probing(strategy) as probe:
        clients = serving(probe, 2)
        pid = int(clients[1].ask("pid") or 0)
        begin_to_close(probe)
        clients[0].socket.shutdown(socket.SHUT_WR)
        assert clients[0].receive() is None
        assert wait_until(lambda: total(look(probe), "in_flight") == 1)
        os.kill(pid, signal.SIGKILL)
        assert clients[1].receive() is None
        report = probe.closed()["report"]
        assert fates(report) == {port(clients[0]): "finished", port(clients[1]): "cut"}
        # In the order of the ends.
        assert [each["fate"] for each in report["connections"]] == ["finished", "cut"]


@pytest.mark.parametrize("strategy", NESTS)
def test_nothing_is_told_of_earlier_times(strategy: str) -> None:
    with probing(strategy, thread=True) as probe:
        for client in serving(probe, 2):
            client.close()
        (killed,) = hold_one_more(probe)
        (worker,) = [each for each in look(probe) if each["in_flight"]]
        os.kill(worker["pid"], signal.SIGKILL)
        killed.close()
        assert wait_until(lambda: worker["pid"] not in [each["pid"] for each in look(probe)])
        (retired,) = hold_one_more(probe)
        assert retired.ask("reload") == "reloaded"
        assert wait_until(lambda: "closing" in [each["state"] for each in look(probe)])
        retired.close()
        assert wait_until(partial(has_started, probe, 2))
        early, late = hold(probe, 2)
        probe.tell("shutdown")
        probe.expect("shutdown")
        early.close()
        assert wait_until(lambda: total(look(probe), "in_flight") == 1)
        probe.tell("server_close")
        assert wait_until(lambda: not listens(psutil.Process(probe.pid)))
        port_of_late = port(late)
        late.close()
        probe.expect("server_close", error=None)
        probe.end_of_commands()
        assert fates(probe.closed()["report"]) == {port_of_late: "finished"}


def hold_one_more(probe: Probe) -> list[Client]:
    assert wait_until(lambda: total(look(probe), "in_flight") == 0)
    assert wait_until(partial(has_started, probe, 2))
    return hold(probe, 1)


@pytest.mark.parametrize("strategy", NESTS)
def test_a_worker_that_somebody_kills_has_cut_what_it_had(strategy: str) -> None:
    with probing(strategy) as probe:
        clients = serving(probe, 2)
        if "Forking" in strategy:  # whose children have the connections
            pids = [int(client.ask("pid") or 0) for client in clients]
        else:
            pids = [each["pid"] for each in look(probe) if each["in_flight"]]
        begin_to_close(probe)
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        for client in clients:
            assert client.receive() is None
        assert fates(probe.closed()["report"]) == {port(each): "cut" for each in clients}


@pytest.mark.parametrize("strategy", NESTS)
def test_shutdown_that_is_to_drain_returns_it(strategy: str) -> None:
    with probing(strategy, grace=0.0) as probe:
        clients = serving(probe, 2)
        probe.signal(signal.SIGWINCH)
        for client in clients:
            assert client.receive() is None
        expected = {port(each): "cut" for each in clients}
        assert fates(probe.expect("drained")["report"]) == expected
        assert fates(probe.closed()["report"]) == expected


@pytest.mark.parametrize("strategy", NESTS)
def test_each_is_there_once_though_two_close(strategy: str) -> None:
    """A signal handler closes the server while the main thread does."""
    with probing(strategy) as probe:
        clients = serving(probe, 2)
        begin_to_close(probe)
        probe.signal(signal.SIGUSR1)
        probe.wait_until_idle()
        ports = [port(each) for each in clients]
        for client in clients:
            client.close()
        assert fates(probe.closed()["report"]) == dict.fromkeys(ports, "finished")


def test_workers_of_a_strategy_that_was_replaced_are_drained_too() -> None:
    with probing("Prefork(2, ThreadPool(2))", next=["Prefork(2)"]) as probe:
        ended, old = serving(probe, 2)
        probe.signal(signal.SIGHUP)
        probe.expect("assigned")
        assert wait_until(partial(has_started, probe, 2))
        ended.close()
        assert wait_until(lambda: total(retired(probe), "in_flight") == 1)
        (new,) = hold(probe, 1)
        begin_to_close(probe)
        ports = [port(old), port(new)]
        old.close()
        new.close()
        assert fates(probe.closed()["report"]) == dict.fromkeys(ports, "finished")


def retired(probe: Probe) -> list[Any]:
    return [each for shown in status(probe)["retired"] for each in shown["workers"]]


@pytest.mark.parametrize("strategy", NESTS)
def test_a_load_is_answered_as_far_as_it_was_accepted(strategy: str) -> None:
    with probing(strategy) as probe, loading(probe.address, most=8) as load:
        assert wait_until(partial(has_started, probe, 2))
        load.wait_for(200)
        probe.signal(signal.SIGTERM)
        report = probe.closed()["report"]
        told = load.stop()
        # What waited in the backlog is reset when nobody listens any more.
        assert {each.what for each in told} <= {"answered", "refused", "reset"}
        assert set(fates(report).values()) <= {"finished"}
        assert set(fates(report)) <= {each.port for each in told if each.what == "answered"}


# Peers


def test_peers_of_ipv6() -> None:
    with probing("Prefork(2, ThreadPool(2))", address=["::1", 0], grace=0.0) as probe:
        with socket.create_connection(probe.address[:2], PATIENCE) as client:
            client.sendall(b"echo hi\n")
            assert client.recv(100) == b"hi\n"
            probe.signal(signal.SIGTERM)
            assert client.recv(100) == b""
            name = client.getsockname()
        (found,) = probe.closed()["report"]["connections"]
        assert (found["peer"], found["fate"]) == (list(name), "cut")


def test_peers_at_a_path(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    longest = str(tmp_path / "c").ljust(107, "x")
    with probing("Prefork(2, ThreadPool(2))", family="unix", address=path, grace=0.0) as probe:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(PATIENCE)
            client.bind(longest)
            client.connect(path)
            client.sendall(b"echo hi\n")
            assert client.recv(100) == b"hi\n"
            probe.signal(signal.SIGTERM)
            assert client.recv(100) == b""
        (found,) = probe.closed()["report"]["connections"]
        assert (found["peer"], found["fate"]) == (longest, "cut")
