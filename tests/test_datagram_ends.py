"""How datagram servers sleep, stop, close and die, under every strategy."""

from __future__ import annotations

import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from probes import FORKING, PREFORKS, STRATEGIES, Address, is_gone, probing, wait_until
from senders import Gate, senders, sending

every_strategy = pytest.mark.parametrize("strategy", STRATEGIES)


def is_free(address: Address) -> bool:
    """Whether nobody has a socket at the address."""
    if isinstance(address, str):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
            return probe.connect_ex(address) != 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(address)
        except OSError:
            return False
        return True


@every_strategy
def test_what_is_in_flight_is_answered_before_the_listener_is_closed(
    strategy: str, datagrams: dict[str, Any], tmp_path: Path
) -> None:
    number = 1 if strategy == "Synchronous()" else 2
    with (
        Gate(tmp_path / "gate") as gate,
        probing(strategy, thread=True, **datagrams) as probe,
        senders(probe.address, number) as clients,
    ):
        for client in clients:
            client.send(f"wait {gate.path}")
            probe.expect("handling")
        probe.tell("shutdown")
        probe.expect("shutdown", error=None)
        probe.tell("server_close")
        probe.wait_until_idle()
        gate.open()
        assert [client.receive() for client in clients] == ["waited"] * number
        probe.expect("server_close", error=None)
        assert is_free(probe.address)
        probe.end_of_commands()
        probe.closed()
        assert "Traceback" not in probe.log()
        assert "cut" not in probe.log()


@every_strategy
def test_what_exceeds_no_grace_is_not_answered(
    strategy: str, datagrams: dict[str, Any], tmp_path: Path
) -> None:
    with (
        Gate(tmp_path / "gate") as gate,
        probing(strategy, thread=True, grace=0, **datagrams) as probe,
        sending(probe.address) as client,
    ):
        client.send(f"wait {gate.path}")
        probe.expect("handling")
        probe.tell("server_close")
        assert probe.expect("server_close", error=None)["ms"] < 5000
        assert is_free(probe.address)
        if strategy not in FORKING:
            assert "abandoned the <connection from" in probe.log()
        gate.open()
        probe.wait_until_idle()
        probe.end_of_commands()
        probe.closed()
        assert not client.has_answer()


@pytest.mark.parametrize(
    "strategy", ["Forking()", "Prefork(2)", "Prefork(1, ThreadPool(4))", "Prefork(1, Forking(4))"]
)
def test_a_child_or_a_worker_that_closes_takes_no_answer_away(
    strategy: str, datagrams: dict[str, Any], tmp_path: Path
) -> None:
    with (
        Gate(tmp_path / "gate") as gate,
        probing(strategy, **datagrams) as probe,
        senders(probe.address, 2) as (first, second),
    ):
        first.send(f"wait {gate.path}")
        probe.expect("handling")
        assert float(second.ask("call server_close")) < 5000
        probe.expect("returned", error=None)
        gate.open()
        assert first.receive() == "waited"
        probe.closed()
        assert "Traceback" not in probe.log()


@every_strategy
def test_it_serves_again_at_the_same_address(strategy: str, datagrams: dict[str, Any]) -> None:
    with probing(strategy, again=True, **datagrams) as probe, sending(probe.address) as client:
        assert client.ask("echo first") == "first"
        probe.signal(signal.SIGTERM)
        probe.expect("again")
        assert client.ask("echo second") == "second"
        probe.stop()


@every_strategy
def test_an_idle_server_does_not_wake_up(strategy: str, datagrams: dict[str, Any]) -> None:
    with probing(strategy, **datagrams) as probe, sending(probe.address) as client:
        for _ in range(3):
            assert client.ask("echo hi") == "hi"
            probe.expect("finished")
        probe.wait_until_idle()
        before = probe.switches()
        # The stretch of time is what is measured, not a guess for something to happen.
        assert not wait_until(lambda: probe.switches() > before, 1.0)
        probe.stop()


def time_a_stop(strategy: str, options: dict[str, Any]) -> float:
    """How long shutdown and server_close take, in milliseconds."""
    with probing(strategy, thread=True, **options) as probe, senders(probe.address, 4) as clients:
        # Two workers wake up for each of them, and one is too late.
        for _ in range(5):
            for client in clients:
                client.send("echo hi")
            for client in clients:
                assert client.receive() == "hi"
        took = 0.0
        for method in ("shutdown", "server_close"):
            probe.tell(method)
            took += probe.expect(method, error=None)["ms"]
        probe.end_of_commands()
        probe.closed()
    return took


@every_strategy
@pytest.mark.parametrize("hooks", [[], ["get_request_without_flags"]])
@pytest.mark.parametrize("default_timeout", [None, 60.0])
def test_a_stop_is_heard_within_50_ms(
    strategy: str, hooks: list[str], default_timeout: float | None, datagrams: dict[str, Any]
) -> None:
    """The best of a few: what is late on a busy machine says nothing of the server."""
    options = datagrams | {"hooks": hooks, "default_timeout": default_timeout}
    options["keywords"] = {"remove_on_close": True} if "address" in datagrams else {}
    assert any(time_a_stop(strategy, options) < 50 for _ in range(5))


@pytest.mark.parametrize("strategy", PREFORKS)
@pytest.mark.parametrize("state", ["idle", "handling"])
def test_workers_do_not_survive_a_killed_parent(
    strategy: str, state: str, datagrams: dict[str, Any], tmp_path: Path
) -> None:
    with (
        Gate(tmp_path / "gate") as gate,
        probing(strategy, **datagrams) as probe,
        sending(probe.address) as client,
    ):
        assert client.ask("echo hi") == "hi"
        if state == "handling":
            client.send(f"wait {gate.path}")
            probe.expect("handling")
            probe.expect("handling")
        below = probe.children()
        probe.signal(signal.SIGKILL)
        probe.process.wait()
        # One second is promised; the rest is for a loaded machine.
        assert wait_until(lambda: all(map(is_gone, below)), 3.0)
        # A process whose main thread has ended is a zombie already while its other threads end.
        assert wait_until(lambda: is_free(probe.address))


def test_a_child_whose_parent_is_killed_answers(datagrams: dict[str, Any], tmp_path: Path) -> None:
    with (
        Gate(tmp_path / "gate") as gate,
        probing("Forking()", **datagrams) as probe,
        sending(probe.address) as client,
    ):
        client.send(f"wait {gate.path}")
        probe.expect("handling")
        below = probe.children()
        probe.signal(signal.SIGKILL)
        probe.process.wait()
        gate.open()
        assert client.receive() == "waited"
        assert wait_until(lambda: all(map(is_gone, below)))
        assert is_free(probe.address)
