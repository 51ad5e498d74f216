"""Servers that were written for `socketserver`, given a strategy, are what they were, and more."""

from __future__ import annotations

import pytest

from probes import PREFORKS, STRATEGIES, Probe, probing
from shapes import SHAPES, SLOTS

# Their loop is not ours, which alone starts workers.
OWN_LOOPS = ["LoopByName", "OwnLoop", "OwnSelect"]
# Threads of theirs that keep what they have do not live in the handler's thread or end with it.
GO_ON = ["FinishesByItself", "ThreadGoesOn"]
# What a parent of workers or children cannot share with them.
IN_ONE_PROCESS = {
    # The queue, and the thread that fills it, are the parent's.
    "AcceptsElsewhere": PREFORKS,
}
# One way and the other differ in how the class is made, not in what it does.
WAYS = [
    ("adopt", STRATEGIES),
    ("class", ["ThreadPool(4)", "Forking()", "Prefork(2, ThreadPool(4))"]),
]
CASES = [
    (shape, strategy, way)
    for shape in SHAPES
    for way, strategies in WAYS
    for strategy in strategies
    if strategy not in IN_ONE_PROCESS.get(shape, [])
]


def handles_as_it_should(probe: Probe, shape: str, strategy: str) -> None:
    """See that the strategy decides where the handler runs."""
    if shape in OWN_LOOPS and strategy in PREFORKS:
        strategy = strategy.removeprefix("Prefork(2").removeprefix(", ")
    in_child = probe.ask("pid") != str(probe.pid)
    assert in_child == ("ork" in strategy)
    if shape not in GO_ON:
        thread = "another" if "Thread" in strategy else "main"
        assert probe.ask("thread") == thread


@pytest.mark.parametrize(("shape", "strategy", "way"), CASES)
def test_serves_in_the_way_of_the_strategy(shape: str, strategy: str, way: str) -> None:
    with probing(strategy, shape=shape, way=way, poll=0.5) as probe:
        handles_as_it_should(probe, shape, strategy)
        for _ in range(10):
            assert probe.ask("echo hi") == "hi"
        if strategy not in ("Synchronous()", "Prefork(2)"):
            with probe.client() as idle:
                assert idle.ask("echo first") == "first"
                assert probe.ask("echo second") == "second"
                assert idle.ask("echo third") == "third"
        probe.stop()


@pytest.mark.parametrize("shape", ["SlotInVerify", "SlotInProcess"])
@pytest.mark.parametrize(
    "strategy", ["Threaded()", "ThreadPool(8)", "Forking()", "Prefork(1, Forking(10))"]
)
def test_a_hook_that_waits_for_a_slot_gets_it_when_a_handler_ends(
    shape: str, strategy: str
) -> None:
    """In the hook waits the thread that reaps the children."""
    with probing(strategy, shape=shape, poll=0.5) as probe:
        clients = [probe.client() for _ in range(SLOTS + 1)]
        for holder in clients[:SLOTS]:
            assert holder.ask("echo hi") == "hi"
        waiting = clients[SLOTS]
        waiting.send("echo at last")
        for holder in clients[:SLOTS]:
            holder.close()
        assert waiting.receive() == "at last"
        waiting.close()
        probe.stop()
        assert "multi-threaded" not in probe.log()
