"""`Limit`: at most so many connections at a time, around any strategy."""

from __future__ import annotations

import select
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from adopting import ANY_PORT, Shout, ask, serving
from probes import Client, probing
from senders import Gate, senders
from serverstrategy import Strategy, TCPServer
from serverstrategy.strategies import Fallback, Limit, Prefork, Synchronous, Threaded, ThreadPool

TWO = [
    "Limit(2, Threaded())",
    "Limit(2, ThreadPool(8))",
    "Limit(2, Forking())",
    "Limit(3, ThreadPool(2))",
    "Limit(2, Limit(3, Threaded()))",
    "Limit(3, Limit(2, Threaded()))",
    "Fallback(Limit(2, Threaded()))",
    "Prefork(1, Limit(2, Threaded()))",
    "Prefork(1, Limit(2, Forking()))",
]
each_of_two = pytest.mark.parametrize("strategy", TWO)
some = pytest.mark.parametrize("strategy", [TWO[0], TWO[2], TWO[7]])


def has_answer(client: Client) -> bool:
    return bool(select.select([client.socket], [], [], 0)[0])


@each_of_two
def test_what_has_no_room_waits_in_the_backlog(strategy: str) -> None:
    with probing(strategy) as probe:
        first, second, third = probe.clients(3)
        assert first.ask("echo 1") == "1"
        assert second.ask("echo 2") == "2"
        third.send("echo 3")
        probe.wait_until_idle()
        assert not has_answer(third)
        first.close()
        assert third.receive() == "3"
        second.close()
        third.close()
        probe.stop()


@some
def test_an_error_gives_its_room_back(strategy: str) -> None:
    with probing(strategy, hooks=["process_request_raises"]) as probe:
        for _ in range(5):
            with probe.client() as client:
                assert client.ask("raise ValueError") is None
        for _ in range(5):
            assert probe.ask("echo hi") == "hi"
        probe.stop()


@some
def test_a_stop_is_heard_while_it_is_full_and_what_is_in_flight_goes_on(strategy: str) -> None:
    with probing(strategy) as probe:
        first, second, _ = probe.clients(3)
        assert first.ask("echo hi") == second.ask("echo hi") == "hi"
        probe.wait_until_idle()
        probe.signal(signal.SIGTERM)
        probe.expect("returned", error=None)
        assert first.ask("echo still") == "still"
        assert second.ask("echo there") == "there"
        first.close()
        second.close()
        probe.closed()


@some
def test_what_does_not_end_is_cut(strategy: str) -> None:
    with probing(strategy, grace=0.2) as probe:
        clients = probe.clients(2)
        for client in clients:
            assert client.ask("echo hi") == "hi"
        probe.stop()
        for client in clients:
            assert client.receive() is None


def test_each_worker_counts_for_itself() -> None:
    with probing("Prefork(2, Limit(1, Threaded()))") as probe:
        first, second, third = probe.clients(3)
        assert first.ask("pid") != second.ask("pid")
        third.send("echo hi")
        probe.wait_until_idle()
        assert not has_answer(third)
        second.close()
        assert third.receive() == "hi"
        first.close()
        third.close()
        probe.stop()


def test_handle_request_asks_it_too() -> None:
    with probing("Limit(1, Threaded())", requests=2) as probe:
        first, second = probe.clients(2)
        assert first.ask("echo hi") == "hi"
        second.send("echo hi")
        probe.wait_until_idle()
        assert probe.count("returned") == 0
        first.close()
        assert second.receive() == "hi"
        second.close()
        probe.closed()


@pytest.mark.parametrize("strategy", ["Limit(2, Threaded())", "Limit(2, Forking())"])
def test_datagrams_wait_in_the_buffer(
    strategy: str, datagrams: dict[str, Any], tmp_path: Path
) -> None:
    with (
        Gate(tmp_path / "gate") as gate,
        probing(strategy, **datagrams) as probe,
        senders(probe.address, 3) as (outside, *inside),
    ):
        for client in inside:
            client.send(f"wait {gate.path}")
            probe.expect("handling")
        outside.send("echo hi")
        probe.wait_until_idle()
        assert not outside.has_answer()
        gate.open()
        assert [client.receive() for client in inside] == ["waited"] * 2
        assert outside.receive() == "hi"
        probe.stop()


class ThreadEach(Strategy):
    """A strategy of the user's own, without a limit."""

    multithread = True

    def process_request(self, server: Any, request: Any, client_address: Any) -> None:
        threading.Thread(target=server.complete_request, args=(request, client_address)).start()


def test_a_strategy_of_the_users_own_gets_a_limit() -> None:
    inside: list[int] = []
    most: list[int] = []

    class Counting(Shout):
        def handle(self) -> None:
            inside.append(1)
            most.append(len(inside))
            super().handle()
            inside.pop()

    strategy = Limit(2, ThreadEach())
    assert strategy.multithread
    with TCPServer(ANY_PORT, Counting, strategy=strategy) as server, serving(server):
        askers = [threading.Thread(target=ask, args=(server,)) for _ in range(20)]
        for asker in askers:
            asker.start()
        for asker in askers:
            asker.join()
    assert len(most) == 20
    assert max(most) <= 2


@pytest.mark.parametrize(
    ("inner", "advice"),
    [
        (lambda: Prefork(4, ThreadPool(8)), "Prefork(4, Limit(10, ThreadPool(8)))"),
        (lambda: Fallback(Prefork(3), Threaded()), "Prefork(3, Limit(10, Synchronous()))"),
    ],
)
def test_around_prefork_it_is_refused_with_the_advice(inner: Any, advice: str) -> None:
    with pytest.raises(ValueError, match="would count in one process") as raised:
        Limit(10, inner())
    assert f"write {advice}" in str(raised.value)
    assert str(raised.value).startswith(f"Limit(10, {inner()!r}) would")


def test_what_is_advised_works() -> None:
    assert repr(Prefork(4, Limit(10, Synchronous()))) == "Prefork(4, Limit(10, Synchronous()))"
