"""`Prefork.reload`: every worker is replaced, new before old, and no client notices."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from loading import Load, loading
from preforks import (
    INNERS,
    accepting,
    all_answered,
    at_the_gate,
    hold_each,
    shown_workers,
    started,
    stop_from_the_main_thread,
    wait_for_successors,
    worker_of,
    workers,
)
from probes import Probe, is_gone, probing, wait_until

each_inner = pytest.mark.parametrize("inner", INNERS)


def accepting_generations(probe: Probe) -> set[int]:
    shown = shown_workers(probe)
    return {each["generation"] for each in shown if each["state"] in ("waiting", "busy")}


def answering(load: Load, probe: Probe, since: float) -> set[int]:
    """The workers that have answered the connections which began after `since`."""
    return {worker_of(each, probe) for each in load.fates.copy() if each.began > since}


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
