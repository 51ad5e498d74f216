"""`Forking` with spare children: one for each connection, and gone with the server."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import psutil
import pytest

from probes import Probe, is_gone, probing, wait_until

LOAD = """
import collections, socket, sys, threading
def work(first):
    for number in range(first, first + count):
        try:
            with socket.create_connection((host, int(port)), 30) as connection:
                connection.sendall(b"echo %d\\n" % number)
                connection.shutdown(socket.SHUT_WR)
                answer = b"".join(iter(lambda: connection.recv(100), b""))
            fate = "answered" if answer == b"%d\\n" % number else f"{answer!r}"
        except OSError as error:
            fate = type(error).__name__
        fates[fate] += 1
host, port, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
fates = collections.Counter()
threads = [threading.Thread(target=work, args=(1000 * number,)) for number in range(8)]
for each in threads: each.start()
for each in threads: each.join()
print(dict(fates))
"""


def spares(probe: Probe, number: int) -> list[psutil.Process]:
    """The children of a server that has no connection, once there are so many."""
    assert wait_until(lambda: len(probe.children()) == number), probe.log()
    return probe.children()


def pids(processes: list[psutil.Process]) -> set[int]:
    return {each.pid for each in processes}


def sockets(process: psutil.Process) -> set[str]:
    """What identifies the sockets that a process has open."""
    found = set()
    for entry in Path(f"/proc/{process.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            found.add(str(entry.readlink()))
    return {each for each in found if each.startswith("socket:")}


def is_waiting(process: psutil.Process) -> bool:
    """Whether a spare child has done what it does before a connection comes."""
    return process.status() == psutil.STATUS_SLEEPING


# What they are for


def test_a_connection_is_handled_by_a_child_that_was_forked_before() -> None:
    with probing("Forking(4, spare=3)") as probe:
        ahead = pids(spares(probe, 3))
        clients = probe.clients(2)
        handling = {int(client.ask("pid") or 0) for client in clients}
        assert len(handling) == 2
        assert handling < ahead
        assert (clients[0].ask("who") or "").split()[1:] == [str(probe.pid), "0"]
        for client in clients:
            client.close()
        probe.stop()


def test_those_that_were_taken_are_replaced() -> None:
    seen: set[int] = set()
    with probing("Forking(4, spare=2)") as probe:
        for _ in range(3):
            ahead = spares(probe, 2)
            assert not pids(ahead) & seen
            clients = probe.clients(2)
            assert {int(client.ask("pid") or 0) for client in clients} == pids(ahead)
            seen |= pids(ahead)
            for client in clients:
                client.close()
            assert all(wait_until(partial(is_gone, each)) for each in ahead)
        probe.stop()


def test_the_limit_is_that_of_connections() -> None:
    with probing("Forking(2, spare=2)") as probe:
        spares(probe, 2)
        inside = probe.clients(2)
        for client in inside:
            assert client.ask("echo hi") == "hi"
        spares(probe, 4)
        outside = probe.client()
        outside.send("echo hi")
        probe.wait_until_idle()
        assert len(probe.children()) == 4
        for _ in inside:
            probe.expect("handling")
        assert probe.count("handling") == 2
        inside[0].close()
        assert outside.receive() == "hi"
        for client in (*inside, outside):
            client.close()
        probe.stop()


@pytest.mark.parametrize(
    "strategy", ["Forking(40, spare=4)", "Forking(4, spare=8)", "Prefork(2, Forking(10, spare=2))"]
)
def test_each_connection_of_a_load_is_answered(strategy: str) -> None:
    with probing(strategy) as probe:
        host, port = probe.address
        done = subprocess.run(
            [sys.executable, "-c", LOAD, str(host), str(port), "40"],
            check=True,
            capture_output=True,
            timeout=120,
        )
        assert done.stdout.decode().strip() == "{'answered': 320}", probe.log()
        probe.stop()
        assert "Traceback" not in probe.log()


def test_an_idle_server_does_not_wake_up() -> None:
    with probing("Forking(4, spare=2)") as probe:
        spares(probe, 2)
        probe.wait_until_idle()
        before = probe.switches()
        time.sleep(0.5)  # in which nothing is to happen
        assert probe.switches() == before
        probe.stop()


# What is forked for


def test_what_cannot_be_sent_is_forked_for() -> None:
    with probing("Forking(4, spare=2)", shape="AddressHoldsSocket") as probe:
        ahead = pids(spares(probe, 2))
        with probe.client() as client:
            assert int(client.ask("pid") or 0) not in ahead
            assert pids(probe.children()) > ahead
        probe.stop()


def test_a_datagram_is_forked_for() -> None:
    with probing("Forking(4, spare=2)", family="udp") as probe:
        ahead = pids(spares(probe, 2))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(probe.patience)
            client.sendto(b"pid\n", probe.address)
            assert int(client.recv(100)) not in ahead
        probe.stop()


def test_handle_request_starts_none() -> None:
    with probing("Forking(4, spare=2)", requests=2) as probe:
        for _ in range(2):
            with probe.client() as client:
                pid = client.ask("pid")
                assert [str(child.pid) for child in probe.children()][-1:] == [pid]
                assert len(probe.children()) <= 2
        probe.expect("returned", error=None)
        probe.closed()


def test_an_adopted_server_has_them_too() -> None:
    with probing("Forking(4, spare=2)", shape="Plain", grace=0.1) as probe:
        ahead = pids(spares(probe, 2))
        client = probe.client()
        handling = int(client.ask("pid") or 0)
        assert handling in ahead
        probe.signal(signal.SIGTERM)
        probe.closed()
        assert f"in child {handling}," in probe.log()
        assert probe.log().count("in child") == 1, "only one of them has a connection"


# Their end


def test_they_end_with_the_server() -> None:
    with probing("Forking(4, spare=3)", grace=None) as probe:
        children = spares(probe, 3)
        children[0].suspend()
        assert probe.stop()["ms"] < 5000
        assert all(map(is_gone, children))
        assert probe.log() == ""


def test_they_end_when_the_parent_is_killed() -> None:
    with probing("Forking(4, spare=3)") as probe:
        children = spares(probe, 3)
        assert wait_until(lambda: all(map(is_waiting, children)))
        client = probe.client()
        handling = client.ask("pid")
        assert wait_until(lambda: len(probe.children()) > 1)
        children = [each for each in probe.children() if str(each.pid) != handling]
        probe.signal(signal.SIGKILL)
        killed = time.monotonic()
        assert wait_until(lambda: all(map(is_gone, children)))
        assert time.monotonic() - killed < 1.0
        assert client.ask("echo hi") == "hi"
        client.close()


def test_they_end_with_ctrl_c() -> None:
    with probing("Forking(4, spare=3)") as probe:
        children = spares(probe, 3)
        probe.interrupt()
        probe.expect("returned", error="KeyboardInterrupt")
        probe.closed()
        assert all(map(is_gone, children))


def test_they_end_with_their_strategy_while_a_connection_goes_on() -> None:
    with probing("Forking(4, spare=3)", next=["Forking(4)"]) as probe:
        children = spares(probe, 3)
        client = probe.client()
        handling = client.ask("pid")
        probe.signal(signal.SIGHUP)
        probe.expect("assigned")
        others = [each for each in children if str(each.pid) != handling]
        assert wait_until(lambda: all(map(is_gone, others)))
        assert wait_until(lambda: [str(each.pid) for each in probe.children()] == [handling])
        assert probe.ask("echo hi") == "hi"
        assert client.ask("echo hi") == "hi"
        client.close()
        probe.stop()


def test_each_worker_has_its_own() -> None:
    with probing("Prefork(2, Forking(4, spare=2))") as probe:
        server = psutil.Process(probe.pid)
        assert wait_until(lambda: len(probe.children()) == 6)
        first, second = server.children()
        ahead = first.children()
        assert len(ahead) == len(second.children()) == 2
        first.kill()
        assert wait_until(lambda: all(map(is_gone, ahead)), 1.0)
        assert wait_until(lambda: len(probe.children()) == 6)
        assert probe.answers()
        children = probe.children()
        probe.stop()
        assert all(map(is_gone, children))


def test_they_end_when_the_parent_of_their_worker_is_killed() -> None:
    with probing("Prefork(2, Forking(4, spare=2))") as probe:
        assert wait_until(lambda: len(probe.children()) == 6)
        children = probe.children()
        probe.signal(signal.SIGKILL)
        assert wait_until(lambda: all(map(is_gone, children)), 1.0)


# Their death


def test_one_that_is_killed_costs_no_connection() -> None:
    with probing("Forking(8, spare=4)") as probe:
        for child in spares(probe, 4):
            child.kill()
            with probe.client() as client:  # which may be given to it before it is dead
                assert client.ask("echo hi") == "hi"
        assert wait_until(lambda: "was ended by signal 9: replacing it" in probe.log())
        assert wait_until(lambda: len(probe.children()) == 4)
        probe.stop()


def test_a_connection_that_one_has_not_taken_goes_to_another() -> None:
    with probing("Forking(8, spare=1)") as probe:
        (child,) = spares(probe, 1)
        assert wait_until(lambda: is_waiting(child))
        child.suspend()
        client = probe.client()
        client.send("pid")
        # It was given to the one that is stopped, since another one is forked.
        assert wait_until(lambda: len(probe.children()) == 2)
        probe.wait_until_idle()
        child.kill()
        handling = int(client.receive() or 0)
        assert handling not in (0, child.pid)
        client.close()
        probe.stop()
        assert "ended by signal" not in probe.log()


def test_what_one_that_is_stopped_has_is_cut_with_the_rest() -> None:
    with probing("Forking(8, spare=1)", grace=0.2) as probe:
        (child,) = spares(probe, 1)
        assert wait_until(lambda: is_waiting(child))
        child.suspend()
        client = probe.client()
        client.send("pid")
        assert wait_until(lambda: len(probe.children()) == 2)
        probe.stop()
        assert client.receive() is None
        assert f"in child {child.pid}," in probe.log()


def test_one_that_dies_with_its_connection_is_reported() -> None:
    with probing("Forking(4, spare=2)") as probe:
        spares(probe, 2)
        with probe.client() as client:
            assert client.ask("die") is None
        assert wait_until(lambda: "while it handled the connection" in probe.log())
        assert probe.answers()
        probe.stop()


# What they hold


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="no /proc")
def test_they_hold_no_listener_and_nothing_of_each_other() -> None:
    with probing("Forking(8)") as probe:
        first, second = probe.clients(2)
        assert first.ask("echo hi") == second.ask("echo hi") == "hi"
        children = probe.children()
        beside_parent = len(sockets(children[1]) & sockets(psutil.Process(probe.pid)))
        beside_sibling = len(sockets(children[0]) & sockets(children[1]))
        first.close()
        second.close()
        probe.stop()
    with probing("Forking(8, spare=4)") as probe:
        client = probe.client()
        assert client.ask("echo hi") == "hi"
        assert wait_until(lambda: len(probe.children()) >= 4)
        children = probe.children()
        assert wait_until(lambda: all(map(is_waiting, children)))
        for each in children[1:]:
            # Its own end, of which the parent has a copy too.
            assert len(sockets(each) & sockets(psutil.Process(probe.pid))) == beside_parent + 1
            others = set().union(*(sockets(other) for other in children if other != each))
            assert len(sockets(each) & others) == beside_sibling
        client.close()
        assert wait_until(probe.answers)
        probe.stop()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="no /proc")
def test_the_parent_keeps_no_descriptor_of_those_that_have_taken_theirs() -> None:
    with probing("Forking(20, spare=2)") as probe:
        spares(probe, 2)
        parent = psutil.Process(probe.pid)
        before = len(sockets(parent))
        clients = probe.clients(9)
        for client in clients:
            assert client.ask("echo hi") == "hi"
        assert wait_until(lambda: len(probe.children()) == 11)
        assert len(sockets(parent)) <= before + 2
        for client in clients:
            client.close()
        probe.stop()
