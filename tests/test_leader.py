"""One thread accepts and handles alone, where several would not get more done."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import serverstrategy.leader
from clock import Clock
from probes import PATIENCE, wait_until
from serverstrategy import StreamRequestHandler
from serverstrategy.leader import Leader
from serverstrategy.strategies import Threaded, ThreadPool
from succeeding import serving
from test_relay import Server, connect, is_full


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(serverstrategy.leader, "time", clock)
    return clock


def measured() -> Leader:
    """One that has seen all threads together end 1,000 connections a second."""
    leader = Leader()
    leader.note_all(10, 0.01)
    return leader


def led(server: Server, span: float) -> Leader:
    """That of a server, which leads, and is left alone for so long."""
    leader = server._serverstrategy.relay.leader
    leader.leads, leader._span = True, span
    return leader


def test_nobody_leads_before_all_were_measured() -> None:
    leader = Leader()
    assert leader.span() == 0.0
    leader.note_all(0, 0.01)  # none has ended: they wait for something
    assert leader.span() == 0.0
    leader.note_all(1, 0.01)
    assert leader.span() > 0.0


def test_one_that_is_as_fast_goes_on() -> None:
    leader = measured()
    for _ in range(100):
        leader.judge(4, 0.004)
        assert leader.leads
    assert leader.span() > measured().span()


def test_one_that_is_slower_ends_after_a_trial() -> None:
    leader = measured()
    for _ in range(4):
        assert leader.span() > 0.0
        leader.judge(2, 0.0025)
    assert not leader.leads
    assert leader.span() == 0.0


def test_one_that_is_much_slower_ends_before() -> None:
    leader = measured()
    leader.judge(1, 0.001)
    assert leader.leads
    leader.judge(1, 0.004)
    assert not leader.leads


def test_one_that_gets_nowhere_ends_at_once() -> None:
    leader = measured()
    leader.judge(100, 0.001)
    assert leader.leads
    leader.judge(0, 0.001)
    assert not leader.leads
    assert leader.span() == 0.0


def test_it_is_tried_again_ever_more_seldom(clock: Clock) -> None:
    leader = measured()
    pauses = []
    for _ in range(6):
        assert leader.span() > 0.0
        leader.judge(0, 0.001)
        began = clock.now
        while leader.span() == 0.0:
            clock.now += 0.01
        pauses.append(clock.now - began)
    assert pauses == pytest.approx([0.02, 0.08, 0.32, 1.28, 2.0, 2.0], abs=0.011)
    leader.judge(100, 0.01)
    leader.judge(0, 0.001)
    clock.now += 0.021
    assert leader.span() > 0.0


@pytest.mark.parametrize("rests", [False, True])
def test_all_are_measured_again_after_a_term(clock: Clock, rests: bool) -> None:
    leader = measured()
    led = 0.01
    leader.judge(100, 0.01)
    while leader.leads and led < 2.0:
        clock.now += 1.0
        if rests:
            leader.rest(0.01)
        assert leader.span() > 0.0
        leader.judge(100, 0.01)
        led += 0.02 if rests else 0.01
    assert led == pytest.approx(1.0, abs=0.021)
    clock.now += 3.0
    assert leader.span() == 0.0
    leader.note_all(10, 0.01)
    assert leader.span() > 0.0


def test_an_old_measure_does_not_count(clock: Clock) -> None:
    leader = measured()
    clock.now += 59.0
    assert leader.span() > 0.0
    clock.now += 2.0
    assert leader.span() == 0.0


def test_one_acceptor_at_a_time_leaves_it_to_one(clock: Clock) -> None:
    leader = measured()
    leader.begin(0.004)
    assert leader.span() == 0.0
    leader.end()
    assert leader.span() > 0.0


def test_nobody_is_excused_for_longer_than_a_span(clock: Clock) -> None:
    """Ctrl-C may come before `end`."""
    leader = measured()
    leader.begin(0.004)
    assert not leader.excuses(1)
    assert leader.excuses(2)
    clock.now += 0.005
    assert not leader.excuses(2)


def test_nobody_leads_on_where_there_is_no_backlog() -> None:
    leader = measured()
    leader.judge(100, 0.001)
    assert leader.leads
    leader.rest(0.001)
    assert not leader.leads
    assert leader.span() > 0.0


def test_the_first_that_ends_a_connection_leads() -> None:
    leader = Leader()
    assert not leader.excuses(1)
    assert not leader.excuses(2)
    leader.begin(PATIENCE)
    assert [leader.excuses(thread) for thread in (2, 1, 2, 3)] == [False, True, False, True]
    leader.begin(PATIENCE)
    assert [leader.excuses(thread) for thread in (3, 2)] == [False, True]
    leader.end()
    assert not leader.excuses(2)


@pytest.mark.parametrize("strategy", [ThreadPool(4), Threaded()], ids=repr)
def test_the_others_sleep_meanwhile(strategy: Any) -> None:
    lines = [b"hold\n", b"1\n", b"2\n", b"3\n"]
    with Server(strategy) as server, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connect(server, line)) for line in lines]
        led(server, PATIENCE)
        with serving(server) as acceptor:
            assert is_full(server)
            server.gate.set()
            assert [client.recv(100) for client in clients] == lines
            own = server.handled[0][1]
            assert server.accepted_by == [acceptor.ident, own, own, own]
            assert {thread for _, thread in server.handled} == {own}


def test_of_two_that_end_a_connection_one_goes_on() -> None:
    with Server(ThreadPool(4)) as server, serving(server), contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connect(server, b"hold\n")) for _ in range(2)]
        assert wait_until(lambda: len(server.handled) == 2)
        led(server, PATIENCE)
        clients += [stack.enter_context(connect(server, b"%d\n" % each)) for each in range(9)]
        assert is_full(server)
        server.gate.set()
        assert all(client.recv(100) for client in clients)
        assert len(set(server.accepted_by[2:])) == 1
        assert server.accepted_by[2] in {thread for _, thread in server.handled[:2]}


def test_a_leader_that_waits_keeps_nobody_waiting() -> None:
    with Server(ThreadPool(4)) as server, serving(server), contextlib.ExitStack() as stack:
        holding = stack.enter_context(connect(server, b"hold\n"))
        assert wait_until(lambda: server.handled)
        leader = led(server, 0.001)
        quick = stack.enter_context(connect(server, b"quick\n"))
        assert quick.recv(100) == b"quick\n"
        assert not leader.leads
        server.gate.set()
        assert holding.recv(100) == b"hold\n"


def test_a_leader_that_finds_no_backlog_leads_no_more() -> None:
    with Server(ThreadPool(4)) as server, serving(server), contextlib.ExitStack() as stack:
        holding = stack.enter_context(connect(server, b"hold\n"))
        assert wait_until(lambda: server.handled)
        leader = led(server, PATIENCE)
        waiting = stack.enter_context(connect(server, b"1\n"))
        assert is_full(server)
        server.gate.set()
        assert [client.recv(100) for client in (holding, waiting)] == [b"hold\n", b"1\n"]
        assert wait_until(lambda: not leader.leads)


def test_nobody_leads_where_a_hook_is_on_the_way() -> None:
    with Server(ThreadPool(4)) as server, serving(server), contextlib.ExitStack() as stack:
        server.verify_request = lambda *_: True  # type: ignore[method-assign]
        holding = stack.enter_context(connect(server, b"hold\n"))
        assert wait_until(lambda: server.handled)
        leader = led(server, PATIENCE)
        quick = stack.enter_context(connect(server, b"quick\n"))
        assert quick.recv(100) == b"quick\n"
        assert leader.attempts == 0
        assert not leader.leads
        server.gate.set()
        assert holding.recv(100) == b"hold\n"


class Computing(StreamRequestHandler):
    def handle(self) -> None:
        for _ in range(10_000):
            pass
        self.wfile.write(self.rfile.readline())


@pytest.mark.parametrize("strategy", [ThreadPool(4), Threaded()], ids=repr)
def test_it_is_tried_while_there_is_a_backlog(strategy: Any) -> None:
    with Server(strategy) as server, serving(server):
        server.RequestHandlerClass = Computing
        leader = server._serverstrategy.relay.leader
        with clients(server.server_address) as answers:
            assert wait_until(lambda: leader.attempts > 1)
        assert set(answers) == {b"1\n"}


@contextlib.contextmanager
def clients(address: Any) -> Iterator[list[bytes]]:
    """Threads that ask and ask; their answers."""
    enough = threading.Event()
    answers: list[bytes] = []

    def work() -> None:
        while not enough.is_set():
            with socket.create_connection(address, PATIENCE) as client:
                client.sendall(b"1\n")
                answers.append(client.recv(100))

    threads = [threading.Thread(target=work) for _ in range(24)]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        enough.set()
        for thread in threads:
            thread.join()


ADAPTIVE = """
import sys
from serverstrategy import StreamRequestHandler, TCPServer
from serverstrategy.strategies import Adaptive, Prefork, ThreadPool
import threading

class Computing(StreamRequestHandler):
    def handle(self):
        for _ in range(20_000):
            pass
        self.wfile.write(self.rfile.readline())

strategy = Prefork(Adaptive(1, 3, 1, 2, settle=0.1), ThreadPool(8))
with TCPServer(("127.0.0.1", 0), Computing, strategy=strategy) as server:
    print(server.server_address[1], flush=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    for _ in sys.stdin:
        print(len(server.status()["strategy"]["workers"]), flush=True)
    server.shutdown()
    thread.join()
"""


def test_workers_that_are_led_have_no_room_and_so_more_are_forked() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", ADAPTIVE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        address = ("127.0.0.1", int(process.stdout.readline()))
        with clients(address) as answers:
            # Ten times what it takes where one that is led is not taken for a spare worker.
            assert wait_until(lambda: number(process) == 3, 4.0)
        process.stdin.close()
        assert process.wait(PATIENCE) == 0
        assert set(answers) == {b"1\n"}


def number(process: Any) -> int:
    """How many workers there are."""
    process.stdin.write("?\n")
    process.stdin.flush()
    return int(process.stdout.readline())
