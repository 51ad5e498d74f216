"""`Prefork.reload`: one after another or in steps, more than once, and beside other things."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from loading import loading
from preforks import (
    INNERS,
    accepting,
    all_answered,
    at_the_gate,
    shown_workers,
    started,
    wait_for_successors,
    workers,
)
from probes import Probe, is_gone, probing, wait_until
from serverstrategy.strategies import Prefork

each_inner = pytest.mark.parametrize("inner", INNERS)


def generations(probe: Probe) -> list[int]:
    return [each["generation"] for each in shown_workers(probe)]


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


def test_more_than_the_scoreboard_has_room_for() -> None:
    """In a nest it has room for twice as many as there are to be, and 16: the next one waits."""
    with probing("Prefork(1, Prefork(1))", quiet=True) as probe:
        clients = []
        for number in range(1, 19):
            started(probe, number)
            clients.append(probe.client())
            assert clients[-1].ask("echo hi") == "hi"
            probe.signal(signal.SIGHUP)
        message = "no worker could be started: until one ends the scoreboard has no room"
        assert wait_until(lambda: message in probe.log())
        waiting = probe.client()
        waiting.send("echo at last")
        clients.pop(0).close()
        assert waiting.receive() == "at last"
        for client in (waiting, *clients):
            assert client.ask("echo still there") == "still there"
            client.close()
        assert wait_until(lambda: len(workers(probe)) == 1)
        assert probe.log().count(message) == 1
        probe.stop()


def test_a_part_of_a_nest_alone() -> None:
    """The inner `Prefork` of one worker reloads its own workers, and leaves the others alone."""
    with probing("Prefork(2, Prefork(2))", quiet=True) as probe:
        outer = accepting(probe, 2)
        assert wait_until(lambda: len(probe.children()) == 6)
        below = set(probe.children()) - outer
        parents = {each: each.ppid() for each in below}  # while they are all there
        with loading(probe.address, rate=300.0) as load:
            load.wait_for(50)
            with probe.client() as client:
                middle = int((client.ask("who") or "").split()[1])
                assert client.ask("reload_inner") == "reloaded"
            mine = {each for each in below if parents[each] == middle}
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
