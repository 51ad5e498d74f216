"""`Fallback`: the first strategy that the platform can run."""

from __future__ import annotations

import os

import pytest

from adopting import ANY_PORT, Shout, ask, serving
from probes import probing
from serverstrategy import Strategy, TCPServer
from serverstrategy.strategies import Fallback, Forking, Limit, Prefork, Threaded, ThreadPool


class Elsewhere(Strategy):
    unsupported = "it needs another machine"


class Forgetful(Strategy):
    """A layer of the user's own, which passes on no attribute."""

    def __init__(self, inner: Strategy) -> None:
        self.inner = inner


def test_the_first_that_can_run_is_chosen() -> None:
    first, second = Threaded(), ThreadPool(2)
    assert Fallback(first, second).inner is first
    assert Fallback(Elsewhere(), first, second).inner is first
    nests = [Limit(2, Elsewhere()), Fallback(Elsewhere()), Forgetful(Elsewhere())]
    assert Fallback(*nests, second).inner is second


def test_what_it_has_not_chosen_is_free_for_another_server() -> None:
    first, second = Threaded(), Threaded()
    with TCPServer(ANY_PORT, Shout, strategy=Fallback(first, second)):
        with TCPServer(ANY_PORT, Shout, strategy=second):
            pass
        with pytest.raises(ValueError, match=r"serves .* already"):
            TCPServer(ANY_PORT, Shout, strategy=first)


@pytest.mark.parametrize("strategy", ["Prefork(2, ThreadPool(4))", "Forking()", "Threaded(100)"])
def test_it_serves_as_the_one_that_was_chosen(strategy: str) -> None:
    with probing(f"Fallback({strategy}, Synchronous())") as probe:
        for client in probe.clients(2):
            assert client.ask("echo hi") == "hi"
            assert (client.ask("pid") != str(probe.pid)) == ("ork" in strategy)
            client.close()
        with probe.client() as client:
            assert client.ask("raise ValueError") is None
        probe.stop()


def test_without_fork_the_next_one_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "fork")
    strategy = Fallback(Prefork(4, ThreadPool(8)), Limit(4, Threaded()))
    assert repr(strategy) == "Fallback(Prefork(4, ThreadPool(8)), Limit(4, Threaded()))"
    assert (strategy.multithread, strategy.multiprocess) == (True, False)
    assert strategy.unsupported is None
    with TCPServer(ANY_PORT, Shout, strategy=strategy) as server, serving(server):
        assert ask(server) == b"HI\n"


def test_if_none_can_run_the_server_says_why_for_each() -> None:
    strategy = Fallback(Elsewhere(), Limit(2, Elsewhere()))
    reasons = (
        "Elsewhere(): it needs another machine; Limit(2, Elsewhere()): it needs another machine"
    )
    assert strategy.unsupported == reasons
    with pytest.raises(OSError, match="cannot run here") as raised:
        TCPServer(ANY_PORT, Shout, strategy=strategy)
    assert str(raised.value) == (
        f"Fallback(Elsewhere(), Limit(2, Elsewhere())) cannot run here: {reasons}"
    )


def test_without_strategies_it_is_refused() -> None:
    with pytest.raises(TypeError, match=r"^Fallback needs strategies: write Fallback"):
        Fallback()


def test_the_unchosen_may_be_anything_that_may_be_built() -> None:
    assert repr(Prefork(2, Fallback(Threaded(), Prefork(2), Forking()))) == (
        "Prefork(2, Fallback(Threaded(), Prefork(2, Synchronous()), Forking()))"
    )
