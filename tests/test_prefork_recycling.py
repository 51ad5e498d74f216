"""`Prefork`: workers that are replaced after so many connections, or so much memory."""

from __future__ import annotations

import signal
from collections import Counter

import psutil
import pytest

from loading import Fate, Load, loading
from preforks import all_answered
from probes import Probe, probing, wait_until
from serverstrategy.strategies._recycling import Recycling, resident_memory

MEGABYTE = 1 << 20

# The strategy with room for the options of the Prefork whose workers have the connections.
NESTS = {
    "Synchronous": "Prefork(4, Synchronous(), {})",
    "ThreadPool": "Prefork(4, ThreadPool(4), {})",
    "Forking": "Prefork(4, Forking(10), {})",
    "Prefork": "Prefork(2, Prefork(2, ThreadPool(4), {}))",
}
each_nest = pytest.mark.parametrize("nest", NESTS)


def recycling(nest: str, options: str) -> str:
    return NESTS[nest].format(options)


def worker_of(fate: Fate, nest: str) -> int:
    """The worker that accepted the connection."""
    return fate.parent if nest == "Forking" else fate.pid


def accepted_by_exited(probe: Probe) -> Counter[int]:
    """How many connections each worker had accepted that has ended."""
    exits = [each for each in probe.seen if each["event"] == "worker_exit"]
    assert {each["status"] for each in exits} <= {0}
    return Counter({each["worker"]: each["connections"] for each in exits})


# max_requests


@each_nest
def test_at_full_load_none_is_refused_or_reset(nest: str) -> None:
    strategy = recycling(nest, "max_requests=50, max_requests_jitter=10")
    options = {"hooked": int(nest == "Prefork"), "worker_hooks": ["exit_tells"]}
    with probing(strategy, quiet=True, **options) as probe:
        with loading(probe.address, rate=1000.0) as load:
            load.wait_for(500 if nest == "Forking" else 1500)  # to fork for each takes longer
            fates = all_answered(load)
        answered = Counter(worker_of(each, nest) for each in fates)
        # That is more than one generation of the four.
        assert len(answered) > 6
        probe.stop()
        accepted = accepted_by_exited(probe)
        # What clients were answered is what workers accepted: each once.
        assert accepted == answered
        # Fifty at least, but for those that there were at the end, two successors among them.
        assert sum(number < 50 for number in accepted.values()) <= 6


@each_nest
def test_the_number_counts_and_not_the_load(nest: str) -> None:
    strategy = recycling(nest, "max_requests=5").replace("(4,", "(1,").replace("(2,", "(1,")
    with probing(strategy, quiet=True) as probe:
        seen: list[str] = []
        for generation in range(3):
            for _ in range(5):
                reply = (probe.ask("who") or "").split()
                seen.append(reply[nest == "Forking"])
            # It is replaced, though nothing comes any more.
            assert wait_until(lambda last=seen[-1]: not psutil.pid_exists(int(last)))
            assert len(set(seen)) == generation + 1, seen
        probe.wait_until_idle()
        probe.stop()


@pytest.mark.parametrize("nest", [each for each in NESTS if each != "Synchronous"])
def test_one_that_retires_finishes_what_it_has(nest: str) -> None:
    strategy = recycling(nest, "max_requests=20")
    with probing(strategy, quiet=True) as probe:
        clients = probe.clients(4)
        replies = [(client.ask("who") or "").split() for client in clients]
        old = {int(reply[nest == "Forking"]) for reply in replies}
        with loading(probe.address, rate=300.0) as load:
            # They are busy, so others take over, sooner or later.
            assert wait_until(lambda: len(load.fates) > 200 and not old & recent(load, nest))
            for client in clients:
                assert client.ask("echo still there") == "still there"
                client.close()
            assert wait_until(lambda: not any(map(psutil.pid_exists, old)))
            all_answered(load)
        probe.stop()


def recent(load: Load, nest: str) -> set[int]:
    return {worker_of(each, nest) for each in load.fates[-50:]}


def test_the_lot_of_each_worker() -> None:
    def bound(recycling: Recycling) -> int:
        return next(number for number in range(1000) if recycling.is_due(number))

    bounds = Counter(bound(Recycling(50, 10, None)) for _ in range(2000))
    assert set(bounds) == set(range(50, 61))
    assert {bound(Recycling(50, 0, None)) for _ in range(20)} == {50}
    assert not Recycling(None, 10, None).is_due(10**9)


# max_memory


@pytest.mark.parametrize("nest", [each for each in NESTS if each != "Forking"])
def test_one_that_hoards_is_replaced(nest: str) -> None:
    strategy = recycling(nest, f"max_memory={150 * MEGABYTE}").replace("(4,", "(2,")
    with probing(strategy, quiet=True) as probe:
        with loading(probe.address, rate=200.0) as load:
            load.wait_for(50)
            for _ in range(2):
                with probe.client() as client:
                    hoarder = int((client.ask("who") or "").split()[0])
                    assert client.ask("hoard 200") == "hoarded"
                    # Not before its end: another connection may be in the same worker.
                assert wait_until(lambda pid=hoarder: not psutil.pid_exists(pid))
            load.wait_for(50)
            all_answered(load)
        assert all(each.memory_info().rss < 150 * MEGABYTE for each in probe.children())
        probe.stop()


def test_a_child_that_hoards_gives_it_back_itself() -> None:
    strategy = recycling("Forking", f"max_memory={150 * MEGABYTE}")
    with probing(strategy, quiet=True) as probe:
        assert wait_until(lambda: len(probe.children()) == 4)
        before = probe.children()
        with loading(probe.address, rate=100.0) as load:
            assert probe.ask("hoard 200") == "hoarded"
            load.wait_for(50)
            all_answered(load)
        assert wait_until(lambda: probe.children() == before)
        probe.stop()


def test_below_the_bound_nothing_happens() -> None:
    with probing(f"Prefork(2, max_memory={500 * MEGABYTE})", quiet=True) as probe:
        assert wait_until(lambda: len(probe.children()) == 2)
        before = probe.children()
        with loading(probe.address, rate=300.0) as load:
            assert probe.ask("hoard 200") == "hoarded"
            load.wait_for(100)
            all_answered(load)
        assert probe.children() == before
        probe.stop()


def test_resident_memory_is_what_the_system_says() -> None:
    before = resident_memory()
    hoard = b"x" * (50 * MEGABYTE)
    grown = resident_memory() - before
    assert 49 * MEGABYTE < grown < 55 * MEGABYTE
    assert abs(resident_memory() - psutil.Process().memory_info().rss) < 5 * MEGABYTE
    del hoard


# Both, and a reload


@each_nest
def test_all_at_once(nest: str) -> None:
    strategy = recycling(nest, "max_requests=10, max_requests_jitter=5, max_memory=200000000")
    with probing(strategy, quiet=True) as probe:
        with loading(probe.address, rate=500.0) as load:
            for _ in range(4):
                load.wait_for(60)
                probe.signal(signal.SIGHUP)
            fates = all_answered(load)
        assert len({worker_of(each, nest) for each in fates}) > 8
        probe.stop()
