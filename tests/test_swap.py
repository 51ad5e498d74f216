"""Live swap: another strategy takes the listener while the server serves."""

from __future__ import annotations

import itertools
import signal
from typing import Any

import psutil
import pytest

from probes import STRATEGIES, Probe, probing, wait_until
from senders import sending
from swapping import (
    Load,
    holds_back,
    is_handled_by,
    load,
    no_fork_was_beside_a_thread,
    who,
    who_handles,
)

IN_THE_BOX = STRATEGIES[:7]
PAIRS = list(itertools.permutations(IN_THE_BOX, 2))
WITH_LAYERS = [
    *STRATEGIES,
    "Limit(20, Threaded())",
    "PerClient(50, ThreadPool(4))",
    "Fallback(Prefork(2, Limit(20, Threaded())), Threaded())",
]


def walk_through_all_pairs(things: list[str]) -> list[str]:
    """A list, and again its first, in which each ordered pair of things stands once side by side.

    Each thing is followed by itself, too.
    """
    # Hierholzer's algorithm, for an Eulerian circuit.
    follows = {each: list(things) for each in things}
    path, walk = [things[0]], list[str]()
    while path:
        if follows[path[-1]]:
            path.append(follows[path[-1]].pop())
        else:
            walk.append(path.pop())
    return walk[::-1]


def swap_amid_a_dialogue(probe: Probe, clients: Load, old: str, new: str) -> None:
    """Swap, and see that a dialogue goes on with the old one, and that the new one serves."""
    with probe.client() as dialogue:
        begun = who(dialogue)
        before = {child.pid for child in probe.children()}
        probe.signal(signal.SIGHUP)
        if not holds_back(old, new):
            thread = probe.expect("assigned")["thread"]
            assert wait_until(lambda: is_handled_by(new, probe, before, thread))
        assert who(dialogue) == begun
    if holds_back(old, new):
        # Not before: a signal does not end a recv of the handler that is just about to begin.
        thread = probe.expect("assigned")["thread"]
    assert wait_until(lambda: is_handled_by(new, probe, before, thread))
    clients.wait_for_more(3)


@pytest.mark.timeout(180)
def test_swaps_at_load_from_each_to_each_cost_no_connection() -> None:
    first, *others = walk_through_all_pairs(WITH_LAYERS)
    assert len(others) == len(WITH_LAYERS) ** 2
    with probing(first, next=others) as probe:
        with load(probe) as clients:
            for old, new in itertools.pairwise([first, *others]):
                try:
                    swap_amid_a_dialogue(probe, clients, old, new)
                except BaseException as error:
                    error.add_note(f"from {old} to {new}\n{probe.log()}")
                    raise
        assert who_handles(probe)
        probe.stop()
        assert no_fork_was_beside_a_thread(probe)


def test_quick_swaps_at_load_cost_no_connection() -> None:
    first, *others = IN_THE_BOX * 3
    with probing(first, next=others) as probe:
        with load(probe) as clients:
            for _ in others:
                probe.signal(signal.SIGHUP)
                probe.expect("assigned")
            clients.wait_for_more(20)
        probe.stop()
        assert no_fork_was_beside_a_thread(probe)


def test_each_datagram_at_the_time_of_a_swap_is_answered_once(datagrams: dict[str, Any]) -> None:
    first, *others = [text for text in IN_THE_BOX for _ in range(2)]
    with probing(first, next=others, **datagrams) as probe, sending(probe.address) as client:
        for _ in others:
            client.send("echo before")
            probe.signal(signal.SIGHUP)
            client.send("echo after")
            assert {client.receive(), client.receive()} == {"before", "after"}
            probe.expect("assigned")
        probe.stop()
        assert not client.has_answer()
        assert no_fork_was_beside_a_thread(probe)


def forks(expression: str) -> bool:
    return "ork" in expression


FORKING_PAIRS = [(old, new) for old, new in PAIRS if forks(old)]


@pytest.mark.parametrize(("old", "new"), FORKING_PAIRS)
def test_the_processes_of_the_old_one_are_reaped_while_the_new_one_idles(
    old: str, new: str
) -> None:
    with probing(old, next=[new]) as probe:
        with probe.client() as dialogue:
            begun = who(dialogue)
            before = probe.children()
            probe.signal(signal.SIGHUP)
            thread = probe.expect("assigned")["thread"]
            pids = {child.pid for child in before}
            assert wait_until(lambda: is_handled_by(new, probe, pids, thread))
            assert who(dialogue) == begun
        # Not zombies either.
        assert wait_until(lambda: not any(psutil.pid_exists(child.pid) for child in before))
        probe.stop()


@pytest.mark.parametrize("old", [text for text in IN_THE_BOX if text.startswith("Prefork")])
def test_a_worker_of_the_old_one_is_cut_after_the_grace_period_of_the_close(old: str) -> None:
    with probing(old, grace=0.3, next=["Threaded()"]) as probe, probe.client() as dialogue:
        begun = who(dialogue)
        before = {child.pid for child in probe.children()}
        probe.signal(signal.SIGHUP)
        thread = probe.expect("assigned")["thread"]
        assert wait_until(lambda: is_handled_by("Threaded()", probe, before, thread))
        assert who(dialogue) == begun
        probe.stop()
        assert dialogue.receive() is None


@pytest.mark.parametrize("old", IN_THE_BOX)
def test_a_stop_at_the_moment_of_the_swap_ends_it(old: str) -> None:
    new = next(text for text in IN_THE_BOX if text != old and forks(text) is not forks(old))
    with probing(old, next=[new]) as probe:
        assert probe.answers()
        probe.signal(signal.SIGHUP)
        probe.stop()
        assert probe.refuses()


def test_ctrl_c_while_forks_wait_for_threads_ends_it() -> None:
    with probing("Threaded()", next=["Prefork(2)"]) as probe, probe.client() as dialogue:
        who(dialogue)
        probe.signal(signal.SIGHUP)
        probe.expect("assigned")
        probe.interrupt()
        probe.expect("returned", error="KeyboardInterrupt")
        dialogue.close()
        probe.closed()


@pytest.mark.parametrize("new", ["Forking()", "Prefork(2)", "Prefork(2, Forking(10))"])
def test_a_child_of_the_new_one_can_stop_the_server(new: str) -> None:
    with probing("Threaded()", next=[new]) as probe:
        assert probe.answers()
        probe.signal(signal.SIGHUP)
        probe.expect("assigned")
        assert wait_until(lambda: who_handles(probe).pid != probe.pid)
        assert probe.ask("call shutdown") is not None
        probe.closed()


@pytest.mark.parametrize("old", [text for text in IN_THE_BOX if forks(text)])
def test_a_child_cannot_make_it(old: str) -> None:
    with probing(old) as probe:
        reply = probe.ask("assign Threaded()")
        assert reply is not None
        assert reply.startswith("RuntimeError: a child process cannot")
        assert probe.answers()
        probe.stop()


@pytest.mark.parametrize("new", IN_THE_BOX[1:])
def test_another_thread_may_make_it(new: str) -> None:
    with probing("Synchronous()", thread=True) as probe:
        assert probe.answers()
        with load(probe) as clients:
            probe.tell(f"assign {new}")
            thread = probe.expect("assigned")["thread"]
            assert wait_until(lambda: is_handled_by(new, probe, set(), thread))
            clients.wait_for_more(5)
        probe.tell("shutdown")
        probe.end_of_commands()
        probe.closed()
