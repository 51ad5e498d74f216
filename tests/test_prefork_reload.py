"""`Prefork.reload`: every worker is replaced, new before old, and no client notices."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from loading import Fate, Load, loading
from probes import Client, Probe, is_gone, probing, wait_until
from senders import Gate
from serverstrategy.strategies import Prefork

INNERS = ["Synchronous()", "ThreadPool(4)", "Forking(10)", "Prefork(2)"]
each_inner = pytest.mark.parametrize("inner", INNERS)


def workers(probe: Probe) -> set[psutil.Process]:
    """Those of the outermost `Prefork`."""
    probe.children()
    return set(psutil.Process(probe.pid).children())


def started(probe: Probe, number: int) -> set[psutil.Process]:
    """Wait until there are so many workers, accepting or not, and return them."""
    assert wait_until(lambda: len(workers(probe)) == number)
    return workers(probe)


def accepting(probe: Probe, number: int) -> set[psutil.Process]:
    """Wait until there are so many workers, all of which accept, and return them."""
    assert wait_until(
        lambda: states(probe) <= {"waiting", "busy"} and len(workers(probe)) == number
    )
    return workers(probe)


def states(probe: Probe) -> set[str]:
    return {each["state"] for each in status_of_workers(probe)}


def accepting_generations(probe: Probe) -> set[int]:
    shown = status_of_workers(probe)
    return {each["generation"] for each in shown if each["state"] in ("waiting", "busy")}


def generations(probe: Probe) -> list[int]:
    return [each["generation"] for each in status_of_workers(probe)]


def status_of_workers(probe: Probe) -> Any:
    return json.loads(probe.ask("status") or "")["strategy"]["workers"]


def worker_of(fate: Fate, probe: Probe) -> int:
    """The worker of the outermost `Prefork` that answered, or whose child or worker did."""
    return fate.pid if fate.parent == probe.pid else fate.parent


def answering(load: Load, probe: Probe, since: float) -> set[int]:
    """The workers that have answered the connections which began after `since`."""
    return {worker_of(each, probe) for each in load.fates.copy() if each.began > since}


def all_answered(load: Load) -> list[Fate]:
    """The connections, none of which may have had another fate."""
    fates = load.stop()
    assert load.counts() == {"answered": len(fates)}
    return fates


def wait_for_successors(probe: Probe, old: set[psutil.Process]) -> set[psutil.Process]:
    """Wait until as many others are in the place of the old ones, and return them."""
    assert wait_until(lambda: not old & workers(probe) and len(workers(probe)) == len(old))
    return workers(probe)


def stop_from_the_main_thread(probe: Probe) -> None:
    probe.tell("shutdown")
    probe.end_of_commands()
    probe.closed()


@contextmanager
def at_the_gate(strategy: str, folder: Path, **options: Any) -> Iterator[tuple[Probe, Gate]]:
    """A probe in which successors do not accept before the gate is open."""
    path = folder / "gate"
    with (
        Gate(path) as gate,
        probing(strategy, gate=str(path), worker_hooks=["successors_wait"], **options) as probe,
    ):
        yield probe, gate


# Nothing is lost


WAYS: dict[str, Callable[[Probe], object]] = {
    "SIGHUP": lambda probe: probe.signal(signal.SIGHUP),
    "a method": lambda probe: probe.tell("reload"),
    "a handler": lambda probe: probe.ask("reload"),
}


@each_inner
@pytest.mark.parametrize("way", WAYS)
def test_at_full_load_none_is_refused_reset_or_lost(inner: str, way: str) -> None:
    is_beside = way == "a method"
    with probing(f"Prefork(4, {inner})", quiet=True, thread=is_beside) as probe:
        old = accepting(probe, 4)
        below = probe.children()
        with loading(probe.address, rate=5000.0) as load:
            load.wait_for(200)
            WAYS[way](probe)
            new = wait_for_successors(probe, old)
            gone = time.monotonic()
            assert wait_until(lambda: all(map(is_gone, below)))
            load.wait_for(100)
            found = {worker_of(each, probe) for each in all_answered(load)}
        assert found <= {each.pid for each in old | new}
        # Which of them answer is by chance.
        assert found & {each.pid for each in old}
        assert found & {each.pid for each in new}
        assert answering(load, probe, gone) <= {each.pid for each in new}
        assert workers(probe) == new
        if is_beside:
            stop_from_the_main_thread(probe)
        else:
            probe.stop()


@each_inner
def test_the_old_one_accepts_until_the_new_one_does(inner: str, tmp_path: Path) -> None:
    with at_the_gate(f"Prefork(1, {inner})", tmp_path, quiet=True) as (probe, gate):
        (old,) = accepting(probe, 1)
        with loading(probe.address, rate=100.0) as load:
            load.wait_for(10)
            probe.signal(signal.SIGHUP)
            probe.expect("worker_start", generation=1)
            # Has the parent look again, though nothing has changed.
            probe.signal(signal.SIGTTOU)
            probe.expect("resized", workers=1)
            began = time.monotonic()
            load.wait_for(50)
            assert answering(load, probe, began) == {old.pid}
            gate.open()
            (new,) = wait_for_successors(probe, {old})
            gone = time.monotonic()
            load.wait_for(50)
            assert answering(load, probe, gone) == {new.pid}
            all_answered(load)
        probe.stop()


@each_inner
def test_with_one_worker_again_and_again(inner: str) -> None:
    with probing(f"Prefork(1, {inner})", quiet=True) as probe:
        (old,) = accepting(probe, 1)
        with loading(probe.address, rate=1000.0) as load:
            for _ in range(5):
                load.wait_for(50)
                probe.signal(signal.SIGHUP)
                (old,) = wait_for_successors(probe, {old})
            all_answered(load)
        probe.stop()


@each_inner
def test_what_the_old_ones_have_they_finish(inner: str) -> None:
    """And none of them waits for another one to have finished."""
    with probing(f"Prefork(3, {inner})", quiet=True) as probe:
        old = accepting(probe, 3)
        clients = hold_each(probe, old)
        probe.signal(signal.SIGHUP)
        new = started(probe, 6) - old
        assert wait_until(lambda: accepting_generations(probe) == {1})
        for _ in range(6):
            who = (probe.ask("who") or "").split()
            assert {int(who[0]), int(who[1])} & {each.pid for each in new}
        for client in clients:
            assert client.ask("echo still there") == "still there"
            client.close()
        assert wait_for_successors(probe, old) == new
        probe.stop()


def hold_each(probe: Probe, held: set[psutil.Process]) -> list[Client]:
    """Connections that stay, of which each worker has one at least."""
    clients: list[Client] = []
    pids = {each.pid for each in held}
    while pids:
        clients.append(probe.client())
        pids -= {int(word) for word in (clients[-1].ask("who") or "").split()}
    return clients


@each_inner
def test_what_an_old_one_has_is_cut_after_the_grace_period(inner: str) -> None:
    with probing(f"Prefork(2, {inner})", quiet=True, grace=0.5) as probe:
        old = accepting(probe, 2)
        below = probe.children()
        with probe.client() as client, loading(probe.address, rate=50.0) as load:
            assert client.ask("sleep 60") == "sleeping"
            probe.signal(signal.SIGHUP)
            assert client.receive() is None
            wait_for_successors(probe, old)
            assert wait_until(lambda: all(map(is_gone, below)))
            load.wait_for(20)
            all_answered(load)
        probe.stop()


# One after another, or in steps


@each_inner
@pytest.mark.parametrize("step", [1, 2, 9])
def test_so_many_at_the_same_time(inner: str, step: int, tmp_path: Path) -> None:
    strategy = f"Prefork(3, {inner}, reload_step={step})"
    with at_the_gate(strategy, tmp_path) as (probe, gate):
        old = accepting(probe, 3)
        assert probe.ask("reload") == "reloaded"
        for _ in range(min(step, 3)):
            probe.expect("worker_start", generation=1)
        assert len(started(probe, 3 + min(step, 3)) - old) == min(step, 3)
        assert old < workers(probe)
        probe.wait_until_idle()
        assert old < started(probe, 3 + min(step, 3))
        gate.open()
        wait_for_successors(probe, old)
        probe.stop()


# More than one


@each_inner
def test_twice_at_once(inner: str) -> None:
    with probing(f"Prefork(3, {inner})", quiet=True) as probe, probe.client() as client:
        old = accepting(probe, 3)
        with loading(probe.address, rate=300.0) as load:
            load.wait_for(50)
            probe.signal(signal.SIGHUP)
            client.send("reload\nreload")
            assert [client.receive(), client.receive()] == ["reloaded", "reloaded"]
            client.close()
            assert wait_until(lambda: not old & workers(probe))
            load.wait_for(50)
            all_answered(load)
        assert wait_until(lambda: generations(probe) == [generations(probe)[0]] * 3)
        assert generations(probe)[0] in (2, 3)  # two processes may ask in the same moment
        assert len(workers(probe)) == 3
        probe.stop()


@each_inner
def test_once_more_while_it_goes_on(inner: str, tmp_path: Path) -> None:
    with at_the_gate(f"Prefork(3, {inner})", tmp_path) as (probe, gate):
        old = accepting(probe, 3)
        assert probe.ask("reload") == "reloaded"
        probe.expect("worker_start", generation=1)
        assert probe.ask("reload") == "reloaded"
        gate.open()
        assert wait_until(lambda: generations(probe) == [2, 2, 2])
        assert not old & workers(probe)
        assert len(workers(probe)) == 3
        probe.stop()


def test_a_part_of_a_nest_alone() -> None:
    """The inner `Prefork` of one worker reloads its own workers, and leaves the others alone."""
    with probing("Prefork(2, Prefork(2))", quiet=True) as probe:
        outer = accepting(probe, 2)
        assert wait_until(lambda: len(probe.children()) == 6)
        below = set(probe.children()) - outer
        with loading(probe.address, rate=300.0) as load:
            load.wait_for(50)
            with probe.client() as client:
                middle = int((client.ask("who") or "").split()[1])
                assert client.ask("reload_inner") == "reloaded"
            mine = {each for each in below if each.ppid() == middle}
            assert len(mine) == 2
            assert wait_until(lambda: all(map(is_gone, mine)))
            assert wait_until(lambda: len(probe.children()) == 6)
            load.wait_for(50)
            all_answered(load)
        assert workers(probe) == outer
        assert below - mine < set(probe.children())
        probe.stop()


@each_inner
def test_beside_a_stop(inner: str) -> None:
    with probing(f"Prefork(2, {inner})", quiet=True) as probe:
        accepting(probe, 2)
        assert probe.ask("reload") == "reloaded"
        probe.signal(signal.SIGHUP)
        probe.signal(signal.SIGTERM)
        probe.signal(signal.SIGHUP)
        probe.closed()


def test_while_nobody_serves() -> None:
    prefork = Prefork(2)
    before = vars(prefork).copy()
    prefork.reload()
    assert vars(prefork) == before
