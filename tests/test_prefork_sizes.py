"""`Prefork`: how many workers there are, and how that changes while they serve."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from loading import loading
from preforks import (
    accepting,
    all_answered,
    hold_each,
    in_flight,
    started,
    stop_from_the_main_thread,
    workers,
)
from probes import probing, wait_until
from senders import Gate

# What runs in the workers, and how many connections one worker has room for.
INNERS = {"Synchronous()": 1, "ThreadPool(2)": 2, "Forking(2)": 2, "Prefork(2)": 2}
each_inner = pytest.mark.parametrize("inner", INNERS)


# Adaptive


@each_inner
def test_it_grows_while_none_is_spare_and_shrinks_afterwards(inner: str) -> None:
    strategy = f"Prefork(Adaptive(1, 5, 1, 2, settle=0.2), {inner})"
    with probing(strategy, quiet=True, worker_hooks=["exit_tells"]) as probe:
        started(probe, 1)
        # As many as five workers have room for: each is answered, while all stay.
        clients = probe.clients(5 * INNERS[inner])
        for client in clients:
            assert client.ask("echo hi") == "hi"
        assert len(workers(probe)) == 5
        assert wait_until(lambda: in_flight(clients[0]) == len(clients))
        # So few that they do not keep workers from being spare, on a busy machine either.
        with loading(probe.address, rate=5.0) as load:
            for client in clients:
                client.close()
            for _ in range(3):
                assert probe.expect("worker_exit")["status"] == 0
            all_answered(load)
        started(probe, 2)  # max_spare
        probe.stop()


@pytest.mark.parametrize("inner", ["Synchronous()", "Prefork(2)"])
def test_it_does_not_grow_beyond_its_bound(inner: str) -> None:
    with probing(f"Prefork(Adaptive(1, 3), {inner})") as probe:
        clients = probe.clients(4 * INNERS[inner])
        for client in clients:
            client.send("echo hi")
        room = 3 * INNERS[inner]
        for _ in range(room):
            probe.expect("handling")
        started(probe, 3)
        for client in clients[:room]:
            assert client.receive() == "hi"
            client.close()
        for client in clients[room:]:
            assert client.receive() == "hi"
            client.close()
        assert len(workers(probe)) == 3
        probe.stop()


@each_inner
def test_a_reload_leaves_it_as_it_is(inner: str, tmp_path: Path) -> None:
    """Successors and those that they replace are not counted twice."""
    strategy = f"Prefork(Adaptive(2, 10), {inner})"
    hooks = ["successors_wait", "exit_tells"]
    gate = tmp_path / "gate"
    with Gate(gate) as held, probing(strategy, worker_hooks=hooks, gate=str(gate)) as probe:
        accepting(probe, 2)
        probe.signal(signal.SIGHUP)
        probe.expect("worker_start", generation=1)
        # It is asked four times a second for its wish.
        assert not wait_until(lambda: len(workers(probe)) > 3, 0.6)
        held.open()
        for _ in range(2):
            probe.expect("worker_exit", status=0, generation=0)
        assert not wait_until(lambda: len(workers(probe)) != 2, 0.4)
        probe.stop()


@each_inner
def test_a_sizing_of_the_users_own(inner: str) -> None:
    with probing(f"Prefork(sizings:Steps(5), {inner})", quiet=True) as probe:
        with loading(probe.address, rate=100.0) as load:
            started(probe, 5)
            load.wait_for(20)
            all_answered(load)
        assert len(workers(probe)) == 5
        probe.stop()


# Assigned while it serves


@each_inner
def test_a_number_that_is_assigned(inner: str) -> None:
    with probing(f"Prefork(2, {inner})", thread=True, quiet=True) as probe:
        with loading(probe.address, rate=200.0) as load:
            for number in (8, 3, 1, 4):
                probe.tell(f"workers {number}")
                probe.expect("workers", error=None)
                started(probe, number)
                load.wait_for(10)
            assert len(all_answered(load)) >= 40
        stop_from_the_main_thread(probe)


@each_inner
def test_numbers_in_quick_succession(inner: str) -> None:
    with probing(f"Prefork(2, {inner})", thread=True, quiet=True) as probe:
        with loading(probe.address, rate=200.0) as load:
            load.wait_for(10)
            for number in (6, 1, 5, 2, 4, 3):
                probe.tell(f"workers {number}")
                probe.expect("workers", error=None)
            load.wait_for(50)
            started(probe, 3)
            all_answered(load)
        stop_from_the_main_thread(probe)


def test_another_sizing_that_is_assigned() -> None:
    with probing("Prefork(6)", thread=True) as probe:
        started(probe, 6)
        probe.tell("workers Adaptive(1, 9, 1, 3, 0.1)")
        probe.expect("workers", error=None)
        started(probe, 3)
        probe.tell("workers 5")
        started(probe, 5)
        stop_from_the_main_thread(probe)


@each_inner
def test_those_that_have_nothing_to_do_go_first(inner: str) -> None:
    with probing(f"Prefork(4, {inner})", thread=True) as probe:
        accepting(probe, 4)
        # Only among equals does the youngest go.
        youngest = max(workers(probe), key=lambda each: each.pid)
        *others, client = hold_each(probe, {youngest})
        for each in others:
            each.close()
        assert wait_until(lambda: in_flight(client) == 1)
        probe.tell("workers 1")
        started(probe, 1)
        assert client.ask("echo still there") == "still there"
        client.close()
        assert probe.ask("echo hi") == "hi"
        stop_from_the_main_thread(probe)


@each_inner
def test_one_that_is_too_many_finishes_what_it_has(inner: str) -> None:
    with probing(f"Prefork(4, {inner})", thread=True) as probe:
        started(probe, 4)
        clients = [probe.client() for _ in range(4 * INNERS[inner])]
        for client in clients:
            assert client.ask("echo hi") == "hi"
        probe.tell("workers 1")
        probe.expect("workers", error=None)
        probe.wait_until_idle()
        for client in clients:
            assert client.ask("echo still there") == "still there"
            client.close()
        started(probe, 1)
        assert probe.ask("echo hi") == "hi"
        stop_from_the_main_thread(probe)


@each_inner
def test_one_more_and_one_less_by_signals(inner: str) -> None:
    with probing(f"Prefork(2, {inner})") as probe, probe.client() as client:
        assert client.ask("echo hi") == "hi"
        for number, wanted in [
            (signal.SIGTTIN, 3),
            (signal.SIGTTIN, 4),
            (signal.SIGTTOU, 3),
            (signal.SIGTTOU, 2),
            (signal.SIGTTOU, 1),
            (signal.SIGTTOU, 1),
            (signal.SIGTTIN, 2),
        ]:
            probe.signal(number)
            probe.expect("resized", workers=wanted)
            started(probe, wanted)
        assert client.ask("echo still there") == "still there"
        client.close()
        probe.stop()


def test_more_than_there_is_room_for() -> None:
    with probing("Prefork(2)", thread=True) as probe:
        started(probe, 2)
        for text in ("205", "1000", "Adaptive(1, 205)"):
            probe.tell(f"workers {text}")
            probe.expect("workers", error="ValueError")
        assert probe.ask("echo hi") == "hi"
        assert len(workers(probe)) == 2
        # Once it serves no more, the next scoreboard may be as large as it likes.
        probe.tell("shutdown")
        probe.expect("shutdown", error=None)
        probe.tell("workers 1000")
        probe.expect("workers", error=None)
        probe.end_of_commands()
        probe.closed()
